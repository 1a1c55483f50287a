"""The law of continued pretraining on a domain: N, D and the share of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

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
    [2.03, 1.936]
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
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the centre of the runs",
            "loss",
        ),
        Coordinate("share_E", Beta(3, 2), r"E/L_0", "share of that loss that is irreducible"),
        Coordinate("share_r", Beta(1, 2), r"s_r", "share of the term in r in the rest"),
        Coordinate("share_N", Beta(1, 1), r"s_N", "share of N in what N and D lose"),
        Coordinate("alpha", LogNormal(0.30, 0.40, low=0.05, high=1.2), r"\alpha", "exponent of N"),
        Coordinate("beta", LogNormal(0.36, 0.50, low=0.05, high=1.2), r"\beta", "exponent of D"),
        Coordinate(
            "gamma", LogNormal(0.3, 0.8, low=0.01, high=3.0), r"\gamma", "exponent of the share"
        ),
        Coordinate(
            "eta",
            LogNormal(0.5, 0.7, low=0.02, high=4.0),
            r"\eta",
            "exponent of the share in the term in D",
        ),
        Coordinate(
            "epsilon",
            LogNormal(0.1, 1.0, low=1e-3, high=1.0),
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
        """Return the law with this loss and these shares of it at the centre."""
        c, r = coordinates, reference
        names = ("alpha", "beta", "gamma", "eta", "epsilon")
        reducible = c["L_ref"] * (1 - c["share_E"])
        both = reducible * (1 - c["share_r"])
        per_D = jnp.exp(c["beta"] * jnp.log(r["D"]) - c["eta"] * jnp.log(r["r"]))
        return cls(
            E=c["L_ref"] * c["share_E"],
            A=both * c["share_N"] * power(r["N"], c["alpha"]),
            B=both * (1 - c["share_N"]) * per_D,
            C=reducible * c["share_r"] * power(r["r"] + c["epsilon"], c["gamma"]),
            **{name: c[name] for name in names},
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss and the shares of it at the centre, the exponents and epsilon."""
        r, loss = reference, self.loss(reference)
        term_N = self.A * power(r["N"], -self.alpha)
        term_D = self.B * power(r["r"], self.eta) * power(r["D"], -self.beta)
        term_r = self.C * power(r["r"] + self.epsilon, -self.gamma)
        return {
            "L_ref": loss,
            "share_E": self.E / loss,
            "share_r": term_r / (term_N + term_D + term_r),
            "share_N": term_N / (term_N + term_D),
            **{n: getattr(self, n) for n in ("alpha", "beta", "gamma", "eta", "epsilon")},
        }
