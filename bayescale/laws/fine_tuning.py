"""The multiplicative law of fine-tuning: model size (or pretraining data) times fine-tuning data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class FineTuning(Law):
    r"""The multiplicative law of fine-tuning.

    .. math:: L(N, D_f) = E + A N^{-\alpha} D_f^{-\beta}

    N is the number of parameters, D_f the tokens of fine-tuning, E the loss that neither removes, A the
    scale of the rest, alpha and beta its exponents. All are above 0. The paper writes X for N: X may be
    the pretraining data or the parameters of an adapter as well, so map that column to N
    (``--columns params=COLUMN``). alpha belongs to that X alone; beta and E, by the paper, to the task.

    A holds the units of X and D_f, so fits of different X do not compare by it. Where X is the size of
    an adapter alpha is near 0, and fine-tuning data alone tells E from the rest.

    References
    ----------
    Zhang et al. 2024, When Scaling Meets LLM Finetuning, arXiv:2402.17193.

    Examples
    --------
    >>> law = FineTuning(E=1.0, A=100.0, alpha=0.2, beta=0.1)
    >>> round(float(law.loss({"N": 1e9, "D_f": 1e7})), 3)
    1.316
    """

    name: ClassVar = "fine-tuning"
    title: ClassVar = "multiplicative law of fine-tuning"
    equation: ClassVar = r"L = E + A N^{-\alpha} D_f^{-\beta}"
    source: ClassVar = "Zhang et al. 2024, arXiv:2402.17193"
    inputs: ClassVar = ("N", "D_f")

    E: Values = parameter("E", "loss that neither N nor fine-tuning removes", "loss")
    A: Values = parameter("A", "scale of the rest", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of the fine-tuning data")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of N and D_f",
            "loss",
        ),
        Coordinate("share_E", Beta(1, 1), r"E/L_0", "share of that loss that is irreducible"),
        Coordinate("alpha", LogNormal(0.1, 1.0, low=0.001, high=1.5), r"\alpha", "exponent of N"),
        Coordinate(
            "beta",
            LogNormal(0.15, 0.8, low=0.005, high=1.5),
            r"\beta",
            "exponent of the fine-tuning data",
        ),
    )
    traps: ClassVar = (
        "A holds the units of X and D_f, so fits of different X do not compare by it.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D_f"]``."""
        return self.E + self.A * self._powers(x)

    def _powers(self, x: Inputs) -> Any:
        return jnp.exp(-self.alpha * jnp.log(x["N"]) - self.beta * jnp.log(x["D_f"]))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre, share of E and exponents."""
        c = coordinates
        exponents = {"alpha": c["alpha"], "beta": c["beta"]}
        reducible = c["L_ref"] * (1 - c["share_E"])
        scale = reducible / cls(E=0.0, A=1.0, **exponents).loss(reference)
        return cls(E=c["L_ref"] * c["share_E"], A=scale, **exponents)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre, the share of E in it and the exponents."""
        loss = self.loss(reference)
        return {
            "L_ref": loss,
            "share_E": self.E / loss,
            "alpha": self.alpha,
            "beta": self.beta,
        }
