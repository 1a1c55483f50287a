"""Several groups of runs at once: a law for each, drawn from a population that they all inform."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import numpy as np

from bayescale.datasets import is_dataset, load_dataset
from bayescale.drift import FORECASTS, DampedTrend, get_drift
from bayescale.errors import DesignError, FailedFitError, InputError, Problem, shown
from bayescale.fitting import (
    LEAST_DRAWS,
    check_relative_priors,
    checked_sampler,
    fit,
    forecast_noise,
    forecast_priors,
    provenance_of,
    runs_for,
    with_saturation,
)
from bayescale.inference.nuts import Sampler
from bayescale.inference.pooled import draw_pooled
from bayescale.laws import Law, get_law
from bayescale.model import ModelSpec, data_of, model_spec, reference_of, size_class
from bayescale.noise import Noise, get_noise
from bayescale.pooled import PooledFit
from bayescale.population import (
    SPREAD,
    GroupData,
    PooledSpec,
    at,
    coordinates_at,
    mean_name,
    quantile_splines,
    tau_name,
)
from bayescale.posterior import Posterior
from bayescale.priors import Beta, LogNormal, Prior
from bayescale.runs import CHECKS, Runs, check_design
from bayescale.runs.groups import GroupedRuns, group_runs
from bayescale.storage import NEW

NEW_GROUP = 5  # stream of random numbers
OF_ROWS = ("duplicate-rows", "several-rows-per-run")  # checks that a group must pass for itself
LEVEL = "low_loss"  # the number of the reference that tells the level of the losses
NEAREST = 3  # runs that say a group's level, and those within a factor of 3 of the nearest


def fit_pooled(
    runs: Any,
    by: str | Sequence[str],
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    columns: Mapping[str, str | None] | None = None,
    where: str | None = None,
    loss_unit: str = "nats/token",
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    spread: Beta = SPREAD,
    drift: str | DampedTrend | None = FORECASTS,
    allow: Collection[str] = (),
    unpooled: bool = False,
    seed: int = 0,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 200,
) -> PooledFit:
    r"""Sample the laws of several groups of runs (corpora, architectures, laboratories) together.

    .. math:: \theta_{gk} = F_k^{-1}(\Phi(w_{gk})), \qquad
              w_{gk} = \sqrt{1 - \tau_k^2}\,m_k + \tau_k z_{gk}, \qquad
              m_k, z_{gk} \sim \mathrm{Normal}(0, 1), \qquad \tau_k \sim \mathrm{Beta}(2, 3)

    F_k is the prior of coordinate k of the law or of its noise, so each group has the prior of
    `bayescale.fit`, and tau_k says which share of that prior's sd tells groups apart: near 0 they
    share the coordinate, at 1 they know nothing of each other. The assumption: the groups are
    exchangeable, none of them known beforehand to be unlike the others. A group of six runs then
    borrows what it cannot see itself, and a group that was not seen at all is a draw from the
    population.

    The coordinates of all groups refer to one point, the centre of all runs. Groups may have losses of
    other levels (texts, tokenizers): their prior is as much wider as the levels of the groups differ.

    Parameters
    ----------
    runs
        A table as for `Runs.read`, the name of a data set, or `Runs` with labels.
    by
        Columns whose values tell the groups apart.
    law, noise, x, priors
        As for `bayescale.fit`; all groups have one law.
    columns, where, loss_unit
        As for `Runs.read`.
    spread
        Prior of every tau.
    drift
        As for `bayescale.fit`. By default groups' parameters are those of the law, and their
        forecasts come from pooled models in which log loss of each group drifts from its law, beyond
        the largest run of that group: one model of the law and, if there is one, one of a wider law.
        They are sampled when the first forecast of any group is asked for.
    allow
        Names of design checks to lift. All runs together must inform the law; a group alone need not.
    unpooled
        Fit each group alone, too, for `PooledFit.shrinkage`.
    seed, chains, draws, warmup
        As for `bayescale.fit`.

    Returns
    -------
    PooledFit
        A `Posterior` for each group and for a group that was not seen.

    Raises
    ------
    InputError
        A column that is not there, rows without a label, one group only, or one run in each.
    DesignError
        All runs together cannot inform the law, or a group repeats its rows.
    FailedFitError
        No mode was found from any start.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, third edition, chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> C = np.geomspace(1e17, 1e21, 12)
    >>> loss = (1.7 + 60 * C**-0.1) * np.exp(0.005 * np.sin(9 * np.arange(12)))
    >>> table = {"C": C, "loss": loss, "corpus": ["a"] * 8 + ["b"] * 3 + ["c"]}
    >>> pooled = fit_pooled(table, "corpus", "power", "gaussian", drift="none", seed=0)
    >>> list(pooled.groups), pooled["b"].law.alpha.shape
    (['a', 'b', 'c'], (4, 1000))
    """
    started = time.perf_counter()
    sampler = checked_sampler(chains, Sampler(draws, warmup))
    if not isinstance(spread, Beta):
        raise InputError(
            Problem("spread", f"it is {shown(spread)}", "tau lies between 0 and 1",
                    "give a bayescale.priors.Beta, such as Beta(2, 3)")
        )  # fmt: skip
    model = model_spec(get_law(law), get_noise(noise), priors, get_drift(drift))
    table = _grouped(runs, by, columns, where, loss_unit, model.law)
    parts = {name: table.runs(i) for i, name in enumerate(table.names)}
    groups = Groups(
        {name: runs_for(part, model.law, x) for name, part in parts.items()},
        runs_for(table.template.take(table.order), model.law, x),
    )
    lifted, alone = _check(groups, model, allow)
    names = (by,) if isinstance(by, str) else tuple(by)
    result = _sampled(model, groups, spread, lifted, sampler, chains, seed, started)
    if drift == FORECASTS:
        models = _forecast_models(result, groups, spread, sampler)
        result = replace(
            result,
            groups={name: _forecasting(p, models, name) for name, p in result.groups.items()},
            new_group=_forecasting(result.new_group, models, NEW),
        )  # fmt: skip
    options = {"priors": priors, "allow": allow, "seed": seed, "chains": chains,
               "draws": draws, "warmup": warmup}  # fmt: skip
    apart = {} if not unpooled else {
        name: _alone(part, model, drift, options) for name, part in groups.parts.items()
    }  # fmt: skip
    return replace(result, by=names, alone=alone, unpooled=apart)


@dataclass(frozen=True)
class Groups:
    """The runs of each group, and all of them together."""

    parts: Mapping[str, Runs]
    everything: Runs


def _grouped(
    source: Any,
    by: str | Sequence[str],
    columns: Mapping[str, str | None] | None,
    where: str | None,
    loss_unit: str,
    law: type[Law],
) -> GroupedRuns:
    """The groups; raises if they cannot be pooled."""
    source = load_dataset(source) if is_dataset(source) else source
    names = [by] if isinstance(by, str) else list(by)
    if isinstance(source, Runs):  # a label goes by its role, or by the name of its column
        roles = {column: role for role, column in source.columns.items() if role in source.labels}
        names = [name if name in source.labels else roles.get(name, name) for name in names]
    wanted = law.wanted_response(), law.inputs
    grouped = group_runs(source, names, columns, where, loss_unit, *wanted)
    if grouped.problems:
        raise InputError(list(grouped.problems.values()))
    _check_names(grouped)
    return grouped


def _check_names(grouped: GroupedRuns) -> None:
    where = f"{grouped.template.source}, column {', '.join(map(repr, grouped.by))}"
    empty = [i for i, values in enumerate(grouped.values) if "" in values]
    if empty:
        rows = np.sort(np.concatenate([grouped.rows(i) for i in empty]))
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        places = ", ".join(map(str, rows[:5])) + more
        raise InputError(
            Problem(where, f"{len(rows)} runs have no label: {'row' if len(rows) == 1 else 'rows'} "
                    f"{places}, counted from 0", "it is to tell the groups apart",
                    "fill the cells, or leave the rows out with --where")
        )  # fmt: skip
    if len(grouped) == 1:
        raise InputError(
            Problem(where, f"there is one group, {grouped.names[0]!r}", "a population needs two or more",
                    "name a column that tells groups apart, or fit the runs without pooling")
        )  # fmt: skip
    sizes = np.diff(grouped.starts)
    if sizes.max() == 1:
        raise InputError(
            Problem(where, f"each of the {len(grouped)} groups has one run",
                    "how groups differ cannot be told from how runs scatter",
                    "name a column with fewer values, such as that of the corpus")
        )  # fmt: skip
    if NEW in grouped.names:
        raise InputError(
            Problem(where, f"a group has the name {NEW!r}", "it is that of the group not seen",
                    "give the group another name")
        )  # fmt: skip


def _check(
    groups: Groups, model: ModelSpec, allow: Collection[str]
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Return the lifted checks, and those that each group would not pass alone."""
    law, wanted = model.law, {allow} if isinstance(allow, str) else set(allow)
    inform = set(CHECKS) - set(OF_ROWS)
    options = law.inputs, len(law.parameters()), law.name
    found = set(check_design(groups.everything, *options, wanted | set(OF_ROWS))) & inform
    alone, problems = {}, []
    for name, runs in groups.parts.items():
        try:
            lift = wanted | (inform - {"not-monotone"})
            mine = check_design(runs, *options, lift, falls_in=law.falls_in)
        except DesignError as error:
            problems += [replace(p, where=f"{p.where}, group {name!r}") for p in error.problems]
            continue
        alone[name] = tuple(check for check in mine if check in inform)
        found |= set(mine) - inform
    if problems:
        raise DesignError(problems)
    return sorted(found), {name: checks for name, checks in alone.items() if checks}


def _levels(groups: Groups, inputs: Sequence[str], reference: Mapping[str, float]) -> np.ndarray:
    """The log loss of each group at the reference, low among its runs that are nearest to it.

    Runs away from it are moved there along the slope of log loss in log compute that the groups share.
    """

    def distance(runs: Runs) -> np.ndarray:
        return np.asarray(sum(np.log(runs[s] / reference[s]) for s in inputs))

    away = {name: distance(runs) for name, runs in groups.parts.items()}
    logs = {name: np.log(runs.loss) for name, runs in groups.parts.items()}
    product = sum(((away[n] - away[n].mean()) * logs[n]).sum() for n in away)
    square = sum(((away[n] - away[n].mean()) ** 2).sum() for n in away)
    slope = min(product / square, 0.0) if square > 0 else 0.0
    found = []
    for name, there in away.items():
        far = np.abs(there)
        near = far <= max(np.log(3.0), np.sort(far)[:NEAREST][-1])
        found.append(np.quantile((logs[name] - slope * there)[near], 0.1))
    return np.array(found)


def _with_levels(model: ModelSpec, groups: Groups) -> tuple[ModelSpec, dict[str, float]]:
    """The model with its priors of loss as much wider as levels differ, and the shared reference."""
    inputs = model.law.inputs
    reference = reference_of(groups.everything, inputs)
    levels = _levels(groups, inputs, reference)
    reference[LEVEL] = float(np.exp(levels.mean()))
    between = float(levels.std(ddof=1))
    priors = dict(model.priors)
    for c in model.law.coordinates:
        if isinstance(c.prior, LogNormal) and c.prior.relative_to == LEVEL:
            wider = replace(c.prior, sd_log=float(np.hypot(c.prior.sd_log, between)))
            priors.setdefault(c.name, wider)
    model = model_spec(model.law, model.noise, priors, model.drift)
    check_relative_priors(model, reference)
    return model, reference


def _sampled(
    model: ModelSpec,
    groups: Groups,
    spread: Beta,
    lifted: Sequence[str],
    sampler: Sampler,
    chains: int,
    seed: int,
    started: float,
) -> PooledFit:
    """Sample one pooled model, and part its draws into groups."""
    # What is compiled has the law's own priors: those with the groups' levels are in the splines.
    spec = PooledSpec(model, len(groups.parts))
    model, reference = _with_levels(model, groups)
    inputs, beliefs = model.law.inputs, model.beliefs
    size = size_class(max(len(runs) for runs in groups.parts.values()))
    stacked = jax.tree.map(
        lambda *parts: np.stack(parts),
        *(
            data_of(runs, inputs, model.drift, reference=reference, size=size)
            for runs in groups.parts.values()
        ),
    )
    splines = quantile_splines([c.prior for c in beliefs], reference)
    data = GroupData(stacked, np.repeat(splines[None], len(groups.parts), axis=0))
    with jax.enable_x64(True):
        out, sampling = draw_pooled(spec, sampler, data, (spread.a, spread.b), chains, seed)
        stats, joint = with_saturation(out["stats"], sampler), out["coordinates"]
        generator = np.random.default_rng([seed, NEW_GROUP])
        priors = {c.name: c.prior for c in beliefs}
        mean = {name: joint[mean_name(name)] for name in priors}
        tau = {name: joint[tau_name(name)] for name in priors}
        z = {name: generator.standard_normal(tau[name].shape) for name in priors}
        w = {name: mean[name] + tau[name] * z[name] for name in priors}
        typical, of_new = (coordinates_at(priors, d, splines, reference) for d in (mean, w))
        if model.drift is not None:
            shape = next(iter(mean.values())).shape
            increments = model.drift.prior_draws(shape[0] * shape[1], generator)
            of_new |= {name: values.reshape(shape) for name, values in increments.items()}

        def posterior(coordinates: Mapping[str, np.ndarray], runs: Runs) -> Posterior:
            law, noise = model.build(coordinates, reference)
            return Posterior(
                law=jax.tree.map(np.asarray, law),
                noise=jax.tree.map(np.asarray, noise),
                coordinates=coordinates,
                stats=stats,
                spec=model,
                runs=runs,
                reference=reference,
                provenance=provenance_of(runs, lifted, sampler, chains, seed, sampling, started),
            )

        found = {
            name: posterior({c.name: joint[at(c.name, g)] for c in model.coordinates}, runs)
            for g, (name, runs) in enumerate(groups.parts.items())
        }
        new = posterior(of_new, groups.everything)
    return PooledFit(
        groups=found,
        new_group=new,
        typical=typical,
        tau=tau,
        spread=spread,
    )


def _forecast_models(result: PooledFit, groups: Groups, spread: Beta, sampler: Sampler) -> Any:
    """What gives, for each group, the posteriors that its forecasts come from; sampled once."""
    spec, history = result.new_group.spec, result.new_group.provenance
    noise = forecast_noise(spec.noise)
    laws = [law for law in (spec.law, spec.law.wider) if law is not None]
    share = replace(sampler, draws=max(sampler.draws // len(laws), LEAST_DRAWS))

    @cache
    def models() -> dict[str, tuple[Posterior, ...]]:
        fits = [
            _sampled(
                model_spec(law, noise, forecast_priors(spec, law, noise), DampedTrend()), groups, spread,
                history["allowed"], share, history["chains"], history["seed"], time.perf_counter(),
            )
            for law in laws
        ]  # fmt: skip
        found = {name: tuple(fit.groups[name] for fit in fits) for name in groups.parts}
        return found | {NEW: tuple(fit.new_group for fit in fits)}

    return models


def _forecasting(posterior: Posterior, models: Any, name: str) -> Posterior:
    return replace(posterior, make_forecasters=lambda: models()[name])


def _alone(runs: Runs, model: ModelSpec, drift: Any, options: Mapping[str, Any]) -> Posterior | str:
    """The fit of one group without the others, or why there is none."""
    try:
        return fit(runs, model.law, model.noise, drift=drift, **options)
    except (DesignError, FailedFitError) as error:
        return str(error)
