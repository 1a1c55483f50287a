"""NumPyro's NUTS in the whitened space, all chains in one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from bayescale.inference.geometry import Whitening, constrain, potential
from bayescale.model import Data, ModelSpec


@dataclass(frozen=True)
class Sampler:
    """Settings of the sampler that shape its program."""

    chains: int = 4
    draws: int = 1000
    warmup: int = 200
    max_tree_depth: int = 10


def sample(
    spec: ModelSpec,
    sampler: Sampler,
    key_data: Any,
    data: Data,
    whitening: Whitening,
    target_accept: Any,
) -> dict[str, Any]:
    """Run the chains from draws of the Laplace approximation; adapt the step size only.

    Parameters
    ----------
    spec, sampler
        The model and the sampler's settings.
    key_data
        Data of a Threefry key.
    data
        The runs.
    whitening
        The map that makes the posterior near a standard normal.
    target_accept
        Mean acceptance probability that the step size is adapted to.

    Returns
    -------
    dict
        ``law``, ``noise`` and ``coordinates``: name to draws; ``unbounded``: the vectors that were
        sampled, shape (chains, draws, coordinates); ``stats``: ``diverging``, ``energy``,
        ``num_steps`` (leapfrog steps), ``accept_prob``, ``potential`` (negative log density of the
        unbounded vector) and ``step_size``. All have axes (chains, draws).
    """
    from numpyro.infer.hmc import hmc

    function = potential(spec)

    @jax.jit
    def whitened_potential(z: Any, whitening: Whitening, data: Data) -> Any:
        return function(whitening.mode + whitening.scale @ z, data)

    def chain(key: Any) -> tuple[Any, dict[str, Any]]:
        start_key, run_key = jax.random.split(key)
        init, step = hmc(lambda z: whitened_potential(z, whitening, data), algo="NUTS")
        state = init(
            jax.random.normal(start_key, whitening.mode.shape),
            num_warmup=sampler.warmup,
            step_size=1.0,
            adapt_mass_matrix=False,
            target_accept_prob=target_accept,
            max_tree_depth=sampler.max_tree_depth,
            rng_key=run_key,
        )

        def one(state: Any, _: None) -> tuple[Any, tuple[Any, dict[str, Any]]]:
            state = step(state)
            stats = {
                "diverging": state.diverging,
                "energy": state.energy,
                "num_steps": state.num_steps,
                "accept_prob": state.accept_prob,
                "potential": state.potential_energy,
                "step_size": state.adapt_state.step_size,
            }
            return state, (state.z, stats)

        # One loop over warm-up and draws: the kernel is traced and compiled once.
        _, out = jax.lax.scan(one, state, None, length=sampler.warmup + sampler.draws)
        return jax.tree.map(lambda leaf: leaf[sampler.warmup :], out)

    keys = jax.random.split(jax.random.wrap_key_data(key_data, impl="threefry2x32"), sampler.chains)
    z, stats = jax.vmap(chain)(keys)
    u = whitening.mode + z @ whitening.scale.T
    coordinates = jax.vmap(jax.vmap(lambda u: constrain(spec, u, data)))(u)
    law, noise = jax.vmap(jax.vmap(lambda c: spec.build(c, data.reference)))(coordinates)
    return {
        "law": {p.name: getattr(law, p.name) for p in spec.law.parameters()},
        "noise": {p.name: getattr(noise, p.name) for p in spec.noise.parameters()},
        "coordinates": coordinates,
        "unbounded": u,
        "stats": stats,
    }
