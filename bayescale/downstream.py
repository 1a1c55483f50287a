"""The error of a downstream task at any N and D, in two steps: the loss, and the error at that loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval
from bayescale.mixture import independent
from bayescale.new_runs import new_run_losses
from bayescale.posterior import Posterior
from bayescale.prediction import Kind, decades, in_domain, predict
from bayescale.publications import Fit
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]
LINK = "L_pre"  # the input of the second step that the first one gives
PAIRED, SCATTERED = 4, 5  # streams of random numbers beside those of forecasts


@dataclass(frozen=True)
class ErrorPrediction:
    """Errors of a downstream task at some points, with intervals.

    Parameters
    ----------
    points
        Symbol to values of the first step, each of shape (points,).
    kind
        ``"run"``: a new run's error, the scatter of both steps included. ``"law"``: the laws' mean.
    level
        Mass of the intervals.
    intervals
        One `Interval` of the error for each point.
    loss
        One `Interval` of the loss that the error comes from, for each point.
    share_outside
        Share of the draws whose loss lies outside that of the runs of the second step, at each point:
        there the link from loss to error is extrapolated.
    decades_beyond
        How far each point lies outside the runs of the first step, in decades.
    draws
        Error for each draw, shape (draws, points).
    models
        The two steps in words.
    basis
        What each step was fitted to, in words.
    """

    points: Mapping[str, Floats]
    kind: Kind
    level: float
    intervals: tuple[Interval, ...]
    loss: tuple[Interval, ...]
    share_outside: Floats
    decades_beyond: Floats
    draws: Floats
    models: tuple[str, str]
    basis: tuple[str, str]

    def __len__(self) -> int:
        return len(self.intervals)

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain data: ``{"models", "points": [...]}``, a row for each point."""
        return {
            "models": list(self.models),
            "points": [
                {
                    **{symbol: float(values[i]) for symbol, values in self.points.items()},
                    "kind": self.kind,
                    "level": self.level,
                    "median": error.median,
                    "lower": error.lower,
                    "upper": error.upper,
                    "loss_median": loss.median,
                    "loss_lower": loss.lower,
                    "loss_upper": loss.upper,
                    "share_outside": float(self.share_outside[i]),
                    "decades_beyond": float(self.decades_beyond[i]),
                }
                for i, (error, loss) in enumerate(zip(self.intervals, self.loss, strict=True))
            ],
        }

    def to_frame(self) -> pandas.DataFrame:
        """The prediction as a data frame, a row for each point."""
        import pandas

        return pandas.DataFrame(self.to_json()["points"])

    def table(self) -> Table:
        """Return the table of the points, as it goes into a paper."""
        columns = [Column(symbol, f"${symbol}$") for symbol in self.points]
        rows: tuple[Any, ...] = tuple(
            (
                *(float(values[i]) for values in self.points.values()),
                self.loss[i],
                self.intervals[i],
                f"{self.share_outside[i]:.0%}",
                decades(self.decades_beyond[i]),
            )
            for i in range(len(self))
        )
        what = "error of a new run" if self.kind == "run" else "error by the laws' mean"
        caption = (
            f"Predicted {what}: loss by the {self.models[0]} {self.basis[0]}, error at that loss by the "
            f"{self.models[1]} law {self.basis[1]}: median and {self.level:.0%} interval, share of the "
            "losses outside those runs, and decades beyond the runs."
        )
        heads = ["loss", f"error, {self.level:.0%} interval", "outside", "decades beyond"]
        return Table(caption, (*columns, *map(Column, heads)), rows)

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def predict_error(
    first: Fit,
    second: Posterior,
    N: ArrayLike | None = None,
    D: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    given: Mapping[str, float] | None = None,
    kind: Kind = "run",
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
    allow_failed: bool = False,
) -> ErrorPrediction:
    r"""Predict the downstream error of runs of any size, the uncertainty of both steps in it.

    .. math:: L \sim p(L \mid N, D, \mathrm{losses}), \qquad
              \ln \mathrm{error} \sim \mathrm{noise}\left(\ln \mathrm{Err}_\phi(L)\right), \qquad
              \phi \sim p(\phi \mid \mathrm{errors}, \mathrm{losses})

    Every draw of the loss at a point, by the first fit, goes through a draw of the law of error by the
    second. The two posteriors are taken as independent and neither learns from the other: errors do not
    correct the loss law, which a wrong link could otherwise bend (inference that is "cut" between its
    modules). The loss is that which the second step was fitted on: same evaluation set, same unit.
    Where the loss lies outside the runs of the second step its law is extrapolated as it is, without a
    drift; `ErrorPrediction.share_outside` says how often.

    Parameters
    ----------
    first
        A fit of a law of loss, whose forecasts (drift included) are used; or a published fit, which has
        no uncertainty to carry on and no scatter.
    second
        A fit of a law of error in the loss, ``L_pre``: ``"error-exponential"``, ``"error-sigmoid"``.
    N, D, x, points
        Where to predict, as for `bayescale.predict`.
    given
        Other inputs of the second law by symbol, such as ``{"chance": 0.25}``; what was the same in all
        of its runs need not be given.
    kind
        ``"run"`` (default): the error that a new run would show, the scatter of both steps included.
        ``"law"``: the laws' mean.
    level
        Mass of the intervals, between 0 and 1.
    seed
        Seed of scatter, drift and the pairing of draws.
    allow_failed
        Answer even if the sampling of a fit failed.

    Returns
    -------
    ErrorPrediction
        Median and interval of the error at each point, and of the loss it comes from.

    Raises
    ------
    InputError
        The second law is not one of error in the loss, an input is missing, or a point is not valid.
    FailedFitError
        The sampling of a fit failed.

    References
    ----------
    Two steps: Bhagia et al. 2024, arXiv:2412.04403; Gadre et al. 2024, arXiv:2403.08540. Cut inference:
    Plummer 2015, Cuts in Bayesian graphical models, Statistics and Computing 25, 37-43.
    """
    second.require_sound(allow_failed)
    others = link_inputs(second, given)
    forecast = predict(
        first,
        N,
        D,
        x=x,
        points=points,
        kind=kind,
        level=level,
        seed=seed,
        allow_failed=allow_failed,
    )
    count = second.shape[0] * second.shape[1]
    generator = np.random.default_rng([seed, PAIRED])
    losses = independent(forecast.draws, count, generator)
    with jax.enable_x64(True):
        link = jax.jit(jax.vmap(lambda law, loss: law.loss({LINK: loss, **others})))
        error = np.asarray(link(second.flat_law(), losses))
    if forecast.kind == "run":
        where = {LINK: losses[0]} | {s: np.full(losses.shape[1], v) for s, v in others.items()}
        error = new_run_losses(second, where, error, np.random.default_rng([seed, SCATTERED]))
    error = np.minimum(error, 1.0)
    seen = second.runs[LINK]
    return ErrorPrediction(
        points=forecast.points,
        kind=forecast.kind,
        level=level,
        intervals=tuple(Interval.of(column, level) for column in error.T),
        loss=forecast.intervals,
        share_outside=((losses < seen.min()) | (losses > seen.max())).mean(axis=0),
        decades_beyond=forecast.decades_beyond,
        draws=error,
        models=(forecast.model, second.name),
        basis=(forecast.basis, second.basis),
    )


def link_inputs(second: Posterior, given: Mapping[str, float] | None) -> dict[str, float]:
    """Return the inputs of the second law beside the loss: as given, else what they are in all its runs.

    Raises
    ------
    InputError
        It is no law of error in the loss, or an input is missing, unknown or out of its domain.
    """
    law, given = second.spec.law, dict(given or {})
    if LINK not in law.inputs or law.response != "error":
        raise InputError(
            Problem("second", f"{law.name!r} is not a law of error in the loss ({LINK})",
                    remedy="fit error-exponential or error-sigmoid")
        )  # fmt: skip
    others = {}
    for symbol in law.inputs:
        if symbol == LINK:
            continue
        if symbol not in given:
            values = second.runs[symbol]
            if np.ptp(values) > 0:
                raise InputError(
                    Problem("given", f"{symbol} is missing, and differs between the runs of the fit",
                            remedy=f"write given={{{symbol!r}: VALUE}}")
                )  # fmt: skip
            given[symbol] = float(values[0])
        others[symbol] = float(in_domain(symbol, given.pop(symbol))[0])
    if given:
        symbol = next(iter(given))
        raise InputError(
            Problem("given", f"the law {law.name!r} takes no {symbol!r} beside the loss",
                    remedy=f"leave it out; it takes {', '.join(others) or 'nothing'}")
        )  # fmt: skip
    return others
