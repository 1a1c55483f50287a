r"""The critical batch size, and what it makes of steps, tokens and compute.

.. math:: B_{crit}(L) = B_* L^{-1/\alpha_B}, \qquad
          \left(\frac{S}{S_{min}} - 1\right)\left(\frac{T}{T_{min}} - 1\right) = 1

A loss L is reached in S steps of B tokens, so after T = B S tokens: S_min steps at least, with a batch
far above the critical one, and T_min tokens at least, with one far below.

References
----------
Kaplan et al. 2020, arXiv:2001.08361, section 5; McCandlish et al. 2018, An Empirical Model of
Large-Batch Training, arXiv:1812.06162.

Examples
--------
>>> critical = critical_batch_size(3.0)
>>> round(critical / 1e6, 2)
1.07
>>> minimal_steps(1e4, critical, critical)  # at the critical batch, twice the least steps
5000.0
"""

from __future__ import annotations

from typing import Any

B_STAR = 2e8  # tokens, Kaplan et al. 2020, table 3
ALPHA_B = 0.21


def critical_batch_size(loss: Any, b_star: Any = B_STAR, alpha_b: Any = ALPHA_B) -> Any:
    r"""Return the critical batch size in tokens at a loss in nats per token: B* L^(-1/alpha_B)."""
    return b_star * loss ** (-1 / alpha_b)


def minimal_steps(steps: Any, batch: Any, critical: Any) -> Any:
    r"""Return S_min = S / (1 + B_crit / B), the steps that a batch without limit would have taken.

    Parameters
    ----------
    steps
        S, steps taken.
    batch, critical
        B and B_crit, in the same unit (tokens, or sequences).
    """
    return steps / (1 + critical / batch)


def minimal_tokens(tokens: Any, batch: Any, critical: Any) -> Any:
    r"""Return T_min = T / (1 + B / B_crit), the tokens that a batch near 0 would have taken."""
    return tokens / (1 + batch / critical)


def minimal_compute(flops: Any, batch: Any, critical: Any) -> Any:
    r"""Return C_min = C / (1 + B / B_crit), the compute that a batch near 0 would have taken."""
    return minimal_tokens(flops, batch, critical)
