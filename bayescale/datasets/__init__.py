"""Data sets: the sweep that ships with the package."""

from bayescale.datasets.byte_sweep import load_byte_sweep
from bayescale.datasets.registry import DATASETS, is_dataset, load_dataset

__all__ = ["DATASETS", "is_dataset", "load_byte_sweep", "load_dataset"]
