"""What a run that is under way shows: the result of `bayescale.monitor`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from bayescale.diagnostics import Verdict
from bayescale.intervals import Interval
from bayescale.monitoring.alarms import Detection
from bayescale.monitoring.curves import Curve
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

FEW = 8  # earlier runs below which it is told
BEYOND = 0.5  # decades beyond the earlier runs from which it is told
SURPRISE = 0.05  # probability of so few held intervals, below which it is told

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Update:
    """What a checkpoint says.

    Parameters
    ----------
    share, tokens, loss
        Share of the training that is done, tokens seen, and the loss there.
    expected
        Loss there if the forecast is right.
    final
        The final loss, given the curve up to here.
    inside, above
        Probability that the final loss lies in the forecast's interval, and above it.
    called
        Whether the run is called off its forecast here, at the stated rate of false alarms.
    """

    share: float
    tokens: float
    loss: float
    expected: Interval
    final: Interval
    inside: float
    above: float
    called: bool


@dataclass(frozen=True)
class Check:
    """Earlier runs that end in their forecast or not, each judged without its own curve.

    Parameters
    ----------
    share
        Of the training, up to which curves were seen.
    runs, held
        Number of runs, and of those whose final loss the updated interval held.
    """

    share: float
    runs: int
    held: int


@dataclass(frozen=True, eq=False)
class Monitoring:
    """A run under way beside its forecast.

    Parameters
    ----------
    curve
        Its checkpoints.
    level
        Mass of the intervals.
    forecast
        Final loss, before the curve was seen.
    updates
        One for each point of the grid of shares that the curve covers, and for its last checkpoint; none
        if there are no earlier curves and the run is not done.
    shares, expected
        Shares of the whole training at which curves are compared, and the loss there if the forecast is
        right.
    detection
        When a bad run could have been called; None without earlier curves.
    checks
        The updated intervals, tried on the earlier runs.
    false_alarms
        Of the earlier runs that ended in their forecast, how many would have been called, and how many
        there are.
    earlier, left_out
        Number of earlier runs that were learned from, and why others were not.
    decades_beyond
        How far the run's size lies outside the earlier runs, in decades of N D.
    loss_unit, model
        Unit of the loss, and the model that forecasts in words.
    """

    curve: Curve
    level: float
    forecast: Interval
    updates: tuple[Update, ...]
    shares: Floats
    expected: tuple[Interval, ...]
    detection: Detection | None
    checks: tuple[Check, ...]
    false_alarms: tuple[int, int]
    earlier: int
    left_out: tuple[str, ...]
    decades_beyond: float
    loss_unit: str
    model: str

    @property
    def last(self) -> Update | None:
        """The update at the last checkpoint; None if there are no updates."""
        return self.updates[-1] if self.updates else None

    @property
    def final(self) -> Interval:
        """The final loss as it is known now."""
        return self.last.final if self.last else self.forecast

    @property
    def inside(self) -> float:
        """Probability that the final loss lies in the forecast's interval."""
        return self.last.inside if self.last else self.level

    @property
    def is_off(self) -> bool:
        """Whether the run is called now."""
        return self.last is not None and self.last.called

    @property
    def called_at(self) -> float:
        """Share of the training at which the run was called first; NaN if it was not."""
        return next((u.share for u in self.updates if u.called), float("nan"))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What must be known of the answer."""
        found = []
        last = self.last
        if self.is_off and last is not None:
            found.append(
                Verdict(
                    "off-forecast", "warn",
                    f"The final loss lies above the forecast's {self.level:.0%} interval with probability "
                    f"{last.above:.2f}; the run was called at {self.called_at:.0%} of its tokens.",
                    "Look for what differs from the earlier runs: data, learning rate, loss spikes.",
                )
            )  # fmt: skip
        elif last is not None and 1 - last.inside - last.above > 0.5:
            found.append(
                Verdict("below-forecast", "note", "The final loss likely lies below the forecast's interval.",
                        "If the runs of the fit were trained alike, look for a leak of held-out data.")
            )  # fmt: skip
        if not self.earlier and not self.curve.is_finished:
            found.append(
                Verdict(
                    "no-curves", "warn",
                    "Without curves of earlier runs, how far a loss comes down before the end is not known: "
                    f"only the end of a run can be judged, and this one is at {self.curve.shares[-1]:.0%}.",
                    "Give checkpoints of earlier runs (curves, --curves).",
                )
            )  # fmt: skip
        if self.earlier and not self.updates:
            found.append(
                Verdict(
                    "too-early", "note",
                    f"The run is at {self.curve.shares[-1]:.1%}; earlier curves are compared from "
                    f"{self.shares[0]:.0%} on.",
                )
            )  # fmt: skip
        narrow = [c for c in self.checks if binom.cdf(c.held, c.runs, self.level) < SURPRISE]
        if narrow:
            held = ", ".join(f"{c.held} of {c.runs} at {c.share:.0%}" for c in narrow)
            found.append(
                Verdict(
                    "intervals-too-narrow", "warn",
                    f"Updated {self.level:.0%} intervals held {held} of the final losses of earlier runs.",
                    "They are not alike: give curves of one recipe, and smooth noisy losses.",
                )
            )  # fmt: skip
        if 0 < self.earlier < FEW:
            found.append(
                Verdict(
                    "few-curves", "note", f"The curve is learned from {self.earlier} earlier runs."
                )
            )
        if self.decades_beyond > BEYOND:
            found.append(
                Verdict(
                    "beyond-the-curves", "warn",
                    f"The run is {self.decades_beyond:.1f} decades of N D outside the earlier runs.",
                    "Their curves are taken to go on as they do, with a trend in size.",
                )
            )  # fmt: skip
        if self.left_out:
            found.append(Verdict("left-out", "note", f"Left out: {'; '.join(self.left_out)}."))
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The state of the run as plain data."""
        found = self.detection
        return {
            "N": self.curve.N,
            "D_final": self.curve.D_final,
            "share": float(self.curve.shares[-1]),
            "level": self.level,
            "forecast": self.forecast.to_json(),
            "final": self.final.to_json(),
            "inside": self.inside,
            "off": self.is_off,
            "called_at": _or_none(self.called_at),
            "n_curves": self.earlier,
            "checkpoints": [asdict(u) for u in self.updates],
            "detection": None if found is None else {
                "false_alarm": found.false_alarm,
                "excess": found.excess,
                "threshold": found.threshold,
                "earliest": _or_none(found.earliest()),
                "earliest_90": _or_none(found.earliest(0.9)),
                "shares": found.shares.tolist(),
                "called": found.called.tolist(),
                "rate": found.rate,
            },
            "checks": [asdict(c) for c in self.checks],
            "false_alarms": {"called": self.false_alarms[0], "runs": self.false_alarms[1]},
            "verdicts": [asdict(v) for v in self.verdicts],
        }  # fmt: skip

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each checkpoint."""
        import pandas

        return pandas.json_normalize([asdict(u) for u in self.updates], sep="_")

    def table(self) -> Table:
        """Return the table of the checkpoints, as it goes into a paper."""
        caption = (
            f"A run of N = {number(self.curve.N)} to D = {number(self.curve.D_final)} beside its forecast, "
            f"{self.forecast} {self.loss_unit} by {self.model}: median and {self.level:.0%} interval of the "
            f"loss expected there and of the final loss, and the probability that this lies in the "
            f"forecast's interval, and above it. {self._said()}"
        )
        heads = ("share", "D", "loss", "expected", "final loss", "inside", "above", "")
        rows = tuple(
            (f"{u.share:.0%}", number(float(f"{u.tokens:.4g}")), f"{u.loss:.4g}", u.expected, u.final,
             f"{u.inside:.2f}", f"{u.above:.2f}", "called" if u.called else "")
            for u in self.updates
        )  # fmt: skip
        return Table(caption.rstrip(), tuple(map(Column, heads)), rows)

    def _said(self) -> str:
        found = self.detection
        if found is None:
            return ""
        half, most = found.earliest(), found.earliest(0.9)
        when = "are seldom called before the end"
        if np.isfinite(half):
            when = f"are called by {half:.0%} of the tokens (half of them)"
            when += f" and by {most:.0%} (nine of ten)" if np.isfinite(most) else ""
        held = ", ".join(f"{c.held} of {c.runs} at {c.share:.0%}" for c in self.checks)
        called, good = self.false_alarms
        return (
            f"At {found.false_alarm:.0%} false alarms, runs that end {found.excess:.0%} above the interval "
            f"{when}. Earlier runs, each without its own curve: updated intervals held {held}; {called} of "
            f"{good} that ended inside were called."
        )

    def __repr__(self) -> str:
        return "\n".join([self.table().caption, self.table().text(), *map(str, self.verdicts)])


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
