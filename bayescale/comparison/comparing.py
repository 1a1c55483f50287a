"""Fit several laws to the same runs, score each of them, and weigh them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.backtesting import FRACTIONS, backtest
from bayescale.comparison.compared import (
    BY,
    SCORES,
    ComparedLaw,
    Comparison,
    Difference,
    Floats,
    Score,
    difference,
)
from bayescale.comparison.cross_validation import Elpd, leave_groups_out, psis_loo
from bayescale.comparison.stacking import forecast_weights, stacking_weights
from bayescale.comparison.task import Laws, Task, chosen_laws, priors_of, task_of
from bayescale.drift import FORECASTS, DampedTrend, drift_name
from bayescale.effects import Effects
from bayescale.errors import BayescaleError, FailedFitError, InputError, Problem
from bayescale.fitting import as_runs, fit
from bayescale.intervals import DEFAULT_LEVEL, check_level
from bayescale.laws import Law
from bayescale.noise import Noise, get_noise
from bayescale.posterior import Posterior
from bayescale.priors import Prior

REMEDIES: dict[Score, str] = {
    "forecasts": "Give more runs; or compare by runs like these: --score loo (score='loo').",
    "loo": "Give more runs; or compare by larger runs: --score forecasts (score='forecasts').",
}


def compare(
    runs: Any,
    laws: Laws | None = None,
    noise: str | type[Noise] = "student-t",
    *,
    score: Score = "forecasts",
    leave_out: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    drift: str | DampedTrend | None = FORECASTS,
    effects: str | Effects | None = None,
    allow: Collection[str] = (),
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    r"""Fit several laws to the same runs, score them, and weigh them for a mixture.

    Two questions, two scores. *Larger runs*: the cheapest runs are fitted and the others forecast, from
    several origins (`bayescale.backtest`); this ranks the laws unless `score` says otherwise. *Other
    runs like these*: each run is left out in turn, by importance sampling (PSIS-LOO); or each group
    of runs that belong together, and the law is fitted again.

    .. math:: \mathrm{score}_k = \frac{1}{n} \sum_i \ln p_k(\ln L_i \mid \text{cheaper runs}), \qquad
              \mathrm{elpd}_k = \sum_i \ln p_k(\ln L_i \mid \text{all other runs})

    Each law forecasts alone. The weights of `Comparison.mixture` come from its forecasts, all from one
    origin counting as one outcome (`forecast_weights`), or are stacked from cross-validation; stacking
    weights from the forecasts stand beside them.

    Parameters
    ----------
    runs, noise, x, priors, drift, effects, allow, seed
        As for `bayescale.fit`; a prior is for every law that has its coordinate.
    laws
        Names, ``"module:Class"`` or classes, two or more; by default all laws of the package whose
        inputs the runs have.
    score
        ``"forecasts"`` (default) or ``"loo"``: what ranks the laws, and weighs them in the mixture.
    leave_out
        What is left out together in cross-validation: a label (``"run_id"``, ``"group"``, ``"seed"``),
        an input, ``"point"`` (runs with the same inputs) or ``"run"`` (each alone, fitted again).
        By default each run alone by PSIS-LOO, unless runs share an id or a point; with effects, the
        rows that share a shift.
    fractions
        As for `bayescale.backtest`.
    level
        Mass of the intervals of the forecasts, between 0 and 1.
    progress
        Called with the fits done and the fits in all.

    Returns
    -------
    Comparison
        The laws with their scores and weights, the best first; one that cannot be fitted says why.

    Raises
    ------
    InputError
        The runs or an option cannot be used; fewer than two laws, or more than the data can compare; no
        law can be fitted, or none can be scored.
    FailedFitError
        The sampling of all laws failed.

    References
    ----------
    Vehtari, Gelman, Gabry 2017, Practical Bayesian model evaluation using leave-one-out
    cross-validation and WAIC, Statistics and Computing 27, 1413-1432. Yao, Vehtari, Simpson, Gelman
    2018, Using stacking to average Bayesian predictive distributions, Bayesian Analysis 13, 917-1007.

    Examples
    --------
    >>> found = compare("byte-sweep", ["chinchilla", "coupled"], fractions=[0.7], drift="none")
    >>> sorted(one.law for one in found.laws)
    ['chinchilla', 'coupled']
    >>> round(sum(found.mixture.weights), 9)
    1.0
    """
    if score not in SCORES:
        raise InputError(
            Problem("score", f"{score!r} is not a score", remedy=f"use {' or '.join(SCORES)}")
        )
    check_level(level)
    classes = chosen_laws(laws, as_runs(runs), x)
    beliefs = priors_of(classes, get_noise(noise), priors, effects)
    task = task_of(as_runs(runs), classes, score, leave_out, fractions, x, effects)
    steps = len(classes) * (1 + len(task.cuts))

    def compared(i: int, law: type[Law]) -> ComparedLaw:
        def shown(done: int, _: int = 0) -> None:
            if progress is not None:
                progress(i * (1 + len(task.cuts)) + done, steps)

        shown(0)
        options = {"x": x, "priors": beliefs[law], "drift": drift, "effects": effects,
                   "allow": allow, "seed": seed}  # fmt: skip
        return _compared(task, law, noise, options, fractions, level, lambda k, n: shown(1 + k))

    found = [compared(i, law) for i, law in enumerate(classes)]
    if not any(one.posterior for one in found):
        _refuse(found, "no law could be fitted")
    found = _weighed(_on_shared_origins(found))
    if all(math.isnan(one.weight(score)) for one in found):
        _refuse(found, f"no law can be compared by {BY[score]}", REMEDIES[score])

    def place(one: ComparedLaw) -> tuple[bool, float]:
        return math.isnan(one.weight(score)), -np.nan_to_num(one.score(score))

    return Comparison(
        laws=tuple(sorted(found, key=place)),
        score=score,
        noise=get_noise(noise).name,
        drift=drift_name(drift),
        level=level,
        leave_out=task.leave_out,
        dependent=task.dependent,
        runs=task.runs,
        n_held_out=task.n_held_out,
        n_origins=len(task.cuts),
    )


def _compared(
    task: Task,
    law: type[Law],
    noise: str | type[Noise],
    options: Mapping[str, Any],
    fractions: Sequence[float],
    level: float,
    progress: Callable[[int, int], None],
) -> ComparedLaw:
    """Fit and score one law; what cannot be done is its reason."""
    try:
        posterior = fit(task.runs, law, noise, wider=False, **options)
        posterior.require_sound()
        tested = None
        if task.cuts:
            tested = backtest(
                task.runs, law, noise,
                fractions=fractions, compute=10**task.log_sizes, wider=False, level=level,
                progress=progress, **options,
            )  # fmt: skip
    except BayescaleError as error:
        status = "failed" if isinstance(error, FailedFitError) else "rejected"
        return ComparedLaw(law.name, status, _line(error))
    reasons = [v.code for v in posterior.diagnostics.verdicts if v.severity != "note"]
    elpd = None
    try:
        elpd = _cross_validated(task, posterior, noise, options)
    except BayescaleError as error:
        reasons.append(f"no cross-validation: {_line(error)}")
    verdict = posterior.diagnostics.verdict
    return ComparedLaw(law.name, verdict, "; ".join(reasons), posterior, tested, elpd=elpd)


def _line(error: BayescaleError) -> str:
    return " ".join(str(error).split())


def _cross_validated(
    task: Task, posterior: Posterior, noise: str | type[Noise], options: Mapping[str, Any]
) -> Elpd | None:
    if task.leave_out is not None:
        law = posterior.spec.law
        return leave_groups_out(task.runs, law, noise, task.leave_out, task.inputs, **options)
    return None if task.dependent else psis_loo(posterior)


def _refuse(found: Sequence[ComparedLaw], what: str, remedy: str = "") -> None:
    """Raise, with the reasons of all laws."""
    reasons = [f"  {one.law}: {one.reason or 'nothing to score it by'}" for one in found]
    said = "\n".join([what, *reasons, *([remedy] if remedy else [])])
    raise FailedFitError(said) if all(o.status == "failed" for o in found) else InputError(said)


def _on_shared_origins(found: Sequence[ComparedLaw]) -> list[ComparedLaw]:
    """Score the forecasts from those origins from which all laws that can forecast do."""
    able = {
        one.law: {i for i, o in enumerate(one.backtest.origins) if o.prediction is not None}
        for one in found
        if one.backtest is not None
    }
    while able and not set.intersection(*able.values()):
        able.pop(min(able, key=lambda law: len(able[law])))
    shared = tuple(sorted(set.intersection(*able.values()))) if able else ()

    def given(one: ComparedLaw) -> ComparedLaw:
        if one.backtest is None or one.law in able:
            return replace(one, shared=shared if one.law in able else ())
        # The last origin has the most runs, and its reason says the most of what is wanting.
        reasons = [o.reason for o in one.backtest.origins if o.prediction is None]
        why = f"no forecasts from an origin that others forecast from: {reasons[-1]}"
        return replace(one, status="rejected", reason=why, shared=())

    return [given(one) for one in found]


def _weighed(found: Sequence[ComparedLaw]) -> list[ComparedLaw]:
    """Give each law its weights, and its differences from the best."""
    forecasts = {one.law: one.log_densities for one in found if one.shared}
    elpds = {one.law: one.elpd.pointwise for one in found if one.elpd is not None}
    weights: dict[Score, dict[str, float]] = {}
    stacked: dict[str, float] = {}
    differences: dict[Score, dict[str, Difference]] = {}
    if forecasts:
        origins = [np.array(each) for each in zip(*forecasts.values(), strict=True)]
        weights["forecasts"] = dict(zip(forecasts, forecast_weights(origins).tolist(), strict=True))
        joined = {law: np.concatenate(each) for law, each in forecasts.items()}
        every = stacking_weights(np.array(list(joined.values())))
        stacked = dict(zip(joined, every.tolist(), strict=True))
        rows = next(one.forecast_rows for one in found if one.shared)
        terms = {law: each / len(each) for law, each in joined.items()}
        differences["forecasts"] = _differences(terms, rows)
    if elpds:
        every = stacking_weights(np.array(list(elpds.values())))
        weights["loo"] = dict(zip(elpds, every.tolist(), strict=True))
        differences["loo"] = _differences(elpds)
    return [
        replace(
            one,
            weights={score: w[one.law] for score, w in weights.items() if one.law in w},
            stacked=stacked.get(one.law, math.nan),
            differences={score: d[one.law] for score, d in differences.items() if one.law in d},
        )
        for one in found
    ]


def _differences(
    terms: Mapping[str, Floats], clusters: NDArray[np.intp] | None = None
) -> dict[str, Difference]:
    best = max(terms, key=lambda law: terms[law].sum())
    return {law: difference(mine, terms[best], clusters) for law, mine in terms.items()}
