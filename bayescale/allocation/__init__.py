"""The best split of a budget between parameters and tokens, and the cheapest way to a loss."""

from bayescale.allocation.allocated import Allocation
from bayescale.allocation.allocating import allocate
from bayescale.allocation.architecture import Architecture
from bayescale.allocation.costs import Cost

__all__ = ["Allocation", "Architecture", "Cost", "allocate"]
