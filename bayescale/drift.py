"""How a law may fail far from its runs: the slope of log loss against log compute drifts from its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from bayescale.errors import InputError, Problem
from bayescale.parameters import Coordinate, Parameter
from bayescale.priors import StudentTMixture
from bayescale.runs.catalogue import scales

Floats = NDArray[np.float64]

SCALE = Parameter(
    "drift", r"\tau", "drift of the slope of log loss: sd of its shocks over one decade of compute"
)
STEP = 0.05  # decades between the increments of the drift beyond the runs


@dataclass(frozen=True)
class DampedTrend:
    r"""The slope of log loss against log compute drifts from the law's, and is drawn back to it.

    .. math:: \ln L(x) = \ln L_\theta(x) + \delta(c), \qquad \frac{d\delta}{dx} = S, \qquad
              dS = -\frac{S}{\ell}\,dx + \tau\,dW, \qquad
              S(0) \sim \mathrm{Normal}\left(0, r^2 \tau^2 \ell / 2\right), \qquad
              \nu \sigma^2 / \tau^2 \sim \chi^2_\nu, \qquad
              \sigma = s_k \text{ with probability } q_k, \text{ else } s

    c is log10 of the product of the inputs, x the distance in decades from the largest of the runs'
    compute, where the drift is 0: the law has the level of the largest runs. Its slope there is off by
    S(0), as it is anywhere if r is 1; smaller runs depart from it as larger ones will: in proportion to
    the distance at first, by 0.6 tau at one decade with a reach of one, as the root of the distance far
    beyond. The law may also be nearly right: with probability q_k the drift is a quieter one, whose tau is
    about s_k. Among the runs W moves at `knots` points. tau is integrated out, so S(0) and the increments are
    one vector, from a mixture of multivariate Student-t distributions, and what they say of tau carries over
    to the drift beyond the runs.

    Parameters
    ----------
    scale
        s, the typical tau: sd of the shocks to the slope over one decade of compute, above 0.
    degrees
        nu: how firmly tau is near s, or near an s_k, above 0.
    knots
        Increments over the range of the runs, 1 or more.
    reach
        l, the decades after which a change of slope is forgotten, above 0.
    initial
        r: sd of the slope at the largest of the runs, in units of its sd far from there, 0 or more. With 0
        the law is what the largest runs follow in slope, too, and there is no S(0).
    quieter
        Pairs of q_k, the probability before the runs of a quieter kind of drift, and s_k, above 0 and below
        s. With kinds between s and the quietest, chains go from one to the other.

    References
    ----------
    Discrepancy of a model as a process: Kennedy and O'Hagan 2001, Bayesian calibration of computer
    models, Journal of the Royal Statistical Society B 63, 425-464. Trends that fade: Gardner and
    McKenzie 1985, Forecasting trends in time series, Management Science 31, 1237-1246.

    Examples
    --------
    >>> DampedTrend().names[:2]
    ('drift_0', 'drift_1')
    """

    scale: float = 0.04
    degrees: float = 4.0
    knots: int = 5
    reach: float = 1.0
    initial: float = 1.0
    quieter: tuple[tuple[float, float], ...] = ((0.2, 0.016), (0.25, 0.006))

    name: ClassVar[str] = "damped-trend"

    def __post_init__(self) -> None:
        positive = (self.scale, self.degrees, self.reach)
        if not all(0 < value < math.inf for value in positive):
            raise InputError(f"{self!r}: scale, degrees and reach must be above 0")
        if not (self.knots >= 1 and 0 <= self.initial < math.inf):
            raise InputError(f"{self!r}: knots must be 1 or more, and initial 0 or more")
        shares = [share for share, _ in self.quieter]
        small = all(0 < scale < self.scale for _, scale in self.quieter)
        if not (small and all(share > 0 for share in shares) and sum(shares) < 1):
            raise InputError(
                f"{self!r}: quieter are pairs of a probability and of a scale that is above 0 and below "
                "that of the drift, the probabilities add up to less than 1; give both, or quieter=()"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the slope at the largest compute and of the increments, from there to the smallest."""
        return tuple(f"drift_{k}" for k in range(0 if self.initial else 1, self.knots + 1))

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Slope and increments in units of their typical sd, with their marginal prior."""
        meanings = {"drift_0": "slope of the drift at the largest run"}
        prior = StudentTMixture(self.degrees, self._kinds)
        return tuple(
            Coordinate(
                name,
                prior,
                name.replace("drift", "w"),
                meanings.get(name, "increment of the drift"),
            )
            for name in self.names
        )

    def log_prior(self, increments: Sequence[Any]) -> Any:
        """Return the log density of all increments together: a mixture of multivariate Student-t."""
        return reduce(jnp.logaddexp, self._log_parts(sum(w * w for w in increments), jnp))

    @property
    def _kinds(self) -> tuple[tuple[float, float], ...]:
        """Prior probability of each kind of drift, and its typical tau in units of s."""
        rest = 1 - sum(share for share, _ in self.quieter)
        return (rest, 1.0), *((share, scale / self.scale) for share, scale in self.quieter)

    def _log_parts(self, square: Any, numpy: Any) -> list[Any]:
        """Log densities of increments with this sum of squares and of each kind of drift."""
        n, nu = len(self.names), self.degrees
        constant = math.lgamma((nu + n) / 2) - math.lgamma(nu / 2) - n / 2 * math.log(nu * math.pi)
        return [
            math.log(share) + constant - n * math.log(size)
            - (nu + n) / 2 * numpy.log1p(square / (nu * size**2))
            for share, size in self._kinds
        ]  # fmt: skip

    def prior_draws(self, count: int, generator: np.random.Generator) -> dict[str, Floats]:
        """Return draws of the increments from their prior, each of shape (count,)."""
        w = generator.standard_normal((len(self.names), count))
        w /= np.sqrt(generator.chisquare(self.degrees, count) / self.degrees)
        shares, sizes = zip(*self._kinds, strict=True)
        w *= generator.choice(sizes, size=count, p=shares)
        return dict(zip(self.names, w, strict=True))

    def basis(self, below: Floats, decades: float) -> Floats:
        """Return what one unit of each increment adds to log loss among the runs.

        Parameters
        ----------
        below
            Decades of compute from each run up to the largest, shape (runs,); negative beyond it, where
            the slope alone goes on.
        decades
            The span of the runs' compute.

        Returns
        -------
        array
            Shape (runs, increments), in the order of `names`.
        """
        step = decades / self.knots
        places = step * np.arange(0.5, self.knots)
        moves = self._responses(below, places, step)
        if self.initial:
            faded = -np.sign(below) * self.reach * -np.expm1(-np.abs(below) / self.reach)
            slope = self.initial * math.sqrt(self.reach / 2) * faded
            moves = np.concatenate([slope[:, None], moves], axis=1)
        return self.scale * moves

    def tau(self, increments: Mapping[str, Floats], generator: np.random.Generator) -> Floats:
        """Return a draw of tau for each draw of the increments, of their shape."""
        square = sum(np.asarray(increments[name]) ** 2 for name in self.names)
        degrees = self.degrees + len(self.names)
        chi2 = generator.chisquare(degrees, np.shape(square))
        log_parts = np.stack(self._log_parts(square, np))
        kind = np.argmax(log_parts + generator.gumbel(size=log_parts.shape), axis=0)
        size = np.array([size for _, size in self._kinds])[kind]
        return self.scale * np.sqrt((self.degrees * size**2 + square) / chi2)

    def kind_probabilities(self, increments: Mapping[str, Floats]) -> Floats:
        """Return the probability of each kind of drift given its increments, the loudest kind first.

        Parameters
        ----------
        increments
            Draws of the increments, each of shape (draws,).

        Returns
        -------
        array
            Shape (kinds, draws). The mean over draws of a posterior is what the runs say of each kind.

        Examples
        --------
        >>> drift = DampedTrend()
        >>> quiet = dict.fromkeys(drift.names, np.zeros(1))
        >>> [round(float(p), 2) for p in drift.kind_probabilities(quiet)[:, 0]]
        [0.0, 0.0, 1.0]
        """
        square = sum(np.asarray(increments[name]) ** 2 for name in self.names)
        log_parts = np.stack(self._log_parts(square, np))
        return np.asarray(softmax(log_parts, axis=0))

    def path(
        self,
        increments: Mapping[str, Floats],
        log_compute: Floats,
        span: Span,
        generator: np.random.Generator,
    ) -> Floats:
        """Return the drift of log loss at new points, one path for each draw.

        Parameters
        ----------
        increments
            Draws of the increments, each of shape (draws,).
        log_compute
            log10 of the product of the inputs at each point, shape (points,).
        span
            That of the runs.
        generator
            Where the drift beyond the runs comes from.

        Returns
        -------
        array
            Shape (draws, points).
        """
        tau = self.tau(increments, generator)
        w = np.stack([np.asarray(increments[name]) for name in self.names], axis=-1)
        below = span.below(log_compute)
        known = _combined(w, self.basis(below, span.decades))
        sides = [np.random.default_rng(seed) for seed in generator.integers(2**63, size=2)]
        above = self._beyond(-below, len(tau), sides[0])
        under = self._beyond(below - span.decades, len(tau), sides[1])
        return known + tau[:, None] * (above + under)

    def _beyond(self, distance: Floats, draws: int, generator: np.random.Generator) -> Floats:
        """Drift for tau = 1 at distances beyond an end of the runs, shape (draws, points)."""
        farthest = max(float(np.max(distance, initial=0.0)), 0.0)
        # Nearest first, so that a path does not depend on how far the farthest point lies.
        places = STEP * np.arange(0.5, math.ceil(farthest / STEP))
        shocks = generator.standard_normal((len(places), draws))
        return _combined(shocks.T, self._responses(distance, places, STEP))

    def _responses(self, distance: Floats, places: NDArray[Any], step: float) -> Floats:
        """What a shock to the slope at each place does at some distances, (points, places)."""
        passed = np.maximum(distance[:, None] - places, 0.0)
        return np.asarray(math.sqrt(step) * self.reach * -np.expm1(-passed / self.reach))


def _combined(weights: Floats, functions: Floats) -> Floats:
    """Sums of functions at points, (draws, points); the bits of a point do not depend on the others."""
    return np.stack([weights @ there for there in functions], axis=-1)


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

    def below(self, log_compute: ArrayLike) -> Floats:
        """Return the decades from each value up to the high end; negative beyond it."""
        return self.high - np.asarray(log_compute, dtype=np.float64)


def log_compute(inputs: Mapping[str, ArrayLike]) -> Floats:
    """Return log10 of N D where both are among the inputs, else of the product of those that are sizes.

    0 where none is: then nothing is extrapolated.
    """
    columns = [np.log10(np.asarray(inputs[s], dtype=np.float64)) for s in scales(inputs)]
    if not columns:
        return np.zeros(np.broadcast_shapes(*(np.shape(values) for values in inputs.values())))
    return np.asarray(np.add.reduce(np.broadcast_arrays(*columns), axis=0))


DRIFTS = {DampedTrend.name: DampedTrend}
FORECASTS = "forecasts"  # the parameters are the law's own, and forecasts allow a drift


def drift_name(drift: Any) -> str:
    """Return the name that a drift goes by in options, JSON and captions."""
    found = get_drift(drift)
    if drift == FORECASTS:
        return FORECASTS
    return "none" if found is None else found.name


def get_drift(drift: Any) -> DampedTrend | None:
    """Return the drift of the parameters' own model, from its name or from the drift itself.

    None for ``"none"``, for None, and for ``"forecasts"``, where forecasts alone have one.

    Raises
    ------
    InputError
        There is no such drift.
    """
    if drift is None or isinstance(drift, DampedTrend):
        return drift
    if drift in ("none", FORECASTS):
        return None
    if drift in DRIFTS:
        return DRIFTS[drift]()
    names = f"{FORECASTS}, {', '.join(DRIFTS)} or none"
    raise InputError(Problem("drift", f"{drift!r} is not a drift", remedy=f"use {names}"))
