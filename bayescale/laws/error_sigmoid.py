"""Error of a downstream task from the loss: a logistic curve down from chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law
from bayescale.laws.remaining import REMAINS, SHARE_OF_FLOOR, logit_at_centre, remaining
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class ErrorSigmoid(Law):
    r"""The sigmoid law of downstream accuracy, as an error.

    .. math:: \mathrm{error} = (1 - \mathrm{chance})\left(1 - \frac{a}{1 + e^{-k (L - L_0)}}\right)

    L_pre is the loss L that accuracy is explained by, best the loss on the task itself (in the paper in
    bits per byte); chance is the accuracy of guessing, known for each task: 0.25 for four options, 0 for
    free answers. a is the share of what lies between chance and 1 that a perfect model gains, L0 the
    loss at which half of that is gained, k the steepness. a is between 0 and 1, and k below 0, as in the
    paper, since accuracy falls with the loss.

    The paper writes accuracy = a / (1 + e^(-k (L - L_0))) + b with b free; here b is chance, and its a
    is this a (1 - chance). The ceiling is not identified by models that are far below it.

    References
    ----------
    Bhagia et al. 2024, Establishing Task Scaling Laws via Compute-Efficient Model Ladders,
    arXiv:2412.04403, step 2.

    Examples
    --------
    >>> law = ErrorSigmoid(a=0.9, k=-5.0, L0=1.0)
    >>> [round(float(law.loss({"L_pre": L, "chance": 0.25})), 3) for L in (0.5, 1.0, 2.0)]
    [0.126, 0.413, 0.745]
    """

    name: ClassVar = "error-sigmoid"
    title: ClassVar = "sigmoid law of downstream error"
    equation: ClassVar = (
        r"\mathrm{error} = (1 - \mathrm{chance}) (1 - \frac{a}{1 + e^{-k (L - L_0)}})"
    )
    source: ClassVar = "Bhagia et al. 2024, arXiv:2412.04403, step 2"
    inputs: ClassVar = ("L_pre", "chance")
    falls_in: ClassVar = ()
    response: ClassVar = "error"

    a: Values = parameter("a", "share of the room above chance that a perfect model gains")
    k: Values = parameter("k", "steepness, below 0")
    L0: Values = parameter("L_0", "loss at which half of it is gained", "loss")

    coordinates: ClassVar = (
        REMAINS,
        SHARE_OF_FLOOR,
        Coordinate(
            "steepness",
            LogNormal(8.0, 0.8),
            r"-k L_c",
            "steepness for a change of the loss by its mean over the runs",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the error at ``x["L_pre"]``, ``x["chance"]``."""
        z = -self.k * (x["L_pre"] - self.L0)
        return (1 - x["chance"]) * remaining(1 - self.a, z)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this error at the centre, floor and steepness."""
        c, centre = coordinates, reference["L_pre"]
        k = -c["steepness"] / centre
        z = logit_at_centre(c["remains"], c["share_floor"])
        return cls(a=1 - c["remains"] * c["share_floor"], k=k, L0=centre + z / k)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the error at the centre, the share of the floor in it and the steepness."""
        remains = self.loss({"L_pre": reference["L_pre"], "chance": 0.0})
        return {
            "remains": remains,
            "share_floor": (1 - self.a) / remains,
            "steepness": -self.k * reference["L_pre"],
        }
