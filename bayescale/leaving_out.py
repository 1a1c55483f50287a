"""Influence: which runs, or which groups of runs, move the answer when they are left out."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayescale.effects import Effects
from bayescale.inference.batch import Method
from bayescale.intervals import DEFAULT_LEVEL, Interval
from bayescale.laws import Law
from bayescale.noise import Noise
from bayescale.priors import Prior
from bayescale.runs import Runs
from bayescale.sweep.executors import Executor
from bayescale.sweep.pace import Announce
from bayescale.sweep.quantities import interval_of
from bayescale.sweep.reweighted import LeftOut, fit_variants
from bayescale.sweep.running import Progress
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

SHOWN = 10  # of the most influential, in print
MEDIAN = math.sqrt(math.pi / 2)  # se of the median of a normal sample, over that of its mean


@dataclass(frozen=True)
class LeavingOut:
    """What happens without one run or group.

    Parameters
    ----------
    name
        The run's place in the table, or the label and its value.
    rows
        Indices of the runs that are left out.
    status, reason
        Of the fit without them.
    shifts
        Quantity to how far its median moves, in posterior sd of the fit to all runs; NaN where the
        fit without them failed.
    intervals
        Quantity to its interval without them.
    """

    name: str
    rows: tuple[int, ...]
    status: str
    reason: str
    shifts: Mapping[str, float]
    intervals: Mapping[str, Interval]


@dataclass(frozen=True, eq=False)
class Influence:
    """Runs or groups of runs by how far the answers move without them, the farthest first.

    Parameters
    ----------
    law, noise
        Names of the law and of the noise model.
    level
        Mass of the intervals.
    by
        What runs were left out together by; None for one run at a time.
    runs
        The runs.
    intervals
        Quantity to its interval with all runs.
    left_out
        What was left out; those without which nothing can be fitted come first.
    labels
        Quantity to what it is called in the table.
    answers
        The quantities that decide the order.
    monte_carlo_error
        Standard error of a shift that comes from the finite number of draws.
    """

    law: str
    noise: str
    level: float
    by: str | None
    runs: Runs
    intervals: Mapping[str, Interval]
    left_out: tuple[LeavingOut, ...]
    labels: Mapping[str, str]
    answers: tuple[str, ...]
    monte_carlo_error: float

    def __len__(self) -> int:
        return len(self.left_out)

    def largest(self, one: LeavingOut) -> tuple[str, float]:
        """Return the answer that moves farthest, and by how much; NaN if nothing can be fitted."""
        name = max(self.answers, key=lambda name: abs(np.nan_to_num(one.shifts[name])))
        return name, one.shifts[name]

    def to_json(self) -> dict[str, Any]:
        """The influence as plain data; `left_out` in order, the farthest first."""
        return {
            "law": self.law,
            "noise": self.noise,
            "level": self.level,
            "n_runs": len(self.runs),
            "by": self.by,
            "monte_carlo_error": self.monte_carlo_error,
            "quantities": {
                name: {"label": self.labels[name], **interval.to_json()}
                for name, interval in self.intervals.items()
            },
            "left_out": [
                {
                    "name": one.name,
                    "rows": list(one.rows),
                    "status": one.status,
                    "reason": one.reason,
                    "shifts": dict(one.shifts),
                    "medians": {name: i.median for name, i in one.intervals.items()},
                }
                for one in self.left_out
            ],
        }

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each run or group, ``NAME_shift`` and ``NAME_median``."""
        import pandas

        return pandas.DataFrame(
            [
                {"left_out": one.name, "n_runs": len(one.rows), "status": one.status}
                | {f"{name}_shift": shift for name, shift in one.shifts.items()}
                | {f"{name}_median": i.median for name, i in one.intervals.items()}
                for one in self.left_out
            ]
        )

    def table(self, count: int = SHOWN) -> Table:
        """Return the table of the most influential, as it goes into a paper."""
        what = f"groups of runs by {self.by}" if self.by else "runs"
        caption = (
            f"Influence of {what}, {self.law} law with {self.noise} noise fitted to "
            f"{len(self.runs)} runs: how far the answers move without them, in posterior sd (Monte "
            f"Carlo error {self.monte_carlo_error:.2f}); the {min(count, len(self))} that move them "
            f"most of {len(self)}, median and {self.level:.0%} interval without them."
        )
        symbols = ("N", "D", "loss") if {"N", "D"} <= set(self.runs.inputs) else ("loss",)
        details = () if self.by else symbols
        heads = ("left out", *details, "moves most", "by (sd)", "from", "to")
        rows = tuple(self._row(one, details) for one in self.left_out[:count])
        return Table(caption, tuple(map(Column, heads)), rows)

    def _row(self, one: LeavingOut, details: tuple[str, ...]) -> tuple[Any, ...]:
        name, shift = self.largest(one)
        columns = {**self.runs.inputs, "loss": self.runs.loss}
        found = tuple(number(float(columns[s][one.rows[0]])) for s in details)
        if math.isnan(shift):
            return (one.name, *found, "nothing can be fitted", "", "", one.reason)
        ends = (self.intervals[name], one.intervals[name])
        return (one.name, *found, self.labels[name], f"{shift:+.2f}", *ends)

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def influence(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    by: str | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    flops: ArrayLike | None = None,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    effects: str | Effects | None = None,
    allow: Collection[str] = (),
    method: Method = "auto",
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    executor: str | Executor = "local",
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> Influence:
    r"""Fit a law without each run, or without each group of runs, and say what moves.

    .. math:: \mathrm{shift}_g(q) =
              \frac{\mathrm{median}(q \mid \mathrm{runs} \setminus g) - \mathrm{median}(q \mid \mathrm{runs})}
              {\mathrm{sd}(q \mid \mathrm{runs})}

    Parameters
    ----------
    runs, law, noise, x, priors, effects, allow
        As for `bayescale.fit`.
    by
        Leave out together the runs that share this label (``group``, ``seed``, ``run_id``) or input
        (``N``, ``D``, ...); without it, one run at a time.
    points
        Symbol to values: the law's loss there is among the quantities.
    flops
        Budgets: the optimum under C = k N D, with the runs' own k, is among the quantities.
    method, seed, level, executor, progress, announce
        As for `bayescale.fit_many`.

    Returns
    -------
    Influence
        Each run or group, the most influential first: by the answers at `points` and `flops`, or
        by the law's parameters where neither is given.

    Raises
    ------
    InputError
        The runs, the law or an option cannot be used.
    FailedFitError
        The posterior of all runs could not be sampled.

    References
    ----------
    Cook 1977, Detection of influential observation in linear regression, Technometrics 19, 15-18,
    for points; here for posteriors, by fitting each of them.

    Examples
    --------
    >>> result = influence("byte-sweep", by="N", flops=1e14, method="laplace-is")
    >>> len(result) == len(set(result.runs.N))
    True
    """
    found = fit_variants(
        runs, law, noise, by, lambda clusters, _: LeftOut(clusters),
        points=points, flops=flops, x=x, priors=priors, effects=effects, allow=allow, method=method,
        seed=seed, level=level, executor=executor, progress=progress, announce=announce,
    )  # fmt: skip
    spec, targets, whole = found.job.spec, found.job.targets, found.whole
    names = targets.names(spec)
    intervals = {name: interval_of(whole, name) for name in names}
    left_out = []
    for i, row in enumerate(found.others):
        without = {name: interval_of(row, name) for name in names}
        shifts = {
            name: (without[name].median - intervals[name].median) / intervals[name].sd
            for name in names
        }
        rows = tuple(np.flatnonzero(found.clusters.codes == i).tolist())
        left_out.append(
            LeavingOut(found.clusters.names[i], rows, row["status"], row["reason"], shifts, without)
        )
    answers = targets.answers(spec)

    def size(one: LeavingOut) -> float:
        return max(np.nan_to_num(abs(one.shifts[name]), nan=np.inf) for name in answers)

    sizes = [row["ess"] for row in found.others if np.isfinite(row["ess"])]
    typical = np.median(sizes) if sizes else whole["ess"]
    return Influence(
        law=spec.law.name,
        noise=spec.noise.name,
        level=found.job.level,
        by=by,
        runs=found.runs,
        intervals=intervals,
        left_out=tuple(sorted(left_out, key=size, reverse=True)),
        labels=targets.labels(spec),
        answers=answers,
        monte_carlo_error=float(MEDIAN * np.sqrt(1 / whole["ess"] + 1 / typical)),
    )
