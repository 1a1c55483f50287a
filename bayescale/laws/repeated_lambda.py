"""The one-stage law of repeated data: only the tokens saturate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.repetition import D_FROM_U, worth
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class RepeatedLambda(Law):
    r"""The one-stage law of repeated data.

    .. math:: L(N, D, U) = E + A N^{-\alpha} + B\,S_\lambda(D; U)^{-\beta}, \qquad
              S_\lambda(D; U) = U\left[1 + \frac{1 - e^{-\lambda (D/U - 1)}}{\lambda}\right]

    N is the number of parameters, D the number of training tokens, repeats included, U that of unique
    tokens among them, so that D / U is the number of epochs. lambda is the rate at which repeats lose
    their value: 1 / R_D of the law ``repeated``, from which this differs in that parameters do not
    saturate. All parameters are above 0. At one epoch it is the Chinchilla law.

    U must be what the run saw, never the size of a corpus that it did not finish. The law is kept for one
    language or source: the paper's sums over languages are left out.

    References
    ----------
    ATLAS 2025, arXiv:2510.22037.

    Examples
    --------
    >>> law = RepeatedLambda(E=1.87, A=521.0, B=1488.0, alpha=0.353, beta=0.353, lam=0.065)
    >>> [round(float(law.loss({"N": 1e9, "D": e * 1e10, "U": 1e10})), 3) for e in (1, 4, 40)]
    [2.656, 2.493, 2.385]
    """

    name: ClassVar = "repeated-lambda"
    title: ClassVar = "one-stage law of repeated data"
    equation: ClassVar = (
        r"L = E + A N^{-\alpha} + B S^{-\beta},\ S = U[1 + (1 - e^{-\lambda (D/U - 1)})/\lambda]"
    )
    source: ClassVar = "ATLAS 2025, arXiv:2510.22037"
    inputs: ClassVar = ("N", "D", "U")
    rules: ClassVar = (D_FROM_U,)

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in effective tokens", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of effective tokens")
    lam: Values = parameter(r"\lambda", "rate at which repeats lose their value", "1/epoch")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,
        Coordinate(
            "lam",
            LogNormal(1 / 15, 0.6),
            r"\lambda",
            "rate at which repeats lose their value",
            "1/epoch",
        ),
    )

    traps: ClassVar = (
        "U is what the run saw, not the size of its corpus: D for a run that repeats nothing.",
        "lambda is 1 / R_D of the law repeated.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["U"]``."""
        data = worth(x["U"], x["D"] / x["U"] - 1, 1 / self.lam)
        return self._once().loss({"N": x["N"], "D": data})

    def _once(self) -> Chinchilla:
        return Chinchilla(E=self.E, A=self.A, B=self.B, alpha=self.alpha, beta=self.beta)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates, at one epoch, and this rate."""
        c = coordinates
        return cls(**vars(Chinchilla.from_coordinates(c, reference)), lam=c["lam"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law, and its rate."""
        return {**self._once().to_coordinates(reference), "lam": self.lam}
