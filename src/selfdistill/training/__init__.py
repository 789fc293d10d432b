"""Stage 5: one training loop, resumable state, and the outputs of a run."""
