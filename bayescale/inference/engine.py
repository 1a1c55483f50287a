"""From a model and data to draws: mode, whitening, chains, and a second try where they mix badly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from bayescale.diagnostics import convergence
from bayescale.errors import FailedFitError
from bayescale.inference.geometry import Whitening, empirical_whitening
from bayescale.inference.mode import SPREAD, STARTS, find_minimum
from bayescale.inference.nuts import Sampler, sample_chain
from bayescale.inference.programs import key_data, programs, split
from bayescale.model import Data, ModelSpec

TARGET_ACCEPT = (0.8, 0.95, 0.99)  # the next is tried while any transition diverges
ATTEMPTS = len(TARGET_ACCEPT)


def best_minimum(find: Callable[..., Any], key: np.ndarray, data: Data) -> Whitening:
    """Return the whitening map at the lowest of the minima that the starts reached.

    Raises
    ------
    FailedFitError
        No start reached a finite density.
    """
    keys = split(key, STARTS)
    spreads = np.array([0.0] + [SPREAD] * (STARTS - 1))
    found = [find(k, spread, data) for k, spread in zip(keys, spreads, strict=True)]
    finite = [(float(value), i) for i, (_, value) in enumerate(found) if np.isfinite(value)]
    if not finite:
        raise FailedFitError(
            "no start of the search reached a finite posterior density; check the runs for extreme "
            "values, and the priors for what they exclude"
        )
    return jax.tree.map(np.asarray, found[min(finite)[1]][0])


def _run_chains(
    draw: Callable[..., Any], keys: np.ndarray, data: Data, whitening: Whitening, target: float
) -> dict[str, Any]:
    """Run each chain in a thread; XLA leaves Python's lock while it computes."""

    def chain(key: np.ndarray) -> Any:
        with jax.enable_x64(True):  # the setting belongs to a thread
            return jax.tree.map(np.asarray, draw(key, data, whitening, np.float64(target)))

    with ThreadPoolExecutor(min(len(keys), os.cpu_count() or 1)) as pool:
        return jax.tree.map(lambda *parts: np.stack(parts), *pool.map(chain, keys))


def draw_posterior(
    spec: ModelSpec, sampler: Sampler, data: Data, chains: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the mode and sample; once more, from what was learned, if the draws are poor.

    Where transitions diverge, the next attempt adapts to smaller steps; where chains mix badly, it
    whitens with the covariance of the draws instead of the Laplace approximation. The best attempt
    is kept, and the record says which it was.
    """
    mode_key, *attempt_keys = key_data(seed, 1 + ATTEMPTS)
    size = len(spec.coordinates)
    example = Whitening(np.zeros(size), np.eye(size))
    draw, find = programs(
        (sample_chain, (spec, sampler), (mode_key, data, example, np.float64(0))),
        (find_minimum, (spec,), (mode_key, np.float64(0), data)),
    )
    started = time.perf_counter()
    whitening = best_minimum(find, mode_key, data)
    best: tuple[float, dict[str, Any], dict[str, Any]] | None = None
    target = TARGET_ACCEPT[0]
    for attempt, key in enumerate(attempt_keys):
        out = _run_chains(draw, split(key, chains), data, whitening, target)
        divergent = int(out["stats"]["diverging"].sum())
        mixing = convergence(out["coordinates"])
        record = {"attempts": attempt + 1, "target_accept": target}
        quality = float(np.nan_to_num(mixing.ess_bulk_min, nan=-1.0)) / (1 + divergent)
        if best is None or quality > best[0]:
            best = (quality, out, record)
        if not divergent and mixing.good:
            break
        if divergent:
            target = TARGET_ACCEPT[min(attempt + 1, len(TARGET_ACCEPT) - 1)]
        if not mixing.good and np.isfinite(out["unbounded"]).all():
            whitening = empirical_whitening(out["unbounded"])
    assert best is not None
    _, out, record = best
    return out, {**record, "seconds": time.perf_counter() - started}
