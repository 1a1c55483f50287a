"""Papers' equations once more, in plain NumPy: laws of tasks, samples and settings."""

FORMULAS: dict = {}
