"""Answers of a law, from the posterior's draws and from the prior's: losses and optimal splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayescale.allocation import numeric_optimum
from bayescale.drift import log_compute
from bayescale.laws import ClosedFormOptimum, Law
from bayescale.model import prior_draws, span_of
from bayescale.posterior import PRIOR_DRAWS, Posterior
from bayescale.runs import Runs

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

    For a law that is not one of N and D, at 10 and 100 times the largest of each input.
    """
    factors = np.array(FACTORS)
    if not {"N", "D"} <= set(inputs):
        return {symbol: runs[symbol].max() * factors for symbol in inputs}
    product, ratio = (runs.N * runs.D).max() * factors, np.median(runs.D / runs.N)
    pair = {"N": np.sqrt(product / ratio), "D": np.sqrt(product * ratio)}
    return {s: pair[s] if s in pair else runs[s].max() * np.ones(len(factors)) for s in inputs}


def losses(posterior: Posterior, points: Mapping[str, Floats], seed: int = 0) -> list[Answer]:
    """Return the mean loss at each point: the law's, and the drift's where the model has one."""
    shape = (*posterior.shape, -1)
    draws = _losses(posterior.flat_law(), points) * np.exp(posterior.drift_path(points, seed))
    prior = _losses(posterior.prior(seed=seed)[0], points) * np.exp(
        _prior_drift(posterior, points, seed)
    )
    return [
        Answer("loss", _place(points, i), draws.reshape(shape)[..., i], prior[:, i])
        for i in range(draws.shape[1])
    ]


def optima(posterior: Posterior, C: Floats, factor: float, seed: int = 0) -> list[Answer]:
    """Return N and D/N at the optimum for each budget, C = factor N D; of the law alone."""
    N, D = _optima(posterior.flat_law(), C, factor)
    prior_N, prior_D = _optima(posterior.prior(seed=seed)[0], C, factor)
    pairs = {"N_opt": (N, prior_N), "tokens_per_parameter": (D / N, prior_D / prior_N)}
    shape = (*posterior.shape, -1)
    return [
        Answer(name, {"C": float(budget)}, draws.reshape(shape)[..., i], prior[:, i])
        for i, budget in enumerate(C)
        for name, (draws, prior) in pairs.items()
    ]


def _place(points: Mapping[str, Floats], i: int) -> dict[str, float]:
    return {symbol: float(values[i]) for symbol, values in points.items()}


def _losses(law: Law, points: Mapping[str, Floats]) -> Floats:
    """Loss of every law at every point, shape (laws, points)."""
    with jax.enable_x64(True):
        return np.asarray(_mapped_losses(law, dict(points)))


@jax.jit
def _mapped_losses(law: Any, points: Any) -> Any:
    return jax.vmap(lambda law: law.loss(points))(law)


def _optima(law: Law, C: Floats, factor: float) -> tuple[Floats, Floats]:
    """N and D at the optimum, each of shape (laws, budgets)."""
    with jax.enable_x64(True):
        N, D = _mapped_optima(law, C, factor)
        return np.asarray(N), np.asarray(D)


@jax.jit
def _mapped_optima(law: Any, C: Any, factor: Any) -> Any:
    def one(law: Any, budget: Any) -> Any:
        if isinstance(law, ClosedFormOptimum):
            return law.optimum(budget, factor)
        return numeric_optimum(law, budget, factor)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(law, C)


def _prior_drift(posterior: Posterior, points: Mapping[str, Floats], seed: int) -> Any:
    """The drift of log loss from its prior; of the draws that `Posterior.prior` gives."""
    spec = posterior.spec
    if spec.drift is None:
        return 0.0
    increments = prior_draws(spec, posterior.reference, PRIOR_DRAWS, seed)
    span, generator = span_of(posterior.runs, spec.law.inputs), np.random.default_rng([seed, 0])
    with jax.enable_x64(True):
        return spec.drift.path(increments, log_compute(points), span, generator)
