"""A posterior as ArviZ wants it: groups, dimensions, and the quantities that it compares."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescale.drift import log_compute
from bayescale.effects import Effects
from bayescale.intervals import flat
from bayescale.laws import law_losses
from bayescale.model import prior_draws, span_of
from bayescale.posterior import PRIOR_DRAWS, Posterior

if TYPE_CHECKING:
    import xarray

STATISTICS = {
    "diverging": "diverging",
    "energy": "energy",
    "num_steps": "n_steps",
    "accept_prob": "acceptance_rate",
    "step_size": "step_size",
    "reached_max_treedepth": "reached_max_treedepth",
}  # ours to ArviZ's; its diagnose() looks for these names


def to_arviz(posterior: Posterior, seed: int = 0) -> xarray.DataTree:
    """Return a DataTree of a posterior; see `Posterior.to_arviz`."""
    import arviz_base

    prior_law, prior_noise = posterior.prior(seed=seed)
    replicated, prior_replicated = _predictive(posterior, prior_law, prior_noise, seed)
    effects = posterior.spec.effects
    shared = {name: draws[None] for name, draws in _scales(posterior, seed)[1].items()}
    groups: dict[str, dict[str, Any]] = {
        "posterior": {**posterior.parameters, **posterior.derived},
        "prior": {
            p.name: np.asarray(getattr(source, p.name))[None]
            for source in (prior_law, prior_noise)
            for p in source.parameters()
        }
        | shared,
        "posterior_predictive": {"log_loss": replicated},
        "prior_predictive": {"log_loss": prior_replicated[None]},
        "log_prior": log_prior(posterior),
        "sample_stats": {
            **{theirs: posterior.stats[ours] for ours, theirs in STATISTICS.items()},
            "lp": -posterior.stats["potential"],
        },
        "observed_data": {"log_loss": posterior.runs.log_loss},
        "constant_data": {s: posterior.runs[s] for s in posterior.spec.law.inputs},
    }
    names = list(posterior.runs.inputs)
    dims = {"log_loss": ["run"]} | {name: ["run"] for name in names}
    coords = {"run": np.arange(len(posterior.runs))}
    tree = arviz_base.from_dict(groups, coords=coords, dims=dims, name=posterior.spec.law.name)
    if effects is None:
        place, where = "run", coords["run"]
    else:  # what is left out together is a group, and its rows have one density
        place, where = effects.label, np.asarray(effects.groups(posterior.runs)[0])
    if place in tree["posterior"].dims or place in names:
        place = f"{place}_group"
    pointwise = arviz_base.from_dict(
        {"log_likelihood": {"log_loss": log_likelihood(posterior)}},
        coords={place: where},
        dims={"log_loss": [place]},
    )
    tree["log_likelihood"] = pointwise["log_likelihood"]
    return tree


def log_prior(posterior: Posterior) -> dict[str, np.ndarray]:
    """Return the log prior density of each coordinate at each draw, shape (chains, draws).

    The density is that of the unbounded value (of the logarithm, where a prior is log-normal), as in
    `ModelSpec.log_density`: raising it to a power widens or narrows a prior and hardly moves its median.
    The increments of a drift have one density together, ``"drift"``.
    """
    spec = posterior.spec
    with np.errstate(divide="ignore"):  # a share may have been rounded to 1
        u = spec.unconstrain(posterior.coordinates, posterior.reference)
    with jax.enable_x64(True):
        found = {
            c.name: np.asarray(c.prior.from_unbounded(u[..., i], posterior.reference)[1])
            for i, c in enumerate(spec.beliefs)
        }
        if spec.drift is not None:
            increments = [posterior.coordinates[name] for name in spec.drift.names]
            found["drift"] = np.asarray(spec.drift.log_prior(increments))
    return found


def log_likelihood(posterior: Posterior) -> np.ndarray:
    """Return the log density of each log loss at each draw, shape (chains, draws, runs).

    Where rows share shifts, the density is that of each group of rows: (chains, draws, groups).
    """
    inputs, known, below = _seen(posterior)
    observed = posterior.runs.log_loss
    names, columns = _groups(posterior)
    # Among the runs a drift is what its increments say, whatever the seed.
    every = (posterior.shape[0] * posterior.shape[1], len(observed))
    drift = np.broadcast_to(posterior.drift_path(inputs), every)
    draws = posterior.flat_law(), posterior.flat_noise(), drift, _scales(posterior, 0)[0]
    with jax.enable_x64(True):
        found = np.asarray(
            _densities(posterior.spec.effects, *draws, observed, inputs, known, below, columns)
        )
    return found[:, : len(names) or None].reshape(*posterior.shape, -1)


@partial(jax.jit, static_argnums=0)
def _densities(
    effects: Effects | None, law: Any, noise: Any, drift: Any, scales: Any, *seen: Any
) -> Any:
    """Log densities of the rows, or of as many groups as there may be, shape (draws, rows)."""
    observed, inputs, known, below, columns = seen

    def one(law: Any, noise: Any, drift: Any, scales: Any) -> Any:
        log_mean = jnp.log(law.loss(inputs)) + drift
        if effects is None:
            return noise.likelihood(observed, log_mean, known, below)
        weight, residual = jnp.ones_like(log_mean), observed - log_mean
        return effects.log_densities(noise, scales, residual, known, below, weight, columns)

    return jax.vmap(one)(law, noise, drift, scales)


def _groups(posterior: Posterior) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the groups of rows that share shifts, none without effects, and their columns."""
    effects = posterior.spec.effects
    if effects is None:
        return (), np.empty((len(posterior.runs), 0))
    return effects.groups(posterior.runs)[0], effects.columns(posterior.runs)


def _seen(posterior: Posterior) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Inputs of the runs, known standard errors or numbers of items, and decades up to the largest."""
    names = posterior.spec.law.inputs
    inputs = {symbol: posterior.runs[symbol] for symbol in names}
    below = span_of(posterior.runs, names).below(log_compute(inputs))
    return inputs, posterior.runs.known(posterior.spec.noise.counts), below


def _predictive(
    posterior: Posterior, prior_law: Any, prior_noise: Any, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Replicated log losses of the runs, and prior replicates."""
    effects = posterior.spec.effects
    inputs, se, below = _seen(posterior)
    _, columns = _groups(posterior)
    scales, prior_scales = _scales(posterior, seed)
    means = [np.log(law_losses(law, inputs)) for law in (posterior.flat_law(), prior_law)]
    generator = np.random.default_rng(seed)

    def scattered(mean: Any, scatter: Any, scales: Any) -> np.ndarray:
        scatter = jax.tree.map(lambda field: field[:, None], scatter)
        if effects is None:
            return scatter.observed(generator, mean, se, below)
        scales = {name: draws[:, None] for name, draws in scales.items()}
        return mean + effects.scatter(scatter, scales, generator, se, below, columns)

    mean = means[0] + posterior.drift_path(inputs, seed)
    replicated = scattered(mean, posterior.flat_noise(), scales)
    prior_mean = means[1] + posterior.prior_drift_path(inputs, seed)
    prior_replicated = scattered(prior_mean, prior_noise, prior_scales)
    return replicated.reshape(*posterior.shape, len(posterior.runs)), prior_replicated


def _scales(posterior: Posterior, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draws of the coordinates of effects: posterior, and those that go with `Posterior.prior`."""
    effects = posterior.spec.effects
    if effects is None:
        return {}, {}
    prior = prior_draws(posterior.spec, posterior.reference, PRIOR_DRAWS, seed)
    flattened = {name: flat(posterior.coordinates[name]) for name in effects.names}
    return flattened, {name: prior[name] for name in effects.names}
