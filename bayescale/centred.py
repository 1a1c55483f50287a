"""A model with drift in coordinates that are easier to sample: increments as departures from a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bayescale.model import Data, OfModel
from bayescale.parameters import Coordinate

TYPICAL_SIGMA = 0.006  # the prior's median: what residuals weigh against the increments' prior


class CentredData(NamedTuple):
    """The runs, and what takes residuals of the law to the increments that they suggest.

    Parameters
    ----------
    runs
        The runs.
    projection
        Shape (increments, size).
    """

    runs: Data
    projection: Any

    @property
    def reference(self) -> Mapping[str, Any]:
        """The numbers that priors refer to."""
        return self.runs.reference

    @classmethod
    def of(cls, runs: Data) -> CentredData:
        r"""Return them for some runs.

        .. math:: P = \left(B^\top B + \sigma_0^2 I\right)^{-1} B^\top

        B is the drift's basis: P takes residuals to the posterior mean of the increments, were they
        normal and sigma known to be sigma_0.
        """
        basis = runs.basis * runs.weight[:, None]
        inner = basis.T @ basis + TYPICAL_SIGMA**2 * np.eye(basis.shape[1])
        return cls(runs, np.linalg.solve(inner, basis.T))


@dataclass(frozen=True)
class Centred(OfModel):
    r"""A model with drift, whose increments are sampled as departures from what the law leaves over.

    .. math:: w = v + P\,(\ln L - \ln L_\theta)

    The runs pin down the law and its drift together and leave them free to trade places, along a curve
    that whitening cannot straighten. Given the law, they nearly say what the drift is; v is what is left, and
    hardly depends on the law. The map from v to w has Jacobian 1, so the posterior is the same.

    Parameters
    ----------
    model
        The model, with a drift.
    """

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """What is sampled, in order, with the priors that searches start from."""
        return self.model.coordinates

    def unconstrain(
        self, coordinates: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> np.ndarray:
        """Return unbounded vectors, the increments taken as departures."""
        return self.model.unconstrain(coordinates, reference)

    def log_density(self, v: Any, data: CentredData) -> Any:
        """Return the log posterior density of an unbounded vector, up to a constant."""
        return self.model.log_density(self._moved(v, data), data.runs)

    def quantities(self, v: Any, data: CentredData) -> tuple[dict[str, Any], ...]:
        """Return parameters of the law, of the noise, and coordinates, at an unbounded vector."""
        return self.model.quantities(self._moved(v, data), data.runs)

    def _moved(self, v: Any, data: CentredData) -> Any:
        """The model's own unbounded vector."""
        beliefs = self.model.beliefs
        values = {
            c.name: c.prior.from_unbounded(v[i], data.reference)[0] for i, c in enumerate(beliefs)
        }
        law, _ = self.model.build(values, data.reference)
        residual = data.runs.log_loss - jnp.log(law.loss(data.runs.inputs))
        increments = v[len(beliefs) :] + data.projection @ residual
        return jnp.concatenate([v[: len(beliefs)], increments])
