"""Do designs narrow an answer more than what people run: `python benchmarks/design/run.py --write`.

Studies whose truth is known; further runs of one cost, chosen by `bayescale.design`, on an isoFLOP grid and
on a ladder of optimal runs; all fitted again, and the answers' sds and interval scores compared.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import bayescale
from bayescale import Runs
from bayescale.contraction import NORMAL_WIDTH
from bayescale.laws import Chinchilla, Law, law_losses

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import renew, table

README = Path(__file__).parent / "README.md"
SIGMA, NU = 0.005, 8.0  # of the scatter of log loss
LEVEL = 0.9
FAR = 1e23  # FLOPs at which answers are asked
SIZE = np.sqrt(FAR / 6 / 20)  # of the run whose loss is asked, at 20 tokens per parameter
TARGETS = {
    f"tokens_per_parameter at {FAR:g}": "tokens_per_parameter_1",
    f"loss at N={SIZE:.6g},D={20 * SIZE:.6g}": "loss_1",
    "alpha": "alpha",
}
RATIOS = np.geomspace(2.0, 200.0, 4)  # D/N of an isoFLOP grid
PILOT = 12
STUDIES: dict[
    str, dict[str, Any]
] = {  # FLOPs, runs, proportions of the budgets of the isoFLOP grids
    "after a pilot": {"budget": 1e21, "runs": 8, "close": (1.0, 4.0), "wide": (1.0, 30.0)},
    "before any runs": {
        "budget": 1e21,
        "runs": 12,
        "close": (1.0, 4.0, 16.0),
        "wide": (1.0, 30.0, 900.0),
    },
}
ALLOWED = {"params": "2e7:1e10", "ratios": "2:200"}


def truth(seed: int) -> Law:
    """A Chinchilla law with exponents, E and optimum about those of published fits."""
    z = np.random.default_rng([seed, 0]).standard_normal(5)
    alpha, beta = 0.34 * np.exp(0.2 * z[0]), 0.34 * np.exp(0.2 * z[1])
    N = np.sqrt(1e20 / 6 / 20) * np.exp(-0.25 * z[2])
    D = 1e20 / 6 / N
    reducible = 0.75 * np.exp(0.2 * z[3])
    share = beta / (alpha + beta)  # at the optimum alpha A N^-alpha = beta B D^-beta
    A, B = reducible * share * N**alpha, reducible * (1 - share) * D**beta
    values = {"E": 1.8 * np.exp(0.1 * z[4]), "A": A, "B": B, "alpha": alpha, "beta": beta}
    return Chinchilla(**{name: np.array([value]) for name, value in values.items()})


def losses(law: Law, points: Mapping[str, Any], stream: list[int]) -> np.ndarray:
    scatter = SIGMA * np.random.default_rng(stream).standard_t(NU, len(points["N"]))
    return law_losses(law, points)[0] * np.exp(scatter)


def pilot(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng([seed, 1])
    N = 10 ** generator.uniform(7.3, 8.7, PILOT)
    return {"N": N, "D": N * 10 ** generator.uniform(0.7, 1.9, PILOT)}


def isoflop(budget: float, rounds: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Sizes evenly spaced in log N at each of some budgets, that cost as much as the design together."""
    each = budget / (len(RATIOS) * sum(rounds)) * np.repeat(rounds, len(RATIOS))
    ratio = np.tile(RATIOS, len(rounds))
    return {"N": np.sqrt(each / 6 / ratio), "D": np.sqrt(each / 6 * ratio)}


def ladder(budget: float, runs: int) -> dict[str, np.ndarray]:
    """Runs at 20 tokens per parameter, each at twice the compute of the one before."""
    each = budget * 2.0 ** np.arange(runs) / (2.0**runs - 1)
    return {"N": np.sqrt(each / 6 / 20), "D": np.sqrt(each / 6 * 20)}


def simulated(law: Law, pieces: list[tuple[dict[str, np.ndarray], list[int]]]) -> Runs:
    loss = np.concatenate([losses(law, points, stream) for points, stream in pieces])
    inputs = {s: np.concatenate([points[s] for points, _ in pieces]) for s in ("N", "D")}
    return Runs(loss=loss, inputs=inputs)


def answers(law: Law) -> dict[str, float]:
    N, D = law.optimum(FAR, 6.0)
    point = {"N": np.array([SIZE]), "D": np.array([20 * SIZE])}
    return {
        "tokens_per_parameter_1": float(D[0] / N[0]),
        "loss_1": float(law_losses(law, point)[0, 0]),
        "alpha": float(law.alpha[0]),
    }


def study(name: str, truths: list[Law]) -> list[list[str]]:
    """Rows of the table of one study."""
    settings = STUDIES[name]
    budget, most = settings["budget"], settings["runs"]
    first = name == "before any runs"
    usual = {
        "close isoFLOP grid": isoflop(budget, settings["close"]),
        "wide isoFLOP grid": isoflop(budget, settings["wide"]),
        "ladder": ladder(budget, most),
    }
    expected: dict[str, list[float]] = {t: [] for t in TARGETS}
    spent, sets = [], {}
    early = (
        {t: bayescale.design("chinchilla", t, budget, runs=most, **ALLOWED) for t in TARGETS}
        if first
        else {}
    )
    for seed, law in enumerate(truths):
        own = [] if first else [(pilot(seed), [seed, 2])]
        fit = None if first else bayescale.fit(simulated(law, own), drift="none", seed=seed)
        for i, target in enumerate(TARGETS):
            if fit is None:
                found = early[target]
            else:
                found = bayescale.design(
                    fit, target, budget, runs=most, **ALLOWED, allow_failed=True
                )
            of_log = 1.0 if found.scale == "log" else found.before.median
            expected[target].append(float(found.sd_after[-1]) / of_log)
            spent.append(found.C.sum() / budget)
            sets[f"design {i}", seed] = simulated(law, [*own, (found.points, [seed, 3, i])])
        for i, (way, points) in enumerate(usual.items()):
            sets[way, seed] = simulated(law, [*own, (points, [seed, 4, i])])
    point = {"N": [SIZE], "D": [20 * SIZE]}
    named = {f"{way}/{seed}": runs for (way, seed), runs in sets.items()}
    many = bayescale.fit_many(
        named, points=point, flops=[FAR], seed=0, level=LEVEL, allow=("collinear", "few-points")
    )
    frame = many.to_frame().set_index("set")
    print(f"{name}: {many!r}; designs spend {np.mean(spent):.0%} of the budget", flush=True)
    real = [answers(law) for law in truths]

    def scored(way: str, column: str) -> tuple[np.ndarray, ...]:
        """Sds of the logarithm, interval scores of it, and whether the truth was inside, by study."""
        rows = frame.loc[[f"{way}/{seed}" for seed in range(len(truths))]]
        lower, upper = np.log(rows[f"{column}_lower"]), np.log(rows[f"{column}_upper"])
        y = np.log([answer[column] for answer in real])
        outside = np.maximum(lower - y, 0) + np.maximum(y - upper, 0)
        width = (upper - lower).to_numpy()
        score = width + 2 / (1 - LEVEL) * outside.to_numpy()
        inside = np.where(np.isfinite(width), (outside == 0).to_numpy(), np.nan)
        return width / NORMAL_WIDTH, score, inside

    lines = []
    for i, (target, column) in enumerate(TARGETS.items()):
        sd, score, inside = scored(f"design {i}", column)
        words = [name, target.partition(" at ")[0], f"{np.exp(np.nanmean(np.log(sd))):.3g}"]
        words.append(f"{np.nanmean(sd) / np.mean(expected[target]):.2f}")
        for way in usual:
            other, other_score, _ = scored(way, column)
            both = np.isfinite(other) & np.isfinite(sd)
            logs = np.log(other[both] / sd[both])
            words.append(with_error(np.exp(logs.mean()), np.exp(logs.mean()) * logs))
            ratio = other_score[both].mean() / score[both].mean()
            excess = (other_score - ratio * score)[both] / score[both].mean()
            words.append(with_error(ratio, excess))
        words.append(f"{np.nanmean(inside):.2f}")
        lines.append(words)
    return lines


def with_error(value: float, terms: np.ndarray) -> str:
    """A figure with the standard error of the mean of its terms."""
    return f"{value:.2f} ({terms.std(ddof=1) / np.sqrt(len(terms)):.2f})"


HEADS = (
    "further runs", "answer", "sd of its log after the design", "that over what the design expected",
    "close isoFLOP grid: sd", "score", "wide isoFLOP grid: sd", "score", "ladder: sd", "score",
    "coverage after the design",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--truths", type=int, default=96, help="simulated studies (%(default)s)")
    parser.add_argument("--write", action="store_true", help="renew the table of README.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    started = time.process_time()
    truths = [truth(seed) for seed in range(options.truths)]
    rows = [row for name in STUDIES for row in study(name, truths)]
    lines = table(HEADS, rows)
    print("\n".join(lines))
    print(f"{time.process_time() - started:.0f} seconds of processor time")
    if options.write:
        words = f"{options.truths} simulated studies, {datetime.now(UTC):%Y-%m-%d}"
        renew(README, "\n".join([words, "", *lines]))


if __name__ == "__main__":
    main()
