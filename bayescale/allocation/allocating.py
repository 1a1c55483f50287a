"""The best split of a training budget between parameters and tokens, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from bayescale.allocation.through import checked_errors, checked_link, ways_to_errors
from bayescale.downstream import LINK
from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.mixture import pooled
from bayescale.posterior import Posterior
from bayescale.prediction import decades_beyond, positive, shares_of, sound_forecasters
from bayescale.publications import Fit

Floats = NDArray[np.float64]


def allocate(
    posterior: Fit,
    C: ArrayLike | None = None,
    *,
    target_loss: ArrayLike | None = None,
    target_error: ArrayLike | None = None,
    through: Posterior | None = None,
    given: Mapping[str, float] | None = None,
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
    seed: int = 0,
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
    target_error
        Downstream errors to reach, in place of budgets: shares of wrong items, above 0 and below 1 (1
        less the accuracy). Each draw of `through` says which loss gives the error, and a draw of this
        fit the cheapest way to that loss: the means of both laws, without drift or scatter. The draws
        are taken as independent, as by `bayescale.predict_error`.
    through
        A fit of a law of error in that loss, ``L_pre``: ``"error-sigmoid"``, ``"error-exponential"``.
    given
        Other inputs of its law, such as ``{"chance": 0.25}``; what was the same in all of its runs need
        not be given.
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
    seed
        Of the order in which draws of the two steps to an error are set beside each other.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Allocation
        N, D, D/N and loss for each budget, loss or error, with intervals.

    Raises
    ------
    InputError
        A budget that is not positive or pays for no model, terms that contradict each other, a law that
        is not one of N and D, runs whose design does not identify an optimum, or a loss or error that
        cannot be reached.
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
    wanted = {"C": C, "target_loss": target_loss, "target_error": target_error}
    asked = [name for name, values in wanted.items() if values is not None]
    if len(asked) != 1:
        what = f"{' and '.join(asked)} are given" if asked else "none is given"
        raise InputError(
            Problem(", ".join(wanted), what, remedy="give one: budgets (--flops), losses (--target-loss) "
                    "or errors (--target-error, --target-accuracy)")
        )  # fmt: skip
    if target_error is None and (through is not None or given):
        raise InputError(
            Problem(
                "through, given", "they are given without target_error", remedy="leave them out"
            )
        )
    at_limit: Floats | None = None
    extra: dict[str, Any] = {}
    if target_error is not None:
        goals = checked_errors(target_error)
        draws, extra = _for_errors(posterior, through, goals, given, terms, seed, allow_failed)
    elif target_loss is not None:
        goals = positive("target_loss", target_loss).ravel()
        draws, extra = _for_losses(posterior, goals, terms), {"target_loss": goals}
    else:
        goals = positive("C", C).ravel()
        draws, at_limit = _for_budgets(posterior, goals, terms, numeric, allow_failed)
    parts = posterior.parts
    closed = C is not None and not numeric
    points = {
        size_symbol(posterior.inputs): finite_median(draws["N"]),
        "D": finite_median(draws["D"]),
    }
    return Allocation(
        C=goals if C is not None else finite_median(draws["C"]),
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
        at_limit=at_limit,
        **extra,
        cost=cost,
    )


def _for_losses(posterior: Fit, losses: Floats, terms: Terms) -> dict[str, Floats]:
    """Return cost, N, D and D/N of the cheapest way of each draw to each loss."""
    splits = [cheapest_splits(part.flat_law(), losses, terms) for part, _ in posterior.parts]
    shares = [share for _, share in posterior.parts]
    N, D, cost = (pooled([found[i] for found in splits], shares) for i in range(3))
    check_reached(losses, N)
    return {"C": cost, "N": N, "D": D, "tokens_per_parameter": _ratio(N, D)}


def _for_errors(
    posterior: Fit,
    through: Posterior | None,
    errors: Floats,
    given: Mapping[str, float] | None,
    terms: Terms,
    seed: int,
    allow_failed: bool,
) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return cost, N, D, D/N and loss of the cheapest way to each error, and what else is said of it."""
    second, others = checked_link(through, given, allow_failed)
    found = ways_to_errors(posterior, second, errors, others, terms, seed)
    seen = second.runs[LINK]
    draws = {"C": found.C, "N": found.N, "D": found.D,
             "tokens_per_parameter": _ratio(found.N, found.D), "loss": found.loss}  # fmt: skip
    return draws, {
        "target_error": errors,
        "through": f"{second.name} law {second.basis}",
        "share_outside": ((found.loss < seen.min()) | (found.loss > seen.max())).mean(axis=0),
    }


def _ratio(N: Floats, D: Floats) -> Floats:
    """D/N; infinite where nothing reaches."""
    return np.where(np.isfinite(N), D, np.inf) / np.where(np.isfinite(N), N, 1.0)


def _for_budgets(
    posterior: Fit, budgets: Floats, terms: Terms, numeric: bool, allow_failed: bool
) -> tuple[dict[str, Floats], Floats]:
    """Return N, D, D/N and loss of each draw at each budget, and the share of draws at a limit."""
    parts, shares = zip(*posterior.parts, strict=True)
    splits = [best_splits(part.flat_law(), budgets, terms, numeric) for part in parts]
    check_paid(budgets, splits[0].N, terms)
    N, D = pooled([s.N for s in splits], shares), pooled([s.D for s in splits], shares)
    at_limit = 1.0 - pooled([s.inside.astype(float) for s in splits], shares).mean(axis=0)
    check_inside(budgets, at_limit, N, terms)
    forecasters = sound_forecasters(posterior, allow_failed)
    forecast = []
    for model, _ in forecasters:
        same = [s for part, s in zip(parts, splits, strict=True) if part is model]
        # Without drift, the law itself forecasts, and has been asked already.
        there = same[0] if same else best_splits(model.flat_law(), budgets, terms, numeric)
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
