"""What a table of runs contains, in the terms of a scaling law."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bayescale.runs.catalogue import SYMBOL_TO_ROLE
from bayescale.runs.checks import duplicate_rows, log_correlation, repeated_run_ids
from bayescale.runs.table import Runs


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of a column, the decades between them, and the distinct values."""

    column: str
    smallest: float
    largest: float
    decades: float
    distinct: int


@dataclass(frozen=True)
class Description:
    """Ranges, scales and design of a table of runs.

    Parameters
    ----------
    n_runs, n_left_out
        Runs in the table, and rows left out by ``where``.
    ranges
        Symbol to `Range`; ``"M"`` is D/N.
    loss_unit
        Unit of the losses.
    correlation
        Of log N and log D; None without both.
    flops_per_parameter_token
        k of C = kND: geometric mean of C/(ND), and its largest relative deviation in
        `flops_deviation`; 6 and 0 where the table has no FLOPs of its own.
    replicated_points
        Points (inputs) with more than one run, and the median sd of log loss among those runs.
    duplicate_rows
        Rows that repeat another in everything.
    rows_of_one_run
        Run ids with several rows.
    groups
        Label to number of runs.
    notes
        Sentences worth reading before a fit.
    """

    source: str
    n_runs: int
    n_left_out: int
    ranges: dict[str, Range]
    loss_unit: str
    correlation: float | None
    flops_per_parameter_token: float
    flops_deviation: float
    replicated_points: int
    replicate_sd: float | None
    duplicate_rows: int
    rows_of_one_run: dict[str, int]
    groups: dict[str, int]
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The description as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        left = f" ({self.n_left_out} left out)" if self.n_left_out else ""
        lines = [f"{self.n_runs} runs{left} from {self.source}; loss in {self.loss_unit}"]
        for symbol, r in self.ranges.items():
            lines.append(
                f"  {symbol:<4} {r.smallest:>10.4g} to {r.largest:<10.4g} {r.decades:5.2f} decades, "
                f"{r.distinct} distinct" + (f"   (column {r.column!r})" if r.column else "")
            )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _range(column: str, values: np.ndarray) -> Range:
    low, high = float(values.min()), float(values.max())
    decades = float(np.log10(high) - np.log10(low))
    return Range(column, low, high, decades, len(np.unique(values)))


def describe(runs: Runs) -> Description:
    """Describe a table of runs; see `Description`."""
    symbols = [s for s in ("N", "D", "C", "U", "x") if s in runs.inputs]
    if {"N", "D"} <= set(symbols) and "C" not in symbols:
        symbols.append("C")
    columns = {s: runs.columns.get(SYMBOL_TO_ROLE[s], "6ND" if s == "C" else "") for s in symbols}
    ranges = {s: _range(columns[s], runs[s]) for s in symbols}
    correlation, deviation = None, 0.0
    if {"N", "D"} <= set(symbols):
        ranges["M"] = _range("D/N", runs.D / runs.N)
        correlation = log_correlation(runs)
        factor = runs.C / (runs.N * runs.D * runs.flops_per_parameter_token)
        deviation = float(np.max(np.abs(factor - 1)))
    ranges["loss"] = _range(runs.columns.get("loss", ""), runs.loss)
    points = np.column_stack([runs[s] for s in symbols if s in runs.inputs])
    _, where, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    where = where.ravel()
    repeated = np.flatnonzero(counts > 1)
    spreads = [float(np.std(np.log(runs.loss[where == i]), ddof=1)) for i in repeated]
    labels = runs.labels.get("group", np.asarray([], dtype=str))
    group_names, group_counts = np.unique(labels, return_counts=True)
    description = Description(
        source=runs.source,
        n_runs=len(runs),
        n_left_out=runs.n_left_out,
        ranges=ranges,
        loss_unit=runs.loss_unit,
        correlation=correlation,
        flops_per_parameter_token=runs.flops_per_parameter_token,
        flops_deviation=deviation,
        replicated_points=len(repeated),
        replicate_sd=float(np.median(spreads)) if spreads else None,
        duplicate_rows=len(duplicate_rows(runs)),
        rows_of_one_run=repeated_run_ids(runs),
        groups={str(n): int(c) for n, c in zip(group_names, group_counts, strict=True)},
    )
    description.notes.extend(_notes(description))
    return description


def _notes(d: Description) -> list[str]:
    notes = [
        f"{symbol} spans {d.ranges[symbol].decades:.2f} decades: less than one makes its "
        "exponent uncertain"
        for symbol in ("N", "D", "x")
        if symbol in d.ranges and d.ranges[symbol].decades < 1
    ]
    if d.correlation is not None:
        spread = d.ranges["M"]
        notes.append(
            f"D/N goes from {spread.smallest:.3g} to {spread.largest:.3g}; the correlation of log N "
            f"and log D is {d.correlation:.3f}"
            + (" (near 1: N and D are hard to tell apart)" if abs(d.correlation) > 0.95 else "")
        )
    if d.flops_deviation > 0.05:
        notes.append(
            f"C / (N D) is {d.flops_per_parameter_token:.3g} on average and differs from that by up to "
            f"{d.flops_deviation:.0%}; allocation takes the average"
        )
    if d.replicated_points:
        notes.append(
            f"{d.replicated_points} points have several runs; the median sd of log loss among them is "
            f"{d.replicate_sd:.4f}"
        )
    if d.duplicate_rows:
        notes.append(f"{d.duplicate_rows} rows repeat another in inputs, loss and labels")
    if d.rows_of_one_run:
        notes.append(
            f"{len(d.rows_of_one_run)} runs have several rows (checkpoints?), which are not independent"
        )
    if d.groups and len(d.groups) > 1:
        notes.append("groups: " + ", ".join(f"{name} {count}" for name, count in d.groups.items()))
    return notes
