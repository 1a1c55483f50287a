"""Whether a sudden gain is the metric's: a smooth error per token, seen through exact match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval
from bayescale.posterior import Posterior
from bayescale.prediction import positive, predict
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]


def thresholded(error: ArrayLike, length: ArrayLike) -> Floats:
    r"""Return the exact-match error of answers of some length, from the error per token.

    .. math:: e_\mathrm{exact} = 1 - (1 - e)^p

    if the p tokens of an answer are right or wrong independently of each other, which they are not
    quite: errors come together, so the true one is lower.

    Parameters
    ----------
    error
        Error per token, between 0 and 1; any shape.
    length
        Tokens p of an answer, above 0; broadcast against `error`.

    References
    ----------
    Schaeffer, Miranda and Koyejo 2023, Are Emergent Abilities of Large Language Models a Mirage?,
    arXiv:2304.15004.

    Examples
    --------
    >>> [round(float(e), 3) for e in thresholded([0.5, 0.2, 0.05], 10)]
    [0.999, 0.893, 0.401]
    """
    rate = np.asarray(error, dtype=np.float64)
    if not ((rate >= 0) & (rate <= 1)).all():
        raise InputError(
            Problem("error", "it is not between 0 and 1 everywhere", "it is a share of tokens",
                    "give errors, which are 1 less the accuracies")
        )  # fmt: skip
    with np.errstate(divide="ignore"):  # an error of 1
        return -np.expm1(positive("length", length) * np.log1p(-rate))


@dataclass(frozen=True)
class MetricComparison:
    """Exact-match errors beside those that a smooth law of the error per token implies.

    Parameters
    ----------
    observed
        Exact-match error of each run, shape (runs,).
    intervals
        What the law and independence of tokens imply for each, scatter included.
    length
        Tokens of an answer.
    level
        Mass of the intervals.
    places
        Words for each run.
    law
        Name of the law.
    """

    observed: Floats
    intervals: tuple[Interval, ...]
    length: float
    level: float
    places: tuple[str, ...]
    law: str

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which runs lie in their interval, shape (runs,)."""
        ends = np.array([(i.lower, i.upper) for i in self.intervals])
        return (self.observed >= ends[:, 0]) & (self.observed <= ends[:, 1])

    @property
    def words(self) -> str:
        """What follows."""
        found, count = int(self.inside.sum()), len(self.observed)
        return (
            f"{found} of {count} exact-match errors lie in the {self.level:.0%} intervals that a smooth "
            f"{self.law} law of the error per token implies for answers of {self.length:g} tokens, if "
            "tokens are right independently of each other. Where nearly all do, a jump in exact match "
            "needs no jump in ability."
        )

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain data, a row for each run."""
        rows = zip(self.places, self.observed, self.intervals, self.inside, strict=True)
        return {
            "law": self.law,
            "length": self.length,
            "level": self.level,
            "inside": float(self.inside.mean()),
            "runs": [
                {"run": place, "observed": float(observed), "median": interval.median,
                 "lower": interval.lower, "upper": interval.upper, "inside": bool(inside)}
                for place, observed, interval, inside in rows
            ],
        }  # fmt: skip

    def to_frame(self) -> pandas.DataFrame:
        """The comparison as a data frame, a row for each run."""
        import pandas

        return pandas.DataFrame(self.to_json()["runs"])

    def table(self) -> Table:
        """Return the table of the runs."""
        rows = tuple(
            (place, f"{observed:.3g}", interval, "yes" if inside else "no")
            for place, observed, interval, inside in zip(
                self.places, self.observed, self.intervals, self.inside, strict=True
            )
        )
        heads = ("run", "exact-match error", "implied by the error per token", "inside")
        return Table(self.words, tuple(map(Column, heads)), rows)

    def __repr__(self) -> str:
        return f"{self.table().text()}\n{self.words}"


def compare_metrics(
    posterior: Posterior,
    observed: ArrayLike,
    length: float,
    *,
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
) -> MetricComparison:
    """Ask whether a smooth law of the error per token predicts the exact-match errors of the runs.

    Parameters
    ----------
    posterior
        A fit to the error per token of the runs (``response="error"``), under any smooth law.
    observed
        Exact-match error of the same runs, in their order, shape (runs,).
    length
        Tokens of an answer, above 0.
    level
        Mass of the intervals.
    seed
        Seed of the scatter.

    Raises
    ------
    InputError
        The fit is not one of an error, or `observed` is not one number a run.
    """
    if posterior.runs.response != "error":
        raise InputError(
            Problem("posterior", f"it is a fit of {posterior.runs.response}, not of an error",
                    remedy="fit the error per token, read with response='error'")
        )  # fmt: skip
    exact, runs = np.asarray(observed, dtype=np.float64), posterior.runs
    if exact.shape != (len(runs),):
        raise InputError(
            Problem("observed", f"it has shape {exact.shape}, and the fit has {len(runs)} runs",
                    remedy="give one exact-match error a run, in the order of the runs")
        )  # fmt: skip
    points = {symbol: runs[symbol] for symbol in posterior.inputs}
    implied = thresholded(
        np.minimum(predict(posterior, points=points, level=level, seed=seed).draws, 1.0), length
    )
    return MetricComparison(
        observed=exact,
        intervals=tuple(Interval.of(column, level) for column in implied.T),
        length=float(length),
        level=level,
        places=tuple(runs.places) or tuple(f"row {i}" for i in range(len(runs))),
        law=posterior.name,
    )
