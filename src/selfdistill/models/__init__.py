"""Stage 2: the networks, their auxiliary classifiers, and their weights files."""
