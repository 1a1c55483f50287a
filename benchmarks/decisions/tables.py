"""Tables of decisions that were replayed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from replay import NEAR, Decision

from bayescale.intervals import Interval

BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


def rows(head: list[str], body: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *body]
    return ["| " + " | ".join(line) + " |" for line in lines]


def percent(values: list[float]) -> str:
    """Mean and largest of shares, in percent."""
    return f"{100 * np.mean(values):.2f} ({100 * np.max(values):.2f})" if values else ""


def share(values: list[bool]) -> str:
    return f"{sum(values)} of {len(values)}"


def groups(found: dict[str, list[Decision]], verdicts: dict[str, str]) -> list[str]:
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


def scores(found: dict[str, tuple[np.ndarray, np.ndarray]], what: str = "set") -> list[str]:
    head = [what, "runs", "were within", "mean probability", "Brier score",
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


def brier(probability: np.ndarray, outcome: np.ndarray) -> float:
    return float(np.mean((probability - outcome) ** 2))
