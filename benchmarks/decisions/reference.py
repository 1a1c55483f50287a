"""Where no budget was run at several sizes: the law fitted to all runs stands in for what was best."""

from __future__ import annotations

from dataclasses import dataclass

from replay import LEVEL, NEAR, SEED, rules

import bayescale
from bayescale import Runs
from bayescale.intervals import Interval


@dataclass(frozen=True)
class Referred:
    """One run beyond the fitted ones as a plan of its own budget.

    Parameters
    ----------
    optimum
        N of the allocation from the fitted runs.
    reference
        Median N of the allocation from all runs.
    regrets
        Median relative loss of each rule's plan above the best, by the law of all runs.
    probability, excess
        That the run is within 0.5% of the best, by the fitted runs; and its median relative loss above
        the best, by the law of all runs.
    """

    optimum: Interval
    reference: float
    regrets: dict[str, float]
    probability: float
    excess: float


def referred(fit: bayescale.Posterior, every: bayescale.Posterior, train: Runs, test: Runs):
    """Every run beyond the fitted ones."""
    advice, k = rules(fit, train), train.flops_per_parameter_token

    def excess(N: float, D: float) -> float:
        options = {"tolerance": NEAR, "seed": SEED, "allow_failed": True}
        return bayescale.what_if(every, N, D, **options).excess.median

    for N, D in zip(test.N, test.D, strict=True):
        C = k * N * D
        optimum, known = (
            bayescale.allocate(f, C, level=LEVEL, allow_failed=True).intervals["N"][0]
            for f in (fit, every)
        )
        plan = bayescale.what_if(fit, N, D, tolerance=NEAR, seed=SEED, allow_failed=True)
        advised = {name: rule(C) for name, rule in advice.items()}
        yield Referred(
            optimum=optimum,
            reference=known.median,
            regrets={name: excess(n, C / (k * n)) for name, n in advised.items()},
            probability=plan.probability,
            excess=excess(N, D),
        )
