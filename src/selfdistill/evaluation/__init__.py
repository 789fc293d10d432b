"""Stage 4: what a network says about the test set."""
