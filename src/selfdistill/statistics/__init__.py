"""Inference from runs and images: intervals, differences, and the seeds that a difference needs.

Imports neither torch nor scipy when it is loaded. Formulas, sources and coverage: docs/statistics.md.
"""
