"""Directions that a design does not inform, in the user's terms, and the runs that would help."""

from __future__ import annotations

from bayescale.diagnostics import joined
from bayescale.identifiability.designs import described, rounded
from bayescale.identifiability.remedies import best_pair, candidate_runs
from bayescale.identifiability.result import Direction, Remedy
from bayescale.posterior import Posterior
from bayescale.uninformed import Uninformed


def explained(posterior: Posterior, seed: int = 0) -> tuple[Direction, ...]:
    """Return the directions that the runs do not inform, each with two runs that would, and a sentence.

    Parameters
    ----------
    posterior
        The fit.
    seed
        Seed of the scatter of further runs.
    """
    law = posterior.spec.law
    design = described(posterior.runs, law.inputs, len(law.parameters()))
    candidates = candidate_runs(posterior.runs, law.inputs)
    found = []
    for direction in posterior.uninformed:
        remedy = best_pair(posterior, direction.along, candidates, seed)
        sentence = f"{design}: {_said(direction)}{_helped(direction.ratio, remedy)}"
        found.append(
            Direction(direction.ratio, direction.loadings, direction.parameters, remedy, sentence)
        )
    return tuple(found)


def _said(direction: Uninformed) -> str:
    names = direction.parameters
    told = (
        f"nothing tells what {names[0]} is"
        if len(names) == 1
        else f"{joined(names)} cannot be told apart"
    )
    parts = " ".join(f"{direction.loadings[name]:+.2f} {name}" for name in direction.parts)
    return f"{told} (the direction {parts.removeprefix('+')})"


def _helped(ratio: float, remedy: Remedy | None) -> str:
    if remedy is None:
        return "."
    return (
        f"; two runs {_where(remedy)} would narrow this from {ratio:.0%} to about {remedy.ratio:.0%} of "
        "the prior's sd."
    )


def _where(remedy: Remedy) -> str:
    """The two runs in words: at one D/N, or each for itself."""
    if {"N", "D"} == set(remedy.points[0]):
        ratios = [rounded(p["D"] / p["N"]) for p in remedy.points]
        sizes = [rounded(p["N"]) for p in remedy.points]
        if ratios[0] == ratios[1]:
            return f"at D = {ratios[0]} N (N = {' and '.join(sizes)})"
        return " and ".join(f"at D = {m} N (N = {n})" for m, n in zip(ratios, sizes, strict=True))
    return " and ".join(
        "at " + ", ".join(f"{s} = {rounded(v)}" for s, v in p.items()) for p in remedy.points
    )
