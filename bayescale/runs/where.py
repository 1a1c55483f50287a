"""Choose rows by an expression over the columns, such as ``epoch_dropped == 0 and loss < 4``."""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem, shown
from bayescale.runs.cells import (
    MissingCellError,
    NotANumberError,
    parse_number,
    to_text,
)
from bayescale.runs.files import Table
from bayescale.runs.roles import nearest

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_TRUTH = {"true": 1.0, "false": 0.0}
_SYNTAX = (
    "write comparisons such as  epoch_dropped == 0 and dataset in ['c4', 'rpj'], "
    "with names that have spaces or signs in backquotes"
)


def select(table: Table, expression: str) -> NDArray[np.bool_]:
    """Return which rows satisfy the expression.

    A cell that holds nothing is equal to no number. A number in quotes is a number if the whole
    column is numbers, else text; ``true`` and ``false`` are 1 and 0 likewise.

    Parameters
    ----------
    table
        The table.
    expression
        Comparisons of columns with numbers, texts, truth values or each other, joined by ``and``,
        ``or``, ``not`` and parentheses; ``in [..]``; a name with spaces stands in backquotes.

    Returns
    -------
    array
        Shape (rows,), True where the row is kept.

    Raises
    ------
    InputError
        The expression cannot be read, names a column that is not there, or orders text.
    """
    quoted: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        quoted[f"_column_{len(quoted)}"] = match[1]
        return f"_column_{len(quoted) - 1}"

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(re.sub(r"`([^`]+)`", alias, expression.strip()), mode="eval").body
        return np.array(_Evaluator(table, expression, quoted).rows(tree), dtype=bool)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _error(table, expression, "it cannot be read") from None


def _error(table: Table, expression: str, what: str) -> InputError:
    where = f"{table.source}, where {shown(expression, 200)}"
    return InputError(Problem(where, what, remedy=_SYNTAX))


@dataclass(frozen=True)
class _Side:
    """One side of a comparison: the cells of a column, or one value."""

    cells: Any
    numbers: NDArray[np.float64]  # NaN where a cell is no number
    text: str  # the first cell that is text, and where it is; empty if there is none
    bare: bool = False  # a number or truth value written without quotes

    @classmethod
    def of_column(cls, cells: Any, place: Callable[[int], str]) -> _Side:
        numbers, text = np.full(len(cells), np.nan), ""
        for i, cell in enumerate(cells):
            try:
                numbers[i] = _number(cell)
            except MissingCellError:
                continue
            except NotANumberError:
                text = text or f"{shown(cell)} in {place(i)}"
        return cls(cells, numbers, text)

    @classmethod
    def of_value(cls, value: float | str) -> _Side:
        try:
            number, text = _number(value), ""
        except NotANumberError:
            number, text = np.nan, shown(value)
        return cls([value], np.asarray([number]), text, bare=not isinstance(value, str))

    @property
    def texts(self) -> NDArray[np.str_]:
        return np.asarray([to_text(cell) for cell in self.cells], dtype=str)


def _number(cell: Any) -> float:
    if isinstance(cell, bool | np.bool_):
        return float(cell)
    if isinstance(cell, str) and cell.strip().lower() in _TRUTH:
        return _TRUTH[cell.strip().lower()]
    return parse_number(cell)


class _Evaluator:
    def __init__(self, table: Table, expression: str, quoted: dict[str, str]):
        self.table, self.expression, self.quoted = table, expression, quoted
        self.columns: dict[str, _Side] = {}

    def _error(self, what: str) -> InputError:
        return _error(self.table, self.expression, what)

    def _words(self, node: ast.expr) -> str:
        text = ast.unparse(node)
        for alias, name in self.quoted.items():
            text = text.replace(alias, f"`{name}`")
        return text

    def rows(self, node: ast.expr) -> NDArray[np.bool_]:
        """A truth value for each row."""
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return join.reduce([self.rows(value) for value in node.values])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.rows(node.operand)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            steps = zip(sides[:-1], node.ops, sides[1:], strict=True)
            return np.logical_and.reduce([self._compare(*step) for step in steps])
        raise self._error(f"{self._words(node)!r} is not a comparison")

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> NDArray[np.bool_]:
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self._error(f"{self._words(right)!r} is not a list")
            found = [self._compare(left, ast.Eq(), element) for element in right.elts]
            inside = np.logical_or.reduce(found) if found else np.zeros(len(self.table), bool)
            return inside if isinstance(op, ast.In) else ~inside
        if type(op) not in _COMPARE:
            raise self._error("only == != < <= > >= in and not in are known")
        a, b = self._side(left), self._side(right)
        text = a.text or b.text
        if text and not isinstance(op, ast.Eq | ast.NotEq):
            raise self._error(f"{text} is text, which has no order: use == or !=")
        # Against a bare number, a cell of text is no number and so not equal to it.
        if text and not (a.bare or b.bare):
            rows = _COMPARE[type(op)](a.texts, b.texts)
        else:
            rows = _COMPARE[type(op)](a.numbers, b.numbers)
        return np.broadcast_to(rows, len(self.table))

    def _side(self, node: ast.expr) -> _Side:
        match node:
            case ast.Constant(value=int() | float() | str() as value):
                return _Side.of_value(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return _Side.of_value(-value)
            case ast.Name():
                return self._column(self.quoted.get(node.id, node.id))
        raise self._error(f"{self._words(node)!r} is neither a column nor a value")

    def _column(self, name: str) -> _Side:
        if name not in self.columns:
            if name not in self.table.columns:
                near = nearest(name, list(self.table.columns))
                raise self._error(f"there is no column {name!r}{near}")
            self.columns[name] = _Side.of_column(self.table.columns[name], self.table.place)
        return self.columns[name]
