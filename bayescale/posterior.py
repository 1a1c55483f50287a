"""A posterior: draws of a law and of a noise model, with the runs and everything that made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.diagnostics import Diagnostics, diagnose
from bayescale.drift import FORECASTS, SCALE, drift_name, log_compute
from bayescale.errors import FailedFitError
from bayescale.intervals import DEFAULT_LEVEL, Interval, flat, summarise
from bayescale.laws import ClosedFormOptimum, Law
from bayescale.model import ModelSpec, prior_draws, span_of
from bayescale.noise import Noise
from bayescale.parameters import Parameter
from bayescale.runs import Runs
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

    import xarray

Draws = dict[str, np.ndarray]

PRIOR_DRAWS = 4000
FARTHEST = 50.0  # scatter of log loss: a loss beyond it would overflow
TAU, WALK = 2, 3  # streams of random numbers beside those of the sampler and of the scatter

DERIVED = (
    Parameter("a", "a", "exponent of C in the optimal N"),
    Parameter("b", "b", "exponent of C in the optimal D"),
)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of a law given runs; made by `bayescale.fit` or read by `bayescale.load`.

    Parameters
    ----------
    law
        The law, every field an array of shape (chains, draws): ``posterior.law.alpha``.
    noise
        The noise model, likewise.
    coordinates
        Draws of what was sampled, in the sampler's coordinates.
    stats
        Sampler statistics: ``diverging``, ``energy``, ``num_steps``, ``accept_prob``, ``potential``,
        ``step_size``, ``reached_max_treedepth``; shape (chains, draws).
    spec
        Law, noise, drift and priors.
    runs
        The runs that were fitted.
    reference
        The numbers of the data set that priors refer to.
    provenance
        What made this posterior: versions, seed, settings, data hash, lifted checks, seconds.
    make_forecasters
        What makes `forecasters`; None if this posterior makes its own forecasts.
    """

    law: Law
    noise: Noise
    coordinates: Mapping[str, np.ndarray]
    stats: Mapping[str, np.ndarray]
    spec: ModelSpec
    runs: Runs
    reference: Mapping[str, float]
    provenance: Mapping[str, Any]
    make_forecasters: Callable[[], tuple[Posterior, ...]] | None = None

    @cached_property
    def forecasters(self) -> tuple[Posterior, ...]:
        """The posteriors that forecasts come from, with equal shares of the draws.

        Of the same runs, under models in which the law may fail as laws do; sampled when they are first
        asked for, and saved with this posterior. Or this one alone, if it was fitted with a drift of
        its own or without any (``drift="none"``).
        """
        return (self,) if self.make_forecasters is None else self.make_forecasters()

    @property
    def forecast_model(self) -> str:
        """The model that forecasts come from, in words."""
        laws = [model.spec.law.name for model in self.forecasters]
        drift = self.forecasters[0].spec.drift
        words = f"{' and '.join(laws)} {'law' if len(laws) == 1 else 'laws'}"
        return words if drift is None else f"{words} with {drift.name} drift"

    @property
    def drift_name(self) -> str:
        """``"forecasts"`` if forecasts alone have a drift; else the name of the model's, or "none"."""
        return drift_name(self.spec.drift if self.make_forecasters is None else FORECASTS)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Figures and verdicts on the sampling and the design."""
        return diagnose(self.spec, self.coordinates, self.stats, self.runs, self.reference)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains and of draws in each."""
        chains, draws = self.stats["energy"].shape
        return chains, draws

    @property
    def parameters(self) -> Draws:
        """Parameters of the law and of the noise, name to draws of shape (chains, draws)."""
        return {
            p.name: np.asarray(getattr(source, p.name))
            for source in (self.law, self.noise)
            for p in source.parameters()
        }

    @cached_property
    def derived(self) -> Draws:
        """What follows: the allocation exponents a and b, and the drift's tau, where they exist."""
        found: Draws = {}
        if isinstance(self.law, ClosedFormOptimum):
            found = {name: np.asarray(v) for name, v in self.law.allocation_exponents().items()}
        if self.spec.drift is not None:
            generator = np.random.default_rng([self.provenance.get("seed", 0), TAU])
            found[SCALE.name] = self.spec.drift.tau(self.coordinates, generator)
        return found

    def summary(self, level: float = DEFAULT_LEVEL) -> dict[str, Interval]:
        """Return the interval of every parameter and derived quantity."""
        return summarise({**self.parameters, **self.derived}, level)

    def require_sound(self, allow_failed: bool = False) -> None:
        """Raise `FailedFitError` if the sampling failed, unless told otherwise."""
        if self.diagnostics.verdict == "failed" and not allow_failed:
            failures = [v for v in self.diagnostics.verdicts if v.severity == "failed"]
            raise FailedFitError(
                "the sampling of this fit failed, so it gives no answers:\n"
                + "\n".join(f"  {v}" for v in failures)
                + "\nTo see answers all the same: --allow failed-sampling (allow_failed=True)."
            )

    def prior(self, count: int = PRIOR_DRAWS, seed: int = 0) -> tuple[Law, Noise]:
        """Return draws of the law and the noise from the prior, every field of shape (count,)."""
        with jax.enable_x64(True):
            draws = prior_draws(self.spec, self.reference, count, seed)
            law, noise = self.spec.build(draws, self.reference)
            return jax.tree.map(np.asarray, (law, noise))

    def drift_path(
        self, points: Mapping[str, ArrayLike], seed: int = 0
    ) -> NDArray[np.float64] | float:
        """Return the drift of log loss from the law at some points, shape (draws, points); 0 if none.

        Parameters
        ----------
        points
            Symbol to values, each of shape (points,).
        seed
            Seed of the walk beyond the runs.
        """
        if self.spec.drift is None:
            return 0.0
        increments = {name: flat(self.coordinates[name]) for name in self.spec.drift.names}
        with jax.enable_x64(True):
            return self.spec.drift.path(
                increments,
                log_compute({s: points[s] for s in self.spec.law.inputs}),
                span_of(self.runs, self.spec.law.inputs),
                np.random.default_rng([seed, WALK]),
            )

    def scatter(
        self,
        points: Mapping[str, ArrayLike],
        relative_se: ArrayLike,
        generator: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Return the scatter of log losses of runs at some points, shape (draws, points).

        Parameters
        ----------
        points
            Symbol to values, each of shape (points,).
        relative_se
            Known standard errors of the log losses; broadcasts to (draws, points).
        generator
            NumPy's random generator.
        """
        inputs = self.spec.law.inputs
        below = span_of(self.runs, inputs).below(log_compute({s: points[s] for s in inputs}))
        noise = jax.tree.map(lambda field: field[:, None], self.flat_noise())
        draws = self.shape[0] * self.shape[1]
        known = np.broadcast_to(relative_se, (draws, np.size(below)))
        scatter = noise.scatter(generator, known, np.maximum(np.ravel(below), 0.0))
        return np.clip(scatter, -FARTHEST, FARTHEST)

    def flat_law(self) -> Law:
        """Return the law with chains and draws joined into one axis."""
        return jax.tree.map(flat, self.law)

    def flat_noise(self) -> Noise:
        """Return the noise model with chains and draws joined into one axis."""
        return jax.tree.map(flat, self.noise)

    def save(self, path: str | Path) -> Path:
        """Write the posterior as netCDF, atomically; `bayescale.load` reads it.

        Raises
        ------
        InputError
            The folder is not there or cannot be written.
        """
        from bayescale.storage import save

        return save(self, path)

    def to_arviz(self, seed: int = 0) -> xarray.DataTree:
        """Return an ArviZ DataTree, on which ``az.summary``, ``az.loo`` and the plots work.

        Groups: posterior, prior, posterior_predictive, prior_predictive, log_likelihood, sample_stats,
        observed_data, constant_data. Log likelihood and predictive draws are of **log loss**.

        Parameters
        ----------
        seed
            Seed of the predictive and prior draws.
        """
        from bayescale.arviz_tree import to_arviz

        return to_arviz(self, seed)

    def table(self, level: float = DEFAULT_LEVEL) -> Table:
        """Return the table of parameters and derived quantities, as it goes into a paper."""
        summary = self.summary(level)
        declared = [*self.spec.law.parameters(), *self.spec.noise.parameters(), *DERIVED, SCALE]
        rows = tuple(
            (
                (p.name, p.symbol),
                summary[p.name],
                p.unit.replace("loss", self.runs.loss_unit),
                p.meaning,
            )
            for p in declared
            if p.name in summary
        )
        drift = "" if self.spec.drift is None else f" and {self.spec.drift.name} drift"
        caption = (
            f"Posterior of the {self.spec.law.title} with {self.spec.noise.name} noise{drift} on log "
            f"loss, {len(self.runs)} runs: median and {level:.0%} interval."
        )
        columns = (Column("parameter"), Column(f"median and {level:.0%} interval"))
        return Table(caption, (*columns, Column("unit"), Column("meaning")), rows)

    def text(self, level: float = DEFAULT_LEVEL) -> str:
        """Return the summary and the verdicts as text."""
        table = self.table(level)
        return "\n".join([table.caption, table.text(), str(self.diagnostics)])

    def __repr__(self) -> str:
        return self.text()
