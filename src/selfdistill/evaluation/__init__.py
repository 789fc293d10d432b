"""Stage 4: the evaluation of a network on the test set."""
