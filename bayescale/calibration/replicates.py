"""Simulated data sets whose truth is known, and the ranks of the truths among draws given each set."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayescale.calibration.quantities import LABELS, Answers, drawn, names, rank
from bayescale.calibration.result import Calibration
from bayescale.drift import drift_name
from bayescale.errors import InputError, Problem
from bayescale.inference.batch import METHODS, BatchSettings, fit_chunk
from bayescale.inference.batch_fit import BatchFit
from bayescale.laws import law_losses
from bayescale.model import Data, ModelSpec
from bayescale.sweep.work import judge

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]  # replicates done, and of how many

LEAST = 20  # replicates
ALARMS = (1e-6, 0.5)
SETS = 50  # fits in a chunk, before it is rounded up to a multiple of the devices
SCATTER, RANK = 0, 1  # streams of random numbers of a replicate


@dataclass(frozen=True, eq=False)
class Replicates:
    """Data sets on one design, each simulated from a truth.

    Parameters
    ----------
    spec
        The model that the truths belong to.
    truths
        Unbounded vectors, shape (replicates, p).
    data
        The data sets.
    answers
        Where losses and the optimum are asked for.
    seed
        Seed of all of them.
    """

    spec: ModelSpec
    truths: Floats
    data: tuple[Data, ...]
    answers: Answers
    seed: int

    def __len__(self) -> int:
        return len(self.data)

    def stream(self, i: int, use: int) -> np.random.Generator:
        """Return a random stream of one replicate."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(i, use)))


def simulated(spec: ModelSpec, truths: Floats, design: Data, seed: int) -> Floats:
    """Return log losses of runs on a design, one set for each truth, shape (truths, rows).

    Parameters
    ----------
    spec
        The model.
    truths
        Unbounded vectors, shape (truths, p).
    design
        Runs whose inputs, standard errors and places in the drift are used.
    seed
        Each set has a stream of its own.
    """
    with jax.enable_x64(True):
        coordinates = {
            name: np.asarray(column)[:, None] for name, column in _constrained(spec, truths, design)
        }
        law, noise = spec.build(coordinates, design.reference)
    log_loss = np.log(law_losses(jax.tree.map(np.ravel, law), design.inputs))
    if spec.drift is not None:
        increments = np.concatenate([coordinates[name] for name in spec.drift.names], axis=1)
        log_loss = log_loss + increments @ np.asarray(design.basis).T
    streams = [
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i, SCATTER)))
        for i in range(len(truths))
    ]
    for i, stream in enumerate(streams):
        one = jax.tree.map(lambda field, i=i: np.asarray(field)[i], noise)
        if spec.effects is None:
            known = design.items if one.counts else design.relative_se
            log_loss[i] = one.observed(stream, log_loss[i], known, design.below)
        else:
            scales = {name: coordinates[name][i] for name in spec.effects.names}
            log_loss[i] += spec.effects.scatter(
                one, scales, stream, design.relative_se, design.below, design.group
            )
    return log_loss


def _constrained(spec: ModelSpec, truths: Floats, design: Data) -> list[tuple[str, Any]]:
    values = jax.jit(jax.vmap(lambda u: spec.constrain(u, design.reference)))(truths)
    return list(values.items())


def fit_all(
    spec: ModelSpec,
    settings: BatchSettings,
    replicates: Replicates,
    progress: Progress | None = None,
) -> list[BatchFit]:
    """Fit a model to every replicate, chunks side by side; the order does not matter to the numbers."""
    chunks = _chunks(len(replicates), settings.sets)
    done = 0

    def work(chunk: range) -> list[BatchFit]:
        named = [f"replicate {i}" for i in chunk]
        return fit_chunk(spec, settings, named, [replicates.data[i] for i in chunk])

    fits: list[BatchFit] = []
    with ThreadPoolExecutor(max(2, (os.cpu_count() or 1) // jax.device_count())) as pool:
        for part in pool.map(work, chunks):
            fits += part
            done += len(part)
            if progress:
                progress(done, len(replicates))
    return fits


def rank_all(
    replicates: Replicates, fits: Sequence[BatchFit], sets: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the ranks of the truths, and which of the replicates count.

    A replicate is dropped where no mode was found or the sampling failed, which the data alone decide.

    Parameters
    ----------
    replicates
        The data sets and their truths.
    fits
        The posterior given each of them.
    sets
        Sets in a chunk: the shape of the program.

    Returns
    -------
    ranks
        Shape (replicates, quantities); NaN where a replicate is dropped.
    kept
        Shape (replicates,).
    """
    found = []
    for chunk in _chunks(len(replicates), sets):
        streams = [replicates.stream(i, RANK) for i in chunk]
        vectors = [np.vstack([fits[i].u, replicates.truths[i]]) for i in chunk]
        data = [replicates.data[i] for i in chunk]
        values = drawn(replicates.spec, sets, data, vectors, replicates.answers, streams)
        for i, mine, stream in zip(chunk, values, streams, strict=True):
            sound = not any(v.severity == "failed" for v in judge(fits[i], mine[:, :-1]))
            ranked = (
                rank(mine[:, -1], mine[:, :-1], fits[i], stream) if sound else mine[:, 0] * np.nan
            )
            found.append(ranked)
    ranks = np.array(found)
    return ranks, np.isfinite(ranks).all(axis=1)


def _chunks(count: int, sets: int) -> list[range]:
    return [range(i, min(i + sets, count)) for i in range(0, count, sets)]


def check_replicates(count: int, false_alarm: float) -> None:
    """Raise `InputError` if there are too few replicates, or no such rate of false alarms."""
    if count < LEAST:
        raise InputError(
            Problem("replicates", f"it is {count}", "so few ranks show nothing",
                    f"give {LEAST} or more; 200 find intervals that are a fifth too narrow more often "
                    "than not")
        )  # fmt: skip
    low, high = ALARMS
    if not low <= false_alarm <= high:
        raise InputError(
            Problem("false_alarm", f"it is {false_alarm:g}", remedy=f"give {low:g} to {high:g}")
        )


def calibration_of(
    source: str,
    replicates: Replicates,
    settings: BatchSettings,
    n_runs: int,
    false_alarm: float,
    progress: Progress | None,
) -> Calibration:
    """Fit the replicates, rank their truths, and return what was found."""
    spec = replicates.spec
    fits = fit_all(spec, settings, replicates, progress)
    ranks, kept = rank_all(replicates, fits, settings.sets)
    return Calibration(
        source=source,
        law=spec.law.name,
        noise=spec.noise.name,
        drift=drift_name(spec.drift),
        n_runs=n_runs,
        ranks=dict(zip(names(spec), ranks[kept].T, strict=True)),
        labels={name: LABELS.get(name, name) for name in names(spec)},
        replicates=len(replicates),
        dropped=int((~kept).sum()),
        false_alarm=false_alarm,
    )


def batch_settings(method: Any, seed: int) -> BatchSettings:
    """Return the settings of the fits, with a chunk that the devices share evenly.

    Raises
    ------
    InputError
        There is no such method.
    """
    if method not in METHODS:
        raise InputError(
            Problem("method", f"{method!r} is not a method", remedy=f"use {', '.join(METHODS)}")
        )
    devices = jax.device_count()
    return BatchSettings(method=method, seed=seed, sets=-(-SETS // devices) * devices)
