"""Inference from runs and images: intervals, differences, and the number of seeds that detects a difference.

Importing it loads neither torch nor scipy. Formulas, sources and coverage: docs/statistics.md.
"""
