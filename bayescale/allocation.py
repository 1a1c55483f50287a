"""The best split of a training budget between parameters and tokens, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import ClosedFormOptimum, Law
from bayescale.mixture import pooled
from bayescale.prediction import (
    decades,
    decades_beyond,
    positive,
    shares_of,
    sound_forecasters,
    what_stands,
)
from bayescale.publications import Fit
from bayescale.splitting import Terms, best_splits, cheapest_splits, optimal_splits, size_symbol
from bayescale.tables import Column, Table, number
from bayescale.terms import check_paid, check_reached, finite_median, require_optimum, terms_of

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Allocation:
    """Compute-optimal N, D, D/N and loss for some budgets, with intervals.

    Parameters
    ----------
    C
        Budgets in FLOPs, shape (budgets,).
    level
        Mass of the intervals.
    intervals
        ``"N"``, ``"D"``, ``"tokens_per_parameter"`` and ``"loss"`` to one `Interval` a budget; the
        loss is the mean of `loss_model`, drift included, at each draw's own optimum.
    decades_beyond
        How far the median optimum lies outside the runs, in decades.
    draws
        The same four to draws of shape (draws, budgets); a draw of the loss belongs to a draw of N and
        D only where the fit makes its own forecasts.
    flops_per_parameter_token
        k of C = k N D.
    method
        ``"closed form"`` or ``"numeric"``.
    loss_unit, basis, law, loss_model
        Unit of the loss, what was fitted in words, name of the law, and what the loss comes from in words.
    laws
        Name of each law to its share of the draws of N and D.
    terms
        What a split may be.
    target_loss
        The losses to reach, shape (budgets,); None where budgets were given. Then ``"C"``, the FLOPs that
        reach them, is among the intervals, `C` is its median, and a loss that a draw cannot reach
        costs infinity there.
    """

    C: NDArray[np.float64]
    level: float
    intervals: dict[str, tuple[Interval, ...]]
    decades_beyond: NDArray[np.float64]
    draws: dict[str, NDArray[np.float64]]
    flops_per_parameter_token: float
    method: str
    loss_unit: str
    basis: str
    law: str
    loss_model: str
    laws: Mapping[str, float]
    terms: Terms
    target_loss: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.C)

    @property
    def reached(self) -> list[float]:
        """Share of the draws in which some split reaches the target loss, for each of them."""
        return [float(share) for share in np.isfinite(self.draws["N"]).mean(axis=0)]

    @property
    def is_point(self) -> bool:
        """Whether it comes from a law without draws, and so without intervals."""
        return len(self.draws["N"]) == 1

    def to_json(self) -> dict[str, Any]:
        """The allocation as plain data: ``{"budgets": [...]}``, one for each budget, in order."""
        return {
            "level": self.level,
            "flops_per_parameter_token": self.flops_per_parameter_token,
            "method": self.method,
            "loss_model": self.loss_model,
            "laws": dict(self.laws),
            **self.terms.to_json(),
            "budgets": [
                {
                    **(
                        {"C": float(budget)}
                        if self.target_loss is None
                        else {"target_loss": float(self.target_loss[i]), "reached": self.reached[i]}
                    ),
                    **{
                        name: column[i].as_point() if self.is_point else column[i].to_json()
                        for name, column in self.intervals.items()
                    },
                    "decades_beyond": float(self.decades_beyond[i]),
                }
                for i, budget in enumerate(self.C)
            ],
        }

    def to_frame(self) -> pandas.DataFrame:
        """The allocation as a data frame, a row for each budget."""
        import pandas

        return pandas.json_normalize(self.to_json()["budgets"], sep="_")

    def table(self) -> Table:
        """Return the table of the budgets, or of the losses to reach, as it goes into a paper."""
        first, last = Column("C (FLOPs)", "$C$ (FLOPs)"), Column(f"loss ({self.loss_unit})")
        given: Any = self.C
        names = ("N", "D", "tokens_per_parameter", "loss")
        if self.target_loss is not None:
            first, last, given, names = last, first, self.target_loss, (*names[:3], "C")
        heads = [first, Column("N", "$N$"), Column("D", "$D$"), Column("D/N", "$D/N$"), last]
        rows: list[Any] = [
            (
                float(value),
                *(self.intervals[name][i] for name in names),
                decades(self.decades_beyond[i]),
            )
            for i, value in enumerate(given)
        ]
        heads.append(Column("decades beyond"))
        if self.target_loss is not None:  # the share of the draws in which it can be reached
            heads.append(Column("reached"))
            rows = [(*row, f"{share:.0%}") for row, share in zip(rows, self.reached, strict=True)]
        law = f"{self.law} {'law' if len(self.laws) == 1 else 'laws'}"
        loss = "" if self.loss_model == law else f", the loss by {self.loss_model}"
        if self.target_loss is not None:
            loss = ""
        k = number(self.flops_per_parameter_token)
        what = (
            "Compute-optimal allocation" if self.target_loss is None else "Cheapest way to a loss"
        )
        caption = (
            f"{what} with C = {self.terms.cost(k)}{self.terms.words()}, {law} {self.basis}{loss}: "
            f"{what_stands(self.level, self.is_point)}."
        )
        return Table(caption, tuple(heads), tuple(rows))

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def allocate(
    posterior: Fit,
    C: ArrayLike | None = None,
    *,
    target_loss: ArrayLike | None = None,
    inference_tokens: float = 0.0,
    params: float | None = None,
    max_params: float | None = None,
    max_tokens: float | None = None,
    sizes: Sequence[float] = (),
    at: Mapping[str, float] | None = None,
    level: float = DEFAULT_LEVEL,
    flops_per_parameter_token: float | None = None,
    numeric: bool = False,
    allow_failed: bool = False,
) -> Allocation:
    r"""Split a budget between parameters and tokens, or find the cheapest way to a loss, draw by draw.

    .. math:: (N, D)_\mathrm{opt}(\theta) = \arg\min_{N (k D + 2 T) = C} L_\theta(N, D), \qquad
              \theta \sim p(\theta \mid \mathrm{runs})

    or, for a target loss l, that of least N (k D + 2 T) with L(N, D) = l. T are the tokens that the model
    is to be run on, 0 unless `inference_tokens` is given: then smaller models, trained longer, are best.

    Parameters
    ----------
    posterior
        The fit of a law of N and D, a `PublishedFit`, or a mixture of fits: then N and D come from every
        law, by its weight.
    C
        Budgets in FLOPs, above 0; a number or shape (budgets,). That of inference is in them.
    target_loss
        Losses to reach, in place of budgets; a number or shape (losses,). The answer is that of the law
        itself, without its drift.
    inference_tokens
        T.
    params
        N, if it is fixed: then the budget says D.
    max_params, max_tokens
        Most parameters (memory), and most tokens (there are no more; for repeats, fit a law of
        repeated data).
    sizes
        The sizes that there are: N is one of them.
    at
        Other inputs of the law, symbol to value: ``{"experts": 16}``.
    level
        Mass of the intervals, between 0 and 1.
    flops_per_parameter_token
        k. By default 6, or what the FLOP column of the runs says.
    numeric
        Search, even where the law has a closed form.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Allocation
        N, D, D/N and loss for each budget or loss, with intervals.

    Raises
    ------
    InputError
        A budget that is not positive or pays for no model, terms that contradict each other, a law that
        is not one of N and D, or runs whose design does not identify an optimum.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Hoffmann et al. 2022, arXiv:2203.15556, equation 4. Inference: Sardana et al. 2023, Beyond
    Chinchilla-Optimal, arXiv:2401.00448.

    Examples
    --------
    >>> import bayescale
    >>> posterior = bayescale.fit("byte-sweep", seed=0)
    >>> allocation = bayescale.allocate(posterior, C=1e15)
    >>> best = allocation.draws
    >>> bool(abs(6 * best["N"] * best["D"] / 1e15 - 1).max() < 1e-9)
    True
    >>> long_lived = bayescale.allocate(posterior, C=1e15, inference_tokens=1e9)
    >>> bool(long_lived.intervals["N"][0].median < allocation.intervals["N"][0].median)
    True
    """
    check_level(level)
    terms = terms_of(
        posterior, flops_per_parameter_token, inference_tokens=inference_tokens, params=params,
        max_params=max_params, max_tokens=max_tokens, sizes=sizes, at=at,
    )  # fmt: skip
    require_optimum(posterior, terms, allow_failed)
    if (C is None) == (target_loss is None):
        what = "neither is given" if C is None else "both are given"
        raise InputError(
            Problem(
                "C, target_loss", what, remedy="give budgets (--flops) or losses (--target-loss)"
            )
        )
    wanted = positive("target_loss", target_loss) if C is None else positive("C", C)
    parts, k = posterior.parts, terms.flops_per_parameter_token
    laws, shares = [part.flat_law() for part, _ in parts], [share for _, share in parts]
    if C is None:
        splits = [cheapest_splits(law, wanted.ravel(), terms) for law in laws]
        N, D, cost = (pooled([found[i] for found in splits], shares) for i in range(3))
        check_reached(wanted.ravel(), N)
        ratio = np.where(np.isfinite(N), D, np.inf) / np.where(np.isfinite(N), N, 1.0)
        draws = {"C": cost, "N": N, "D": D, "tokens_per_parameter": ratio}
    else:
        budgets = wanted.ravel()
        splits = [_splits(law, budgets, terms, numeric) for law in laws]
        check_paid(budgets, splits[0][0], terms)
        N, D = (pooled([found[i] for found in splits], shares) for i in (0, 1))
        forecasters = sound_forecasters(posterior, allow_failed)
        forecast = []
        for model, _ in forecasters:
            there = _splits(model.flat_law(), budgets, terms, numeric)
            # Drift depends on compute alone: it moves the loss at the optimum, and not where that is.
            middle = budgets / k if terms.is_plain else np.median(there[0] * there[1], axis=0)
            points = {"N": middle, "D": np.ones_like(middle)}
            if set(model.inputs) != {"N", "D"}:
                points = {size_symbol(model.inputs): np.median(there[0], axis=0),
                          "D": np.median(there[1], axis=0), **dict(terms.at)}  # fmt: skip
            forecast.append(there[2] * np.exp(model.drift_path(points)))
        loss = pooled(forecast, [share for _, share in forecasters])
        draws = {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}
    points = {size_symbol(posterior.inputs): finite_median(N), "D": finite_median(D)}
    closed = terms.is_plain and C is not None and not numeric
    return Allocation(
        C=wanted.ravel() if C is not None else finite_median(draws["C"]),
        level=level,
        intervals={
            name: tuple(Interval.of(column, level) for column in values.T)
            for name, values in draws.items()
        },
        decades_beyond=decades_beyond(posterior.runs, points),
        draws=draws,
        flops_per_parameter_token=float(k),
        method="closed form"
        if closed and all(isinstance(law, ClosedFormOptimum) for law in laws)
        else "numeric",
        loss_unit=posterior.runs.loss_unit,
        basis=posterior.basis,
        law=posterior.name,
        loss_model=posterior.forecast_model,
        laws=shares_of(parts),
        terms=terms,
        target_loss=None if target_loss is None else wanted.ravel(),
    )


def _splits(law: Law, budgets: NDArray[np.float64], terms: Terms, numeric: bool) -> Any:
    """N, D and loss of each draw at each budget."""
    if terms.is_plain and set(law.inputs) == {"N", "D"}:
        return optimal_splits(law, budgets, terms.flops_per_parameter_token, numeric)
    return best_splits(law, budgets, terms)
