"""The law of parameters against FLOPs: mixtures of experts by their total size and sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws import sum_of_powers
from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class SparseMoE(Law):
    r"""The law of mixtures of experts by total size and sparsity.

    .. math::

        L(N, D, S) = \frac{a}{N^\alpha} + \frac{b}{D^\beta} + \frac{c}{(1-S)^\lambda}
                     + \frac{d}{(1-S)^\delta N^\gamma} + e

    N is the *total* number of parameters, all experts counted, D the number of training tokens, S the
    share of the experts that a token does not pass, (E - K) / E for K of E experts. e is the irreducible
    loss. lambda is *below* 0, as it was fitted, so that the third term falls as S rises; the rest are above
    0. With delta = gamma the fourth term is one in the active parameters N (1 - S).

    Two traps. With lambda near 0 the third term is nearly a constant, which e is too: the runs tell their
    sum, and the priors on the shares how it is split. And the two terms in N differ in S alone. Four
    or more levels of S are needed.

    References
    ----------
    Abnar et al. 2025, Parameters vs FLOPs: Scaling Laws for Optimal Sparsity for Mixture-of-Experts
    Language Models, arXiv:2501.12370.
    """

    name: ClassVar = "sparse-moe"
    title: ClassVar = "law of size and sparsity of experts (Abnar)"
    equation: ClassVar = (
        r"L = a/N^\alpha + b/D^\beta + c/(1-S)^\lambda + d/((1-S)^\delta N^\gamma) + e"
    )
    source: ClassVar = "Abnar et al. 2025, arXiv:2501.12370"
    inputs: ClassVar = ("N", "D", "S")
    falls_in: ClassVar = ("N", "D")

    a: Values = parameter("a", "scale of the term in N", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    b: Values = parameter("b", "scale of the term in D", "loss")
    beta: Values = parameter(r"\beta", "exponent of D")
    c: Values = parameter("c", "scale of the term in 1 - S", "loss")
    lambda_: Values = parameter(r"\lambda", "exponent of 1 - S, below 0")
    d: Values = parameter("d", "scale of the term in N and 1 - S", "loss")
    delta: Values = parameter(r"\delta", "exponent of 1 - S in that term")
    gamma: Values = parameter(r"\gamma", "exponent of N in that term")
    e: Values = parameter("e", "irreducible loss", "loss")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.2, relative_to="low_loss"),
            "L_0",
            "loss at the centre of N, D and S",
            "loss",
        ),
        Coordinate(
            "share_fixed", Beta(4, 1.7), "q_0", "share of that loss that neither N nor D removes"
        ),
        Coordinate("share_S", Beta(1, 4), "q_S", "share of that part that is the term in 1 - S"),
        Coordinate("share_D", Beta(3, 3), "q_D", "share of the rest that is the term in D"),
        Coordinate(
            "share_active",
            Beta(2, 2),
            "q_a",
            "share of both terms in N that is the one in 1 - S too",
        ),
        sum_of_powers.exponent(
            "exponent_N",
            sum_of_powers.LIKE_ALPHA,
            r"\bar\alpha",
            "mean of alpha and gamma, by the sizes of their terms at the centre",
        ),
        Coordinate("ratio", LogNormal(1.0, 0.4), r"\gamma/\alpha", "gamma in units of alpha"),
        sum_of_powers.EXPONENT_OF_D,
        Coordinate(
            "active",
            LogNormal(0.7, 0.4),
            r"\delta/\gamma",
            "0 if unused experts count in that term as used ones, 1 if not at all",
        ),
        Coordinate("growth", LogNormal(0.3, 0.7), r"-\lambda", "exponent of 1 - S, below 0"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["S"]``."""
        in_N, in_D, in_S, in_both = self._terms(x)
        return in_N + in_D + in_S + in_both + self.e

    def _terms(self, x: Inputs) -> tuple[Any, Any, Any, Any]:
        used = 1 - x["S"]
        return (
            self.a * power(x["N"], -self.alpha),
            self.b * power(x["D"], -self.beta),
            self.c * power(used, -self.lambda_),
            self.d * power(used, -self.delta) * power(x["N"], -self.gamma),
        )

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss and these shares of it at the centre."""
        c, N, used = coordinates, reference["N"], 1 - reference["S"]
        fixed = c["L_ref"] * c["share_fixed"]
        rest = c["L_ref"] * (1 - c["share_fixed"])
        in_N = rest * (1 - c["share_D"])
        alpha = c["exponent_N"] / (1 - c["share_active"] * (1 - c["ratio"]))
        gamma = c["ratio"] * alpha
        delta = gamma * c["active"]
        return cls(
            a=in_N * (1 - c["share_active"]) * power(N, alpha),
            alpha=alpha,
            b=rest * c["share_D"] * power(reference["D"], c["beta"]),
            beta=c["beta"],
            c=fixed * c["share_S"] * power(used, -c["growth"]),
            lambda_=-c["growth"],
            d=in_N * c["share_active"] * power(N, gamma) * power(used, delta),
            delta=delta,
            gamma=gamma,
            e=fixed * (1 - c["share_S"]),
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre and the shares of its terms."""
        in_N, in_D, in_S, in_both = self._terms(reference)
        fixed, rest = in_S + self.e, in_N + in_both + in_D
        share_active = in_both / (in_N + in_both)
        return {
            "L_ref": fixed + rest,
            "share_fixed": fixed / (fixed + rest),
            "share_S": in_S / fixed,
            "share_D": in_D / rest,
            "share_active": share_active,
            "exponent_N": self.alpha + share_active * (self.gamma - self.alpha),
            "ratio": self.gamma / self.alpha,
            "beta": self.beta,
            "active": self.delta / self.gamma,
            "growth": -self.lambda_,
        }
