"""Measurements of the paper's explanations on trained networks."""
