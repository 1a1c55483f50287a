"""The law of sparse weights: the Chinchilla law, with a sparsity in the term in N."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class SparseWeights(Law):
    r"""The law of models with sparse weights.

    .. math:: L(S, N, D) = \left(a_S (1-S)^{b_S} + c_S\right) N^{-b_N} + \left(\frac{a_D}{D}\right)^{b_D} + c

    N is the number of weights that are *not* zero, D the number of training tokens, S the share of the
    weights that are zero (0 if dense). c is the irreducible loss; all are above 0. At the same number of
    non-zero weights a sparser model is better, and the term in D is that of a dense model. At one S, and
    so at S = 0, it is a Chinchilla law.

    a_S, b_S and c_S need runs at three or more levels of S; without, their priors return.

    References
    ----------
    Frantar et al. 2023, Scaling Laws for Sparsely-Connected Foundation Models, arXiv:2309.08520.
    """

    name: ClassVar = "sparse-weights"
    title: ClassVar = "law of sparse weights (Frantar)"
    equation: ClassVar = r"L = (a_S (1-S)^{b_S} + c_S) N^{-b_N} + (a_D / D)^{b_D} + c"
    source: ClassVar = "Frantar et al. 2023, arXiv:2309.08520"
    inputs: ClassVar = ("N", "D", "S")

    a_S: Values = parameter("a_S", "what sparsity can remove of the scale of the term in N", "loss")
    b_S: Values = parameter("b_S", "exponent of 1 - S")
    c_S: Values = parameter("c_S", "what sparsity cannot remove of that scale", "loss")
    b_N: Values = parameter("b_N", "exponent of N")
    a_D: Values = parameter("a_D", "scale of D", "tokens")
    b_D: Values = parameter("b_D", "exponent of D")
    c: Values = parameter("c", "irreducible loss", "loss")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,  # at the mean of S
        Coordinate(
            "share_S",
            Beta(2, 4),
            "q_S",
            "share of the term in N that sparsity can remove, at the mean of S",
        ),
        Coordinate("b_S", LogNormal(1.0, 0.4), "b_S", "exponent of 1 - S"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["S"]``."""
        in_N = self._scale(x["S"]) * power(x["N"], -self.b_N)
        return in_N + power(self.a_D / x["D"], self.b_D) + self.c

    def _scale(self, S: Any) -> Any:
        return self.a_S * power(1 - S, self.b_S) + self.c_S

    def at(self, S: Any) -> Chinchilla:
        """Return the Chinchilla law of N and D at a sparsity; S = 0 is the dense one."""
        B = power(self.a_D, self.b_D)
        return Chinchilla(E=self.c, A=self._scale(S), B=B, alpha=self.b_N, beta=self.b_D)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates at the mean of S."""
        there: Any = Chinchilla.from_coordinates(coordinates, reference)
        share, b_S = coordinates["share_S"], coordinates["b_S"]
        return cls(
            a_S=there.A * share * power(1 - reference["S"], -b_S),
            b_S=b_S,
            c_S=there.A * (1 - share),
            b_N=there.alpha,
            a_D=power(there.B, 1 / there.beta),
            b_D=there.beta,
            c=there.E,
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates at the mean of S."""
        there = self.at(reference["S"])
        return {
            **there.to_coordinates(reference),
            "share_S": 1 - self.c_S / there.A,
            "b_S": self.b_S,
        }
