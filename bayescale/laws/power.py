"""The power law with offset, in one variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class Power(Law):
    r"""The power law with offset, in one variable.

    .. math:: L(x) = E + c\,x^{-\alpha}

    x is any one column: parameters, tokens, FLOPs, steps. E is the loss that no amount of x removes,
    c and alpha the scale and exponent of the rest. All are above 0. With less than two decades of x,
    E and alpha can hardly be told apart.

    References
    ----------
    Hestness et al. 2017, Deep Learning Scaling is Predictable, Empirically, arXiv:1712.00409.
    Henighan et al. 2020, Scaling Laws for Autoregressive Generative Modeling, arXiv:2010.14701.

    Examples
    --------
    >>> round(float(Power(E=1.7, c=400.0, alpha=0.34).loss({"x": 1e9})), 3)
    2.048
    """

    name: ClassVar = "power"
    title: ClassVar = "power law with offset"
    equation: ClassVar = r"L = E + c\,x^{-\alpha}"
    source: ClassVar = (
        "Hestness et al. 2017, arXiv:1712.00409; Henighan et al. 2020, arXiv:2010.14701"
    )
    inputs: ClassVar = ("x",)
    usual: ClassVar = True

    E: Values = parameter("E", "loss that no amount of x removes", "loss")
    c: Values = parameter("c", "scale of the term in x", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of x")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of x",
            "loss",
        ),
        Coordinate("share_E", Beta(1, 1), r"E/L_0", "share of that loss that is irreducible"),
        Coordinate("alpha", LogNormal(0.25, 0.8, low=0.005, high=3.0), r"\alpha", "exponent of x"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        return self.E + self.c * power(x["x"], -self.alpha)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre, share of E and exponent."""
        c = coordinates
        scale = c["L_ref"] * (1 - c["share_E"]) * power(reference["x"], c["alpha"])
        return cls(E=c["L_ref"] * c["share_E"], c=scale, alpha=c["alpha"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre, the share of E in it and the exponent."""
        loss = self.loss({"x": reference["x"]})
        return {"L_ref": loss, "share_E": self.E / loss, "alpha": self.alpha}
