"""M3: a power law whose variable saturates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.spans import LEFT_AT_HIGHEST, LOSS_AT_LOWEST, highest, loss_at_ends
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class M3(Law):
    r"""M3: a power law whose variable saturates.

    .. math:: L(x) = \beta \left(x^{-1} + \gamma\right)^{c}

    x is any one column. The loss follows the power law beta x^-c of M1 up to about x = 1 / gamma, and
    then tends to its limit beta gamma^c, as 1/x. All parameters are above 0. Signs of c vary between
    texts; here, as in the authors' code, c is above 0, and there is no offset beside beta gamma^c. With
    c = 1 it is `power` with alpha = 1; as gamma goes to 0 it is `m1`. (The paper's M2 is `power`.)

    The limit is approached faster than in `power`, so forecasts are less hopeful: see both.

    References
    ----------
    Alabdulmohsin, Neyshabur and Zhai 2022, Revisiting Neural Scaling Laws in Language and Vision,
    arXiv:2209.06640.

    Examples
    --------
    >>> law = M3(beta=100.0, gamma=1e-9, c=0.2)
    >>> [round(float(law.loss({"x": x})), 3) for x in (1e7, 1e9, 1e12)]
    [3.989, 1.821, 1.585]
    """

    name: ClassVar = "m3"
    title: ClassVar = "power law of a saturating variable (M3)"
    equation: ClassVar = r"L = \beta (x^{-1} + \gamma)^c"
    source: ClassVar = "Alabdulmohsin et al. 2022, arXiv:2209.06640, M3"
    inputs: ClassVar = ("x",)
    extremes: ClassVar = ("x", "loss")

    beta: Values = parameter(r"\beta", "scale", "loss")
    gamma: Values = parameter(r"\gamma", "1/x where the loss ceases to be a power of x", "1/x")
    c: Values = parameter("c", "exponent of x far below 1/gamma")

    coordinates: ClassVar = (
        LOSS_AT_LOWEST,
        LEFT_AT_HIGHEST,
        Coordinate(
            "knee",
            LogNormal(1.0, 1.5, relative_to="highest_x"),
            r"1/\gamma",
            "x where the loss ceases to be a power of x",
            "x",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        return self.beta * power(1 / x["x"] + self.gamma, self.c)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these losses at the ends of the runs, and this knee."""
        gamma = 1 / coordinates["knee"]
        low = 1 / reference["lowest_x"] + gamma
        high = 1 / highest(reference) + gamma
        c = -jnp.log(coordinates["left"]) / jnp.log(low / high)
        return cls(beta=coordinates["L_low"] * power(low, -c), gamma=gamma, c=c)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the losses at the ends of the runs, and the knee."""
        return {**loss_at_ends(self, reference), "knee": 1 / self.gamma}
