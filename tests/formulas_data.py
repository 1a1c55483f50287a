"""Papers' equations once more, in plain NumPy: laws of mixtures, transfer and distillation."""

FORMULAS: dict = {}
