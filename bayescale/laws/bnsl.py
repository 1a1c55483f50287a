"""Broken neural scaling laws with one break and with two: smooth changes of slope on log axes.

Slopes and limit trade off along thin curved ridges, whereas the loss at some x is what runs tell best.
So the losses at both ends and at the centre of the runs are coordinates, and slopes follow from them:
given the limit and the breaks, log(L - a) is linear in ln b and the slopes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.laws.spans import LOSS_AT_LOWEST, log_span
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Normal, Reference, softplus

WIDTH = LogNormal(0.3, 0.8, low=0.02, high=2.0)
SEARCHES = 8  # one alone missed the lowest minimum of some curves in up to 6 of 10 trials
LEVELS = ("L_low", "L_mid", "L_high")

_LEVEL_COORDINATES = (
    LOSS_AT_LOWEST,
    Coordinate(
        "L_mid",
        LogNormal(1.0, 0.5, relative_to="low_loss"),
        "L_2",
        "loss at the geometric centre of x",
        "loss",
    ),
    Coordinate(
        "L_high",
        LogNormal(1.0, 0.4, relative_to="lowest_loss"),
        "L_3",
        "loss at the highest x of the runs",
        "loss",
    ),
    Coordinate(
        "share_E",
        Beta(1, 1),
        r"a/\min(L_1, L_2, L_3)",
        "share of the least of these losses that is the limit",
    ),
)


def log_shape(log_x: Any, c0: Any, breaks: Sequence[tuple[Any, Any, Any]]) -> Any:
    """Logarithm of x^-c0 prod (1 + (x/d)^(1/f))^(-c f), of breaks (c, d, f)."""
    total = -c0 * log_x
    for c, d, f in breaks:
        total = total - c * f * softplus((log_x - jnp.log(d)) / f)
    return total


def _least(levels: Sequence[Any]) -> Any:
    return jnp.minimum(jnp.minimum(levels[0], levels[1]), levels[2])


def _points(reference: Reference) -> tuple[Any, Any, Any]:
    """Log of the lowest x, of the centre and of the highest x, less the first."""
    span = log_span(reference)
    return 0.0 * span, jnp.log(reference["x"] / reference["lowest_x"]), span


def _levels(law: Any, reference: Reference) -> dict[str, Any]:
    """The losses at the three points, and the share of the least that is the limit."""
    points = [reference["lowest_x"] * jnp.exp(point) for point in _points(reference)]
    found = [law.loss({"x": x}) for x in points]
    return {**dict(zip(LEVELS, found, strict=True)), "share_E": law.a / _least(found)}


class Broken(Law):
    """What the laws with one break and with two have in common."""

    inputs: ClassVar = ("x",)
    falls_in: ClassVar = ()
    extremes: ClassVar = ("x", "loss")
    searches: ClassVar = SEARCHES

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        a, b, c0, breaks = (getattr(self, name) for name in ("a", "b", "c0", "breaks"))
        return a + jnp.exp(jnp.log(b) + log_shape(jnp.log(x["x"]), c0, breaks))


class Bnsl1(Broken):
    r"""A broken neural scaling law with one break.

    .. math:: L(x) = a + b\,x^{-c_0} \left(1 + (x/d_1)^{1/f_1}\right)^{-c_1 f_1}

    x is any one column. On log axes, loss - a is a line of slope -c0, which turns about x = d1 into one
    of slope -(c0 + c1), within about f1 of ln x to each side: a small f1 is a sharp break. a, the limit, b,
    d1 and f1 are above 0; c0 and c1 may have any sign, so the loss may rise (double descent) and the law
    falls in nothing for certain. It forecasts from the slope after the last break.

    The break is believed to lie among the runs: a break beyond them cannot be seen, and no law warns of it.
    Few points on one side of it leave the slope there to the prior.

    References
    ----------
    Caballero, Gupta, Rish and Krueger 2022, Broken Neural Scaling Laws, arXiv:2210.14891, equation 1.

    Examples
    --------
    >>> law = Bnsl1(a=0.414, b=2.277, c0=0.055, c1=5.66, d1=612.6, f1=0.0592)
    >>> [round(float(law.loss({"x": x})), 2) for x in (160, 600, 900)]
    [2.14, 1.75, 0.59]
    """

    name: ClassVar = "bnsl-1"
    title: ClassVar = "broken neural scaling law with one break"
    equation: ClassVar = r"L = a + b\,x^{-c_0} (1 + (x/d_1)^{1/f_1})^{-c_1 f_1}"
    source: ClassVar = "Caballero et al. 2022, arXiv:2210.14891, equation 1 with n = 1"

    a: Values = parameter("a", "limit of the loss", "loss")
    b: Values = parameter("b", "scale", "loss")
    c0: Values = parameter("c_0", "exponent before the break")
    c1: Values = parameter("c_1", "change of the exponent at the break")
    d1: Values = parameter("d_1", "place of the break", "x")
    f1: Values = parameter("f_1", "width of the break, in ln x")

    coordinates: ClassVar = (
        *_LEVEL_COORDINATES,
        Coordinate(
            "place_1", Beta(2, 2), "u_1", "place of the break in the runs' range of ln x, 0 to 1"
        ),
        Coordinate("f1", WIDTH, "f_1", "width of the break, in ln x"),
    )

    @property
    def breaks(self) -> tuple[tuple[Any, Any, Any], ...]:
        """Change of slope, place and width of each break."""
        return ((self.c1, self.d1, self.f1),)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these losses at three points, limit and break.

        The loss at the centre lies off the chord of the ends by what the break makes of it.
        """
        k, f, levels = coordinates, coordinates["f1"], [coordinates[name] for name in LEVELS]
        a = k["share_E"] * _least(levels)
        y = [jnp.log(level - a) for level in levels]
        points = _points(reference)
        place, span = k["place_1"] * points[2], points[2]
        h = [f * softplus((point - place) / f) for point in points]
        near, far = 1 - points[1] / span, points[1] / span
        c1 = (near * y[0] + far * y[2] - y[1]) / (h[1] - near * h[0] - far * h[2])
        c0 = (y[0] - y[2] - c1 * (h[2] - h[0])) / span
        log_b = y[0] + c0 * jnp.log(reference["lowest_x"]) + c1 * h[0]
        d1 = reference["lowest_x"] * jnp.exp(place)
        return cls(a=a, b=jnp.exp(log_b), c0=c0, c1=c1, d1=d1, f1=f)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law."""
        return {
            **_levels(self, reference),
            "place_1": jnp.log(self.d1 / reference["lowest_x"]) / log_span(reference),
            "f1": self.f1,
        }


class Bnsl2(Broken):
    r"""A broken neural scaling law with two breaks.

    .. math:: L(x) = a + b\,x^{-c_0} \prod_{i=1}^{2} \left(1 + (x/d_i)^{1/f_i}\right)^{-c_i f_i}

    x is any one column. As `Bnsl1`, with a second change of slope at d2 > d1: a plateau, a fall and a
    slower fall; or, with slopes of either sign, a fall, a rise and a fall (double descent). It has nine
    parameters and needs as many points on both sides of each break as a line needs. The breaks are believed
    to lie apart and away from the ends: the three parts of the range between them have a Dirichlet(4, 4, 4)
    prior, since two breaks at one place are one to the runs. A curve with one strong break has a mode for
    each of the two that it may be.

    References
    ----------
    Caballero, Gupta, Rish and Krueger 2022, Broken Neural Scaling Laws, arXiv:2210.14891, equation 1.

    Examples
    --------
    >>> law = Bnsl2(a=0.1, b=1.0, c0=0.0, c1=0.5, d1=1e6, f1=0.3, c2=-0.3, d2=1e8, f2=0.3)
    >>> [round(float(law.loss({"x": x})), 3) for x in (1e5, 1e7, 1e9)]
    [1.1, 0.416, 0.163]
    """

    name: ClassVar = "bnsl-2"
    title: ClassVar = "broken neural scaling law with two breaks"
    equation: ClassVar = r"L = a + b\,x^{-c_0} \prod_{i=1}^2 (1 + (x/d_i)^{1/f_i})^{-c_i f_i}"
    source: ClassVar = "Caballero et al. 2022, arXiv:2210.14891, equation 1 with n = 2"

    a: Values = parameter("a", "limit of the loss", "loss")
    b: Values = parameter("b", "scale", "loss")
    c0: Values = parameter("c_0", "exponent before the first break")
    c1: Values = parameter("c_1", "change of the exponent at the first break")
    d1: Values = parameter("d_1", "place of the first break", "x")
    f1: Values = parameter("f_1", "width of the first break, in ln x")
    c2: Values = parameter("c_2", "change of the exponent at the second break")
    d2: Values = parameter("d_2", "place of the second break", "x")
    f2: Values = parameter("f_2", "width of the second break, in ln x")

    coordinates: ClassVar = (
        *_LEVEL_COORDINATES,
        Coordinate(
            "fall",
            Normal(1.0, 3.0),
            "w (c_0 + c_1)",
            "fall of log(loss - a) over the runs' range of ln x, at the slope between the breaks",
        ),
        Coordinate(
            "place_1",
            Beta(4, 8),
            "u_1",
            "place of the first break in the runs' range of ln x, 0 to 1",
        ),
        Coordinate(
            "place_2",
            Beta(4, 4),
            "u_2",
            "place of the second break in what remains of that range, 0 to 1",
        ),
        Coordinate("f1", WIDTH, "f_1", "width of the first break, in ln x"),
        Coordinate("f2", WIDTH, "f_2", "width of the second break, in ln x"),
    )

    @property
    def breaks(self) -> tuple[tuple[Any, Any, Any], ...]:
        """Change of slope, place and width of each break."""
        return ((self.c1, self.d1, self.f1), (self.c2, self.d2, self.f2))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these losses at three points, limit, breaks and slope between them."""
        k, levels = coordinates, [coordinates[name] for name in LEVELS]
        a = k["share_E"] * _least(levels)
        points = _points(reference)
        span = points[2]
        slope = k["fall"] / span
        place_1 = k["place_1"] * span
        place_2 = place_1 + k["place_2"] * (1 - k["place_1"]) * span
        h1, h2 = (
            [f * softplus((point - place) / f) for point in points]
            for place, f in ((place_1, k["f1"]), (place_2, k["f2"]))
        )
        # With q the slope before the first break less that between, and c2 the change at the second:
        # log(L - a) = ln b - slope x - q (x - h1) - c2 h2.
        g = [point - h for point, h in zip(points, h1, strict=True)]
        y = [jnp.log(level - a) + slope * p for level, p in zip(levels, points, strict=True)]
        g1, g2, k1, k2 = g[1] - g[0], g[2] - g[0], h2[1] - h2[0], h2[2] - h2[0]
        y1, y2 = y[0] - y[1], y[0] - y[2]
        determinant = g1 * k2 - g2 * k1
        q, c2 = (y1 * k2 - y2 * k1) / determinant, (g1 * y2 - g2 * y1) / determinant
        c0 = slope + q
        log_b = y[0] + q * g[0] + c2 * h2[0] + c0 * jnp.log(reference["lowest_x"])
        d1, d2 = (reference["lowest_x"] * jnp.exp(place) for place in (place_1, place_2))
        return cls(a=a, b=jnp.exp(log_b), c0=c0, c1=-q, d1=d1, f1=k["f1"], c2=c2, d2=d2, f2=k["f2"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law."""
        span = log_span(reference)
        place_1 = jnp.log(self.d1 / reference["lowest_x"]) / span
        return {
            **_levels(self, reference),
            "fall": (self.c0 + self.c1) * span,
            "place_1": place_1,
            "place_2": jnp.log(self.d2 / self.d1) / (span * (1 - place_1)),
            "f1": self.f1,
            "f2": self.f2,
        }
