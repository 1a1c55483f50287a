"""Where the chunks of a sweep are worked on: in threads of this process, or on a Ray cluster."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import jax

from bayescale.errors import InputError, Problem
from bayescale.sweep.sources import Sets
from bayescale.sweep.work import ChunkResult, Job, fit_sets

EXECUTORS = ("local", "ray")


class Executor(ABC):
    """Works on chunks, in any order; the rows of a chunk do not depend on where it was made."""

    workers: int  # chunks at work at once

    @abstractmethod
    def run(
        self, job: Job, source: Sets, chunks: Sequence[Sequence[int]], indices: Sequence[int]
    ) -> Iterator[tuple[int, ChunkResult]]:
        """Yield the index and the rows of each chunk, as it gets done.

        Parameters
        ----------
        job, source
            What is done, and the data sets.
        chunks
            Indices of the data sets of every chunk.
        indices
            The chunks that are to be made.
        """

    def round_up(self, sets: int) -> int:
        """Return the data sets of a chunk: at least so many, shared evenly by the devices."""
        return sets

    def close(self) -> None:  # noqa: B027
        """Stop what was started for it."""


class Local(Executor):
    """Threads of this process, over all of its devices.

    Parameters
    ----------
    workers
        Chunks at work at once; by default the cores divided by the devices, and 2 at least, so that
        the devices work on one while this process prepares and summarises another.
    """

    def __init__(self, workers: int | None = None):
        self.workers = workers or max(2, (os.cpu_count() or 1) // jax.device_count())

    def run(
        self, job: Job, source: Sets, chunks: Sequence[Sequence[int]], indices: Sequence[int]
    ) -> Iterator[tuple[int, ChunkResult]]:
        """Yield chunks as threads get them done; no more than a few wait."""
        todo = iter(indices)
        with ThreadPoolExecutor(self.workers) as pool:
            running: dict[Future[ChunkResult], int] = {}
            try:
                while True:
                    while len(running) < self.workers + 1:
                        index = next(todo, None)
                        if index is None:
                            break
                        running[pool.submit(fit_sets, job, source, chunks[index])] = index
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            finally:
                for future in running:
                    future.cancel()

    def round_up(self, sets: int) -> int:
        """Return the least multiple of the devices."""
        devices = jax.device_count()
        return -(-sets // devices) * devices


@contextmanager
def opened(
    executor: str | Executor,
    workers: int | None = None,
    per_chunk: Mapping[str, float] | None = None,
) -> Iterator[Executor]:
    """Give an executor by its name, and close it whatever happens; or the executor itself.

    Raises
    ------
    InputError
        There is no such executor, or what it needs is not installed.
    """
    if isinstance(executor, Executor):
        yield executor
        return
    made = _made(executor, workers, per_chunk)
    try:
        yield made
    finally:
        made.close()


def _made(executor: str, workers: int | None, per_chunk: Mapping[str, float] | None) -> Executor:
    if executor == "ray":
        from bayescale.sweep.on_ray import OnRay

        return OnRay(per_chunk)
    if executor != "local":
        raise InputError(
            Problem("executor", f"{executor!r} is not an executor",
                    remedy=f"use {' or '.join(EXECUTORS)}")
        )  # fmt: skip
    if per_chunk:
        raise InputError(
            Problem("per_chunk", f"it is {dict(per_chunk)!r}, and the executor is local",
                    "only Ray assigns resources", "write --executor ray, or leave it out")
        )  # fmt: skip
    return Local(workers)
