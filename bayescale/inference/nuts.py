"""NumPyro's NUTS in the whitened space: the program of one chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bayescale.inference.geometry import Whitening, negative_log_density
from bayescale.inference.jumping import Jumps
from bayescale.model import Sampled


@dataclass(frozen=True)
class Sampler:
    """Settings of the sampler that shape its program."""

    draws: int = 1000
    warmup: int = 200
    max_tree_depth: int = 10


class Start(NamedTuple):
    """Where a chain starts, in the whitened space, with what was worked out there before.

    The negative log density and its gradient are arguments, so that the model stands only once in
    the program: a second time would cost a second of compilation.
    """

    z: Any
    value: Any
    gradient: Any


def sample_chain(
    spec: Sampled,
    sampler: Sampler,
    key_data: Any,
    data: Any,
    whitening: Whitening,
    start: Start,
    target_accept: Any,
    jumps: Jumps | None = None,
) -> dict[str, Any]:
    """Run one chain; adapt the step size only.

    One chain to a program, and not all of them side by side in it: such a batch takes every step as
    often as its slowest chain. Chains run in threads.

    Parameters
    ----------
    spec, sampler
        The model and the sampler's settings.
    key_data
        Data of the chain's Threefry key.
    data
        The runs.
    whitening
        The map that makes the posterior near a standard normal.
    start
        The first state.
    target_accept
        Mean acceptance probability that the step size is adapted to.
    jumps
        What the chain tries after each of its transitions, for warm-up and draws; nothing if None.

    Returns
    -------
    dict
        ``law``, ``noise`` and ``coordinates``: name to draws of shape (draws,); ``unbounded``: the
        vectors that were sampled, shape (draws, coordinates); ``stats``: ``diverging``, ``energy``,
        ``num_steps`` (leapfrog steps), ``accept_prob``, ``potential`` (negative log density of the
        unbounded vector) and ``step_size``, of shape (draws,).
    """
    from numpyro.infer.hmc import hmc
    from numpyro.infer.util import ParamInfo

    function = negative_log_density(spec)

    def potential(z: Any) -> Any:
        return function(whitening.mode + whitening.scale @ z, data)

    def jumped(state: Any, tried: Jumps) -> Any:
        at = tried.taken(whitening.mode + whitening.scale @ state.z, -state.potential_energy)
        z = jnp.where(at < 0, state.z, tried.proposals[at])
        energy, gradient = jax.value_and_grad(potential)(z)
        return state._replace(z=z, potential_energy=energy, z_grad=gradient)

    init, step = hmc(potential, algo="NUTS")
    state = init(
        ParamInfo(*start),
        num_warmup=sampler.warmup,
        step_size=1.0,
        adapt_mass_matrix=False,
        target_accept_prob=target_accept,
        max_tree_depth=sampler.max_tree_depth,
        rng_key=jax.random.wrap_key_data(key_data, impl="threefry2x32"),
    )

    def one(state: Any, tried: Any) -> tuple[Any, tuple[Any, dict[str, Any]]]:
        state = step(state)
        if jumps is not None:
            state = jumped(state, Jumps(tried[0], tried[1], tried[2], jumps.mixture))
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
    tried = None if jumps is None else jumps[:3]
    _, out = jax.lax.scan(one, state, tried, length=sampler.warmup + sampler.draws)
    z, stats = jax.tree.map(lambda leaf: leaf[sampler.warmup :], out)
    u = whitening.mode + z @ whitening.scale.T

    law, noise, coordinates = jax.vmap(lambda u: spec.quantities(u, data))(u)
    return {
        "law": law,
        "noise": noise,
        "coordinates": coordinates,
        "unbounded": u,
        "stats": stats,
    }
