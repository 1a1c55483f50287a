"""Decisions replayed: allocated from cheap runs, and held against what dearer runs of the budget showed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
from wider import Wider

import bayescale
from bayescale import Runs
from bayescale.allocation.splitting import Terms, best_splits
from bayescale.intervals import Interval
from bayescale.isoflops.parabolas import MIN_RUNS, Parabola, approach_two, parabolas, resampled

TOLERANCE = 0.05  # share by which the compute of runs of one budget differs at most
SIZES = 3  # distinct N that a budget needs, to be a decision
LEVEL = 0.9
NEAR = 0.005  # of the loss: among the best
SEED = 0
SAMPLES, PAIRS = 1000, 10_000  # of the bootstrap, and of differences
RATIO = 20.0  # tokens per parameter of the rule of thumb

Rule = Callable[[float], float]  # a budget in FLOPs to N


@dataclass(frozen=True)
class Decision:
    """One budget beyond the fitted runs: what was advised, and what was found.

    Parameters
    ----------
    C, decades
        The budget, and how far it is beyond the largest compute of the fitted runs.
    optimum, wider
        N of the allocation; and by the laws that forecasts come from.
    advised
        N by each rule; only those that have an answer.
    N, loss
        Of the runs of the budget, in the order of N.
    minimum
        N at the minimum of the parabola through them; NaN if there is none, or the runs are too few.
    agrees
        Whether the 90% interval of optimum (or wider) less minimum has 0 in it, with the error of the
        minimum by the bootstrap of the parabolas; empty if there is no minimum.
    probability, wider_probability
        By `what_if`, that each run is within 0.5% of the best: of the law's mean loss, and all sizes; and
        by the laws that forecasts come from.
    seen
        By `predict`, that its loss is seen within 0.5% of the lowest of these runs, scatter and drift
        included.
    forecast_holds
        Whether the loss of each run is in the interval of its forecast.
    """

    C: float
    decades: float
    optimum: Interval
    wider: Interval
    advised: dict[str, float]
    N: np.ndarray
    loss: np.ndarray
    minimum: float
    agrees: dict[str, bool]
    probability: np.ndarray
    wider_probability: np.ndarray
    seen: np.ndarray
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


def rules(fit: bayescale.Posterior, train: Runs) -> dict[str, Rule]:
    """What is advised for a budget, from the fitted runs or without them."""
    k = train.flops_per_parameter_token
    terms = Terms(k)
    point = bayescale.point_estimate(train, seed=SEED)
    law = jax.tree.map(np.atleast_1d, point.law)
    found: dict[str, Rule] = {
        "median N of the posterior": lambda C: median_of(fit, C),
        "least expected regret": lambda C: least(fit, C),
        "median N of the laws of forecasts": Wider(fit, k).median,
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


def replayed(
    fit: bayescale.Posterior, train: Runs, test: Runs, tolerance: float = TOLERANCE
) -> Iterator[Decision]:
    """Every budget beyond the fitted runs that was run at three sizes or more."""
    advice, largest = rules(fit, train), train.C.max()
    groups = [
        p
        for p in parabolas(test, tolerance, min_runs=SIZES)
        if p.C / largest > 1 + 1e-9 and len(np.unique(p.log_n)) >= SIZES
    ]
    minima = dict(zip([p.C for p in groups], bootstrapped(groups), strict=True))
    for group in groups:
        yield decision(fit, advice, test, group, largest, minima[group.C])


def bootstrapped(groups: list[Parabola]) -> list[np.ndarray]:
    """Log N at minima of parabolas through resampled losses; none for budgets without a minimum."""
    curved = [p for p in groups if len(p.rows) >= MIN_RUNS and np.isfinite(p.log_optimum)]
    losses = resampled(curved, SAMPLES, SEED) if curved else []
    samples = dict(zip([p.C for p in curved], losses, strict=True))
    none = np.empty(0)
    minima = [p.minimum(samples[p.C]) if p.C in samples else none for p in groups]
    return [m[np.isfinite(m)] for m in minima]


def decision(
    fit: bayescale.Posterior,
    advice: dict[str, Rule],
    test: Runs,
    group: Parabola,
    largest: float,
    minima: np.ndarray,
) -> Decision:
    rows = group.rows[np.argsort(test.N[group.rows], kind="stable")]
    options = {"level": LEVEL, "seed": SEED, "allow_failed": True}
    N, D, loss = test.N[rows], test.D[rows], test.loss[rows]
    plans = [
        bayescale.what_if(fit, n, d, tolerance=NEAR, **options) for n, d in zip(N, D, strict=True)
    ]
    forecast = bayescale.predict(fit, N=N, D=D, **options)
    excess = forecast.draws / forecast.draws.min(axis=1, keepdims=True) - 1
    best = bayescale.allocate(fit, group.C, level=LEVEL, allow_failed=True)
    wider = Wider(fit, test.flops_per_parameter_token)
    draws = {"optimum": best.draws["N"][:, 0], "wider": wider.optima(group.C)}
    return Decision(
        C=group.C,
        decades=float(np.log10(group.C / largest)),
        optimum=best.intervals["N"][0],
        wider=Interval.of(draws["wider"], LEVEL),
        advised={name: rule(group.C) for name, rule in advice.items()},
        N=N,
        loss=loss,
        minimum=float(np.exp(group.log_optimum)) if len(minima) else np.nan,
        agrees={name: agree(np.log(N), minima) for name, N in draws.items() if len(minima)},
        probability=np.array([plan.probability for plan in plans]),
        wider_probability=wider.probability(N, D, NEAR),
        seen=np.mean(excess <= NEAR, axis=0),
        forecast_holds=np.array(
            [i.lower <= x <= i.upper for i, x in zip(forecast.intervals, loss, strict=True)]
        ),
    )


def agree(optima: np.ndarray, minima: np.ndarray) -> bool:
    """Whether the 90% interval of the difference of two independent quantities has 0 in it."""
    generator = np.random.default_rng(SEED)
    difference = generator.choice(optima, PAIRS) - generator.choice(minima, PAIRS)
    low, high = np.quantile(difference, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return bool(low <= 0 <= high)
