"""Studies whose truth is known: designs, laws and scatter, right and wrong for the model that is fitted.

A truth is one entry of TRUTHS. One that needs another model, such as effects of runs for clustered
checkpoints, is one more entry with its own `options`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from bayescale import Runs
from bayescale.calibration.quantities import BEYOND, Answers
from bayescale.drift import DampedTrend, log_compute
from bayescale.laws import Chinchilla, Coupled, Law

LAW = Chinchilla.from_published("besiroglu-2024")
COUPLED = Coupled.from_published("busbridge-2025")
SIGMA, NU = 0.006, 5.0
DRIFT = DampedTrend()
RUNS = 48
TRAINED, CHECKPOINTS, SHARED, OWN = 12, 12, 0.006, 0.002
HEAVY = 1.5  # degrees of freedom; the model has more than 2
TREND = 0.5  # of ln sigma for a decade less of compute
ALONG = 0.05  # sd of ln(D / 20 N) of a collinear design

Scatter = Callable[[np.random.Generator, Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Truth:
    """How studies of one kind are made, and what is fitted to them.

    `design` gives inputs and labels from a generator, once for all studies; `scatter` the scatter of log
    losses from a generator and the inputs; `options` the model (law, noise) of the fit.
    """

    words: str
    law: Law = LAW
    design: Callable[[np.random.Generator], tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = (
        lambda generator: spread(generator)
    )
    scatter: Scatter = lambda generator, inputs: student_t(generator, inputs)
    drift: DampedTrend | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def spread(generator: np.random.Generator):
    N = 10 ** generator.uniform(7.5, 9.5, RUNS)
    return {"N": N, "D": N * 10 ** generator.uniform(0.4, 2.3, RUNS)}, {}


def collinear(generator: np.random.Generator):
    N = 10 ** generator.uniform(7.5, 9.5, RUNS)
    return {"N": N, "D": 20 * N * np.exp(ALONG * generator.standard_normal(RUNS))}, {}


def checkpoints(generator: np.random.Generator):
    N = np.repeat(10 ** generator.uniform(7.5, 9.5, TRAINED), CHECKPOINTS)
    last = np.repeat(10 ** generator.uniform(1.0, 2.3, TRAINED), CHECKPOINTS)
    share = np.tile(np.geomspace(0.1, 1.0, CHECKPOINTS), TRAINED)
    run = np.repeat(np.arange(TRAINED), CHECKPOINTS).astype(str)
    return {"N": N, "D": N * last * share}, {"run_id": run}


def student_t(generator, inputs, nu=NU):
    return SIGMA * generator.standard_t(nu, len(inputs["N"]))


def shared(generator, inputs):
    shifts = SHARED * generator.standard_normal(TRAINED)
    return np.repeat(shifts, CHECKPOINTS) + OWN * generator.standard_normal(len(inputs["N"]))


def with_trend(generator, inputs):
    logs = log_compute(inputs)
    return np.exp(TREND * (logs.max() - logs)) * student_t(generator, inputs)


TRUTHS = {
    "well-specified": Truth("the law, Student-t scatter with 5 degrees of freedom"),
    "clustered": Truth(
        "12 runs of 12 checkpoints with a shared shift, treated as independent",
        design=checkpoints,
        scatter=shared,
    ),
    "clustered with effects": Truth(
        "the same, and rows of a run share a shift in the model",
        design=checkpoints,
        scatter=shared,
        options={"effects": "run_id"},
    ),
    "heavy-tailed": Truth(
        "Student-t scatter with 1.5 degrees of freedom, fewer than the model has",
        scatter=lambda generator, inputs: student_t(generator, inputs, HEAVY),
    ),
    "heteroscedastic": Truth(
        "scatter that grows by a factor of e^0.5 for a decade less of compute", scatter=with_trend
    ),
    "collinear": Truth("D = 20 N but for 5%", design=collinear),
    "coupled law": Truth(
        "the coupled law, fitted by itself", law=COUPLED, options={"law": "coupled"}
    ),
    "another law": Truth("the coupled law, fitted by chinchilla", law=COUPLED),
    "drift": Truth("the law with a damped trend drawn from its prior", drift=DRIFT),
}


@dataclass(frozen=True)
class Study:
    """Runs, and the true values of what is asked for."""

    runs: Runs
    truth: dict[str, float]


def studies(truth: Truth, count: int, seed: int) -> tuple[list[Study], Answers]:
    """Simulated studies on one design, and where they are asked for losses and the optimum."""
    inputs, labels = truth.design(np.random.default_rng([seed, 0]))
    answers = Answers.beyond(inputs)
    with jax.enable_x64(True):
        expected = np.log(np.asarray(truth.law.loss(inputs)))
        far = np.asarray(truth.law.loss(answers.points))
        known = {
            "E": float(truth.law.E),
            "N_opt": float(truth.law.optimum(answers.product, 1.0)[0]),
        }
    if isinstance(truth.law, Chinchilla):
        known["alpha"] = float(truth.law.alpha)
    made = []
    for i in range(count):
        generator = np.random.default_rng([seed, 1, i])
        log_loss, ahead = expected + truth.scatter(generator, inputs), far
        if truth.drift is not None:
            increments = truth.drift.prior_draws(1, generator)
            every = np.concatenate([log_compute(inputs), log_compute(answers.points)])
            path = truth.drift.path(increments, every, answers.span, generator)[0]
            log_loss = log_loss + path[: len(log_loss)]
            ahead = far * np.exp(path[len(log_loss) :])
        losses = {f"loss_{f:g}x": float(ahead[k]) for k, f in enumerate(BEYOND)}
        made.append(Study(Runs(np.exp(log_loss), inputs, labels=labels), {**known, **losses}))
    return made, answers
