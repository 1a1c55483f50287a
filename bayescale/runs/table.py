"""Runs: a validated table of training runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.runs import files
from bayescale.runs.catalogue import (
    INPUT_ROLES,
    LABEL_ROLES,
    LAW_ROLES,
    ROLES,
    SYMBOL_TO_ROLE,
)
from bayescale.runs.cells import to_text
from bayescale.runs.responses import LOSS, numbers, read_response
from bayescale.runs.roles import missing_column, missing_role, resolve, resolve_late
from bayescale.runs.where import select
from bayescale.units import FLOPS_PER_PARAMETER_TOKEN, LEAST_WRONG, convert_loss

if TYPE_CHECKING:
    from bayescale.runs.describe import Description

Floats = NDArray[np.float64]
HASHED = 65_536  # values that are hashed at once


@dataclass(frozen=True, eq=False)
class Runs:
    """A validated table of training runs.

    Make one with `Runs.read`. Every value is a finite float64 in the domain of its column.

    Parameters
    ----------
    loss
        Final loss of each run, in `loss_unit`, shape (runs,); or another response.
    inputs
        Symbol to values, each of shape (runs,): ``"N"`` parameters, ``"D"`` training tokens,
        ``"C"`` FLOPs if the table has them, ``"U"`` unique tokens, ``"x"`` the one input of a law of
        one variable; and what `with_inputs` added.
    loss_se
        Standard error of each loss, 0 or more, in the unit of the loss; None if not known.
    labels
        ``"group"``, ``"seed"`` and ``"run_id"`` to texts of shape (runs,), where the table has them.
    loss_unit
        ``nats/token``, ``bits/token``, ``nats/byte`` or ``bits/byte``; of another response, what it is.
    response
        What `loss` holds: ``"loss"``, ``"error"`` (a share of items), or the name of another column.
    items
        Number of items that each error rate is of, shape (runs,); None if not known.
    source
        Where the table came from.
    columns
        Role to column name, as it was resolved.
    all_columns
        Names of all columns of the table, for messages.
    places
        Words for the place of each run in the source, such as ``"line 7"``.
    where
        The expression that chose the rows, or an empty string.
    n_left_out
        Number of rows that `where` left out.
    spare
        The table, for inputs that are read when a law needs them; None if there is none.

    Examples
    --------
    >>> runs = Runs.read({"N": [1e8, 2e8], "D": [2e9, 4e9], "val_loss": [3.2, 3.0]})
    >>> runs.N
    array([1.e+08, 2.e+08])
    """

    loss: Floats
    inputs: Mapping[str, Floats]
    loss_se: Floats | None = None
    labels: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    loss_unit: str = "nats/token"
    response: str = LOSS
    items: Floats | None = None
    source: str = "runs"
    columns: Mapping[str, str] = field(default_factory=dict)
    all_columns: Sequence[str] = ()
    places: Sequence[str] = ()
    where: str = ""
    n_left_out: int = 0
    spare: Spare | None = None

    @classmethod
    def read(
        cls,
        source: Any,
        columns: Mapping[str, str | None] | None = None,
        where: str | None = None,
        loss_unit: str = "nats/token",
        response: str | None = None,
    ) -> Runs:
        """Read a table of runs from a file, a data frame or a dict of columns.

        Parameters
        ----------
        source
            Path of a CSV, TSV, Parquet, JSON or JSONL file; a pandas, polars or pyarrow table; or a
            dict of columns.
        columns
            Role to column name, such as ``{"params": "n", "loss": "val_loss"}``, for columns whose
            names are not recognised. An empty name means that the role is not used. Roles are those
            of ``bayescale.runs.ROLES``: params, tokens, flops, loss, loss_se, group, run_id, ...
        where
            An expression that chooses rows, such as ``"epoch_dropped == 0 and loss < 4"``.
        loss_unit
            Unit of the loss column.
        response
            What is to be explained: ``"loss"``, ``"error"`` (from a column of error rates, or of
            accuracies, which are 1 less), or the name of another column; by default the loss, else the
            error rate.

        Returns
        -------
        Runs
            The validated table.

        Raises
        ------
        InputError
            All problems found: missing columns, cells that are not positive finite numbers, no rows.

        Examples
        --------
        >>> table = {"n": [1e8, 2e8], "tokens": [2e9, 4e9], "ppl": [3.2, 3.0]}
        >>> len(Runs.read(table, columns={"loss": "ppl"}))
        2
        """
        table, n_left_out = load_table(source, where)
        resolved = resolve(list(table.columns), columns, table.source)
        seen = read_response(table, resolved, response)
        last = [problem for _, problem in seen.problems]
        columns_of = {ROLES[r].symbol: c for r, c in resolved.items() if r in INPUT_ROLES}
        values = _numbers(table, columns_of, last)
        return cls(
            loss=seen.values,
            inputs=values,
            loss_se=seen.se,
            labels={
                role: np.asarray([to_text(cell) for cell in table.columns[resolved[role]]])
                for role in LABEL_ROLES
                if role in resolved
            },
            loss_unit=seen.unit(loss_unit),
            response=seen.name,
            items=seen.items,
            source=table.source,
            columns=resolved | dict(seen.columns),
            all_columns=tuple(table.columns),
            places=tuple(table.place(i) for i in range(len(table))),
            where=where or "",
            n_left_out=n_left_out,
            spare=Spare(table, np.arange(len(table))),
        )

    def __len__(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        return str(self.describe())

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.inputs or (symbol == "C" and {"N", "D"} <= set(self.inputs))

    def __getitem__(self, symbol: str) -> Floats:
        """Return an input by its symbol; ``"C"`` is 6ND where the table has no FLOPs."""
        if symbol in self.inputs:
            return self.inputs[symbol]
        if symbol in self:
            return FLOPS_PER_PARAMETER_TOKEN * self.inputs["N"] * self.inputs["D"]
        names = list(self.all_columns or self.columns.values())
        role = SYMBOL_TO_ROLE.get(symbol, symbol)
        if role in (*INPUT_ROLES, *LAW_ROLES):
            raise InputError(missing_role(role, names, self.source, self.columns.values()))
        raise InputError(missing_column(symbol, symbol, names, self.source))

    @property
    def N(self) -> Floats:
        """Parameters of each run."""
        return self["N"]

    @property
    def D(self) -> Floats:
        """Training tokens of each run."""
        return self["D"]

    @property
    def C(self) -> Floats:
        """Training FLOPs of each run: the table's own column, else 6ND."""
        return self["C"]

    @property
    def flops_per_parameter_token(self) -> float:
        """The k of C = k N D: 6, or the geometric mean of the table's own C / (N D)."""
        if {"C", "N", "D"} <= set(self.inputs):
            if np.allclose(self.C, FLOPS_PER_PARAMETER_TOKEN * self.N * self.D, rtol=1e-6, atol=0):
                return FLOPS_PER_PARAMETER_TOKEN
            return float(np.exp(np.mean(np.log(self.C / (self.N * self.D)))))
        return FLOPS_PER_PARAMETER_TOKEN

    @property
    def outcome(self) -> str:
        """What the response is, in words: loss, error rate, learning rate."""
        return LOSS if self.response == LOSS else self.loss_unit

    @property
    def what(self) -> str:
        """What the response is, with its unit, for the axis of a figure."""
        return f"loss ({self.loss_unit})" if self.response == LOSS else self.loss_unit

    @property
    def log_loss(self) -> Floats:
        """Log losses; of an error rate of 0, that of a trillionth."""
        return np.log(np.maximum(self.loss, LEAST_WRONG) if self.items is not None else self.loss)

    @property
    def relative_se(self) -> Floats:
        """Standard error of each log loss; 0 where the table has no standard errors."""
        if self.loss_se is None:
            return np.zeros(len(self))
        return self.loss_se / np.where(self.loss > 0, self.loss, 1.0)

    def known(self, counts: bool) -> Floats:
        """Return what noise knows of each row: its standard error, or for noise of counts its items."""
        if not counts:
            return self.relative_se
        return np.zeros(len(self)) if self.items is None else self.items

    @property
    def data_hash(self) -> str:
        """SHA-256 of the numbers that a fit sees, in hexadecimal."""
        digest = hashlib.sha256()
        unknown = self.loss_se is None
        se = np.broadcast_to(0.0, len(self)) if unknown else self.relative_se
        for name, column in [*sorted(self.inputs.items()), ("loss", self.loss), ("se", se)]:
            digest.update(name.encode())
            for start in range(0, len(column), HASHED):  # no copy of a column of millions of rows
                digest.update(column[start : start + HASHED].astype("<f8").tobytes())
        return digest.hexdigest()

    def with_x(self, column: str) -> Runs:
        """Return the runs with input x taken from N, D, C or U (or their roles' names)."""
        role = ROLES.get(column)
        symbol = role.symbol if role else column
        return replace(
            self, inputs={**self.inputs, "x": self[symbol]}, columns={**self.columns, "x": symbol}
        )

    def has(self, symbol: str) -> bool:
        """Whether there is a column for an input, whatever its cells."""
        spare = self.spare is not None and bool(self.spare.column_of(symbol, self.columns))
        return symbol in self or spare

    def with_inputs(self, symbols: Sequence[str]) -> Runs:
        """Return the runs with these inputs, read from the table where they were not needed before.

        Parameters
        ----------
        symbols
            Symbols of inputs; one that is no role's is the column of that name, whose values must be
            above 0.

        Raises
        ------
        InputError
            A column that is not there, or cells that cannot be used.
        """
        known = {*self.inputs, *(["C"] if {"N", "D"} <= set(self.inputs) else [])}
        wanted = [symbol for symbol in symbols if symbol not in known]
        if self.spare is None or not wanted:
            return self
        columns: dict[str, str] = {}
        for symbol in wanted:
            columns[symbol] = self.spare.column_of(symbol, self.columns)
            if not columns[symbol]:
                self[symbol]  # which says what is missing
        values = _numbers(self.spare.table, columns, rows=self.spare.rows)
        roles = {SYMBOL_TO_ROLE.get(symbol, symbol): c for symbol, c in columns.items()}
        return replace(self, inputs={**self.inputs, **values}, columns={**self.columns, **roles})

    def in_unit(self, loss_unit: str, bytes_per_token: float | None = None) -> Runs:
        """Return the runs with losses and their standard errors in another unit."""
        loss = convert_loss(self.loss, self.loss_unit, loss_unit, bytes_per_token)
        se = self.loss_se
        if se is not None:
            se = convert_loss(se, self.loss_unit, loss_unit, bytes_per_token)
        return replace(self, loss=loss, loss_se=se, loss_unit=loss_unit)

    def take(self, rows: Any) -> Runs:
        """Return the runs at these indices or where this mask is True."""
        index = np.atleast_1d(np.arange(len(self))[rows])
        return replace(
            self,
            loss=self.loss[index],
            inputs={symbol: column[index] for symbol, column in self.inputs.items()},
            loss_se=None if self.loss_se is None else self.loss_se[index],
            items=None if self.items is None else self.items[index],
            spare=None if self.spare is None else replace(self.spare, rows=self.spare.rows[index]),
            labels={name: column[index] for name, column in self.labels.items()},
            places=tuple(self.places[i] for i in index) if self.places else (),
        )

    def describe(self) -> Description:
        """Summarise ranges, scales, design, duplicates and repeated runs."""
        from bayescale.runs.describe import describe

        return describe(self)


@dataclass(frozen=True, eq=False)
class Spare:
    """A table, and which of its rows are meant."""

    table: files.Table
    rows: NDArray[np.intp]

    def column_of(self, symbol: str, columns: Mapping[str, str]) -> str:
        """Return the column of an input; empty if there is none."""
        names, role = list(self.table.columns), SYMBOL_TO_ROLE.get(symbol)
        if role is None:
            return symbol if symbol in names else ""
        return resolve_late(role, columns, names, self.table.source)


def read_points(
    source: Any,
    inputs: Sequence[str],
    columns: Mapping[str, str | None] | None = None,
    where: str | None = None,
) -> dict[str, Floats]:
    """Read points at which to predict: a table that needs no loss.

    Parameters
    ----------
    source, columns, where
        As for `Runs.read`.
    inputs
        Symbols of the inputs that must be there.

    Returns
    -------
    dict
        Symbol to values of shape (rows,), in the order of the table.
    """
    table, _ = load_table(source, where)
    resolved = resolve(list(table.columns), columns, table.source)
    names, found = list(table.columns), {}
    for symbol in inputs:
        found[symbol] = Spare(table, np.arange(len(table))).column_of(symbol, resolved)
        if not found[symbol]:
            role, taken = SYMBOL_TO_ROLE.get(symbol), resolved.values()
            raise InputError(
                missing_column(symbol, symbol, names, table.source)
                if role is None
                else missing_role(role, names, table.source, taken)
            )
    return _numbers(table, found)


def load_table(source: Any, where: str | None) -> tuple[files.Table, int]:
    """The rows that are wanted, and how many are left out."""
    table = files.load(source)
    rows = len(table)
    if where:
        table = _take(table, np.flatnonzero(select(table, where)))
    if not len(table):
        what, remedy = "the table has no rows", "give at least one run"
        if rows:
            what = f"where {where!r} leaves out all {rows} rows"
            remedy = "choose rows that are there"
        raise InputError(Problem(table.source, what, remedy=remedy))
    return table, rows - len(table)


def _numbers(
    table: files.Table,
    columns: Mapping[str, str],
    more: Sequence[Problem] = (),
    rows: NDArray[np.intp] | None = None,
) -> dict[str, Floats]:
    """Role or symbol to numbers, of some rows; all problems of all columns at once, and `more`."""
    values = {}
    problems: list[Problem] = []
    for name, column in columns.items():
        values[name], found = numbers(table, column, name)
        if rows is not None:
            wanted = set(rows.tolist())
            values[name], found = values[name][rows], [p for p in found if p[0] in wanted]
        problems += [problem for _, problem in found]
    if problems or more:
        raise InputError([*problems, *more])
    return values


def _take(table: files.Table, index: NDArray[np.intp]) -> files.Table:
    columns = {
        name: cells[index] if isinstance(cells, np.ndarray) else [cells[i] for i in index]
        for name, cells in table.columns.items()
    }
    return files.Table(columns, table.source, lambda i: table.place(int(index[i])))
