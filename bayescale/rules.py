"""Whether runs and points are what a law is a law of: its response, and the rules between its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.laws import Law
from bayescale.noise import Noise
from bayescale.runs import Runs

WHOLE = 0.05  # how far a count may lie from a whole number, since shares are rounded


def check_response(runs: Runs, law: type[Law]) -> None:
    """Raise if the runs hold another response than the law explains."""
    allowed = ("loss", "error") if law.response == "loss" else (law.response,)
    if runs.response not in allowed:
        raise InputError(
            Problem(runs.source, f"the runs hold {runs.response}, and {law.name!r} is a law of "
                    f"{law.response}", remedy=f"read them with response={law.response!r}")
        )  # fmt: skip


def check_rules(
    law: type[Law], inputs: Mapping[str, Any], source: str, places: Sequence[str] = ()
) -> None:
    """Raise if the inputs of a run do not go together, by the rules of the law."""
    problems = []
    for rule in law.rules:
        broken = np.flatnonzero(~np.atleast_1d(np.asarray(rule.holds(inputs))))
        if not len(broken):
            continue
        row = int(broken[0])
        values = ", ".join(f"{s} = {np.ravel(v)[row]:g}" for s, v in inputs.items())
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        place = places[row] if places else f"row {row}"
        problems.append(Problem(f"{source}, {place}{more}", values, rule.words, rule.remedy))
    if problems:
        raise InputError(problems)


def check_counts(runs: Runs, noise: type[Noise]) -> None:
    """Raise if noise of counts has no counts, or other noise has error rates of 0."""
    if noise.counts:
        if runs.items is None:
            raise InputError(
                Problem("noise", f"{noise.name!r} is of counts, and the runs do not say of how many items",
                        remedy="name the column with --columns items=COLUMN, beside error or accuracy, "
                        "or use --noise student-t")
            )  # fmt: skip
        wrong = runs.loss * runs.items
        odd = np.flatnonzero(np.abs(wrong - np.round(wrong)) > WHOLE)
        if len(odd):
            row = odd[0]
            place = runs.places[row] if runs.places else f"row {row}"
            raise InputError(
                Problem(f"{runs.source}, {place}", f"an error rate of {runs.loss[row]:g} of "
                        f"{runs.items[row]:g} items is {wrong[row]:g} wrong ones",
                        "a count is a whole number", "give the share with all its digits, or the number of "
                        "items that it is of")
            )  # fmt: skip
        return
    none = np.flatnonzero(runs.loss <= 0)
    if len(none):
        place = runs.places[none[0]] if runs.places else f"row {none[0]}"
        raise InputError(
            Problem(f"{runs.source}, {place}", "the error rate is 0", "it has no logarithm",
                    "give the number of items (--columns items=COLUMN) with --noise beta-binomial, or "
                    "leave such rows out")
        )  # fmt: skip
