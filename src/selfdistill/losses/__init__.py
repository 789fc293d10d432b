"""Stage 3: the equations of the paper, and the objectives built from them."""
