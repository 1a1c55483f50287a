"""The best split of a training budget between parameters and tokens, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.allocation.allocated import Allocation
from bayescale.allocation.costs import Cost
from bayescale.allocation.splitting import (
    Terms,
    best_splits,
    cheapest_splits,
    has_closed_form,
    size_symbol,
)
from bayescale.allocation.terms import (
    check_inside,
    check_paid,
    check_reached,
    finite_median,
    require_optimum,
    terms_of,
)
from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.mixture import pooled
from bayescale.prediction import decades_beyond, positive, shares_of, sound_forecasters
from bayescale.publications import Fit

Floats = NDArray[np.float64]


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
    cost: Cost | None = None,
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
    cost
        Hours and money to show beside each budget. For budgets that are given in them, write
        ``C=cost.flops_of_hours(1e6)`` or ``C=cost.flops(1e6)``.
    level
        Mass of the intervals, between 0 and 1.
    flops_per_parameter_token
        k. By default 6, or what the FLOP column of the runs says; that of a model's shape is
        ``Architecture(...).flops_per_parameter_token()``.
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
    given = wanted.ravel()
    if C is None:
        draws, at_limit = _for_losses(posterior, given, terms), None
    else:
        draws, at_limit = _for_budgets(posterior, given, terms, numeric, allow_failed)
    parts = posterior.parts
    closed = C is not None and not numeric
    points = {
        size_symbol(posterior.inputs): finite_median(draws["N"]),
        "D": finite_median(draws["D"]),
    }
    return Allocation(
        C=given if C is not None else finite_median(draws["C"]),
        level=level,
        intervals={
            name: tuple(Interval.of(column, level) for column in values.T)
            for name, values in draws.items()
        },
        decades_beyond=decades_beyond(posterior.runs, points),
        draws=draws,
        flops_per_parameter_token=terms.flops_per_parameter_token,
        method="closed form"
        if closed and all(has_closed_form(part.flat_law(), terms) for part, _ in parts)
        else "numeric",
        loss_unit=posterior.runs.loss_unit,
        basis=posterior.basis,
        law=posterior.name,
        loss_model=posterior.forecast_model,
        laws=shares_of(parts),
        terms=terms,
        target_loss=None if target_loss is None else given,
        at_limit=at_limit,
        cost=cost,
    )


def _for_losses(posterior: Fit, losses: Floats, terms: Terms) -> dict[str, Floats]:
    """Return cost, N, D and D/N of the cheapest way of each draw to each loss."""
    splits = [cheapest_splits(part.flat_law(), losses, terms) for part, _ in posterior.parts]
    shares = [share for _, share in posterior.parts]
    N, D, cost = (pooled([found[i] for found in splits], shares) for i in range(3))
    check_reached(losses, N)
    ratio = np.where(np.isfinite(N), D, np.inf) / np.where(np.isfinite(N), N, 1.0)
    return {"C": cost, "N": N, "D": D, "tokens_per_parameter": ratio}


def _for_budgets(
    posterior: Fit, budgets: Floats, terms: Terms, numeric: bool, allow_failed: bool
) -> tuple[dict[str, Floats], Floats]:
    """Return N, D, D/N and loss of each draw at each budget, and the share of draws at a limit."""
    splits = [best_splits(part.flat_law(), budgets, terms, numeric) for part, _ in posterior.parts]
    shares = [share for _, share in posterior.parts]
    check_paid(budgets, splits[0].N, terms)
    N, D = pooled([s.N for s in splits], shares), pooled([s.D for s in splits], shares)
    at_limit = 1.0 - pooled([s.inside.astype(float) for s in splits], shares).mean(axis=0)
    check_inside(budgets, at_limit, N, terms)
    forecasters = sound_forecasters(posterior, allow_failed)
    forecast = []
    for model, _ in forecasters:
        there = best_splits(model.flat_law(), budgets, terms, numeric)
        # Drift depends on compute alone: it moves the loss at the optimum, and not where that is.
        middle = np.median(there.N * there.D, axis=0)
        if terms.is_plain:
            middle = budgets / terms.flops_per_parameter_token
        points = {"N": middle, "D": np.ones_like(middle)}
        if set(model.inputs) != {"N", "D"}:
            sizes = {size_symbol(model.inputs): np.median(there.N, axis=0)}
            points = {**sizes, "D": np.median(there.D, axis=0),
                      **{s: np.asarray(v) for s, v in terms.at}}  # fmt: skip
        forecast.append(there.loss * np.exp(model.drift_path(points)))
    loss = pooled(forecast, [share for _, share in forecasters])
    return {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}, at_limit
