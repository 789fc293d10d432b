"""Commands outside the workflow: estimate, export, predict. The Snakefile uses failed, plan, progress and screen."""
