"""Law + priors + noise -> one log density over unbounded coordinates, the data as its argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np

from bayescale.drift import DampedTrend, Span, log_compute
from bayescale.effects import Effects, get_effects, renewed
from bayescale.errors import InputError, Problem
from bayescale.laws import Law
from bayescale.noise import Noise
from bayescale.parameters import Coordinate
from bayescale.priors import Prior
from bayescale.runs import Runs
from bayescale.runs.catalogue import domain_of, scales
from bayescale.units import LEAST_WRONG

SIZE_CLASSES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
NEAR = np.log(3.0)  # runs within this distance of the centre, in log of the product of the inputs


class Data(NamedTuple):
    """What a compiled program sees of a data set: runs padded to a size class, and its reference.

    Parameters
    ----------
    inputs
        Symbol to values, each of shape (size,).
    log_loss, relative_se
        Observed log losses and their known standard errors, shape (size,).
    items
        Number of items that each error rate is of, shape (size,); 0 where it is not known.
    weight
        How often each run counts, shape (size,): 1, and 0 for padding or a run left out.
    reference
        Name to number: geometric mean of each input, and ``low_loss``.
    below
        Decades of compute from each run up to the largest, shape (size,).
    basis
        What one unit of each increment of the drift adds to log loss, shape (size, increments).
    group
        The group of each run whose rows share a shift, shape (size, 1), and with `Effects.along` the
        order of the rows and their places, shape (size, 3), all as floats; (size, 0) for a model without
        effects.
    """

    inputs: Mapping[str, Any]
    log_loss: Any
    relative_se: Any
    items: Any
    weight: Any
    reference: Mapping[str, Any]
    below: Any
    basis: Any
    group: Any


class Sampled(Protocol):
    """What the engine needs of a model: a density over unbounded vectors, hashable."""

    @property
    def law(self) -> type[Law]:
        """The law."""

    @property
    def noise(self) -> type[Noise]:
        """The noise model."""

    @property
    def priors(self) -> tuple[tuple[str, Prior], ...]:
        """Priors in place of those of the law and the noise."""

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """What is sampled, in order, with the priors that searches start from."""

    def unconstrain(
        self, coordinates: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> np.ndarray:
        """Return the unbounded vectors of coordinates, on a new last axis; in NumPy."""

    def log_density(self, u: Any, data: Any) -> Any:
        """Return the log posterior density of an unbounded vector, up to a constant."""

    def quantities(self, u: Any, data: Any) -> tuple[dict[str, Any], ...]:
        """Return parameters of the law, of the noise, and coordinates, at an unbounded vector."""


@dataclass(frozen=True)
class ModelSpec:
    """Law, noise, drift and effects, and priors that differ from theirs; hashable: programs are kept."""

    law: type[Law]
    noise: type[Noise]
    priors: tuple[tuple[str, Prior], ...] = ()
    drift: DampedTrend | None = None
    effects: Effects | None = None

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """All coordinates: of the law, of the noise, of the effects, and the drift's increments."""
        return (*self.beliefs, *(() if self.drift is None else self.drift.coordinates))

    @property
    def beliefs(self) -> tuple[Coordinate, ...]:
        """The coordinates of the law, of the noise and of the effects, with the priors in force."""
        chosen = dict(self.priors)
        shared = () if self.effects is None else self.effects.coordinates
        return tuple(
            replace(c, prior=chosen.get(c.name, c.prior))
            for c in (*self.law.coordinates, *self.noise.coordinates, *shared)
        )

    def build(
        self, coordinates: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> tuple[Law, Noise]:
        """Return the law and the noise that have these coordinates."""
        law = self.law.from_coordinates(coordinates, reference)
        return law, self.noise.from_coordinates(coordinates)

    def constrain(self, u: Any, reference: Mapping[str, Any]) -> dict[str, Any]:
        """Return the coordinates at an unbounded vector of shape (coordinates,)."""
        return {
            c.name: c.prior.from_unbounded(u[i], reference)[0]
            for i, c in enumerate(self.coordinates)
        }

    def unconstrain(
        self, coordinates: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> np.ndarray:
        """Return the unbounded vectors of coordinates, on a new last axis; in NumPy."""
        columns = [c.prior.to_unbounded(coordinates[c.name], reference) for c in self.coordinates]
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    def quantities(self, u: Any, data: Data) -> tuple[dict[str, Any], ...]:
        """Return parameters of the law, of the noise, and coordinates, at an unbounded vector."""
        coordinates = self.constrain(u, data.reference)
        law, noise = self.build(coordinates, data.reference)
        return (
            {p.name: getattr(law, p.name) for p in self.law.parameters()},
            {p.name: getattr(noise, p.name) for p in self.noise.parameters()},
            coordinates,
        )

    def log_likelihood(self, coordinates: Mapping[str, Any], data: Data) -> Any:
        """Return the log density of the log losses, every run counted by its weight."""
        if self.effects is None:
            return jnp.sum(data.weight * self.log_densities(coordinates, data))
        noise, log_mean = self._means(coordinates, data)
        residual = data.log_loss - log_mean
        known = (data.relative_se, data.below, data.weight, data.group)
        return jnp.sum(self.effects.log_densities(noise, coordinates, residual, *known))

    def log_densities(self, coordinates: Mapping[str, Any], data: Data) -> Any:
        """Return the log density of the log loss of each run, shape (size,); shifts of effects left out."""
        noise, log_mean = self._means(coordinates, data)
        known = data.items if noise.counts else data.relative_se
        return noise.likelihood(data.log_loss, log_mean, known, data.below)

    def _means(self, coordinates: Mapping[str, Any], data: Data) -> tuple[Noise, Any]:
        """The noise, and the log losses that it is about: those of the law and its drift."""
        law, noise = self.build(coordinates, data.reference)
        log_mean = jnp.log(law.loss(data.inputs))
        if self.drift is not None:
            increments = jnp.stack([coordinates[name] for name in self.drift.names])
            log_mean = log_mean + data.basis @ increments
        return noise, log_mean

    def log_density(self, u: Any, data: Data) -> Any:
        """Return the log posterior density of an unbounded vector, up to a constant.

        Parameters
        ----------
        u
            Shape (coordinates,), in the order of `coordinates`.
        data
            The runs.

        Returns
        -------
        scalar
            Log prior density of `u`, plus the log likelihood.
        """
        coordinates, prior = {}, 0.0
        for i, c in enumerate(self.beliefs):
            coordinates[c.name], density = c.prior.from_unbounded(u[i], data.reference)
            prior = prior + density
        if self.drift is not None:
            increments = [u[len(coordinates) + k] for k in range(len(self.drift.names))]
            prior = prior + self.drift.log_prior(increments)
            coordinates |= dict(zip(self.drift.names, increments, strict=True))
        return prior + self.log_likelihood(coordinates, data)


@dataclass(frozen=True)
class OfModel:
    """What is sampled in place of a model, in other coordinates or for several groups: a `Sampled`."""

    model: ModelSpec

    @property
    def law(self) -> type[Law]:
        """The law."""
        return self.model.law

    @property
    def noise(self) -> type[Noise]:
        """The noise model."""
        return self.model.noise

    @property
    def priors(self) -> tuple[tuple[str, Prior], ...]:
        """Priors in place of those of the law and the noise."""
        return self.model.priors


def model_spec(
    law: type[Law],
    noise: type[Noise],
    priors: Mapping[str, Prior] | None = None,
    drift: DampedTrend | None = None,
    effects: str | Effects | None = None,
) -> ModelSpec:
    """Return the model of a law, a noise, a drift and effects, with some priors replaced.

    Raises
    ------
    InputError
        A prior is given for a coordinate that the model does not have, or is not a `Prior`; or the
        noise allows no effects.
    """
    shared = get_effects(effects, noise)
    spec = ModelSpec(law, noise, tuple(sorted((priors or {}).items())), drift, shared)
    names = [c.name for c in spec.beliefs]
    for name, prior in spec.priors:
        if name not in names:
            raise InputError(
                Problem("priors", f"{name!r} is not a coordinate of {law.name} with {noise.name} noise",
                        remedy=f"coordinates are {', '.join(names)}")
            )  # fmt: skip
        if not isinstance(prior, Prior):
            raise InputError(
                Problem("priors", f"the prior of {name!r} is {prior!r}",
                        remedy="give a bayescale.priors.Prior, such as LogNormal(0.3, 0.4)")
            )  # fmt: skip
    return spec


def reference_of(
    runs: Runs, inputs: tuple[str, ...], extremes: tuple[str, ...] = ()
) -> dict[str, float]:
    """Return the numbers of the data set that priors and coordinates refer to.

    The geometric mean of each input (the mean of one that may be 0), and ``low_loss``: the lowest
    tenth of the losses of the runs whose size is within a factor of 3 of its geometric mean (of the
    three nearest runs if none is), where the size is the product of the inputs that grow with compute.
    For each of the `extremes`, an input or the loss, ``lowest_`` and ``highest_`` value.
    """
    sizes = [np.log(runs[symbol]) for symbol in scales(inputs)]
    distance = np.abs(sum((column - column.mean() for column in sizes), np.zeros(len(runs))))
    near = distance <= max(NEAR, np.sort(distance)[:3][-1])
    reference = {symbol: typical_value(runs[symbol], symbol) for symbol in inputs}
    for name in extremes:
        values = runs.loss if name == "loss" else runs[name]
        reference |= {f"lowest_{name}": float(values.min()), f"highest_{name}": float(values.max())}
    low = float(np.quantile(runs.loss[near], 0.1))
    if low == 0 and runs.loss.any():  # error rates of 0: the priors need a level above it
        low = float(runs.loss[runs.loss > 0].min())
    return reference | {"low_loss": low}


def typical_value(values: np.ndarray, symbol: str) -> float:
    """Return the geometric mean of an input, or the mean of one that may be 0."""
    if domain_of(symbol).holds(np.zeros(1)).any():
        return float(values.mean())
    return float(np.exp(np.log(values).mean()))


def span_of(runs: Runs, inputs: tuple[str, ...]) -> Span:
    """Return the span of the runs in compute, as their drift sees it."""
    return Span.of(log_compute({symbol: runs[symbol] for symbol in inputs}))


def size_class(n: int) -> int:
    """Return the number of rows to which `n` runs are padded."""
    return next((size for size in SIZE_CLASSES if n <= size), n)


def data_of(
    runs: Runs,
    inputs: tuple[str, ...],
    drift: DampedTrend | None = None,
    effects: Effects | None = None,
    reference: Mapping[str, float] | None = None,
    size: int | None = None,
    extremes: tuple[str, ...] = (),
) -> Data:
    """Pad the runs to a size; padding repeats the reference and has weight 0.

    The size is the runs' class and the reference their own, unless others are given.
    """
    reference = reference_of(runs, inputs, extremes) if reference is None else reference
    span = span_of(runs, inputs)
    below = span.below(log_compute({symbol: runs[symbol] for symbol in inputs}))
    basis = np.empty((len(runs), 0)) if drift is None else drift.basis(below, span.decades)
    group = np.empty((len(runs), 0)) if effects is None else effects.columns(runs)
    padding = (size_class(len(runs)) if size is None else size) - len(runs)

    def pad(column: np.ndarray, value: float) -> np.ndarray:
        return np.concatenate([column, np.full(padding, value)]).astype(np.float64)

    return Data(
        inputs={symbol: pad(runs[symbol], reference[symbol]) for symbol in inputs},
        log_loss=pad(runs.log_loss, np.log(max(reference["low_loss"], LEAST_WRONG))),
        relative_se=pad(runs.relative_se, 0.0),
        items=pad(np.zeros(len(runs)) if runs.items is None else runs.items, 0.0),
        weight=pad(np.ones(len(runs)), 0.0),
        reference={name: np.float64(value) for name, value in reference.items()},
        below=pad(below, 0.0),
        basis=np.pad(basis, ((0, padding), (0, 0))),
        group=renewed(np.pad(group, ((0, padding), (0, 0)))),
    )


def prior_draws(
    spec: ModelSpec, reference: Mapping[str, float], count: int, seed: int
) -> dict[str, np.ndarray]:
    """Return independent prior draws of every coordinate, each of shape (count,)."""
    generator = np.random.default_rng(seed)
    draws = {
        c.name: c.prior.quantile(generator.uniform(size=count), reference) for c in spec.beliefs
    }
    return draws if spec.drift is None else draws | spec.drift.prior_draws(count, generator)
