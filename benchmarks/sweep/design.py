"""The design of the sweep: which models, how many tokens, which learning rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from transformer import Shape

SIZES = [
    Shape(16, 1),
    Shape(24, 1),
    Shape(24, 2),
    Shape(32, 2),
    Shape(48, 2),
    Shape(64, 2),
    Shape(64, 4),
    Shape(80, 4),
    Shape(96, 5),
    Shape(128, 4),
]

# Tokens per parameter of the runs to fit; no run of more than 4e12 FLOPs is among them.
RATIOS = {
    Shape(16, 1): [18, 45, 100, 200],
    Shape(24, 1): [10, 20, 45, 100, 200],
    Shape(24, 2): [6, 12.5, 25, 50, 100, 200],
    Shape(32, 2): [4, 8, 16, 32, 64, 128, 200],
    Shape(48, 2): [2, 5, 10, 20, 40, 80, 160],
    Shape(64, 2): [2, 5, 10, 20, 40],
    Shape(64, 4): [2, 4, 8, 15],
    Shape(80, 4): [2, 4, 6],
    Shape(96, 5): [2],
}

# Cells with three seeds: (shape, tokens per parameter).
REPEATED = [
    (Shape(16, 1), 45),
    (Shape(24, 1), 20),
    (Shape(24, 2), 12.5),
    (Shape(24, 2), 100),
    (Shape(32, 2), 8),
    (Shape(32, 2), 32),
    (Shape(48, 2), 5),
    (Shape(48, 2), 20),
    (Shape(64, 2), 5),
    (Shape(64, 4), 4),
]

# The runs to forecast, 5 to 10 times the compute of the largest run to fit: (shape, tokens).
FORECAST = [
    (Shape(64, 4), 17e6),
    (Shape(80, 4), 11e6),
    (Shape(80, 4), 18e6),
    (Shape(96, 5), 6e6),
    (Shape(96, 5), 11e6),
    (Shape(128, 4), 4.5e6),
]

# Learning rates are searched at these (shape, tokens), in factors of two.
TUNED = [
    (Shape(16, 1), 2e5),
    (Shape(16, 1), 1e6),
    (Shape(24, 2), 3e5),
    (Shape(24, 2), 2e6),
    (Shape(48, 2), 5e5),
    (Shape(48, 2), 3e6),
    (Shape(64, 4), 8e5),
    (Shape(64, 4), 3e6),
    (Shape(96, 5), 1.13e6),
]


class Job(NamedTuple):
    """One training run."""

    stage: str
    shape: Shape
    tokens: float
    learning_rate: float
    seed: int

    @property
    def name(self) -> str:
        """A file name that says what the run is."""
        rate = f"{self.learning_rate:.6f}"
        return f"{self.stage}-{self.shape.width}x{self.shape.layers}-{self.tokens:.0f}-{rate}-{self.seed}"


def next_rate(shape: Shape, losses: dict[int, float]) -> int | None:
    """The next exponent k to try, the rate being 2^k, or None once the best has worse neighbours.

    `losses` holds the loss at each exponent tried. The walk starts near 0.08 (width / 16)^-1.5.
    """
    if not losses:
        return round(np.log2(0.08 * (shape.width / 16) ** -1.5))
    best = min(losses, key=losses.__getitem__)
    return next((k for k in (best + 1, best - 1) if k not in losses), None)


def best_rate(rates: list[float], losses: list[float]) -> float:
    """The minimum of the parabola through the best rate and its neighbours, in log rate."""
    order = np.argsort(rates)
    x, y = np.log(np.asarray(rates)[order]), np.asarray(losses)[order]
    i = int(np.argmin(y))
    if i in (0, len(x) - 1):
        raise ValueError(f"the best of the rates {sorted(rates)} is at the edge of the search")
    curvature, slope, _ = np.polyfit(x[i - 1 : i + 2], y[i - 1 : i + 2], 2)
    return float(np.exp(-slope / (2 * curvature)))


def fit_rule(cells: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Least squares of log rate = c + p log N + q log D over (N, D, best rate) of the tuned cells."""
    n, d, rate = np.log(np.asarray(cells)).T
    c, p, q = np.linalg.lstsq(np.column_stack([np.ones_like(n), n, d]), rate, rcond=None)[0]
    return float(c), float(p), float(q)


def main_jobs(rule: tuple[float, float, float]) -> list[Job]:
    """The runs to fit and the runs to forecast, each at the rule's learning rate."""
    c, p, q = rule

    def job(stage: str, shape: Shape, tokens: float, seed: int) -> Job:
        rate = float(np.exp(c + p * np.log(shape.params) + q * np.log(tokens)))
        return Job(stage, shape, tokens, rate, seed)

    jobs = [job("forecast", shape, tokens, 0) for shape, tokens in FORECAST]
    for shape, ratios in RATIOS.items():
        for ratio in ratios:
            seeds = range(3) if (shape, ratio) in REPEATED else range(1)
            jobs += [job("fit", shape, ratio * shape.params, seed) for seed in seeds]
    return jobs
