"""Stage 0: files, locks, signals, terminal and failures: what every stage stands on. Imports no torch."""
