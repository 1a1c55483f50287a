"""The bounded law: loss between that of no knowledge and the irreducible one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import sum_of_powers
from bayescale.laws.base import ClosedFormOptimum, Inputs, Law, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class Bounded(Law, ClosedFormOptimum):
    r"""The bounded law.

    .. math:: L(N, D) = E + (L_0 - E)\,\frac{h}{1 + h}, \qquad h = a N^{-\alpha} + b D^{-\beta}

    N is the number of parameters, D the number of training tokens, E the irreducible loss, L0 the loss
    without any knowledge, above E, which no run exceeds; h, the odds of where the loss lies between
    the two, is a sum of powers with scales a and b and exponents alpha and beta. All are above 0. Where h is
    small this is the Chinchilla law with A = (L0 - E) a and B = (L0 - E) b; models too small or tokens
    too few cost less than there.

    The paper's h has a third term in unique tokens, c N^gamma / U^delta, for over-fitting on repeated
    data; this is the part in N and D. L0 is seen only where losses come near it: the logarithm of the size
    of the vocabulary, in nats, is its natural value. Its prior lies above the highest loss of the runs.

    References
    ----------
    Practical Scaling Laws 2026, arXiv:2605.09189.

    Examples
    --------
    >>> law = Bounded(E=1.8, L0=10.8, a=54.0, b=230.0, alpha=0.35, beta=0.366)
    >>> round(float(law.loss({"N": 1e9, "D": 2e10})), 3)
    2.446
    >>> round(float(law.loss({"N": 1.0, "D": 1.0})), 2)  # no more than L0
    10.77
    """

    name: ClassVar = "bounded"
    title: ClassVar = "bounded law"
    equation: ClassVar = r"L = E + (L_0 - E) h/(1 + h),\ h = a N^{-\alpha} + b D^{-\beta}"
    source: ClassVar = "Practical Scaling Laws 2026, arXiv:2605.09189, its part in N and D"
    inputs: ClassVar = ("N", "D")
    extremes: ClassVar = ("loss",)

    E: Values = parameter("E", "irreducible loss", "loss")
    L0: Values = parameter("L_0", "loss without any knowledge", "loss")
    a: Values = parameter("a", "scale of the odds in N")
    b: Values = parameter("b", "scale of the odds in D")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of D")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,
        Coordinate(
            "excess_L0",
            LogNormal(1.0, 0.8),
            r"L_0/L_{max} - 1",
            "how far L0 lies above the highest loss of the runs (or L_opt, if that is higher), as a "
            "share of it",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``."""
        odds = self.a * power(x["N"], -self.alpha) + self.b * power(x["D"], -self.beta)
        return self.E + (self.L0 - self.E) * _share(odds)

    def optimum(self, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
        """Return N and D of the lowest loss under C = k N D."""
        product = flops / flops_per_parameter_token
        return sum_of_powers.optimum(self.a, self.b, self.alpha, self.beta, product)

    def allocation_exponents(self) -> dict[str, Any]:
        """Return a and b of N_opt ~ C^a, D_opt ~ C^b."""
        return sum_of_powers.exponents(self.alpha, self.beta)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates and this bound."""
        c = coordinates
        loss, e = c["L_opt"], c["L_opt"] * c["share_E"]
        bound = _highest(loss, reference) * (1 + c["excess_L0"])
        scales = sum_of_powers.coefficients(
            (loss - e) / (bound - loss), c["alpha"], c["beta"], c["M_opt"], reference
        )
        exponents = {"alpha": c["alpha"], "beta": c["beta"]}
        return cls(E=e, L0=bound, a=scales["A"], b=scales["B"], **exponents)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law and its bound."""
        decision = sum_of_powers.decision_coordinates(
            self.a, self.b, self.alpha, self.beta, reference
        )
        loss = self.E + (self.L0 - self.E) * _share(decision["total"])
        return {
            "L_opt": loss,
            "share_E": self.E / loss,
            "M_opt": decision["M_opt"],
            "alpha": self.alpha,
            "beta": self.beta,
            "excess_L0": self.L0 / _highest(loss, reference) - 1,
        }


def _share(odds: Any) -> Any:
    return odds / (1 + odds)


def _highest(loss: Any, reference: Reference) -> Any:
    """The highest loss; that at the optimum where a draw of the prior has put it above all runs."""
    return jnp.maximum(loss, reference["highest_loss"])
