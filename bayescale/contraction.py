"""How far runs narrow a quantity: the posterior's sd as a share of the prior's, on a fitting scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Scale = Literal["log", "linear"]

MASSES = (0.05, 0.5, 0.95)
NORMAL_WIDTH = 3.2897072539  # of the central 90% of a normal distribution, in its sds
PRIOR_RATIO = 0.9  # of posterior to prior sd, above which a quantity is the prior


@dataclass(frozen=True)
class Contraction:
    r"""What the runs made of the prior of one quantity.

    .. math:: r = \frac{s_\mathrm{posterior}}{s_\mathrm{prior}}, \qquad
              \mathrm{contraction} = 1 - r^2, \qquad s = \frac{q_{0.95} - q_{0.05}}{3.29}

    s is an sd that outliers and heavy tails do not move: that of the normal distribution with the same
    central 90%. It is taken of the logarithm where that makes the prior of a positive quantity more
    symmetric, as with scales and exponents, and of the value elsewhere, as with shares.

    Parameters
    ----------
    scale
        ``"log"`` or ``"linear"``: what the sds are of.
    prior_sd, posterior_sd
        s of the prior and of the posterior, on that scale.
    """

    scale: Scale
    prior_sd: float
    posterior_sd: float

    @classmethod
    def of(cls, draws: ArrayLike, prior_quantiles: ArrayLike) -> Contraction:
        """Compare draws of the posterior, of any shape, with the prior's quantiles at `MASSES`.

        Examples
        --------
        >>> found = Contraction.of([1.0, 2.0, 3.0], [-3.29, 0.0, 3.29])
        >>> found.scale, round(found.ratio, 3), found.is_prior
        ('linear', 0.274, False)
        """
        posterior, prior = quantiles(draws), np.asarray(prior_quantiles, dtype=np.float64)
        positive = min(posterior[0], prior[0]) > 0
        scale: Scale = scale_of(prior) if positive else "linear"
        move = moved(scale)
        sds = [float(np.ptp(move(ends[[0, 2]])) / NORMAL_WIDTH) for ends in (prior, posterior)]
        return cls(scale, *sds)

    @property
    def ratio(self) -> float:
        """The posterior's sd as a share of the prior's."""
        return self.posterior_sd / self.prior_sd if self.prior_sd else float("nan")

    @property
    def contraction(self) -> float:
        """The share of the prior's variance that the runs removed."""
        return 1 - self.ratio**2

    @property
    def is_prior(self) -> bool:
        """Whether the runs left the prior nearly as it was."""
        return self.ratio > PRIOR_RATIO

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self) | {
            "ratio": self.ratio,
            "contraction": self.contraction,
            "is_prior": self.is_prior,
        }


def quantiles(draws: ArrayLike) -> Floats:
    """Return the quantiles of draws, of any shape, at `MASSES`."""
    return np.quantile(np.asarray(draws, dtype=np.float64), MASSES)


def scale_of(prior_quantiles: ArrayLike) -> Scale:
    """Return the scale on which a prior with these quantiles at `MASSES` is more symmetric."""
    values = np.asarray(prior_quantiles, dtype=np.float64)
    if not values[0] > 0:
        return "linear"
    return "log" if _skew(np.log(values)) <= _skew(values) else "linear"


def moved(scale: Scale) -> Callable[[Any], Floats]:
    """Return what takes values to a scale."""
    return _log if scale == "log" else np.asarray


def _log(values: Any) -> Floats:
    """The logarithm; what has underflowed to 0 counts as the smallest number."""
    return np.log(np.maximum(values, np.finfo(np.float64).tiny))


def _skew(ends: Floats) -> float:
    """How unequal the distances from the median to the ends are; 0 if they are equal."""
    below, above = np.diff(ends)
    return float(abs(np.log(above / below))) if below > 0 and above > 0 else np.inf
