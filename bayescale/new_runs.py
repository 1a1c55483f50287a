"""New runs, as a posterior expects them: their scatter about the law and its drift, and its density."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.drift import log_compute
from bayescale.intervals import flat
from bayescale.model import span_of
from bayescale.noise import Noise
from bayescale.posterior import Posterior
from bayescale.runs.responses import ERROR

FARTHEST = 50.0  # scatter of log loss: a loss beyond it would overflow


def new_run_scatter(
    posterior: Posterior,
    points: Mapping[str, ArrayLike],
    relative_se: ArrayLike,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the scatter of log losses of new runs at some points, shape (draws, points).

    Where rows share shifts, each of these runs has one of its own.

    Parameters
    ----------
    posterior
        Draws of the law, the noise and the drift.
    points
        Symbol to values, each of shape (points,).
    relative_se
        Known standard errors of the log losses; broadcasts to (draws, points).
    generator
        NumPy's random generator.
    """
    noise, known, below = _scales(posterior, points, relative_se)
    return np.clip(noise.scatter(generator, known, below), -FARTHEST, FARTHEST)


def new_run_losses(
    posterior: Posterior,
    points: Mapping[str, ArrayLike],
    mean: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return losses of new runs about the mean of the law with its drift, shape (draws, points).

    Of counts, error rates of as many items as the runs have at the median; no error rate is above 1.

    Parameters
    ----------
    posterior
        Draws of the law, the noise and the drift.
    points
        Symbol to values, each of shape (points,).
    mean
        Losses of the law with its drift, shape (draws, points).
    generator
        NumPy's random generator.
    """
    if not posterior.spec.noise.counts:
        new = mean * np.exp(new_run_scatter(posterior, points, 0.0, generator))
        return np.minimum(new, 1.0) if posterior.runs.response == ERROR else new
    noise, _, below = _scales(posterior, points, 0.0)
    items = np.median(posterior.runs.items) if posterior.runs.items is not None else 1.0
    return np.exp(noise.observed(generator, np.log(mean), items, below))


def new_run_log_densities(
    posterior: Posterior,
    points: Mapping[str, ArrayLike],
    log_loss: ArrayLike,
    log_mean: ArrayLike,
    known: ArrayLike,
) -> NDArray[np.float64]:
    """Return the log density of new runs' log losses at some points, shape (draws, points).

    Parameters
    ----------
    posterior
        Draws of the law, the noise and the drift.
    points
        Symbol to values, each of shape (points,).
    log_loss, log_mean
        Observed, shape (points,), and of the law with its drift, shape (draws, points).
    known
        Known standard errors of the log losses, or numbers of items for noise of counts; broadcasts
        to (draws, points).
    """
    noise, known, below = _scales(posterior, points, known)
    with jax.enable_x64(True):
        observed, mean = np.asarray(log_loss), np.asarray(log_mean)
        return np.asarray(noise.likelihood(observed, mean, known, below))


def _scales(
    posterior: Posterior, points: Mapping[str, ArrayLike], relative_se: ArrayLike
) -> tuple[Noise, NDArray[np.float64], NDArray[np.float64]]:
    """The noise of each draw, what else scatters a new run, and decades below the largest run."""
    span = span_of(posterior.runs, posterior.inputs)
    below = np.ravel(span.below(log_compute({s: points[s] for s in posterior.inputs})))
    noise = jax.tree.map(lambda field: field[:, None], posterior.flat_noise())
    draws = posterior.shape[0] * posterior.shape[1]
    known = np.broadcast_to(np.asarray(relative_se, dtype=np.float64), (draws, len(below)))
    if posterior.spec.effects is not None:  # a group of one row is scattered by all scales together
        shared = flat(posterior.spec.effects.alone(posterior.coordinates))
        known = np.hypot(known, shared[:, None])
    return noise, known, np.maximum(below, 0.0)
