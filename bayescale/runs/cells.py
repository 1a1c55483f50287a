"""Turn the cells of a column into 64-bit floating-point numbers, or say what is wrong with them."""

from __future__ import annotations

import keyword
import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import Problem, shown
from bayescale.runs.files import Table

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COLUMN = re.compile(rf"{_NUMBER.pattern}(\n{_NUMBER.pattern})*+", re.ASCII)
BLOCK = 512  # cells that are read at once where all are plain numbers
_SPECIAL = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_MISSING = {"", "na", "n/a", "none", "null", "-"}
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([,_ ]\d{3})+(\.\d+)?", re.ASCII)
_SUFFIX = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([kKmMbBgGtT])", re.ASCII)
_PLAIN_NUMBER = "write a plain number such as 1.4e12"
_OPTIONAL = ("flops", "unique_tokens", "x", "loss_se")
_POWER = {"k": 3, "m": 6, "b": 9, "g": 9, "t": 12}


class NotANumberError(ValueError):
    """A cell that is no number; the message says what it is, `remedy` what to write."""

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message)
        self.remedy = remedy


class MissingCellError(NotANumberError):
    """A cell that holds nothing."""


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing: None, a masked value, or pandas' NA and NaT."""
    # By name, so that pandas is not imported.
    return cell is None or cell is np.ma.masked or type(cell).__name__ in ("NAType", "NaTType")


def to_text(cell: Any) -> str:
    """The cell as a label: stripped, empty where it is missing, 1.0 as 1."""
    if is_missing(cell):
        return ""
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace").strip()
    if isinstance(cell, float | np.floating):
        if np.isnan(cell):
            return ""
        return str(int(cell)) if cell.is_integer() else str(cell)
    return shown(cell) if isinstance(cell, int) else str(cell).strip()


def parse_number(cell: Any) -> float:
    """Read one cell: a number, or text that is a plain decimal number such as ``1e26``.

    Raises
    ------
    NotANumberError
        Text that is not a number, a missing value or a truth value.
    """
    if isinstance(cell, bool | np.bool_):
        raise NotANumberError(f"{cell} is a truth value, not a number", "write the number itself")
    if is_missing(cell):
        raise MissingCellError("the cell is empty")
    if isinstance(cell, str | bytes):
        return _parse_text(to_text(cell))
    try:
        if isinstance(cell, int | float | Decimal | Fraction):
            return float(cell)
        if getattr(cell, "shape", None) == ():  # a scalar of NumPy, JAX or PyTorch
            array = np.asarray(cell)
            if array.dtype.kind in "iuf":
                return float(_as_float64(array))
    except OverflowError:
        return math.inf if cell > 0 else -math.inf
    except ValueError:  # a signalling NaN
        pass
    raise NotANumberError(f"{_shown(cell)} is not a number", _PLAIN_NUMBER)


def _parse_text(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if text.lower() in _MISSING:
        raise MissingCellError(f"the cell is missing ({text!r})" if text else "the cell is empty")
    if text.lstrip("+-").lower() in _SPECIAL:
        value = _SPECIAL[text.lstrip("+-").lower()]
        return -value if text[0] == "-" else value
    raise NotANumberError(f"{shown(text)} is not a number", _remedy(text))


def _shown(cell: Any) -> str:
    return shown(cell.item() if isinstance(cell, np.generic) else cell)


def _as_float64(array: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # a long double beyond float64 becomes inf, and is refused
        return array.astype(np.float64)


def _remedy(text: str) -> str:
    if _THOUSANDS.fullmatch(text):
        return f"write {re.sub('[,_ ]', '', text)}"
    suffix = _SUFFIX.fullmatch(text)
    if suffix:
        return f"write {suffix[1]}e{_POWER[suffix[2].lower()]}"
    return _PLAIN_NUMBER


def to_floats(
    table: Table, column: str, role: str, *, positive: bool
) -> tuple[NDArray[np.float64], list[tuple[int, Problem]]]:
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
        A row and its problem for each cell that is not a finite number of the right sign, in the
        order of the rows.
    """
    cells = table.columns[column]
    values = np.full(len(cells), np.nan)
    problems: list[tuple[int, Problem]] = []
    sign, lowest = ("above 0", "> 0") if positive else ("0 or more", ">= 0")

    def problem(i: int, what: str, must: str, remedy: str) -> None:
        where = f"{table.source}, {table.place(i)}, column {column!r}"
        if role in _OPTIONAL:
            remedy += f"; if the column is not {role}, leave it out with --columns {role}="
        problems.append((i, Problem(where, what, f"{role} must be {must}", remedy)))

    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iuf":
        values = _as_float64(cells)
        parsed = np.ones(len(cells), bool)
    else:
        values, parsed = _plain_numbers(cells)
        for i in np.flatnonzero(~parsed).tolist():
            cell = cells[i]
            try:
                values[i] = parse_number(cell)
                parsed[i] = True
            except MissingCellError as error:
                problem(i, str(error), "a number", _fill_or_drop(column, lowest))
            except NotANumberError as error:
                problem(
                    i, str(error), "a number", error.remedy + _or_drop_text(column, cell, error)
                )
    low = values <= 0 if positive else values < 0
    for i in np.flatnonzero(parsed & (~np.isfinite(values) | low)).tolist():
        if np.isnan(values[i]):
            problem(i, "the value is NaN", "a number", _fill_or_drop(column, lowest))
        elif np.isinf(values[i]):
            remedy = _correct_or_drop(column, "< 1e300" if values[i] > 0 else lowest)
            problem(i, f"the value is infinite ({_shown(cells[i])})", "finite", remedy)
        else:
            problem(i, f"the value is {values[i]:g}", sign, _correct_or_drop(column, lowest))
    return values, sorted(problems, key=lambda pair: pair[0])


def _plain_numbers(cells: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The numbers of the blocks of cells that are plain numbers throughout, and which cells those are."""
    values, parsed = np.full(len(cells), np.nan), np.zeros(len(cells), bool)
    for start in range(0, len(cells), BLOCK):
        block = list(cells[start : start + BLOCK])
        plain = all(type(cell) is str for cell in block)
        if plain and _COLUMN.fullmatch("\n".join(block)):
            values[start : start + BLOCK] = list(map(float, block))
            parsed[start : start + BLOCK] = True
    return values, parsed


def _fill_or_drop(column: str, condition: str) -> str:
    return f"fill it, or leave such rows out with {_where(column, condition)}"


def _correct_or_drop(column: str, condition: str) -> str:
    return f"correct it, or leave such rows out with {_where(column, condition)}"


def _or_drop_text(column: str, cell: Any, error: NotANumberError) -> str:
    word = isinstance(cell, str) and re.fullmatch(r"\w[\w .-]{0,30}", cell.strip())
    if error.remedy != _PLAIN_NUMBER or not word:
        return ""
    return f', or leave such rows out with --where "{_name(column)} != {cell.strip()!r}"'


def _where(column: str, condition: str) -> str:
    return f"--where '{_name(column)} {condition}'"


def _name(column: str) -> str:
    plain = column.isidentifier() and not keyword.iskeyword(column)
    return column if plain else f"`{column}`"
