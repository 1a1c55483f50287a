"""Data sets side by side: stacked arrays, programs over all devices, and the names that seed them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from bayescale.effects import renewed
from bayescale.inference.geometry import Whitening
from bayescale.inference.jumping import Jumps
from bayescale.inference.nuts import Sampler, Start, sample_chain
from bayescale.model import Data, ModelSpec

COARSE = 64  # rows that the search begins with, where there are twice as many or more


def entropy_of(name: str) -> int:
    """A number of 64 bits that belongs to the name of a data set, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def stack(data: Sequence[Data], sets: int) -> Data:
    """Stack data sets of one size class on a first axis, and repeat the last one to fill it."""
    filled = [*data, *[data[-1]] * (sets - len(data))]
    return jax.tree.map(lambda *arrays: np.stack(arrays), *filled)


def coarse_rows(data: Data) -> Data:
    """Return COARSE of the rows of stacked data sets, their weights raised to stand for all.

    A fixed choice without a pattern, since the rows of a table often have one.
    """
    rows = data.log_loss.shape[1]
    if rows <= COARSE:
        return data
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:COARSE])
    taken = {
        name: jax.tree.map(lambda array: array[:, chosen], getattr(data, name))
        for name in ("inputs", "log_loss", "relative_se", "weight", "below", "basis")
    }
    taken["weight"] = taken["weight"] * (rows / COARSE)
    taken["group"] = np.stack([renewed(columns) for columns in data.group[:, chosen]])
    return data._replace(**taken)


def over_devices(
    spec: ModelSpec, function: Callable[..., Any], static: tuple[Any, ...], *arguments: Any
) -> Any:
    """Call ``function(spec, *static, *arguments)``, the sets spread over all devices.

    Every array of the arguments has a first axis (sets). Each device works on its own share, so the
    numbers depend on how many there are by rounding alone.
    """
    one = partial(function, spec, *static)
    if jax.device_count() == 1:
        return one(*arguments)
    mesh = jax.make_mesh((jax.device_count(),), ("sets",), axis_types=(AxisType.Auto,))
    share = PartitionSpec("sets")
    return jax.shard_map(one, mesh=mesh, in_specs=share, out_specs=share, check_vma=False)(
        *arguments
    )


def sample_chains(
    spec: ModelSpec,
    side_by_side: int,
    sampler: Sampler,
    keys: Any,
    wanted: Any,
    target: Any,
    data: Data,
    whitening: Whitening,
    start: Start,
    jumps: Jumps | None = None,
) -> dict[str, Any]:
    """Run the chains of many data sets, `side_by_side` of them at once.

    Chains side by side take every step as often as the deepest tree among them, so the depth is
    capped; one after another they do not wait.

    Parameters
    ----------
    spec, sampler
        The model and the sampler's settings.
    side_by_side
        Chains at once.
    keys
        Data of the keys, shape (sets, chains, 2).
    wanted
        Sets that are worked on, shape (sets,); the draws of the others are 0.
    target
        Mean acceptance probability that the step sizes are adapted to, shape (sets,).
    data, whitening
        The data sets and their whitening maps, every array with a first axis (sets).
    start
        The first states, every array with first axes (sets, chains).
    jumps
        What the chains try between their steps, with the same first axes; nothing if None.

    Returns
    -------
    dict
        ``unbounded``, shape (sets, chains, draws, p), and ``diverging``, (sets, chains, draws).
    """
    sets, chains = keys.shape[:2]

    def run(index: Any, key: Any, start: Start, jumps: Jumps | None) -> dict[str, Any]:
        own, map_ = jax.tree.map(lambda array: array[index], (data, whitening))
        out = sample_chain(spec, sampler, key, own, map_, start, target[index], jumps)
        return {"unbounded": out["unbounded"], "diverging": out["stats"]["diverging"]}

    def one(item: tuple[Any, Any, Start, Jumps | None]) -> dict[str, Any]:
        shapes = jax.eval_shape(run, *item)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.cond(wanted[item[0]], lambda: run(*item), lambda: nothing)

    each = jax.tree.map(lambda array: array.reshape(-1, *array.shape[2:]), (start, jumps))
    items = jnp.repeat(jnp.arange(sets), chains), keys.reshape(-1, 2), *each
    batch = None if side_by_side == 1 else side_by_side
    out = jax.lax.map(one, items, batch_size=batch)
    return jax.tree.map(lambda leaf: leaf.reshape(sets, chains, *leaf.shape[1:]), out)
