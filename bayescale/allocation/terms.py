"""The terms of an allocation as a user gives them, and whether a law and a budget can keep to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.splitting import Terms, size_symbol
from bayescale.errors import InputError, Problem
from bayescale.laws import Law
from bayescale.posterior import Posterior
from bayescale.prediction import in_domain, positive
from bayescale.publications import Fit, PublishedFit
from bayescale.runs.catalogue import SYMBOL_TO_ROLE, meaning_of
from bayescale.tables import number

Floats = NDArray[np.float64]
NOT_IDENTIFIED = ("collinear", "constant-N", "constant-D", "constant-loss", "few-points")
MOST_AT_LIMIT = 0.5  # share of the draws without a best split in which there still is an answer
LEAST_REACHED = 0.05  # share of the draws in which a loss must be within reach for an answer


def terms_of(
    posterior: Fit,
    flops_per_parameter_token: float | None = None,
    *,
    inference_tokens: float = 0.0,
    params: float | None = None,
    max_params: float | None = None,
    max_tokens: float | None = None,
    sizes: Sequence[float] = (),
    at: Mapping[str, float] | None = None,
) -> Terms:
    """Return the terms, checked; see `bayescale.allocate`.

    Raises
    ------
    InputError
        A number out of range, or terms that contradict each other.
    """

    def one(name: str, value: float | None) -> float | None:
        return None if value is None else positive(name, value).item()

    factor = posterior.runs.flops_per_parameter_token
    if flops_per_parameter_token is not None:
        factor = positive("flops_per_parameter_token", flops_per_parameter_token).item()
    if inference_tokens:
        inference_tokens = positive("inference_tokens", inference_tokens).item()
    listed = tuple(sorted(positive("sizes", list(sizes)).tolist())) if len(sizes) else ()
    terms = Terms(
        flops_per_parameter_token=float(factor),
        inference_tokens=float(inference_tokens),
        params=one("params", params),
        max_params=one("max_params", max_params),
        max_tokens=one("max_tokens", max_tokens),
        sizes=listed,
        at=tuple((s, in_domain(s, value).item()) for s, value in (at or {}).items()),
    )
    if terms.params is not None and terms.sizes:
        raise InputError(
            Problem("params, sizes", "both are given", "the one fixes N, the other lets it be chosen",
                    "give one of them")
        )  # fmt: skip
    least = terms.params if terms.params is not None else min(terms.sizes, default=0.0)
    if terms.max_params is not None and least > terms.max_params:
        raise InputError(
            Problem("max_params", f"it is {number(terms.max_params)}, and no size allowed is below "
                    f"{number(least)}", "the terms contradict each other",
                    f"raise it to {number(least)} or more, or allow smaller sizes")
        )  # fmt: skip
    return terms


def require_optimum(posterior: Fit, terms: Terms, allow_failed: bool) -> None:
    """Raise if the fit failed, or its laws or runs say nothing about a split."""
    posterior.require_sound(allow_failed)
    for part, _ in posterior.parts:
        require_law_of_two(part, terms)
        require_identified(part, allow_failed)


def require_law_of_two(posterior: Posterior | PublishedFit, terms: Terms) -> None:
    """Raise if the law of a fit is not one of size and tokens, or its other inputs are not given."""
    law = posterior.spec.law
    size = size_symbol(law.inputs)
    if not {size, "D"} <= set(law.inputs):
        raise InputError(
            Problem("law", f"the law {law.name!r} is one of {', '.join(law.inputs)}",
                    "an allocation needs a law of N and D", "fit one, such as --law chinchilla")
        )  # fmt: skip
    require_others(law, (size, "D"), terms)


def require_others(law: type[Law], chosen: tuple[str, ...], terms: Terms) -> None:
    """Raise if an input of a law that is not chosen is not given, or one is given that it has not."""
    given = dict(terms.at)
    others = [symbol for symbol in law.inputs if symbol not in chosen]
    missing = [symbol for symbol in others if symbol not in given]
    if missing:
        named = ", ".join(f"{s} ({meaning_of(s)})" for s in missing)
        roles = ",".join(f"{SYMBOL_TO_ROLE.get(s, s)}=..." for s in missing)
        raise InputError(
            Problem("at", f"the law {law.name!r} needs {named}", "the answer is one at given other inputs",
                    f"write --at {roles} (at={{...}})")
        )  # fmt: skip
    unused = [symbol for symbol in given if symbol not in others]
    if unused:
        raise InputError(
            Problem("at", f"the law {law.name!r} has no other input {unused[0]}",
                    remedy=f"its inputs are {', '.join(law.inputs)}")
        )  # fmt: skip


def require_identified(
    posterior: Posterior | PublishedFit,
    allow_failed: bool,
    what: str = "where the optimum is",
    besides: tuple[str, ...] = (),
) -> None:
    """Raise if a check was lifted without which runs do not say something, apart from some checks."""
    lifted = [name for name in posterior.provenance.get("allowed", ()) if name in NOT_IDENTIFIED]
    lifted = [name for name in lifted if name not in besides]
    if lifted and not allow_failed:
        raise InputError(
            Problem("runs", f"the fit lifted the check {lifted[0]!r}",
                    f"such runs do not say {what}; it would come from the prior",
                    "add runs with other tokens per parameter")
        )  # fmt: skip


def check_paid(budgets: Floats, N: Floats, terms: Terms) -> None:
    """Raise if a budget pays for no model that the terms allow."""
    none = np.flatnonzero(np.isnan(N).all(axis=0))
    if not len(none):
        return
    least = terms.params if terms.params is not None else min(terms.sizes, default=1.0)
    k, T = terms.flops_per_parameter_token, terms.inference_tokens
    inference = f" and runs it on {number(T)} tokens" if T else ""
    raise InputError(
        Problem("C", f"{number(float(budgets[none[0]]))} FLOPs train no model that the terms allow",
                f"the smallest is of {number(least)} parameters, and one token{inference} costs "
                f"{number(least * (k + 2 * T))}", "raise the budget, or allow smaller models")
    )  # fmt: skip


def check_inside(budgets: Floats, at_limit: Floats, N: Floats, terms: Terms) -> None:
    """Raise if a law has no best split inside all sizes and tokens, where the terms set no limit."""
    none = np.flatnonzero(at_limit > MOST_AT_LIMIT)
    if not len(none) or any((terms.max_params, terms.max_tokens, terms.params, terms.sizes)):
        return
    budget = number(float(budgets[none[0]]))
    small = float(np.median(N[:, none[0]])) < 10.0
    way, limit = ("fewer parameters", "params") if small else ("more parameters", "max_params")
    raise InputError(
        Problem("law", f"no split of {budget} FLOPs is best in {at_limit[none[0]]:.0%} of the draws",
                f"the law goes on falling toward {way}, to the end of what the budget pays for",
                f"fix or limit the size ({limit}=...), or ask for the losses of given sizes by predict")
    )  # fmt: skip


def check_reached(losses: Floats, N: Floats) -> None:
    """Raise if hardly any draw of the law reaches a loss, whatever is spent."""
    share = np.isfinite(N).mean(axis=0)
    none = np.flatnonzero(share < LEAST_REACHED)
    if len(none):
        i = none[0]
        raise InputError(
            Problem("target_loss", f"{losses[i]:g} is out of reach in {1 - share[i]:.0%} of the draws",
                    "it lies below what the law says that no compute removes, or the limits of N and D "
                    "keep it out of reach", "ask for a higher loss, or lift the limits")
        )  # fmt: skip


def finite_median(draws: Floats) -> Floats:
    """Return the median of each column; infinite if most draws are."""
    if np.isfinite(draws).all():
        return np.asarray(np.median(draws, axis=0))
    return np.asarray(np.quantile(draws, 0.5, axis=0, method="inverted_cdf"))
