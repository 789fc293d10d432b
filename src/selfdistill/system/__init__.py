"""Stage 0: files, locks, signals, terminal and errors, used by all stages. Imports no torch."""
