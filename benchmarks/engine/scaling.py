"""Cost against the rows of a data set, the number of data sets, and the number of devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import batch
from data import simulated_runs
from report import Context, figure, table

import bayescale
from bayescale.inference.batch import BatchSettings
from bayescale.model import data_of
from bayescale.sweep.quantities import Targets
from bayescale.sweep.sources import Prepared
from bayescale.sweep.work import Job, run_chunk

ROWS = (16, 64, 256, 1024, 4096, 16384, 100_000)
SETS = (1, 10, 100, 1000, 10_000, 100_000)
DEVICES = (1, 2, 4)
ROWS_OF_A_SET = 24
BUDGET = 65536  # rows of a chunk: the largest data sets go in small ones


def by_rows(context: Context) -> Iterator[list[str]]:
    for rows in ROWS[: 4 if context.quick else None]:
        warm, *new = (simulated_runs(rows, seed) for seed in range(1 + (3 if rows < 4096 else 1)))
        bayescale.fit(warm, seed=99)
        started = time.perf_counter()
        for seed, runs in enumerate(new):
            bayescale.fit(runs, seed=seed)
        seconds = (time.perf_counter() - started) / len(new)
        yield [f"{rows:,}", figure(seconds), figure(1e3 * _laplace(rows))]


def _laplace(rows: int) -> float:
    """Seconds of a fit within a chunk, one chunk at a time."""
    count = max(2, min(64, BUDGET // rows))
    data = [data_of(simulated_runs(rows, seed), ("N", "D")) for seed in range(count)]
    job = Job(batch.SPEC, BatchSettings(method="laplace-is", sets=count), Targets())
    names = [f"set {i}" for i in range(count)]
    arguments = ("set",), names, [(n,) for n in names], [Prepared(d, rows) for d in data]
    run_chunk(job, *arguments)
    started = time.perf_counter()
    run_chunk(job, *arguments)
    return (time.perf_counter() - started) / count


def sweep(count: int, devices: int = 1) -> dict[str, float]:
    """Run `sweep_child.py`, with as many virtual devices; a process of its own has its own memory."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    command = [sys.executable, Path(__file__).with_name("sweep_child.py"), str(count)]
    environment = os.environ | {"XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [*command, str(ROWS_OF_A_SET)], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def by_sets(context: Context) -> Iterator[list[str]]:
    counts = [n for n in SETS if n <= (1000 if context.quick else 10_000) or context.full]
    for count in counts:
        found = sweep(count)
        rate = figure(count / found["seconds"])
        memory = f"{found['peak_bytes'] / 2**20:,.0f}"
        yield [f"{count:,}", figure(found["seconds"]), rate, memory, f"{found['ok']:.1%}"]


def by_devices(context: Context) -> Iterator[list[str]]:
    count = 512 if context.quick else 4096
    for devices in DEVICES:
        found = sweep(count, devices)
        yield [devices, f"{count:,}", figure(found["seconds"]), figure(count / found["seconds"])]


def lines_of_rows(context: Context) -> Iterator[str]:
    yield "### Cost against the rows of a data set\n"
    columns = ["rows", "`bayescale.fit`, warm, seconds", "`laplace-is` in a chunk, ms a fit"]
    yield from table(columns, by_rows(context))


def lines_of_sets(context: Context) -> Iterator[str]:
    yield f"### Cost against the number of data sets: `fit_many`, {ROWS_OF_A_SET} runs each\n"
    columns = ["data sets", "seconds", "a second", "peak memory, MiB", "status ok"]
    yield from table(columns, by_sets(context))


def lines_of_devices(context: Context) -> Iterator[str]:
    cores = os.cpu_count()
    yield f"### Cost against the number of devices: virtual ones, on the same {cores} cores\n"
    yield from table(["devices", "data sets", "seconds", "a second"], by_devices(context))
