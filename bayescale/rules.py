"""Whether runs and points are what a law is a law of: its response, and the rules between its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.laws import Law
from bayescale.runs import Runs


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
