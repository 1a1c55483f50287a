"""Predicted losses: intervals and draws, as tables and as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.intervals import Interval
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

Kind = Literal["run", "law"]
KINDS: tuple[Kind, ...] = ("run", "law")


@dataclass(frozen=True)
class Prediction:
    """Losses at some points, with intervals.

    Parameters
    ----------
    points
        Symbol to values, each of shape (points,).
    kind
        ``"run"``: a new run's loss, scatter included. ``"law"``: the law's mean.
    level
        Mass of the intervals.
    intervals
        One `Interval` of loss for each point.
    decades_beyond
        How far each point lies outside the fitted runs, in decades; see `decades_beyond`.
    draws
        Loss at each point for each posterior draw, shape (draws, points).
    loss_unit
        Unit of the loss.
    basis, law, model
        What was fitted in words, the law's name, and the model that forecasts in words.
    laws
        Name of each law that forecasts to its share of the draws.
    widened, factors
        Intervals as a backtest would have them, and how much wider they are; see `bayescale.widen`.
    """

    points: Mapping[str, NDArray[np.float64]]
    kind: Kind
    level: float
    intervals: tuple[Interval, ...]
    decades_beyond: NDArray[np.float64]
    draws: NDArray[np.float64]
    loss_unit: str
    basis: str
    law: str
    model: str
    laws: Mapping[str, float]
    widened: tuple[Interval, ...] = ()
    factors: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.intervals)

    @property
    def is_point(self) -> bool:
        """Whether it comes from a law without draws, and so without intervals."""
        return len(self.draws) == 1

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain data: ``{"model", "laws", "points": [...]}``, a row for each point."""
        return {
            "model": self.model,
            "laws": dict(self.laws),
            "points": [
                {
                    **{symbol: float(values[i]) for symbol, values in self.points.items()},
                    "kind": self.kind,
                    "level": self.level,
                    "median": interval.median,
                    "lower": None if self.is_point else interval.lower,
                    "upper": None if self.is_point else interval.upper,
                    "decades_beyond": float(self.decades_beyond[i]),
                    **self._widened(i),
                }
                for i, interval in enumerate(self.intervals)
            ],
        }

    def _widened(self, i: int) -> dict[str, float]:
        if self.factors is None:
            return {}
        return {
            "widened_lower": self.widened[i].lower,
            "widened_upper": self.widened[i].upper,
            "factor": float(self.factors[i]),
        }

    def to_frame(self) -> pandas.DataFrame:
        """The prediction as a data frame, a row for each point."""
        import pandas

        return pandas.DataFrame(self.to_json()["points"])

    def with_observed(self, loss: ArrayLike) -> Table:
        """Return the table of the points beside the losses that were observed there."""
        table = self.table()
        observed = np.asarray(loss, dtype=np.float64)
        rows = tuple(
            (*row, f"{y:.4g}", "yes" if interval.lower <= y <= interval.upper else "no")
            for row, interval, y in zip(table.rows, self.intervals, observed, strict=True)
        )
        return Table(table.caption, (*table.columns, Column("observed"), Column("inside")), rows)

    def table(self) -> Table:
        """Return the table of the points, as it goes into a paper."""
        columns = [Column(symbol, f"${symbol}$") for symbol in self.points]
        rows: tuple[Any, ...] = tuple(
            (
                *(float(values[i]) for values in self.points.values()),
                interval,
                *((self.widened[i], f"{self.factors[i]:.2f}") if self.factors is not None else ()),
                decades(self.decades_beyond[i]),
            )
            for i, interval in enumerate(self.intervals)
        )
        what = "loss of a new run" if self.kind == "run" else "mean of the law"
        caption = (
            f"Predicted {what} ({self.loss_unit}), {self.model} {self.basis}: "
            f"{what_stands(self.level, self.is_point)}."
        )
        heads = ["loss" if self.is_point else f"loss, {self.level:.0%} interval"]
        if self.factors is not None:
            heads += ["widened by its backtest", "times wider"]
        return Table(caption, (*columns, *map(Column, (*heads, "decades beyond"))), rows)

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def what_stands(level: float, is_point: bool) -> str:
    """Return, for a caption, what the columns of an answer hold."""
    if is_point:
        return "points without intervals, since no draws were published"
    return f"median and {level:.0%} interval, and decades beyond the runs"


def decades(value: float) -> str:
    """Return a distance beyond the runs as text; a dash where there are no runs."""
    return "-" if np.isnan(value) else f"{value:.1f}"
