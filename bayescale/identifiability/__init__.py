"""What the runs inform, and what is the prior still: parameters, answers, and directions between them."""

from bayescale.identifiability.identifying import identify
from bayescale.identifiability.result import Direction, Identifiability, Quantity, Remedy

__all__ = ["Direction", "Identifiability", "Quantity", "Remedy", "identify"]
