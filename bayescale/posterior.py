"""A posterior: draws of a law and of a noise model, with the runs and everything that made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.contraction import MASSES, Contraction, quantiles
from bayescale.diagnostics import Diagnostics, Verdict, diagnose
from bayescale.drift import FORECASTS, SCALE, drift_name, log_compute
from bayescale.errors import FailedFitError
from bayescale.intervals import DEFAULT_LEVEL, Interval, flat, summarise
from bayescale.laws import ClosedFormOptimum, Law, law_losses
from bayescale.misfit import Misfit, misfit, misfit_along
from bayescale.model import ModelSpec, prior_draws, span_of
from bayescale.noise import Noise
from bayescale.parameters import Parameter
from bayescale.runs import Runs
from bayescale.tables import Column, Table
from bayescale.uninformed import Uninformed, uninformed_directions

if TYPE_CHECKING:
    from pathlib import Path

    import xarray

Draws = dict[str, np.ndarray]

PRIOR_DRAWS = 4000
MEDIAN_OF = 400  # draws that the law of the residuals is the median of
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
        Law, noise, drift, effects and priors.
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
    def inputs(self) -> tuple[str, ...]:
        """Symbols of what the law is a law of."""
        return self.spec.law.inputs

    @property
    def name(self) -> str:
        """Name of the law."""
        return self.spec.law.name

    @property
    def parts(self) -> tuple[tuple[Posterior, float], ...]:
        """The posteriors whose parameters give answers, with their shares: this one alone."""
        return ((self, 1.0),)

    @property
    def forecasting_parts(self) -> tuple[tuple[Posterior, float], ...]:
        """The posteriors that forecasts come from, with their shares."""
        return tuple((model, 1 / len(self.forecasters)) for model in self.forecasters)

    @property
    def forecast_model(self) -> str:
        """The model that forecasts come from, in words."""
        laws = [model.spec.law.name for model in self.forecasters]
        drift = self.forecasters[0].spec.drift
        words = f"{' and '.join(laws)} {'law' if len(laws) == 1 else 'laws'}"
        return words if drift is None else f"{words} with {drift.name} drift"

    @property
    def basis(self) -> str:
        """What the law was fitted to, in words."""
        return f"fitted to {len(self.runs)} runs"

    @property
    def drift_name(self) -> str:
        """``"forecasts"`` if forecasts alone have a drift; else the name of the model's, or "none"."""
        return drift_name(self.spec.drift if self.make_forecasters is None else FORECASTS)

    @property
    def settings(self) -> dict[str, Any]:
        """The model as options of `bayescale.fit` and `bayescale.backtest`."""
        spec = self.spec
        return {
            "law": spec.law,
            "noise": spec.noise,
            "priors": dict(spec.priors),
            "drift": FORECASTS if self.make_forecasters is not None else spec.drift,
            "effects": spec.effects,
            "allow": self.provenance.get("allowed", ()),
            "wider": self.provenance.get("wider", True),
        }

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Figures and verdicts on the sampling and the design."""
        return diagnose(
            self.spec,
            self.coordinates,
            self.stats,
            self.runs,
            self.contractions,
            self.uninformed,
            self.misfit,
        )

    @cached_property
    def misfit(self) -> Misfit | None:
        """What is systematic in the residuals of the law; None if nothing is.

        Looked at are a law of one variable, along x, and rows of runs that share shifts, along each
        run; not where the model explains what goes together there.
        """
        effects, symbol = self.spec.effects, self.lies_along
        if symbol is None:
            return None
        points = {symbol: self.runs[symbol] for symbol in self.inputs}
        thinned = jax.tree.map(lambda field: field[:: len(field) // MEDIAN_OF + 1], self.flat_law())
        middle = np.median(np.log(law_losses(thinned, points)), axis=0)
        residuals = np.log(self.runs.loss) - middle
        if effects is None:
            return misfit(points[symbol], residuals)
        return misfit_along(effects.groups(self.runs)[1], points[symbol], residuals)

    @property
    def lies_along(self) -> str | None:
        """The input along which neighbours may err together, unknown to the model; None if there is none."""
        effects = self.spec.effects
        if self.spec.drift is not None:
            return None
        if effects is None:
            return self.inputs[0] if len(self.inputs) == 1 else None
        return effects.lie_along(self.runs, self.inputs)

    @cached_property
    def contractions(self) -> dict[str, Contraction]:
        """What the runs made of the prior of each coordinate, parameter and derived quantity.

        By name; a parameter that is a coordinate too is there once.
        """
        found = {
            c.name: Contraction.of(
                self.coordinates[c.name], c.prior.quantile(MASSES, self.reference)
            )
            for c in self.spec.beliefs
        }
        draws = {**self.parameters, **self.derived}
        for name, prior in self._prior_of_parameters().items():
            if name not in found:
                found[name] = Contraction.of(draws[name], quantiles(prior))
        return found

    @cached_property
    def uninformed(self) -> tuple[Uninformed, ...]:
        """The combinations of the law's coordinates that the runs leave as the prior has them."""
        return uninformed_directions(
            self.spec, self.coordinates, self.reference, self.law, self._prior[0]
        )

    def mark(self, name: str) -> str:
        """Return what the prior has to do with a quantity, in a word or two; empty if little.

        ``"prior"`` if the runs did not narrow it (`contractions`); ``"prior, with B"`` if they did not
        tell it from B (`uninformed`).
        """
        groups = [d.parameters for d in self.uninformed if name in d.parameters]
        others = dict.fromkeys(m for group in groups for m in group if m != name)
        own = name in self.contractions and self.contractions[name].is_prior
        if own or (groups and not others):
            return "prior"
        return f"prior, with {', '.join(others)}" if others else ""

    @cached_property
    def _prior(self) -> tuple[Law, Noise]:
        return self.prior()

    def _prior_of_parameters(self) -> Draws:
        """Prior draws of all that `parameters` and `derived` hold."""
        law, noise = self._prior
        found = {
            p.name: np.asarray(getattr(source, p.name))
            for source in (law, noise)
            for p in source.parameters()
        }
        found |= self._exponents(law)
        if self.spec.drift is not None:
            generator = np.random.default_rng([0, TAU])
            increments = self.spec.drift.prior_draws(PRIOR_DRAWS, generator)
            found[SCALE.name] = self.spec.drift.tau(increments, generator)
        return found

    @staticmethod
    def _exponents(law: Law) -> Draws:
        """The allocation exponents of a law, if it has them."""
        if not isinstance(law, ClosedFormOptimum):
            return {}
        return {name: np.asarray(v) for name, v in law.allocation_exponents().items()}

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of `diagnostics`, worst first."""
        return self.diagnostics.verdicts

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains and of draws in each."""
        chains, draws = self.stats["energy"].shape
        return chains, draws

    @property
    def parameters(self) -> Draws:
        """Parameters of the law, of the noise and of the effects, name to draws (chains, draws)."""
        found = {
            p.name: np.asarray(getattr(source, p.name))
            for source in (self.law, self.noise)
            for p in source.parameters()
        }
        if self.spec.effects is not None:
            found |= {n: np.asarray(self.coordinates[n]) for n in self.spec.effects.names}
        return found

    @property
    def counted(self) -> str:
        """How many runs were fitted, in words; rows and groups where rows share shifts."""
        if self.spec.effects is None:
            return f"{len(self.runs)} runs"
        names, _ = self.spec.effects.groups(self.runs)
        return f"{len(self.runs)} rows in {len(names)} groups by {self.spec.effects}"

    @cached_property
    def derived(self) -> Draws:
        """What follows: the allocation exponents a and b, and the drift's tau, where they exist."""
        found = self._exponents(self.law)
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
        return self._path(points, self.coordinates, np.random.default_rng([seed, WALK]))

    def prior_drift_path(
        self, points: Mapping[str, ArrayLike], seed: int = 0
    ) -> NDArray[np.float64] | float:
        """Return `drift_path` from the prior, for the draws that `prior` gives with this seed."""
        draws = prior_draws(self.spec, self.reference, PRIOR_DRAWS, seed)
        return self._path(points, draws, np.random.default_rng([seed, 0]))

    def _path(
        self,
        points: Mapping[str, ArrayLike],
        coordinates: Mapping[str, np.ndarray],
        generator: np.random.Generator,
    ) -> NDArray[np.float64] | float:
        if self.spec.drift is None:
            return 0.0
        logs = log_compute({s: points[s] for s in self.inputs})
        increments = {name: np.ravel(coordinates[name]) for name in self.spec.drift.names}
        with jax.enable_x64(True):
            return self.spec.drift.path(
                increments, logs, span_of(self.runs, self.inputs), generator
            )

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
        """Return an ArviZ DataTree, on which ``az.summary``, ``az.loo``, ``az.psense`` and the plots work.

        Groups: posterior, prior, posterior_predictive, prior_predictive, log_likelihood, log_prior,
        sample_stats, observed_data, constant_data. Log likelihood and predictive draws are of **log
        loss**; where rows share shifts, the log likelihood is that of each group, so that leaving one
        out is leaving out a group. The log prior is that of each coordinate.

        Parameters
        ----------
        seed
            Seed of the predictive and prior draws.
        """
        from bayescale.arviz_tree import to_arviz

        return to_arviz(self, seed)

    def table(self, level: float = DEFAULT_LEVEL) -> Table:
        """Return the table of parameters and derived quantities, as it goes into a paper.

        Those that are the prior (`contractions`) are marked so, in a column that is there only then.
        """
        summary = self.summary(level)
        shared = () if self.spec.effects is None else self.spec.effects.parameters
        declared = [*self.spec.law.parameters(), *self.spec.noise.parameters(), *shared]
        declared += [p for p in (*DERIVED, SCALE) if p.name in self.derived]
        marks = [self.mark(p.name) for p in declared]
        rows = tuple(
            (
                (p.name, p.symbol),
                summary[p.name],
                *((mark,) if any(marks) else ()),
                p.unit.replace("loss", self.runs.loss_unit),
                p.meaning.replace("log loss", f"log {self.runs.outcome}"),
            )
            for p, mark in zip(declared, marks, strict=True)
        )
        drift = "" if self.spec.drift is None else f" and {self.spec.drift.name} drift"
        caption = (
            f"Posterior of the {self.spec.law.title} with {self.spec.noise.name} noise{drift} on log "
            f"{self.runs.outcome}, {self.counted}: median and {level:.0%} interval."
        )
        if any(marks):
            caption += ' Marked "prior": the runs hardly narrowed it.'
        heads = ["parameter", f"median and {level:.0%} interval", *(["mark"] if any(marks) else [])]
        return Table(caption, tuple(map(Column, (*heads, "unit", "meaning"))), rows)

    def text(self, level: float = DEFAULT_LEVEL) -> str:
        """Return the summary and the verdicts as text."""
        table = self.table(level)
        return "\n".join([table.caption, table.text(), str(self.diagnostics)])

    def __repr__(self) -> str:
        return self.text()
