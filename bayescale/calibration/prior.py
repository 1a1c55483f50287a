"""Simulation-based calibration: truths from the prior, on a design."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

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
from bayescale.drift import DampedTrend
from bayescale.fitting import prepare
from bayescale.inference.batch import Method
from bayescale.laws import Law
from bayescale.model import Data, ModelSpec, prior_draws
from bayescale.noise import Noise
from bayescale.priors import Prior

REPLICATES = 500
FALSE_ALARM = 1e-3


def calibrate_prior(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    drift: str | DampedTrend | None = None,
    allow: Collection[str] = (),
    replicates: int = REPLICATES,
    method: Method = "auto",
    seed: int = 0,
    false_alarm: float = FALSE_ALARM,
    progress: Progress | None = None,
) -> Calibration:
    r"""Check a model and its sampler on truths from the prior: simulation-based calibration.

    .. math:: \theta^* \sim p(\theta), \quad y \sim p(y \mid \theta^*), \quad
              \theta_1, \dots, \theta_M \sim p(\theta \mid y) \quad \Rightarrow \quad
              \mathrm{rank}(\theta^*) \sim \mathrm{Uniform}

    Ranks of parameters, increments of a drift, the log likelihood (without which a sampler that ignored
    the runs would pass), the loss at 10 and 100 times the largest compute, and the optimal N beyond the
    runs are compared with uniform ones, in bands that hold for all of them together.

    Parameters
    ----------
    runs
        As for `bayescale.fit`. Their inputs and standard errors are the design; of their losses only
        the number that the prior is relative to is used, and it stays as it is.
    law, noise, x, priors, allow
        As for `bayescale.fit`.
    drift
        As for `bayescale.fit`, without ``"forecasts"``: ``"damped-trend"``, a
        `bayescale.drift.DampedTrend` or None. Truths drift, too.
    replicates
        How many are simulated and fitted, 20 or more.
    method
        Method of the fits, as for `bayescale.fit_many`.
    seed
        Seed of truths, replicates and fits.
    false_alarm
        Probability that any quantity fails if all is right, from 1e-6 to 0.5.
    progress
        Called with the fits done, and the fits in all.

    Returns
    -------
    Calibration
        Ranks, and which of them are not uniform.

    Raises
    ------
    InputError
        The runs, the law or an option cannot be used.

    References
    ----------
    Talts et al. 2018, Validating Bayesian inference algorithms with simulation-based calibration,
    arXiv:1804.06788. Modrák et al. 2025, Simulation-based calibration checking for Bayesian
    computation: the choice of test quantities shapes sensitivity, Bayesian Analysis 20, 461-488.

    Examples
    --------
    >>> result = calibrate_prior("byte-sweep", replicates=20, method="laplace-is")
    >>> sum(result.passed.values())
    11
    """
    check_replicates(replicates, false_alarm)
    settings = batch_settings(method, seed)
    lifted = {*allow, "constant-loss"}  # the losses of a design may be anything
    spec, runs, data, _ = prepare(runs, law, noise, x=x, priors=priors, drift=drift, allow=lifted)
    made = from_prior(spec, data, replicates, seed)
    return calibration_of("prior", made, settings, len(runs), false_alarm, progress)


def from_prior(spec: ModelSpec, design: Data, count: int, seed: int) -> Replicates:
    """Return replicates whose truths are draws from the prior."""
    reference = {name: float(value) for name, value in design.reference.items()}
    truths = spec.unconstrain(prior_draws(spec, reference, count, seed), reference)
    losses = simulated(spec, truths, design, seed)
    data = tuple(design._replace(log_loss=row) for row in losses)
    there = design.weight > 0
    inputs = {symbol: column[there] for symbol, column in design.inputs.items()}
    return Replicates(spec, truths, data, Answers.beyond(inputs), seed)
