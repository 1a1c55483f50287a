"""Design further runs: what they cost, what they would tell of an answer, and which to make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.designing.before_data import LOSS, local_criterion, prior_fit
from bayescale.designing.beliefs import Beliefs
from bayescale.designing.candidates import (
    affordable,
    allowed_values,
    compute_grid,
    grid,
    with_other_inputs,
)
from bayescale.designing.checking import refitted, reweighted
from bayescale.designing.result import Design, narrowed
from bayescale.designing.search import Criterion, best_runs
from bayescale.designing.targets import Target
from bayescale.errors import InputError, Problem, shown
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import Law, get_law
from bayescale.mixture import Mixture
from bayescale.noise import Noise, get_noise
from bayescale.posterior import Posterior
from bayescale.prediction import positive, shares_of, sound_forecasters
from bayescale.priors import Prior
from bayescale.publications import Fit, PublishedFit
from bayescale.units import FLOPS_PER_PARAMETER_TOKEN

Floats = NDArray[np.float64]

RUNS = 8  # at most


def design(
    source: Fit | str | type[Law],
    target: str,
    budget: float,
    *,
    params: Any = None,
    tokens: Any = None,
    ratios: Any = None,
    at: Mapping[str, float] | None = None,
    runs: int = RUNS,
    refits: int = 0,
    level: float = DEFAULT_LEVEL,
    flops_per_parameter_token: float | None = None,
    noise: str | type[Noise] = "student-t",
    priors: Mapping[str, Prior] | None = None,
    loss: float = LOSS,
    seed: int = 0,
    allow_failed: bool = False,
) -> Design:
    r"""Say which further runs would narrow an answer most, within a budget of compute.

    .. math:: S^* = \arg\min_{S:\ \sum_{i \in S} k N_i D_i \le \mathrm{budget}}
              \left[\mathrm{Var}(t) - c_S^\top (K_S + \mathrm{diag}(s_S^2))^{-1} c_S\right]

    t is the answer on its scale (the logarithm of a loss or an optimum), c its covariance with the log
    losses of the candidate runs, K their covariance, over the draws of the fit, and s the scatter of a
    run. Exact for an answer that is linear in the unknowns, under Gaussian scatter; `Design.reweighted`
    is the same without that assumption, where the draws suffice, and `Design.refitted` from refits.

    Draws of a mixture of laws come from every law by its weight, so what the laws disagree on counts as
    uncertainty that runs can remove. A loss is the mean loss that `bayescale.predict` gives with
    ``kind="law"``, drift included, and its draws come from the models of forecasts. Optima and
    parameters are the law's own, as in `bayescale.allocate`: they are narrowed by what the law, if it
    is right, lets runs tell.

    Before there are runs, the draws of the prior are too far apart for one linear relation: then the
    covariances are those of the prior about each of some possible truths, by the derivatives there, and
    the geometric mean of the variances is minimised.

    Parameters
    ----------
    source
        A fit, a mixture of fits, or before there are runs a law: its name or class. Then draws come
        from its prior, centred on the allowed runs.
    target
        ``"loss at N=70e9,D=1.4e12"``, ``"tokens_per_parameter at 1e25"``, ``"N_opt at 1e25"``,
        ``"D_opt at 1e25"``, or a parameter of the law such as ``"alpha"``.
    budget
        FLOPs for all further runs together, above 0.
    params
        Allowed sizes N: numbers, and ranges such as ``"1e8:1e10"``, of which the round numbers are taken.
        By default from the smallest of the runs to ten times their largest.
    tokens, ratios
        Allowed D, or allowed D/N, likewise; the one or the other. By default D/N to three times beyond
        those of the runs, and a decade about their median at least.
    at
        Other inputs of the law, symbol to value; by default as they typically are in the runs.
    runs
        Number of runs at most.
    refits
        Number of simulated outcomes to fit as a check, of a fit of one law; 0 for none.
    level
        Mass of the intervals.
    flops_per_parameter_token
        k of C = k N D. By default 6, or what the FLOP column of the runs says.
    noise, priors, loss
        Of a law without a fit: noise, priors in place of its own, and about how low losses would be
        near the centre of the allowed runs.
    seed
        Seed of scatter, drift, outcomes and prior draws.
    allow_failed
        Design even if the sampling of the fit failed.

    Returns
    -------
    Design
        The runs, the most useful per FLOP first, and the interval before and after them.

    Raises
    ------
    InputError
        An unknown target, a budget that pays for no allowed run, a law that cannot answer, a published
        fit, or a value that cannot be used.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Chaloner and Verdinelli 1995, Bayesian experimental design: a review, Statistical Science 10,
    273-304, section 2. Exchanges: Fedorov 1972, Theory of Optimal Experiments, chapter 3.

    Examples
    --------
    >>> import bayescale
    >>> posterior = bayescale.fit("byte-sweep", seed=0)
    >>> found = bayescale.design(posterior, "tokens_per_parameter at 1e16", budget=1e15)
    >>> bool(found.sd_after[-1] < found.sd_before), bool(found.C.sum() <= 1e15)
    (True, True)
    """
    asked, most = Target.read(target), _whole("runs", runs, 1)
    check_level(level)
    money = positive("budget", budget).item()
    allowed = {
        name: allowed_values(name, values)
        for name, values in (("params", params), ("tokens", tokens), ("ratios", ratios))
    }
    factor, fit = _factor(source, flops_per_parameter_token), _fit_of(source, allow_failed)
    points = _candidates(source, fit, money, allowed, at or {})
    points = affordable(points, _cost(points, factor), money)
    cost = _cost(points, factor)
    known: Any = fit
    if fit is None:
        known = prior_fit(get_law(source), get_noise(noise), points, loss, priors, seed)
    asked.check(known)
    if count := _whole("refits", refits, 0):
        _check_refits(fit)
    if fit is not None and asked.kind == "loss":
        sound_forecasters(fit, allow_failed)

    beliefs = Beliefs.of(asked, known, points, factor, seed)
    criterion: Criterion = beliefs.linear()
    if fit is None:
        criterion = local_criterion(known, asked, beliefs, points, factor, seed)
    chosen = best_runs(criterion, cost, money, most)
    before = float(np.sqrt(criterion.after([])))
    after = np.sqrt([criterion.after(chosen[: i + 1]) for i in range(len(chosen))])
    mine = {s: v[chosen] for s, v in points.items()}
    return Design(
        target=str(asked),
        scale=beliefs.scale,
        level=level,
        budget=money,
        points=mine,
        C=cost[chosen],
        sd_before=before,
        sd_after=after,
        before=Interval.of(beliefs.raw, level),
        after=narrowed(beliefs.values, float(after[-1]) / before, beliefs.scale, level),
        reweighted=reweighted(beliefs, chosen, mine, seed),
        refitted=refitted(known, asked, beliefs.scale, mine, factor, count, seed)
        if count
        else None,
        candidates=points,
        candidate_C=cost,
        candidate_sd=np.sqrt(criterion.after_each()),
        runs=None if fit is None else fit.runs,
        flops_per_parameter_token=factor,
        basis=known.basis if fit is not None else "before any runs",
        law=known.name,
        laws=shares_of(beliefs.parts),
    )


def _fit_of(source: Any, allow_failed: bool) -> Posterior | Mixture | None:
    """The fit, sound; None for a law."""
    if isinstance(source, PublishedFit):
        raise InputError(
            Problem("source", f"{source.fit.key!r} is a published fit, a point without uncertainty",
                    "there is nothing that runs could narrow",
                    f"fit runs of your own, or start from the prior of the law {source.name!r}")
        )  # fmt: skip
    if isinstance(source, Posterior | Mixture):
        source.require_sound(allow_failed)
        return source
    if isinstance(source, str) or (isinstance(source, type) and issubclass(source, Law)):
        get_law(source)
        return None
    raise InputError(
        Problem("source", f"{shown(source)} is neither a fit nor a law",
                remedy="give what fit, compare(...).mixture or load returns, or the name of a law")
    )  # fmt: skip


def _factor(source: Any, given: ArrayLike | None) -> float:
    if given is not None:
        return float(positive("flops_per_parameter_token", given).item())
    if isinstance(source, Posterior | Mixture):
        return source.runs.flops_per_parameter_token
    return FLOPS_PER_PARAMETER_TOKEN


def _candidates(
    source: Any,
    fit: Posterior | Mixture | None,
    budget: float,
    allowed: Mapping[str, Floats | None],
    at: Mapping[str, float],
) -> dict[str, Floats]:
    """Every allowed run, with all inputs of the law."""
    if fit is None:
        law = get_law(source)
        if set(law.inputs) != {"N", "D"}:
            raise InputError(
                Problem("source", f"the law {law.name!r} is one of {', '.join(law.inputs)}",
                        "a first design chooses N and D", "name a law of N and D, such as chinchilla")
            )  # fmt: skip
        return grid(None, **allowed)
    if {"N", "D"} <= set(fit.inputs):
        return with_other_inputs(fit, grid(fit.runs, **allowed), at)
    given = [name for name, values in allowed.items() if values is not None]
    if given:
        raise InputError(
            Problem(given[0], f"the law {fit.name!r} is one of {', '.join(fit.inputs)}",
                    "it has no sizes and token counts to choose from", f"leave {given[0]} out")
        )  # fmt: skip
    if fit.inputs == ("x",) and fit.runs.columns.get("x") == "C":
        return compute_grid(fit.runs, budget)
    raise InputError(
        Problem("source", f"the law {fit.name!r} is one of {', '.join(fit.inputs)}",
                "what a run costs follows from N and D, or from compute",
                "fit a law of N and D, such as --law chinchilla, or one of compute (--x flops)")
    )  # fmt: skip


def _cost(points: Mapping[str, Floats], factor: float) -> Floats:
    return factor * points["N"] * points["D"] if "N" in points else points["x"]


def _check_refits(fit: Posterior | Mixture | None) -> None:
    """Raise if the answer of refits would not be that of the fit."""
    part = fit if isinstance(fit, Posterior) else None
    if part is None:
        what = "there is no fit yet" if fit is None else f"{fit.name} are several laws"
        why = "a refit is of the runs that are there and new ones, by one law"
    elif part.spec.effects is not None or part.spec.drift is not None:
        what, why = (
            "the fit has effects or a drift of its parameters",
            "refits are of the law alone",
        )
    else:
        return
    raise InputError(Problem("refits", what, why, "leave refits (--refits) out"))


def _whole(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(
            Problem(name, f"it is {shown(value)}", remedy=f"give a whole number of {least} or more")
        )
    return int(value)
