"""Priors as data: printable, hashable, and each with the map from the real line to its support.

The sampler moves in unbounded values. A prior says which value of its quantity belongs to one, and
how dense the prior is there; constants are worked out beforehand, so that little is compiled.

A prior may be relative to a number of the data set (its `Reference`), such as the lowest loss near
the centre of the runs. The numbers of the reference are arguments of the compiled program, so a new
data set needs no new compilation.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, betaln, gammaincinv, log_ndtr, ndtr, ndtri, stdtr, stdtrit

from bayescale.errors import InputError

Reference = Mapping[str, Any]
Floats = NDArray[np.float64]

LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
KNEE = 0.05  # of a Gamma variable's scale: where its unbounded value ceases to be its logarithm
KNEE_SHARPNESS = 3.0
SMALLEST = 1e-37
BISECTIONS = 60


def softplus(u: Any) -> Any:
    """Return ln(1 + e^u); few operations, since every coordinate compiles it."""
    size = jnp.abs(u)  # in both terms, so that its derivative at 0, whatever it is, cancels
    return 0.5 * (u + size) + jnp.log1p(jnp.exp(-size))


@dataclass(frozen=True)
class Prior:
    """What is believed of one quantity before the runs are seen."""

    @abstractmethod
    def from_unbounded(self, u: Any, reference: Reference) -> tuple[Any, Any]:
        """Return the value that belongs to an unbounded one, and the log density of the latter.

        The density is that of `u` under the prior, so it contains the derivative of the map.
        """

    @abstractmethod
    def to_unbounded(self, value: ArrayLike, reference: Reference) -> Floats:
        """Return the unbounded value of a value; the inverse of `from_unbounded`, in NumPy."""

    @abstractmethod
    def quantile(self, mass: ArrayLike, reference: Reference) -> Floats:
        """Return the values below which this prior mass lies; the inverse of the distribution."""

    @abstractmethod
    def centre(self, reference: Reference) -> Any:
        """Return a typical value, where a search for the mode may start."""


@dataclass(frozen=True)
class LogNormal(Prior):
    r"""A log-normal distribution, optionally truncated, optionally relative to the data set.

    .. math:: \ln \theta \sim \mathrm{Normal}(\ln(m\,\rho), s^2), \qquad l < \theta < h

    Parameters
    ----------
    median
        m, above 0.
    sd_log
        s, the sd of the logarithm, above 0; 0.4 means within a factor of 2.2 in 95% of cases.
    low, high
        Truncation; give both or neither.
    relative_to
        Name of the number of the reference that multiplies the median; none if empty.

    Examples
    --------
    >>> print(LogNormal(0.30, 0.40, low=0.05, high=1.2))
    LogNormal(median 0.3, sd of log 0.4) in (0.05, 1.2)
    """

    median: float
    sd_log: float
    low: float | None = None
    high: float | None = None
    relative_to: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.median < math.inf and 0 < self.sd_log < math.inf):
            raise InputError(f"{self!r}: median and sd_log must be finite and above 0")
        if (self.low is None) != (self.high is None):
            raise InputError(f"{self!r}: give both low and high, or neither")
        if self.low is None or self.high is None:
            return
        if not 0 < self.low < self.high < math.inf:
            raise InputError(f"{self!r}: 0 < low < high must hold, and high be finite")
        if not self.relative_to and not self.low < self.median < self.high:
            raise InputError(f"{self!r}: the median must lie between low and high")

    def from_unbounded(self, u: Any, reference: Reference) -> tuple[Any, Any]:
        """Return the value and the log density of `u`.

        Without bounds `u` is the logarithm of the value; between bounds, the logarithm of the value
        lies between theirs as the logistic function of `u` lies between 0 and 1.
        """
        centre = jnp.log(self.centre(reference))
        constant = math.log(self.sd_log) + LOG_ROOT_2_PI
        if self.low is None or self.high is None:
            return jnp.exp(u), -0.5 * ((u - centre) / self.sd_log) ** 2 - constant
        width, soft = math.log(self.high / self.low), softplus(u)
        log_value = math.log(self.low) + width * jnp.exp(u - soft)
        density = -0.5 * ((log_value - centre) / self.sd_log) ** 2 - constant
        slope = math.log(width) + u - 2 * soft
        return jnp.exp(log_value), density + slope - self._log_mass(centre)

    def _log_mass(self, centre: Any) -> Any:
        """Log of the mass between the bounds of a log-normal variable with this centre."""
        assert self.low is not None
        assert self.high is not None
        if self.relative_to:  # the centre is an argument of the program
            from jax.scipy.special import log_ndtr as jax_log_ndtr

            low, high = ((math.log(end) - centre) / self.sd_log for end in (self.low, self.high))
            inner = jax_log_ndtr(jnp.where(low < 0, high, -low))
            outer = jax_log_ndtr(jnp.where(low < 0, low, -high))
            return inner + jnp.log1p(-jnp.exp(outer - inner))
        low, high = (math.log(end / self.median) / self.sd_log for end in (self.low, self.high))
        # from whichever tail keeps its digits
        ends = (low, high) if low < 0 else (-high, -low)
        return log_ndtr(ends[1]) + math.log1p(-math.exp(log_ndtr(ends[0]) - log_ndtr(ends[1])))

    def to_unbounded(self, value: ArrayLike, reference: Reference) -> Floats:
        """Return the logarithm, or the logit of its place between those of the bounds."""
        if self.low is None or self.high is None:
            return np.log(value)
        low, high = math.log(self.low), math.log(self.high)
        return np.log(np.log(value) - low) - np.log(high - np.log(value))

    def quantile(self, mass: ArrayLike, reference: Reference) -> Floats:
        """Return the values below which this prior mass lies."""
        centre = np.log(self.centre(reference))
        if self.low is not None and self.high is not None:
            ends = [(math.log(end) - centre) / self.sd_log for end in (self.low, self.high)]
            above = ends[0] > 0  # the upper tail keeps its digits as a lower one
            low = ndtr(np.where(above, -ends[1], ends[0]))
            high = ndtr(np.where(above, -ends[0], ends[1]))
            below = np.where(above, 1 - np.asarray(mass), mass)
            place = ndtri(low + below * (high - low))
            return np.exp(centre + self.sd_log * np.where(above, -place, place))
        return np.exp(centre + self.sd_log * ndtri(np.asarray(mass)))

    def centre(self, reference: Reference) -> Any:
        """Return the median (before truncation)."""
        return self.median * (reference[self.relative_to] if self.relative_to else 1.0)

    def __str__(self) -> str:
        centre = f"{self.median:g}"
        if self.relative_to:
            centre = (f"{centre} x " if self.median != 1 else "") + self.relative_to
        truncation = f" in ({self.low:g}, {self.high:g})" if self.low is not None else ""
        return f"LogNormal(median {centre}, sd of log {self.sd_log:g}){truncation}"


@dataclass(frozen=True)
class Beta(Prior):
    """A Beta distribution on (0, 1) with shapes `a` and `b`, both above 0.

    Examples
    --------
    >>> print(Beta(4, 1.7))
    Beta(4, 1.7)
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        if not (0 < self.a < math.inf and 0 < self.b < math.inf):
            raise InputError(f"{self!r}: a and b must be finite and above 0")

    def from_unbounded(self, u: Any, reference: Reference) -> tuple[Any, Any]:
        """Return the value, the logistic function of `u`, and the log density of `u`."""
        soft = softplus(u)
        return jnp.exp(u - soft), self.a * (u - soft) - self.b * soft - betaln(self.a, self.b)

    def to_unbounded(self, value: ArrayLike, reference: Reference) -> Floats:
        """Return the logit."""
        return np.log(value) - np.log1p(-np.asarray(value))

    def quantile(self, mass: ArrayLike, reference: Reference) -> Floats:
        """Return the values below which this prior mass lies."""
        return betaincinv(self.a, self.b, np.asarray(mass))

    def centre(self, reference: Reference) -> Any:
        """Return the mean."""
        return self.a / (self.a + self.b)

    def __str__(self) -> str:
        return f"Beta({self.a:g}, {self.b:g})"


@dataclass(frozen=True)
class ShiftedGamma(Prior):
    """`shift`, 0 or more, plus a Gamma variable of this `shape` and `rate`, both above 0.

    Examples
    --------
    >>> print(ShiftedGamma(2, 0.1, shift=2))
    2 + Gamma(2, 0.1)
    """

    shape: float
    rate: float
    shift: float

    def __post_init__(self) -> None:
        if not (0 < self.shape < math.inf and 0 < self.rate < math.inf):
            raise InputError(f"{self!r}: shape and rate must be finite and above 0")
        if not 0 <= self.shift < math.inf:
            raise InputError(f"{self!r}: shift must be finite, and 0 or more")

    def from_unbounded(self, u: Any, reference: Reference) -> tuple[Any, Any]:
        """Return the value and the log density of `u`.

        Above the knee `u` is close to the logarithm of what the value exceeds the shift by, below it
        to a third of that, so that values next to the shift make no long tail: posteriors of degrees
        of freedom are nearer to normal in it than in the logarithm or in a root.
        """
        knee, soft = KNEE / self.rate, softplus(KNEE_SHARPNESS * u)
        # Far below the knee 32 bits know nothing above 0, where the logarithm would be infinite.
        grown = jnp.maximum(jnp.expm1(soft / KNEE_SHARPNESS), SMALLEST)
        constant = self.shape * math.log(self.rate * knee) - math.lgamma(self.shape)
        density = (self.shape - 1) * jnp.log(grown) - self.rate * knee * grown
        slope = soft / KNEE_SHARPNESS + KNEE_SHARPNESS * u - soft
        return self.shift + knee * grown, density + slope + constant

    def to_unbounded(self, value: ArrayLike, reference: Reference) -> Floats:
        """Return the unbounded value."""
        grown = (np.asarray(value) - self.shift) * self.rate / KNEE
        soft = KNEE_SHARPNESS * np.log1p(grown)
        return (soft + np.log(-np.expm1(-soft))) / KNEE_SHARPNESS

    def quantile(self, mass: ArrayLike, reference: Reference) -> Floats:
        """Return the values below which this prior mass lies."""
        return self.shift + gammaincinv(self.shape, np.asarray(mass)) / self.rate

    def centre(self, reference: Reference) -> Any:
        """Return the mean."""
        return self.shift + self.shape / self.rate

    def __str__(self) -> str:
        return f"{self.shift:g} + Gamma({self.shape:g}, {self.rate:g})"


@dataclass(frozen=True)
class Normal(Prior):
    """A normal variable with this `mean` and `sd`, which is above 0.

    Examples
    --------
    >>> print(Normal(0.5, 2.0))
    Normal(0.5, 2)
    """

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.sd < math.inf):
            raise InputError(f"{self!r}: mean must be finite, and sd finite and above 0")

    def from_unbounded(self, u: Any, reference: Reference) -> tuple[Any, Any]:
        """Return the value, `u` sds above the mean, and the log density of `u`."""
        return self.mean + self.sd * u, -0.5 * u * u - LOG_ROOT_2_PI

    def to_unbounded(self, value: ArrayLike, reference: Reference) -> Floats:
        """Return how many sds the value is above the mean."""
        return (np.asarray(value, dtype=np.float64) - self.mean) / self.sd

    def quantile(self, mass: ArrayLike, reference: Reference) -> Floats:
        """Return the values below which this prior mass lies."""
        return self.mean + self.sd * ndtri(np.asarray(mass))

    def centre(self, reference: Reference) -> Any:
        """Return the mean."""
        return self.mean

    def __str__(self) -> str:
        return f"Normal({self.mean:g}, {self.sd:g})"


@dataclass(frozen=True)
class StudentT(Prior):
    """A Student-t variable about 0 with these `degrees` of freedom and this `scale`, both above 0.

    Examples
    --------
    >>> print(StudentT(4))
    StudentT(4)
    >>> print(StudentT(4, scale=0.3))
    StudentT(4, scale=0.3)
    """

    degrees: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.degrees < math.inf and 0 < self.scale < math.inf):
            raise InputError(f"{self!r}: degrees and scale must be finite and above 0")

    def from_unbounded(self, u: Any, reference: Reference) -> tuple[Any, Any]:
        """Return the value, `u` in units of the scale, and the log density of `u`."""
        nu = self.degrees
        constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
        return self.scale * u, constant - (nu + 1) / 2 * jnp.log1p(u * u / nu)

    def to_unbounded(self, value: ArrayLike, reference: Reference) -> Floats:
        """Return the value in units of the scale."""
        return np.asarray(value, dtype=np.float64) / self.scale

    def quantile(self, mass: ArrayLike, reference: Reference) -> Floats:
        """Return the values below which this prior mass lies."""
        mass = np.asarray(mass)  # SciPy has the wrong sign at 0
        return self.scale * np.where(mass == 0, -np.inf, stdtrit(self.degrees, mass))

    def centre(self, reference: Reference) -> Any:
        """Return the median."""
        return 0.0

    def __str__(self) -> str:
        scale = "" if self.scale == 1 else f", scale={self.scale:g}"
        return f"StudentT({self.degrees:g}{scale})"


@dataclass(frozen=True)
class StudentTMixture(Prior):
    """A Student-t variable about 0 whose scale is one of several, each with its probability.

    Parameters
    ----------
    degrees
        Degrees of freedom, above 0.
    parts
        Probability and scale of each, all above 0; the probabilities add up to 1.

    Examples
    --------
    >>> prior = StudentTMixture(4, ((0.5, 1.0), (0.5, 0.1)))
    >>> print(prior)
    StudentTMixture(4, 0.5 of scale 1, 0.5 of scale 0.1)
    >>> [round(float(q), 2) for q in prior.quantile([0.5, 0.75, 0.95], {})]
    [0.0, 0.19, 1.53]
    """

    degrees: float
    parts: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        fair = abs(sum(share for share, _ in self.parts) - 1) < 1e-9
        if not (0 < self.degrees < math.inf and fair and min(map(min, self.parts)) > 0):
            raise InputError(
                f"{self!r}: degrees, probabilities and scales must be above 0, and these add up to 1"
            )

    def from_unbounded(self, u: Any, reference: Reference) -> tuple[Any, Any]:
        """Return `u` itself, and its log density."""
        one = StudentT(self.degrees)
        logs = [
            math.log(share / scale) + one.from_unbounded(u / scale, reference)[1]
            for share, scale in self.parts
        ]
        return u, reduce(jnp.logaddexp, logs)

    def to_unbounded(self, value: ArrayLike, reference: Reference) -> Floats:
        """Return the value."""
        return np.asarray(value, dtype=np.float64)

    def quantile(self, mass: ArrayLike, reference: Reference) -> Floats:
        """Return the values below which this prior mass lies, by bisection."""
        one = StudentT(self.degrees).quantile(mass, reference)
        ends = [scale * one for _, scale in self.parts]
        low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            shares = [share * stdtr(self.degrees, middle / scale) for share, scale in self.parts]
            below = np.add.reduce(shares) < mass
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray((low + high) / 2)

    def centre(self, reference: Reference) -> Any:
        """Return the median."""
        return 0.0

    def __str__(self) -> str:
        parts = ", ".join(f"{share:g} of scale {scale:g}" for share, scale in self.parts)
        return f"StudentTMixture({self.degrees:g}, {parts})"
