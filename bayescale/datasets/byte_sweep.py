"""The embedded sweep of small byte-level language models."""

from __future__ import annotations

from importlib.resources import as_file, files

from bayescale.runs import Runs


def load_byte_sweep(split: str | None = "fit") -> Runs:
    """Placeholder."""
    resource = files("bayescale.datasets") / "byte_sweep.csv"
    with as_file(resource) as path:
        return Runs.read(path, where=f"split == '{split}'" if split else None)
