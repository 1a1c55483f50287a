"""Papers' equations once more, in plain NumPy: laws of architecture and precision."""

FORMULAS: dict = {}
