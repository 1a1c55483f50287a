"""The law of parallel streams: computation in place of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Published
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class Parallel(Law):
    r"""The law of parallel streams (ParScale) at one token budget.

    .. math:: L(N, P) = E + \left(\frac{A}{N\,(k \ln P + 1)}\right)^\alpha

    N is the number of parameters without embeddings, P the number of parallel streams, 1 or more. E is
    the irreducible loss, A a scale of N, alpha its exponent; the parameters are worth k ln P + 1 times as
    many. All are above 0. With P = 1 it is a power law in N. It has no term in tokens.

    References
    ----------
    Chen et al. 2025, Parallel Scaling Law for Language Models, arXiv:2505.10475.

    Examples
    --------
    >>> law = Parallel.from_published("stack-python")
    >>> round(float(law.loss({"N": 1.6e9, "P": 8})), 3)
    1.04
    """

    name: ClassVar = "parallel"
    title: ClassVar = "law of parallel streams (ParScale)"
    equation: ClassVar = r"L = E + (A / (N (k \ln P + 1)))^\alpha"
    source: ClassVar = "Chen et al. 2025, arXiv:2505.10475"
    inputs: ClassVar = ("N", "P")

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of N", "parameters")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    k: Values = parameter("k", "gain per factor e of streams, in units of the parameters")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.2, relative_to="low_loss"),
            "L_0",
            "loss at the geometric centre of N and P",
            "loss",
        ),
        Coordinate("share_E", Beta(4, 1.7), "E/L_0", "share of that loss that is irreducible"),
        Coordinate("alpha", LogNormal(0.25, 0.5, low=0.05, high=1.2), r"\alpha", "exponent of N"),
        Coordinate(
            "k",
            LogNormal(0.35, 0.7),
            "k",
            "gain per factor e of streams, in units of the parameters",
        ),
    )
    published: ClassVar = tuple(
        Published(
            key,
            f"least squares on the losses on {words} that the authors of arXiv:2505.10475 released",
            dict(zip(("E", "A", "alpha", "k"), values, strict=True)),
        )
        for key, words, values in (
            ("stack-python", "Stack-Python", (0.698, 1.137e7, 0.1934, 0.391)),
            ("pile", "the Pile", (1.292, 1.948e8, 0.1973, 0.334)),
        )
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["P"]``."""
        return self.E + jnp.exp(self.alpha * (jnp.log(self.A) - self._log_effective(x)))

    def _log_effective(self, x: Inputs) -> Any:
        return jnp.log(x["N"] * (self.k * jnp.log(x["P"]) + 1))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre, share of E, exponent and gain."""
        c = coordinates
        E, rest = c["L_ref"] * c["share_E"], c["L_ref"] * (1 - c["share_E"])
        law = cls(E=E, A=rest, alpha=c["alpha"], k=c["k"])
        log_A = jnp.log(rest) / c["alpha"] + law._log_effective(reference)
        return replace(law, A=jnp.exp(log_A))

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre, the share of E in it, the exponent and the gain."""
        loss = self.loss(reference)
        return {"L_ref": loss, "share_E": self.E / loss, "alpha": self.alpha, "k": self.k}
