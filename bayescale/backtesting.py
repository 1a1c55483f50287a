"""Backtests: what the intervals would have covered, had only the cheaper of the runs been there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.diagnostics import Verdict
from bayescale.drift import FORECASTS, DampedTrend, drift_name, log_compute
from bayescale.effects import Effects
from bayescale.errors import DesignError, FailedFitError, InputError, Problem
from bayescale.fitting import fit, prepare, runs_for
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import Law, get_law
from bayescale.noise import Noise
from bayescale.prediction import Prediction, log_predictive_density, positive, predict
from bayescale.priors import Prior
from bayescale.runs import Runs
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

FRACTIONS = (0.5, 0.65, 0.8)  # of the runs that are fitted
DISTANCES = (0.0, 0.25, 0.5, 1.0, np.inf)  # decades beyond the fitted runs, edges of the bins
SAME = 1e-6  # runs whose log10 of compute differs by less have one budget
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


def backtest(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    fractions: Sequence[float] = FRACTIONS,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    drift: str | DampedTrend | None = FORECASTS,
    effects: str | Effects | None = None,
    wider: bool = True,
    compute: ArrayLike | None = None,
    allow: Collection[str] = (),
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    progress: Callable[[int, int], None] | None = None,
) -> Backtest:
    r"""Forecast the larger of the runs from the cheaper ones, and compare with what was observed.

    .. math:: \mathrm{coverage} = \frac{1}{n} \sum_i
              \left[\, q_{(1 - \mathrm{level}) / 2} \le L_i \le q_{(1 + \mathrm{level}) / 2} \,\right],
              \qquad q = \text{quantiles given the runs with } C \le C_\mathrm{origin}

    The assumption: larger runs will depart from the law as these did from what the cheaper of them
    said. Forecasts from one origin share their error, so ten of them are not ten tests. With effects,
    every forecast is that of a new run, with a shift of its own: where earlier rows of the same run
    were fitted, its interval is wider than it need be.

    Parameters
    ----------
    runs, law, noise, x, priors, drift, effects, wider, allow, seed
        As for `bayescale.fit`.
    fractions
        Shares of the runs that are fitted, above 0 and below 1, each the cheapest by compute. Runs of
        one budget stay together.
    compute
        What the runs are ordered by, above 0, shape (runs,); by default C for a law of N and D, else
        the product of the law's inputs.
    level
        Mass of the intervals, between 0 and 1.
    progress
        Called with the fits done and the fits in all.

    Returns
    -------
    Backtest
        An `Origin` for each fraction, the smallest first; those that cannot be fitted say why.

    Raises
    ------
    InputError
        The runs, the law or an option cannot be used, or all runs have one compute budget.

    References
    ----------
    Rolling-origin evaluation: Tashman 2000, Out-of-sample tests of forecasting accuracy,
    International Journal of Forecasting 16, 437-450. Interval score: Gneiting and Raftery 2007,
    Strictly proper scoring rules, prediction, and estimation, JASA 102, 359-378, equation 43; log
    score and CRPS, sections 4.1 and 4.2.

    Examples
    --------
    >>> result = backtest("byte-sweep", fractions=[0.7])
    >>> result.origins[0].status
    'ok'
    >>> 0 <= result.coverage <= 1
    True
    """
    check_level(level)
    law_class = get_law(law)
    inputs = law_class.inputs
    table = runs_for(runs, law_class, x)
    logs = log_size(table, inputs) if compute is None else np.log10(positive("compute", compute))
    if logs.shape != table.loss.shape:
        raise InputError(
            Problem("compute", f"it has {logs.size} values for {len(table)} runs",
                    remedy="give one for each run")
        )  # fmt: skip
    order, cuts = rolling_origins(logs, fractions)
    options: Any = {"priors": priors, "drift": drift, "effects": effects, "allow": allow}
    spec, *_ = prepare(table, law, noise, **options)

    def forecast(cut: int) -> Origin:
        fitted, others = order[:cut], order[cut:]
        try:
            cheapest = table.take(np.sort(fitted))
            posterior = fit(cheapest, law, noise, **options, wider=wider, seed=seed)
            points = {symbol: table[symbol][others] for symbol in inputs}
            prediction = predict(posterior, points=points, level=level, seed=seed)
            known = table.known(posterior.spec.noise.counts)[others]
            log_density = log_predictive_density(
                posterior, points, np.exp(table.log_loss[others]), known, seed
            )
        except (FailedFitError, DesignError) as error:
            status = "failed" if isinstance(error, FailedFitError) else "rejected"
            return Origin(fitted, others, status, " ".join(str(error).split()), None, np.zeros(0))
        verdict = posterior.diagnostics.verdict
        codes = ", ".join(v.code for v in posterior.diagnostics.verdicts)
        return Origin(fitted, others, verdict, codes, prediction, table.loss[others], log_density)

    origins = []
    for done, cut in enumerate(cuts):
        if progress is not None:
            progress(done, len(cuts))
        origins.append(forecast(cut))
    if progress is not None:
        progress(len(cuts), len(cuts))
    return Backtest(
        law=spec.law.name,
        noise=spec.noise.name,
        drift=drift_name(drift),
        level=level,
        runs=table,
        compute=10**logs,
        origins=tuple(origins),
    )


def log_size(runs: Runs, inputs: Collection[str]) -> Floats:
    """Return log10 of what runs are ordered by: C for inputs N and D, else the inputs' product."""
    if {"N", "D"} <= set(inputs):
        return np.log10(runs.C)
    return log_compute({symbol: runs[symbol] for symbol in inputs})


def rolling_origins(
    log_sizes: Floats, fractions: Sequence[float] = FRACTIONS
) -> tuple[NDArray[np.intp], list[int]]:
    """Return the runs' order by size, and how many of the first are fitted at each origin.

    The gaps between budgets that are nearest to each share.

    Raises
    ------
    InputError
        A fraction outside 0 and 1, or all runs have one compute budget.
    """
    order = np.argsort(log_sizes, kind="stable")
    logs = log_sizes[order]
    shares = np.atleast_1d(np.asarray(fractions, dtype=np.float64))
    if not len(shares) or not np.all((shares > 0) & (shares < 1)):
        raise InputError(
            Problem("fractions", f"they are {', '.join(f'{s:g}' for s in shares) or 'none'}",
                    "each is the share of the runs that are fitted, above 0 and below 1",
                    "write 0.5, 0.65, 0.8")
        )  # fmt: skip
    gaps = np.flatnonzero(np.diff(logs) > SAME) + 1
    if not len(gaps):
        raise InputError(
            Problem("runs", "all of them have one compute budget",
                    "a backtest forecasts larger runs from cheaper ones",
                    "add runs of another budget")
        )  # fmt: skip
    wanted = np.round(shares * len(logs))
    return order, sorted({int(gaps[np.argmin(np.abs(gaps - k))]) for k in wanted})


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
