"""Learning curves of vision models, extrapolated: each law's error and coverage, in one table.

    python benchmarks/curves/run.py DATA --write

DATA is the folder of the public tables. Each curve is fitted on its authors' training part and scored on
the rest, which has larger x.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bayescale
from bayescale import Runs
from bayescale.laws import get_law, law_losses
from bayescale.noise import get_noise

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import renew_rows

README = Path(__file__).with_name("README.md")
LAWS = ("m1", "power", "m3", "m4", "double-saturation", "bnsl-1")
LEVEL = 0.9
DRAWS = 1000
DIGITS = {"seconds": 0, "fits that failed": 0, "coverage": 2, "curves covering 80% or more": 2}


@dataclass(frozen=True)
class Curve:
    """The part of a curve that is fitted, and the part that is forecast."""

    train: Runs
    test: Runs


@dataclass(frozen=True)
class Score:
    """Of one curve: RMSE of log error of the median, share of the points inside their interval."""

    rmse: float
    coverage: float


def curves(folder: Path) -> dict[str, Curve]:
    """The curves of error rates, by name."""
    import pandas

    table = pandas.read_csv(folder / "vision_curves.csv")

    def part(rows: pandas.DataFrame) -> Runs:
        return Runs.read({"x": rows["x"].to_numpy(), "error": rows["loss"].to_numpy()})

    return {
        name: Curve(part(rows[rows["split"] == "train"]), part(rows[rows["split"] == "holdout"]))
        for name, rows in table.groupby("curve")
    }


def score(draws: np.ndarray, observed: np.ndarray) -> Score:
    """Score draws of log error of new points, shape (draws, points)."""
    low, middle, high = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], axis=0)
    inside = (low <= observed) & (observed <= high)
    return Score(float(np.sqrt(np.mean((middle - observed) ** 2))), float(inside.mean()))


def plain(chosen: dict[str, Curve], law: str) -> tuple[dict[str, Score], int]:
    """The law alone, and how many of the fits failed.

    All curves in one batch; those that fail there, alone, in 64 bits and with more attempts.
    """
    train = {name: curve.train for name, curve in chosen.items()}
    many = bayescale.fit_many(train, law=law, draws=DRAWS, seed=0)
    status = dict(
        zip(*(many.table[column].to_pylist() for column in ("set", "status")), strict=True)
    )
    generator = np.random.default_rng(0)
    found, failed = {}, 0
    for name, curve in chosen.items():
        if status[name] == "failed":
            fit = bayescale.fit(curve.train, law=law, drift="none", seed=0)
            failed += fit.diagnostics.verdict == "failed"
            found[name] = forecast(fit, curve)
            continue
        draws = many.draws(name)
        made = get_law(law)(**{p.name: draws[p.name] for p in get_law(law).parameters()})
        noise = get_noise("student-t")
        scatter = noise(**{p.name: draws[p.name][:, None] for p in noise.parameters()})
        nothing = np.zeros((DRAWS, len(curve.test)))
        new = np.log(law_losses(made, curve.test.inputs))
        new = new + scatter.scatter(generator, nothing, nothing[0])
        found[name] = score(new, np.log(curve.test.loss))
    return found, failed


def forecast(fit: bayescale.Posterior, curve: Curve) -> Score:
    """The score of what a fit says of the rest of its curve."""
    points = {"x": curve.test["x"]}
    made = bayescale.predict(fit, points=points, seed=0, allow_failed=True)
    return score(np.log(made.draws), np.log(curve.test.loss))


def default(chosen: dict[str, Curve], law: str) -> tuple[dict[str, Score], int]:
    """The forecasts that a user gets without options: the law with a drift."""
    found, failed = {}, 0
    for name, curve in chosen.items():
        fit = bayescale.fit(curve.train, law=law, seed=0)
        failed += any(model.diagnostics.verdict == "failed" for model in fit.forecasters)
        found[name] = forecast(fit, curve)
    return found, failed


def summary(scores: Iterable[Score]) -> dict[str, float]:
    """The figures of a law: every curve counts the same."""
    found = list(scores)
    rmse = np.array([s.rmse for s in found])
    coverage = np.array([s.coverage for s in found])
    return {
        "RMSE, median curve": float(np.median(rmse)),
        "geometric mean": float(np.exp(np.log(rmse).mean())),
        "mean": float(rmse.mean()),
        "coverage": float(coverage.mean()),
        "curves covering 80% or more": float((coverage >= 0.8).mean()),
    }


WAYS = {"law alone": plain, "default": default}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public tables")
    parser.add_argument("--laws", default=",".join(LAWS), help="names, with commas (%(default)s)")
    parser.add_argument("--forecasts", default=",".join(WAYS), help="kinds (%(default)s)")
    parser.add_argument("--write", action="store_true", help="renew the rows of README.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = curves(options.data)
    print(f"{len(chosen)} curves")
    for way in options.forecasts.split(","):
        for law in options.laws.split(","):
            started = time.perf_counter()
            scores, failed = WAYS[way](chosen, law)
            figures = summary(scores.values())
            figures |= {"fits that failed": failed, "seconds": time.perf_counter() - started}
            cells = [f"{value:.{DIGITS.get(key, 4)}f}" for key, value in figures.items()]
            row = f"| {law} | {way} | " + " | ".join(cells) + " |"
            print(row, flush=True)
            if options.write:
                order = [f"{law} | {way}" for way in WAYS for law in LAWS]
                renew_rows(README, [[row]], order, cells=2)


if __name__ == "__main__":
    main()
