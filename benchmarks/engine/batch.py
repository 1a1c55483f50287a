"""Batches of bootstrap samples of the runs: posteriors a second by each method, and loops beside them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import limit
import numpy as np
import points
from data import bootstrap, shaken
from report import Context, figure, table

import bayescale
from bayescale.inference.batch import BatchSettings
from bayescale.laws import get_law
from bayescale.model import model_spec
from bayescale.noise import get_noise
from bayescale.sweep.quantities import Targets
from bayescale.sweep.sources import Prepared
from bayescale.sweep.work import ChunkResult, Job, run_chunk

SPEC = model_spec(get_law("chinchilla"), get_noise("student-t"))
SETS = 64  # data sets in a chunk, the library's default
COLUMNS = ["", "data sets", "a second", "ms a set", "median ESS", "ESS of 400 or more", "status ok"]


@dataclass(frozen=True)
class Measured:
    """A batch: its size, wall and processor seconds, and the rows it made."""

    count: int
    seconds: float
    processor_seconds: float
    ess: np.ndarray
    ok: float


def settings(method: str, **others) -> BatchSettings:
    return BatchSettings(method=method, sets=SETS, **others)


def chunk(sets: Sequence[Prepared], how: BatchSettings, first: int = 0) -> ChunkResult:
    names = [f"bootstrap {first + i}" for i in range(len(sets))]
    return run_chunk(Job(SPEC, how, Targets()), ("set",), names, [(n,) for n in names], sets)


def warm(sets: Sequence[Prepared], quick: bool) -> None:
    """Compile every program that any method may need: both samplers, in both precisions."""
    chunk(sets[:SETS], settings("laplace-is"))
    for bits in (32,) if quick else (32, 64):
        chunk(sets[:1], settings("laplace-is", bits=bits))
        for sampler in BatchSettings().samplers:
            chunk(sets[:1], settings("nuts", bits=bits, samplers=(sampler, sampler)))


def measure(sets: Sequence[Prepared], method: str) -> Measured:
    """Work on chunks in as many threads as there are cores."""
    how, starts = settings(method), range(0, len(sets), SETS)
    started, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda i: chunk(sets[i : i + SETS], how, i), starts))
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    ess = np.concatenate([r.columns["ess"] for r in results])
    ok = np.mean([status == "ok" for r in results for status in r.columns["status"]])
    return Measured(len(sets), seconds, processor, ess, float(ok))


def loop_of_fits(context: Context) -> Measured:
    count = 5 if context.quick else 50
    sets = [shaken(context.runs, 1000 + i) for i in range(count)]
    bayescale.fit(context.runs, seed=99)
    started, processor = time.perf_counter(), time.process_time()
    fits = [bayescale.fit(runs, seed=i) for i, runs in enumerate(sets)]
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    judged = [fit.diagnostics for fit in fits]
    ess = np.array([d.ess_bulk_min for d in judged])
    return Measured(count, seconds, processor, ess, np.mean([d.verdict == "ok" for d in judged]))


def rows(context: Context) -> Iterator[list[str]]:
    most = 256 if context.quick else 2048
    sets = bootstrap(context.runs, most)
    warm(sets, context.quick)
    counts = {"laplace-is": most, "nuts": most // 4 if context.quick else 512, "auto": most}
    for method, count in counts.items():
        measured = measure(sets[:count], method)
        context.found[method] = measured
        yield _row(f"`{method}`", measured)
    yield _row("`bayescale.fit` in a loop", loop_of_fits(context))
    count = 20 if context.quick else 500
    optimum = points.best_of_grid(context.runs, points.STARTS[::500])
    started = time.perf_counter()
    points.bootstrap_fits(context.runs, optimum, count)
    seconds = time.perf_counter() - started
    name = "SciPy's Huber fit in a loop, one core: points, no posterior"
    yield [name, f"{count:,}", figure(count / seconds), figure(1e3 * seconds / count)]


def _row(name: str, m: Measured) -> list[str]:
    enough = f"{np.mean(m.ess >= 400):.1%}"
    pace = figure(m.count / m.seconds), figure(1e3 * m.seconds / m.count)
    return [name, f"{m.count:,}", *pace, figure(np.median(m.ess)), enough, f"{m.ok:.1%}"]


def lines(context: Context) -> Iterator[str]:
    yield f"### Batches of {len(context.runs)}-run data sets, {os.cpu_count()} cores\n"
    yield from table(COLUMNS, rows(context))
    yield ""
    yield from limit.lines(context)
