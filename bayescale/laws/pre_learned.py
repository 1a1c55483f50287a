"""The rectified law of fine-tuning: pretraining counts as fine-tuning data that were learned before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class PreLearned(Law):
    r"""The rectified law of fine-tuning.

    .. math:: L(D_f) = E + \frac{B}{D_l + D_f^\beta} = E + \frac{K}{1 + (D_f / D_0)^\beta}, \qquad
              K = \frac{B}{D_l}, \quad D_0 = D_l^{1/\beta}

    D_f is the number of tokens (or examples) of fine-tuning, E the loss that no amount removes, beta the
    exponent of the rest. The paper's B and D_l, what the model had learned of the task before in units
    of D_f^beta, are given by numbers in units of their own: K is the reducible loss of the model before
    fine-tuning, D_0 the fine-tuning data that what it had learned is worth. All are above 0. The loss is
    flat while D_f is below D_0, then falls as a power law; from the flat part alone, or the falling one
    alone, D_0 is not identified.

    One model and task a fit; a family of models is as many fits.

    References
    ----------
    Lin et al. 2024, Selecting Large Language Model to Fine-tune via Rectified Scaling Law,
    arXiv:2402.02314.

    Examples
    --------
    >>> law = PreLearned(E=1.0, K=1.25, D_0=1.6e5, beta=0.5)
    >>> [round(float(law.loss({"D_f": d})), 2) for d in (1.0, 1e4, 1e6)]
    [2.25, 2.0, 1.36]
    """

    name: ClassVar = "pre-learned"
    title: ClassVar = "rectified law of fine-tuning"
    equation: ClassVar = r"L = E + \frac{K}{1 + (D_f / D_0)^{\beta}}"
    source: ClassVar = "Lin et al. 2024, arXiv:2402.02314"
    inputs: ClassVar = ("D_f",)

    E: Values = parameter("E", "loss that no amount of fine-tuning removes", "loss")
    K: Values = parameter("K", "reducible loss before fine-tuning", "loss")
    D_0: Values = parameter("D_0", "data that what was learned before is worth", "tokens")
    beta: Values = parameter(r"\beta", "exponent of the fine-tuning data")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of D_f",
            "loss",
        ),
        Coordinate("share_E", Beta(1.5, 2.5), r"E/L_0", "share of that loss that is irreducible"),
        Coordinate(
            "share_learned",
            Beta(2, 2),
            r"s_l",
            "share of what was learned before in all data, at the centre",
        ),
        Coordinate(
            "slope",
            LogNormal(0.1, 0.6, low=0.02, high=1.0),
            r"-\partial \ln L / \partial \ln D_f",
            "slope of log loss in log data at the centre",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["D_f"]``."""
        return self.E + self.K * self._learned(x)

    def _learned(self, x: Inputs) -> Any:
        """The share of what was learned before in all that was: 1 / (1 + (D_f / D_0)^beta)."""
        return jax.nn.sigmoid(self.beta * (jnp.log(self.D_0) - jnp.log(x["D_f"])))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre, share of E, share of what was learned, slope."""
        c, share = coordinates, coordinates["share_learned"]
        beta = c["slope"] / ((1 - c["share_E"]) * (1 - share))
        log_ratio = (jnp.log(share) - jnp.log1p(-share)) / beta
        return cls(
            E=c["L_ref"] * c["share_E"],
            K=c["L_ref"] * (1 - c["share_E"]) / share,
            D_0=jnp.exp(jnp.log(reference["D_f"]) + log_ratio),
            beta=beta,
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss, the share of E, that of what was learned and the slope at the centre."""
        loss = self.loss(reference)
        learned = self._learned(reference)
        return {
            "L_ref": loss,
            "share_E": self.E / loss,
            "share_learned": learned,
            "slope": self.beta * (1 - learned) * self.K * learned / loss,
        }
