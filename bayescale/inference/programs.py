"""Compiled programs: made once for a model and a size class, kept for the process and the next.

Two things are kept in the private cache folder: the traced program (`jax.export`), which spares the
next process the tracing, and what XLA compiled from it (JAX's persistent compilation cache).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from bayescale.cache import cache_folder, write_atomically
from bayescale.centred import CentredData
from bayescale.inference.geometry import Whitening
from bayescale.inference.jumping import Jumps, Mixture
from bayescale.inference.nuts import Start
from bayescale.model import Data, Sampled
from bayescale.population import GroupData, PooledData

for _type in (Data, CentredData, GroupData, PooledData, Jumps, Mixture, Start, Whitening):
    jax.export.register_namedtuple_serialization(
        _type, serialized_name=f"bayescale.{_type.__name__}"
    )

_programs: dict[Any, Callable[..., Any]] = {}
_lock = threading.RLock()  # one thread compiles, the others wait for what it made


def key_data(count: int, *entropy: int) -> np.ndarray:
    """Data of independent Threefry keys for a seed, and whatever tells one use of it from another.

    They are hashed by NumPy, which needs no program.

    Returns
    -------
    array
        Shape (count, 2).
    """
    state = np.random.SeedSequence(entropy).generate_state(2 * count, np.uint32)
    return state.reshape(count, 2)


Request = tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]


def programs(*requests: Request, bits: int = 64) -> list[Callable[..., Any]]:
    """Return each requested function, compiled; what is missing is compiled side by side.

    Parameters
    ----------
    requests
        Triples (function, static, arguments): ``function(*static, *arguments)`` is compiled for
        arguments of these shapes. `static` holds the model and further hashable settings. The
        functions take and return arrays in dicts, tuples, `Data`, `Start` and `Whitening`. The one that takes
        longest to compile should come first.
    bits
        64, or 32 for programs whose arguments are of 32 bits.
    """
    shapes = [jax.tree.map(_shape, arguments) for _, _, arguments in requests]
    keys = [_key(f, static, s) for (f, static, _), s in zip(requests, shapes, strict=True)]
    if all(key in _programs for key in keys):
        return [_programs[key] for key in keys]
    with _lock:
        missing = list({key: i for i, key in enumerate(keys) if key not in _programs}.values())
        if not missing:
            return [_programs[key] for key in keys]
        with persistent_cache(), ThreadPoolExecutor(len(missing)) as pool:
            lowered = []
            for i in missing:  # tracing holds Python's lock, so it is done in turn
                with jax.enable_x64(bits == 64):
                    function = _traced(*requests[i][:2], shapes[i], keys[i])
                lowered.append(pool.submit(_compile, function, shapes[i], bits))
            for i, result in zip(missing, lowered, strict=True):
                _programs[keys[i]] = result.result()
    return [_programs[key] for key in keys]


def _shape(array: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(array), np.asarray(array).dtype)


def _key(function: Callable[..., Any], static: tuple[Any, ...], shapes: Any) -> Any:
    leaves, tree = jax.tree.flatten(shapes)
    signature = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    return function.__module__, function.__qualname__, static, tree, signature


def _compile(function: Callable[..., Any], shapes: Any, bits: int) -> Callable[..., Any]:
    with jax.enable_x64(bits == 64):  # the setting belongs to a thread
        return jax.jit(function).lower(*shapes).compile()


def _traced(function: Callable[..., Any], static: tuple, shapes: tuple, key: Any) -> Any:
    """Trace the function, or read what an earlier process traced, and return it to be called."""

    def bound(*arguments: Any) -> Any:
        return function(*static, *arguments)

    if jax.device_count() > 1:  # a trace for several devices could be called on as many only
        return bound
    path = _exported_path(static[0], key)
    if path is not None and path.is_file():
        return jax.export.deserialize(bytearray(path.read_bytes())).call
    traced = jax.export.export(jax.jit(bound))(*shapes)
    if path is not None:
        with contextlib.suppress(OSError):  # a full disk costs the next process some seconds only
            write_atomically(path, bytes(traced.serialize()))
    return traced.call


def _exported_path(spec: Sampled, key: Any) -> Path | None:
    """Where the traced program is kept; None for laws from elsewhere, whose code may change."""
    types = (spec.law, spec.noise, *(type(prior) for _, prior in spec.priors))
    folder = cache_folder()
    if folder is None or any(t.__module__.partition(".")[0] != "bayescale" for t in types):
        return None
    (folder / "programs").mkdir(exist_ok=True, mode=0o700)
    identity = repr((key, jax.default_backend(), _versions(), _source_hash()))
    return folder / "programs" / f"{hashlib.sha256(identity.encode()).hexdigest()}.jaxexport"


def _versions() -> tuple[str, ...]:
    return tuple(version(package) for package in ("jax", "jaxlib", "numpyro", "optimistix"))


@lru_cache(maxsize=1)
def _source_hash() -> str:
    """Hash of this package's source, so that changed code never meets an old program."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def persistent_cache() -> Iterator[None]:
    """Keep what is compiled inside in the private folder, unless the user keeps it elsewhere."""
    folder = cache_folder()
    if folder is None or jax.config.jax_compilation_cache_dir is not None:
        yield
        return
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update(names[0], str(folder / "jax"))
    jax.config.update(names[1], 0.1)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
