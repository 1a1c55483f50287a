"""One data set, cold: whole processes, from their start to the draws, with an empty cache and after it.

    python cold.py PEER RUNS.csv [WHERE]

is such a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from report import Context, figure, table

PEERS = {
    "bayescale": ("samplers_jax", "with_bayescale"),
    "PyMC + nutpie, decision coordinates": ("samplers_other", "with_nutpie"),
    "NumPyro MCMC.run, decision coordinates": ("samplers_jax", "with_numpyro"),
    "BlackJAX in jax.jit, decision coordinates": ("samplers_jax", "with_blackjax"),
}


def child(peer: str, path: str, where: str | None) -> None:
    from importlib import import_module

    from bayescale import Runs

    runs = Runs.read(path, where=where)
    module, name = PEERS[peer]
    getattr(import_module(module), name)(runs)(runs, 0)


def seconds_of(peer: str, context: Context, folder: str) -> float:
    """Seconds of a process that keeps whatever it keeps in a folder of its own.

    Raises
    ------
    RuntimeError
        The process failed.
    """
    caches = {
        "BAYESCALE_CACHE": f"{folder}/bayescale",
        "NUMBA_CACHE_DIR": f"{folder}/numba",
        "PYTENSOR_FLAGS": f"base_compiledir={folder}/pytensor",
    }
    command = [sys.executable, __file__, peer, context.path, *filter(None, [context.where])]
    started = time.perf_counter()
    done = subprocess.run(command, env=os.environ | caches, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "it died").splitlines()[-1])
    return time.perf_counter() - started


def rows(context: Context) -> Iterator[list[str]]:
    for peer in list(PEERS)[: 1 if context.quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                first, later = (seconds_of(peer, context, folder) for _ in range(2))
            except RuntimeError as error:
                missing = "ModuleNotFoundError" in str(error)
                yield [peer, "not installed" if missing else f"did not run: {str(error)[:90]}"]
                continue
        yield [peer, figure(first), figure(later)]


def lines(context: Context) -> Iterator[str]:
    yield "### One data set, cold: seconds of a whole process, imports and compilation included\n"
    yield from table(["", "first process, empty caches", "later process"], rows(context))


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
