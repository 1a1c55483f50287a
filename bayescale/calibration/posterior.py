"""Posterior simulation-based calibration: truths from the posterior of the user's own runs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from bayescale.calibration.quantities import Answers
from bayescale.calibration.replicates import (
    Progress,
    Replicates,
    batch_settings,
    calibration_of,
    check_replicates,
    simulated,
)
from bayescale.calibration.result import Calibration
from bayescale.effects import renewed
from bayescale.inference.batch import Method
from bayescale.intervals import flat
from bayescale.model import Data, data_of, size_class
from bayescale.posterior import Posterior

REPLICATES = 200
FALSE_ALARM = 1e-3
CHOICE = 7  # stream of random numbers that chooses the truths


def calibrate(
    posterior: Posterior,
    *,
    replicates: int = REPLICATES,
    method: Method = "auto",
    seed: int = 0,
    false_alarm: float = FALSE_ALARM,
    allow_failed: bool = False,
    progress: Progress | None = None,
) -> Calibration:
    r"""Check the intervals of a fit where its runs put them: posterior simulation-based calibration.

    .. math:: \theta^* \sim p(\theta \mid y), \quad y^* \sim p(y^* \mid \theta^*), \quad
              \theta_1, \dots, \theta_M \sim p(\theta \mid y, y^*) \quad \Rightarrow \quad
              \mathrm{rank}(\theta^*) \sim \mathrm{Uniform}

    Each replicate repeats the runs, with losses from one draw of the fit; runs and replicate are fitted
    together under the fit's own prior. If fit and sampler are right, the draw is like any other of the
    new posterior. Truths from the prior test a sampler everywhere; these test it where it is used, with
    the user's design, known standard errors and priors. What is not tested is whether the law is right:
    see `bayescale.backtest`.

    Parameters
    ----------
    posterior
        The fit. Its own model is checked; for one that its forecasts come from, give an item of
        `Posterior.forecasters`.
    replicates
        How many are simulated and fitted, 20 or more.
    method
        Method of the fits, as for `bayescale.fit_many`.
    seed
        Seed of replicates and fits.
    false_alarm
        Probability that any quantity fails if all is right, from 1e-6 to 0.5.
    allow_failed
        Check even if the sampling of the fit failed.
    progress
        Called with the fits done, and the fits in all.

    Returns
    -------
    Calibration
        Ranks, and which of them are not uniform.

    Raises
    ------
    InputError
        An option cannot be used.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Säilynoja, Schmitt, Bürkner and Vehtari 2025, Posterior SBC: simulation-based calibration checking
    conditional on data, arXiv:2502.03279.

    Examples
    --------
    >>> import bayescale
    >>> posterior = bayescale.fit("byte-sweep", seed=0)
    >>> result = bayescale.calibrate(posterior, replicates=20, method="laplace-is")
    >>> result.dropped
    0
    """
    check_replicates(replicates, false_alarm)
    settings = batch_settings(method, seed)
    posterior.require_sound(allow_failed)
    made = from_posterior(posterior, replicates, seed)
    count = len(posterior.runs)
    return calibration_of("posterior", made, settings, count, false_alarm, progress)


def from_posterior(posterior: Posterior, count: int, seed: int) -> Replicates:
    """Return replicates whose truths are draws of a fit, each together with the fit's own runs."""
    spec, runs = posterior.spec, posterior.runs
    inputs = spec.law.inputs
    reference = {name: np.float64(value) for name, value in posterior.reference.items()}
    own = data_of(runs, inputs, spec.drift, spec.effects)._replace(reference=reference)
    truths = spec.unconstrain(
        {name: flat(draws)[_chosen(posterior, count, seed)] for name, draws in
         posterior.coordinates.items()},
        posterior.reference,
    )  # fmt: skip
    losses = simulated(spec, truths, own, seed)
    data = tuple(together(own, row, len(runs)) for row in losses)
    answers = Answers.beyond({symbol: runs[symbol] for symbol in inputs})
    return Replicates(spec, truths, data, answers, seed)


def together(own: Data, log_loss: np.ndarray, count: int) -> Data:
    """Return runs and a replicate of them as one data set, under the prior of the runs alone.

    Parameters
    ----------
    own
        The padded runs, of which the first `count` rows are theirs.
    log_loss
        Log losses of the replicate, shape (rows,).
    count
        Number of runs.
    """
    twice, padding = 2 * count, size_class(2 * count) - 2 * count

    def joined(first: Any, second: Any) -> np.ndarray:
        rows = np.concatenate([np.asarray(first)[:count], np.asarray(second)[:count]])
        return np.concatenate([rows, np.repeat(rows[:1], padding, axis=0)])

    rows = own._replace(reference={})
    # The replicate's groups are new ones, with shifts of their own.
    groups = np.array(own.group)
    groups[:, :1] += groups[:count, :1].max(initial=-1) + 1
    both = jax.tree.map(joined, rows, rows._replace(log_loss=log_loss, group=groups))
    weight = np.where(np.arange(twice + padding) < twice, both.weight, 0.0)
    group = renewed(both.group)
    return both._replace(reference=own.reference, weight=weight, group=group)


def _chosen(posterior: Posterior, count: int, seed: int) -> np.ndarray:
    """Draws in random order, each once before any is taken again."""
    chains, draws = posterior.shape
    generator = np.random.default_rng([seed, CHOICE])
    turns = -(-count // (chains * draws))
    return np.concatenate([generator.permutation(chains * draws) for _ in range(turns)])[:count]
