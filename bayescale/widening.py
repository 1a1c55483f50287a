"""Intervals widened by what a backtest says of them, as a function of the distance beyond the runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from bayescale.backtesting import Backtest
from bayescale.errors import InputError, Problem
from bayescale.intervals import Interval, check_level
from bayescale.prediction import Prediction

REACH = 0.5  # decades: an outcome this much nearer or farther counts 1/e
CREDIT = 1.0  # origins: how much forecasts are trusted before a backtest is seen
REFERENCE = 200  # points that stand for a calibrated forecast

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Widening:
    r"""By how much intervals would have had to be wider to hold their share of the outcomes.

    .. math:: c(d) = \max\left(1,\ q_\mathrm{level}\{r_i\}\right), \qquad
              r_i = \frac{|\ln L_i - m_i|}{|e_i - m_i|}, \qquad
              w_i(d) = \frac{1}{n_o} e^{-|d_i - d| / 0.5}

    m is the median of a forecast, e the end of its interval on the side of the outcome, both of log
    loss; q is the weighted quantile, in which an origin with n forecasts counts as one, outcomes at other
    distances count less, and a calibrated forecast counts as one origin. Intervals are never narrowed:
    forecasts from one origin share their error, so that a few good ones say little.

    Parameters
    ----------
    level
        Mass of the intervals.
    decades_beyond, ratio, weight
        d, r and 1 / n of each outcome, shape (outcomes,).
    """

    level: float
    decades_beyond: Floats
    ratio: Floats
    weight: Floats

    @classmethod
    def of(cls, backtest: Backtest, level: float) -> Widening:
        """Return what a backtest says of intervals of this level.

        Raises
        ------
        InputError
            The backtest has no forecasts.
        """
        tail = (1 - check_level(level)) / 2
        decades, ratios, weights = [], [], []
        for origin in backtest.origins:
            if origin.prediction is None or not len(origin.loss):
                continue
            ends = np.quantile(np.log(origin.prediction.draws), [tail, 0.5, 1 - tail], axis=0)
            error = np.log(origin.loss) - ends[1]
            width = np.where(error > 0, ends[2] - ends[1], ends[1] - ends[0])
            ratios.append(np.abs(error) / width)
            decades.append(origin.decades_beyond)
            weights.append(np.full(len(error), 1 / len(error)))
        if not ratios:
            raise InputError(
                Problem("backtest", "no fit to the cheaper runs gave a forecast",
                        "there is nothing to widen by", "see the status of its origins")
            )  # fmt: skip
        return cls(level, *map(np.concatenate, (decades, ratios, weights)))

    def factor(self, decades_beyond: ArrayLike) -> Floats:
        """Return c at some distances beyond the runs, in decades; of their shape."""
        calibrated = ndtri((1 + (np.arange(REFERENCE) + 0.5) / REFERENCE) / 2)
        calibrated /= ndtri((1 + self.level) / 2)
        ratio = np.concatenate([calibrated, self.ratio])
        order = np.argsort(ratio)
        credit = np.full(REFERENCE, CREDIT / REFERENCE)
        distances = np.asarray(decades_beyond, dtype=np.float64)
        found = []
        for distance in distances.ravel():
            near = self.weight * np.exp(-np.abs(self.decades_beyond - distance) / REACH)
            mass = np.cumsum(np.concatenate([credit, near])[order])
            found.append(ratio[order][np.searchsorted(mass, self.level * mass[-1])])
        return np.maximum(1.0, np.reshape(found, distances.shape))


def widen(prediction: Prediction, backtest: Backtest) -> Prediction:
    """Return a prediction that shows, beside its intervals, those that its backtest asks for.

    On public sets, how wrong forecasts were among the fitted runs said next to nothing of how wrong
    they were beyond them (`benchmarks/forecast`), so the default forecasts are not widened. Widen where
    a backtest says that the intervals are too narrow, and no law does better.

    Parameters
    ----------
    prediction
        Of the fit to all runs.
    backtest
        Of the same runs and the same model: ``bayescale.backtest(fit.runs, **fit.settings)``.

    Returns
    -------
    Prediction
        With `Prediction.widened` and `Prediction.factors`; its intervals and draws are what they were.

    Raises
    ------
    InputError
        The backtest has no forecasts.

    References
    ----------
    Intervals from the errors of earlier forecasts: Williams and Goodman 1971, A simple method for the
    construction of empirical confidence limits for economic forecasts, JASA 66, 752-754.

    Examples
    --------
    >>> import bayescale
    >>> fit = bayescale.fit("byte-sweep", drift="none", seed=0)
    >>> test = bayescale.backtest(fit.runs, **fit.settings)
    >>> prediction = widen(bayescale.predict(fit, N=1e6, D=2e8), test)
    >>> prediction.widened[0].upper >= prediction.intervals[0].upper
    True
    """
    factors = Widening.of(backtest, prediction.level).factor(prediction.decades_beyond)
    logs = np.log(prediction.draws)
    median = np.median(logs, axis=0)
    draws = np.exp(median + factors * (logs - median))
    widened = tuple(Interval.of(column, prediction.level) for column in draws.T)
    return replace(prediction, widened=widened, factors=factors)
