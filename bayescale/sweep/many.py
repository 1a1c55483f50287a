"""Fit a law to many data sets, and keep a row of summaries for each."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from bayescale.errors import InputError, Problem
from bayescale.inference.batch import METHODS, BatchSettings, Method
from bayescale.intervals import DEFAULT_LEVEL, check_level
from bayescale.laws import Law, get_law
from bayescale.model import model_spec
from bayescale.noise import Noise, get_noise
from bayescale.prediction import positive
from bayescale.priors import Prior
from bayescale.runs import group_runs
from bayescale.sweep.directory import Directory
from bayescale.sweep.quantities import Targets
from bayescale.sweep.sources import Checks, SeparateSets, Sets, TableSets
from bayescale.sweep.work import STATUSES, ChunkResult, Job, run_chunk

if TYPE_CHECKING:
    import pandas
    import pyarrow

SETS = 64  # data sets in a chunk
Progress = Callable[[int, int], None]  # data sets done, and of how many


@dataclass(frozen=True, eq=False)
class ManyFits:
    """A row of summaries for each data set.

    Parameters
    ----------
    law, noise
        Names of the law and of the noise model.
    level
        Mass of the intervals.
    status
        ``"ok"``, ``"warn"``, ``"failed"``, ``"rejected"`` to the number of data sets.
    seconds
        Time it took.
    path
        Folder of the results; None if they are in memory only.
    chunks
        The rows that are in memory, by chunk.
    """

    law: str
    noise: str
    level: float
    status: Mapping[str, int]
    seconds: float
    path: Path | None
    chunks: tuple[ChunkResult, ...]

    def __len__(self) -> int:
        return sum(self.status.values())

    @cached_property
    def table(self) -> pyarrow.Table:
        """The rows as an Arrow table; read from the folder where there is one.

        Columns: those that tell the sets apart, ``set`` (their name), ``n_runs``, ``status``,
        ``method``, ``codes``, ``reason``, ``k``, ``ess``, ``rhat``, ``divergences``; then
        ``NAME_median``, ``NAME_lower``, ``NAME_upper``, ``NAME_mean`` and ``NAME_sd`` for each
        quantity.
        """
        import pyarrow
        import pyarrow.parquet

        if self.path is not None:
            return pyarrow.parquet.read_table(self.path / "results.parquet")
        return pyarrow.concat_tables([pyarrow.table(chunk.columns) for chunk in self.chunks])

    def draws(self, name: str) -> dict[str, np.ndarray]:
        """Return the draws of equal weight of one data set: quantity to shape (draws,).

        Raises
        ------
        InputError
            No such data set, or no draws were kept.
        """
        for chunk in self.chunks:
            if name in chunk.columns["set"] and chunk.draws:
                row = chunk.columns["set"].index(name)
                return {quantity: values[row] for quantity, values in chunk.draws.items()}
        raise InputError(
            Problem("name", f"there are no draws of {name!r} in memory",
                    remedy="fit with draws=1000 and without a folder, or read draws-*.nc there")
        )  # fmt: skip

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a pandas data frame."""
        return self.table.to_pandas()

    def to_json(self) -> dict[str, Any]:
        """Counts by status, seconds and the folder, as plain data."""
        return {
            "sets": len(self),
            "status": dict(self.status),
            "seconds": self.seconds,
            "path": None if self.path is None else str(self.path),
        }

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.status.items() if count)
        rate = len(self) / self.seconds if self.seconds else float("inf")
        place = "" if self.path is None else f"; results in {self.path}"
        return (
            f"{len(self)} fits of the {self.law} law with {self.noise} noise: {counts}, in "
            f"{self.seconds:.1f} s ({rate:.0f} a second){place}"
        )


def fit_many(
    runs: Any,
    by: str | Sequence[str] | None = None,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    columns: Mapping[str, str | None] | None = None,
    where: str | None = None,
    loss_unit: str = "nats/token",
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    allow: Collection[str] = (),
    method: Method = "auto",
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    points: Mapping[str, ArrayLike] | None = None,
    flops: ArrayLike | None = None,
    draws: int = 0,
    output: str | Path | None = None,
    resume: bool = False,
    sets: int = SETS,
    side_by_side: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ManyFits:
    r"""Fit a law to each of many data sets, in chunks that run on all cores and devices.

    .. math:: p(\theta \mid \mathrm{runs}_s) \quad \text{for every data set } s

    A Student-t proposal at the mode with Pareto-smoothed weights samples each posterior; where the
    Pareto k or the effective sample size say no, NUTS does. A data set that cannot be fitted is
    rejected with its reason, and disturbs no other. Results do not depend on the place of a data
    set, nor on the number of data sets.

    Parameters
    ----------
    runs
        A table as for `Runs.read`, `Runs` with labels, or without `by` a mapping of names to tables.
    by
        Columns whose values tell the data sets apart.
    law, noise, x, priors, allow
        As for `bayescale.fit`.
    columns, where, loss_unit
        As for `Runs.read`.
    method
        ``"auto"``, ``"laplace-is"`` or ``"nuts"``.
    seed
        Seed; each data set has its own stream, from the seed and its name.
    level
        Mass of the intervals.
    points
        Symbol to values: the law's loss there is among the results, as ``loss_1``, ``loss_2``, ...
    flops
        Budgets: the optimum under C = 6 N D is among the results, as ``N_opt_1``, ``D_opt_1``,
        ``tokens_per_parameter_1``, ``loss_opt_1``, ...
    draws
        Draws of equal weight to keep of each posterior; 0 keeps summaries only.
    output
        Folder for the results: ``results.parquet``, and ``draws-*.nc`` where draws are kept. With
        it, memory does not grow with the number of data sets.
    resume
        Keep the finished chunks that are in the folder.
    sets
        Data sets in a chunk, rounded up to a multiple of the devices.
    side_by_side
        Searches, blocks of draws and chains that a device works on at once: 1 for a processor,
        hundreds for an accelerator.
    workers
        Chunks at work at once; by default the cores divided by the devices.
    progress
        Called with the number of data sets that are done, and their total.

    Returns
    -------
    ManyFits
        A row for each data set.

    Raises
    ------
    InputError
        The table, the law or an option cannot be used, or the folder holds something else.

    Examples
    --------
    >>> import bayescale
    >>> runs = bayescale.datasets.load_dataset("byte-sweep")
    >>> many = fit_many({"all": runs, "half": runs.take(range(0, len(runs), 2))})
    >>> many.status["rejected"]
    0
    """
    spec = model_spec(get_law(law), get_noise(noise), priors)
    checks = Checks(spec, x, tuple([allow] if isinstance(allow, str) else allow))
    source: Sets
    if by is None:
        one_table = not isinstance(runs, Mapping) or any(
            isinstance(value, list | tuple | np.ndarray) for value in runs.values()
        )
        if one_table:
            raise InputError(
                Problem("by", "it is missing", "it says which rows are one data set",
                        "write --by COLUMN (by='COLUMN'), or give a mapping of names to tables")
            )  # fmt: skip
        source = SeparateSets(runs, checks)
    else:
        source = TableSets(group_runs(runs, by, columns, where, loss_unit), checks)
    if method not in METHODS:
        raise InputError(
            Problem("method", f"{method!r} is not a method", remedy=f"use {', '.join(METHODS)}")
        )
    devices = jax.device_count()
    settings = BatchSettings(
        method=method, seed=seed, sets=-(-sets // devices) * devices, side_by_side=side_by_side
    )
    targets = Targets(
        tuple((s, tuple(positive(s, v).tolist())) for s, v in (points or {}).items()),
        () if flops is None else tuple(positive("flops", flops).tolist()),
    )
    job = Job(spec, settings, targets.check(spec), check_level(level), draws)
    return run_sweep(job, source, output, resume, workers, progress)


def run_sweep(
    job: Job,
    source: Sets,
    output: str | Path | None = None,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ManyFits:
    """Run a job over all data sets of a source; see `fit_many`."""
    started = time.perf_counter()
    chunks = plan(source, job.settings.sets)
    _check_memory(job, source, chunks)
    if workers is None:
        workers = max(1, (os.cpu_count() or 1) // jax.device_count())
    kept: dict[int, ChunkResult] = {}
    status: Counter[str] = Counter()
    path = None if output is None else Path(output)
    done = 0

    def work(index: int) -> ChunkResult:
        rows = chunks[index]
        prepared = [source.prepare(i) for i in rows]
        names = [source.names[i] for i in rows]
        return run_chunk(job, source.by, names, [source.values(i) for i in rows], prepared)

    if path is None:
        for index, result in _in_threads(work, range(len(chunks)), workers):
            kept[index] = result
            done += len(chunks[index])
            if progress:
                progress(done, len(source))
        for result in kept.values():
            status.update(result.columns["status"])
    else:
        directory = Directory(path, manifest(job, source), resume)
        with directory.locked():
            left = [i for i in range(len(chunks)) if not directory.done(i)]
            done = len(source) - sum(len(chunks[i]) for i in left)
            for index, result in _in_threads(work, left, workers):
                directory.write(index, result)
                done += len(chunks[index])
                if progress:
                    progress(done, len(source))
            whole = directory.finish(len(chunks))
        import pyarrow.parquet

        statuses = pyarrow.parquet.read_table(whole, columns=["status"])
        status.update(statuses["status"].to_pylist())
    return ManyFits(
        law=job.spec.law.name,
        noise=job.spec.noise.name,
        level=job.level,
        status={name: status[name] for name in STATUSES},
        seconds=time.perf_counter() - started,
        path=path,
        chunks=tuple(kept[i] for i in sorted(kept)),
    )


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


def _in_threads(
    work: Callable[[int], ChunkResult], indices: Sequence[int], workers: int
) -> Iterator[tuple[int, ChunkResult]]:
    """Work on some chunks at once, and hand each over when it is done; no more than a few wait."""
    todo = iter(indices)
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[ChunkResult], int] = {}
        try:
            while True:
                while len(running) < workers + 1 and (index := next(todo, None)) is not None:
                    running[pool.submit(work, index)] = index
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            for future in running:
                future.cancel()


COPIES = 12  # arrays of the size of a block's densities that a device holds at once
SHARE_OF_MEMORY = 0.5


def _check_memory(job: Job, source: Sets, chunks: Sequence[Sequence[int]]) -> None:
    """Refuse chunks that would not fit into half of the memory of this machine."""
    from bayescale.inference.importance import BLOCK, DRAWS, MORE

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
