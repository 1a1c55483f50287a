"""Choose rows by an expression over the columns, such as ``epoch_dropped == 0 and loss < 4``."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.runs.cells import NotANumberError, parse_number
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
_SYNTAX = "write comparisons such as  epoch_dropped == 0 and dataset in ['c4', 'rpj']"


def select(table: Table, expression: str) -> NDArray[np.bool_]:
    """Return which rows satisfy the expression.

    Parameters
    ----------
    table
        The table.
    expression
        Comparisons of columns with numbers, texts or each other, joined by ``and``, ``or``,
        ``not`` and parentheses; ``in [..]``; a name with spaces stands in backquotes.

    Returns
    -------
    array
        Shape (rows,), True where the row is kept.

    Raises
    ------
    InputError
        The expression cannot be read or names a column that is not there.
    """
    quoted: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        quoted[f"_column_{len(quoted)}"] = match[1]
        return f"_column_{len(quoted) - 1}"

    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", alias, expression.strip()), mode="eval").body
    except SyntaxError:
        raise _error(expression, "it cannot be read") from None
    return np.asarray(_Evaluator(table, expression, quoted).rows(tree), dtype=bool)


def _error(expression: str, what: str) -> InputError:
    return InputError(Problem(f"where {expression!r}", what, remedy=_SYNTAX))


class _Evaluator:
    def __init__(self, table: Table, expression: str, quoted: dict[str, str]):
        self.table, self.expression, self.quoted = table, expression, quoted

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
        raise _error(self.expression, f"{ast.unparse(node)!r} is not a comparison")

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> NDArray[np.bool_]:
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise _error(self.expression, f"{ast.unparse(right)!r} is not a list")
            found = [self._compare(left, ast.Eq(), element) for element in right.elts]
            inside = np.logical_or.reduce(found) if found else np.zeros(len(self.table), bool)
            return inside if isinstance(op, ast.In) else ~inside
        if type(op) not in _COMPARE:
            raise _error(self.expression, "only == != < <= > >= in and not in are known")
        a, b = self._values(left), self._values(right)
        numbers = all(np.asarray(v).dtype.kind == "f" for v in (a, b))
        if not numbers:
            a, b = np.asarray(a).astype(str), np.asarray(b).astype(str)
            if not isinstance(op, ast.Eq | ast.NotEq):
                raise _error(self.expression, "text can only be compared with == and !=")
        return np.broadcast_to(_COMPARE[type(op)](a, b), len(self.table))

    def _values(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | bool):
            value = node.value
            return np.asarray(float(value) if isinstance(value, int | float) else value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._values(node.operand)
        if isinstance(node, ast.Name):
            name = self.quoted.get(node.id, node.id)
            if name not in self.table.columns:
                columns = list(self.table.columns)
                raise _error(self.expression, f"there is no column {name!r}{nearest(name, columns)}")
            return _as_numbers_or_text(self.table.columns[name])
        raise _error(self.expression, f"{ast.unparse(node)!r} is neither a column nor a value")


def _as_numbers_or_text(cells: Any) -> NDArray[Any]:
    """Numbers if every cell is one (a missing cell is NaN, which equals nothing), else text."""
    values = []
    for cell in cells:
        if isinstance(cell, bool | np.bool_):
            values.append(float(cell))
            continue
        try:
            values.append(parse_number(cell))
        except NotANumberError:
            if cell is None or (isinstance(cell, str) and not cell.strip()):
                values.append(np.nan)
            else:
                return np.asarray(["" if c is None else str(c).strip() for c in cells])
    return np.asarray(values, dtype=np.float64)
