"""Sampling of several groups of runs together: what each says for itself, then all of them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from bayescale.inference.engine import (
    STARTS,
    draw_posterior,
    sample_request,
    search_request,
)
from bayescale.inference.geometry import prior_points
from bayescale.inference.mode import bound, evaluate_curvature, find_minima, screen
from bayescale.inference.nuts import Sampler
from bayescale.inference.programs import programs
from bayescale.population import GroupData, GroupSpec, PooledData, PooledSpec

MODES = 4  # stream of random numbers


def draw_pooled(
    spec: PooledSpec,
    sampler: Sampler,
    groups: GroupData,
    spread: tuple[float, float],
    chains: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sample the posterior of all groups and of their population; see `draw_posterior`.

    A search on each group alone says which directions of its law its own runs inform, and so how the
    vectors that are sampled depend on the population (`PooledSpec`).
    """
    sets, size = spec.groups, len(spec.model.coordinates)
    nothing = PooledData.of(groups, np.zeros((sets, size, size)), np.zeros((sets, size)), spread)
    # All three are compiled side by side, the longest first.
    *_, program = programs(
        sample_request(spec, sampler, nothing),
        search_request(spec, nothing),
        _request(spec.one, groups, sets),
    )
    data = PooledData.of(groups, *expansion(spec.one, program, groups, sets, seed), spread)
    return draw_posterior(spec, sampler, data, chains, seed)


def _request(spec: GroupSpec, groups: GroupData, sets: int) -> tuple[Any, ...]:
    points = np.zeros((sets, STARTS, len(spec.coordinates)))
    return evaluate_curvature, (spec, 1), (points, np.ones((sets, STARTS), bool), groups)


def expansion(
    spec: GroupSpec, program: Any, groups: GroupData, sets: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the likelihood of each group about its own mode, as a normal one.

    Returns
    -------
    precision, information
        Shapes (groups, p, p) and (groups, p): the Hessian of minus the log likelihood, without its
        negative directions, and the same times the point where it would be largest.
    """
    size = len(spec.coordinates)
    evaluate = bound(program, groups)
    mass = np.random.default_rng([seed, MODES]).uniform(size=(sets, STARTS, size + 1, size))
    minima = find_minima(evaluate, screen(evaluate, prior_points(spec, {}, mass)))
    rows = np.arange(sets), minima.best
    mode, values, vectors = (a[rows] for a in (minima.u, minima.eigenvalues, minima.vectors))
    # The prior is a standard normal, so its curvature is 1 and its slope the vector itself.
    seen = np.maximum(values - 1, 0.0)
    found = np.isfinite(minima.value[rows])
    precision = np.einsum("gij,gj,gkj->gik", vectors, seen, vectors)
    information = np.einsum("gij,gj->gi", precision, mode) + mode
    precision[~found], information[~found] = 0.0, 0.0
    return jax.tree.map(np.ascontiguousarray, (precision, information))
