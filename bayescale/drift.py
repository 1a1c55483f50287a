"""How a law may fail far from its runs: log loss drifts from it like a random walk in log compute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.parameters import Coordinate, Parameter
from bayescale.priors import StudentT

Floats = NDArray[np.float64]

SCALE = Parameter(
    "drift", r"\tau", "drift of log loss from the law, sd for a root of a decade of compute"
)


@dataclass(frozen=True)
class RandomWalk:
    r"""Log loss drifts from the law like a random walk in log compute.

    .. math:: \ln L(x) = \ln L_\theta(x) + \tau\,W(c), \qquad c = \log_{10} \textstyle\prod x, \qquad
              \nu s^2 / \tau^2 \sim \chi^2_\nu

    W is a Brownian motion that is 0 at the largest of the runs' compute: the law is what the largest
    runs follow, smaller ones drift from it, and so will larger ones. Between the runs it is piecewise
    linear with independent increments. tau is integrated out, so the increments are one multivariate
    Student-t vector, and what they say of tau carries over to the drift beyond the runs.

    Parameters
    ----------
    scale
        s, the typical tau: sd of the drift of log loss over one decade of compute, above 0.
    degrees
        nu: how firmly tau is near s, above 0.
    knots
        Increments over the range of the runs, 1 or more.

    References
    ----------
    Random-walk discrepancy of a model: Kennedy and O'Hagan 2001, Bayesian calibration of computer
    models, Journal of the Royal Statistical Society B 63, 425-464.

    Examples
    --------
    >>> RandomWalk().names[:2]
    ('drift_1', 'drift_2')
    """

    scale: float = 0.015
    degrees: float = 4.0
    knots: int = 6

    name: ClassVar[str] = "random-walk"

    def __post_init__(self) -> None:
        if not (0 < self.scale < math.inf and 0 < self.degrees < math.inf and self.knots >= 1):
            raise InputError(f"{self!r}: scale and degrees must be above 0, and knots 1 or more")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the increments, from the smallest compute to the largest."""
        return tuple(f"drift_{k + 1}" for k in range(self.knots))

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """The increments in units of s times the root of their span, with their marginal prior."""
        return tuple(
            Coordinate(name, StudentT(self.degrees), rf"w_{k + 1}", "increment of the drift")
            for k, name in enumerate(self.names)
        )

    def log_prior(self, increments: Sequence[Any]) -> Any:
        """Return the log density of all increments together: a multivariate Student-t."""
        n, nu = self.knots, self.degrees
        constant = math.lgamma((nu + n) / 2) - math.lgamma(nu / 2) - n / 2 * math.log(nu * math.pi)
        square = sum(w * w for w in increments)
        return constant - (nu + n) / 2 * jnp.log1p(square / nu)

    def prior_draws(self, count: int, generator: np.random.Generator) -> dict[str, Floats]:
        """Return draws of the increments from their prior, each of shape (count,)."""
        w = generator.standard_normal((self.knots, count))
        w /= np.sqrt(generator.chisquare(self.degrees, count) / self.degrees)
        return dict(zip(self.names, w, strict=True))

    def offset(self, increments: Sequence[Any], place: Any, decades: Any) -> Any:
        """Return the drift of log loss among the runs.

        Parameters
        ----------
        increments
            As many as there are knots, each a number.
        place
            Where each run stands between the smallest compute (0) and the largest (1); held at the
            ends outside.
        decades
            The span of the runs' compute.
        """
        total = 0.0
        for k, w in enumerate(increments):
            total = total + w * (jnp.clip(place * self.knots - k, 0.0, 1.0) - 1.0)
        return self.scale * jnp.sqrt(decades / self.knots) * total

    def tau(self, increments: Mapping[str, Floats], generator: np.random.Generator) -> Floats:
        """Return a draw of tau for each draw of the increments, of their shape."""
        square = sum(np.asarray(increments[name]) ** 2 for name in self.names)
        degrees = self.degrees + self.knots
        chi2 = generator.chisquare(degrees, np.shape(square))
        return self.scale * np.sqrt((self.degrees + square) / chi2)

    def path(
        self,
        increments: Mapping[str, Floats],
        log_compute: Floats,
        span: Span,
        generator: np.random.Generator,
    ) -> Floats:
        """Return the drift of log loss at new points, one walk for each draw.

        Parameters
        ----------
        increments
            Draws of the increments, each of shape (draws,).
        log_compute
            log10 of the product of the inputs at each point, shape (points,).
        span
            That of the runs.
        generator
            Where the walk beyond the runs comes from.

        Returns
        -------
        array
            Shape (draws, points).
        """
        tau = self.tau(increments, generator)[:, None]
        w = [np.asarray(increments[name])[:, None] for name in self.names]
        inside = np.asarray(self.offset(w, span.place(log_compute), span.decades))
        above = _walk(np.maximum(log_compute - span.high, 0.0), len(tau), generator)
        below = _walk(np.maximum(span.low - log_compute, 0.0), len(tau), generator)
        return inside + tau * (above + below)


@dataclass(frozen=True)
class Span:
    """Smallest and largest log10 of the product of the inputs of some runs."""

    low: float
    high: float

    @classmethod
    def of(cls, log_compute: ArrayLike) -> Span:
        """Return the span of these values."""
        values = np.asarray(log_compute, dtype=np.float64)
        return cls(float(values.min()), float(values.max()))

    @property
    def decades(self) -> float:
        """Its length."""
        return self.high - self.low

    def place(self, log_compute: ArrayLike) -> Floats:
        """Return where values stand between the ends, 0 and 1; 1 for a span of no length."""
        if not self.decades:
            return np.ones(np.shape(log_compute))
        return (np.asarray(log_compute) - self.low) / self.decades


def log_compute(inputs: Mapping[str, ArrayLike]) -> Floats:
    """Return log10 of N D where both are among the inputs, else of the product of all inputs."""
    symbols = ("N", "D") if {"N", "D"} <= set(inputs) else tuple(inputs)
    columns = [np.log10(np.asarray(inputs[s], dtype=np.float64)) for s in symbols]
    return np.asarray(np.add.reduce(np.broadcast_arrays(*columns), axis=0))


def _walk(distance: Floats, draws: int, generator: np.random.Generator) -> Floats:
    """A standard Brownian motion at these distances from its start, shape (draws, points)."""
    order = np.argsort(distance, kind="stable")
    steps = np.sqrt(np.diff(distance[order], prepend=0.0))
    walked = np.cumsum(steps * generator.standard_normal((draws, len(distance))), axis=1)
    out = np.empty_like(walked)
    out[:, order] = walked
    return out


DRIFTS = {RandomWalk.name: RandomWalk}


def get_drift(drift: Any) -> RandomWalk | None:
    """Return a drift from its name, from the drift itself, or None for none.

    Raises
    ------
    InputError
        There is no such drift.
    """
    if drift is None or isinstance(drift, RandomWalk):
        return drift
    if drift == "none":
        return None
    if drift in DRIFTS:
        return DRIFTS[drift]()
    raise InputError(
        Problem("drift", f"{drift!r} is not a drift", remedy=f"use {', '.join(DRIFTS)} or none")
    )
