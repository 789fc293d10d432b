"""Measurements of the training loop beside others on the machine at hand: `make bench`."""
