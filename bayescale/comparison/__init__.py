"""Several laws on the same runs: cross-validation, stacking, and what came of them."""

from bayescale.comparison.compared import ComparedLaw, Comparison
from bayescale.comparison.comparing import compare

__all__ = ["ComparedLaw", "Comparison", "compare"]
