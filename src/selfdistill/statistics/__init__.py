"""Inference from seeds and images: intervals, tests and the seeds that a difference needs. Imports no torch."""
