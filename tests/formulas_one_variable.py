"""Papers' equations once more, in plain NumPy: laws of one variable."""

FORMULAS: dict = {}
