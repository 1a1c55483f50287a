"""The rectified law of fine-tuning: pretraining counts as fine-tuning data that were learned before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class PreLearned(Law):
    r"""The rectified law of fine-tuning.

    .. math:: L(D_f) = E + \frac{B}{D_l + D_f^\beta}

    D_f is the number of tokens (or examples) of fine-tuning, E the loss that no amount removes, B and
    beta the scale and exponent of the rest, D_l what the model had learned of the task before, in units
    of D_f^beta. All are above 0. The loss is flat while D_f^beta is below D_l, then falls as a power
    law; from the flat part alone, or the falling one alone, D_l is not identified.

    One model and task a fit; that of a family of models is several fits (``--group``).

    References
    ----------
    Lin et al. 2024, Selecting Large Language Model to Fine-tune via Rectified Scaling Law,
    arXiv:2402.02314.

    Examples
    --------
    >>> law = PreLearned(E=1.0, B=500.0, D_l=400.0, beta=0.5)
    >>> [round(float(law.loss({"D_f": d})), 2) for d in (1.0, 1e4, 1e6)]
    [2.25, 2.0, 1.36]
    """

    name: ClassVar = "pre-learned"
    title: ClassVar = "rectified law of fine-tuning"
    equation: ClassVar = r"L = E + \frac{B}{D_l + D_f^{\beta}}"
    source: ClassVar = "Lin et al. 2024, arXiv:2402.02314"
    inputs: ClassVar = ("D_f",)

    E: Values = parameter("E", "loss that no amount of fine-tuning removes", "loss")
    B: Values = parameter("B", "scale of the rest", "loss")
    D_l: Values = parameter("D_l", "pre-learned data, in units of D_f^beta")
    beta: Values = parameter(r"\beta", "exponent of the fine-tuning data")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of D_f",
            "loss",
        ),
        Coordinate("share_E", Beta(1, 1), r"E/L_0", "share of that loss that is irreducible"),
        Coordinate(
            "share_learned",
            Beta(1, 1.5),
            r"s_l",
            "share of what was learned before in all data, at the centre",
        ),
        Coordinate(
            "rate",
            LogNormal(0.25, 0.7),
            r"\beta (1 - s_l)",
            "exponent of the data that fine-tuning shows at the centre",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["D_f"]``."""
        return self.E + self.B / (self.D_l + power(x["D_f"], self.beta))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre, share of E, share of what was learned, exponent."""
        c = coordinates
        beta = c["rate"] / (1 - c["share_learned"])
        new = power(reference["D_f"], beta)
        data = new / (1 - c["share_learned"])
        return cls(
            E=c["L_ref"] * c["share_E"],
            B=c["L_ref"] * (1 - c["share_E"]) * data,
            D_l=data * c["share_learned"],
            beta=beta,
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss, the share of E, that of what was learned and the exponent at the centre."""
        loss, new = self.loss(reference), power(reference["D_f"], self.beta)
        return {
            "L_ref": loss,
            "share_E": self.E / loss,
            "share_learned": self.D_l / (self.D_l + new),
            "rate": self.beta * new / (self.D_l + new),
        }
