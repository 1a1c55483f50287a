"""Real decisions replayed: allocate from the cheapest 65% of runs, and see what the others show was best.

    python benchmarks/decisions/run.py DATA --write

DATA is the folder of the public tables. Each part of the page is renewed on its own: --parts replay,
reference, chinchilla.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from reference import Referred, referred
from replay import LEVEL, NEAR, SEED, TOLERANCE, Decision, replayed
from tables import (
    groups,
    optima,
    outcomes,
    outside,
    percent,
    regrets,
    reliability,
    rows,
    scores,
    share,
)

import bayescale

sys.path[:0] = [str(Path(__file__).parents[1] / "forecast"), str(Path(__file__).parents[1])]
from pages import renew
from sets import Split, read, splits

README = Path(__file__).with_name("README.md")
FRACTION = 0.65
STRICT = 0.02  # the tolerance of compute that shows what depends on it
REPLAYED = ("porian", "gemstones", "chinchilla")  # how the names of sets begin
REFERRED = ("overtraining",)
C = 5.76e23  # of Chinchilla and Gopher
PUBLISHED = ("hoffmann-2022", "besiroglu-2024")


def chosen(folder: Path, names: tuple[str, ...]) -> list[Split]:
    every = splits(read(folder), (FRACTION,))
    return [split for split in every if split.name.startswith(names)]


def fitted(runs: bayescale.Runs) -> bayescale.Posterior:
    return bayescale.fit(runs, seed=SEED)


def decisions(
    folder: Path, names: tuple[str, ...] = REPLAYED, tolerance: float = TOLERANCE
) -> tuple[dict[str, list[Decision]], dict[str, str]]:
    """The decisions of each set, and the verdict on its fit."""
    found, verdicts = {}, {}
    for split in chosen(folder, names):
        fit = fitted(split.train)
        verdicts[split.name] = fit.diagnostics.verdict
        found[split.name] = list(replayed(fit, split.train, split.test, tolerance))
        print(f"{split.name}: {len(found[split.name])} budgets", flush=True)
    return found, verdicts


def replay(folder: Path) -> list[str]:
    found, verdicts = decisions(folder)
    every = [d for each in found.values() for d in each]
    whole = {**found, "all": every}
    return [
        f"{len(every)} budgets of {len(found)} sets, {time.strftime('%Y-%m-%d')}",
        "",
        *groups(whole, verdicts),
        "",
        "Optimal N by `allocate`:",
        "",
        *optima(whole, "optimum"),
        "",
        "Optimal N by the laws that forecasts come from:",
        "",
        *optima(whole, "wider"),
        "",
        "Regret of following each rule, in percent of the loss: mean over the budgets, and the largest.",
        "",
        *regrets(whole),
        "",
        "How often each rule's N lay outside the sizes that were run, so that the nearest is an end of them:",
        "",
        *outside(whole),
        "",
        f"The probability of being within {NEAR:.1%} of the best, by `what_if`, against what was seen:",
        "",
        *scores({name: outcomes(each) for name, each in whole.items()}),
        "",
        *reliability(*outcomes(every)),
        "",
        "The same, by the laws that forecasts come from:",
        "",
        *scores({name: outcomes(each, "wider_probability") for name, each in whole.items()}),
        "",
        *reliability(*outcomes(every, "wider_probability")),
        "",
        f"The probability of being seen within {NEAR:.1%} of the lowest loss of these runs, by `predict`:",
        "",
        *scores({name: outcomes(each, "seen") for name, each in whole.items()}),
        "",
        *reliability(*outcomes(every, "seen")),
        "",
        *strictly(folder),
    ]


def strictly(folder: Path) -> list[str]:
    """What depends on how far the compute of one budget may differ."""
    found, _ = decisions(folder, tolerance=STRICT)
    found["all"] = [d for each in found.values() for d in each]
    kinds = {
        "`what_if`": "probability",
        "laws of forecasts": "wider_probability",
        "`predict`": "seen",
    }
    told = {name: outcomes(found["all"], kind) for name, kind in kinds.items()}
    return [
        f"With compute that differs by at most {STRICT:.0%}, the regrets:",
        "",
        *regrets(found),
        "",
        "and the probabilities, all sets together:",
        "",
        *scores(told, "by"),
    ]


def reference(folder: Path) -> list[str]:
    found: dict[str, list[Referred]] = {}
    for split in chosen(folder, REFERRED):
        runs = read(folder)[split.name]
        found[split.name] = list(
            referred(fitted(split.train), fitted(runs), split.train, split.test)
        )
        print(split.name, flush=True)
    whole = {**found, "all": [r for each in found.values() for r in each]}
    head = ["set", "runs", "90% interval of N, upper / lower", "median N / reference",
            "interval holds the reference"]  # fmt: skip
    body = [
        [
            name,
            str(len(each)),
            f"{np.median([r.optimum.upper / r.optimum.lower for r in each]):.2f}",
            f"{np.exp(np.mean([np.log(r.optimum.median / r.reference) for r in each])):.2f}",
            share([r.optimum.lower <= r.reference <= r.optimum.upper for r in each]),
        ]
        for name, each in whole.items()
    ]
    told = {
        name: (
            np.array([r.probability for r in each]),
            np.array([r.excess <= NEAR for r in each]),
        )
        for name, each in whole.items()
    }
    names = list(dict.fromkeys(rule for r in whole["all"] for rule in r.regrets))
    by_rule = [
        [rule, *(percent([r.regrets[rule] for r in each if rule in r.regrets]) for each in whole.values())]
        for rule in names
    ]  # fmt: skip
    return [
        *rows(head, body),
        "",
        "Regret by the law of all runs, in percent of the loss: mean, and the largest.",
        "",
        *rows(["rule", *whole], by_rule),
        "",
        *scores(told),
    ]


def chinchilla(folder: Path) -> list[str]:
    runs = read(folder)["chinchilla"]
    fits = {f"`fit`, {len(runs)} runs": fitted(runs)}
    everything = bayescale.Runs.read(folder / "chinchilla.csv")
    fits[f"`fit`, {len(everything)} runs"] = fitted(everything)
    fits[f"`fit --law coupled`, {len(runs)} runs"] = bayescale.fit(runs, "coupled", seed=SEED)
    body = []
    for name, fit in fits.items():
        best = bayescale.allocate(fit, C, level=LEVEL)
        ratio = best.intervals["tokens_per_parameter"][0]
        plan = rule_of_thumb(fit)
        body.append([
            name, f"{ratio.median:.1f} ({ratio.lower:.1f} to {ratio.upper:.1f})",
            f"{plan.probability:.3f}", f"{plan.expected:.2%}", f"{plan.high:.2%}", near(fit),
        ])  # fmt: skip
    for key in PUBLISHED:
        fit = bayescale.published(key)
        ratio = bayescale.allocate(fit, C).intervals["tokens_per_parameter"][0].median
        plan = rule_of_thumb(fit)
        body.append(
            [f"published: {key}", f"{ratio:.1f}", "", f"{plan.expected:.2%}", "", near(fit)]
        )
    body.append(["rule of thumb (Chinchilla: 70e9, 1.4e12)", "20", "", "", "", ""])
    head = ["from", f"D/N at {C:g} FLOPs ({LEVEL:.0%} interval)",
            f"probability that 20 is within {NEAR:.1%} of the best", "mean loss above the best of 20",
            "90% at most", f"D/N within {NEAR:.1%} of the best with probability {LEVEL:g}"]  # fmt: skip
    return rows(head, body)


def near(fit: bayescale.Posterior) -> str:
    """The tokens per parameter between which plans are surely enough among the best."""
    found = bayescale.region(fit, C, tolerance=NEAR)
    there = found.D[found.probability >= LEVEL] / found.N[found.probability >= LEVEL]
    return f"{there.min():.1f} to {there.max():.0f}"


def rule_of_thumb(fit: bayescale.Posterior) -> bayescale.plans.Assessment:
    """20 tokens per parameter at the budget of Chinchilla, as a plan."""
    N = float(np.sqrt(C / (6 * 20)))
    return bayescale.what_if(fit, N, 20 * N, tolerance=NEAR, seed=SEED)


PARTS = {"replay": replay, "reference": reference, "chinchilla": chinchilla}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public tables")
    parser.add_argument("--parts", default=",".join(PARTS), help="with commas (%(default)s)")
    parser.add_argument("--write", action="store_true", help="renew the blocks of README.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.parts.split(","):
        lines = PARTS[name](options.data)
        print("\n".join(lines), flush=True)
        if options.write:
            renew(README, "\n".join(lines), name)


if __name__ == "__main__":
    main()
