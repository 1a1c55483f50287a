"""What a comparison of laws found: scores, weights, what they can tell, and the mixture of the laws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayescale.backtesting import SHORTFALL, Backtest
from bayescale.comparison.cross_validation import Elpd, standard_error
from bayescale.diagnostics import Verdict
from bayescale.drift import FORECASTS
from bayescale.errors import FailedFitError
from bayescale.mixture import Mixture
from bayescale.posterior import Posterior
from bayescale.runs import Runs
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]
Score = Literal["forecasts", "loo"]
SCORES: tuple[Score, ...] = ("forecasts", "loo")
BY: dict[Score, str] = {"forecasts": "forecasts of larger runs", "loo": "cross-validation"}
FEW_RUNS = 100  # below, the standard error of a difference of elpd is not well known
SMALL = 4.0  # difference of elpd that is small whatever its standard error says
CLEAR = 2.0  # standard errors of a clear difference


@dataclass(frozen=True)
class Difference:
    """A law's score less that of the best law (0 or less), and the standard error of that."""

    value: float
    se: float

    @property
    def clear(self) -> bool:
        """Whether it is clear of 0 by its standard error."""
        return abs(self.value) >= CLEAR * self.se

    def __str__(self) -> str:
        return "" if math.isnan(self.value) else f"{self.value:.2f} ({self.se:.2f})"


NONE = Difference(math.nan, math.nan)


@dataclass(frozen=True, eq=False)
class ComparedLaw:
    """One law of a comparison.

    Parameters
    ----------
    law
        Its name.
    status, reason
        ``ok`` or ``warn``, as the sampling was; ``failed`` or ``rejected``, and then why.
    posterior
        Given all runs, with forecasts from this law alone; None if there is none.
    backtest
        Forecasts of the larger runs from the cheaper ones; None if there are none.
    shared
        Indices of the backtest's origins from which all compared laws forecast; its scores are of
        these. Empty if the law could not be compared by forecasts.
    elpd
        Cross-validation; None if there is none.
    weights
        ``"forecasts"`` and ``"loo"`` to the law's weight by that score; NaN without it.
    stacked
        Its stacking weight by the forecasts, for comparison; NaN without them.
    differences
        Likewise to the difference from the best law: of the mean log density of a forecast, and of
        the elpd of all runs.
    """

    law: str
    status: str
    reason: str = ""
    posterior: Posterior | None = None
    backtest: Backtest | None = None
    shared: tuple[int, ...] = ()
    elpd: Elpd | None = None
    weights: Mapping[Score, float] = field(default_factory=dict)
    stacked: float = math.nan
    differences: Mapping[Score, Difference] = field(default_factory=dict)

    @cached_property
    def forecasts(self) -> Backtest | None:
        """The backtest from the origins that all compared laws share; None without forecasts."""
        if self.backtest is None or not self.shared:
            return None
        return replace(self.backtest, origins=tuple(self.backtest.origins[i] for i in self.shared))

    @property
    def log_densities(self) -> tuple[Floats, ...]:
        """Log predictive density of each forecast log loss, an array for each shared origin."""
        return tuple(o.log_density for o in self.forecasts.origins) if self.forecasts else ()

    @property
    def forecast_rows(self) -> NDArray[np.intp]:
        """Index of the run of each forecast, the origins one after another."""
        assert self.forecasts is not None
        return np.concatenate([origin.forecast for origin in self.forecasts.origins])

    @property
    def log_score(self) -> float:
        """Mean log predictive density of a forecast; NaN without forecasts. Larger is better."""
        return self.forecasts.log_score if self.forecasts else math.nan

    def score(self, score: Score) -> float:
        """Return the mean log density of a forecast, or the elpd of all runs; NaN without it."""
        if score == "forecasts":
            return self.log_score
        return math.nan if self.elpd is None else self.elpd.elpd

    def weight(self, score: Score) -> float:
        """Return the weight by a score; NaN without it."""
        return self.weights.get(score, math.nan)

    def difference(self, score: Score) -> Difference:
        """Return the difference from the best law by a score."""
        return self.differences.get(score, NONE)

    def marks(self, level: float) -> tuple[str, ...]:
        """Codes of what is to be said of this law beside the others; none if all is well."""
        loo, forecasts = self.difference("loo"), self.difference("forecasts")
        tests = {
            "not-compared": math.isnan(self.weight("forecasts")) and math.isnan(self.weight("loo")),
            "forecasts-tied": forecasts.value < 0 and not forecasts.clear,
            "loo-tied": loo.value < 0 and not (loo.clear and abs(loo.value) >= SMALL),
            "pareto-k": self.elpd is not None and self.elpd.unreliable > 0,
            "too-narrow": self.forecasts is not None
            and self.forecasts.coverage < level - SHORTFALL,
        }
        return tuple(code for code, found in tests.items() if found)

    def to_json(self, level: float) -> dict[str, Any]:
        """The law's scores as plain data; NaN for what there is not."""
        backtest, elpd = self.forecasts, self.elpd
        return {
            "law": self.law,
            "status": self.status,
            "reason": self.reason,
            "weight": self.weight("forecasts"),
            "stacking_weight": self.stacked,
            "log_score": self.log_score,
            "log_score_diff": self.difference("forecasts").value,
            "log_score_diff_se": self.difference("forecasts").se,
            "crps": math.nan if backtest is None else backtest.crps,
            "interval_score": math.nan if backtest is None else backtest.interval_score,
            "coverage": math.nan if backtest is None else backtest.coverage,
            "loo_weight": self.weight("loo"),
            "elpd": self.score("loo"),
            "elpd_se": math.nan if elpd is None else elpd.se,
            "elpd_diff": self.difference("loo").value,
            "elpd_diff_se": self.difference("loo").se,
            "p_loo": math.nan if elpd is None else elpd.p,
            "pareto_k_max": max(elpd.pareto_k.tolist(), default=math.nan) if elpd else math.nan,
            "pareto_k_bad": elpd.unreliable if elpd else 0,
            "marks": list(self.marks(level)),
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """Laws fitted to the same runs, the best first.

    Parameters
    ----------
    laws
        The laws by `score`, the best first; those that could not be compared come last, with the
        reason.
    score
        What ranks the laws and weighs them in `mixture`.
    noise, drift
        Names of what the laws were fitted with.
    level
        Mass of the intervals of the backtests.
    leave_out
        What was left out together in cross-validation; None for one run at a time.
    dependent
        Why runs are not independent, so that none may be left out alone; empty if they are.
    runs
        The runs.
    n_held_out, n_origins
        Number of runs that were forecast, and from how many sets of cheaper ones.
    """

    laws: tuple[ComparedLaw, ...]
    score: Score
    noise: str
    drift: str
    level: float
    leave_out: str | None
    dependent: str
    runs: Runs
    n_held_out: int
    n_origins: int

    def __len__(self) -> int:
        return len(self.laws)

    def __getitem__(self, law: str) -> ComparedLaw:
        """Return one law by its name."""
        return next(one for one in self.laws if one.law == law)

    @property
    def ranked(self) -> tuple[ComparedLaw, ...]:
        """The laws that could be compared, the best first."""
        return tuple(one for one in self.laws if not math.isnan(one.weight(self.score)))

    @cached_property
    def mixture(self) -> Mixture:
        """The laws with their weights, which `bayescale.predict` and `bayescale.allocate` take.

        Raises
        ------
        FailedFitError
            No law could be compared.
        """
        laws = self.ranked
        if not laws:
            raise FailedFitError("there is no mixture: no law could be compared")
        return Mixture(
            tuple(one.posterior for one in laws if one.posterior is not None),
            tuple(one.weight(self.score) for one in laws),
            {
                "score": self.score,
                "n_held_out": self.n_held_out,
                "n_origins": self.n_origins,
                "left_out": {o.law: o.reason for o in self.laws if o not in laws},
            },
        )

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the scores can tell, and what they cannot."""
        return tuple(_verdicts(self))

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain data; `laws` in order, the best first."""
        return {
            "score": self.score,
            "questions": questions(self.leave_out),
            "noise": self.noise,
            "drift": self.drift,
            "level": self.level,
            "leave_out": self.leave_out,
            "n_runs": len(self.runs),
            "n_held_out": self.n_held_out,
            "n_origins": self.n_origins,
            "laws": [one.to_json(self.level) for one in self.laws],
            "verdicts": [asdict(v) for v in self.verdicts],
        }

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each law, the best first."""
        import pandas

        rows = [one.to_json(self.level) for one in self.laws]
        return pandas.DataFrame([{**row, "marks": ", ".join(row["marks"])} for row in rows])

    def table(self) -> Table:
        """Return the table of the laws, as it goes into a paper."""
        drift = {"none": "", FORECASTS: " and drift in forecasts"}.get(
            self.drift, f" and {self.drift} drift"
        )
        folds = "run" if self.leave_out is None else self.leave_out
        cheaper = "a set" if self.n_origins == 1 else f"{self.n_origins} sets"
        caption = (
            f"Comparison of {len(self)} laws with {self.noise} noise{drift} on {len(self.runs)} runs, "
            f"by {BY[self.score]}. Larger runs: weight, stacking weight, mean log density of "
            f"{self.n_held_out} given {cheaper} of cheaper ones, its difference from the best (se), CRPS, "
            f"and share in their {self.level:.0%} intervals. Other runs like these: elpd with each {folds} "
            "left out, its difference from the best (se), weight."
        )
        heads = ("", "law", "weight", "stacked", "log score", "difference", "CRPS", "covered", "elpd",
                 "elpd difference", "loo weight", "marks")  # fmt: skip
        rows = [self._row(str(i + 1), one) for i, one in enumerate(self.ranked)]
        rows += [self._row("", one) for one in self.laws if one not in self.ranked]
        return Table(caption, tuple(map(Column, heads)), tuple(rows))

    def _row(self, rank: str, one: ComparedLaw) -> tuple[str, ...]:
        backtest = one.forecasts
        marks = ", ".join(one.marks(self.level))
        return (
            rank,
            one.law,
            _shown(one.weight("forecasts"), ".2f"),
            _shown(one.stacked, ".2f"),
            _shown(one.log_score, ".2f"),
            str(one.difference("forecasts")),
            _shown(math.nan if backtest is None else backtest.crps, ".4f"),
            _shown(math.nan if backtest is None else backtest.coverage, ".0%"),
            _shown(one.score("loo"), ".1f"),
            str(one.difference("loo")),
            _shown(one.weight("loo"), ".2f"),
            one.status if rank == "" else marks,  # the verdicts have the reason
        )

    def __repr__(self) -> str:
        return "\n".join([self.table().caption, self.table().text(), *map(str, self.verdicts)])


def questions(leave_out: str | None) -> dict[str, str]:
    """The question that each score answers."""
    another = {
        None: "another run like these",
        "run": "another run like these",
        "point": "a run at another point like these",
    }.get(leave_out, f"a run of another {leave_out} like these")
    return {
        "forecasts": "how well does the law foresee larger runs?",
        "loo": f"how well does the law foresee {another}?",
    }


def _shown(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"


def difference(terms: Floats, best: Floats, clusters: NDArray[np.intp] | None = None) -> Difference:
    """Return the sum of the terms of a law less those of the best, and its standard error.

    Terms of one cluster (a run that is forecast from several origins) are taken as one. Runs that are
    forecast from one origin share an error that the standard error does not know of.
    """
    apart = np.asarray(terms - best)
    if clusters is not None:
        apart = np.bincount(np.unique(clusters, return_inverse=True)[1], weights=apart)
    return Difference(float(apart.sum()), standard_error(apart))


def _verdicts(found: Comparison) -> list[Verdict]:
    ranked, verdicts = found.ranked, []
    lost = [one for one in found.laws if one not in ranked]
    if lost:
        said = "; ".join(f"{one.law}: {one.reason}" for one in lost)
        verdicts.append(Verdict("not-compared", "warn", f"Not compared: {said}"))
    scores: tuple[tuple[Score, str, str], ...] = (
        ("forecasts", "forecasts-tied", "Forecasts of larger runs"),
        ("loo", "loo-tied", "Cross-validation"),
    )
    for score, code, what in scores:
        tied = [one.law for one in ranked if code in one.marks(found.level)]
        best = [one.law for one in ranked if one.difference(score).value == 0]
        if tied and best:
            verdicts.append(
                Verdict(code, "warn", f"{what} cannot tell {', '.join(tied)} from {best[0]}.",
                        "Forecast with the mixture rather than with one of them.")
            )  # fmt: skip
    elpds = [one.elpd for one in ranked if one.elpd is not None]
    if found.dependent and not elpds:
        verdicts.append(
            Verdict("dependent-runs", "warn",
                    f"{found.dependent[:1].upper()}{found.dependent[1:]}, so no run is left out alone.",
                    "Leave out together what belongs together: --leave-out run_id, group or point.")
        )  # fmt: skip
    if elpds and len(elpds[0].pointwise) < FEW_RUNS:
        said = (
            f"With fewer than {FEW_RUNS} runs or groups ({len(elpds[0].pointwise)}), standard errors of "
            "differences of elpd are not well known."
        )
        verdicts.append(Verdict("few-runs", "note", said))
    bad = [
        f"{one.law} ({one.elpd.unreliable})" for one in ranked if one.elpd and one.elpd.unreliable
    ]
    if bad:
        said = f"Pareto k is too high for some runs: {', '.join(bad)}; their elpd is not reliable."
        verdicts.append(
            Verdict("pareto-k", "warn", said, "Fit without each run in turn: --leave-out run.")
        )
    narrow = [one.law for one in ranked if "too-narrow" in one.marks(found.level)]
    if narrow:
        said = f"The {found.level:.0%} intervals of {', '.join(narrow)} held too few of the larger runs."
        verdicts.append(Verdict("too-narrow", "warn", said, "See  bayescale backtest."))
    return verdicts
