"""Fit a law to many data sets, and keep a row of summaries for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayescale.effects import Effects
from bayescale.errors import InputError, Problem
from bayescale.inference.batch import METHODS, BatchSettings, Method
from bayescale.intervals import DEFAULT_LEVEL, check_level
from bayescale.laws import Law, get_law
from bayescale.model import ModelSpec, model_spec
from bayescale.noise import Noise, get_noise
from bayescale.prediction import positive
from bayescale.priors import Prior
from bayescale.runs import group_runs
from bayescale.sweep.executors import Executor, opened
from bayescale.sweep.pace import Announce
from bayescale.sweep.quantities import Targets
from bayescale.sweep.running import Progress, run_chunks
from bayescale.sweep.sources import Checks, SeparateSets, Sets, TableSets
from bayescale.sweep.work import ChunkResult, Job
from bayescale.units import FLOPS_PER_PARAMETER_TOKEN

if TYPE_CHECKING:
    import pandas
    import pyarrow

SETS = 64  # data sets in a chunk


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
    effects: str | Effects | None = None,
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
    executor: str | Executor = "local",
    workers: int | None = None,
    per_chunk: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    announce: Announce | None = None,
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
    law, noise, x, priors, effects, allow
        As for `bayescale.fit`.
    columns, where, loss_unit
        As for `Runs.read`.
    method
        ``"auto"``, ``"laplace-is"`` or ``"nuts"``. Where chains disagree, others that jump between the
        modes they found take their place, if those agree: ``"jumping"`` in the results.
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
    executor
        ``"local"``: threads of this process. ``"ray"``: a Ray cluster; it starts itself on one
        machine, or is the one that ``RAY_ADDRESS`` names. The numbers are the same.
    workers
        Chunks at work at once in this process; by default the cores divided by the
        devices, and 2 at least.
    per_chunk
        What Ray keeps free for each chunk, such as ``{"GPU": 1}``; by default one CPU.
    progress
        Called with the number of data sets that are done, and their total.
    announce
        Called once in a long sweep, after its first chunks, with an estimate of time and disk.

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
    spec = model_spec(get_law(law), get_noise(noise), priors, effects=effects)
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
        wanted = spec.law.wanted_response(), spec.law.inputs
        source = TableSets(group_runs(runs, by, columns, where, loss_unit, *wanted), checks)
    with opened(executor, workers, per_chunk) as where_to:
        job = make_job(
            spec, where_to, method, seed, level, points, flops, draws, sets, side_by_side
        )
        return run_sweep(job, source, where_to, output, resume, progress, announce)


def make_job(
    spec: ModelSpec,
    executor: Executor,
    method: Method = "auto",
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    points: Mapping[str, ArrayLike] | None = None,
    flops: ArrayLike | None = None,
    draws: int = 0,
    sets: int = SETS,
    side_by_side: int = 1,
    flops_per_parameter_token: float = FLOPS_PER_PARAMETER_TOKEN,
) -> Job:
    """Return what is done with every data set, its settings checked; see `fit_many`.

    Raises
    ------
    InputError
        An unknown method, a number that is not positive, answers that the law cannot give.
    """
    if method not in METHODS:
        raise InputError(
            Problem("method", f"{method!r} is not a method", remedy=f"use {', '.join(METHODS)}")
        )
    for name, value in (("sets", sets), ("side_by_side", side_by_side)):
        if value < 1:
            raise InputError(Problem(name, f"it is {value}", remedy="give 1 or more"))
    settings = BatchSettings(
        method=method, seed=seed, sets=executor.round_up(sets), side_by_side=side_by_side
    )
    targets = Targets(
        tuple((s, tuple(positive(s, v).tolist())) for s, v in (points or {}).items()),
        () if flops is None else tuple(positive("flops", flops).tolist()),
        flops_per_parameter_token,
    )
    return Job(spec, settings, targets.check(spec), check_level(level), draws)


def run_sweep(
    job: Job,
    source: Sets,
    executor: Executor,
    output: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> ManyFits:
    """Run a job over all data sets of a source; see `fit_many`."""
    path = None if output is None else Path(output)
    outcome = run_chunks(job, source, executor, path, resume, progress, announce)
    return ManyFits(
        law=job.spec.law.name,
        noise=job.spec.noise.name,
        level=job.level,
        status=outcome.status,
        seconds=outcome.seconds,
        path=path,
        chunks=outcome.chunks,
    )
