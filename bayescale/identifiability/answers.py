"""Answers of a law, from the posterior's draws and from the prior's: losses and optimal splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.splitting import Terms, best_splits
from bayescale.laws import law_losses
from bayescale.model import typical_value
from bayescale.posterior import Posterior
from bayescale.prediction import mean_loss
from bayescale.runs import Runs
from bayescale.runs.catalogue import scales

Floats = NDArray[np.float64]
FACTORS = (10.0, 100.0)  # times the largest compute, where answers are looked at by default


@dataclass(frozen=True)
class Answer:
    """An answer at one place: draws of the posterior, shape (chains, draws), and of the prior."""

    name: str
    at: Mapping[str, float]
    draws: Floats
    prior: Floats


def default_points(runs: Runs, inputs: tuple[str, ...]) -> dict[str, Floats]:
    """Return points at 10 and 100 times the largest compute, at the runs' median D/N.

    For a law that is not one of N and D, at 10 and 100 times the largest of each input that grows with
    compute; other inputs as they are typically.
    """
    factors = np.array(FACTORS)
    if not {"N", "D"} <= set(inputs):
        sizes = scales(inputs)
        return {
            s: runs[s].max() * factors
            if s in sizes
            else typical_value(runs[s], s) * np.ones(len(factors))
            for s in inputs
        }
    product, ratio = (runs.N * runs.D).max() * factors, np.median(runs.D / runs.N)
    pair = {"N": np.sqrt(product / ratio), "D": np.sqrt(product * ratio)}
    return {
        s: pair[s] if s in pair else typical_value(runs[s], s) * np.ones(len(factors))
        for s in inputs
    }


def losses(posterior: Posterior, points: Mapping[str, Floats], seed: int = 0) -> list[Answer]:
    """Return the mean loss at each point: the law's, and the drift's where the model has one."""
    shape = (*posterior.shape, -1)
    draws = mean_loss(posterior, points, seed)
    prior = law_losses(posterior.prior(seed=seed)[0], points)
    prior = prior * np.exp(posterior.prior_drift_path(points, seed))
    return [
        Answer("loss", _place(points, i), draws.reshape(shape)[..., i], prior[:, i])
        for i in range(draws.shape[1])
    ]


def optima(posterior: Posterior, C: Floats, factor: float, seed: int = 0) -> list[Answer]:
    """Return N and D/N at the optimum for each budget, C = factor N D; of the law alone."""
    own = best_splits(posterior.flat_law(), C, Terms(factor))
    prior = best_splits(posterior.prior(seed=seed)[0], C, Terms(factor))
    pairs = {"N_opt": (own.N, prior.N), "tokens_per_parameter": (own.D / own.N, prior.D / prior.N)}
    shape = (*posterior.shape, -1)
    return [
        Answer(name, {"C": float(budget)}, draws.reshape(shape)[..., i], prior[:, i])
        for i, budget in enumerate(C)
        for name, (draws, prior) in pairs.items()
    ]


def _place(points: Mapping[str, Floats], i: int) -> dict[str, float]:
    return {symbol: float(values[i]) for symbol, values in points.items()}
