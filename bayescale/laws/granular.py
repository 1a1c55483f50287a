"""The law of fine-grained mixtures of experts: the Chinchilla law with a granularity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law, Published, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class Granular(Law):
    r"""The law of fine-grained mixtures of experts.

    .. math:: L(N, D, G) = c + \left(\frac{g}{G^\gamma} + a\right) N^{-\alpha} + b D^{-\beta}

    N is the number of parameters, D the number of training tokens, G the granularity: how many times
    narrower an expert is than the dense layer it stands for. The number of experts per granularity
    (expansion rate) is the same in all runs. c is the irreducible loss, a and g what granularity
    cannot and can remove of the scale of the term in N. All are above 0.

    With one granularity in the runs, g and gamma are not informed. Larger G costs more for routing,
    which compute of 6 N D leaves out. The published c is far below that of other fits, and its
    exponents half the usual ones: the two trade off, and that fit was penalised towards 0.

    References
    ----------
    Krajewski et al. 2024, Scaling Laws for Fine-Grained Mixture of Experts, arXiv:2402.07871.

    Examples
    --------
    >>> law = Granular.from_published("krajewski-2024")
    >>> round(float(law.loss({"N": 1e9, "D": 2e10, "G": 8})), 2)
    3.14
    """

    name: ClassVar = "granular"
    title: ClassVar = "law of fine-grained experts (Krajewski)"
    equation: ClassVar = r"L = c + (g / G^\gamma + a) N^{-\alpha} + b D^{-\beta}"
    source: ClassVar = "Krajewski et al. 2024, arXiv:2402.07871"
    inputs: ClassVar = ("N", "D", "G")

    c: Values = parameter("c", "irreducible loss", "loss")
    a: Values = parameter("a", "scale of the term in N without end of granularity", "loss")
    g: Values = parameter("g", "what granularity can remove of that scale", "loss")
    gamma: Values = parameter(r"\gamma", "exponent of granularity")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    b: Values = parameter("b", "scale of the term in D", "loss")
    beta: Values = parameter(r"\beta", "exponent of D")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,  # at the centre of G
        Coordinate(
            "share_g",
            Beta(1.5, 6),
            "g/(g + aG^\\gamma)",
            "share of the term in N that granularity can remove, at the centre of G",
        ),
        Coordinate("gamma", LogNormal(0.6, 0.4), r"\gamma", "exponent of granularity"),
    )
    published: ClassVar = (
        Published(
            "krajewski-2024",
            "Krajewski et al. 2024, arXiv:2402.07871, mixtures of 64 experts per granularity",
            {
                "c": 0.47,
                "a": 18.1,
                "g": 2.1,
                "gamma": 0.58,
                "alpha": 0.115,
                "b": 30.8,
                "beta": 0.147,
            },
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["G"]``."""
        scale = self.g * power(x["G"], -self.gamma) + self.a
        return self.c + scale * power(x["N"], -self.alpha) + self.b * power(x["D"], -self.beta)

    def at(self, G: Any) -> Chinchilla:
        """Return the Chinchilla law of N and D at a granularity."""
        A = self.g * power(G, -self.gamma) + self.a
        return Chinchilla(E=self.c, A=A, B=self.b, alpha=self.alpha, beta=self.beta)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates at the centre of G."""
        there: Any = Chinchilla.from_coordinates(coordinates, reference)
        share, gamma = coordinates["share_g"], coordinates["gamma"]
        return cls(
            c=there.E,
            a=there.A * (1 - share),
            g=there.A * share * power(reference["G"], gamma),
            gamma=gamma,
            alpha=there.alpha,
            b=there.B,
            beta=there.beta,
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates at the centre of G."""
        there = self.at(reference["G"])
        return {
            **there.to_coordinates(reference),
            "share_g": 1 - self.a / there.A,
            "gamma": self.gamma,
        }
