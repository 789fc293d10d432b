"""The explanations that the paper offers for its result, measured on trained networks."""
