"""Commands outside the workflow: status, doctor, export, predict. The Snakefile uses failed, plan and screen."""
