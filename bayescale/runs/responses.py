"""What a law explains: the loss of a run, or its error rate, or another quantity above 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.runs.catalogue import INPUT_ROLES, LAW_ROLES, RESPONSE_ROLES, ROLES, SYMBOL_TO_ROLE
from bayescale.runs.cells import to_floats
from bayescale.runs.files import Table
from bayescale.runs.roles import missing_role, nearest, resolve_late
from bayescale.units import check_loss_unit

Floats = NDArray[np.float64]
LOSS, ERROR = "loss", "error"
RESPONSES = (LOSS, ERROR, *(name for name in LAW_ROLES if not ROLES[name].scale))


@dataclass(frozen=True, eq=False)
class Response:
    """What a table holds of the response of a law.

    Parameters
    ----------
    name
        ``"loss"``, ``"error"``, or the name of another column.
    values
        Shape (rows,).
    se
        Known standard errors, or None.
    items
        Number of items that each error rate is of, or None.
    columns
        Role to column, of those that were read.
    problems
        A row and its problem for each cell that cannot be used.
    """

    name: str
    values: Floats
    se: Floats | None
    items: Floats | None
    columns: Mapping[str, str]
    problems: list[tuple[int, Problem]]

    def unit(self, loss_unit: str) -> str:
        """Return the unit of the loss as it was given; of another response, what it is in words."""
        if self.name == LOSS:
            return check_loss_unit(loss_unit)
        return "error rate" if self.name == ERROR else self.name.replace("_", " ")


def read_response(table: Table, resolved: Mapping[str, str], wanted: str | None) -> Response:
    """Read the response: the one that is wanted, else the loss, else the error rate.

    Raises
    ------
    InputError
        No column holds it, or there is no such response.
    """
    names = list(table.columns)
    column = {
        role: resolve_late(role, resolved, names, table.source)
        for role in (*RESPONSE_ROLES, "items", *([wanted] if wanted in RESPONSES else []))
    }
    if wanted is None:
        rates = column["error"] or column["accuracy"]
        wanted = ERROR if rates and not column["loss"] else LOSS
    if wanted not in RESPONSES:
        what = f"{wanted!r} is not a response{nearest(wanted, list(RESPONSES))}"
        raise InputError(Problem("response", what, remedy=f"use one of {', '.join(RESPONSES)}"))
    role = wanted
    if wanted == ERROR and not column["error"]:
        role = "accuracy"
    if not column[role]:
        missing = "error" if wanted == ERROR else wanted
        taken = resolved.values()
        absent = [missing_role(missing, names, table.source, taken)]
        if not set(INPUT_ROLES) & set(resolved):
            absent.append(missing_role("params", names, table.source, taken))
        raise InputError(absent)
    problems: list[tuple[int, Problem]] = []

    def read(role: str, column: str) -> Floats:
        values, found = numbers(table, column, role)
        problems.extend(found)
        return values

    values = read(role, column[role])
    if role == "accuracy":
        values = 1 - values
    items = read("items", column["items"]) if wanted == ERROR and column["items"] else None
    se = read("loss_se", resolved["loss_se"]) if "loss_se" in resolved else None
    if se is None and items is not None:
        share = np.clip(values, 0, 1)
        se = np.sqrt(share * (1 - share) / np.maximum(items, 1))
    columns = {role: column[role]} | ({"items": column["items"]} if items is not None else {})
    return Response(wanted, values, se, items, columns, problems)


def numbers(table: Table, column: str, name: str) -> tuple[Floats, list[tuple[int, Problem]]]:
    """Return a column's numbers, and every cell that lies outside the domain of what it holds.

    `name` is that of a role or of an input; the values of a law's own input must be above 0.
    """
    role = name if name in ROLES else SYMBOL_TO_ROLE.get(name, "")
    if not role:
        return to_floats(table, column, name, positive=True)
    domain = ROLES[role].domain
    values, problems = to_floats(table, column, role, positive=domain.low_open)
    outside = np.isfinite(values) & (values >= 0) & ~domain.holds(values)
    outside[[row for row, _ in problems]] = False
    for row in np.flatnonzero(outside).tolist():
        where = f"{table.source}, {table.place(row)}, column {column!r}"
        problems.append((row, Problem(where, f"the value is {values[row]:g}",
                        f"{role} ({ROLES[role].meaning}) must be {domain.words}",
                        f"correct it, or name another column with --columns {role}=COLUMN")))  # fmt: skip
    return values, sorted(problems, key=lambda pair: pair[0])
