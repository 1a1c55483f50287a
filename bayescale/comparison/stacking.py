"""Weights of several forecasters, from how dense each was where the outcomes came to lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bayescale.errors import InputError, Problem

Floats = NDArray[np.float64]
STEPS = 100_000
TOLERANCE = 1e-10  # of the weights, where the steps end


def stacking_weights(log_density: Floats) -> Floats:
    r"""Return the weights under which the mixture of some forecasters is densest at the outcomes.

    .. math:: \hat w = \arg\max_w \; \sum_i \ln \sum_k w_k\, p_k(y_i), \qquad
              w_k \ge 0, \quad \sum_k w_k = 1

    Parameters
    ----------
    log_density
        Log predictive density of each outcome under each forecaster, shape (forecasters, outcomes).

    Returns
    -------
    array
        The weights, shape (forecasters,).

    Raises
    ------
    InputError
        No forecasters or no outcomes, a density that is NaN, or one that is 0 for all forecasters.

    References
    ----------
    Yao, Vehtari, Simpson, Gelman 2018, Using stacking to average Bayesian predictive distributions,
    Bayesian Analysis 13, 917-1007, section 3 with the log score. The function is concave, and the
    steps are those of expectation maximisation for the weights of a mixture of known components.

    Examples
    --------
    >>> stacking_weights(np.log([[0.9, 0.1], [0.1, 0.9]]))
    array([0.5, 0.5])
    """
    logs = _checked(log_density)
    density = np.exp(logs - logs.max(axis=0))
    w = np.full(len(logs), 1 / len(logs))
    for _ in range(STEPS):
        share = w[:, None] * density
        new = (share / share.sum(axis=0)).mean(axis=1)
        if np.abs(new - w).max() < TOLERANCE:
            return new
        w = new
    return w


def forecast_weights(origins: Sequence[Floats]) -> Floats:
    r"""Return the weights of some laws by their forecasts of larger runs from several origins.

    .. math:: w_k \propto \exp \sum_o \frac{1}{n_o} \sum_{i \in o} \ln p_k(y_i)

    The forecasts from one origin share the error of one fit, so together they count as one outcome:
    o origins say as much as o independent runs would. Laws that are about as good keep about equal
    weights, and a law that is refuted gets next to none. Stacked weights (`stacking_weights`) go to a
    single law as soon as it is a little better at most outcomes, and on public sets of runs their
    forecasts covered too little (``benchmarks/forecast/weights.py``).

    Parameters
    ----------
    origins
        Log predictive densities from each origin, of shape (laws, forecasts).

    Returns
    -------
    array
        The weights, shape (laws,).

    Raises
    ------
    InputError
        As for `stacking_weights`.

    References
    ----------
    Pseudo-BMA weights: Yao et al. 2018, section 3.4; here of origins rather than of runs.

    Examples
    --------
    >>> forecast_weights([np.log([[0.2, 0.2], [0.1, 0.1]])]).round(3)
    array([0.667, 0.333])
    """
    return np.asarray(softmax(sum(_checked(each).mean(axis=1) for each in origins)))


def _checked(log_density: Floats) -> Floats:
    logs = np.asarray(log_density, dtype=np.float64)
    if logs.ndim != 2 or not logs.size:
        raise InputError(
            Problem("log_density", f"its shape is {logs.shape}",
                    remedy="give (forecasters, outcomes), one of each or more")
        )  # fmt: skip
    if not np.isfinite(logs.max(axis=0)).all():
        raise InputError(
            Problem("log_density", "an outcome has no finite density under any forecaster",
                    "nothing can be said of their weights", "leave it out")
        )  # fmt: skip
    return logs
