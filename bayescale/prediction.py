"""The loss of runs that were not made: the law's mean, and what a new run would show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from bayescale.errors import InputError, Problem, shown
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import law_losses
from bayescale.mixture import law_points, pooled
from bayescale.posterior import Posterior
from bayescale.publications import Fit, PublishedFit
from bayescale.rules import check_rules
from bayescale.runs import Runs
from bayescale.runs.catalogue import (
    ABOVE_ZERO,
    FROM_ZERO,
    SYMBOL_TO_ROLE,
    Domain,
    domain_of,
    meaning_of,
)
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

Kind = Literal["run", "law"]
KINDS: tuple[Kind, ...] = ("run", "law")
OPTIONS = {"N": "--params", "D": "--tokens", "x": "--x"}  # of the commands; others go with --at


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


def predict(
    posterior: Fit,
    N: ArrayLike | None = None,
    D: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    at: Mapping[str, ArrayLike] | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    kind: Kind = "run",
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
    allow_failed: bool = False,
) -> Prediction:
    r"""Predict the loss of runs of any size, with intervals.

    .. math:: L_\mathrm{law} = L_\theta(N, D)\,e^{\delta(N D)}, \qquad
              \ln L_\mathrm{run} \sim \mathrm{noise}(\ln L_\mathrm{law}), \qquad
              \theta, \delta \sim p(\theta, \delta \mid \mathrm{runs})

    Laws fail far from their runs by more than their own posterior allows, so unless the fit was made
    with ``drift="none"``, the draws are those of its `Posterior.forecasters`: half of the law and half
    of a wider one, if there is one, from which log loss may drift (`bayescale.drift`), and whose scatter
    may change with compute.

    Parameters
    ----------
    posterior
        The fit, a mixture of fits of several laws, or a `PublishedFit`, which knows the mean of its law
        only.
    N
        Parameters of the new runs, above 0; a number or shape (points,).
    D
        Training tokens of the new runs, above 0; broadcast against `N`.
    x
        The input of a law of one variable, in place of `N` and `D`.
    at
        Other inputs of the law, symbol to values: ``{"experts": 16}``.
    points
        The points as a mapping of symbol to values, such as ``runs.inputs``, in place of `N` and `D`;
        what the law does not need is not looked at.
    kind
        ``"run"`` (default): the loss that a new run would show, the scatter of runs included.
        ``"law"``: the mean of the law, with its drift: what many such runs would show on average.
    level
        Mass of the intervals, between 0 and 1.
    seed
        Seed of the scatter of new runs, and of the drift beyond the runs.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Prediction
        Median and interval at each point, and its distance beyond the runs.

    Raises
    ------
    InputError
        A missing or non-positive input, an unknown kind, a level outside (0, 1).
    FailedFitError
        The sampling of the fit failed.

    Examples
    --------
    >>> import bayescale
    >>> posterior = bayescale.fit("byte-sweep", seed=0)
    >>> prediction = bayescale.predict(posterior, N=1e6, D=[2e7, 2e8], level=0.9)
    >>> [interval.lower < interval.upper for interval in prediction.intervals]
    [True, True]
    """
    posterior.require_sound(allow_failed)
    check_level(level)
    models = sound_forecasters(posterior, allow_failed)
    if kind not in KINDS:
        raise InputError(Problem("kind", f"{kind!r} is not known", remedy="use 'run' or 'law'"))
    given = {"N": N, "D": D, "x": x, **(at or {})}
    if points is not None:
        if any(value is not None for value in given.values()):
            raise InputError(
                Problem("points", "N, D or x is given beside them", remedy="give one or the other")
            )
        given = {symbol: points.get(symbol) for symbol in posterior.inputs}
    where = checked_points(posterior, given)
    if isinstance(posterior, PublishedFit):
        kind = "law"
    parts = []
    for i, (model, _) in enumerate(models):
        there = law_points(model, where)
        part = mean_loss(model, there, seed + i)
        if kind == "run" and isinstance(model, Posterior):
            part = model.observed(there, part, np.random.default_rng([seed, i]))
        parts.append(part)
    draws = pooled(parts, [share for _, share in models])
    return Prediction(
        points=where,
        kind=kind,
        level=level,
        intervals=tuple(Interval.of(column, level) for column in draws.T),
        decades_beyond=decades_beyond(posterior.runs, where),
        draws=draws,
        loss_unit=posterior.runs.loss_unit,
        basis=posterior.basis,
        law=posterior.name,
        model=posterior.forecast_model,
        laws=shares_of(models),
    )


def log_predictive_density(
    posterior: Fit,
    points: Mapping[str, ArrayLike],
    loss: ArrayLike,
    relative_se: ArrayLike = 0.0,
    seed: int = 0,
    allow_failed: bool = False,
) -> NDArray[np.float64]:
    r"""Return the log predictive density of the log losses of new runs, shape (points,).

    .. math:: \ln p(\ln L_i \mid \mathrm{runs}) =
              \ln \sum_k w_k\, \frac{1}{S} \sum_s p_k(\ln L_i \mid \theta_s, \delta_s)

    Parameters
    ----------
    posterior
        The fit, or a mixture.
    points
        Symbol to values, each of shape (points,).
    loss
        The losses that were observed there, shape (points,).
    relative_se
        Known standard errors of the log losses.
    seed
        Seed of the drift beyond the runs.
    allow_failed
        Answer even if the sampling failed.
    """
    parts = []
    for i, (model, share) in enumerate(sound_forecasters(posterior, allow_failed)):
        there = law_points(model, points)
        assert isinstance(model, Posterior)  # what a published fit scatters by is not known
        log_mean = np.log(mean_loss(model, there, seed + i))
        density = model.likelihood(there, np.log(np.asarray(loss)), log_mean, relative_se)
        parts.append(logsumexp(density, axis=0) - np.log(len(density)) + np.log(share))
    return np.asarray(logsumexp(parts, axis=0))


def shares_of(models: tuple[tuple[Posterior | PublishedFit, float], ...]) -> dict[str, float]:
    """Return the share of each law by its name, from posteriors and theirs."""
    shares: dict[str, float] = {}
    for model, share in models:
        shares[model.name] = shares.get(model.name, 0.0) + share
    return shares


def checked_points(
    posterior: Fit, given: Mapping[str, ArrayLike | None]
) -> dict[str, NDArray[np.float64]]:
    """Return the law's inputs as arrays of one shape, checked; what `predict` is given."""
    inputs = posterior.inputs
    unused = [s for s, v in given.items() if v is not None and s not in inputs]
    if unused:
        raise InputError(
            Problem(unused[0], f"the law {posterior.name!r} has no input {unused[0]}",
                    remedy=f"give {' and '.join(_named(s) for s in inputs)}")
        )  # fmt: skip
    missing = [s for s in inputs if given.get(s) is None]
    if missing:
        raise InputError(
            Problem(missing[0], f"it is missing; the law needs {' and '.join(inputs)}",
                    remedy=f"give {' and '.join(_named(s) for s in missing)}")
        )  # fmt: skip
    values = {s: in_domain(s, given[s]) for s in inputs}
    try:
        shape = np.broadcast_shapes(*(v.shape for v in values.values()))
    except ValueError:
        lengths = ", ".join(f"{s} {len(v)}" for s, v in values.items())
        raise InputError(
            Problem("points", f"the inputs have different lengths: {lengths}",
                    remedy="give one value of each for every point, or a single value")
        ) from None  # fmt: skip
    found = {s: np.broadcast_to(v, shape).ravel() for s, v in values.items()}
    for part, _ in posterior.parts:
        check_rules(part.spec.law, law_points(part, found), "points")
    return found


def positive(name: str, values: Any) -> NDArray[np.float64]:
    """Return a number or numbers as an array with one axis or more, each finite and above 0.

    Raises
    ------
    InputError
        Something else, named by its place.
    """
    return _numbers(name, values, ABOVE_ZERO)


def in_domain(symbol: str, values: Any) -> NDArray[np.float64]:
    """Return values of an input as an array with one axis or more, each finite and in its domain.

    Raises
    ------
    InputError
        Something else, named by its place.
    """
    return _numbers(symbol, values, domain_of(symbol))


def _numbers(name: str, values: Any, domain: Domain) -> NDArray[np.float64]:
    try:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            Problem(name, f"it is {shown(values)}", "it must be a number or an array of numbers",
                    "write plain numbers such as 1.4e12")
        ) from None  # fmt: skip
    bad = np.flatnonzero(~(np.isfinite(array) & domain.holds(array)))
    if len(bad):
        place = f" at index {bad[0]}" if array.size > 1 else ""
        raise InputError(
            Problem(
                name,
                f"it is {array.flat[bad[0]]:g}{place}",
                f"it must be finite and {domain.words}",
            )
        )
    return array


def _named(symbol: str) -> str:
    option = OPTIONS.get(symbol, f"--at {SYMBOL_TO_ROLE.get(symbol, symbol)}=")
    return f"{symbol} ({option}, {meaning_of(symbol)})"


def sound_forecasters(
    posterior: Fit, allow_failed: bool = False
) -> tuple[tuple[Posterior | PublishedFit, float], ...]:
    """Return the posteriors that forecasts come from, with their shares.

    Raises
    ------
    FailedFitError
        The sampling of one failed.
    """
    models: Any = posterior.forecasting_parts
    for model, _ in models:
        model.require_sound(allow_failed)
    return models


def law_loss(
    posterior: Posterior | PublishedFit, points: Mapping[str, ArrayLike]
) -> NDArray[np.float64]:
    """Return the law's loss for every draw at every point, shape (draws, points)."""
    return law_losses(posterior.flat_law(), points)


def mean_loss(
    posterior: Posterior | PublishedFit, points: Mapping[str, ArrayLike], seed: int = 0
) -> NDArray[np.float64]:
    """Return the mean loss of runs for every draw at every point: the law's loss, and its drift.

    Shape (draws, points). `seed` is that of the drift beyond the runs.
    """
    return law_loss(posterior, points) * np.exp(posterior.drift_path(points, seed))


def what_stands(level: float, is_point: bool) -> str:
    """Return, for a caption, what the columns of an answer hold."""
    if is_point:
        return "points without intervals, since no draws were published"
    return f"median and {level:.0%} interval, and decades beyond the runs"


def decades(value: float) -> str:
    """Return a distance beyond the runs as text; a dash where there are no runs."""
    return "-" if np.isnan(value) else f"{value:.1f}"


def decades_beyond(runs: Runs, points: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """How many decades each point lies outside the runs: the largest over its inputs and compute.

    0 inside the range of the runs in N, in D and in their product; 3 for a run of 1,000 times the
    largest compute (or 1,000 times below the smallest). NaN where there are no runs.
    """
    if not len(runs):
        return np.full(np.size(next(iter(points.values()))), np.nan)
    pairs = [
        (runs[symbol], np.asarray(values))
        for symbol, values in points.items()
        if domain_of(symbol).high == np.inf and domain_of(symbol) != FROM_ZERO
    ]
    if {"N", "D"} <= set(points):
        product = np.asarray(points["N"], dtype=np.float64) * np.asarray(points["D"])
        pairs.append((runs.N * runs.D, product))
    outside = [
        np.maximum(np.log10(values / seen.max()), np.log10(seen.min()) - np.log10(values))
        for seen, values in pairs
    ]
    return np.maximum(0.0, np.max(outside, axis=0, initial=0.0))
