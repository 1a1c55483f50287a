"""Fit a law to runs: checks, mode, whitening, sampling, and a posterior that knows its history.

The one module that calls `bayescale.inference`; everything after it works on posteriors.
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.metadata import version
from typing import Any

import jax

from bayescale.centred import Centred, CentredData
from bayescale.datasets import is_dataset, load_dataset
from bayescale.drift import FORECASTS, DampedTrend, get_drift
from bayescale.effects import Effects, label_of
from bayescale.errors import DesignError, InputError, Problem
from bayescale.inference.engine import compile_together, draw_posterior
from bayescale.inference.nuts import Sampler
from bayescale.laws import LAWS, Law, get_law
from bayescale.model import Data, ModelSpec, Sampled, data_of, model_spec
from bayescale.noise import Noise, StudentT, StudentTTrend, get_noise
from bayescale.posterior import Posterior
from bayescale.priors import LogNormal, Prior
from bayescale.rules import check_counts, check_response, check_rules
from bayescale.runs import Runs, check_design

LEAST_DRAWS = 4  # of a chain, for its diagnostics to exist


def as_runs(runs: Any, law: type[Law] | None = None) -> Runs:
    """Return runs from `Runs`, the name of a data set, or anything that `Runs.read` reads.

    Of a table, the response that the law explains.
    """
    if isinstance(runs, Runs):
        return runs
    if is_dataset(runs):
        return load_dataset(runs)
    return Runs.read(runs, response=None if law is None else law.wanted_response())


def fit(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    drift: str | DampedTrend | None = FORECASTS,
    effects: str | Effects | None = None,
    wider: bool = True,
    allow: Collection[str] = (),
    seed: int = 0,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 200,
) -> Posterior:
    r"""Sample the posterior of a scaling law given training runs.

    .. math:: p(\theta \mid \mathrm{runs}) \propto p(\theta) \prod_i
              p\!\left(\ln L_i \mid \ln L_\theta(x_i), \sigma, \nu\right)

    A multi-start search finds the mode in unbounded coordinates, the Laplace approximation there
    whitens the space, and NumPyro's NUTS samples in it, in 64 bits. The coordinates are those that
    people have beliefs about (loss at the optimum, tokens per parameter there), and the law's own
    parameters follow from them. Where chains stay in different modes, chains that jump between these
    take their place, and `Posterior.provenance` says ``jumping``.

    Parameters
    ----------
    runs
        `Runs`, the path of a table, a data frame, a dict of columns, or the name of a data set.
    law
        Name of a law (see ``bayescale.laws.LAWS``), ``"module:Class"``, or the class.
    noise
        ``"student-t"``, ``"student-t-trend"`` (its scale changes with compute), ``"gaussian"``,
        ``"laplace"`` or ``"one-sided"`` (the law is that of tuned runs, and others lie above it):
        scatter of log loss about the law.
    x
        For a law of one variable, the column that it is a law of: ``"N"``, ``"D"``, ``"C"``, ``"U"``.
    priors
        Coordinate name to prior, in place of the law's own, and of those that forecasts have.
    drift
        ``"forecasts"`` (default): parameters are the law's own, and forecasts come from a wider model
        of the same runs, in which log loss may drift from the law with compute; it is sampled when
        the first forecast is asked for (`Posterior.forecasters`). ``"damped-trend"``, or a
        `bayescale.drift.DampedTrend` of your own: parameters allow for the drift too. ``"none"`` or
        None: the law is right, everywhere.
    effects
        A label (``run_id``, ``group``, ``seed``) or input (``N``, ``D``, ``C``) whose rows share a
        shift of log loss, of scale omega: checkpoints of one run, runs of one size. Scatter of new
        runs contains it. Where rows that lie close to each other along a run go together, as dense
        checkpoints do, ``Effects("run_id", along="D")``. See `bayescale.Effects`; not with Laplace
        noise.
    wider
        With ``drift="forecasts"``: half of the forecasts come from a law that contains this one, if
        there is one; without, all come from this law and its drift.
    allow
        Names of design checks to lift; recorded in the result.
    seed
        Seed; the same seed on the same device and versions gives the same draws.
    chains, draws, warmup
        Number of chains, draws kept and warm-up draws dropped in each.

    Returns
    -------
    Posterior
        Draws with axes (chains, draws), sampler statistics, runs and provenance.

    Raises
    ------
    InputError
        The runs, the law, the noise or a prior cannot be used.
    DesignError
        The runs cannot inform the law.
    FailedFitError
        No mode was found from any start.

    Examples
    --------
    >>> posterior = fit("byte-sweep", law="chinchilla", seed=0)
    >>> posterior.law.alpha.shape
    (4, 1000)
    >>> posterior.diagnostics.divergences
    0
    """
    started = time.perf_counter()
    spec, runs, data, lifted = prepare(
        runs, law, noise, x=x, priors=priors, drift=drift, effects=effects, allow=allow
    )
    sampler = checked_sampler(chains, Sampler(draws, warmup))
    posterior = _sampled(spec, runs, data, lifted, sampler, chains, seed, started)
    if drift != FORECASTS:
        return posterior
    posterior = replace(posterior, provenance={**posterior.provenance, "wider": wider})
    return replace(posterior, make_forecasters=partial(_forecasters, posterior, sampler))


def _sampled(
    spec: ModelSpec,
    runs: Runs,
    data: Data,
    lifted: Sequence[str],
    sampler: Sampler,
    chains: int,
    seed: int,
    started: float,
) -> Posterior:
    """Return the posterior of a model, with its history."""
    sampled, seen = _as_sampled(spec, data)
    with jax.enable_x64(True):
        out, sampling = draw_posterior(sampled, sampler, seen, chains, seed)
    history = provenance_of(runs, lifted, sampler, chains, seed, sampling, started)
    return Posterior(
        law=spec.law(**out["law"]),
        noise=spec.noise(**out["noise"]),
        coordinates=out["coordinates"],
        stats=with_saturation(out["stats"], sampler),
        spec=spec,
        runs=runs,
        reference={name: float(value) for name, value in data.reference.items()},
        provenance=history,
    )


def _as_sampled(spec: ModelSpec, data: Data) -> tuple[Sampled, Any]:
    """The model and the data in the coordinates that are sampled."""
    return (spec, data) if spec.drift is None else (Centred(spec), CentredData.of(data))


def with_saturation(stats: Mapping[str, Any], sampler: Sampler) -> dict[str, Any]:
    """Return the sampler's statistics, and which trees stopped at the largest depth."""
    return {**stats, "reached_max_treedepth": stats["num_steps"] >= 2**sampler.max_tree_depth - 1}


def provenance_of(
    runs: Runs,
    lifted: Sequence[str],
    sampler: Sampler,
    chains: int,
    seed: int,
    sampling: Mapping[str, Any],
    started: float,
) -> dict[str, Any]:
    """Return what made a posterior: versions, seed, settings, hash of the runs, seconds."""
    return {
        **_versions(),
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "precision": 64,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "chains": chains,
        "draws": sampler.draws,
        "warmup": sampler.warmup,
        "attempts": sampling["attempts"],
        "target_accept": sampling["target_accept"],
        "jumping": sampling["jumping"],
        "max_tree_depth": sampler.max_tree_depth,
        "data_hash": runs.data_hash,
        "allowed": list(lifted),
        "seconds": {
            "total": time.perf_counter() - started,
            "sampling": sampling["seconds"],
        },
    }


def _forecasters(posterior: Posterior, sampler: Sampler) -> tuple[Posterior, ...]:
    """Sample the models that forecast the same runs, each with its share of the draws.

    The law and the wider one, both with drift and with scatter that has a trend; the law alone if there
    is no wider one, if it is not wanted, or if the runs are too few for that.
    """
    spec, runs, provenance = posterior.spec, posterior.runs, posterior.provenance
    noise = forecast_noise(spec.noise)

    def prepared(law: type[Law]) -> tuple[ModelSpec, Runs, Data, list[str]]:
        priors = forecast_priors(spec, law, noise)
        options: Any = {"allow": provenance["allowed"], "effects": spec.effects}
        return prepare(runs, law, noise, priors=priors, drift=DampedTrend(), **options)

    models = [prepared(spec.law)]
    if provenance["wider"] and spec.law.wider is not None:
        with contextlib.suppress(DesignError):
            models.append(prepared(spec.law.wider))
    share = replace(sampler, draws=max(sampler.draws // len(models), LEAST_DRAWS))
    chains, seed = provenance["chains"], provenance["seed"]
    compile_together([_as_sampled(spec, data) for spec, _, data, _ in models], share)
    return tuple(_sampled(*model, share, chains, seed, time.perf_counter()) for model in models)


def forecast_noise(noise: type[Noise]) -> type[Noise]:
    """Return the noise of forecasts: that of the parameters, with a trend where there is one."""
    return StudentTTrend if noise is StudentT else noise


def forecast_priors(spec: ModelSpec, law: type[Law], noise: type[Noise]) -> dict[str, Prior]:
    """Return the priors of a model that forecasts for another: the user's, else those of forecasts."""
    beliefs = model_spec(law, noise, effects=spec.effects).beliefs
    chosen = dict(spec.priors)
    known = {c.name: chosen.get(c.name, c.in_forecasts) for c in beliefs}
    return {name: prior for name, prior in known.items() if prior is not None}


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Versions of the packages that draws depend on; read once, since it takes milliseconds."""
    return {p: version(p) for p in ("bayescale", "jax", "jaxlib", "numpyro", "numpy")}


def prepare(
    runs: Any,
    law: str | type[Law],
    noise: str | type[Noise],
    *,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    drift: str | DampedTrend | None = None,
    effects: str | Effects | None = None,
    allow: Collection[str] = (),
) -> tuple[ModelSpec, Runs, Data, list[str]]:
    """Return the model, the checked runs, the data that programs see, and the lifted checks."""
    spec = model_spec(get_law(law), get_noise(noise), priors, get_drift(drift), effects)
    runs = runs_for(runs, spec.law, x)
    check_counts(runs, spec.noise)
    inputs = spec.law.inputs
    label = label_of(spec.effects)
    wanted = inputs, len(spec.law.parameters()), spec.law.name
    lifted = check_design(runs, *wanted, allow, label, spec.law.falls_in)
    data = data_of(runs, inputs, spec.drift, spec.effects, extremes=spec.law.extremes)
    check_relative_priors(spec, data.reference)
    return spec, runs, data, lifted


def check_relative_priors(spec: ModelSpec, reference: Mapping[str, Any]) -> None:
    """Raise if a prior is relative to something that the runs do not give."""
    for c in spec.coordinates:
        if not isinstance(c.prior, LogNormal) or not c.prior.relative_to:
            continue
        if c.prior.relative_to not in reference:
            raise InputError(
                Problem("priors", f"the prior of {c.name!r} is relative to {c.prior.relative_to!r}",
                        remedy=f"it may be relative to {', '.join(reference)}")
            )  # fmt: skip


def checked_sampler(chains: int, sampler: Sampler) -> Sampler:
    """Return the settings if they can be used; raises naming the one that cannot."""
    limits = (
        ("chains", chains, 1),
        ("draws", sampler.draws, LEAST_DRAWS),
        ("warmup", sampler.warmup, 50),
    )
    for name, value, least in limits:
        if not (isinstance(value, int) and value >= least):
            raise InputError(Problem(name, f"it is {value!r}", remedy=f"give {least} or more"))
    return sampler


def runs_for(runs: Any, law: type[Law], x: str | None = None) -> Runs:
    """Return the runs with every input of the law; raises, naming the missing column."""
    runs = as_runs(runs, law)
    if x is not None:
        runs = runs.with_x(x)
    runs = with_one_input(runs, law)
    try:
        runs = runs.with_inputs(law.inputs)
        for symbol in law.inputs:
            runs[symbol]
    except InputError as error:
        raise InputError([*error.problems, *_laws_that_fit(runs, law)]) from None
    check_response(runs, law)
    check_rules(law, {s: runs[s] for s in law.inputs}, runs.source, runs.places)
    return runs


def _laws_that_fit(runs: Runs, law: type[Law]) -> list[Problem]:
    """What to fit in place of a law whose columns are missing."""
    there = [
        other.name
        for other in LAWS.values()
        if other.response == law.response
        and (
            all(runs.has(symbol) for symbol in other.inputs)
            or (other.inputs == ("x",) and len(runs.inputs) == 1)
        )
    ]
    if not there:
        return []
    return [Problem(runs.source, f"the law {law.name!r} needs {', '.join(law.inputs)}",
                    remedy=f"laws of the columns that are there: {', '.join(there)}")]  # fmt: skip


def with_one_input(runs: Runs, law: type[Law]) -> Runs:
    """For a law of one variable, take x from the only input column that the table has."""
    if "x" not in law.inputs or "x" in runs.inputs:
        return runs
    columns = list(runs.inputs)
    if len(columns) == 1:
        return runs.with_x(columns[0])
    raise InputError(
        Problem("x", f"the law {law.name!r} has one variable and the runs have {', '.join(columns)}",
                remedy="choose with --x params, --x tokens or --x flops (x='N', 'D' or 'C'), or map a "
                "column with --columns x=COLUMN")
    )  # fmt: skip
