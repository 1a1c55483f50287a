"""The joint law of dense models and mixtures of experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Published
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.effective_experts import MOST, START, effective_experts
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Normal, Reference


class JointMoE(Law):
    r"""The joint law of dense models and mixtures of experts.

    .. math::

        L(N_{act}, D, E) = a \hat E^{\delta} N_{act}^{\alpha + \gamma \ln \hat E}
                           + b \hat E^{\omega} D^{\beta + \zeta \ln \hat E} + c

    N_act is the number of parameters that a token passes, D the number of training tokens, E (the column
    experts; 1 for a dense model) the number of experts, and :math:`\hat E` their effective number
    (`bayescale.laws.effective_experts`). c is the irreducible loss. As in the paper the exponents alpha
    and beta are *below* 0, and the logarithm is natural. At one number of experts it is a Chinchilla law.

    The exponents :math:`\alpha + \gamma \ln \hat E` need numbers of experts that differ by a factor of ten
    or more, with a spread of tokens at each.

    References
    ----------
    Ludziejewski et al. 2025, Joint MoE Scaling Laws: Mixture of Experts Can Be Memory Efficient,
    arXiv:2502.05172.

    Examples
    --------
    >>> law = JointMoE.from_published("ludziejewski-2025")
    >>> round(float(law.loss({"N_act": 1e9, "D": 1e11, "experts": 8})), 2)
    2.36
    >>> {name: round(float(-v), 4) for name, v in law.exponents(experts=32).items()}
    {'N_act': 0.1557, 'D': 0.2653}
    """

    name: ClassVar = "joint-moe"
    title: ClassVar = "joint law of dense and mixture-of-experts models"
    equation: ClassVar = (
        r"L = a \hat E^\delta N_{act}^{\alpha + \gamma \ln \hat E}"
        r" + b \hat E^\omega D^{\beta + \zeta \ln \hat E} + c"
    )
    source: ClassVar = "Ludziejewski et al. 2025, arXiv:2502.05172"
    inputs: ClassVar = ("N_act", "D", "experts")
    falls_in: ClassVar = ("N_act", "D")

    a: Values = parameter("a", "scale of the term in N_act", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N_act with one effective expert, below 0")
    delta: Values = parameter(r"\delta", "exponent of effective experts in the term in N_act")
    gamma: Values = parameter(r"\gamma", "change of alpha with the log of effective experts")
    b: Values = parameter("b", "scale of the term in D", "loss")
    beta: Values = parameter(r"\beta", "exponent of D with one effective expert, below 0")
    omega: Values = parameter(r"\omega", "exponent of effective experts in the term in D")
    zeta: Values = parameter(r"\zeta", "change of beta with the log of effective experts")
    E_start: Values = parameter("E_{start}", "effective experts of a dense model")
    E_max: Values = parameter("E_{max}", "effective experts of ever more experts")
    c: Values = parameter("c", "irreducible loss", "loss")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,  # at the centre of the experts
        Coordinate(
            "slope_N",
            Normal(-0.04, 0.05),
            "s_N",
            "exponent of effective experts in the term in N_act, at the centre of N_act",
        ),
        Coordinate(
            "slope_D",
            Normal(-0.04, 0.05),
            "s_D",
            "exponent of effective experts in the term in D, at the centre of D",
        ),
        # Relative, so that the exponents of all counts of experts have the sign of the centre's.
        Coordinate(
            "growth_N", Normal(0.0, 0.1), "g_N", "relative change of alpha per factor e of experts"
        ),
        Coordinate(
            "growth_D", Normal(0.0, 0.1), "g_D", "relative change of beta per factor e of experts"
        ),
        START,
        MOST,
    )
    published: ClassVar = (
        Published(
            "ludziejewski-2025",
            "Ludziejewski et al. 2025, arXiv:2502.05172",
            {
                "a": 35.91, "alpha": -0.1889, "delta": -0.2285, "gamma": 0.0098,
                "b": 35.98, "beta": -0.1775, "omega": 0.5529, "zeta": -0.0259,
                "E_start": 2.0732, "E_max": 290.4521, "c": 1.3637,
            },
        ),
    )  # fmt: skip

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N_act"]``, ``x["D"]``, ``x["experts"]``."""
        e = self._log_experts(x["experts"])
        n = self.delta * e + (self.alpha + self.gamma * e) * jnp.log(x["N_act"])
        d = self.omega * e + (self.beta + self.zeta * e) * jnp.log(x["D"])
        return self.a * jnp.exp(n) + self.b * jnp.exp(d) + self.c

    def _log_experts(self, experts: Any) -> Any:
        return jnp.log(effective_experts(experts, self.E_start, self.E_max))

    def exponents(self, experts: Any) -> dict[str, Any]:
        """Return the exponents of N_act and of D, below 0, at a number of experts."""
        e = self._log_experts(experts)
        return {"N_act": self.alpha + self.gamma * e, "D": self.beta + self.zeta * e}

    def at(self, experts: Any) -> Chinchilla:
        """Return the Chinchilla law of N_act and D at a number of experts."""
        e, exponents = self._log_experts(experts), self.exponents(experts)
        A, B = self.a * jnp.exp(self.delta * e), self.b * jnp.exp(self.omega * e)
        return Chinchilla(E=self.c, A=A, B=B, alpha=-exponents["N_act"], beta=-exponents["D"])

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates at the centre of the experts."""
        c, (N, D) = coordinates, (reference["N_act"], reference["D"])
        there: Any = Chinchilla.from_coordinates(c, {"N": N, "D": D})
        start, most = c["E_start"], c["E_max"]
        e = jnp.log(effective_experts(reference["experts"], start, most))
        gamma, zeta = -there.alpha * c["growth_N"], -there.beta * c["growth_D"]
        delta, omega = c["slope_N"] - gamma * jnp.log(N), c["slope_D"] - zeta * jnp.log(D)
        return cls(
            a=there.A * jnp.exp(-delta * e), alpha=-there.alpha - gamma * e, delta=delta, gamma=gamma,
            b=there.B * jnp.exp(-omega * e), beta=-there.beta - zeta * e, omega=omega, zeta=zeta,
            E_start=start, E_max=most, c=there.E,
        )  # fmt: skip

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates at the centre of the experts."""
        N, D = reference["N_act"], reference["D"]
        there = self.at(reference["experts"])
        return {
            **there.to_coordinates({"N": N, "D": D}),
            "slope_N": self.delta + self.gamma * jnp.log(N),
            "slope_D": self.omega + self.zeta * jnp.log(D),
            "growth_N": -self.gamma / there.alpha,
            "growth_D": -self.zeta / there.beta,
            "E_start": self.E_start,
            "E_max": self.E_max,
        }
