"""The doubly saturating law: a plateau at small x and a limit at large x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.spans import LEFT_AT_HIGHEST, LOSS_AT_LOWEST, highest, loss_at_ends
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class DoubleSaturation(Law):
    r"""The doubly saturating law.

    .. math:: L(x) = c + a\,(x + d)^{-b}

    x is any one column; the paper has error rates and training compute. c is the limit at large x, and d
    the shift that keeps the error finite at small x, where it is c + a d^-b; below about x = d the curve
    is flat. All are above 0. As d goes to 0 it is `power`. Runs far above d do not inform it.

    References
    ----------
    Zhai, Kolesnikov, Houlsby and Beyer 2022, Scaling Vision Transformers, arXiv:2106.04560.

    Examples
    --------
    >>> law = DoubleSaturation(c=0.1, a=0.5, d=0.3, b=0.4)
    >>> [round(float(law.loss({"x": x})), 3) for x in (0.001, 1.0, 1000.0)]
    [0.908, 0.55, 0.132]
    """

    name: ClassVar = "double-saturation"
    title: ClassVar = "doubly saturating law"
    equation: ClassVar = r"L = c + a (x + d)^{-b}"
    source: ClassVar = "Zhai et al. 2022, arXiv:2106.04560"
    inputs: ClassVar = ("x",)
    extremes: ClassVar = ("x", "loss")

    c: Values = parameter("c", "limit at large x", "loss")
    a: Values = parameter("a", "scale of the power of x + d", "loss")
    d: Values = parameter("d", "shift of x below which the loss is flat", "x")
    b: Values = parameter("b", "exponent")

    coordinates: ClassVar = (
        LOSS_AT_LOWEST,
        LEFT_AT_HIGHEST,
        Coordinate("share_E", Beta(1, 1), "c/L_2", "share of the loss there that is the limit"),
        Coordinate(
            "d",
            LogNormal(1.0, 1.0, relative_to="lowest_x"),
            "d",
            "shift of x below which the loss is flat",
            "x",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        return self.c + self.a * power(x["x"] + self.d, -self.b)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these losses at the ends of the runs, limit and shift."""
        k = coordinates
        low, high = k["L_low"], k["L_low"] * k["left"]
        c, d = high * k["share_E"], k["d"]
        from_d = reference["lowest_x"] + d
        b = jnp.log((low - c) / (high - c)) / jnp.log((highest(reference) + d) / from_d)
        return cls(c=c, a=(low - c) * power(from_d, b), d=d, b=b)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the losses at the ends of the runs, the limit and the shift."""
        ends = loss_at_ends(self, reference)
        return {**ends, "share_E": self.c / (ends["L_low"] * ends["left"]), "d": self.d}
