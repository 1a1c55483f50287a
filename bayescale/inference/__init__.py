"""Inference: the mode of a posterior, its Laplace geometry, NUTS, and the compiled programs."""
