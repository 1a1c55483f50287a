"""The Chinchilla law with one exponent for parameters and tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws import sum_of_powers
from bayescale.laws.base import ClosedFormOptimum, Inputs, Law, Published, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.coupled import Coupled
from bayescale.parameters import Values, parameter
from bayescale.priors import LogNormal, Reference


class Tied(Law, ClosedFormOptimum):
    r"""The Chinchilla law with one exponent.

    .. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\alpha}

    N is the number of parameters, D the number of training tokens, E the irreducible loss, A and B
    the scales of the two terms, alpha the exponent of both. All are above 0. N and D then grow alike
    with compute, whatever the runs say: the law states how a budget is to be split, and only asks how
    many tokens go to a parameter. Runs seldom ask for the tie, so compare it with ``chinchilla``.

    References
    ----------
    Muennighoff et al. 2023, Scaling Data-Constrained Language Models, arXiv:2305.16264, the fit to
    runs of one epoch.

    Examples
    --------
    >>> law = Tied.from_published("muennighoff-2023-base")
    >>> round(float(law.loss({"N": 2.8e9, "D": 55e9})), 3)
    2.354
    """

    name: ClassVar = "tied"
    title: ClassVar = "Chinchilla law with one exponent"
    equation: ClassVar = r"L = E + A N^{-\alpha} + B D^{-\alpha}"
    source: ClassVar = "Muennighoff et al. 2023, arXiv:2305.16264, fit to runs of one epoch"
    inputs: ClassVar = ("N", "D")
    wider: ClassVar = Coupled

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in D", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N and of D")

    coordinates: ClassVar = (
        *Chinchilla.coordinates[:3],
        sum_of_powers.exponent(
            "alpha", LogNormal(0.32, 0.40, low=0.05, high=1.2), r"\alpha", "exponent of N and of D"
        ),
    )
    published: ClassVar = (
        Published(
            "muennighoff-2023-base",
            "Muennighoff et al. 2023, arXiv:2305.16264, authors' repository, unrounded",
            {
                "E": math.exp(0.6254804),
                "A": math.exp(6.255414),
                "B": math.exp(7.3049974),
                "alpha": 0.3526596,
            },
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``."""
        return self.E + self.A * power(x["N"], -self.alpha) + self.B * power(x["D"], -self.alpha)

    def optimum(self, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
        """Return N and D of the lowest loss under C = k N D."""
        return self._untied().optimum(flops, flops_per_parameter_token)

    def allocation_exponents(self) -> dict[str, Any]:
        """Return a and b of N_opt ~ C^a, D_opt ~ C^b: a half each."""
        return self._untied().allocation_exponents()

    def _untied(self) -> Chinchilla:
        return Chinchilla(E=self.E, A=self.A, B=self.B, alpha=self.alpha, beta=self.alpha)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Tied:
        """Return the law with these decision coordinates."""
        both = {**coordinates, "beta": coordinates["alpha"]}
        same = Chinchilla.from_coordinates(both, reference)
        return cls(E=same.E, A=same.A, B=same.B, alpha=same.alpha)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law."""
        found = self._untied().to_coordinates(reference)
        del found["beta"]
        return found
