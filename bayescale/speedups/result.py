"""The gain of one recipe over another as a function of scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.diagnostics import Verdict
from bayescale.intervals import Interval
from bayescale.prediction import decades
from bayescale.runs.catalogue import meaning_of
from bayescale.speedups.crossing import Crossing
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The gain over a range: scales of shape (points,), and its quantiles there."""

    scale: Floats
    lower: Floats
    median: Floats
    upper: Floats


@dataclass(frozen=True)
class Speedup:
    """How much less A needs than B for the loss that B reaches, as a function of scale.

    Parameters
    ----------
    symbol
        What the scale is: ``"C"`` (FLOPs), or the one input of both laws, such as ``"D"``.
    scale
        Scales of B, shape (scales,).
    level
        Mass of the intervals.
    gain
        Scale of B over what A needs for the same loss; above 1, A is ahead. 0 where A never reaches it.
    needed
        What A needs; infinite in draws in which it does not reach the loss.
    loss
        Loss of B at these scales.
    ahead
        Probability that A is ahead.
    reached
        Share of the draws in which A reaches the loss of B.
    times
        The scales in units of B's largest run; NaN where there are no runs.
    decades_beyond
        How far the scale of B lies outside the runs of B, or the median need of A outside those of A,
        in decades: the greater.
    crossing
        Where the two cross.
    curve
        The gain over the range in which crossings were looked for.
    draws
        The gain in each draw, shape (draws, scales).
    loss_unit, models, bases
        Unit of the losses; names of the laws of A and B, and what they were fitted to.
    together
        How draws of A and B go together, in words.
    path
        What runs of the two are compared, in words.
    verdicts
        What else should be known.
    shift
        Scale of the shift that paired runs share, if they were paired.
    """

    symbol: str
    scale: Floats
    level: float
    gain: tuple[Interval, ...]
    needed: tuple[Interval, ...]
    loss: tuple[Interval, ...]
    ahead: Floats
    reached: Floats
    times: Floats
    decades_beyond: Floats
    crossing: Crossing
    curve: Curve
    draws: Floats
    loss_unit: str
    models: tuple[str, str]
    bases: tuple[str, str]
    together: str
    path: str
    verdicts: tuple[Verdict, ...] = ()
    shift: Interval | None = None

    def __len__(self) -> int:
        return len(self.scale)

    @property
    def is_point(self) -> bool:
        """Whether it comes from laws without draws, and so without intervals."""
        return len(self.draws) == 1

    @property
    def unit(self) -> str:
        """What the scale is counted in: FLOPs, or its symbol."""
        return "FLOPs" if self.symbol == "C" else self.symbol

    def to_json(self) -> dict[str, Any]:
        """The gain as plain data: ``{"crossing", "scales": [...]}``, one for each scale, in order."""

        def plain(interval: Interval) -> Mapping[str, float | None]:
            return interval.as_point() if self.is_point else interval.to_json()

        return {
            "symbol": self.symbol,
            "level": self.level,
            "laws": dict(zip("AB", self.models, strict=True)),
            "drift": "none: by the laws themselves",
            "together": self.together,
            "path": self.path,
            **({} if self.shift is None else {"omega": self.shift.to_json()}),
            "scales": [
                {
                    self.symbol: float(scale),
                    "times_largest": float(self.times[i]),
                    "loss": plain(self.loss[i]),
                    "gain": plain(self.gain[i]),
                    "needed": plain(self.needed[i]),
                    "probability_ahead": float(self.ahead[i]),
                    "reached": float(self.reached[i]),
                    "decades_beyond": float(self.decades_beyond[i]),
                }
                for i, scale in enumerate(self.scale)
            ],
            "crossing": self.crossing.to_json(),
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
        }

    def to_frame(self) -> pandas.DataFrame:
        """The gain as a data frame, a row for each scale."""
        import pandas

        return pandas.json_normalize(self.to_json()["scales"], sep="_")

    def table(self) -> Table:
        """Return the table of the scales, as it goes into a paper."""
        heads = [
            Column(f"{self.symbol} ({self.unit})" if self.symbol == "C" else self.symbol),
            Column("times the largest run of B"),
            Column(f"loss of B ({self.loss_unit})"),
            Column("A needs"),
            Column("gain"),
            Column("P(A ahead)"),
            Column("decades beyond"),
        ]
        rows: list[Any] = [
            (
                float(scale),
                "-" if np.isnan(self.times[i]) else number(float(f"{self.times[i]:.3g}")),
                self.loss[i],
                self.needed[i],
                self.gain[i],
                f"{self.ahead[i]:.2f}",
                decades(self.decades_beyond[i]),
            )
            for i, scale in enumerate(self.scale)
        ]
        if (self.reached < 1).any():
            heads.append(Column("reached"))
            rows = [(*row, f"{share:.0%}") for row, share in zip(rows, self.reached, strict=True)]
        what = "compute" if self.symbol == "C" else meaning_of(self.symbol)
        intervals = "points without intervals" if self.is_point else f"{self.level:.0%} intervals"
        caption = (
            f"Gain in {what} of A ({self.models[0]} {self.bases[0]}) over B ({self.models[1]} "
            f"{self.bases[1]}), {self.path}, by the laws themselves, without the drift of forecasts; "
            f"{self.together}: medians and {intervals}."
        )
        return Table(caption.replace("medians and points", "points"), tuple(heads), tuple(rows))

    def text(self) -> str:
        """Return the table, where the two cross, and what else should be known."""
        table = self.table()
        lines = [table.caption, table.text(), self.crossing.words(self.symbol, self.level)]
        return "\n".join([*lines, *map(str, self.verdicts)])

    def __repr__(self) -> str:
        return self.text()
