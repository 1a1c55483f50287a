"""The best split of a budget between parameters and tokens, and the cheapest way to a loss."""

from bayescale.allocation.allocated import Allocation
from bayescale.allocation.allocating import allocate

__all__ = ["Allocation", "allocate"]
