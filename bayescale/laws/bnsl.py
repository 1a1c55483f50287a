"""Broken neural scaling laws with one break and with two: smooth changes of slope on log axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Normal, Reference, softplus

LEAST_SPAN = 0.1  # of log x, where the runs' own is less
SLOPE = Normal(1.0, 3.0)
WIDTH = LogNormal(0.3, 1.0, low=0.02, high=3.0)

LEVEL = (
    Coordinate(
        "L_ref",
        LogNormal(1.0, 0.6, relative_to="low_loss"),
        r"L_0",
        "loss at the geometric centre of x",
        "loss",
    ),
    Coordinate("share_E", Beta(1, 1), r"a/L_0", "share of that loss that is its limit"),
)


def _fall(k: int, words: str) -> Coordinate:
    return Coordinate(
        f"fall_{k}",
        SLOPE,
        rf"w \sum_{{j<{k}}} c_j",
        f"slope {words} times the runs' range w of log x: fall of log(loss - a) at that slope",
    )


def log_shape(log_x: Any, c0: Any, breaks: Sequence[tuple[Any, Any, Any]]) -> Any:
    """Logarithm of x^-c0 prod (1 + (x/d)^(1/f))^(-c f), of breaks (c, d, f)."""
    total = -c0 * log_x
    for c, d, f in breaks:
        total = total - c * f * softplus((log_x - jnp.log(d)) / f)
    return total


def _span(reference: Reference) -> Any:
    return jnp.maximum(jnp.log(reference["highest_x"] / reference["lowest_x"]), LEAST_SPAN)


def _log_scale(coordinates: Mapping[str, Any], reference: Reference, shape: Any) -> Any:
    """Logarithm of b, from the loss at the centre."""
    reducible = coordinates["L_ref"] * (1 - coordinates["share_E"])
    return jnp.log(reducible) - shape


class Bnsl1(Law):
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
    [2.14, 1.74, 0.58]
    """

    name: ClassVar = "bnsl-1"
    title: ClassVar = "broken neural scaling law with one break"
    equation: ClassVar = r"L = a + b\,x^{-c_0} (1 + (x/d_1)^{1/f_1})^{-c_1 f_1}"
    source: ClassVar = "Caballero et al. 2022, arXiv:2210.14891, equation 1 with n = 1"
    inputs: ClassVar = ("x",)
    falls_in: ClassVar = ()
    extremes: ClassVar = ("x",)

    a: Values = parameter("a", "limit of the loss", "loss")
    b: Values = parameter("b", "scale", "loss")
    c0: Values = parameter("c_0", "exponent before the break")
    c1: Values = parameter("c_1", "change of the exponent at the break")
    d1: Values = parameter("d_1", "place of the break", "x")
    f1: Values = parameter("f_1", "width of the break, in ln x")

    coordinates: ClassVar = (
        *LEVEL,
        _fall(1, "before the break"),
        _fall(2, "after the break"),
        Coordinate(
            "place_1", Beta(1, 1), "u_1", "place of the break in the runs' range of log x, 0 to 1"
        ),
        Coordinate("f1", WIDTH, "f_1", "width of the break, in ln x"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        breaks = [(self.c1, self.d1, self.f1)]
        return self.a + jnp.exp(jnp.log(self.b) + log_shape(jnp.log(x["x"]), self.c0, breaks))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these coordinates."""
        k, span = coordinates, _span(reference)
        c0, c1 = k["fall_1"] / span, (k["fall_2"] - k["fall_1"]) / span
        d1 = reference["lowest_x"] * jnp.exp(k["place_1"] * span)
        shape = log_shape(jnp.log(reference["x"]), c0, [(c1, d1, k["f1"])])
        b = jnp.exp(_log_scale(k, reference, shape))
        return cls(a=k["share_E"] * k["L_ref"], b=b, c0=c0, c1=c1, d1=d1, f1=k["f1"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law."""
        span, loss = _span(reference), self.loss({"x": reference["x"]})
        return {
            "L_ref": loss,
            "share_E": self.a / loss,
            "fall_1": self.c0 * span,
            "fall_2": (self.c0 + self.c1) * span,
            "place_1": jnp.log(self.d1 / reference["lowest_x"]) / span,
            "f1": self.f1,
        }


class Bnsl2(Law):
    r"""A broken neural scaling law with two breaks.

    .. math:: L(x) = a + b\,x^{-c_0} \prod_{i=1}^{2} \left(1 + (x/d_i)^{1/f_i}\right)^{-c_i f_i}

    x is any one column. As `Bnsl1`, with a second change of slope at d2 > d1: a plateau, a fall and a
    slower fall; or, with slopes of either sign, a fall, a rise and a fall (double descent). It has nine
    parameters and needs as many points on both sides of each break as a line needs.

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
    inputs: ClassVar = ("x",)
    falls_in: ClassVar = ()
    extremes: ClassVar = ("x",)

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
        *LEVEL,
        _fall(1, "before the first break"),
        _fall(2, "between the breaks"),
        _fall(3, "after the second break"),
        Coordinate(
            "place_1",
            Beta(1, 2),
            "u_1",
            "place of the first break in the runs' range of log x, 0 to 1",
        ),
        Coordinate(
            "place_2",
            Beta(1, 1),
            "u_2",
            "place of the second break in what remains of that range, 0 to 1",
        ),
        Coordinate("f1", WIDTH, "f_1", "width of the first break, in ln x"),
        Coordinate("f2", WIDTH, "f_2", "width of the second break, in ln x"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["x"]``."""
        breaks = [(self.c1, self.d1, self.f1), (self.c2, self.d2, self.f2)]
        return self.a + jnp.exp(jnp.log(self.b) + log_shape(jnp.log(x["x"]), self.c0, breaks))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these coordinates."""
        k, span = coordinates, _span(reference)
        c0, c1, c2 = (
            change / span
            for change in (k["fall_1"], k["fall_2"] - k["fall_1"], k["fall_3"] - k["fall_2"])
        )
        d1 = reference["lowest_x"] * jnp.exp(k["place_1"] * span)
        d2 = d1 * jnp.exp(k["place_2"] * (1 - k["place_1"]) * span)
        breaks = [(c1, d1, k["f1"]), (c2, d2, k["f2"])]
        shape = log_shape(jnp.log(reference["x"]), c0, breaks)
        return cls(
            a=k["share_E"] * k["L_ref"],
            b=jnp.exp(_log_scale(k, reference, shape)),
            c0=c0, c1=c1, d1=d1, f1=k["f1"], c2=c2, d2=d2, f2=k["f2"],
        )  # fmt: skip

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law."""
        span, loss = _span(reference), self.loss({"x": reference["x"]})
        place_1 = jnp.log(self.d1 / reference["lowest_x"]) / span
        return {
            "L_ref": loss,
            "share_E": self.a / loss,
            "fall_1": self.c0 * span,
            "fall_2": (self.c0 + self.c1) * span,
            "fall_3": (self.c0 + self.c1 + self.c2) * span,
            "place_1": place_1,
            "place_2": jnp.log(self.d2 / self.d1) / (span * (1 - place_1)),
            "f1": self.f1,
            "f2": self.f2,
        }
