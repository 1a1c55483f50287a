"""The doubly saturating law: a plateau at small x and a limit at large x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law, power
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
    extremes: ClassVar = ("x",)

    c: Values = parameter("c", "limit at large x", "loss")
    a: Values = parameter("a", "scale of the power of x + d", "loss")
    d: Values = parameter("d", "shift of x below which the loss is flat", "x")
    b: Values = parameter("b", "exponent")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.4, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of x",
            "loss",
        ),
        Coordinate("share_E", Beta(1, 1), r"c/L_0", "share of that loss that is its limit"),
        Coordinate(
            "d",
            LogNormal(1.0, 1.5, relative_to="lowest_x"),
            "d",
            "shift of x below which the loss is flat",
            "x",
        ),
        Coordinate("b", LogNormal(0.3, 0.8, low=0.01, high=3.0), "b", "exponent"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        return self.c + self.a * power(x["x"] + self.d, -self.b)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre, share of the limit, shift and exponent."""
        k = coordinates
        scale = k["L_ref"] * (1 - k["share_E"]) * power(reference["x"] + k["d"], k["b"])
        return cls(c=k["L_ref"] * k["share_E"], a=scale, d=k["d"], b=k["b"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre, the share of the limit in it, the shift and the exponent."""
        loss = self.loss({"x": reference["x"]})
        return {"L_ref": loss, "share_E": self.c / loss, "d": self.d, "b": self.b}
