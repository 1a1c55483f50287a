"""The loss of runs that were not made: the law's mean, and what a new run would show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import law_losses
from bayescale.mixture import law_points, pooled
from bayescale.new_runs import new_run_log_densities, new_run_losses
from bayescale.posterior import Posterior
from bayescale.prediction.points import checked_points, decades_beyond
from bayescale.prediction.predicted import KINDS, Kind, Prediction
from bayescale.publications import Fit, PublishedFit


def predict(
    posterior: Fit,
    N: ArrayLike | None = None,
    D: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    at: Mapping[str, ArrayLike] | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    kind: Kind = "run",
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
    allow_failed: bool = False,
) -> Prediction:
    r"""Predict the loss of runs of any size, with intervals.

    .. math:: L_\mathrm{law} = L_\theta(N, D)\,e^{\delta(N D)}, \qquad
              \ln L_\mathrm{run} \sim \mathrm{noise}(\ln L_\mathrm{law}), \qquad
              \theta, \delta \sim p(\theta, \delta \mid \mathrm{runs})

    Laws fail far from their runs by more than their own posterior allows, so unless the fit was made
    with ``drift="none"``, the draws are those of its `Posterior.forecasters`: half of the law and half
    of a wider one, if there is one, from which log loss may drift (`bayescale.drift`), and whose scatter
    may change with compute.

    Parameters
    ----------
    posterior
        The fit, a mixture of fits of several laws, or a `PublishedFit`, which knows the mean of its law
        only.
    N
        Parameters of the new runs, above 0; a number or shape (points,).
    D
        Training tokens of the new runs, above 0; broadcast against `N`.
    x
        The input of a law of one variable, in place of `N` and `D`.
    at
        Other inputs of the law, symbol to values: ``{"experts": 16}``.
    points
        The points as a mapping of symbol to values, such as ``runs.inputs``, in place of `N` and `D`;
        what the law does not need is not looked at.
    kind
        ``"run"`` (default): the loss that a new run would show, the scatter of runs included.
        ``"law"``: the mean of the law, with its drift: what many such runs would show on average.
    level
        Mass of the intervals, between 0 and 1.
    seed
        Seed of the scatter of new runs, and of the drift beyond the runs.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Prediction
        Median and interval at each point, and its distance beyond the runs.

    Raises
    ------
    InputError
        A missing or non-positive input, an unknown kind, a level outside (0, 1).
    FailedFitError
        The sampling of the fit failed.

    Examples
    --------
    >>> import bayescale
    >>> posterior = bayescale.fit("byte-sweep", seed=0)
    >>> prediction = bayescale.predict(posterior, N=1e6, D=[2e7, 2e8], level=0.9)
    >>> [interval.lower < interval.upper for interval in prediction.intervals]
    [True, True]
    """
    posterior.require_sound(allow_failed)
    check_level(level)
    models = sound_forecasters(posterior, allow_failed)
    if kind not in KINDS:
        raise InputError(Problem("kind", f"{kind!r} is not known", remedy="use 'run' or 'law'"))
    given = {"N": N, "D": D, "x": x, **(at or {})}
    if points is not None:
        if any(value is not None for value in given.values()):
            raise InputError(
                Problem("points", "N, D or x is given beside them", remedy="give one or the other")
            )
        given = {symbol: points.get(symbol) for symbol in posterior.inputs}
    where = checked_points(posterior, given)
    if isinstance(posterior, PublishedFit):
        kind = "law"
    parts = []
    for i, (model, _) in enumerate(models):
        there = law_points(model, where)
        part = mean_loss(model, there, seed + i)
        if kind == "run" and isinstance(model, Posterior):
            part = new_run_losses(model, there, part, np.random.default_rng([seed, i]))
        parts.append(part)
    draws = pooled(parts, [share for _, share in models])
    return Prediction(
        points=where,
        kind=kind,
        level=level,
        intervals=tuple(Interval.of(column, level) for column in draws.T),
        decades_beyond=decades_beyond(posterior.runs, where),
        draws=draws,
        loss_unit=posterior.runs.loss_unit,
        basis=posterior.basis,
        law=posterior.name,
        model=posterior.forecast_model,
        laws=shares_of(models),
    )


def log_predictive_density(
    posterior: Fit,
    points: Mapping[str, ArrayLike],
    loss: ArrayLike,
    relative_se: ArrayLike = 0.0,
    seed: int = 0,
    allow_failed: bool = False,
) -> NDArray[np.float64]:
    r"""Return the log predictive density of the log losses of new runs, shape (points,).

    .. math:: \ln p(\ln L_i \mid \mathrm{runs}) =
              \ln \sum_k w_k\, \frac{1}{S} \sum_s p_k(\ln L_i \mid \theta_s, \delta_s)

    Parameters
    ----------
    posterior
        The fit, or a mixture.
    points
        Symbol to values, each of shape (points,).
    loss
        The losses that were observed there, shape (points,).
    relative_se
        Known standard errors of the log losses.
    seed
        Seed of the drift beyond the runs.
    allow_failed
        Answer even if the sampling failed.
    """
    parts = []
    for i, (model, share) in enumerate(sound_forecasters(posterior, allow_failed)):
        there = law_points(model, points)
        assert isinstance(model, Posterior)  # what a published fit scatters by is not known
        log_mean = np.log(mean_loss(model, there, seed + i))
        density = new_run_log_densities(
            model, there, np.log(np.asarray(loss)), log_mean, relative_se
        )
        parts.append(logsumexp(density, axis=0) - np.log(len(density)) + np.log(share))
    return np.asarray(logsumexp(parts, axis=0))


def shares_of(models: tuple[tuple[Posterior | PublishedFit, float], ...]) -> dict[str, float]:
    """Return the share of each law by its name, from posteriors and theirs."""
    shares: dict[str, float] = {}
    for model, share in models:
        shares[model.name] = shares.get(model.name, 0.0) + share
    return shares


def sound_forecasters(
    posterior: Fit, allow_failed: bool = False
) -> tuple[tuple[Posterior | PublishedFit, float], ...]:
    """Return the posteriors that forecasts come from, with their shares.

    Raises
    ------
    FailedFitError
        The sampling of one failed.
    """
    models: Any = posterior.forecasting_parts
    for model, _ in models:
        model.require_sound(allow_failed)
    return models


def law_loss(
    posterior: Posterior | PublishedFit, points: Mapping[str, ArrayLike]
) -> NDArray[np.float64]:
    """Return the law's loss for every draw at every point, shape (draws, points)."""
    return law_losses(posterior.flat_law(), points)


def mean_loss(
    posterior: Posterior | PublishedFit, points: Mapping[str, ArrayLike], seed: int = 0
) -> NDArray[np.float64]:
    """Return the mean loss of runs for every draw at every point: the law's loss, and its drift.

    Shape (draws, points). `seed` is that of the drift beyond the runs.
    """
    return law_loss(posterior, points) * np.exp(posterior.drift_path(points, seed))
