"""The space that the sampler moves in: coordinates without bounds, as one flat vector."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayescale.model import Data, ModelSpec

EIGENVALUE_FLOOR = 1e-2  # no direction is taken to be wider than 10 in unbounded coordinates
DIFFERENCE = 1e-4  # step of the central differences of the gradient


@lru_cache(maxsize=64)
def potential(spec: ModelSpec) -> Any:
    """Return the negative log posterior density of the unbounded vector, ``f(u, data)``.

    It is jitted, so that a program which calls it many times traces the model once.
    """
    from numpyro.infer.util import potential_energy

    def negative_log_density(u: Any, data: Data) -> Any:
        named = {c.name: u[i] for i, c in enumerate(spec.coordinates)}
        return potential_energy(spec, (data,), {}, named)

    return jax.jit(negative_log_density)


def transforms(spec: ModelSpec, data: Data) -> list[Any]:
    """The bijections from unbounded values to each coordinate's support."""
    import numpyro

    supports = [c.prior.distribution(data.reference).support for c in spec.coordinates]
    return [numpyro.distributions.biject_to(support) for support in supports]


def constrain(spec: ModelSpec, u: Any, data: Data) -> dict[str, Any]:
    """Return the coordinates at an unbounded vector."""
    bijections = transforms(spec, data)
    return {
        c.name: t(u[i]) for i, (c, t) in enumerate(zip(spec.coordinates, bijections, strict=True))
    }


def centre(spec: ModelSpec, data: Data) -> Any:
    """Return the unbounded vector at the centres of the priors."""
    pairs = zip(spec.coordinates, transforms(spec, data), strict=True)
    return jnp.stack([t.inv(jnp.asarray(c.prior.centre(data.reference), float)) for c, t in pairs])


class Whitening(NamedTuple):
    """The affine map u = mode + scale z after which the posterior is near a standard normal."""

    mode: Any
    scale: Any


def whitening(spec: ModelSpec, mode: Any, data: Data) -> Whitening:
    """Return the map from the Laplace approximation at the mode.

    The Hessian comes from central differences of the gradient, which needs no second derivative to
    be compiled; its eigenvalues are floored, so that a flat direction does not stretch the space
    without limit.
    """
    gradient = jax.grad(potential(spec))
    steps = DIFFERENCE * jnp.eye(mode.shape[0])
    around = jax.vmap(lambda step: gradient(mode + step, data))(jnp.concatenate([steps, -steps]))
    columns = around[: len(steps)] - around[len(steps) :]
    hessian = (columns + columns.T) / (4 * DIFFERENCE)
    values, vectors = jnp.linalg.eigh(hessian)
    return Whitening(mode, vectors / jnp.sqrt(jnp.maximum(values, EIGENVALUE_FLOOR)))


def empirical_whitening(u: np.ndarray) -> Whitening:
    """Return the map from the mean and covariance of draws of shape (chains, draws, coordinates)."""
    draws = u.reshape(-1, u.shape[-1])
    values, vectors = np.linalg.eigh(np.cov(draws, rowvar=False))
    return Whitening(draws.mean(axis=0), vectors * np.sqrt(np.maximum(values, 1e-12)))
