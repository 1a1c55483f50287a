"""IsoFLOP fits (approach 2) beside the posterior of a law: their bias, and whether the two agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.allocation.splitting import Terms, best_splits
from bayescale.allocation.terms import require_optimum
from bayescale.errors import InputError, Problem, shown
from bayescale.fitting import fit as fit_law
from bayescale.fitting import runs_for
from bayescale.intervals import DEFAULT_LEVEL, check_level
from bayescale.isoflops.parabolas import (
    MIN_RUNS,
    TOLERANCE,
    Parabola,
    PowerLaw,
    approach_two,
    parabolas,
    resampled,
)
from bayescale.isoflops.result import SAMPLES, IsoFlop
from bayescale.laws import Law, get_law
from bayescale.mixture import pooled
from bayescale.noise import Noise
from bayescale.prediction import law_loss, positive
from bayescale.publications import Fit
from bayescale.runs import Runs
from bayescale.tables import number

BEYOND = 100.0  # times the largest budget, at which N is asked for by default

Floats = NDArray[np.float64]


def isoflop(
    runs: Any,
    fit: Fit | None = None,
    *,
    C: ArrayLike | None = None,
    budgets: ArrayLike | None = None,
    by: str | None = None,
    tolerance: float = TOLERANCE,
    min_runs: int = MIN_RUNS,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    allow: Collection[str] = (),
    samples: int = SAMPLES,
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
    allow_failed: bool = False,
) -> IsoFlop:
    r"""Fit isoFLOP parabolas and a power law (approach 2), and set them beside the posterior of a law.

    .. math:: N_i = \arg\min_N \left( c_{0i} + c_{1i} \ln N + c_{2i} \ln^2 N \right), \qquad
              \ln N_i = \ln G + a \ln C_i

    The parabola is not the law's curve at constant compute. So even without noise its minimum is beside
    the optimum where alpha differs from beta, or where the sizes are not centred on it, by more the
    wider they are; the size of it is found by running the procedure on noiseless losses of each draw's
    law at the same points. What is left between the two, less that bias, is compared with what bootstrap
    and posterior allow.

    The assumptions: runs of one budget differ in N alone; relative scatter is alike in all budgets, and
    independent. A parabola whose minimum lies outside its runs is left out, and said to be.

    Parameters
    ----------
    runs
        Runs of a few compute budgets, or what `bayescale.Runs.read` takes.
    fit
        The fit of a law of N and D, a mixture or a `PublishedFit`; by default `law` is fitted to all
        the runs.
    C
        Budgets in FLOPs at which N is asked for; by default the largest that is used, and 100 times it.
    budgets, by, tolerance, min_runs
        Which runs share a budget: those within `tolerance` of one of `budgets`, those of one value of the
        label or input `by`, or by default those whose compute differs by less than the share
        `tolerance`. A budget has `min_runs` or more, at least 3.
    law, noise, allow
        Of the fit, if none is given; as for `bayescale.fit`.
    samples
        Of the bootstrap, 100 or more: residuals of the parabolas, drawn from those of all budgets.
    level
        Mass of the intervals, between 0 and 1.
    seed
        Of the bootstrap and of the fit.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    IsoFlop
        Parabolas, exponent and N of both, the bias, and whether they agree.

    Raises
    ------
    InputError
        Fewer than two budgets can be used, an option cannot be used, or the law is not one of N and D.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Approach 2: Hoffmann et al. 2022, arXiv:2203.15556, section 3.2.

    Examples
    --------
    >>> import bayescale
    >>> N = np.geomspace(1e7, 1e9, 7)
    >>> C = np.repeat([1e18, 1e19, 1e20], 7)
    >>> N = np.tile(N, 3) * (C / 1e19) ** 0.5
    >>> loss = 1.8 + 480 * N**-0.35 + 2000 * (C / (6 * N)) ** -0.365
    >>> loss *= np.exp(0.003 * np.random.default_rng(0).standard_normal(21))
    >>> table = {"params": N, "tokens": C / (6 * N), "loss": loss}
    >>> found = bayescale.isoflop(table, bayescale.published("besiroglu-2024"), C=1e21)
    >>> 0.4 < found.a < 0.6
    True
    """
    check_level(level)
    if not (isinstance(samples, int) and samples >= 100):
        raise InputError(Problem("samples", f"it is {shown(samples)}", remedy="give 100 or more"))
    table = runs_for(runs, get_law("chinchilla"))
    asked_budgets = None if budgets is None else positive("budgets", budgets).ravel().tolist()
    found = parabolas(table, tolerance, by, asked_budgets, min_runs)
    used = tuple(p for p in found if not p.reason)
    if len(used) < 2:
        raise InputError(_too_few(found, min_runs))
    C = np.array([1.0, BEYOND]) * used[-1].C if C is None else positive("C", C).ravel()
    bootstrap = approach_two(used, resampled(used, samples, seed))
    if fit is None:
        fit = fit_law(table, law, noise, allow=allow, seed=seed)
    require_optimum(fit, Terms(), allow_failed)
    a, log_n, a_bias, log_bias = of_the_law(fit, table, used, np.asarray(C))
    return IsoFlop(
        level=level,
        runs=table,
        parabolas=found,
        line=approach_two(used, [p.loss for p in used]),
        samples=bootstrap,
        C=np.asarray(C),
        exponent=a,
        log_optimum=log_n,
        exponent_bias=a_bias,
        log_bias=log_bias,
        law=fit.name,
        basis=fit.basis,
    )


def of_the_law(
    fit: Fit, runs: Runs, used: Sequence[Parabola], C: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return a and log N at the optimum of each draw, and what approach 2 adds to them.

    The a of a law whose optimum is no power law is the slope through its optima at the same budgets.
    Draws for which approach 2 gives no power law are left out.
    """
    factor = runs.flops_per_parameter_token
    parts: list[Floats] = []
    for model, _ in fit.parts:
        line = approach_two(used, [law_loss(model, _points(runs, p)) for p in used])
        budgets = np.array([p.C for p in used])
        best = best_splits(model.flat_law(), np.concatenate([budgets, C]), Terms(factor))
        log_N = np.log(best.N)
        own = log_N[:, len(used) :]
        a = PowerLaw.through(np.log(budgets), log_N[:, : len(used)]).a
        columns = [a[:, None], own, (line.a - a)[:, None], line.log_at(C) - own]
        parts.append(np.concatenate(columns, axis=1))
    draws = pooled(parts, [share for _, share in fit.parts])
    draws = draws[np.isfinite(draws).all(axis=1)]
    if not len(draws):
        raise InputError(
            Problem("fit", "its losses at these runs have no minimum at any budget",
                    "the law and the runs do not go together", "fit the law to these runs")
        )  # fmt: skip
    k = len(C)
    return draws[:, 0], draws[:, 1 : 1 + k], draws[:, 1 + k], draws[:, 2 + k :]


def _points(runs: Runs, one: Parabola) -> Mapping[str, Floats]:
    return {"N": runs.N[one.rows], "D": runs.D[one.rows]}


def _too_few(found: Sequence[Parabola], min_runs: int) -> Problem:
    said = "; ".join(f"C = {number(float(f'{p.C:.3g}'))}: {p.reason}" for p in found if p.reason)
    return Problem(
        "runs",
        f"{sum(not p.reason for p in found)} compute budgets can be used"
        + (f" ({said})" if said else ""),
        f"a power law needs two, each of {min_runs} runs or more and a minimum among them",
        "name the budgets (budgets, --budgets), group by a column (by, --by), raise the tolerance, or "
        "lower min_runs",
    )
