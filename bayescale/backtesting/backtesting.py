"""Forecasts of the larger runs of a table from its cheaper ones, as they would have been."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayescale.backtesting.backtested import Backtest, Origin
from bayescale.backtesting.origins import FRACTIONS, log_size, rolling_origins
from bayescale.drift import FORECASTS, DampedTrend, drift_name
from bayescale.effects import Effects
from bayescale.errors import DesignError, FailedFitError, InputError, Problem
from bayescale.fitting import fit, prepare, runs_for
from bayescale.intervals import DEFAULT_LEVEL, check_level
from bayescale.laws import Law, get_law
from bayescale.noise import Noise
from bayescale.prediction import log_predictive_density, positive, predict
from bayescale.priors import Prior


def backtest(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    fractions: Sequence[float] = FRACTIONS,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    drift: str | DampedTrend | None = FORECASTS,
    effects: str | Effects | None = None,
    wider: bool = True,
    compute: ArrayLike | None = None,
    allow: Collection[str] = (),
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    progress: Callable[[int, int], None] | None = None,
) -> Backtest:
    r"""Forecast the larger of the runs from the cheaper ones, and compare with what was observed.

    .. math:: \mathrm{coverage} = \frac{1}{n} \sum_i
              \left[\, q_{(1 - \mathrm{level}) / 2} \le L_i \le q_{(1 + \mathrm{level}) / 2} \,\right],
              \qquad q = \text{quantiles given the runs with } C \le C_\mathrm{origin}

    The assumption: larger runs will depart from the law as these did from what the cheaper of them
    said. Forecasts from one origin share their error, so ten of them are not ten tests. With effects,
    every forecast is that of a new run, with a shift of its own: where earlier rows of the same run
    were fitted, its interval is wider than it need be.

    Parameters
    ----------
    runs, law, noise, x, priors, drift, effects, wider, allow, seed
        As for `bayescale.fit`.
    fractions
        Shares of the runs that are fitted, above 0 and below 1, each the cheapest by compute. Runs of
        one budget stay together.
    compute
        What the runs are ordered by, above 0, shape (runs,); by default C for a law of N and D, else
        the product of the law's inputs.
    level
        Mass of the intervals, between 0 and 1.
    progress
        Called with the fits done and the fits in all.

    Returns
    -------
    Backtest
        An `Origin` for each fraction, the smallest first; those that cannot be fitted say why.

    Raises
    ------
    InputError
        The runs, the law or an option cannot be used, or all runs have one compute budget.

    References
    ----------
    Rolling-origin evaluation: Tashman 2000, Out-of-sample tests of forecasting accuracy,
    International Journal of Forecasting 16, 437-450. Interval score: Gneiting and Raftery 2007,
    Strictly proper scoring rules, prediction, and estimation, JASA 102, 359-378, equation 43; log
    score and CRPS, sections 4.1 and 4.2.

    Examples
    --------
    >>> result = backtest("byte-sweep", fractions=[0.7])
    >>> result.origins[0].status
    'ok'
    >>> 0 <= result.coverage <= 1
    True
    """
    check_level(level)
    law_class = get_law(law)
    inputs = law_class.inputs
    table = runs_for(runs, law_class, x)
    logs = log_size(table, inputs) if compute is None else np.log10(positive("compute", compute))
    if logs.shape != table.loss.shape:
        raise InputError(
            Problem("compute", f"it has {logs.size} values for {len(table)} runs",
                    remedy="give one for each run")
        )  # fmt: skip
    order, cuts = rolling_origins(logs, fractions)
    options: Any = {"priors": priors, "drift": drift, "effects": effects, "allow": allow}
    spec, *_ = prepare(table, law, noise, **options)

    def forecast(cut: int) -> Origin:
        fitted, others = order[:cut], order[cut:]
        try:
            cheapest = table.take(np.sort(fitted))
            posterior = fit(cheapest, law, noise, **options, wider=wider, seed=seed)
            points = {symbol: table[symbol][others] for symbol in inputs}
            prediction = predict(posterior, points=points, level=level, seed=seed)
            known = table.known(posterior.spec.noise.counts)[others]
            log_density = log_predictive_density(
                posterior, points, np.exp(table.log_loss[others]), known, seed
            )
        except (FailedFitError, DesignError) as error:
            status = "failed" if isinstance(error, FailedFitError) else "rejected"
            return Origin(fitted, others, status, " ".join(str(error).split()), None, np.zeros(0))
        verdict = posterior.diagnostics.verdict
        codes = ", ".join(v.code for v in posterior.diagnostics.verdicts)
        return Origin(fitted, others, verdict, codes, prediction, table.loss[others], log_density)

    origins = []
    for done, cut in enumerate(cuts):
        if progress is not None:
            progress(done, len(cuts))
        origins.append(forecast(cut))
    if progress is not None:
        progress(len(cuts), len(cuts))
    return Backtest(
        law=spec.law.name,
        noise=spec.noise.name,
        drift=drift_name(drift),
        level=level,
        runs=table,
        compute=10**logs,
        origins=tuple(origins),
    )
