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
from bayescale.runs.cells import to_floats, to_text
from bayescale.runs.roles import (
    INPUT_ROLES,
    LABEL_ROLES,
    ROLES,
    SYMBOL_TO_ROLE,
    missing_role,
    resolve,
)
from bayescale.runs.where import select
from bayescale.units import FLOPS_PER_PARAMETER_TOKEN, check_loss_unit, convert_loss

if TYPE_CHECKING:
    from bayescale.runs.describe import Description

Floats = NDArray[np.float64]
POSITIVE = (*INPUT_ROLES, "loss")
HASHED = 65_536  # values that are hashed at once


@dataclass(frozen=True, eq=False)
class Runs:
    """A validated table of training runs.

    Make one with `Runs.read`. Every value is a finite float64, every input and loss above 0.

    Parameters
    ----------
    loss
        Final loss of each run, in `loss_unit`, shape (runs,).
    inputs
        Symbol to values, each of shape (runs,): ``"N"`` parameters, ``"D"`` training tokens,
        ``"C"`` FLOPs if the table has them, ``"U"`` unique tokens, ``"x"`` the one input of a law of
        one variable.
    loss_se
        Standard error of each loss, 0 or more, in the unit of the loss; None if not known.
    labels
        ``"group"``, ``"seed"`` and ``"run_id"`` to texts of shape (runs,), where the table has them.
    loss_unit
        ``nats/token``, ``bits/token``, ``nats/byte`` or ``bits/byte``.
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
    source: str = "runs"
    columns: Mapping[str, str] = field(default_factory=dict)
    all_columns: Sequence[str] = ()
    places: Sequence[str] = ()
    where: str = ""
    n_left_out: int = 0

    @classmethod
    def read(
        cls,
        source: Any,
        columns: Mapping[str, str | None] | None = None,
        where: str | None = None,
        loss_unit: str = "nats/token",
    ) -> Runs:
        """Read a table of runs from a file, a data frame or a dict of columns.

        Parameters
        ----------
        source
            Path of a CSV, TSV, Parquet, JSON or JSONL file; a pandas, polars or pyarrow table; or a
            dict of columns.
        columns
            Role to column name, such as ``{"params": "n", "loss": "val_loss"}``, for columns whose
            names are not recognised. An empty name means that the role is not used. Roles: params,
            tokens, flops, unique_tokens, x, loss, loss_se, group, seed, run_id.
        where
            An expression that chooses rows, such as ``"epoch_dropped == 0 and loss < 4"``.
        loss_unit
            Unit of the loss column.

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
        check_roles(table, resolved)
        values = _numbers(
            table, {role: c for role, c in resolved.items() if role not in LABEL_ROLES}
        )
        return cls(
            loss=values["loss"],
            inputs={ROLES[role].symbol: values[role] for role in INPUT_ROLES if role in values},
            loss_se=values.get("loss_se"),
            labels={
                role: np.asarray([to_text(cell) for cell in table.columns[resolved[role]]])
                for role in LABEL_ROLES
                if role in resolved
            },
            loss_unit=check_loss_unit(loss_unit),
            source=table.source,
            columns=resolved,
            all_columns=tuple(table.columns),
            places=tuple(table.place(i) for i in range(len(table))),
            where=where or "",
            n_left_out=n_left_out,
        )

    def __len__(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        return str(self.describe())

    def __getitem__(self, symbol: str) -> Floats:
        """Return an input by its symbol; ``"C"`` is 6ND where the table has no FLOPs."""
        if symbol in self.inputs:
            return self.inputs[symbol]
        if symbol == "C" and {"N", "D"} <= set(self.inputs):
            return FLOPS_PER_PARAMETER_TOKEN * self.inputs["N"] * self.inputs["D"]
        role = SYMBOL_TO_ROLE.get(symbol, symbol)
        if role not in INPUT_ROLES:
            raise InputError(f"{symbol!r} is not an input; inputs are N, D, C, U and x")
        taken = self.columns.values()
        raise InputError(missing_role(role, self.all_columns or list(taken), self.source, taken))

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
    def relative_se(self) -> Floats:
        """Standard error of each log loss; 0 where the table has no standard errors."""
        return np.zeros(len(self)) if self.loss_se is None else self.loss_se / self.loss

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
            labels={name: column[index] for name, column in self.labels.items()},
            places=tuple(self.places[i] for i in index) if self.places else (),
        )

    def describe(self) -> Description:
        """Summarise ranges, scales, design, duplicates and repeated runs."""
        from bayescale.runs.describe import describe

        return describe(self)


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
    roles = [SYMBOL_TO_ROLE[symbol] for symbol in inputs]
    for role in roles:
        if role not in resolved:
            names = list(table.columns)
            raise InputError(missing_role(role, names, table.source, resolved.values()))
    values = _numbers(table, {role: resolved[role] for role in roles})
    return {ROLES[role].symbol: values[role] for role in roles}


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


def check_roles(table: files.Table, resolved: Mapping[str, str]) -> None:
    """A law needs a loss and an input; which input, the law knows."""
    names, problems = list(table.columns), []
    if "loss" not in resolved:
        problems.append(missing_role("loss", names, table.source, resolved.values()))
    if not set(INPUT_ROLES) & set(resolved):
        problems.append(missing_role("params", names, table.source, resolved.values()))
    if problems:
        raise InputError(problems)


def _numbers(table: files.Table, columns: Mapping[str, str]) -> dict[str, Floats]:
    """Role to numbers; all problems of all columns at once."""
    values, problems = {}, []
    for role, column in columns.items():
        values[role], found = to_floats(table, column, role, positive=role in POSITIVE)
        problems += [problem for _, problem in found]
    if problems:
        raise InputError(problems)
    return values


def _take(table: files.Table, index: NDArray[np.intp]) -> files.Table:
    columns = {
        name: cells[index] if isinstance(cells, np.ndarray) else [cells[i] for i in index]
        for name, cells in table.columns.items()
    }
    return files.Table(columns, table.source, lambda i: table.place(int(index[i])))
