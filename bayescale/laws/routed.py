"""The law of routed models: dense size and effective experts, with an interaction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import effective_experts as experts
from bayescale.laws.base import Inputs, Law, Published
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Normal, Reference

LN_10 = math.log(10)


class Routed(Law):
    r"""The law of routed (mixture-of-experts) models at one token budget.

    .. math::

        \log_{10} L(N, E) = a \log_{10} N + b \log_{10} \hat E
                            + c \log_{10} N \log_{10} \hat E + d

    N is the number of parameters that a token passes in the dense model that is routed, E (the column
    experts) the number of experts, and :math:`\hat E` the effective number of experts, which rises from
    E_start for a dense model to E_max (`bayescale.laws.effective_experts`). a and b are below 0 and c
    above 0 in the paper: experts help less the larger the model.

    It holds at one number of tokens, and has no irreducible loss. That experts are of no use above
    `cutoff` is a consequence of that: with more tokens they are (arXiv:2402.07871, arXiv:2502.05172).

    References
    ----------
    Clark et al. 2022, Unified Scaling Laws for Routed Language Models, arXiv:2202.01169.

    Examples
    --------
    >>> law = Routed.from_published("s-base-refit")
    >>> round(float(law.loss({"N": 3.7e8, "experts": 64})), 2)
    2.22
    >>> round(float(law.effective_parameters({"N": 3.7e8, "experts": 64})) / 3.7e8, 1)
    3.8
    """

    name: ClassVar = "routed"
    title: ClassVar = "law of routed models (Clark)"
    equation: ClassVar = (
        r"\log_{10} L = a \log_{10} N + b \log_{10} \hat E + c \log_{10} N \log_{10} \hat E + d"
    )
    source: ClassVar = "Clark et al. 2022, arXiv:2202.01169"
    inputs: ClassVar = ("N", "experts")
    falls_in: ClassVar = ("N",)

    a: Values = parameter("a", "slope in N of a model with one effective expert")
    b: Values = parameter("b", "slope in effective experts of a model with N = 1")
    c: Values = parameter("c", "interaction of N and effective experts")
    d: Values = parameter("d", "log10 of the loss at N = 1 and one effective expert")
    E_start: Values = parameter("E_{start}", "effective experts of a dense model")
    E_max: Values = parameter("E_{max}", "effective experts of ever more experts")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.2, relative_to="low_loss"),
            "L_0",
            "loss at the geometric centre of N and of the experts",
            "loss",
        ),
        Coordinate(
            "slope_N",
            LogNormal(0.08, 0.4, low=0.02, high=0.4),
            "s_N",
            "share of loss lost per share of N gained, at the centre of the experts",
        ),
        Coordinate(
            "slope_E",
            Normal(0.03, 0.04),
            "s_E",
            "share of loss lost per share of experts gained, at the centre",
        ),
        Coordinate(
            "interaction",
            Normal(0.01, 0.01),
            "s_{NE}",
            "change of that slope per factor 10 of N, at the centre of the experts",
        ),
        experts.START,
        experts.MOST,
    )
    published: ClassVar = tuple(
        Published(
            f"{router.lower()}-refit",
            f"least squares on log10 of the final losses of {router} that Clark et al. 2022 "
            "(arXiv:2202.01169) released; rounded, not the paper's own table",
            dict(zip(("a", "b", "c", "d", "E_start", "E_max"), values, strict=True)),
        )
        for router, values in (
            ("S-Base", (-0.0830, -0.118, 0.0099, 1.114, 2.07, 239.0)),
            ("RL-R", (-0.0827, -0.123, 0.0112, 1.107, 1.72, 470.0)),
            ("Hash", (-0.0874, -0.138, 0.0126, 1.160, 4.27, 427.0)),
        )
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["experts"]``."""
        n = jnp.log(x["N"]) / LN_10
        e = self._log10_experts(x["experts"])
        return jnp.exp(LN_10 * (self.d + self.b * e + (self.a + self.c * e) * n))

    def _log10_experts(self, count: Any) -> Any:
        return jnp.log(experts.effective_experts(count, self.E_start, self.E_max)) / LN_10

    def effective_parameters(self, x: Inputs) -> Values:
        """Return the N of the dense model that has the loss of the routed one at `x`."""
        start = self._log10_experts(1.0)
        e = self._log10_experts(x["experts"])
        n = (self.a + self.c * e) * jnp.log(x["N"]) + self.b * (e - start) * LN_10
        return jnp.exp(n / (self.a + self.c * start))

    def cutoff(self) -> Values:
        """Return the N above which experts are of no use, 10^(-b/c); c must be above 0."""
        return jnp.exp(-LN_10 * self.b / self.c)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss and these slopes at the centre."""
        c, E_start, E_max = coordinates, coordinates["E_start"], coordinates["E_max"]
        n, e, per_expert = _centre(reference, E_start, E_max)
        inter = c["interaction"] / per_expert
        a, b = -c["slope_N"] - inter * e, -c["slope_E"] / per_expert - inter * n
        d = jnp.log(c["L_ref"]) / LN_10 + c["slope_N"] * n - b * e
        return cls(a=a, b=b, c=inter, d=d, E_start=E_start, E_max=E_max)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss and the slopes at the centre of the runs."""
        n, e, per_expert = _centre(reference, self.E_start, self.E_max)
        return {
            "L_ref": self.loss(reference),
            "slope_N": -self.a - self.c * e,
            "slope_E": -(self.b + self.c * n) * per_expert,
            "interaction": self.c * per_expert,
            "E_start": self.E_start,
            "E_max": self.E_max,
        }


def _centre(reference: Reference, E_start: Any, E_max: Any) -> tuple[Any, Any, Any]:
    """The log10 of N and of effective experts at the centre, and the slope of the latter there."""
    count = reference["experts"]
    e = jnp.log(experts.effective_experts(count, E_start, E_max)) / LN_10
    return jnp.log(reference["N"]) / LN_10, e, experts.local_slope(count, E_start, E_max)
