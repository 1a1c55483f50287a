"""The compute-equivalent gain of one recipe over another, and where they cross."""

from bayescale.speedups.comparing import speedup
from bayescale.speedups.result import Speedup

__all__ = ["Speedup", "speedup"]
