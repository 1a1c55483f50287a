"""A run that is under way: whether it is on its forecast curve, and where it will end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem, shown
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.mixture import law_points
from bayescale.monitoring.alarms import FINE, Belief, Detection, detection
from bayescale.monitoring.curve_model import CurveModel, NewCurve
from bayescale.monitoring.curves import FINISHED, Curve, read_curve, read_curves
from bayescale.monitoring.under_way import Check, Monitoring, Update
from bayescale.prediction import law_loss, positive, predict
from bayescale.publications import Fit, PublishedFit

GRID = np.arange(1, 20) / 20  # shares of the training at which curves are compared
NEAR = 0.01  # a point of the grid this near to the last checkpoint gives way to it
WINDOW = 0.03  # of log tokens, on either side, whose checkpoints count as one
LEAST = 3  # earlier runs that a curve can be learned from
CHECKED = (0.25, 0.5, 0.75)  # shares at which earlier runs are forecast, each without its own curve
LAW_DRAWS = 400  # that the law's own descent is averaged over

Floats = NDArray[np.float64]


def monitor(
    fit: Fit,
    curve: Any,
    N: float,
    D_final: float,
    *,
    curves: Any = None,
    steps: float | None = None,
    columns: Mapping[str, str | None] | None = None,
    where: str | None = None,
    curves_columns: Mapping[str, str | None] | None = None,
    curves_where: str | None = None,
    false_alarm: float = 0.05,
    excess: float = 0.02,
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
    allow_failed: bool = False,
) -> Monitoring:
    r"""Say whether a run is on its forecast curve, and forecast its final loss anew at each checkpoint.

    .. math:: \ln L(t) = \ell + \ln \frac{L_\theta(N, t D)}{L_\theta(N, D)} + y(t), \qquad
              p(\ell \mid \mathrm{curve}) \propto p_\mathrm{forecast}(\ell)\,
              p(y_{1..k} = s_{1..k} - \ell)

    The fit is of final losses, and a loss before the end of its run lies above the law's at as many
    tokens, for its learning rate has yet to come down. How far, as a function of the share t of the
    training, is learned from the checkpoints of earlier runs: its mean, its trend with size, and how
    single runs differ and stay apart (`CurveModel`). So the last part of a curve says
    much of the final loss, and the first part little; the forecast fills in.

    The assumptions: this run and the earlier ones are alike in what they do with t, the schedule of the
    learning rate above all; a run that is under way is off its forecast only if its final loss will be.
    Earlier runs are compared on the law's mean descent. Neighbouring checkpoints count by their median;
    noisier losses should be smoothed first.

    Parameters
    ----------
    fit
        The fit of a law of N and D (or of D) to final losses, or a mixture.
    curve
        The checkpoints: tokens (or steps, with `steps`) and loss; what `bayescale.Runs.read` takes.
    N, D_final
        Parameters of the run, and the tokens that it is to see.
    curves
        Checkpoints of earlier runs: run_id, params, tokens, loss, and where there is one, D_final; without
        it, the last checkpoint of a run is its end.
    steps
        The steps that the run is to make, if its table has steps in place of tokens.
    columns, where, curves_columns, curves_where
        Of the two tables, as for `bayescale.Runs.read`.
    false_alarm
        Share of the runs that end in the forecast's interval and may be called all the same, between 0
        and 1. The threshold that keeps it is found by simulation.
    excess
        How far above the forecast's upper end a bad run ends, as a share of the loss, above 0.
    level
        Mass of the intervals, between 0 and 1.
    seed
        Of forecasts and simulation.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Monitoring
        What each checkpoint says, whether the run is off, and when a bad one could have been called.

    Raises
    ------
    InputError
        A table or an option cannot be used, fewer than three earlier runs have curves, or the law is not
        one of N and D.
    FailedFitError
        The sampling of the fit failed.

    Examples
    --------
    >>> import bayescale
    >>> fit = bayescale.fit("byte-sweep", seed=0, drift="none")
    >>> half = {"tokens": [1e7, 2e7, 3e7], "loss": [1.30, 1.24, 1.21]}
    >>> state = bayescale.monitor(fit, half, N=1e6, D_final=6e7)
    >>> [verdict.code for verdict in state.verdicts]  # nothing is known of earlier curves
    ['no-curves']
    """
    check_level(level)
    _check_share("false_alarm", false_alarm)
    _check_share("excess", excess)
    _check_law(fit)
    N, D_final = (positive(n, v).item() for n, v in (("N", N), ("D_final", D_final)))
    if steps is not None:
        steps = positive("steps", steps).item()
    unit = fit.runs.loss_unit
    run = read_curve(curve, N, D_final, steps, columns, where, unit)
    forecast = _forecast(fit, [run], level, seed, allow_failed)
    draws = np.log(forecast.draws[:, 0])
    common: dict[str, Any] = {
        "curve": run,
        "level": level,
        "forecast": forecast.intervals[0],
        "loss_unit": unit,
        "model": forecast.model,
    }
    if curves is None:
        updates: tuple[Update, ...] = (_ended(run, draws, level),) if run.is_finished else ()
        return Monitoring(**common, updates=updates, shares=np.zeros(0), expected=(), detection=None,
                          checks=(), false_alarms=(0, 0), earlier=0, left_out=(),
                          decades_beyond=0.0)  # fmt: skip
    given = read_curves(curves, curves_columns, curves_where, unit)
    known = [c for c in given if not c.reason]
    if len(known) < LEAST:
        raise InputError(_too_few(given))
    grid = _grid(run, known)
    z = np.array([np.log10(c.N * c.D_final) for c in known])
    y = np.array([_on_grid(c, grid, fit) - np.log(c.loss[-1]) for c in known])
    model, own = CurveModel.learn(grid, y, z), float(np.log10(N * D_final))
    coming = model.of_a_run(own)
    found = detection(draws, coming, level, false_alarm, excess, seed)
    expected = _expected(run, fit, draws, coming, level, seed)
    updates = _updates(run, fit, draws, coming, expected, found, level)
    checks, alarms = _tried(known, model, fit, found, level, seed, allow_failed)
    beyond = max(own - z.max(), z.min() - own, 0.0)
    return Monitoring(**common, updates=updates, shares=grid, expected=expected, detection=found,
                      checks=checks, false_alarms=alarms, earlier=len(known),
                      left_out=_left_out(given), decades_beyond=beyond)  # fmt: skip


def _check_share(name: str, value: float) -> None:
    if not (isinstance(value, float | int) and 0 < value < 1):
        raise InputError(
            Problem(name, f"it is {shown(value)}", "it is a share", "give a number between 0 and 1")
        )


def _check_law(fit: Fit) -> None:
    if isinstance(fit, PublishedFit):
        raise InputError(
            Problem("fit", "it is a published fit", "how its runs scatter is not known",
                    "give a fit of your own runs")
        )  # fmt: skip
    if "D" not in fit.inputs or not set(fit.inputs) <= {"N", "D"}:
        raise InputError(
            Problem("law", f"the law {fit.name!r} is one of {', '.join(fit.inputs)}",
                    "a curve is one of tokens", "fit a law of N and D, such as --law chinchilla")
        )  # fmt: skip


def _too_few(given: Sequence[Curve]) -> Problem:
    usable = sum(not c.reason for c in given)
    said = f" ({'; '.join(_left_out(given))})" if usable < len(given) else ""
    return Problem(
        "curves",
        f"{usable} earlier runs have a curve{said}",
        f"how runs differ is learned from {LEAST} or more",
        "add finished runs, or leave curves out",
    )


def _left_out(given: Sequence[Curve]) -> tuple[str, ...]:
    return tuple(f"{c.name}: {c.reason}" for c in given if c.reason)


def _forecast(fit: Fit, runs: Sequence[Curve], level: float, seed: int, allow_failed: bool) -> Any:
    points = {"N": [c.N for c in runs], "D": [c.D_final for c in runs]}
    given = {symbol: np.array(points[symbol]) for symbol in fit.inputs}
    return predict(fit, points=given, level=level, seed=seed, allow_failed=allow_failed)


def _descent(fit: Fit, run: Curve, D: Floats) -> Floats:
    """Mean log of the law's loss at tokens D, less that at the end."""
    D = np.append(D, run.D_final)
    points = {"N": np.full_like(D, run.N), "D": D}
    logs: Floats = np.zeros(len(D))
    for model, share in fit.parts:
        losses = law_loss(model, law_points(model, points))
        step = max(len(losses) // LAW_DRAWS, 1)
        logs = logs + share * np.log(losses[::step]).mean(axis=0)
    return logs[:-1] - logs[-1]


def _on_grid(run: Curve, shares: Floats, fit: Fit) -> Floats:
    """Log losses at shares of the training, less the law's descent from there to the end.

    The median of the checkpoints about a share, if there are three, so that a spike counts for little;
    else what lies between its neighbours, nearly straight in the logarithm of tokens.
    """
    left, at = np.log(run.loss) - _descent(fit, run, run.D), np.log(run.shares)
    values = np.interp(np.log(shares), at, left)
    for i, share in enumerate(np.log(shares)):
        near = np.abs(at - share) <= WINDOW
        if near.sum() >= 3:
            values[i] = np.median(left[near])
    return values


def _grid(run: Curve, known: Sequence[Curve]) -> Floats:
    """Shares that all earlier curves cover, with the last checkpoint of the run among them."""
    now, start = run.shares[-1], max(c.shares[0] for c in known)
    grid = GRID[start <= GRID]
    if start <= now < FINISHED:
        grid = np.sort(np.append(grid[np.abs(grid - now) > NEAR], now))
    return grid


def _expected(
    run: Curve, fit: Fit, draws: Floats, curve: NewCurve, level: float, seed: int
) -> tuple[Interval, ...]:
    """Loss at each point of the grid if the forecast is right."""
    noise = curve.draw(len(draws), np.random.default_rng([seed, 2]))
    drop = _descent(fit, run, curve.shares * run.D_final)
    return tuple(Interval.of(x, level) for x in np.exp(draws[:, None] + noise + drop).T)


def _updates(
    run: Curve,
    fit: Fit,
    draws: Floats,
    curve: NewCurve,
    expected: Sequence[Interval],
    found: Detection,
    level: float,
) -> tuple[Update, ...]:
    """What the curve says at each point of the grid that it covers."""
    covered = (curve.shares >= run.shares[0]) & (curve.shares <= run.shares[-1] * (1 + 1e-9))
    points = np.flatnonzero(covered)
    if not len(points):
        return (_ended(run, draws, level),) if run.is_finished else ()
    part = curve.at(points)
    seen = _on_grid(run, part.shares, fit)
    belief = Belief.of(draws, level, FINE)
    masses = belief.given(part, seen[None])[0]
    drop = _descent(fit, run, part.shares * run.D_final)
    updates = []
    for i, share in enumerate(part.shares):
        above = float(belief.above(masses[i]))
        updates.append(
            Update(
                share=float(share),
                tokens=float(share * run.D_final),
                loss=float(np.exp(seen[i] + drop[i])),
                expected=expected[points[i]],
                final=Interval.of(np.exp(belief.draws(masses[i])), level),
                inside=float(belief.inside(masses[i])),
                above=above,
                called=above > found.threshold,
            )
        )
    return (*updates, _ended(run, draws, level)) if run.is_finished else tuple(updates)


def _ended(run: Curve, draws: Floats, level: float) -> Update:
    """What the end of a run says: it lies in the forecast's interval or not."""
    forecast, loss = Interval.of(np.exp(draws), level), float(run.loss[-1])
    above = loss > forecast.upper
    return Update(
        share=float(run.shares[-1]), tokens=float(run.D[-1]), loss=loss, expected=forecast,
        final=Interval.of([loss], level), inside=float(forecast.lower <= loss <= forecast.upper),
        above=float(above), called=above,
    )  # fmt: skip


def _tried(
    known: Sequence[Curve], model: CurveModel, fit: Fit, found: Detection, level: float, seed: int,
    allow_failed: bool,
) -> tuple[tuple[Check, ...], tuple[int, int]]:  # fmt: skip
    """Judge each earlier run by the curves of the others: intervals that held, and false alarms."""
    forecast = _forecast(fit, known, level, seed, allow_failed)
    grid = model.shares
    at = [int(np.abs(grid - share).argmin()) for share in CHECKED]
    held, called, good = np.zeros(len(at), dtype=int), 0, 0
    for i, run in enumerate(known):
        final = np.log(run.loss[-1])
        belief = Belief.of(np.log(forecast.draws[:, i]), level, FINE)
        curve = model.without(i).of_a_run(model.z[i])
        masses = belief.given(curve, (model.y[i] + final)[None])[0]
        for j, point in enumerate(at):
            interval = Interval.of(belief.draws(masses[point]), level)
            held[j] += interval.lower <= final <= interval.upper
        if belief.lower <= final <= belief.upper:
            good += 1
            called += bool((belief.above(masses) > found.threshold).any())
    checks = [Check(float(grid[j]), len(known), int(h)) for j, h in zip(at, held, strict=True)]
    return tuple(checks), (called, good)
