"""Papers' equations once more, in plain NumPy: laws of N and D, and of repeated data."""

FORMULAS: dict = {}
