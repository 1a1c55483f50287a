"""A chunk of data sets fitted side by side: modes, importance sampling, and NUTS where it is needed.

A chunk has a fixed shape, whatever the number of data sets asked for, and every random number of a
data set comes from the seed and the data set's own name; so a result depends neither on the place
of a data set in the batch nor on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.inference.batch_fit import BatchFit, from_chains, from_weights
from bayescale.inference.geometry import Whitening, empirical_whitening, prior_points
from bayescale.inference.importance import (
    CALL,
    Density,
    densities,
    densities_of_some,
    importance_sample,
)
from bayescale.inference.jumping import Jumps, can_jump, fit_mixtures, make_jumps
from bayescale.inference.mode import Evaluate, bound, evaluate_curvature, find_minima, joined
from bayescale.inference.nuts import Sampler, Start
from bayescale.inference.programs import key_data, programs
from bayescale.inference.side_by_side import (
    COARSE,
    coarse_rows,
    entropy_of,
    over_devices,
    sample_chains,
    stack,
)
from bayescale.model import Data, ModelSpec

Method = Literal["auto", "laplace-is", "nuts"]
METHODS: tuple[Method, ...] = ("auto", "laplace-is", "nuts")
CHAINS = 4
TARGET_ACCEPT = (0.8, 0.95)  # the second for the data sets whose chains disagree or diverge
RIVAL = 6.0  # a minimum within this of the lowest, in log density, is a start for chains
STARTS = 2
AGREEMENT = 0.02  # of log densities in 32 and in 64 bits, about their mean difference
PROBES = 2  # times STARTS: draws that the agreement is judged by
COARSE_TOLERANCE = 0.1  # of that search: its minimum is a start only
JUMPING = 8  # sets of a device whose chains jump at once
JUMPING_TARGETS = (0.95, 0.99, 0.998)  # a round each, for the sets that need it
APART = 1.0  # searches that end nearer to each other than this, in the whitened space, go on as one


@dataclass(frozen=True)
class BatchSettings:
    """What shapes the programs and the draws of a batch.

    Parameters
    ----------
    method
        ``"laplace-is"``, ``"nuts"``, or ``"auto"``: the first, and the second for the data sets
        whose Pareto k or effective sample size say no.
    seed
        Seed of all data sets; each has its own stream, from its name.
    sets
        Data sets in a chunk, a multiple of the number of devices.
    side_by_side
        Searches, blocks of draws and chains that a device works on at once.
    bits
        32 or 64: precision of the densities of draws, and of chains. Modes are found in 64 bits, and
        a data set whose densities in 32 bits do not agree with those is drawn in 64.
    samplers
        NUTS: draws, warm-up and the cap on the depth of the tree; the second is for the data sets
        whose chains disagree or diverge in the first, and begins from what that one learned.
    """

    method: Method = "auto"
    seed: int = 0
    sets: int = 64
    side_by_side: int = 1
    bits: int = 32
    samplers: tuple[Sampler, Sampler] = (Sampler(150, 60, 6), Sampler(1000, 300, 8))


def fit_chunk(
    spec: ModelSpec, settings: BatchSettings, names: Sequence[str], data: Sequence[Data]
) -> list[BatchFit]:
    """Fit at most ``settings.sets`` data sets of one size class.

    Parameters
    ----------
    spec
        The model.
    settings
        Method, seed, shapes.
    names
        Name of each data set.
    data
        The data sets, padded to the same number of rows.

    Returns
    -------
    list of BatchFit
        In the order of the names.

    Raises
    ------
    InputError
        The sets of a chunk cannot be shared evenly by the devices.
    """
    devices = jax.device_count()
    if settings.sets % devices:
        raise InputError(
            Problem("sets", f"{settings.sets} data sets in a chunk are no multiple of {devices} devices",
                    "each device works on its own share", f"give a multiple of {devices}")
        )  # fmt: skip
    with jax.enable_x64(True):
        return _Chunk(spec, settings, names, data).fits()


class _Chunk:
    """The work on one chunk: what its steps share."""

    def __init__(
        self, spec: ModelSpec, settings: BatchSettings, names: Sequence[str], data: Sequence[Data]
    ):
        self.spec, self.settings, self.size = spec, settings, len(spec.coordinates)
        self.names = [*names, *[""] * (settings.sets - len(names))]
        self.data = stack(data, settings.sets)
        self.there = np.arange(settings.sets) < len(data)
        self.generators = [
            np.random.default_rng([settings.seed, entropy_of(name), 0]) for name in self.names
        ]
        self.evaluate, coarse = self._evaluates()
        self.density = self._density(settings.bits)
        rounds = [self._coarse_minima(coarse, starts) for starts in self._starts()]
        self.minima = joined([find_minima(self.evaluate, *each) for each in rounds], STARTS)
        self.whitening = self.minima.whitening()

    def fits(self) -> list[BatchFit]:
        """Sample each data set that has a mode, in the precision that it allows."""
        found = self.minima.converged.any(axis=1) & self.there
        rough = found & (self.settings.bits == 32)
        if rough.any():
            rough &= self._agree(rough)
        results = [BatchFit("nuts", np.empty((0, self.size)), np.empty(0), np.inf, 0.0, None, 0)]
        results *= self.settings.sets
        for bits, wanted in ((32, rough), (64, found & ~rough)):
            if wanted.any():
                for i, fit in self._sample(bits, wanted):
                    results[i] = fit
        return results[: int(self.there.sum())]

    def _sample(self, bits: int, wanted: np.ndarray) -> list[tuple[int, BatchFit]]:
        k = np.full(len(wanted), np.nan)
        results = []
        if self.settings.method != "nuts":
            weighted = importance_sample(
                self._density_in(bits), self.whitening, self.generators, wanted
            )
            k = weighted.k
            one_mode = weighted.good() & ~self._rivals().any(axis=1)  # weights do not see another
            keep = wanted & (one_mode | (self.settings.method == "laplace-is"))
            results += [(i, from_weights(weighted, i)) for i in np.flatnonzero(keep).tolist()]
            wanted = wanted & ~keep
        whitening, starts = self.whitening, self._chain_starts()
        for sampler, target in zip(self.settings.samplers, TARGET_ACCEPT, strict=True):
            if wanted.any():
                out = self._chains(bits, wanted, sampler, target, whitening, starts)
                fits = {
                    i: from_chains(out["unbounded"][i], out["diverging"][i], float(k[i]))
                    for i in np.flatnonzero(wanted).tolist()
                }
                results += fits.items()  # the later one counts
                wanted = wanted & [i in fits and not fits[i].agreed for i in range(len(wanted))]
                whitening, starts = self._learned(out["unbounded"], wanted, whitening, starts)
        return results + self._jumping(bits, wanted, dict(results))

    def _jumping(
        self, bits: int, wanted: np.ndarray, fits: Mapping[int, BatchFit]
    ) -> list[tuple[int, BatchFit]]:
        """The sets whose chains disagreed, by chains that jump between what those found; where better."""
        rows = [i for i in np.flatnonzero(wanted).tolist() if i in fits and can_jump(fits[i].u)]
        best = dict(fits)
        count = JUMPING * jax.device_count()  # few at once: proposals take memory
        for target in JUMPING_TARGETS:  # they jump between what the round before found
            for first in range(0, len(rows), count):
                part = rows[first : first + count]
                made = self._jumping_of(bits, part, best, count, target)
                best |= {i: fit for i, fit in made.items() if fit.quality > best[i].quality}
            rows = [i for i in rows if not best[i].agreed]
        return [(i, fit) for i, fit in best.items() if fit.method == "jumping"]

    def _jumping_of(
        self,
        bits: int,
        rows: Sequence[int],
        fits: Mapping[int, BatchFit],
        count: int,
        target: float,
    ) -> dict[int, BatchFit]:
        asked = np.isin(np.arange(len(self.there)), rows)
        density = self._density_in(bits)

        def there(u: np.ndarray) -> np.ndarray:
            return densities_of_some(density, u, rows, asked)

        streams, sampler = [self.generators[i] for i in rows], self.settings.samplers[-1]
        mixtures = fit_mixtures(there, [fits[i].u for i in rows], streams)
        maps = [mixture.whitening() for mixture in mixtures]
        transitions = sampler.warmup + sampler.draws
        jumps = make_jumps(there, mixtures, maps, streams, CHAINS, transitions)
        last = np.zeros((len(asked), CHAINS, self.size))
        last[rows] = [fits[i].u.reshape(CHAINS, -1, self.size)[:, -1] for i in rows]
        value, gradient = self._value_and_gradient(last, asked)
        whitening = Whitening(*(np.stack(parts) for parts in zip(*maps, strict=True)))
        inverse = np.linalg.inv(whitening.scale)
        start = Start(
            np.einsum("sij,scj->sci", inverse, last[rows] - whitening.mode[:, None]),
            value[rows],
            np.einsum("sci,sij->scj", gradient[rows], whitening.scale),
        )
        filled = [*range(len(rows)), *[0] * (count - len(rows))]
        mine = jax.tree.map(lambda array: array[filled], (whitening, start, jumps))
        data = jax.tree.map(lambda array: array[[rows[i] for i in filled]], self.data)
        names = [self.names[rows[i]] for i in filled]
        out = self._run(bits, names, np.arange(count) < len(rows), sampler, target, data, *mine)
        return {
            i: replace(from_chains(u, diverging, fits[i].k), method="jumping")
            for i, u, diverging in zip(rows, out["unbounded"], out["diverging"], strict=False)
        }

    def _learned(
        self, u: np.ndarray, wanted: np.ndarray, whitening: Whitening, starts: Start
    ) -> tuple[Whitening, Start]:
        """Whiten with the covariance of the draws, and start the chains where they ended."""
        wanted = wanted & np.isfinite(u).all(axis=(1, 2, 3))
        learned = [empirical_whitening(draws) for draws in u[wanted]]
        if not learned:
            return whitening, starts
        mode, scale = (array.copy() for array in whitening)
        mode[wanted] = [one.mode for one in learned]
        scale[wanted] = [one.scale for one in learned]
        last = u[:, :, -1]
        value, gradient = self._value_and_gradient(last, wanted)
        z = np.einsum("sij,scj->sci", np.linalg.inv(scale), last - mode[:, None])
        after = Start(z, value, np.einsum("sci,sij->scj", gradient, scale))
        mine = [
            np.where(wanted.reshape(-1, *[1] * (old.ndim - 1)), new, old)
            for new, old in zip(after, starts, strict=True)
        ]
        return Whitening(mode, scale), Start(*mine)

    def _value_and_gradient(
        self, u: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Negative log densities and gradients at one point for each chain."""
        going = np.repeat(wanted[:, None], STARTS, axis=1)
        parts = [self.evaluate(u[:, i : i + STARTS], going) for i in range(0, u.shape[1], STARTS)]
        value, gradient, _ = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        return value, gradient

    def _evaluates(self) -> list[Evaluate]:
        """Values, gradients and Hessians given all rows, and given some of them if there are many."""
        points = np.zeros((self.settings.sets, STARTS, self.size))
        going = np.ones(points.shape[:2], bool)
        static = (self.spec, evaluate_curvature, (self.settings.side_by_side,))
        every = (self.data, coarse_rows(self.data))
        found = programs(*[(over_devices, static, (points, going, data)) for data in every])
        return [bound(program, data) for program, data in zip(found, every, strict=True)]

    def _coarse_minima(
        self, evaluate: Evaluate, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the searches begin, from minima given some of the rows, and which of them are needed."""
        going = np.repeat(self.there[:, None], STARTS, axis=1)
        if self.data.log_loss.shape[1] < 2 * COARSE:
            return starts, going
        coarse = find_minima(evaluate, starts, going, COARSE_TOLERANCE)
        starts = np.where(coarse.converged[..., None], coarse.u, starts)
        whitening = coarse.whitening()
        apart = np.einsum(
            "sij,skj->ski", np.linalg.inv(whitening.scale), starts - whitening.mode[:, None]
        )
        best = np.arange(STARTS) == coarse.best[:, None]
        with np.errstate(invalid="ignore"):
            needed = best | ~coarse.converged | (np.linalg.norm(apart, axis=-1) > APART)
        return starts, going & needed

    def _density_in(self, bits: int) -> Density:
        """That of the settings, or another, compiled when it is first needed."""
        return self.density if bits == self.settings.bits else self._density(bits)

    def _density(self, bits: int) -> Density:
        """The compiled `densities` of the data sets, 64 bits in and out."""
        dtype = np.float32 if bits == 32 else np.float64
        data = jax.tree.map(lambda array: array.astype(dtype), self.data)
        u, wanted = np.zeros((self.settings.sets, CALL, self.size), dtype), self.there
        static = (self.spec, densities, (self.settings.side_by_side,))
        (program,) = programs((over_devices, static, (u, wanted, data)), bits=bits)
        placed = jax.device_put(data)

        def density(u: np.ndarray, wanted: np.ndarray) -> np.ndarray:
            return np.asarray(program(u.astype(dtype), wanted, placed)).astype(np.float64)

        return density

    def _starts(self) -> list[np.ndarray]:
        """For each round of searches the densest of some draws from the prior, (sets, starts, p)."""
        # The same prior mass for all sets, so that its quantiles are worked out once.
        mass = np.random.default_rng(self.settings.seed).uniform(size=(1, CALL, self.size))
        reference = {name: value[:, None] for name, value in self.data.reference.items()}
        points = prior_points(self.spec, reference, mass)
        # One set of points where no prior is relative to the data.
        points = np.broadcast_to(points, (self.settings.sets, *points.shape[1:]))
        value = np.nan_to_num(self.density(points, self.there), nan=-np.inf)
        starts, rounds = [], self.spec.law.searches
        for first in range(rounds):
            best = first + rounds * np.argsort(-value[:, first::rounds], axis=1)[:, :STARTS]
            starts.append(np.take_along_axis(points, best[..., None], axis=1))
        return starts

    def _agree(self, wanted: np.ndarray) -> np.ndarray:
        """Whether log densities in 32 bits differ from those in 64 by a constant only."""
        shape = (PROBES * STARTS, self.size)
        z = np.stack([g.standard_normal(shape) for g in self.generators])
        u = self.whitening.mode[:, None] + np.einsum("sij,skj->ski", self.whitening.scale, z)
        going = np.broadcast_to(wanted[:, None], (len(u), STARTS))
        parts = np.split(u, PROBES, axis=1)
        exact = -np.concatenate([self.evaluate(part, going)[0] for part in parts], axis=1)
        points = np.zeros((len(u), CALL, self.size))
        points[:, : u.shape[1]] = u
        with np.errstate(invalid="ignore"):
            spread = np.ptp(self.density(points, wanted)[:, : u.shape[1]] - exact, axis=1)
        return spread < AGREEMENT

    def _chains(
        self,
        bits: int,
        wanted: np.ndarray,
        sampler: Sampler,
        target: float,
        whitening: Whitening,
        starts: Start,
    ) -> dict[str, Any]:
        return self._run(bits, self.names, wanted, sampler, target, self.data, whitening, starts)

    def _run(
        self,
        bits: int,
        names: Sequence[str],
        wanted: np.ndarray,
        sampler: Sampler,
        target: float,
        data: Data,
        whitening: Whitening,
        starts: Start,
        *jumps: Jumps,
    ) -> dict[str, Any]:
        """Run the chains of some data sets, every array of theirs with a first axis (sets)."""
        settings = self.settings
        use = (sampler.draws, round(1000 * target)) if jumps else (sampler.draws,)
        keys = [key_data(CHAINS, settings.seed, entropy_of(name), *use) for name in names]
        dtype = np.float32 if bits == 32 else np.float64
        numbers = (np.full(len(keys), target), data, whitening, starts, *jumps)
        numbers = jax.tree.map(lambda a: a.astype(dtype), numbers)
        static = (self.spec, sample_chains, (settings.side_by_side, sampler))
        arguments = (np.stack(keys), wanted, *numbers)
        (run,) = programs((over_devices, static, arguments), bits=bits)
        return jax.tree.map(lambda a: np.asarray(a).astype(np.float64), run(*arguments))

    def _near_lowest(self) -> np.ndarray:
        """Which minima are not far above the lowest, (sets, starts)."""
        lowest = self.minima.value.min(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return self.minima.converged & (self.minima.value < lowest + RIVAL)

    def _rivals(self) -> np.ndarray:
        """Which of these lie apart from it, (sets, starts)."""
        apart = self.minima.u - self.whitening.mode[:, None]
        z = np.einsum("sij,scj->sci", np.linalg.inv(self.whitening.scale), apart)
        with np.errstate(invalid="ignore"):
            return self._near_lowest() & (np.linalg.norm(z, axis=-1) > APART)

    def _chain_starts(self) -> Start:
        """The minima in turn, those that are no rivals of the lowest left out; (sets, CHAINS, ...)."""
        minima, rival = self.minima, self._near_lowest()
        turn = np.arange(CHAINS) % STARTS
        chosen = np.where(rival[:, turn], turn, minima.best[:, None])
        rows = np.arange(len(chosen))[:, None], chosen
        apart = minima.u[rows] - self.whitening.mode[:, None]
        inverse = np.linalg.inv(self.whitening.scale)
        return Start(
            np.einsum("sij,scj->sci", inverse, apart),
            minima.value[rows],
            np.einsum("sci,sij->scj", minima.gradient[rows], self.whitening.scale),
        )
