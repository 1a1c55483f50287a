"""Turn the cells of a column into 64-bit floating-point numbers, or say what is wrong with them."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import Problem
from bayescale.runs.files import Table

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_MISSING = {"", "na", "n/a", "none", "null", "-"}
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([,_ ]\d{3})+(\.\d+)?", re.ASCII)
_SUFFIX = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([kKmMbBgGtT])", re.ASCII)
_POWER = {"k": 3, "m": 6, "b": 9, "g": 9, "t": 12}


class NotANumberError(ValueError):
    """A cell that is no number; the message says what it is, `remedy` what to write."""

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message)
        self.remedy = remedy


def parse_number(cell: Any) -> float:
    """Read one cell: a number, or text that is a plain decimal number such as ``1e26``.

    Raises
    ------
    NotANumberError
        Text that is not a number, a missing value or a truth value.
    """
    if isinstance(cell, bool | np.bool_):
        raise NotANumberError(f"{cell} is a truth value, not a number")
    if isinstance(cell, int | float | np.integer | np.floating):
        try:
            return float(cell)
        except OverflowError:
            return math.inf
    if cell is None:
        raise NotANumberError("the cell is empty", "fill it, or remove the row")
    if not isinstance(cell, str):
        try:
            return float(cell)
        except (TypeError, ValueError, OverflowError):
            raise NotANumberError(f"{cell!r} is not a number") from None
    text = cell.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    if text.lower() in _MISSING:
        what = f"the cell is missing ({text!r})" if text else "the cell is empty"
        raise NotANumberError(what, "fill it, or remove the row")
    if text.lstrip("+-").lower() in _SPECIAL:
        return math.copysign(1, -1 if text[0] == "-" else 1) * _SPECIAL[text.lstrip("+-").lower()]
    raise NotANumberError(f"{text!r} is not a number", _remedy(text))


def _remedy(text: str) -> str:
    if _THOUSANDS.fullmatch(text):
        return f"write {re.sub('[,_ ]', '', text)}"
    suffix = _SUFFIX.fullmatch(text)
    if suffix:
        return f"write {suffix[1]}e{_POWER[suffix[2].lower()]}"
    return "write a plain number such as 1.4e12"


def to_floats(
    table: Table, column: str, role: str, *, positive: bool
) -> tuple[NDArray[np.float64], list[Problem]]:
    """Convert a column, and list every cell that cannot stand in it.

    Parameters
    ----------
    table, column
        The table and the name of the column in it.
    role
        What the column holds, for the messages.
    positive
        Whether every value must be above 0 (else: not below 0).

    Returns
    -------
    values
        Shape (rows,), float64; integers beyond 2^53 rounded to the nearest.
    problems
        One for each cell that is not a finite number of the right sign.
    """
    cells = table.columns[column]
    values = np.full(len(cells), np.nan)
    problems = []

    def problem(i: int, what: str, why: str = "", remedy: str = "") -> Problem:
        where = f"{table.source}, {table.place(i)}, column {column!r}"
        return Problem(where, what, why, remedy)

    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iuf":
        values = cells.astype(np.float64)
        suspects = range(len(values))
    else:
        suspects = []
        for i, cell in enumerate(cells):
            try:
                values[i] = parse_number(cell)
                suspects.append(i)
            except NotANumberError as error:
                problems.append(problem(i, str(error), f"{role} must be a number", error.remedy))
    bad = ~np.isfinite(values) | (values <= 0 if positive else values < 0)
    for i in suspects:
        if not bad[i]:
            continue
        value = values[i]
        if np.isnan(value):
            problems.append(problem(i, "the value is NaN", f"{role} must be a number",
                                    "fill it, or leave the row out with --where"))  # fmt: skip
        elif np.isinf(value):
            problems.append(problem(i, "the value is infinite", f"{role} must be finite",
                                    "correct it, or leave the row out with --where"))  # fmt: skip
        else:
            sign = "above 0" if positive else "0 or more"
            problems.append(problem(i, f"the value is {value:g}", f"{role} must be {sign}",
                                    "correct it, or leave the row out with --where"))  # fmt: skip
    return values, problems
