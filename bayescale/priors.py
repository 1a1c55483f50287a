"""Priors as data: printable, hashable, and turned into NumPyro distributions where they are used.

A prior may be relative to a number of the data set (its `Reference`), such as the lowest loss near
the centre of the runs. The numbers of the reference are arguments of the compiled program, so a new
data set needs no new compilation.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, gammaincinv, ndtr, ndtri

from bayescale.errors import InputError

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

Reference = Mapping[str, Any]


@dataclass(frozen=True)
class Prior:
    """What is believed of one quantity before the runs are seen."""

    @abstractmethod
    def distribution(self, reference: Reference) -> Distribution:
        """Return the NumPyro distribution for a data set with this reference."""

    @abstractmethod
    def quantile(self, mass: ArrayLike, reference: Reference) -> NDArray[np.float64]:
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

    def distribution(self, reference: Reference) -> Distribution:
        """Return the distribution, its median multiplied by the reference's number."""
        import jax.numpy as jnp
        import numpyro

        dist = numpyro.distributions

        if self.low is None or self.high is None:
            return dist.LogNormal(jnp.log(self.centre(reference)), self.sd_log)
        if not self.relative_to:
            from bayescale.distributions import TruncatedLogNormal

            return TruncatedLogNormal(math.log(self.median), self.sd_log, self.low, self.high)
        low, high = math.log(self.low), math.log(self.high)
        centre = jnp.log(self.centre(reference))
        base = dist.TruncatedNormal(centre, self.sd_log, low=low, high=high)
        domain = dist.constraints.interval(low, high)
        return dist.TransformedDistribution(base, dist.transforms.ExpTransform(domain))

    def quantile(self, mass: ArrayLike, reference: Reference) -> NDArray[np.float64]:
        """Return the values below which this prior mass lies."""
        centre = math.log(self.centre(reference))
        low, high = 0.0, 1.0
        if self.low is not None and self.high is not None:
            low = ndtr((math.log(self.low) - centre) / self.sd_log)
            high = ndtr((math.log(self.high) - centre) / self.sd_log)
        return np.exp(centre + self.sd_log * ndtri(low + np.asarray(mass) * (high - low)))

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

    def distribution(self, reference: Reference) -> Distribution:
        """Return the distribution; the reference plays no part."""
        from bayescale.distributions import ConstantBeta

        return ConstantBeta(self.a, self.b)

    def quantile(self, mass: ArrayLike, reference: Reference) -> NDArray[np.float64]:
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

    def distribution(self, reference: Reference) -> Distribution:
        """Return the distribution; the reference plays no part."""
        from bayescale import distributions

        return distributions.ShiftedGamma(self.shape, self.rate, self.shift)

    def quantile(self, mass: ArrayLike, reference: Reference) -> NDArray[np.float64]:
        """Return the values below which this prior mass lies."""
        return self.shift + gammaincinv(self.shape, np.asarray(mass)) / self.rate

    def centre(self, reference: Reference) -> Any:
        """Return the mean."""
        return self.shift + self.shape / self.rate

    def __str__(self) -> str:
        return f"{self.shift:g} + Gamma({self.shape:g}, {self.rate:g})"
