"""One table of runs many times, its runs counted differently: resampled, or some of them left out."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.effects import Effects
from bayescale.errors import FailedFitError, InputError, Problem
from bayescale.fitting import prepare
from bayescale.laws import Law
from bayescale.model import size_class
from bayescale.noise import Noise
from bayescale.priors import Prior
from bayescale.runs import Runs
from bayescale.runs.sharing import sharing
from bayescale.sweep.executors import Executor, opened
from bayescale.sweep.many import SETS, ManyFits, make_job, run_sweep
from bayescale.sweep.pace import Announce
from bayescale.sweep.running import Progress
from bayescale.sweep.sources import Checks, Prepared, Sets
from bayescale.sweep.work import Job

Ints = NDArray[np.intp]
ALL_RUNS = "all runs"


class Counts(ABC):
    """How often each run of a table counts in each of its variants; the first one has all runs."""

    names: Sequence[str]

    @abstractmethod
    def of(self, i: int) -> Ints:
        """Return the counts of one variant, shape (runs,)."""


@dataclass(frozen=True)
class Clusters:
    """Runs that belong together.

    Parameters
    ----------
    names
        Name of each cluster.
    codes
        Index of the cluster of each run, shape (runs,).
    """

    names: tuple[str, ...]
    codes: Ints

    @classmethod
    def of(cls, runs: Runs, by: str | None) -> Clusters:
        """Return the clusters of runs that share a label or an input; each run alone without one.

        Raises
        ------
        InputError
            The runs have no such label or input, or all share it.
        """
        if by is None:
            alone = runs.places or [f"run {i}" for i in range(len(runs))]
            return cls(tuple(alone), np.arange(len(runs)))
        names, codes = sharing(runs, by)
        if len(names) < 2:
            raise InputError(
                Problem("by", f"all runs have the same {by}", "nothing can be left out or resampled",
                        "choose something that differs between runs")
            )  # fmt: skip
        return cls(tuple(f"{by} {name}" for name in names), codes)


@dataclass(frozen=True, eq=False)
class Resampled(Counts):
    """All runs, and bootstrap samples of clusters, with replacement, as many as there are."""

    clusters: Clusters
    samples: int
    seed: int

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """Names of the variants."""
        return [ALL_RUNS, *(f"sample {i}" for i in range(1, self.samples + 1))]

    def of(self, i: int) -> Ints:
        """Return the counts of one variant; each sample has its own random stream."""
        codes, count = self.clusters.codes, len(self.clusters.names)
        if i == 0:
            return np.ones(len(codes), np.intp)
        generator = np.random.default_rng([self.seed, i])
        return np.bincount(generator.integers(0, count, count), minlength=count)[codes]


@dataclass(frozen=True, eq=False)
class LeftOut(Counts):
    """All runs, and all but each cluster in turn."""

    clusters: Clusters

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """Names of the variants."""
        return [ALL_RUNS, *(f"without {name}" for name in self.clusters.names)]

    def of(self, i: int) -> Ints:
        """Return the counts of one variant."""
        return (self.clusters.codes != i - 1).astype(np.intp)


@dataclass(frozen=True, eq=False)
class ReweightedSets(Sets):
    """A table of runs under several counts of its runs.

    Priors and coordinates refer to the whole table, so that variants differ in their runs alone.
    """

    runs: Runs
    checks: Checks
    counts: Counts
    by: tuple[str, ...] = ("set",)

    @cached_property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """Names of the variants."""
        return list(self.counts.names)

    @cached_property
    def whole(self) -> Prepared:
        """The whole table, ready to be fitted."""
        return self.checks.prepare(lambda: self.runs)

    def values(self, i: int) -> tuple[str, ...]:
        """Return the name of one variant."""
        return (self.names[i],)

    def size(self, i: int) -> int:
        """Return the rows to which the table is padded."""
        return size_class(len(self.runs))

    def prepare(self, i: int) -> Prepared:
        """Return one variant, ready to be fitted; what it has left must pass the checks."""
        whole = self.whole
        if whole.data is None:
            return whole
        counts = self.counts.of(i)
        weight = np.zeros_like(whole.data.weight)
        weight[: len(counts)] = counts
        part = self.checks.prepare(
            lambda: self.runs.take(counts > 0), whole.data._replace(weight=weight)
        )
        return part if part.data is None else replace(part, n_runs=int(counts.sum()))

    def digest(self) -> str:
        """Return a hash of the runs and of all counts."""
        whole = hashlib.sha256(self.runs.data_hash.encode())
        for i in range(len(self)):
            whole.update(self.counts.of(i).tobytes())
        return whole.hexdigest()


@dataclass(frozen=True, eq=False)
class Variants:
    """Fits of a table under several counts of its runs.

    Parameters
    ----------
    runs, clusters
        The checked runs, and what was drawn or left out together.
    job
        What was done.
    fits
        All rows.
    whole, others
        The row of all runs, and those of the variants in order.
    """

    runs: Runs
    clusters: Clusters
    job: Job
    fits: ManyFits
    whole: dict[str, Any]
    others: list[dict[str, Any]]


def fit_variants(
    runs: Any,
    law: str | type[Law],
    noise: str | type[Noise],
    by: str | None,
    counts: Callable[[Clusters, Runs], Counts],
    *,
    x: str | None,
    priors: Mapping[str, Prior] | None,
    effects: str | Effects | None,
    allow: Collection[str],
    executor: str | Executor,
    progress: Progress | None,
    announce: Announce | None,
    **settings: Any,
) -> Variants:
    """Fit a law to a table under the counts that belong to its clusters; see `bayescale.bootstrap`.

    Parameters
    ----------
    runs, law, noise, x, priors, effects, allow
        As for `bayescale.fit`.
    by
        Label or input that makes the clusters.
    counts
        Clusters and the checked runs to the counts.
    executor, progress, announce
        As for `bayescale.fit_many`.
    **settings
        Of `make_job`: method, seed, level, points, flops, draws.

    Raises
    ------
    InputError
        The runs, the law or an option cannot be used.
    FailedFitError
        The posterior of all runs could not be sampled.
    """
    spec, table, _, _ = prepare(runs, law, noise, x=x, priors=priors, effects=effects, allow=allow)
    clusters = Clusters.of(table, by)
    chosen = counts(clusters, table)
    sets = min(SETS, len(chosen.names))
    factor = table.flops_per_parameter_token
    checks = Checks(spec, None, tuple([allow] if isinstance(allow, str) else allow))
    source = ReweightedSets(table, checks, chosen)
    with opened(executor) as where_to:
        job = make_job(spec, where_to, sets=sets, flops_per_parameter_token=factor, **settings)
        fits = run_sweep(job, source, where_to, progress=progress, announce=announce)
    whole, *others = fits.table.to_pylist()
    if whole["status"] not in ("ok", "warn"):
        raise FailedFitError(f"the posterior of all runs: {whole['reason']}")
    return Variants(table, clusters, job, fits, whole, others)
