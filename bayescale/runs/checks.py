"""Can these runs inform this law? Each check has a name, by which it can be lifted."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from bayescale.errors import DesignError, InputError, Problem
from bayescale.runs.catalogue import SYMBOL_TO_ROLE, is_given, meaning_of
from bayescale.runs.monotone import rise
from bayescale.runs.roles import nearest
from bayescale.runs.sharing import sharing
from bayescale.runs.table import Runs

COLLINEAR = 0.999  # correlation of log N and log D above which they count as proportional

CHECKS = {
    "few-points": "fewer distinct points than the law has parameters",
    "constant-loss": "every run has the same loss",
    **{f"constant-{s}": f"every run has the same {s}" for s in ("N", "D", "C", "U", "x")},
    "not-monotone": "the loss rises with the one input in which the law falls",
    "collinear": "D is proportional to a power of N",
    "duplicate-rows": "rows that are the same in every input and in the loss",
    "several-rows-per-run": "several rows of one training run",
    "one-row-groups": "effects of a label that no two rows share",
    "one-group": "effects of a label that all rows share",
}


def check_design(
    runs: Runs,
    inputs: Sequence[str],
    n_parameters: int,
    law: str,
    allow: Collection[str] = (),
    effects: str | None = None,
    falls_in: Sequence[str] | None = (),
) -> list[str]:
    """Refuse runs that cannot inform the law, unless the check is lifted by name.

    Parameters
    ----------
    runs
        The runs.
    inputs
        Symbols of the law's inputs.
    n_parameters
        Number of parameters that must come from distinct points.
    law
        Name of the law, for the messages.
    allow
        Names of checks to lift.
    effects
        The label whose rows share a shift of log loss; with ``run_id``, a run may have several rows.
    falls_in
        The inputs in which the law falls; None if in all of them.

    Returns
    -------
    list of str
        The checks that failed and were lifted, for the record.

    Raises
    ------
    InputError
        `allow` names an unknown check, or `effects` a label that the runs do not have.
    DesignError
        All checks that failed and were not lifted.
    """
    allow = {allow} if isinstance(allow, str) else set(allow)
    constants = {f"constant-{symbol}" for symbol in inputs}
    unknown = sorted(allow - set(CHECKS) - constants)
    if unknown:
        what = f"{unknown[0]!r} is not a check{nearest(unknown[0], list(CHECKS))}"
        raise InputError(Problem("allow", what, remedy=f"checks are {', '.join(CHECKS)}"))
    found = [
        *_duplicates(runs),
        *_several_rows(runs, effects),
        *_groups(runs, effects),
        *_few_points(runs, inputs, n_parameters, law),
        *_constant(runs, inputs, law),
        *_constant_loss(runs),
        *_not_monotone(runs, inputs, law, inputs if falls_in is None else falls_in),
        *_collinear(runs, inputs),
    ]
    refused = [problem for problem in found if problem.check not in allow]
    if refused:
        raise DesignError(refused)
    return [problem.check for problem in found]


def _place(runs: Runs, row: int) -> str:
    return runs.places[row] if runs.places else f"row {row}"


def _column(runs: Runs, symbol: str) -> str:
    return runs.columns.get(SYMBOL_TO_ROLE.get(symbol, symbol), symbol)


def duplicate_rows(runs: Runs) -> list[tuple[int, int]]:
    """Pairs of a row and a later one that repeats it in inputs, loss and labels."""
    seen: dict[tuple, int] = {}
    firsts = [seen.setdefault(key, row) for row, key in enumerate(_row_keys(runs))]
    return [(first, row) for row, first in enumerate(firsts) if first != row]


def _duplicates(runs: Runs) -> list[Problem]:
    pairs = duplicate_rows(runs)
    if not pairs:
        return []
    shown = ", ".join(f"{_place(runs, b)} repeats {_place(runs, a)}" for a, b in pairs[:5])
    more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
    a = pairs[0][0]
    values = ", ".join(f"{_column(runs, s)} = {v[a]:g}" for s, v in runs.inputs.items())
    return [
        Problem(
            runs.source,
            f"{len(pairs)} duplicate {'row' if len(pairs) == 1 else 'rows'}: {shown}{more} "
            f"({values}, loss = {runs.loss[a]:g})",
            "a run counted twice makes the intervals too narrow",
            "remove the copies",
            "duplicate-rows",
        )
    ]


def _row_keys(runs: Runs) -> list[tuple]:
    numbers = np.column_stack([*runs.inputs.values(), runs.loss])
    labels = zip(*runs.labels.values(), strict=True) if runs.labels else [()] * len(runs)
    return [(*row, *label) for row, label in zip(numbers.tolist(), labels, strict=True)]


def repeated_run_ids(runs: Runs) -> dict[str, int]:
    """Run ids that have several rows, with their number of rows."""
    if "run_id" not in runs.labels:
        return {}
    ids, counts = np.unique(runs.labels["run_id"], return_counts=True)
    return {str(i): int(c) for i, c in zip(ids, counts, strict=True) if c > 1 and i}


def _several_rows(runs: Runs, effects: str | None) -> list[Problem]:
    repeated = repeated_run_ids(runs)
    if not repeated or effects == "run_id":
        return []
    name, count = next(iter(repeated.items()))
    have = "1 run has" if len(repeated) == 1 else f"{len(repeated)} runs have"
    return [
        Problem(
            f"{runs.source}, column {runs.columns['run_id']!r}",
            f"{have} several rows, such as {name!r} with {count}",
            "checkpoints of one run are not independent: taken as independent, 90% intervals "
            "covered the truth about a third of the time in simulation",
            "give each run a shift of its own with --effects run_id (effects='run_id'), where its rows are "
            "dense with scatter that is correlated along it (--along D, step, ...); or keep the last row of "
            "each run, as with --where 'step == 20000', or leave the column out with --columns "
            "run_id= if it does not name runs",
            "several-rows-per-run",
        )
    ]


def _groups(runs: Runs, effects: str | None) -> list[Problem]:
    """Shifts can be told from scatter if some rows share one, and from the law if others do not."""
    if effects is None:
        return []
    names, _ = sharing(runs, effects, "effects", blank_alone=True)
    if 1 < len(names) < len(runs):
        return []
    where = f"{runs.source}, effects of {effects!r}"
    remedy = "leave out --effects (effects=None), or name what rows share"
    if len(names) == 1:
        what = f"all {len(runs)} rows have the same {effects}"
        why = "one shift that all rows share cannot be told from the law"
        return [Problem(where, what, why, remedy, "one-group")]
    what = f"no two of the {len(runs)} rows have the same {effects}"
    why = "a shift that no rows share cannot be told from the scatter"
    return [Problem(where, what, why, remedy, "one-row-groups")]


def _few_points(runs: Runs, inputs: Sequence[str], n_parameters: int, law: str) -> list[Problem]:
    points = len(set(zip(*(runs[symbol].tolist() for symbol in inputs), strict=True)))
    if points >= n_parameters:
        return []
    return [
        Problem(
            runs.source,
            f"{points} distinct points in {', '.join(inputs)} for the {n_parameters} parameters of "
            f"the law {law!r}",
            "the answer would be the prior",
            "give more runs, or fit a law with fewer parameters",
            "few-points",
        )
    ]


def _constant(runs: Runs, inputs: Sequence[str], law: str) -> list[Problem]:
    problems = []
    for symbol in inputs:
        values = runs[symbol]
        if np.ptp(values) > 0 or is_given(symbol):
            continue
        others = [SYMBOL_TO_ROLE.get(other, other) for other in inputs if other != symbol]
        problems.append(
            Problem(
                f"{runs.source}, column {_column(runs, symbol)!r}",
                f"{symbol} ({meaning_of(symbol)}) is {values[0]:g} in every run",
                f"how the loss depends on {symbol} cannot be seen",
                f"add runs with other {symbol}"
                + (f", or use --law power --x {others[0]}" if others else ""),
                f"constant-{symbol}",
            )
        )
    return problems


def _constant_loss(runs: Runs) -> list[Problem]:
    if len(runs) < 2 or np.ptp(runs.loss) > 0:
        return []
    return [
        Problem(
            f"{runs.source}, column {runs.columns.get('loss', 'loss')!r}",
            f"the loss is {runs.loss[0]:g} in every run",
            "nothing shows how it falls with scale, nor how it scatters",
            "check that this column holds the final loss of each run",
            "constant-loss",
        )
    ]


def _not_monotone(
    runs: Runs, inputs: Sequence[str], law: str, falls_in: Sequence[str]
) -> list[Problem]:
    """For a law of one variable alone: what else differs between runs would hide in a projection."""
    if len(inputs) != 1 or not falls_in:
        return []
    symbol = inputs[0]
    # A count of 0 has no logarithm: half an item stands for it.
    losses = runs.loss if runs.items is None else np.maximum(runs.loss, 0.5 / runs.items)
    found = rise(runs[symbol], losses)
    if found is None:
        return []
    times = min(found.log_rise / max(found.scatter, np.finfo(float).tiny), 1000.0)
    return [
        Problem(
            f"{runs.source}, column {runs.columns.get(runs.response, runs.response)!r}",
            f"the {runs.response} rises by {np.expm1(found.log_rise):.0%} between {symbol} = "
            f"{found.low_x:.3g} and {found.high_x:.3g}, {times:.0f} times the scatter of neighbours",
            f"the law {law!r} falls in {symbol}, and would be wrong on both sides of the rise",
            "fit a law that may rise (--law bnsl-1, --law bnsl-2), or the runs beyond the rise alone "
            "(--where), or a law of all that differs between the runs",
            "not-monotone",
        )
    ]


def log_correlation(runs: Runs) -> float | None:
    """Correlation of log N and log D; None if either is constant."""
    log_n, log_d = np.log(runs.N), np.log(runs.D)
    if np.ptp(log_n) == 0 or np.ptp(log_d) == 0:
        return None
    return float(np.corrcoef(log_n, log_d)[0, 1])


def _collinear(runs: Runs, inputs: Sequence[str]) -> list[Problem]:
    if not {"N", "D"} <= set(inputs) or len(runs) < 3:
        return []
    correlation = log_correlation(runs)
    if correlation is None or abs(correlation) <= COLLINEAR:
        return []
    log_n, log_d = np.log(runs.N), np.log(runs.D)
    slope = float(np.polyfit(log_n, log_d, 1)[0])
    ratio = float(np.exp(np.mean(log_d - log_n)))
    what = (
        f"D is {ratio:.3g} N in every run" if abs(slope - 1) < 0.05 else f"D goes as N^{slope:.2f}"
    )
    return [
        Problem(
            runs.source,
            f"{what} (correlation of log N and log D {correlation:.5f})",
            "the effects of N and of D cannot be told apart, and no allocation can be computed",
            "add runs with other D/N: two at a ratio 4 times larger or smaller already help",
            "collinear",
        )
    ]
