"""From a model and data to draws: mode, whitening, chains, and a second try where they mix badly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from bayescale.diagnostics import convergence, judge_chains
from bayescale.errors import FailedFitError
from bayescale.inference.geometry import Whitening, empirical_whitening, prior_points
from bayescale.inference.importance import BLOCK, densities
from bayescale.inference.jumping import Jumps, can_jump, fit_mixtures, make_jumps
from bayescale.inference.mode import (
    Evaluate,
    Minima,
    bound,
    evaluate_curvature,
    find_minima,
    joined,
    screen,
)
from bayescale.inference.nuts import Sampler, Start, sample_chain
from bayescale.inference.programs import key_data, programs
from bayescale.model import Sampled

STARTS = 4
SCREENED = 16  # points of each start at most: pooled models have many coordinates
TARGET_ACCEPT = (0.8, 0.95, 0.99)  # the next is tried while any transition diverges
ATTEMPTS = len(TARGET_ACCEPT)
JUMPING_TARGETS = (0.99, 0.998)  # of chains that jump, a round each
# Where the posterior is near normal, trees of three long steps do what takes seven shorter ones; where
# it is not, as on most sets of 50 runs or fewer, long steps diverge or mix badly.
NEAR_NORMAL, NEAR_NORMAL_TARGET = 0.35, 0.6
PROBES = 8  # times STARTS: draws that the departure from the normal is judged by
RIVAL = 6.0  # a minimum within this of the lowest, in log density, is a start for a chain,
APART = 1.0  # if it is farther than this from the others in the whitened space


def sample_request(spec: Sampled, sampler: Sampler, data: Any) -> tuple[Any, ...]:
    """Return the request of the program of one chain."""
    size = len(spec.coordinates)
    example = Whitening(np.zeros(size), np.eye(size))
    nowhere = Start(np.zeros(size), np.float64(0), np.zeros(size))
    arguments = key_data(1, 0)[0], data, example, nowhere, np.float64(0)
    return sample_chain, (spec, sampler), arguments


def search_request(spec: Sampled, data: Any) -> tuple[Any, ...]:
    """Return the request of the program that `search` needs."""
    size = len(spec.coordinates)
    points = np.zeros((1, STARTS, size))
    return evaluate_curvature, (spec, 1), (points, np.ones((1, STARTS), bool), _as_one_set(data))


def compile_together(models: Sequence[tuple[Sampled, Any]], sampler: Sampler) -> None:
    """Compile what the sampling of several models needs, side by side."""
    requests = [sample_request(spec, sampler, data) for spec, data in models]
    programs(*requests, *(search_request(spec, data) for spec, data in models))


def _as_one_set(data: Any) -> Any:
    return jax.tree.map(lambda array: np.asarray(array)[None], data)


def search(
    spec: Sampled, program: Callable[..., Any], data: Any, seed: int
) -> tuple[Minima, Evaluate]:
    """Return the minima of one data set, and the function that evaluates its density.

    Raises
    ------
    FailedFitError
        No start reached a finite density.
    """
    size = len(spec.coordinates)
    evaluate = bound(program, _as_one_set(data))
    generator = np.random.default_rng([seed, 0])
    count = min(size + 1, SCREENED)
    rounds = []
    for _ in range(spec.law.searches):
        mass = generator.uniform(size=(STARTS * count, size))
        points = prior_points(spec, data.reference, mass).reshape(1, STARTS, count, size)
        rounds.append(find_minima(evaluate, screen(evaluate, points)))
    minima = joined(rounds)
    if not np.isfinite(minima.value).any():
        raise FailedFitError(
            "no start of the search reached a finite posterior density; check the runs for extreme "
            "values, and the priors for what they exclude"
        )
    return minima, evaluate


def chain_starts(minima: Minima, whitening: Whitening, chains: int) -> list[Start]:
    """Return where the chains start: at the mode, and in turn at rivals that lie apart from it."""
    places: list[Start] = []
    lowest = minima.value[0].min()
    for i in np.argsort(minima.value[0]):
        z = np.linalg.solve(whitening.scale, minima.u[0, i] - whitening.mode)
        near = any(np.linalg.norm(z - other.z) < APART for other in places)
        if minima.value[0, i] < lowest + RIVAL and not near:
            gradient = minima.gradient[0, i] @ whitening.scale
            places.append(Start(z, minima.value[0, i], gradient))
    return [places[i % len(places)] for i in range(chains)]


def departure(minima: Minima, whitening: Whitening, evaluate: Evaluate, seed: int) -> float:
    """How far the posterior is from normal about its mode.

    The spread of log density less that of the Laplace approximation, over draws of the approximation;
    its quartiles, as the sd of a normal, since a few draws in the tails would decide a plain sd.
    """
    shape = (PROBES, 1, STARTS, len(whitening.mode))
    z = np.random.default_rng([seed, 2]).standard_normal(shape)
    points, every = whitening.mode + z @ whitening.scale.T, np.ones((1, STARTS), bool)
    value = np.stack([evaluate(point, every)[0] for point in points])
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(value - 0.5 * (z * z).sum(axis=-1), [0.25, 0.75])
        return float(high - low) / 1.349


def _start_at(u: np.ndarray, whitening: Whitening, evaluate: Evaluate) -> Start:
    points = np.broadcast_to(u, (1, STARTS, len(u)))
    values, gradients, _ = evaluate(points, np.ones((1, STARTS), bool))
    z = np.linalg.solve(whitening.scale, u - whitening.mode)
    return Start(z, values[0, 0], gradients[0, 0] @ whitening.scale)


def _run_chains(
    draw: Callable[..., Any],
    keys: np.ndarray,
    data: Any,
    whitening: Whitening,
    starts: list[Start],
    target: float,
    *jumps: list[Jumps],
) -> dict[str, Any]:
    """Run each chain in a thread; XLA leaves Python's lock while it computes."""

    def chain(key: np.ndarray, start: Start, *mine: Jumps) -> Any:
        with jax.enable_x64(True):  # the setting belongs to a thread
            found = draw(key, data, whitening, start, np.float64(target), *mine)
            return jax.tree.map(np.asarray, found)

    with ThreadPoolExecutor(min(len(keys), os.cpu_count() or 1)) as pool:
        return jax.tree.map(lambda *parts: np.stack(parts), *pool.map(chain, keys, starts, *jumps))


def draw_posterior(
    spec: Sampled, sampler: Sampler, data: Any, chains: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the mode and sample; once more, from what was learned, if the draws are poor.

    A posterior that is near normal about its mode is sampled with longer steps. Where transitions
    diverge, the next attempt adapts to smaller ones; where chains mix badly, it whitens with the
    covariance of the draws instead of the Laplace approximation. The best attempt is kept, and the
    record says which it was. If even that one cannot be trusted, chains that jump between what it found
    take its place, where these can be.
    """
    keys = key_data(chains * ATTEMPTS, seed, 1).reshape(ATTEMPTS, chains, 2)
    draw, find = programs(sample_request(spec, sampler, data), search_request(spec, data))
    started = time.perf_counter()
    minima, evaluate = search(spec, find, data, seed)
    whitening = jax.tree.map(lambda array: array[0], minima.whitening())
    starts = chain_starts(minima, whitening, chains)
    best: tuple[float, dict[str, Any], dict[str, Any]] | None = None
    near_normal = departure(minima, whitening, evaluate, seed) < NEAR_NORMAL
    target = NEAR_NORMAL_TARGET if near_normal else TARGET_ACCEPT[0]
    for attempt in range(ATTEMPTS):
        out = _run_chains(draw, keys[attempt], data, whitening, starts, target)
        divergent = int(out["stats"]["diverging"].sum())
        mixing = convergence(out["coordinates"])
        record = {"attempts": attempt + 1, "target_accept": target, "jumping": False}
        quality = float(np.nan_to_num(mixing.ess_bulk_min, nan=-1.0)) / (1 + divergent)
        if best is None or quality > best[0]:
            best = (quality, out, record)
        if not divergent and mixing.good:
            break
        target = (
            TARGET_ACCEPT[min(attempt + 1, ATTEMPTS - 1)]
            if divergent
            else max(target, TARGET_ACCEPT[0])
        )
        if not mixing.good and np.isfinite(out["unbounded"]).all():
            whitening = empirical_whitening(out["unbounded"])
            starts = [_start_at(u, whitening, evaluate) for u in out["unbounded"][:, -1]]
    assert best is not None
    _, out, record = best
    found = out["unbounded"]
    for target in JUMPING_TARGETS:  # they jump between what the round before found
        if record["jumping"] or _sound(out) or not can_jump(found):
            break
        jumping = _jumping(spec, sampler, data, evaluate, found, seed, target)
        found = jumping["unbounded"]
        if _sound(jumping):
            out = jumping
            record |= {"target_accept": target, "jumping": True}
    return out, {**record, "seconds": time.perf_counter() - started}


def _sound(out: Mapping[str, Any]) -> bool:
    """Whether nothing says that the sampling failed."""
    diverging = out["stats"]["diverging"]
    verdicts = judge_chains(convergence(out["coordinates"]), int(diverging.sum()), diverging.size)
    return not any(verdict.severity == "failed" for verdict in verdicts)


def _jumping(
    spec: Sampled,
    sampler: Sampler,
    data: Any,
    evaluate: Evaluate,
    u: np.ndarray,
    seed: int,
    target: float,
) -> dict[str, Any]:
    """What chains make of a posterior that jump between the draws of others, (chains, draws, p)."""
    chains, size = len(u), u.shape[-1]
    use = round(1000 * target)
    one, streams = _as_one_set(data), [np.random.default_rng([seed, 3, use])]

    def density(points: np.ndarray) -> np.ndarray:
        count = points.shape[1]
        padded = np.pad(points, ((0, 0), (0, -count % BLOCK), (0, 0)))
        arguments = padded, np.ones(1, bool), one
        (program,) = programs((densities, (spec, 1), arguments))
        return np.asarray(program(*arguments))[:, :count]

    mixtures = fit_mixtures(density, [u.reshape(-1, size)], streams)
    whitening = mixtures[0].whitening()
    transitions = sampler.warmup + sampler.draws
    jumps = make_jumps(density, mixtures, [whitening], streams, chains, transitions)
    tried = [jax.tree.map(lambda array, i=i: array[0, i], jumps) for i in range(chains)]
    function, static, arguments = sample_request(spec, sampler, data)
    (draw,) = programs((function, static, (*arguments, tried[0])))
    starts = [_start_at(last, whitening, evaluate) for last in u[:, -1]]
    keys = key_data(chains, seed, 4, use)
    return _run_chains(draw, keys, data, whitening, starts, target, tried)
