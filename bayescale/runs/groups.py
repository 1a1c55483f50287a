"""A table of runs as many data sets: the rows that share their labels, each set checked by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.runs.catalogue import INPUT_ROLES, LABEL_ROLES, ROLES
from bayescale.runs.cells import to_text
from bayescale.runs.files import Table
from bayescale.runs.responses import numbers, read_response
from bayescale.runs.roles import nearest, resolve
from bayescale.runs.table import Runs, Spare, load_table

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
    response: str | None = None,
    inputs: Sequence[str] = (),
) -> GroupedRuns:
    """Read a table and part its rows into data sets.

    Parameters
    ----------
    source, columns, where, loss_unit, response
        As for `Runs.read`; or `Runs`, whose labels can be named in `by`.
    by
        Columns whose values tell the data sets apart.
    inputs
        Symbols of inputs that the law needs.

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
        template = source.with_inputs([symbol for symbol in inputs if source.has(symbol)])
        return _group(template, {}, names, source.labels, source.source)
    table, _ = load_table(source, where)
    roles = resolve(list(table.columns), columns, table.source)
    template, problems = _lenient(table, roles, loss_unit, response, inputs)
    return _group(template, problems, names, table.columns, table.source)


def _lenient(
    table: Table,
    roles: Mapping[str, str],
    loss_unit: str,
    response: str | None,
    inputs: Sequence[str],
) -> tuple[Runs, dict[int, Problem]]:
    """All rows as runs, and what is wrong in which."""
    seen = read_response(table, roles, response)
    spare = Spare(table, np.arange(len(table)))
    columns = {ROLES[role].symbol: column for role, column in roles.items() if role in INPUT_ROLES}
    columns |= {s: c for s in inputs if (c := spare.column_of(s, roles))}
    values: dict[str, Any] = {}
    problems: dict[int, Problem] = dict(reversed(seen.problems))
    for symbol, column in columns.items():
        values[symbol], found = numbers(table, column, symbol)
        problems |= dict(reversed(found))
    runs = Runs(
        loss=seen.values,
        inputs=values,
        loss_se=seen.se,
        items=seen.items,
        response=seen.name,
        labels={
            role: np.asarray([to_text(cell) for cell in table.columns[roles[role]]])
            for role in LABEL_ROLES
            if role in roles
        },
        loss_unit=seen.unit(loss_unit),
        source=table.source,
        columns={**roles, **seen.columns},
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
