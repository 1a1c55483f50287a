"""Real decisions replayed: allocate from the cheapest 65% of runs, and see what the others show was best.

    python benchmarks/decisions/run.py DATA --write

DATA is the folder of the public tables. Each part of the page is renewed on its own: --parts replay,
reference, chinchilla.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from reference import Referred, brier, referred
from replay import LEVEL, NEAR, SEED, Decision, replayed

import bayescale
from bayescale.intervals import Interval

sys.path.append(str(Path(__file__).parents[1] / "forecast"))
from sets import Split, read, splits

README = Path(__file__).with_name("README.md")
FRACTION = 0.65
REPLAYED = ("porian", "gemstones", "chinchilla")  # how the names of sets begin
REFERRED = ("overtraining",)
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
C = 5.76e23  # of Chinchilla and Gopher
RULE = "20 tokens per parameter"
PUBLISHED = ("hoffmann-2022", "besiroglu-2024")


def chosen(folder: Path, names: tuple[str, ...]) -> list[Split]:
    every = splits(read(folder), (FRACTION,))
    return [split for split in every if split.name.startswith(names)]


def fitted(runs: bayescale.Runs) -> bayescale.Posterior:
    return bayescale.fit(runs, seed=SEED)


def rows(head: list[str], body: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *body]
    return ["| " + " | ".join(line) + " |" for line in lines]


def percent(values: list[float]) -> str:
    """Mean and largest of shares, in percent."""
    return f"{100 * np.mean(values):.2f} ({100 * np.max(values):.2f})" if values else ""


def share(values: list[bool]) -> str:
    return f"{sum(values)} of {len(values)}"


def replay(folder: Path) -> list[str]:
    found: dict[str, list[Decision]] = {}
    verdicts = {}
    for split in chosen(folder, REPLAYED):
        fit = fitted(split.train)
        verdicts[split.name] = fit.diagnostics.verdict
        found[split.name] = list(replayed(fit, split.train, split.test))
        print(f"{split.name}: {len(found[split.name])} budgets", flush=True)
    every = [d for decisions in found.values() for d in decisions]
    whole = {**found, "all": every}
    return [
        f"{len(every)} budgets of {len(found)} sets, {time.strftime('%Y-%m-%d')}",
        "",
        *sets(whole, verdicts),
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
        *scores({name: outcomes(decisions) for name, decisions in whole.items()}),
        "",
        *reliability(*outcomes(every)),
        "",
        "The same, by the laws that forecasts come from:",
        "",
        *scores(
            {name: outcomes(decisions, "wider_probability") for name, decisions in whole.items()}
        ),
        "",
        *reliability(*outcomes(every, "wider_probability")),
        "",
        f"The probability of being seen within {NEAR:.1%} of the lowest loss of these runs, by `predict`:",
        "",
        *scores({name: outcomes(decisions, "seen") for name, decisions in whole.items()}),
        "",
        *reliability(*outcomes(every, "seen")),
    ]


def sets(found: dict[str, list[Decision]], verdicts: dict[str, str]) -> list[str]:
    head = [
        "set",
        "fit",
        "budgets",
        "decades beyond",
        "sizes run",
        "runs",
        "forecasts hold the losses",
    ]
    body = []
    for name, decisions in found.items():
        sizes = [len(np.unique(d.N)) for d in decisions]
        hold = np.concatenate([d.forecast_holds for d in decisions])
        body.append([
            name,
            verdicts.get(name, ""),
            str(len(decisions)),
            f"{min(d.decades for d in decisions):.2f} to {max(d.decades for d in decisions):.2f}",
            f"{min(sizes)} to {max(sizes)}",
            str(len(hold)),
            f"{hold.mean():.2f}",
        ])  # fmt: skip
    return rows(head, body)


def optima(found: dict[str, list[Decision]], field: str) -> list[str]:
    """How the optima of the budgets, of one kind of posterior, agree with what was found."""
    head = ["set", "90% interval of N, upper / lower", "median N / best N run",
            "holds the best run", "the same, where that is no end of the sizes",
            "holds the parabola's minimum", "agrees with it"]  # fmt: skip
    body = []
    for name, decisions in found.items():
        curved = [d for d in decisions if np.isfinite(d.minimum)]
        intervals = [getattr(d, field) for d in decisions]
        ratio = [np.log(i.median / d.N[d.best]) for i, d in zip(intervals, decisions, strict=True)]
        best = [holds(getattr(d, field), d.N[d.best]) for d in decisions]
        body.append([
            name,
            f"{np.median([i.upper / i.lower for i in intervals]):.2f}",
            f"{np.exp(np.mean(ratio)):.2f}",
            share(best),
            share([held for held, d in zip(best, decisions, strict=True) if not d.at_edge]),
            share([holds(getattr(d, field), d.minimum) for d in curved]),
            share([d.agrees[field] for d in curved]),
        ])  # fmt: skip
    return rows(head, body)


def holds(interval: Interval, N: float) -> bool:
    return bool(interval.lower <= N <= interval.upper)


def names_of(found: dict[str, list[Decision]]) -> list[str]:
    return list(dict.fromkeys(rule for ds in found.values() for d in ds for rule in d.advised))


def by_rule(
    found: dict[str, list[Decision]], cell: Callable[[str, list[Decision]], str]
) -> list[str]:
    head = ["rule", *(f"{name} ({len(decisions)})" for name, decisions in found.items())]
    body = []
    for rule in names_of(found):
        asked = [[d for d in decisions if rule in d.advised] for decisions in found.values()]
        body.append([rule, *(cell(rule, decisions) if decisions else "" for decisions in asked)])
    return rows(head, body)


def regrets(found: dict[str, list[Decision]]) -> list[str]:
    return by_rule(found, lambda rule, ds: percent([d.regret(rule) for d in ds]))


def outside(found: dict[str, list[Decision]]) -> list[str]:
    return by_rule(found, lambda rule, ds: share([d.outside(rule) for d in ds]))


def outcomes(decisions: list[Decision], kind: str = "probability") -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and whether the runs were within 0.5% of the best of their budget."""
    probability = np.concatenate([getattr(d, kind) for d in decisions])
    return probability, np.concatenate([d.excess <= NEAR for d in decisions])


def scores(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[str]:
    head = ["set", "runs", "were within", "mean probability", "Brier score",
            "Brier score of the share itself"]  # fmt: skip
    body = [
        [name, str(len(p)), f"{o.mean():.2f}", f"{p.mean():.2f}", f"{brier(p, o):.3f}",
         f"{o.mean() * (1 - o.mean()):.3f}"]
        for name, (p, o) in found.items()
    ]  # fmt: skip
    return rows(head, body)


def reliability(probability: np.ndarray, outcome: np.ndarray) -> list[str]:
    place = np.clip(np.searchsorted(BINS, probability, side="right") - 1, 0, len(BINS) - 2)
    body = []
    for i in np.unique(place):
        there = place == i
        body.append([f"{BINS[i]:g} to {BINS[i + 1]:g}", str(there.sum()),
                     f"{probability[there].mean():.2f}", f"{outcome[there].mean():.2f}"])  # fmt: skip
    return rows(["probability", "runs", "mean", "were within"], body)


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


def renewed(page: str, name: str, lines: list[str]) -> str:
    """The page with the block between its markers made anew."""
    pattern = rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)"
    block = "\n".join(lines)
    return re.sub(pattern, lambda m: f"{m[1]}\n{block}\n\n{m[2]}", page, flags=re.DOTALL)


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
            README.write_text(renewed(README.read_text(), name, lines))


if __name__ == "__main__":
    main()
