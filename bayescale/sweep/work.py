"""One chunk of a sweep: data sets in, a row for each of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.diagnostics import NO_MODE, Verdict, judge_chains, judge_weights, worst_of
from bayescale.inference.batch import BatchSettings, fit_chunk
from bayescale.inference.batch_fit import BatchFit
from bayescale.inference.psis import k_limit
from bayescale.inference.side_by_side import entropy_of
from bayescale.model import ModelSpec
from bayescale.sweep.quantities import STATISTICS, Targets, quantities, resample, summarise
from bayescale.sweep.sources import Prepared, Sets

FACTS = ("set", "n_runs", "status", "method", "codes", "reason", "k", "ess", "rhat", "divergences")
STATUSES = ("ok", "warn", "failed", "rejected")


@dataclass(frozen=True)
class Job:
    """What is done with every data set: model, settings of the batch, answers, level, draws kept."""

    spec: ModelSpec
    settings: BatchSettings
    targets: Targets
    level: float = 0.9
    draws: int = 0


@dataclass(frozen=True)
class ChunkResult:
    """Rows of a chunk, and draws where they are kept.

    Parameters
    ----------
    columns
        Column name to a value for each data set.
    draws
        Quantity to draws of equal weight, shape (sets, draws); empty where none are kept.
    """

    columns: dict[str, list[Any]]
    draws: dict[str, np.ndarray]


def fit_sets(job: Job, source: Sets, rows: Sequence[int]) -> ChunkResult:
    """Fit the data sets of a source that have these indices: one chunk, or a part of one."""
    prepared = [source.prepare(i) for i in rows]
    names = [source.names[i] for i in rows]
    return run_chunk(job, source.by, names, [source.values(i) for i in rows], prepared)


def died(job: Job, source: Sets, i: int, how: str) -> ChunkResult:
    """Return the row of a data set whose worker died each time that it was tried."""
    lost = Prepared(None, 0, codes=("worker-died",), reason=f"its worker died each time ({how})")
    result = run_chunk(job, source.by, [source.names[i]], [source.values(i)], [lost])
    result.columns["status"] = ["failed"]
    return result


def join(parts: Sequence[ChunkResult]) -> ChunkResult:
    """Join the rows of the parts of a chunk."""
    columns = {name: [c for p in parts for c in p.columns[name]] for name in parts[0].columns}
    draws = {name: np.concatenate([p.draws[name] for p in parts]) for name in parts[0].draws}
    return ChunkResult(columns, draws)


def run_chunk(
    job: Job,
    by: Sequence[str],
    names: Sequence[str],
    values: Sequence[tuple[str, ...]],
    prepared: Sequence[Prepared],
) -> ChunkResult:
    """Fit the data sets of a chunk and summarise their posteriors.

    Parameters
    ----------
    job
        What to do.
    by, names, values
        Columns that tell the sets apart; name and values of each set.
    prepared
        The sets; those that have data are all of one size class.

    Returns
    -------
    ChunkResult
        A row for each set, in order.
    """
    usable = [i for i, p in enumerate(prepared) if p.data is not None]
    data = [p.data for p in prepared if p.data is not None]
    fits: dict[int, BatchFit] = {}
    draws: dict[int, np.ndarray] = {}
    if data:
        found = fit_chunk(job.spec, job.settings, [names[i] for i in usable], data)
        fits = dict(zip(usable, found, strict=True))
        all_values = quantities(job.spec, job.targets, job.settings.sets, data, found)
        draws = dict(zip(usable, all_values, strict=True))
    columns: dict[str, list[Any]] = {name: [] for name in dict.fromkeys((*by, *FACTS))}
    quantity_names = job.targets.names(job.spec)
    columns |= {f"{name}_{statistic}": [] for name in quantity_names for statistic in STATISTICS}
    kept = np.full((len(quantity_names), len(names), job.draws), np.nan)
    for i, one in enumerate(prepared):
        row: dict[str, Any] = dict(zip(by, values[i], strict=True)) | {"set": names[i]}
        row |= _facts(one, fits.get(i), draws.get(i))
        empty = np.empty((len(quantity_names), 0))
        here = draws.get(i, empty) if row["status"] != "failed" else empty
        weights = fits[i].weights if here.size else np.empty(0)
        for statistic, numbers in summarise(here, weights, job.level).items():
            row |= {
                f"{name}_{statistic}": float(number)
                for name, number in zip(quantity_names, numbers, strict=True)
            }
        for column, cells in columns.items():
            cells.append(row[column])
        if job.draws and here.size:
            generator = np.random.default_rng([job.settings.seed, entropy_of(names[i]), 2])
            kept[:, i] = resample(weights, here, job.draws, generator)
    named = dict(zip(quantity_names, kept, strict=True)) if job.draws else {}
    return ChunkResult(columns, named)


def _facts(one: Prepared, fit: BatchFit | None, values: np.ndarray | None) -> dict[str, Any]:
    """The columns of `FACTS` of one set."""
    if fit is None:
        nothing = {"method": "", "k": np.nan, "ess": np.nan, "rhat": np.nan, "divergences": 0}
        codes = ",".join(one.codes)
        rejected = {"status": "rejected", "codes": codes, "reason": one.reason}
        return {"n_runs": one.n_runs, **rejected, **nothing}
    verdicts = [*judge(fit, values), *one.verdicts]
    status = worst_of(verdicts)
    notable = [v for v in verdicts if v.severity != "note"]
    return {
        "n_runs": one.n_runs,
        "status": status,
        "method": fit.method,
        "codes": ",".join(dict.fromkeys([*(v.code for v in notable), *one.codes])),
        "reason": notable[0].sentence if status == "failed" else "",
        "k": fit.k,
        "ess": fit.ess,
        "rhat": np.nan if fit.mixing is None else fit.mixing.rhat_max,
        "divergences": fit.divergences,
    }


def judge(fit: BatchFit, values: np.ndarray | None) -> list[Verdict]:
    """Return what speaks against a posterior of a batch, worst first."""
    if not fit.found:
        return [NO_MODE]
    verdicts = []
    if values is None or not (np.isfinite(values).all() and np.isfinite(fit.weights).all()):
        verdicts.append(
            Verdict("not-finite", "failed", "some draws are not finite.", "Check the runs.")
        )
    if fit.mixing is None:
        verdicts += judge_weights(fit.k, fit.ess, k_limit(len(fit.u)))
    else:
        verdicts += judge_chains(fit.mixing, fit.divergences, len(fit.u))
    return sorted(verdicts, key=lambda v: v.severity != "failed")
