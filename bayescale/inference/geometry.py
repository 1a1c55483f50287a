"""The space that the sampler moves in: unbounded vectors, and the whitening map about a mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from bayescale.model import Sampled

EIGENVALUE_FLOOR = 1e-2  # no direction is taken to be wider than 10 in unbounded coordinates


class Whitening(NamedTuple):
    """The affine map u = mode + scale z after which the posterior is near a standard normal."""

    mode: Any
    scale: Any


def laplace_whitening(mode: Any, eigenvalues: Any, vectors: Any) -> Whitening:
    """Return the map from the eigenvalues and eigenvectors of the Hessian at the mode.

    The eigenvalues are floored, so that a flat direction does not stretch the space without limit.
    """
    width = 1 / np.sqrt(np.maximum(eigenvalues, EIGENVALUE_FLOOR))
    return Whitening(mode, vectors * width[..., None, :])


def empirical_whitening(u: np.ndarray) -> Whitening:
    """Return the map from the mean and covariance of draws of shape (chains, draws, coordinates)."""
    draws = u.reshape(-1, u.shape[-1])
    values, vectors = np.linalg.eigh(np.cov(draws, rowvar=False))
    return Whitening(draws.mean(axis=0), vectors * np.sqrt(np.maximum(values, 1e-12)))


def prior_points(spec: Sampled, reference: Mapping[str, Any], mass: np.ndarray) -> np.ndarray:
    """Return unbounded vectors from the prior, the first of them its centre.

    Parameters
    ----------
    spec
        The model.
    reference
        Name to numbers, each of a shape that broadcasts with (..., count).
    mass
        Prior mass below each value, uniform draws of shape (..., count, p).

    Returns
    -------
    array
        Shape (..., count, p).
    """
    inside = 1e-3 + (1 - 2e-3) * mass
    values = {}
    for i, c in enumerate(spec.coordinates):
        drawn = c.prior.quantile(inside[..., i], reference)
        centre = np.broadcast_to(c.prior.centre(reference), (*drawn.shape[:-1], 1))
        values[c.name] = np.concatenate([centre, drawn[..., 1:]], axis=-1)
    return spec.unconstrain(values, reference)


def negative_log_density(spec: Sampled) -> Any:
    """Return the function (u, data) to minimise and to sample, jitted so that it is traced once."""
    return jax.jit(lambda u, data: -spec.log_density(u, data))
