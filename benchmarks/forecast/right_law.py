"""What forecasts cost where the law is right: width and coverage of the default beside the law alone.

    python benchmarks/forecast/right_law.py [DATA]

Runs are simulated from the Chinchilla law with Student-t scatter; each line is a number of runs and a
distance beyond them, in decades of compute. Then, what the runs say of their drift: how likely each of its
kinds is, of these studies and, with DATA, of the splits of the public sets.
"""

from __future__ import annotations

import argparse
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from sets import read, splits

import bayescale
from bayescale import Posterior, Runs
from bayescale.drift import DampedTrend
from bayescale.laws import get_law

TRUTH = get_law("chinchilla").from_published("besiroglu-2024")
SIGMA, NU = 0.006, 5
DISTANCES = (0.3, 1.0, 2.0)
RUNS = (40, 200)
LEVEL = 0.9


def simulated(count: int, seed: int) -> tuple[Runs, np.random.Generator]:
    generator = np.random.default_rng([seed, count])
    N = 10 ** generator.uniform(7.5, 9.5, count)
    D = N * 10 ** generator.uniform(0.4, 2.3, count)
    scatter = np.exp(SIGMA * generator.standard_t(NU, count))
    loss = np.asarray(TRUTH.loss({"N": N, "D": D})) * scatter
    return Runs.read({"params": N, "tokens": D, "loss": loss}), generator


@cache
def default_fit(count: int, seed: int) -> Posterior:
    """Return the default fit of a study; once, since both tables ask for it."""
    return bayescale.fit(simulated(count, seed)[0], seed=seed)


def compared(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return width over that of the law alone, shape (distances,); and who held, (2, distances)."""
    runs, generator = simulated(count, seed)
    compute = (runs.N * runs.D).max() * 10 ** np.array(DISTANCES)
    points = {"N": np.sqrt(compute / 20), "D": np.sqrt(compute * 20)}
    scatter = np.exp(SIGMA * generator.standard_t(NU, len(compute)))
    observed = np.asarray(TRUTH.loss(points)) * scatter
    fits = [default_fit(count, seed), bayescale.fit(runs, drift="none", seed=seed)]
    found = [
        bayescale.predict(fit, points=points, level=LEVEL, allow_failed=True).intervals
        for fit in fits
    ]
    lower, upper = np.transpose([[(i.lower, i.upper) for i in each] for each in found])
    lower, upper = lower.T, upper.T
    return (upper - lower)[0] / (upper - lower)[1], (lower <= observed) & (observed <= upper)


def kinds_of_drift(fit: Posterior) -> np.ndarray:
    """Return the probability of each kind of drift, the loudest first, mean of both laws."""
    found = []
    for model in fit.forecasters:
        increments = {name: np.ravel(model.coordinates[name]) for name in model.spec.drift.names}
        found.append(model.spec.drift.kind_probabilities(increments).mean(axis=1))
    return np.mean(found, axis=0)


def print_kinds(data: Path | None, studies: int) -> None:
    def line(name: str, runs: object, kinds: np.ndarray) -> None:
        print(f"| {name} | {runs} | " + " | ".join(f"{p:.2f}" for p in kinds) + " |", flush=True)

    scales = (DampedTrend().scale, *(scale for _, scale in DampedTrend().quieter))
    print("\n| set | runs | " + " | ".join(f"scale {s:g}" for s in scales) + " |")
    print("|---|---|" + "---|" * len(scales))
    for count in RUNS:
        kinds = [kinds_of_drift(default_fit(count, seed)) for seed in range(studies)]
        line("the law is right, median", count, np.median(kinds, axis=0))
    for split in [] if data is None else splits(read(data)):
        line(split.name, len(split.train), kinds_of_drift(bayescale.fit(split.train)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of the public tables")
    parser.add_argument("--sets", type=int, default=25, help="simulated studies (%(default)s)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "| runs | decades beyond | width over the law's own | coverage | the law's own coverage |"
    )
    print("|---|---|---|---|---|")
    for count in RUNS:
        widths, inside = zip(*(compared(count, seed) for seed in range(options.sets)), strict=True)
        ratio, covered = np.median(widths, axis=0), np.mean(inside, axis=0)
        for k, distance in enumerate(DISTANCES):
            cells = f"{ratio[k]:.2f} | {covered[0, k]:.2f} | {covered[1, k]:.2f}"
            print(f"| {count} | {distance} | {cells} |", flush=True)
    print_kinds(options.data, options.sets)


if __name__ == "__main__":
    main()
