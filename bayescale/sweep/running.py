"""Run a sweep: plan its chunks, hand them to an executor, keep their rows in memory or in a folder."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.inference.importance import BLOCK, DRAWS, MORE
from bayescale.sweep.directory import Directory
from bayescale.sweep.executors import Executor
from bayescale.sweep.pace import Announce, Pace
from bayescale.sweep.sources import Sets
from bayescale.sweep.work import STATUSES, ChunkResult, Job

Progress = Callable[[int, int], None]  # data sets done, and of how many
COPIES = 12  # arrays of the size of a block's densities that a device holds at once
SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class Outcome:
    """What a sweep came to: counts by status, seconds, and the rows that are in memory."""

    status: Mapping[str, int]
    seconds: float
    chunks: tuple[ChunkResult, ...]


def run_chunks(
    job: Job,
    source: Sets,
    executor: Executor,
    path: Path | None,
    resume: bool,
    progress: Progress | None,
    announce: Announce | None,
) -> Outcome:
    """Run all chunks that are not done; see `bayescale.fit_many`."""
    started = time.perf_counter()
    chunks = plan(source, job.settings.sets)
    check_memory(job, source, chunks)
    kept: dict[int, ChunkResult] = {}
    counts: Counter[str] = Counter()
    costs = [sum(64 + source.size(i) for i in rows) for rows in chunks]

    def work(left: Sequence[int], keep: Callable[[int, ChunkResult], int]) -> None:
        _give_back_memory()
        done = len(source) - sum(len(chunks[i]) for i in left)
        pace = Pace([costs[i] for i in left], executor.workers, announce, path)
        for index, result in executor.run(job, source, chunks, left):
            written = keep(index, result)
            done += len(chunks[index])
            pace.step(costs[index], written, len(source))
            if progress:
                progress(done, len(source))

    if path is None:

        def remember(index: int, result: ChunkResult) -> int:
            kept[index] = result
            counts.update(result.columns["status"])
            return 0

        work(range(len(chunks)), remember)
    else:
        directory = Directory(path, manifest(job, source), resume)
        with directory.locked():
            work([i for i in range(len(chunks)) if not directory.done(i)], directory.write)
            counts.update(directory.finish(len(chunks)))
    return Outcome(
        status={name: counts[name] for name in STATUSES},
        seconds=time.perf_counter() - started,
        chunks=tuple(kept[i] for i in sorted(kept)),
    )


def _give_back_memory() -> None:
    """Return to the system what reading a large table has left with the allocator, where it can."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def plan(source: Sets, sets: int) -> list[list[int]]:
    """Return the indices of the data sets of each chunk; a chunk has one size class."""
    classes: dict[int, list[int]] = {}
    for i in range(len(source)):
        classes.setdefault(source.size(i), []).append(i)
    return [
        rows[start : start + sets]
        for rows in classes.values()
        for start in range(0, len(rows), sets)
    ]


def manifest(job: Job, source: Sets) -> dict[str, Any]:
    """Return everything that decides the numbers of a sweep, as plain data."""
    names = hashlib.sha256("\n".join(source.names).encode()).hexdigest()
    law = job.spec.law
    return {
        "bayescale": version("bayescale"),
        "law": f"{law.__module__}:{law.__qualname__}",
        "noise": job.spec.noise.name,
        "priors": {name: repr(prior) for name, prior in job.spec.priors},
        "by": list(source.by),
        "n_sets": len(source),
        "names": names,
        "data": source.digest(),
        "level": job.level,
        "draws": job.draws,
        "settings": asdict(job.settings),
        "targets": asdict(job.targets),
        "jax": version("jax"),
    }


def check_memory(job: Job, source: Sets, chunks: Sequence[Sequence[int]]) -> None:
    """Refuse chunks that would not fit into half of the memory of this machine.

    Raises
    ------
    InputError
        The chunks are too large.
    """
    rows = max((source.size(chunk[0]) for chunk in chunks), default=0)
    size, settings = len(job.spec.coordinates), job.settings
    together = min(settings.side_by_side, settings.sets)
    bytes_needed = 8 * (
        settings.sets * (1 + MORE) * DRAWS * (size + len(job.targets.names(job.spec))) * 4
        + settings.sets * rows * 6
        + together * BLOCK * rows * COPIES
    )
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if bytes_needed > SHARE_OF_MEMORY * there:
        raise InputError(
            Problem("sets", f"a chunk of {settings.sets} data sets of {rows} rows needs about "
                    f"{bytes_needed / 1e9:.0f} GB, and half of the memory is {there / 2e9:.0f} GB",
                    remedy="give fewer with --sets, or a smaller --side-by-side")
        )  # fmt: skip
