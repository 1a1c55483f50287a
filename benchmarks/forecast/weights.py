"""Weights of laws by their backtests: which rule gives the best forecasts of larger runs on public data.

    python benchmarks/forecast/weights.py DATA --write

DATA is the folder of the public tables. On each split, backtests of the fitted runs weigh the laws, and the
mixture forecasts the others.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from methods import DRIFT, TREND
from scores import Score, score, summary
from sets import Split, read, splits

import bayescale
from bayescale import Runs
from bayescale.backtesting import rolling_origins
from bayescale.comparison.stacking import forecast_weights, stacking_weights
from bayescale.mixture import law_points, pooled
from bayescale.prediction import log_predictive_density

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import renew

README = Path(__file__).with_name("README.md")
LAWS = {
    "chinchilla": ("chinchilla", None),
    "coupled": ("coupled", None),
    "power in C": ("power", "C"),
    "power in N": ("power", "N"),
}
SHOWN = ("mean coverage", "splits covering 80% or more", "interval score", "CRPS")
Origins = list[np.ndarray]


def dirichlet(origins: Origins) -> np.ndarray:
    """Stacking in which an origin counts as one outcome, with a Dirichlet(2) prior of the weights."""
    logs = np.concatenate(origins, axis=1)
    counts = np.concatenate([np.full(each.shape[1], 1 / each.shape[1]) for each in origins])
    density = np.exp(logs - logs.max(axis=0))
    w = np.full(len(logs), 1 / len(logs))
    for _ in range(5000):
        share = w[:, None] * density
        w = (share / share.sum(axis=0)) @ counts + 1
        w /= w.sum()
    return w


RULES: dict[str, Callable[[Origins], np.ndarray]] = {
    "equal": lambda origins: np.full(len(origins[0]), 1 / len(origins[0])),
    "best by mean log score": lambda origins: np.eye(len(origins[0]))[
        np.argmax(np.concatenate(origins, axis=1).mean(axis=1))
    ],
    "stacking": lambda origins: stacking_weights(np.concatenate(origins, axis=1)),
    "stacking of origins, Dirichlet prior": dirichlet,
    "an origin is one outcome (compare)": forecast_weights,
}


def fitted(runs: Runs, law: str, x: str | None) -> bayescale.Posterior:
    """What the forecasts of a law alone come from: with a drift, and scatter that has a trend."""
    runs = runs if x is None else runs.with_x(x)
    return bayescale.fit(runs, law, TREND, drift=DRIFT, draws=500, seed=0)


def at(posterior: bayescale.Posterior, runs: Runs) -> dict[str, np.ndarray]:
    """The runs as the inputs of a law."""
    return law_points(posterior, {"N": runs.N, "D": runs.D})


def forecasts(split: Split, law: str, x: str | None) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Draws of log loss at the larger runs, and log densities from each origin by its size."""
    fit = fitted(split.train, law, x)
    draws = np.log(bayescale.predict(fit, points=at(fit, split.test), allow_failed=True).draws)
    order, cuts = rolling_origins(np.log10(split.train.N * split.train.D))
    there = {}
    for cut in cuts:
        larger = split.train.take(order[cut:])
        with contextlib.suppress(bayescale.BayescaleError):
            cheaper = fitted(split.train.take(np.sort(order[:cut])), law, x)
            there[cut] = log_predictive_density(
                cheaper, at(cheaper, larger), larger.loss, larger.relative_se
            )
    return draws, there


def kept(path: Path | None, made: Callable[[], tuple]) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Forecasts from a file, if they were made before; else made and kept there."""
    if path is not None and path.exists():
        with np.load(path) as file:
            there = {int(name): file[name] for name in file.files if name != "draws"}
            return file["draws"], there
    draws, there = made()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, draws=draws, **{str(cut): logs for cut, logs in there.items()})
    return draws, there


def collect(
    sets: dict[str, Runs], folder: Path | None
) -> list[tuple[Split, list[np.ndarray], Origins]]:
    """For each split, the draws of each law and the log densities from the origins of all laws."""
    found = []
    for split in splits(sets):
        started = time.perf_counter()
        each = []
        for name, law in LAWS.items():
            path = folder and folder / f"{split.name} {split.fraction} {name}.npz"
            each.append(kept(path, partial(forecasts, split, *law)))
        shared = sorted(set.intersection(*(set(there) for _, there in each)))
        origins = [np.array([there[cut] for _, there in each]) for cut in shared]
        found.append((split, [draws for draws, _ in each], origins))
        seconds = time.perf_counter() - started
        print(f"{split.name} {split.fraction}: {len(shared)} origins, {seconds:.0f} s", flush=True)
    return found


def scored(found: list, rule: Callable[[Origins], np.ndarray], count: int) -> list[Score]:
    """Scores of the mixtures of the first laws under a rule."""
    scores = []
    for split, draws, origins in found:
        weights = rule([each[:count] for each in origins])
        kept = [(d, w) for d, w in zip(draws, weights, strict=False) if w > 1e-4]
        total = sum(w for _, w in kept)
        scores.append(score(split, pooled([d for d, _ in kept], [w / total for _, w in kept])))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public tables")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep the forecasts here, and use those that are there",
    )
    parser.add_argument("--write", action="store_true", help="renew the table of README.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = collect(read(options.data), options.keep)
    lines = ["| laws | weights | " + " | ".join(SHOWN) + " |", "|---" * (len(SHOWN) + 2) + "|"]
    for count in (2, 3, 4):
        for name, rule in RULES.items():
            figures = summary(scored(found, rule, count))
            cells = [f"{figures[key]:.{4 if key in SHOWN[2:] else 2}f}" for key in SHOWN]
            lines.append(f"| {count} | {name} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    if options.write:
        block = "\n".join([f"{len(found)} splits, {time.strftime('%Y-%m-%d')}", "", *lines])
        renew(README, block, "weights")


if __name__ == "__main__":
    main()
