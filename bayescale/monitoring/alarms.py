"""The final loss of a run given part of its curve, and when a bad one can be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from bayescale.monitoring.curve_model import NewCurve

BROKEN = 0.05  # belief that something is wrong with a run that the forecast does not know of
BROKEN_SD = 0.1  # of log loss, of such a run about the forecast
LIKELY = 0.5  # probability of a bad end below which no run is called
STUDIES = 2000  # simulated runs of each kind
FINE, COARSE = 3001, 241  # values of the final log loss
DRAWS = 4000
KERNELS = 250  # draws of the forecast that its density is smoothed from

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Belief:
    r"""What is believed of a final log loss, as masses on a grid of values.

    .. math:: p(\ell) = (1 - \epsilon)\, p_\mathrm{forecast}(\ell)
              + \epsilon\, \mathcal N(\ell \mid m, s^2)

    The second part (epsilon 0.05, s 0.1) is for runs that go wrong in a way that the forecast does not
    know of; without it, a curve far off would be explained by anything rather than by a bad run.

    Parameters
    ----------
    values
        Final log losses, ascending, shape (values,).
    log_mass
        Their log probabilities.
    lower, upper
        Ends of the forecast's interval, of log loss.
    """

    values: Floats
    log_mass: Floats
    lower: float
    upper: float

    @classmethod
    def of(cls, draws: Floats, level: float, count: int) -> Belief:
        """Return the belief of a forecast's draws of log loss, on so many values."""
        tail = (1 - level) / 2
        lower, median, upper = np.quantile(draws, [tail, 0.5, 1 - tail])
        reach = max(8 * (upper - lower), 5 * BROKEN_SD)
        # Denser about the median: the interval is often a hundredth of the reach.
        values = median + reach * np.sinh(np.linspace(-5, 5, count)) / np.sinh(5)
        step = max(len(draws) // KERNELS, 1)
        kernel = gaussian_kde(np.clip(np.sort(draws)[step // 2 :: step], values[0], values[-1]))
        sd = np.hypot(BROKEN_SD, upper - lower)
        wrong = np.exp(-0.5 * ((values - median) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        density = (1 - BROKEN) * kernel(values) + BROKEN * wrong
        mass = density * np.gradient(values)
        return cls(values, np.log(mass / mass.sum()), float(lower), float(upper))

    def given(self, curve: NewCurve, seen: Floats) -> Floats:
        """Return the masses given log losses of shape (curves, G), shape (curves, G, values)."""
        log_mass = curve.log_likelihood(seen, self.values) + self.log_mass
        log_mass -= log_mass.max(axis=-1, keepdims=True)
        mass = np.exp(log_mass, out=log_mass)
        mass /= mass.sum(axis=-1, keepdims=True)
        return mass

    def above(self, mass: Floats) -> Any:
        """Return the probability that the final loss lies above the forecast's interval."""
        return mass @ (self.values > self.upper)

    def inside(self, mass: Floats) -> Any:
        """Return the probability that it lies in the forecast's interval."""
        return mass @ ((self.values >= self.lower) & (self.values <= self.upper))

    def draws(self, mass: Floats) -> Floats:
        """Return evenly spaced quantiles of masses of shape (values,), as draws."""
        cdf = np.cumsum(mass) - mass / 2
        return np.interp((np.arange(DRAWS) + 0.5) / DRAWS, cdf, self.values)


@dataclass(frozen=True, eq=False)
class Detection:
    """When a bad run can be called, at a stated rate of false alarms; found by simulation.

    Parameters
    ----------
    false_alarm
        Share of the runs that end in the forecast's interval that may be called at some checkpoint.
    rate
        Share of them that was, in simulation: no more, and less where `LIKELY` is what decides.
    excess
        How far above the forecast's upper end the final loss of a bad run is, as a share.
    threshold
        A run is called where the probability that it ends above the interval exceeds this; one half or
        more.
    shares
        Of the training at the checkpoints, shape (G,).
    called
        Share of the bad runs that are called by each checkpoint, shape (G,).
    """

    false_alarm: float
    rate: float
    excess: float
    threshold: float
    shares: Floats
    called: Floats

    def earliest(self, power: float = 0.5) -> float:
        """Return the share of the training by which this share of bad runs is called; NaN if never."""
        there = np.flatnonzero(self.called >= power)
        return float(self.shares[there[0]]) if len(there) else float("nan")


def detection(
    draws: Floats, curve: NewCurve, level: float, false_alarm: float, excess: float, seed: int
) -> Detection:
    """Find the threshold, and what it finds, by curves of simulated runs.

    Runs that end in the forecast's interval have final log losses of the forecast's own distribution.

    Parameters
    ----------
    draws
        Of the forecast's log loss, shape (draws,).
    curve
        What curves of such runs are.
    level, false_alarm, excess, seed
        As for `bayescale.monitor`.
    """
    generator = np.random.default_rng([seed, 1])
    belief = Belief.of(draws, level, COARSE)
    inside = draws[(draws >= belief.lower) & (draws <= belief.upper)]
    ends = (
        generator.choice(inside, STUDIES),
        np.full(STUDIES, belief.upper + np.log1p(excess)),
    )
    good, bad = (
        belief.above(belief.given(curve, end[:, None] + curve.draw(STUDIES, generator)))
        for end in ends
    )
    highest = good.max(axis=-1)
    threshold = max(float(np.quantile(highest, 1 - false_alarm, method="higher")), LIKELY)
    rate = float((highest > threshold).mean())
    ever = np.maximum.accumulate(bad > threshold, axis=-1)
    return Detection(false_alarm, rate, excess, threshold, curve.shares, ever.mean(axis=0))
