"""The power law without offset, in any one variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class M1(Law):
    r"""The power law without offset, in any one variable.

    .. math:: L(x) = \beta\,x^{-c}

    x is any one column. beta and c are above 0; the paper writes x^c with c below 0. It is a straight
    line of log loss in log x, and the loss falls to 0 far away. M1 to M4 are the paper's four laws, each
    wider than the one before it: M2, with an offset, is `power`.

    References
    ----------
    Alabdulmohsin, Neyshabur and Zhai 2022, Revisiting Neural Scaling Laws in Language and Vision,
    arXiv:2209.06640.

    Examples
    --------
    >>> round(float(M1(beta=10.0, c=0.1).loss({"x": 1e6})), 3)
    2.512
    """

    name: ClassVar = "m1"
    title: ClassVar = "power law without offset (M1)"
    equation: ClassVar = r"L = \beta\,x^{-c}"
    source: ClassVar = "Alabdulmohsin et al. 2022, arXiv:2209.06640, M1"
    inputs: ClassVar = ("x",)

    beta: Values = parameter(r"\beta", "scale", "loss")
    c: Values = parameter("c", "exponent of x")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of x",
            "loss",
        ),
        Coordinate("c", LogNormal(0.12, 1.0, low=0.005, high=3.0), "c", "exponent of x"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        return self.beta * power(x["x"], -self.c)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre and this exponent."""
        c = coordinates["c"]
        return cls(beta=coordinates["L_ref"] * power(reference["x"], c), c=c)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre and the exponent."""
        return {"L_ref": self.loss({"x": reference["x"]}), "c": self.c}
