r"""A population of laws: one density for the laws of several groups of runs, and what they share.

A coordinate of the law is a function of a standard normal w, the same for every group: the quantile
function of its prior. The groups' w come from a population,

.. math:: w_g = \sqrt{1 - \tau^2}\,m + \tau z_g, \qquad m, z_g \sim \mathrm{Normal}(0, 1), \qquad
          0 < \tau < 1

so whatever tau is, one group alone has the prior of the law, and two groups have correlation
1 - tau^2: at tau = 0 they are one, at tau = 1 they know nothing of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

from bayescale.cholesky import cholesky_columns, solve_lower, solve_upper
from bayescale.model import Data, OfModel
from bayescale.parameters import Coordinate
from bayescale.priors import Beta, Normal, Prior, softplus

WIDEST, INTERVALS = 5.0, 40  # of the splines of prior quantiles, which go on as straight lines
LEAST = 1e-12  # of 1 - tau^2, where its root has a slope

# In published fits alpha and beta differ by 0.05 to 0.3 of their prior's sd between groups of one study
# (the corpora of Gadre et al. 2024, the modalities and mixtures of Shukor et al. 2025), tokens per
# parameter by 0.5; between laboratories all three differ by 0.8.
SPREAD = Beta(2, 3)


class GroupData(NamedTuple):
    """The runs of one group, or of all groups stacked on a first axis.

    Parameters
    ----------
    runs
        The runs, with the reference that all groups share.
    quantiles
        Splines of the priors' quantile functions, shape (coordinates, intervals, 4).
    """

    runs: Data
    quantiles: Any


class PooledData(NamedTuple):
    """What a compiled program sees of all groups.

    Parameters
    ----------
    groups
        Data of the groups, every array with a first axis (groups).
    precision, information
        What the runs of each group say of its own vector, as a normal likelihood: shapes (groups, p, p)
        and (groups, p). They shape the space that is sampled, and do not change the posterior.
    seen, centre
        The precision with which the runs of each group say its w, one coordinate by itself, and the
        precision times w; shape (groups, coordinates). They shape the space, too.
    spread
        Shapes a and b of the Beta prior of every tau, shape (2,).
    """

    groups: GroupData
    precision: Any
    information: Any
    seen: Any
    centre: Any
    spread: Any

    @classmethod
    def of(cls, groups: GroupData, precision: Any, information: Any, spread: Any) -> PooledData:
        """Work out, from what the runs say of each vector, what they say of its w."""
        size = groups.quantiles.shape[1]
        covariance = np.linalg.inv(precision + np.eye(precision.shape[-1]))
        mean = np.einsum("gij,gj->gi", covariance, information)[:, :size]
        variance = np.diagonal(covariance, axis1=1, axis2=2)[:, :size]
        seen = np.maximum(1 / variance - 1, 0.0)  # without the prior, whose precision is 1
        spread = np.asarray(spread, dtype=np.float64)
        return cls(groups, precision, information, seen, mean / variance, spread)

    @property
    def reference(self) -> dict[str, Any]:
        """Priors of what is sampled refer to nothing."""
        return {}


def quantile_splines(priors: Sequence[Prior], reference: Mapping[str, Any]) -> np.ndarray:
    """Return cubic splines from a standard normal to the unbounded value of each prior.

    Returns
    -------
    array
        Shape (priors, intervals, 4): coefficients of each interval, the cubic one first.
    """
    w = np.linspace(-WIDEST, WIDEST, INTERVALS + 1)
    curves = (p.to_unbounded(p.quantile(ndtr(w), reference), reference) for p in priors)
    return np.stack([CubicSpline(w, curve).c.T for curve in curves])


def along_splines(splines: Any, w: Any) -> Any:
    """Return the unbounded values at w; one spline and one value for each coordinate."""
    inside = jnp.clip(w, -WIDEST, WIDEST)
    step = 2 * WIDEST / INTERVALS
    place = jnp.clip(jnp.floor((inside + WIDEST) / step), 0, INTERVALS - 1).astype(int)
    a, b, c, d = jnp.moveaxis(jnp.asarray(splines)[jnp.arange(len(w)), place], -1, 0)
    x = inside - (place * step - WIDEST)
    slope = (3 * a * x + 2 * b) * x + c
    return ((a * x + b) * x + c) * x + d + slope * (w - inside)


@dataclass(frozen=True)
class GroupSpec(OfModel):
    """The model of one group alone, in the standard normal coordinates w; then its drift."""

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """The law's and the noise's, standard normal; and the increments of the drift."""
        normal = (
            Coordinate(c.name, Normal(), c.symbol, c.meaning, c.unit) for c in self.model.beliefs
        )
        return (*normal, *self.model.coordinates[len(self.model.beliefs) :])

    def unconstrain(
        self, coordinates: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> np.ndarray:
        """Return the unbounded vectors of coordinates, on a new last axis."""
        return _unconstrained(self.coordinates, coordinates)

    def values(self, x: Any, data: GroupData) -> dict[str, Any]:
        """Return the coordinates of the model at a vector of shape (p,)."""
        beliefs = self.model.beliefs
        u = along_splines(data.quantiles, x[: len(beliefs)])
        found = {
            c.name: c.prior.from_unbounded(u[i], data.runs.reference)[0]
            for i, c in enumerate(beliefs)
        }
        drift = self.model.drift
        if drift is not None:
            found |= {name: x[len(beliefs) + k] for k, name in enumerate(drift.names)}
        return found

    def drift_prior(self, x: Any) -> Any:
        """Return the log density of the increments of the drift."""
        size, drift = len(self.model.beliefs), self.model.drift
        return (
            0.0
            if drift is None
            else drift.log_prior([x[size + k] for k in range(len(drift.names))])
        )

    def log_likelihood(self, x: Any, data: GroupData) -> Any:
        """Return the log density of the log losses of the group."""
        return self.model.log_likelihood(self.values(x, data), data.runs)

    def log_density(self, x: Any, data: GroupData) -> Any:
        """Return the log posterior density of a vector of shape (p,), of the group alone."""
        w = x[: len(self.model.beliefs)]
        return _normal(w) + self.drift_prior(x) + self.log_likelihood(x, data)

    def quantities(self, u: Any, data: GroupData) -> tuple[dict[str, Any], ...]:
        """Return the coordinates; see `ModelSpec.quantities`."""
        return {}, {}, self.values(u, data)


@dataclass(frozen=True)
class PooledSpec(OfModel):
    r"""The model of all groups together; the interface of `ModelSpec` that is sampled.

    The vector holds the mean of w and tau of each coordinate and, for each group, e: its own vector x
    (its w, then the increments of its drift) in units of what its runs and the population say of it,

    .. math:: x = P^{-1} (h + Q M) + P^{-1/2} e, \qquad P = H + Q

    with H and h the group's `PooledData.precision` and `information`, M and Q mean and precision of x
    in the population. Where a group has many runs x moves freely of the population (centred), where it
    has few it moves with it (not centred), direction by direction, so no funnel is left to sample.

    Parameters
    ----------
    model
        The model of each group.
    groups
        How many there are.

    References
    ----------
    Centred and non-centred: Papaspiliopoulos, Roberts and Skold 2007, A general framework for the
    parametrization of hierarchical models, Statistical Science 22, 59-73.
    """

    groups: int

    @property
    def one(self) -> GroupSpec:
        """The model of one group."""
        return GroupSpec(self.model)

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """What is sampled: the mean and tau of each coordinate, then e of each group."""
        pooled = self.model.beliefs
        own = self.model.coordinates
        return (
            *(Coordinate(f"mean_{c.name}", Normal(), "m", f"population of {c.name}") for c in pooled),
            *(Coordinate(f"tau_{c.name}", SPREAD, r"\tau", f"spread of {c.name}")
              for c in pooled),
            *(Coordinate(at(c.name, g), Normal(), "e", f"{c.name} of a group")
              for g in range(self.groups) for c in own),
        )  # fmt: skip

    def unconstrain(
        self, coordinates: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> np.ndarray:
        """Return the unbounded vectors of coordinates, on a new last axis."""
        return _unconstrained(self.coordinates, coordinates)

    def population(self, u: Any, data: PooledData) -> tuple[Any, Any, Any]:
        """Return the mean of w in the population, tau, and the log of what e shrinks to the mean.

        The mean is in units of what all groups say of it given tau, each coordinate by itself: where
        tau is small it is pinned to the groups, where tau is large it is not.
        """
        size = len(self.model.beliefs)
        e, logit = u[:size], u[size : 2 * size]
        tau = jnp.exp(logit - softplus(logit))
        damping = 1 + data.seen * tau * tau
        precision = 1 / shared_variance(tau) + jnp.sum(data.seen / damping, axis=0)
        mean = jnp.sum(data.centre / damping, axis=0) / precision + e / jnp.sqrt(precision)
        return mean, tau, -0.5 * jnp.sum(jnp.log(precision))

    def vectors(self, u: Any, mean: Any, tau: Any, data: PooledData) -> tuple[Any, Any]:
        """Return x of each group, shape (groups, p), and the log of what e shrinks to it."""
        e = u[2 * len(mean) :].reshape(self.groups, -1)
        increments = jnp.zeros(e.shape[1] - len(mean))
        mean = jnp.concatenate([mean, increments])
        precision = jnp.concatenate([1 / (tau * tau), increments + 1])

        def one(e: Any, seen: Any, information: Any) -> tuple[Any, Any]:
            columns, diagonal = cholesky_columns(seen + jnp.diag(precision))
            half = solve_lower(columns, diagonal, information + precision * mean)
            return solve_upper(columns, diagonal, half + e), -jnp.sum(jnp.log(diagonal))

        return jax.vmap(one)(e, data.precision, data.information)

    def log_density(self, u: Any, data: PooledData) -> Any:
        """Return the log posterior density of an unbounded vector, up to a constant."""
        mean, tau, shrunk = self.population(u, data)
        x, shrinking = self.vectors(u, mean, tau, data)
        size, one, logit = len(mean), self.one, u[len(mean) : 2 * len(mean)]
        soft, sd = softplus(logit), jnp.sqrt(shared_variance(tau))
        prior = _normal(mean / sd) - jnp.sum(jnp.log(sd)) + shrunk
        prior = prior + jnp.sum(data.spread[0] * (logit - soft) - data.spread[1] * soft)

        def group(x: Any, data: GroupData) -> Any:
            own = _normal((x[:size] - mean) / tau) - jnp.sum(jnp.log(tau))
            return own + one.drift_prior(x) + one.log_likelihood(x, data)

        return prior + jnp.sum(jax.vmap(group)(x, data.groups)) + jnp.sum(shrinking)

    def quantities(self, u: Any, data: PooledData) -> tuple[dict[str, Any], ...]:
        """Return, as coordinates, mean and tau of each w, and the coordinates of every group."""
        mean, tau, _ = self.population(u, data)
        x, _ = self.vectors(u, mean, tau, data)
        found = {mean_name(c.name): mean[i] for i, c in enumerate(self.model.beliefs)}
        found |= {tau_name(c.name): tau[i] for i, c in enumerate(self.model.beliefs)}
        groups = jax.vmap(self.one.values)(x, data.groups)
        for name, values in groups.items():
            found |= {at(name, g): values[g] for g in range(self.groups)}
        return {}, {}, found


def shared_variance(tau: Any) -> Any:
    """Return the variance of the mean of w: 1 - tau^2, and a little more."""
    return (1 - tau) * (1 + tau) + LEAST


def coordinates_at(
    priors: Mapping[str, Prior],
    w: Mapping[str, np.ndarray],
    splines: np.ndarray,
    reference: Mapping[str, float],
) -> dict[str, np.ndarray]:
    """Return the coordinates at draws of w, each of their shape.

    Parameters
    ----------
    priors
        Coordinate to prior.
    w
        Coordinate to draws.
    splines
        Of the priors' quantiles.
    reference
        What the priors refer to.
    """
    flat = np.stack([np.ravel(w[name]) for name in priors], axis=-1)
    u = np.asarray(jax.vmap(lambda w: along_splines(splines, w))(flat))
    return {
        name: np.asarray(prior.from_unbounded(u[:, i], reference)[0]).reshape(np.shape(w[name]))
        for i, (name, prior) in enumerate(priors.items())
    }


def at(name: str, group: int) -> str:
    """Name of a group's coordinate among those of all groups."""
    return f"{name}@{group}"


def mean_name(name: str) -> str:
    """Name of the mean of a coordinate's w in the population."""
    return f"mean_{name}"


def tau_name(name: str) -> str:
    """Name of the spread of a coordinate."""
    return f"tau_{name}"


def _normal(w: Any) -> Any:
    return -0.5 * jnp.sum(w * w) - w.size * 0.5 * math.log(2 * math.pi)


def _unconstrained(coordinates: Sequence[Coordinate], values: Mapping[str, Any]) -> np.ndarray:
    columns = [c.prior.to_unbounded(values[c.name], {}) for c in coordinates]
    return np.stack(np.broadcast_arrays(*columns), axis=-1)
