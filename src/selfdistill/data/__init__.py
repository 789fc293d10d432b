"""Stage 1: the images, verified, prepared, and cut into augmented batches."""
