"""Decisions replayed: allocated from cheap runs, and held against what dearer runs of the budget showed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np

import bayescale
from bayescale import Runs
from bayescale.allocation.splitting import Terms, best_splits
from bayescale.intervals import Interval
from bayescale.isoflops.parabolas import MIN_RUNS, Parabola, approach_two, parabolas

TOLERANCE = 0.05  # share by which the compute of runs of one budget differs at most
SIZES = 3  # distinct N that a budget needs, to be a decision
LEVEL = 0.9
NEAR = 0.005  # of the loss: among the best
SEED = 0
RATIO = 20.0  # tokens per parameter of the rule of thumb

Rule = Callable[[float], float]  # a budget in FLOPs to N


@dataclass(frozen=True)
class Decision:
    """One budget beyond the fitted runs: what was advised, and what was found.

    Parameters
    ----------
    C, decades
        The budget, and how far it is beyond the largest compute of the fitted runs.
    optimum
        N of the allocation.
    advised
        N by each rule; only those that have an answer.
    N, loss
        Of the runs of the budget, in the order of N.
    minimum
        N at the minimum of the parabola through them; NaN if there is none, or the runs are too few.
    probability
        By the posterior, that each run is within 0.5% of the best.
    forecast_holds
        Whether the loss of each run is in the interval of its forecast.
    """

    C: float
    decades: float
    optimum: Interval
    advised: dict[str, float]
    N: np.ndarray
    loss: np.ndarray
    minimum: float
    probability: np.ndarray
    forecast_holds: np.ndarray

    @property
    def best(self) -> int:
        """The run of lowest loss."""
        return int(np.argmin(self.loss))

    @property
    def at_edge(self) -> bool:
        """Whether that is one of the smallest or the largest size, so that the optimum may lie outside."""
        return bool(self.N[self.best] in (self.N[0], self.N[-1]))

    @property
    def excess(self) -> np.ndarray:
        """Relative loss of each run above the best."""
        return self.loss / self.loss.min() - 1

    def regret(self, rule: str) -> float:
        """Excess of the run whose size is nearest to the advised one."""
        return float(self.excess[np.argmin(np.abs(np.log(self.N / self.advised[rule])))])

    def outside(self, rule: str) -> bool:
        """Whether the advised size lies outside those that were run."""
        return not self.N[0] <= self.advised[rule] <= self.N[-1]

    def holds(self, N: float) -> bool:
        return self.optimum.lower <= N <= self.optimum.upper


def rules(fit: bayescale.Posterior, train: Runs) -> dict[str, Rule]:
    """What is advised for a budget, from the fitted runs or without them."""
    k = train.flops_per_parameter_token
    terms = Terms(k)
    point = bayescale.point_estimate(train, seed=SEED)
    law = jax.tree.map(np.atleast_1d, point.law)
    found: dict[str, Rule] = {
        "median N of the posterior": lambda C: median_of(fit, C),
        "least expected regret": lambda C: least(fit, C),
        "20 tokens per parameter": lambda C: float(np.sqrt(C / (k * RATIO))),
        "point fit": lambda C: float(best_splits(law, [C], terms).N[0, 0]),
    }
    used = [p for p in parabolas(train) if not p.reason]
    if len(used) >= 2:
        line = approach_two(used, [p.loss for p in used])
        found["approach 2"] = lambda C: float(np.exp(line.log_at(np.array([C]))[0]))
    return found


def median_of(fit: bayescale.Posterior, C: float) -> float:
    return bayescale.allocate(fit, C, allow_failed=True).intervals["N"][0].median


def least(fit: bayescale.Posterior, C: float) -> float:
    found = bayescale.region(fit, C, tolerance=NEAR, allow_failed=True)
    return float(found.N[found.least])


def replayed(fit: bayescale.Posterior, train: Runs, test: Runs) -> Iterator[Decision]:
    """Every budget beyond the fitted runs that was run at three sizes or more."""
    advice, largest = rules(fit, train), train.C.max()
    for group in parabolas(test, TOLERANCE, min_runs=SIZES):
        if largest * (1 + 1e-9) < group.C and len(np.unique(group.log_n)) >= SIZES:
            yield decision(fit, advice, test, group, largest)


def decision(fit, advice: dict[str, Rule], test: Runs, group: Parabola, largest: float) -> Decision:
    rows = group.rows[np.argsort(test.N[group.rows], kind="stable")]
    plans = [
        bayescale.what_if(
            fit, test.N[i], test.D[i], tolerance=NEAR, level=LEVEL, seed=SEED, allow_failed=True
        )
        for i in rows
    ]
    forecasts = [plan.prediction.intervals[0] for plan in plans]
    best = bayescale.allocate(fit, group.C, level=LEVEL, allow_failed=True)
    return Decision(
        C=group.C,
        decades=float(np.log10(group.C / largest)),
        optimum=best.intervals["N"][0],
        advised={name: rule(group.C) for name, rule in advice.items()},
        N=test.N[rows],
        loss=test.loss[rows],
        minimum=float(np.exp(group.log_optimum)) if len(rows) >= MIN_RUNS else np.nan,
        probability=np.array([plan.probability for plan in plans]),
        forecast_holds=np.array(
            [f.lower <= test.loss[i] <= f.upper for f, i in zip(forecasts, rows, strict=True)]
        ),
    )
