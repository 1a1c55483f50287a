"""Approach 2, as people do it, beside the posterior of a law: its bias, and whether the two agree."""

from bayescale.isoflops.approach import isoflop
from bayescale.isoflops.result import IsoFlop

__all__ = ["IsoFlop", "isoflop"]
