"""Compare our training loop with others on this machine: `make bench`."""
