"""Save and load posteriors and mixtures as netCDF: atomically, and without anything that can run code."""

from bayescale.storage.files import read_tree, save_tree
from bayescale.storage.formats import FORMAT, NEW
from bayescale.storage.reading import from_tree, group_of, load, pooled_history
from bayescale.storage.writing import groups_tree, save, to_tree

__all__ = [
    "FORMAT",
    "NEW",
    "from_tree",
    "group_of",
    "groups_tree",
    "load",
    "pooled_history",
    "read_tree",
    "save",
    "save_tree",
    "to_tree",
]
