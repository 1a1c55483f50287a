"""The coupled law: the Chinchilla sum inside an outer exponent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws import sum_of_powers
from bayescale.laws.base import ClosedFormOptimum, Inputs, Law, Published, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class Coupled(Law, ClosedFormOptimum):
    r"""The coupled (outer-exponent) law.

    .. math:: L(N, D) = E + \left(A N^{-\alpha} + B D^{-\beta}\right)^k

    N is the number of parameters, D the number of training tokens, E the irreducible loss. The outer
    exponent k couples N and D: with k < 1, more data help a larger model more; k = 1 is the
    Chinchilla law. A, alpha, B and beta are the *inner* scales and exponents; k alpha and k beta are
    comparable to Chinchilla's. All are above 0.

    References
    ----------
    Busbridge et al. 2025, Distillation Scaling Laws, arXiv:2502.08606 (the supervised law); Videau
    2026, arXiv:2608.07222.

    Examples
    --------
    >>> law = Coupled(E=1.22, A=3355.0, B=18186.0, alpha=0.408, beta=0.431, k=0.452)
    >>> round(float(law.loss({"N": 1e9, "D": 2e10})), 2)
    2.37
    """

    name: ClassVar = "coupled"
    title: ClassVar = "coupled (outer-exponent) law"
    equation: ClassVar = r"L = E + (A N^{-\alpha} + B D^{-\beta})^k"
    source: ClassVar = "Busbridge et al. 2025, arXiv:2502.08606, supervised law"
    inputs: ClassVar = ("N", "D")
    usual: ClassVar = True

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "inner scale of the term in N")
    B: Values = parameter("B", "inner scale of the term in D")
    alpha: Values = parameter(r"\alpha", "inner exponent of N")
    beta: Values = parameter(r"\beta", "inner exponent of D")
    k: Values = parameter("k", "outer exponent")

    coordinates: ClassVar = (
        sum_of_powers.LOSS_AT_OPTIMUM,
        sum_of_powers.SHARE_OF_E,
        sum_of_powers.TOKENS_PER_PARAMETER,
        sum_of_powers.exponent(
            "k_alpha", sum_of_powers.LIKE_ALPHA, r"k\alpha", "effective exponent of N"
        ),
        sum_of_powers.exponent(
            "k_beta",
            sum_of_powers.LIKE_BETA,
            r"k\beta",
            "effective exponent of D",
            sum_of_powers.FIRM_D,
        ),
        Coordinate("k", LogNormal(0.6, 0.5, low=0.15, high=1.5), "k", "outer exponent"),
    )
    published: ClassVar = (
        Published(
            "busbridge-2025",
            "Busbridge et al. 2025, arXiv:2502.08606, supervised law",
            {
                "E": 1.220,
                "A": 3355.0,
                "B": 18186.0,
                "alpha": 0.408,
                "beta": 0.431,
                "k": 0.452,
            },
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``."""
        inner = self.A * power(x["N"], -self.alpha) + self.B * power(x["D"], -self.beta)
        return self.E + power(inner, self.k)

    def optimum(self, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
        """Return N and D of the lowest loss under C = k N D."""
        product = flops / flops_per_parameter_token
        return sum_of_powers.optimum(self.A, self.B, self.alpha, self.beta, product)

    def allocation_exponents(self) -> dict[str, Any]:
        """Return a and b of N_opt ~ C^a, D_opt ~ C^b."""
        return sum_of_powers.exponents(self.alpha, self.beta)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates."""
        c = coordinates
        k = c["k"]
        alpha, beta = c["k_alpha"] / k, c["k_beta"] / k
        inner = power(c["L_opt"] * (1 - c["share_E"]), 1 / k)
        scales = sum_of_powers.coefficients(inner, alpha, beta, c["M_opt"], reference)
        return cls(E=c["L_opt"] * c["share_E"], alpha=alpha, beta=beta, k=k, **scales)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law."""
        decision = sum_of_powers.decision_coordinates(
            self.A, self.B, self.alpha, self.beta, reference
        )
        loss = self.E + power(decision["total"], self.k)
        return {
            "L_opt": loss,
            "share_E": self.E / loss,
            "M_opt": decision["M_opt"],
            "k_alpha": self.k * self.alpha,
            "k_beta": self.k * self.beta,
            "k": self.k,
        }
