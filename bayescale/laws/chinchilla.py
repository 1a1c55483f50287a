"""The Chinchilla law: an irreducible loss, a term in N and a term in D."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws import sum_of_powers
from bayescale.laws.base import ClosedFormOptimum, Inputs, Law, Published, power
from bayescale.laws.coupled import Coupled
from bayescale.parameters import Values, parameter
from bayescale.priors import Reference


class Chinchilla(Law, ClosedFormOptimum):
    r"""The Chinchilla law.

    .. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\beta}

    N is the number of parameters, D the number of training tokens, E the irreducible loss, A and
    alpha the scale and exponent of what a finite model loses, B and beta of what finite data lose.
    All are above 0.

    References
    ----------
    Hoffmann et al. 2022, Training Compute-Optimal Large Language Models, arXiv:2203.15556,
    equation 2. Besiroglu et al. 2024, Chinchilla Scaling: A replication attempt, arXiv:2404.10102.

    Examples
    --------
    >>> law = Chinchilla.from_published("besiroglu-2024")
    >>> round(float(law.loss({"N": 70e9, "D": 1.4e12})), 3)
    1.973
    """

    name: ClassVar = "chinchilla"
    title: ClassVar = "Chinchilla law"
    equation: ClassVar = r"L = E + A N^{-\alpha} + B D^{-\beta}"
    source: ClassVar = "Hoffmann et al. 2022, arXiv:2203.15556, equation 2"
    inputs: ClassVar = ("N", "D")
    usual: ClassVar = True
    wider: ClassVar = Coupled

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in D", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of D")

    coordinates: ClassVar = (
        sum_of_powers.LOSS_AT_OPTIMUM,
        sum_of_powers.SHARE_OF_E,
        sum_of_powers.TOKENS_PER_PARAMETER,
        sum_of_powers.EXPONENT_OF_N,
        sum_of_powers.EXPONENT_OF_D,
    )
    published: ClassVar = (
        Published(
            "hoffmann-2022",
            "Hoffmann et al. 2022, arXiv:2203.15556, approach 3, unrounded values of the TeX source",
            {
                "E": math.exp(0.5267228),
                "A": math.exp(6.0073404),
                "B": math.exp(6.0179186),
                "alpha": 0.33917084,
                "beta": 0.2849083,
            },
        ),
        Published(
            "besiroglu-2024",
            "Besiroglu et al. 2024, arXiv:2404.10102, 240 runs",
            {"E": 1.81686, "A": 482.00572, "B": 2085.4342, "alpha": 0.34781, "beta": 0.36585},
        ),
        Published(
            "krajewski-2024-dense",
            "Krajewski et al. 2024, arXiv:2402.07871, dense models on C4",
            {"E": 0.47, "A": 16.3, "B": 26.7, "alpha": 0.126, "beta": 0.127},
        ),
    )

    traps: ClassVar = (
        "alpha = 0.07 and beta = 0.16 are no exponents of this law: those near 0.07 to 0.10 are of Kaplan's "
        "laws, which have no offset; Hoffmann et al. have 0.339 and 0.285.",
        "The rounded exponents 0.34 and 0.28 of the paper's text put the optimum at 5.76e23 FLOPs at 93 "
        "tokens per parameter; its unrounded ones (hoffmann-2022) at 59.",
        "The optimal size is G (C/6)^a, not G C^a: C is 6 N D.",
        "20 tokens per parameter is what approaches 1 and 2 of Hoffmann et al. give, and the replication "
        "(besiroglu-2024: 18); this law with the paper's own constants does not.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``."""
        return self.E + self.A * power(x["N"], -self.alpha) + self.B * power(x["D"], -self.beta)

    def optimum(self, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
        """Return N and D of the lowest loss under C = k N D."""
        product = flops / flops_per_parameter_token
        return sum_of_powers.optimum(self.A, self.B, self.alpha, self.beta, product)

    def allocation_exponents(self) -> dict[str, Any]:
        """Return a and b of N_opt ~ C^a, D_opt ~ C^b."""
        return sum_of_powers.exponents(self.alpha, self.beta)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Chinchilla:
        """Return the law with these decision coordinates."""
        c = coordinates
        reducible = c["L_opt"] * (1 - c["share_E"])
        scales = sum_of_powers.coefficients(reducible, c["alpha"], c["beta"], c["M_opt"], reference)
        return cls(E=c["L_opt"] * c["share_E"], alpha=c["alpha"], beta=c["beta"], **scales)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law."""
        decision = sum_of_powers.decision_coordinates(
            self.A, self.B, self.alpha, self.beta, reference
        )
        loss = self.E + decision["total"]
        return {
            "L_opt": loss,
            "share_E": self.E / loss,
            "M_opt": decision["M_opt"],
            "alpha": self.alpha,
            "beta": self.beta,
        }
