"""Point estimates: the Huber fit of the Chinchilla papers in SciPy, its bootstrap, and simple-scaling-laws.

The papers minimise the sum of Huber losses, of threshold 0.001, of log loss, by L-BFGS from a grid of
starts (Hoffmann et al. 2022, arXiv:2203.15556, appendix D.3; Besiroglu et al. 2024, arXiv:2404.10102).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np
from report import Context, figure, table, why
from samplers_jax import with_bayescale
from scipy.optimize import minimize

from bayescale import Runs

DELTA = 1e-3
STARTS = np.array(
    list(
        itertools.product(
            np.arange(0, 30, 5), np.arange(0, 30, 5), np.arange(-1, 1.5, 0.5),
            np.arange(0, 2.5, 0.5), np.arange(0, 2.5, 0.5),
        )
    )
)  # fmt: skip
"""Hoffmann et al.'s grid of log A, log B, log E, alpha, beta."""


def huber_fit(log_n, log_d, y, start, weight=1.0):
    """The best log A, log B, log E, alpha, beta from one start, and the objective there."""

    def objective(x):
        terms = np.array([x[0] - x[3] * log_n, x[1] - x[4] * log_d, np.full_like(y, x[2])])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        residual = top + np.log(total) - y
        pull = weight * np.clip(residual, -DELTA, DELTA)
        by_term = pull * (shares / total)
        n, d = by_term[0], by_term[1]
        gradient = np.array([n.sum(), d.sum(), by_term[2].sum(), -n @ log_n, -d @ log_d])
        size = np.abs(residual)
        inside = size <= DELTA
        value = np.where(inside, 0.5 * residual**2, DELTA * (size - 0.5 * DELTA))
        return np.sum(weight * value), gradient

    found = minimize(objective, start, jac=True, method="L-BFGS-B")
    return found.x, found.fun


def columns(runs: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.log(runs.N), np.log(runs.D), np.log(runs.loss)


def best_of_grid(runs: Runs, starts: np.ndarray) -> np.ndarray:
    fits = [huber_fit(*columns(runs), start) for start in starts]
    return min(fits, key=lambda fit: fit[1])[0]


def bootstrap_fits(runs: Runs, optimum: np.ndarray, count: int) -> np.ndarray:
    """A fit for each sample of rows, from the optimum of all rows."""
    generator = np.random.default_rng(0)
    rows = [generator.integers(0, len(runs), len(runs)) for _ in range(count)]
    log_n, log_d, y = columns(runs)
    return np.array([huber_fit(log_n[r], log_d[r], y[r], optimum)[0] for r in rows])


def simple_scaling_laws(runs: Runs, draws: int) -> dict[str, float]:
    """Its Chinchilla form is `separable-power`: weighted least squares of the loss itself."""
    import polars
    import simple_scaling_laws

    frame = polars.DataFrame(
        {
            "training_run_id": [str(i) for i in range(len(runs))],
            "model_size__parameters": runs.N,
            "dataset_size__tokens": runs.D,
            "test_loss__loss": runs.loss,
        }
    )
    model = simple_scaling_laws.fit(frame, law="separable-power", n_draws=draws)
    return model.params("test_loss__loss")


def rows(context: Context) -> Iterator[list[str]]:
    runs, quick = context.runs, context.quick
    fit = with_bayescale(runs)
    fit(runs, 0)
    started = time.perf_counter()
    draws = [fit(runs, seed) for seed in range(1, 4)]
    seconds = (time.perf_counter() - started) / len(draws)
    alpha, beta = (np.median([d[name] for d in draws]) for name in ("alpha", "beta"))
    yield _row("`bayescale.fit`: a posterior (medians)", seconds, alpha, beta)

    starts = STARTS[:: 500 if quick else 10]
    started = time.perf_counter()
    optimum = best_of_grid(runs, starts)
    name = f"SciPy, Huber loss, {len(starts):,} of the grid's {len(STARTS):,} starts"
    yield _row(name, time.perf_counter() - started, *optimum[3:])

    count = 20 if quick else 500
    started = time.perf_counter()
    found = bootstrap_fits(runs, optimum, count)
    name = f"SciPy, Huber loss, a sample of its bootstrap (medians of {count:,})"
    yield _row(name, (time.perf_counter() - started) / count, *np.median(found[:, 3:], axis=0))

    for draws in (1, 100 if quick else 1000):  # draws of its bootstrap
        name = (
            f"simple-scaling-laws, bootstrap of {draws:,}" if draws > 1 else "simple-scaling-laws"
        )
        try:
            simple_scaling_laws(runs, 1)  # imports
            started = time.perf_counter()
            values = simple_scaling_laws(runs, draws)
        except Exception as error:
            yield [name, why(error)]
            continue
        yield _row(name, time.perf_counter() - started, values["alpha"], values["beta"])


def _row(name: str, seconds: float, alpha: float, beta: float) -> list[str]:
    return [name, figure(1 / seconds), figure(1e3 * seconds), f"{alpha:.3f}", f"{beta:.3f}"]


def lines(context: Context) -> Iterator[str]:
    yield "### Point estimates of the same runs, one core\n"
    yield from table(["", "fits a second", "ms a fit", "alpha", "beta"], rows(context))
