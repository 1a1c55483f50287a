"""What forecasts cost where the law is right: width and coverage of the default beside the law alone.

    python benchmarks/forecast/right_law.py

Runs are simulated from the Chinchilla law with Student-t scatter; each line is a number of runs and a
distance beyond them, in decades of compute.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

import bayescale
from bayescale import Runs
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


def compared(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return width over that of the law alone, shape (distances,); and who held, (2, distances)."""
    runs, generator = simulated(count, seed)
    compute = (runs.N * runs.D).max() * 10 ** np.array(DISTANCES)
    points = {"N": np.sqrt(compute / 20), "D": np.sqrt(compute * 20)}
    scatter = np.exp(SIGMA * generator.standard_t(NU, len(compute)))
    observed = np.asarray(TRUTH.loss(points)) * scatter
    fits = [bayescale.fit(runs, drift=drift, seed=seed) for drift in ("forecasts", "none")]
    found = [
        bayescale.predict(fit, points=points, level=LEVEL, allow_failed=True).intervals
        for fit in fits
    ]
    lower, upper = np.transpose([[(i.lower, i.upper) for i in each] for each in found])
    lower, upper = lower.T, upper.T
    return (upper - lower)[0] / (upper - lower)[1], (lower <= observed) & (observed <= upper)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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


if __name__ == "__main__":
    main()
