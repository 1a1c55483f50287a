"""Pairs: runs of two recipes at the same design."""

from __future__ import annotations

import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.runs import Runs
from bayescale.speedups.two_laws import FIRST, RECIPE, SECOND
from bayescale.tables import number

LABEL = "pair"
LEAST_PAIRS = 3


def paired_runs(A: Runs, B: Runs, inputs: tuple[str, ...]) -> tuple[Runs, int]:
    """Return the runs of both as one table, with a label of the pairs, and the number of these.

    A pair is a run of each with the same inputs (to six digits) and, if both tables have seeds, the same
    seed.

    Raises
    ------
    InputError
        There are too few pairs, or several runs that could be a partner.
    """
    seeds = "seed" in A.labels and "seed" in B.labels
    keys = []
    for name, runs in (("A", A), ("B", B)):
        found = pair_keys(runs, inputs, seeds)
        twice = next((key for key in found if found.count(key) > 1), None)
        if twice is not None:
            at = f"{found.count(twice)} runs at {', '.join(twice)}"
            raise InputError(
                Problem("paired", f"{name} has {at}",
                        "a run has one partner", "name a column that tells them apart: --columns "
                        "seed=COLUMN in both fits, or fit one run of each design")
            )  # fmt: skip
        keys.append(found)
    common = [key for key in keys[0] if key in set(keys[1])]
    if len(common) < LEAST_PAIRS:
        raise InputError(
            Problem("paired", f"A and B have {len(common)} runs of the same "
                    f"{', '.join(inputs)}{' and seed' if seeds else ''}",
                    f"pairs are told by these, and {LEAST_PAIRS} or more are needed",
                    "leave out --paired (paired=False): the two are then taken as independent")
        )  # fmt: skip
    number_of = {key: str(i) for i, key in enumerate(common)}
    both = [number_of.get(key, "") for found in keys for key in found]
    se = [runs.loss_se for runs in (A, B)]
    known = [np.zeros(len(r)) if s is None else s for r, s in zip((A, B), se, strict=True)]
    columns = {s: np.concatenate([A[s], B[s]]) for s in inputs}
    recipe = np.repeat([FIRST, SECOND], [len(A), len(B)])
    places = [f"{n}, {p}" for n, r in (("A", A), ("B", B)) for p in (r.places or range(len(r)))]
    return Runs(
        loss=np.concatenate([A.loss, B.loss]),
        inputs={**columns, RECIPE: recipe},
        loss_se=None if se == [None, None] else np.concatenate(known),
        labels={LABEL: np.asarray(both)},
        loss_unit=A.loss_unit,
        response=A.response,
        source="the runs of A and B",
        places=tuple(places),
    ), len(common)


def pair_keys(runs: Runs, inputs: tuple[str, ...], seeds: bool) -> list[tuple[str, ...]]:
    """Return what tells the partner of each run: its inputs as text, and its seed."""
    columns = [[f"{s} = {number(v)}" for v in runs[s].tolist()] for s in inputs]
    if seeds:
        columns.append([f"seed {label}" for label in runs.labels["seed"].tolist()])
    return list(zip(*columns, strict=True))


def common_designs(A: Runs, B: Runs, inputs: tuple[str, ...]) -> int:
    """Return how many designs both tables have."""
    return len({*pair_keys(A, inputs, False)} & {*pair_keys(B, inputs, False)})
