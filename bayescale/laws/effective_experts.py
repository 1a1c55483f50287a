r"""The effective number of experts, which saturates: what the laws of routed models share.

.. math:: \frac{1}{\hat E} = \frac{1}{E - 1 + \left(1/E_{start} - 1/E_{max}\right)^{-1}}
          + \frac{1}{E_{max}}

It is E_start for a dense model (E = 1) and tends to E_max for ever more experts. The runs say little of
E_start without dense ones among them, and of E_max unless the gain of experts is seen to level off.

References
----------
Clark et al. 2022, Unified Scaling Laws for Routed Language Models, arXiv:2202.01169.
"""

from __future__ import annotations

from typing import Any

from bayescale.parameters import Coordinate
from bayescale.priors import LogNormal

START = Coordinate(
    "E_start",
    LogNormal(2.0, 0.4, low=1.0, high=20.0),
    "E_{start}",
    "effective experts of a dense model",
)
MOST = Coordinate(  # above E_start in every draw
    "E_max",
    LogNormal(300.0, 0.5, low=25.0, high=1e4),
    "E_{max}",
    "effective experts of ever more experts",
)


def effective_experts(experts: Any, E_start: Any, E_max: Any) -> Any:
    """Return the effective number of experts, for 1 or more experts and E_start below E_max.

    Examples
    --------
    >>> round(effective_experts(1.0, 2.0, 300.0), 6)
    2.0
    """
    unlimited = experts - 1 + E_start * E_max / (E_max - E_start)
    return unlimited * E_max / (unlimited + E_max)


def local_slope(experts: Any, E_start: Any, E_max: Any) -> Any:
    """Return the slope of the log of the effective number of experts in the log of their number."""
    unlimited = experts - 1 + E_start * E_max / (E_max - E_start)
    return experts * E_max / (unlimited * (unlimited + E_max))
