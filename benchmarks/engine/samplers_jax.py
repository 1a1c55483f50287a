"""Samplers in JAX: bayescale, NumPyro as documented and inside jit, BlackJAX.

Each is a function of runs that compiles what it can, and returns the function of runs (of the same
size) and a seed to be timed. That one returns draws by parameter, shape (chains, draws).
"""

from __future__ import annotations

from collections.abc import Callable

import decision
import jax
import jax.numpy as jnp
import numpy as np
from decision import Numbers, numbers_of

import bayescale
from bayescale import Runs

Draws = dict[str, np.ndarray]
Fit = Callable[[Runs, int], Draws]
CHAINS, DRAWS, WARMUP = 4, 1000, 500


def with_bayescale(runs: Runs) -> Fit:
    def fit(runs: Runs, seed: int) -> Draws:
        posterior = bayescale.fit(runs, seed=seed)
        of_law = {name: getattr(posterior.law, name) for name in ("E", "A", "B", "alpha", "beta")}
        draws = of_law | {name: getattr(posterior.noise, name) for name in ("sigma", "nu")}
        return {name: np.asarray(value) for name, value in draws.items()}

    return fit


def numpyro_model(data: Numbers) -> None:
    """The model as NumPyro's documentation would have it."""
    import numpyro
    import numpyro.distributions as dist

    low, high = decision.BOUNDS

    def exponent(name: str, median: float, sd: float) -> jax.Array:
        prior = dist.TruncatedNormal(jnp.log(median), sd, low=low, high=high)
        return jnp.exp(numpyro.sample(f"log_{name}", prior))

    c = {
        "L_opt": numpyro.sample("L_opt", dist.LogNormal(jnp.log(data.low_loss), 0.15)),
        "share_E": numpyro.sample("share_E", dist.Beta(4, 1.7)),
        "M_opt": numpyro.sample("M_opt", dist.LogNormal(jnp.log(15.0), 0.9)),
        "alpha": exponent("alpha", 0.30, 0.40),
        "beta": exponent("beta", 0.36, 0.50),
    }
    sigma = numpyro.sample("sigma", dist.LogNormal(jnp.log(0.006), 0.8))
    excess = numpyro.sample("excess", dist.Gamma(2, 0.1))
    mean = jnp.log(decision.loss(c, data._replace(y=None), jnp))
    numpyro.sample("y", dist.StudentT(2 + excess, mean, sigma), obs=data.y)


def _from_numpyro(draws: Draws, data: Numbers) -> Draws:
    c = {name: np.asarray(value) for name, value in draws.items()}
    more = {name: np.exp(c[f"log_{name}"]) for name in ("alpha", "beta")}
    return decision.natural(c | more | {"nu": 2 + c["excess"]}, data)


def _mcmc(key: jax.Array, data: Numbers) -> Draws:
    from numpyro.infer import MCMC, NUTS, init_to_median

    kernel = NUTS(numpyro_model, dense_mass=True, init_strategy=init_to_median)
    mcmc = MCMC(
        kernel, num_warmup=WARMUP, num_samples=DRAWS, num_chains=CHAINS,
        chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    mcmc.run(key, data)
    return mcmc.get_samples(group_by_chain=True)


def with_numpyro(runs: Runs) -> Fit:
    """`MCMC.run`, which compiles anew for each data set."""
    import numpyro  # noqa: F401

    def fit(runs: Runs, seed: int) -> Draws:
        data = numbers_of(runs)
        with jax.enable_x64(True):
            return _from_numpyro(_mcmc(jax.random.key(seed), data), data)

    return fit


def with_jitted_numpyro(runs: Runs) -> Fit:
    """The same inside a function that the user has jitted, with the data as its argument."""
    import numpyro  # noqa: F401

    return _jitted(_mcmc, _from_numpyro)


def with_blackjax(runs: Runs) -> Fit:
    """NUTS with window adaptation of a dense mass matrix, chains side by side, in plain JAX."""
    import blackjax
    from jax.scipy.special import gammaln

    def chain(key: jax.Array, data: Numbers) -> Draws:
        def density(u: jax.Array) -> jax.Array:
            return decision.log_density(u, data, jnp, gammaln)

        start_key, adapt_key, draw_key = jax.random.split(key, 3)
        start = jnp.log(jnp.array([data.low_loss, 2.3, 15, 1.8, 1.3, 0.006, 18]))
        start = start + 0.1 * jax.random.normal(start_key, (7,))
        adapt = blackjax.window_adaptation(blackjax.nuts, density, is_mass_matrix_diagonal=False)
        (state, settings), _ = adapt.run(adapt_key, start, num_steps=WARMUP)
        kernel = blackjax.nuts(density, **settings)

        def step(state, key):
            state, _ = kernel.step(key, state)
            return state, state.position

        _, u = jax.lax.scan(step, state, jax.random.split(draw_key, DRAWS))
        return decision.constrain(u.T, jnp)

    def chains(key: jax.Array, data: Numbers) -> Draws:
        return jax.vmap(chain, in_axes=(0, None))(jax.random.split(key, CHAINS), data)

    return _jitted(chains, decision.natural)


def _jitted(sample: Callable, finish: Callable) -> Fit:
    compiled = jax.jit(sample)

    def fit(runs: Runs, seed: int) -> Draws:
        data = numbers_of(runs)
        with jax.enable_x64(True):
            return finish(jax.tree.map(np.asarray, compiled(jax.random.key(seed), data)), data)

    return fit
