"""A table of runs as many data sets: the rows that share their labels, each set checked by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.runs.cells import to_floats, to_text
from bayescale.runs.files import Table
from bayescale.runs.roles import INPUT_ROLES, LABEL_ROLES, ROLES, nearest, resolve
from bayescale.runs.table import POSITIVE, Runs, check_roles, load_table
from bayescale.units import check_loss_unit

SEPARATOR = "/"


@dataclass(frozen=True, eq=False)
class GroupedRuns:
    """Data sets in one table, by the values of some columns.

    Parameters
    ----------
    by
        The columns that tell the sets apart.
    names
        Name of each set: its values, joined by ``/``, in the order of their first rows.
    values
        The values themselves, one tuple a set.
    order
        Indices of the rows, those of a set together, in the order of the table.
    starts
        Where each set begins in `order`, and at last their number; shape (sets + 1,).
    template
        All rows, without a check of their cells.
    problems
        Row to what is wrong in it.
    """

    by: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    order: NDArray[np.int32]
    starts: NDArray[np.intp]
    template: Runs
    problems: Mapping[int, Problem]

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, i: int) -> NDArray[np.int32]:
        """Return the indices of the rows of one set."""
        return self.order[self.starts[i] : self.starts[i + 1]]

    def runs(self, i: int) -> Runs:
        """Return the runs of one set.

        Raises
        ------
        InputError
            All problems of its cells.
        """
        rows = self.rows(i)
        found = [self.problems[row] for row in rows.tolist() if row in self.problems]
        if found:
            raise InputError(found)
        return self.template.take(rows)


def group_runs(
    source: Any,
    by: str | Sequence[str],
    columns: Mapping[str, str | None] | None = None,
    where: str | None = None,
    loss_unit: str = "nats/token",
) -> GroupedRuns:
    """Read a table and part its rows into data sets.

    Parameters
    ----------
    source, columns, where, loss_unit
        As for `Runs.read`; or `Runs`, whose labels can be named in `by`.
    by
        Columns whose values tell the data sets apart.

    Returns
    -------
    GroupedRuns
        The sets. A cell that is no number spoils its own set only.

    Raises
    ------
    InputError
        A column that is not there, or no rows.
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    if not names:
        raise InputError(Problem("by", "no column is named", remedy="write --by corpus"))
    if isinstance(source, Runs):
        return _group(source, {}, names, source.labels, source.source)
    table, _ = load_table(source, where)
    roles = resolve(list(table.columns), columns, table.source)
    check_roles(table, roles)
    template, problems = _lenient(table, roles, check_loss_unit(loss_unit))
    return _group(template, problems, names, table.columns, table.source)


def _lenient(
    table: Table, roles: Mapping[str, str], loss_unit: str
) -> tuple[Runs, dict[int, Problem]]:
    """All rows as runs, and what is wrong in which."""
    values: dict[str, Any] = {}
    problems: dict[int, Problem] = {}
    for role, column in roles.items():
        if role in LABEL_ROLES:
            continue
        values[role], found = to_floats(table, column, role, positive=role in POSITIVE)
        problems |= dict(reversed(found))
    runs = Runs(
        loss=values["loss"],
        inputs={ROLES[role].symbol: values[role] for role in INPUT_ROLES if role in values},
        loss_se=values.get("loss_se"),
        labels={
            role: np.asarray([to_text(cell) for cell in table.columns[roles[role]]])
            for role in LABEL_ROLES
            if role in roles
        },
        loss_unit=loss_unit,
        source=table.source,
        columns=roles,
        all_columns=tuple(table.columns),
    )
    return runs, problems


def _group(
    template: Runs,
    problems: Mapping[int, Problem],
    by: tuple[str, ...],
    columns: Mapping[str, Any],
    source: str,
) -> GroupedRuns:
    for name in by:
        if name not in columns:
            what = f"there is no column {name!r}{nearest(name, list(columns))}"
            remedy = f"columns are {', '.join(map(repr, columns))}"
            raise InputError(Problem(source, what, "it is to tell the data sets apart", remedy))
    labels = [map(to_text, columns[name]) for name in by]
    places: dict[tuple[str, ...], int] = {}
    codes = np.fromiter(
        (places.setdefault(values, len(places)) for values in zip(*labels, strict=True)), np.int64
    )
    sizes = np.bincount(codes, minlength=len(places))
    return GroupedRuns(
        by=by,
        names=tuple(SEPARATOR.join(map(_escaped, values)) for values in places),
        values=tuple(places),
        order=np.argsort(codes, kind="stable").astype(np.int32),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        template=template,
        problems=problems,
    )


def _escaped(value: str) -> str:
    """A value in which the separator cannot be taken for one, so that names tell sets apart."""
    return value.replace("\\", "\\\\").replace(SEPARATOR, "\\" + SEPARATOR)
