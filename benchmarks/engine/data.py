"""Data sets for the clock: runs shaken a little, bootstrap samples, and simulated runs."""

from __future__ import annotations

import numpy as np

from bayescale import Runs
from bayescale.laws import get_law
from bayescale.model import data_of
from bayescale.sweep.sources import Prepared

SHAKE = 0.001  # of log losses: new data of the same size, with about the same posterior
TRUTH = get_law("chinchilla").from_published("besiroglu-2024")
SCATTER = 0.006  # sd of log losses about the law, as the prior's median


def shaken(runs: Runs, seed: int) -> Runs:
    """The same design with losses that differ a little, so that no result can be reused."""
    generator = np.random.default_rng([seed, 77])
    loss = runs.loss * np.exp(SHAKE * generator.standard_normal(len(runs)))
    return Runs.read({"N": runs.N, "D": runs.D, "loss": loss})


def bootstrap(runs: Runs, count: int) -> list[Prepared]:
    """Bootstrap samples of the runs as weights, so that each has their size."""
    base, generator = data_of(runs, ("N", "D")), np.random.default_rng(0)
    samples = []
    for _ in range(count):
        weight = np.zeros_like(base.weight)
        picked = generator.integers(0, len(runs), len(runs))
        weight[: len(runs)] = np.bincount(picked, minlength=len(runs))
        samples.append(Prepared(base._replace(weight=weight), len(runs)))
    return samples


def simulated(rows: int, sets: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Columns set, N, D, loss: Chinchilla runs of 10M to 10B parameters, 2 to 200 tokens for each."""
    generator = np.random.default_rng([seed, rows])
    n = 10 ** generator.uniform(7, 10, (sets, rows))
    d = n * 10 ** generator.uniform(np.log10(2), np.log10(200), (sets, rows))
    scatter = np.exp(SCATTER * generator.standard_normal((sets, rows)))
    loss = (TRUTH.E + TRUTH.A * n**-TRUTH.alpha + TRUTH.B * d**-TRUTH.beta) * scatter
    columns = {"N": n, "D": d, "loss": loss}
    named = {name: column.ravel() for name, column in columns.items()}
    return {"set": np.repeat(np.arange(sets), rows), **named}


def simulated_runs(rows: int, seed: int = 0) -> Runs:
    """One simulated data set."""
    table = simulated(rows, 1, seed)
    return Runs.read({name: table[name] for name in ("N", "D", "loss")})
