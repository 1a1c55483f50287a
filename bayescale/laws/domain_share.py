"""The law of continued pretraining on a domain: N, D and the share of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws import sum_of_powers
from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.shares import share_power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class DomainShare(Law):
    r"""The law of continued pretraining on a domain (D-CPT).

    .. math:: L(N, D, r) = E + A N^{-\alpha} + B\,r^{\eta} D^{-\beta} + C\,(r + \varepsilon)^{-\gamma}

    N is the number of parameters, D the number of training tokens, r the share of the domain in them,
    from 0 to 1; the loss is that of the domain. E is the irreducible loss, A and alpha belong to N, B,
    beta and eta to D, and C, gamma and epsilon (which keeps the loss finite at r = 0) to the share. All
    are above 0. For the loss of general text, let r be the share of general text.

    B r^eta rises with r while the last term falls: that the loss falls in r is a condition the authors
    put on fits, and a posterior may disagree where r hardly varies. With few values of r, C, gamma and
    epsilon are one quantity; E joins them where N and D span little.

    References
    ----------
    Que et al. 2024, D-CPT Law, arXiv:2406.01375.

    Examples
    --------
    >>> law = DomainShare(
    ...     E=1.0, A=300.0, B=500.0, C=0.2, alpha=0.34, beta=0.3, gamma=0.5, eta=0.3, epsilon=0.05
    ... )
    >>> [round(float(law.loss({"N": 1e9, "D": 1e10, "r": r})), 3) for r in (0.1, 0.5)]
    [2.028, 1.937]
    """

    name: ClassVar = "domain-share"
    title: ClassVar = "law of continued pretraining on a domain"
    equation: ClassVar = (
        r"L = E + A N^{-\alpha} + B r^\eta D^{-\beta} + C (r + \varepsilon)^{-\gamma}"
    )
    source: ClassVar = "Que et al. 2024, arXiv:2406.01375"
    inputs: ClassVar = ("N", "D", "r")
    falls_in: ClassVar = ("N", "D")

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in D", "loss")
    C: Values = parameter("C", "scale of the term in the share", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of D")
    gamma: Values = parameter(r"\gamma", "exponent of the share")
    eta: Values = parameter(r"\eta", "exponent of the share in the term in D")
    epsilon: Values = parameter(r"\varepsilon", "share added, so that the loss is finite at 0")

    coordinates: ClassVar = (
        sum_of_powers.LOSS_AT_OPTIMUM,
        Coordinate(
            "share_E", sum_of_powers.SHARE_OF_E.prior, "E_r/L^*", "share of it that N and D leave"
        ),
        Coordinate("share_r", Beta(2, 5), "s_r", "share of the term in r in what N and D leave"),
        sum_of_powers.TOKENS_PER_PARAMETER,
        sum_of_powers.EXPONENT_OF_N,
        sum_of_powers.EXPONENT_OF_D,
        Coordinate(
            "slope_r",
            LogNormal(0.06, 0.8),
            r"s_r \gamma r / (r + \varepsilon)",
            "slope in log r, at the mean share, of the log of what N and D leave",
        ),
        Coordinate("eta", LogNormal(0.5, 0.7), r"\eta", "exponent of the share in the term in D"),
        Coordinate(
            "epsilon",
            LogNormal(0.1, 1.0),
            r"\varepsilon",
            "share added, so that the loss is finite at 0",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["r"]``."""
        term_D = self.B * share_power(x["r"], self.eta) * power(x["D"], -self.beta)
        term_r = self.C * power(x["r"] + self.epsilon, -self.gamma)
        return self.E + self.A * power(x["N"], -self.alpha) + term_D + term_r

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these coordinates at the optimum of the reference budget, at the mean r."""
        c, r = coordinates, reference["r"]
        floor = c["L_opt"] * c["share_E"]
        reducible = c["L_opt"] * (1 - c["share_E"])
        scales = sum_of_powers.coefficients(reducible, c["alpha"], c["beta"], c["M_opt"], reference)
        gamma = c["slope_r"] / c["share_r"] * (1 + c["epsilon"] / r)
        return cls(
            E=floor * (1 - c["share_r"]),
            A=scales["A"],
            B=scales["B"] * power(r, -c["eta"]),
            C=floor * c["share_r"] * power(r + c["epsilon"], gamma),
            gamma=gamma,
            **{name: c[name] for name in ("alpha", "beta", "eta", "epsilon")},
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law: the inverse of `from_coordinates`."""
        r = reference["r"]
        at_r = self.B * power(r, self.eta)
        decision = sum_of_powers.decision_coordinates(
            self.A, at_r, self.alpha, self.beta, reference
        )
        term_r = self.C * power(r + self.epsilon, -self.gamma)
        floor = self.E + term_r
        return {
            "L_opt": floor + decision["total"],
            "share_E": floor / (floor + decision["total"]),
            "share_r": term_r / floor,
            "M_opt": decision["M_opt"],
            "slope_r": self.gamma / (1 + self.epsilon / r) * term_r / floor,
            **{name: getattr(self, name) for name in ("alpha", "beta", "eta", "epsilon")},
        }
