"""M4: a power law that leaves a plateau of guessing and ends at a limit; implicit in the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.spans import LEFT_AT_HIGHEST, LOSS_AT_LOWEST, log_span, loss_at_ends
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference, softplus

STEPS = 4  # of Halley's method, which then solves to the last digit or two for alpha from 0.05 to 5


@jax.custom_jvp
def log_odds(t: Any, alpha: Any) -> Any:
    r"""Solve ln p - alpha ln(1 - p) = t for the log odds s of p, alpha above 0.

    In s the left side is s + (alpha - 1) ln(1 + e^s): it rises, and bends to one side only, so the steps
    cannot miss. There are few, and no loop, which would take longer than all of them.
    """
    s = jnp.where(t > 0, t / alpha, t)  # the asymptotes
    for _ in range(STEPS):
        soft = softplus(s)
        odds = jnp.exp(s - soft)
        slope = 1 + (alpha - 1) * odds
        error = s + (alpha - 1) * soft - t
        s = s - error * slope / (slope * slope - 0.5 * error * (alpha - 1) * odds * (1 - odds))
    return s


@log_odds.defjvp
def _log_odds_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Differentiate the equation, not the steps; in terms of the solution, so that it may be repeated."""
    (t, alpha), (t_dot, alpha_dot) = primals, tangents
    s = log_odds(t, alpha)
    soft = softplus(s)
    return s, (t_dot - soft * alpha_dot) / (1 + (alpha - 1) * jnp.exp(s - soft))


class M4(Law):
    r"""M4: a plateau of guessing, a power law, a limit.

    .. math:: \frac{L(x) - e_\infty}{(e_0 - L(x))^\alpha} = \beta\,x^{-c}

    x is any one column. The loss starts from e0, that of guessing (chance, or the logarithm of the
    vocabulary), leaves it as x grows, and falls to the limit e_inf as a power of x. alpha says how long
    it stays near e0; as alpha goes to 0 the law is `power`, the paper's M2, with that offset. All are
    above 0, e0 above e_inf; the paper writes x^c with c below 0. The equation is solved for L by Halley's
    method, and derivatives are those of the equation.

    e0 is believed to lie a little above the loss at the lowest x. Without runs near the plateau, e0 and
    alpha are hardly told apart, and are the prior.

    References
    ----------
    Alabdulmohsin, Neyshabur and Zhai 2022, Revisiting Neural Scaling Laws in Language and Vision,
    arXiv:2209.06640.

    Examples
    --------
    >>> law = M4(e_inf=0.2, e0=1.0, alpha=1.0, beta=100.0, c=0.5)
    >>> round(float(law.loss({"x": 1e4})), 3)
    0.6
    """

    name: ClassVar = "m4"
    title: ClassVar = "plateau, power law and limit (M4)"
    equation: ClassVar = r"(L - e_\infty) / (e_0 - L)^\alpha = \beta\,x^{-c}"
    source: ClassVar = "Alabdulmohsin et al. 2022, arXiv:2209.06640, M4"
    inputs: ClassVar = ("x",)
    extremes: ClassVar = ("x", "loss")

    e_inf: Values = parameter(r"e_\infty", "loss that no amount of x removes", "loss")
    e0: Values = parameter("e_0", "loss of guessing", "loss")
    alpha: Values = parameter(r"\alpha", "how long the loss stays near that of guessing")
    beta: Values = parameter(r"\beta", "scale of the power of x")
    c: Values = parameter("c", "exponent of x")

    coordinates: ClassVar = (
        LOSS_AT_LOWEST,
        LEFT_AT_HIGHEST,
        Coordinate(
            "share_E", Beta(1, 1), r"e_\infty/L_2", "share of the loss there that is the limit"
        ),
        Coordinate(
            "headroom",
            LogNormal(0.1, 1.0),
            r"e_0/L_1 - 1",
            "how far e0 lies above the loss at the lowest x, as a share of it",
        ),
        Coordinate(
            "alpha",
            LogNormal(0.5, 0.7, low=0.05, high=5.0),
            r"\alpha",
            "how long the loss stays near e0",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        gap = self.e0 - self.e_inf
        t = jnp.log(self.beta) + (self.alpha - 1) * jnp.log(gap) - self.c * jnp.log(x["x"])
        s = log_odds(t, self.alpha + jnp.zeros_like(t))
        return self.e_inf + gap * jnp.exp(-softplus(-s))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these losses at the ends of the runs, limit, e0 and alpha."""
        k = coordinates
        low, high = k["L_low"], k["L_low"] * k["left"]
        e_inf, e0 = k["share_E"] * high, (1 + k["headroom"]) * low
        fall = jnp.log((low - e_inf) / (high - e_inf))
        fall = fall + k["alpha"] * jnp.log((e0 - high) / (e0 - low))
        c = fall / log_span(reference)
        beta = (low - e_inf) * power(e0 - low, -k["alpha"]) * power(reference["lowest_x"], c)
        return cls(e_inf=e_inf, e0=e0, alpha=k["alpha"], beta=beta, c=c)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law."""
        ends = loss_at_ends(self, reference)
        return {
            **ends,
            "share_E": self.e_inf / (ends["L_low"] * ends["left"]),
            "headroom": self.e0 / ends["L_low"] - 1,
            "alpha": self.alpha,
        }
