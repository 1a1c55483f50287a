"""What forecasts among one's own runs held: outcomes, coverage and scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.diagnostics import Verdict
from bayescale.drift import FORECASTS
from bayescale.intervals import Interval
from bayescale.prediction import Prediction
from bayescale.runs import Runs
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

DISTANCES = (0.0, 0.25, 0.5, 1.0, np.inf)  # decades beyond the fitted runs, edges of the bins
SHORTFALL = 0.1  # of coverage below the level, from which the intervals are called too narrow

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Origin:
    """A fit to the cheapest runs, and its forecasts of all others.

    Parameters
    ----------
    fitted, forecast
        Indices of the runs that were fitted, and of those that were forecast, cheapest first.
    status, reason
        ``ok`` or ``warn``, as the sampling was; ``failed`` (sampling) or ``rejected`` (the cheapest
        runs do not inform the law), and then why.
    prediction
        The forecasts, in the order of `forecast`; None if there are none.
    loss
        What was observed, likewise.
    log_density
        Log predictive density of each observed log loss, likewise.
    """

    fitted: NDArray[np.intp]
    forecast: NDArray[np.intp]
    status: str
    reason: str
    prediction: Prediction | None
    loss: Floats
    log_density: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Of each forecast; none if the fit gave no forecasts, as with all that follows from them."""
        return () if self.prediction is None else self.prediction.intervals

    @property
    def ends(self) -> Floats:
        """Lower and upper ends of the intervals, shape (2, forecasts)."""
        return np.array([[i.lower, i.upper] for i in self.intervals]).reshape(-1, 2).T

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which outcomes lie in their interval."""
        lower, upper = self.ends
        return (lower <= self.loss) & (self.loss <= upper)

    @property
    def error(self) -> Floats:
        """Log of each outcome, less that of the forecast's median."""
        return np.log(self.loss / np.array([i.median for i in self.intervals]))

    @property
    def interval_score(self) -> Floats:
        """Of each forecast on log loss: width, and 2 / (1 - level) times the distance outside."""
        if self.prediction is None:
            return np.zeros(0)
        lower, upper = np.log(self.ends)
        observed = np.log(self.loss)
        outside = np.maximum(lower - observed, 0) + np.maximum(observed - upper, 0)
        return upper - lower + 2 / (1 - self.prediction.level) * outside

    @property
    def crps(self) -> Floats:
        """Continuous ranked probability score of each forecast of log loss."""
        if self.prediction is None:
            return np.zeros(0)
        draws, observed = np.sort(np.log(self.prediction.draws), axis=0), np.log(self.loss)
        count = len(draws)
        spread = (2 * np.arange(1, count + 1) - 1 - count) @ draws / count**2
        return np.abs(draws - observed).mean(axis=0) - spread

    @property
    def pit(self) -> Floats:
        """The share of each forecast's draws below the outcome; uniform for true forecasts."""
        if self.prediction is None:
            return np.zeros(0)
        return (self.prediction.draws < self.loss).mean(axis=0)

    @property
    def decades_beyond(self) -> Floats:
        """How far each forecast run lies beyond the fitted ones."""
        return np.zeros(0) if self.prediction is None else self.prediction.decades_beyond


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts of the runs from cheaper ones, beside what was observed.

    Parameters
    ----------
    law, noise, drift
        Names of what was fitted.
    level
        Mass of the intervals.
    runs
        The runs.
    compute
        What the runs are ordered by, of shape (runs,): C for a law of N and D, else the product of
        the law's inputs.
    origins
        A fit to the cheapest runs each, the smallest first.
    """

    law: str
    noise: str
    drift: str
    level: float
    runs: Runs
    compute: Floats
    origins: tuple[Origin, ...]

    @property
    def coverage(self) -> float:
        """Share of all forecasts whose interval holds the outcome; NaN if there are none."""
        return _mean(self._all("inside"))

    @property
    def interval_score(self) -> float:
        """Mean interval score of all forecasts, on log loss; NaN if there are none."""
        return _mean(self._all("interval_score"))

    @property
    def crps(self) -> float:
        """Mean continuous ranked probability score of all forecasts, on log loss; NaN if there are none."""
        return _mean(self._all("crps"))

    @property
    def log_score(self) -> float:
        """Mean log predictive density of the observed log losses; larger is better."""
        return _mean(self._all("log_density"))

    def by_distance(self) -> list[dict[str, float]]:
        """Number of forecasts, coverage and mean error by decades beyond the fitted runs."""
        inside, error, decades = map(self._all, ("inside", "error", "decades_beyond"))
        found = []
        for low, high in pairwise(DISTANCES):
            mine = (low <= decades) & (decades < high)
            if mine.any():
                found.append(
                    {
                        "from": low,
                        "to": high,
                        "n_forecast": int(mine.sum()),
                        "coverage": float(inside[mine].mean()),
                        "error": float(error[mine].mean()),
                    }
                )
        return found

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the intervals were worth, where they were worth little."""
        total = len(self._all("inside"))
        if not total:
            said = "No fit to the cheaper runs gave a forecast."
            return (Verdict("no-forecasts", "warn", said, "The status of each origin says why."),)
        if self.coverage >= self.level - SHORTFALL:
            return ()
        said = f"The {self.level:.0%} intervals held {self.coverage:.0%} of {total} outcomes."
        advice = (
            "Let forecasts drift (--drift forecasts)" if self.drift == "none" else "Try another law"
        )
        return (Verdict("intervals-too-narrow", "warn", said, f"{advice}, and test again."),)

    def to_json(self) -> dict[str, Any]:
        """The backtest as plain data."""
        return {
            "law": self.law,
            "noise": self.noise,
            "drift": self.drift,
            "level": self.level,
            "n_runs": len(self.runs),
            "coverage": self.coverage,
            "interval_score": self.interval_score,
            "crps": self.crps,
            "log_score": self.log_score,
            "origins": [
                {
                    "n_fitted": len(origin.fitted),
                    "n_forecast": len(origin.forecast),
                    "compute": float(self.compute[origin.fitted].max()),
                    "status": origin.status,
                    "reason": origin.reason,
                    "coverage": _mean(origin.inside),
                    "error": _mean(origin.error),
                    "interval_score": _mean(origin.interval_score),
                    "crps": _mean(origin.crps),
                    "log_score": _mean(origin.log_density),
                    "decades_beyond": float(np.max(origin.decades_beyond, initial=0.0)),
                }
                for origin in self.origins
            ],
            "by_distance": self.by_distance(),
            "forecasts": self.to_frame().to_dict("records"),
            "verdicts": [asdict(v) for v in self.verdicts],
        }

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each forecast."""
        import pandas

        rows = []
        for origin in self.origins:
            if origin.prediction is None:
                continue
            for i, run in enumerate(origin.forecast):
                interval = origin.prediction.intervals[i]
                rows.append(
                    {
                        "n_fitted": len(origin.fitted),
                        "row": int(run),
                        **{s: float(v[i]) for s, v in origin.prediction.points.items()},
                        "loss": float(origin.loss[i]),
                        "median": interval.median,
                        "lower": interval.lower,
                        "upper": interval.upper,
                        "inside": bool(origin.inside[i]),
                        "pit": float(origin.pit[i]),
                        "log_density": float(origin.log_density[i]),
                        "decades_beyond": float(origin.decades_beyond[i]),
                    }
                )
        return pandas.DataFrame(rows)

    def table(self) -> Table:
        """Return the table of the origins, as it goes into a paper."""
        drift = f" and {self.drift} drift"
        drift = {"none": "", FORECASTS: " and drift in forecasts"}.get(self.drift, drift)
        caption = (
            f"Backtest of the {self.law} law with {self.noise} noise{drift} on {len(self.runs)} runs: "
            f"fitted to the cheapest, {self.level:.0%} intervals for the others, which held "
            f"{self.coverage:.0%} of {len(self._all('inside'))} outcomes. Error: mean of log loss "
            "observed less forecast."
        )
        heads = ("fitted", "up to compute", "forecast", "decades beyond", "covered", "error",
                 "interval score", "status")  # fmt: skip
        rows = tuple(self._row(origin) for origin in self.origins)
        return Table(caption, tuple(map(Column, heads)), rows)

    def _row(self, origin: Origin) -> tuple[str, ...]:
        compute = number(float(f"{self.compute[origin.fitted].max():.3g}"))
        start = (str(len(origin.fitted)), compute, str(len(origin.forecast)))
        if origin.prediction is None:
            return (*start, "", "", "", "", f"{origin.status}: {origin.reason}")
        return (
            *start,
            f"{origin.decades_beyond.max():.1f}",
            f"{_mean(origin.inside):.0%}",
            f"{_mean(origin.error):+.1%}",
            f"{_mean(origin.interval_score):.3f}",
            origin.status,
        )

    def __repr__(self) -> str:
        return "\n".join([self.table().caption, self.table().text(), *map(str, self.verdicts)])

    def _all(self, name: str) -> NDArray[Any]:
        return np.concatenate([getattr(origin, name) for origin in self.origins])


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
