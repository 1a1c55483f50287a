"""Data sets by name, wherever the path of a table may stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bayescale.datasets.byte_sweep import load_byte_sweep
from bayescale.runs import Runs

DATASETS: dict[str, Callable[[], Runs]] = {
    "byte-sweep": load_byte_sweep,
}


def is_dataset(name: Any) -> bool:
    """Whether this is the name of a data set."""
    return isinstance(name, str) and name in DATASETS


def load_dataset(name: str) -> Runs:
    """Return the runs of a data set by its name."""
    return DATASETS[name]()
