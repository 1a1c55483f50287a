"""Simulate the losses of training runs from a law or from a fit."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.drift import Span, log_compute
from bayescale.effects import Effects
from bayescale.errors import InputError, Problem, shown
from bayescale.intervals import flat
from bayescale.laws import LAWS, Law, law_losses
from bayescale.model import span_of
from bayescale.noise import NOISES, Noise
from bayescale.posterior import Posterior
from bayescale.prediction import in_domain
from bayescale.rules import check_rules
from bayescale.runs import Runs
from bayescale.runs.catalogue import meaning_of
from bayescale.simulation.simulated import Simulation
from bayescale.units import check_loss_unit

Floats = NDArray[np.float64]
OF_SETS, OF_DRAWS = 0, 1  # the two families of random streams of one seed


def simulate(
    source: Law | Posterior,
    points: Runs | Mapping[str, ArrayLike],
    noise: Noise | None = None,
    *,
    sets: int = 1,
    seed: int = 0,
    loss_unit: str | None = None,
    allow_failed: bool = False,
) -> Simulation:
    r"""Simulate the losses of training runs from a law, as many sets as are wanted.

    .. math:: \ln L_{s,i} = \ln L_{\theta_s}(x_i) + \varepsilon_{s,i}, \qquad
              \varepsilon_{s,i} \sim \mathrm{noise}(\sigma_s, \nu_s, s_i)

    A law gives every set the same theta. A posterior gives each set a draw of its own, of law, drift
    and noise: posterior predictive data sets. The draws are taken in random order, each once before any
    is taken again. Every set has its own random stream, so that a set is the same however many there
    are. If rows of the fit share shifts (``effects``), or are correlated along a run, runs at points are so
    where these are `Runs` with that label; points of a mapping have a shift each.

    Parameters
    ----------
    source
        A law with numbers as its parameters, such as ``Chinchilla.from_published("besiroglu-2024")``;
        or a fit.
    points
        The design: `Runs`, of which the inputs are used and the known standard errors of log loss,
        s_i; or a mapping of symbol to values above 0, broadcast together, each of shape (runs,). What
        the law does not need is not looked at in a mapping.
    noise
        For a law, the scatter of log loss, with numbers above 0: ``StudentT(sigma=0.01, nu=10)``,
        ``Gaussian(sigma=0.01)``. A fit has its own.
    sets
        Number of sets, 1 or more.
    seed
        Seed, a whole number of 0 or more.
    loss_unit
        Unit of the law's losses; by default that of the fit, else of the runs, else ``nats/token``.
    allow_failed
        Simulate even if the sampling of the fit failed.

    Returns
    -------
    Simulation
        Losses of shape (sets, runs), with and without scatter, and the parameters of each set.

    Raises
    ------
    InputError
        A missing or non-positive input, a parameter of the law or of the noise that cannot be used,
        a law whose losses at the points are not positive, or noise where a fit has its own.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Replicated data: Gelman, Meng and Stern 1996, Posterior predictive assessment of model fitness via
    realized discrepancies, Statistica Sinica 6, 733-760, section 2.1.

    Examples
    --------
    >>> from bayescale.laws import Chinchilla
    >>> from bayescale.noise import StudentT
    >>> law = Chinchilla.from_published("besiroglu-2024")
    >>> points = {"N": [1e8, 1e9, 1e10], "D": [2e9, 2e10, 2e11]}
    >>> simulation = simulate(law, points, StudentT(sigma=0.01, nu=10.0), sets=100, seed=0)
    >>> simulation.loss.shape
    (100, 3)
    >>> simulation.law_loss[0].round(3).tolist()
    [3.437, 2.529, 2.13]
    >>> len(simulation.runs(99))
    3
    """
    sets, seed = _whole("sets", sets, 1), _whole("seed", seed, 0)
    if isinstance(source, Posterior):
        index = _chosen(source, noise, sets, seed, allow_failed)
        both = source.flat_law(), source.flat_noise()
        law, scatter = jax.tree.map(lambda field: field[index], both)
    else:
        law, scatter = _given(source, noise)
    unit = _loss_unit(source, points, loss_unit)
    design, relative_se = _design(points, law)
    law_loss = law_losses(law, design)
    if isinstance(source, Posterior) and source.spec.drift is not None:
        law_loss = law_loss * np.exp(np.asarray(source.drift_path(design, seed))[index])
    _check_losses(law_loss, "law", "check its parameters and the points")
    law_loss = np.broadcast_to(law_loss, (sets, law_loss.shape[1]))
    with np.errstate(over="ignore", under="ignore"):  # what is lost to them is refused below
        below = _below(source, {symbol: design[symbol] for symbol in law.inputs})
        shape = law_loss.shape
        if isinstance(source, Posterior) and source.spec.effects is not None:
            shared = _shared(source, points, design, index)
            moved = _grouped_scatter(scatter, shared, relative_se, below, shape, seed)
        else:
            moved = _scatter(scatter, relative_se, below, shape, seed)
        loss = law_loss * np.exp(moved)
    _check_losses(loss, "noise", "give a smaller sigma, or a larger nu")
    return Simulation(
        law=law.name,
        noise=scatter.name,
        points=design,
        loss=loss,
        law_loss=law_loss,
        parameters=_each(law, sets),
        noise_parameters=_each(scatter, sets),
        relative_se=relative_se,
        seed=seed,
        loss_unit=unit,
    )


def _given(law: Any, noise: Any) -> tuple[Law, Noise]:
    """The law and the noise that the user wrote, each field of shape (1,)."""
    if not isinstance(law, Law):
        raise InputError(
            Problem("source", f"{shown(law)} is neither a law with its parameters nor a fit",
                    remedy="give Chinchilla.from_published('besiroglu-2024'), for instance, or what "
                    "fit or load returns")
        )  # fmt: skip
    if not isinstance(noise, Noise):
        what = "it is missing" if noise is None else f"{shown(noise)} is not a noise model"
        raise InputError(
            Problem("noise", what, "a law alone does not say how runs scatter about it",
                    "give StudentT(sigma=0.01, nu=10.0) or Gaussian(sigma=0.01), for instance")
        )  # fmt: skip
    bad = [*_bad_values(law, "law"), *_bad_values(noise, "noise")]
    if bad:
        raise InputError(bad)
    return jax.tree.map(lambda value: np.array([value], dtype=np.float64), (law, noise))


def _bad_values(item: Law | Noise, kind: str) -> list[Problem]:
    """What is wrong with the parameters.

    Those of the package's laws and noises are above 0, but E = 0 or a law without a term in D is a
    truth to test against. Those of others may have any sign: their losses must tell.
    """
    own = type(item) in (*LAWS.values(), *NOISES.values())
    rule = {"law": "finite, 0 or more", "noise": "finite and above 0"}[kind] if own else "finite"
    problems = []
    for p in item.parameters():
        given, where = getattr(item, p.name), f"{p.name} of the {item.name} {kind}"
        try:
            value = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            value = np.empty(0)
        if value.ndim:
            remedy = "for many draws, give the fit rather than its law"
            problems.append(Problem(where, f"{shown(given)} is not one number", remedy=remedy))
            continue
        below = own and (value < 0 or (kind == "noise" and value == 0))
        if below or not np.isfinite(value):
            problems.append(Problem(where, f"it is {value:g}", f"it must be {rule}"))
    return problems


def _chosen(
    posterior: Posterior, noise: Any, sets: int, seed: int, allow_failed: bool
) -> NDArray[np.intp]:
    """The draw that each set uses, shape (sets,)."""
    posterior.require_sound(allow_failed)
    if noise is not None:
        raise InputError(
            Problem("noise", "the fit has its own", "each set uses a draw of it",
                    "leave it out, or simulate from a law with parameters of your choice")
        )  # fmt: skip
    chains, draws = posterior.shape
    total = chains * draws
    # One shuffle after another, rather than choice(replace=...): a set keeps its draw when the
    # number of sets goes beyond the number of draws.
    shuffles = [
        _stream(seed, OF_DRAWS, turn).permutation(total) for turn in range(-(-sets // total))
    ]
    return np.concatenate(shuffles)[:sets]


def _loss_unit(source: Any, points: Any, chosen: str | None) -> str:
    if chosen is not None:
        check_loss_unit(chosen)
    if isinstance(source, Posterior):
        own = source.runs.loss_unit
        if chosen not in (None, own):
            raise InputError(
                Problem("loss_unit", f"it is {chosen!r}, and the losses of the fit are in {own}",
                        remedy="leave it out, or convert the simulated runs with Runs.in_unit")
            )  # fmt: skip
        return own
    return chosen or (points.loss_unit if isinstance(points, Runs) else "nats/token")


def _design(points: Any, law: Law) -> tuple[dict[str, Floats], Floats | None]:
    """The inputs of every set, each of shape (runs,), and the known standard errors of log loss."""
    if isinstance(points, Runs):
        points = points.with_inputs(law.inputs)
        inputs = {**points.inputs, **{symbol: points[symbol] for symbol in law.inputs}}
        return inputs, None if points.loss_se is None else points.relative_se
    if not isinstance(points, Mapping):
        raise InputError(
            Problem("points", f"it is {shown(points)}",
                    remedy="give Runs, or a mapping such as {'N': [1e8, 1e9], 'D': 2e10}")
        )  # fmt: skip
    missing = [symbol for symbol in law.inputs if points.get(symbol) is None]
    if missing:
        meaning = ", ".join(f"{s} ({meaning_of(s)})" for s in missing)
        raise InputError(
            Problem("points", f"{' and '.join(missing)} missing; the law {law.name!r} needs "
                    f"{' and '.join(law.inputs)}", remedy=f"give {meaning}")
        )  # fmt: skip
    values = {symbol: in_domain(symbol, points[symbol]) for symbol in law.inputs}
    try:
        arrays = np.broadcast_arrays(*values.values())
    except ValueError:
        shapes = ", ".join(f"{symbol} {v.shape}" for symbol, v in values.items())
        raise InputError(
            Problem("points", f"the inputs have shapes that do not go together: {shapes}",
                    remedy="give one value of each for every run, or a single value")
        ) from None  # fmt: skip
    if not arrays[0].size:
        raise InputError(Problem("points", "there are none", remedy="give at least one run"))
    inputs = {s: array.ravel() for s, array in zip(values, arrays, strict=True)}
    check_rules(type(law), inputs, "points")
    return inputs, None


def _check_losses(losses: Floats, what: str, remedy: str) -> None:
    bad = np.argwhere(~(np.isfinite(losses) & (losses > 0)))
    if len(bad):
        i, run = bad[0]
        raise InputError(
            Problem(what, f"the loss of run {run} of set {i} would be {losses[i, run]:g}",
                    "a loss is finite and above 0", remedy)
        )  # fmt: skip


def _below(source: Law | Posterior, inputs: Mapping[str, Floats]) -> Floats:
    """Decades of compute up to the largest of the fitted runs; of the points where nothing was fitted."""
    logs = log_compute(inputs)
    posterior = source if isinstance(source, Posterior) else None
    span = (
        Span.of(logs) if posterior is None else span_of(posterior.runs, posterior.spec.law.inputs)
    )
    return np.maximum(span.below(logs), 0.0)


def _scatter(
    noise: Noise, relative_se: Floats | None, below: Floats, shape: tuple[int, ...], seed: int
) -> Floats:
    """The scatter of log losses, shape (sets, runs), in NumPy: nothing is compiled for it."""
    sets, runs = shape
    known = np.zeros(runs) if relative_se is None else relative_se
    noise = jax.tree.map(lambda field: np.broadcast_to(field, (sets,)), noise)
    scatter = np.empty(shape)
    for i in range(sets):
        one = jax.tree.map(lambda field, i=i: field[i], noise)
        scatter[i] = one.scatter(_stream(seed, OF_SETS, i), known, below)
    return scatter


@dataclass(frozen=True)
class _Shared:
    """Effects of a fit, their scales in each set, and which runs share them."""

    effects: Effects
    scales: Mapping[str, Floats]
    columns: Floats


def _shared(
    posterior: Posterior, points: Any, design: Mapping[str, Floats], index: NDArray[np.intp]
) -> _Shared:
    effects = posterior.spec.effects
    assert effects is not None
    if isinstance(points, Runs):
        columns = effects.columns(points)
    else:
        columns = effects.apart(len(next(iter(design.values()))))
    scales = {name: flat(posterior.coordinates[name])[index] for name in effects.names}
    return _Shared(effects, scales, columns)


def _grouped_scatter(
    noise: Noise,
    shared: _Shared,
    relative_se: Floats | None,
    below: Floats,
    shape: tuple[int, ...],
    seed: int,
) -> Floats:
    """The scatter of log losses where runs of a group share a shift, shape (sets, runs)."""
    sets, runs = shape
    known = np.zeros(runs) if relative_se is None else relative_se
    scatter = np.empty(shape)
    for i in range(sets):
        one = jax.tree.map(lambda field, i=i: field[i : i + 1], noise)
        scales = {name: values[i : i + 1] for name, values in shared.scales.items()}
        stream = _stream(seed, OF_SETS, i)
        scatter[i] = shared.effects.scatter(one, scales, stream, known, below, shared.columns)
    return scatter


def _stream(seed: int, family: int, index: int) -> np.random.Generator:
    """A random stream that depends on these numbers alone."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(family, index)))


def _each(item: Law | Noise, sets: int) -> dict[str, Floats]:
    return {p.name: np.broadcast_to(getattr(item, p.name), (sets,)) for p in item.parameters()}


def _whole(name: str, value: Any, least: int) -> int:
    try:
        whole = operator.index(value)
    except TypeError:
        whole = least - 1
    if whole < least:
        raise InputError(
            Problem(name, f"it is {shown(value)}", remedy=f"give a whole number of {least} or more")
        )
    return whole
