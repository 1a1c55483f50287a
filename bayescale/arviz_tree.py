"""A posterior as ArviZ wants it: groups, dimensions, and the quantities that it compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescale.drift import log_compute
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
    groups: dict[str, dict[str, Any]] = {
        "posterior": {**posterior.parameters, **posterior.derived},
        "prior": {
            p.name: np.asarray(getattr(source, p.name))[None]
            for source in (prior_law, prior_noise)
            for p in source.parameters()
        },
        "posterior_predictive": {"log_loss": replicated},
        "prior_predictive": {"log_loss": prior_replicated[None]},
        "log_prior": log_prior(posterior),
        "log_likelihood": {"log_loss": log_likelihood(posterior)},
        "sample_stats": {
            **{theirs: posterior.stats[ours] for ours, theirs in STATISTICS.items()},
            "lp": -posterior.stats["potential"],
        },
        "observed_data": {"log_loss": np.log(posterior.runs.loss)},
        "constant_data": {s: posterior.runs[s] for s in posterior.spec.law.inputs},
    }
    names = list(posterior.runs.inputs)
    dims = {"log_loss": ["run"]} | {name: ["run"] for name in names}
    coords = {"run": np.arange(len(posterior.runs))}
    return arviz_base.from_dict(groups, coords=coords, dims=dims, name=posterior.spec.law.name)


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
    """Return the log density of each log loss at each draw, shape (chains, draws, runs)."""
    inputs, se, below = _seen(posterior)
    observed = np.log(posterior.runs.loss)
    # Among the runs a drift is what its increments say, whatever the seed.
    every = (posterior.shape[0] * posterior.shape[1], len(observed))
    drift = np.broadcast_to(posterior.drift_path(inputs), every)
    draws = posterior.flat_law(), posterior.flat_noise(), drift
    with jax.enable_x64(True):
        found = np.asarray(_likelihood(*draws, observed, inputs, se, below))
    return found.reshape(*posterior.shape, len(observed))


@jax.jit
def _likelihood(
    law: Any, noise: Any, drift: Any, observed: Any, inputs: Any, se: Any, below: Any
) -> Any:
    def one(law: Any, noise: Any, drift: Any) -> Any:
        return noise.log_density(observed - jnp.log(law.loss(inputs)) - drift, se, below)

    return jax.vmap(one)(law, noise, drift)


def _seen(posterior: Posterior) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Inputs of the runs, their known standard errors, and decades up to the largest."""
    names = posterior.spec.law.inputs
    inputs = {symbol: posterior.runs[symbol] for symbol in names}
    below = span_of(posterior.runs, names).below(log_compute(inputs))
    return inputs, posterior.runs.relative_se, below


def _predictive(
    posterior: Posterior, prior_law: Any, prior_noise: Any, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Replicated log losses of the runs, and prior replicates."""
    inputs, se, below = _seen(posterior)

    def log_loss(law: Any) -> Any:
        return jnp.log(law.loss(inputs))

    law, noise = posterior.flat_law(), posterior.flat_noise()
    drift = posterior.drift_path(inputs, seed)
    with jax.enable_x64(True):
        means = [np.asarray(jax.jit(jax.vmap(log_loss))(draws)) for draws in (law, prior_law)]
    generator = np.random.default_rng(seed)
    replicated, prior_replicated = (
        mean + jax.tree.map(lambda field: field[:, None], scatter).scatter(generator, se, below)
        for mean, scatter in zip(
            (means[0] + drift, means[1] + _prior_drift(posterior, inputs, seed)),
            (noise, prior_noise),
            strict=True,
        )
    )
    return replicated.reshape(*posterior.shape, len(posterior.runs)), prior_replicated


def _prior_drift(posterior: Posterior, inputs: dict[str, Any], seed: int) -> Any:
    """The drift of log loss at the runs, from its prior; the draws that go with `Posterior.prior`."""
    spec = posterior.spec
    if spec.drift is None:
        return 0.0
    increments = prior_draws(spec, posterior.reference, PRIOR_DRAWS, seed)
    span = span_of(posterior.runs, spec.law.inputs)
    generator = np.random.default_rng([seed, 0])
    with jax.enable_x64(True):
        return spec.drift.path(increments, log_compute(inputs), span, generator)
