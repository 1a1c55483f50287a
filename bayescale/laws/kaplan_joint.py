"""Kaplan's joint law of parameters and tokens, without irreducible loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import sum_of_powers
from bayescale.laws.base import ClosedFormOptimum, Inputs, Law, Published
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference, softplus


class KaplanJoint(Law, ClosedFormOptimum):
    r"""Kaplan's joint law of model and data size.

    .. math:: L(N, D) = \left[\left(\frac{N_c}{N}\right)^{\alpha_N/\alpha_D}
              + \frac{D_c}{D}\right]^{\alpha_D}

    N is the number of parameters *without* embeddings, D the number of training tokens; (Nc / N)^alpha_N
    is the loss with endless data and (Dc / D)^alpha_D that of an endless model. All parameters are above
    0. Nc and Dc depend on the tokenizer and have no meaning of their own.

    The law has no irreducible loss: it falls to 0, and its exponents take up what an offset would
    (0.08 here, where the Chinchilla law has 0.34). Its own optimum goes as C^a with a = alpha_D /
    (alpha_N + alpha_D), 0.575 for the published constants; the 0.73 that is often quoted is that of
    ``kaplan-steps`` with the critical batch size.

    References
    ----------
    Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361, equation 1.5.

    Examples
    --------
    >>> law = KaplanJoint.from_published("kaplan-2020")
    >>> round(float(law.loss({"N": 1.5e9, "D": 2.2e10})), 2)
    2.31
    >>> round(float(law.allocation_exponents()["a"]), 3)
    0.575
    """

    name: ClassVar = "kaplan-joint"
    title: ClassVar = "Kaplan's joint law"
    equation: ClassVar = r"L = [(N_c/N)^{\alpha_N/\alpha_D} + D_c/D]^{\alpha_D}"
    source: ClassVar = "Kaplan et al. 2020, arXiv:2001.08361, equation 1.5"
    inputs: ClassVar = ("N", "D")

    Nc: Values = parameter("N_c", "scale of N", "parameters")
    Dc: Values = parameter("D_c", "scale of D", "tokens")
    alpha_N: Values = parameter(r"\alpha_N", "exponent of N with endless data")
    alpha_D: Values = parameter(r"\alpha_D", "exponent of D for an endless model")

    coordinates: ClassVar = (
        sum_of_powers.LOSS_AT_OPTIMUM,
        sum_of_powers.TOKENS_PER_PARAMETER,
        Coordinate(
            "alpha_N",
            LogNormal(0.08, 0.4, low=0.03, high=0.5),
            r"\alpha_N",
            "exponent of N with endless data",
        ),
        Coordinate(
            "alpha_D",
            LogNormal(0.10, 0.4, low=0.03, high=0.5),
            r"\alpha_D",
            "exponent of D for an endless model",
        ),
    )
    published: ClassVar = (
        Published(
            "kaplan-2020",
            "Kaplan et al. 2020, arXiv:2001.08361, table 2",
            {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
        ),
    )

    traps: ClassVar = (
        "N counts no embeddings: with all parameters, this is another law.",
        "0.73 is no exponent of this law's optimum, which is alpha_D / (alpha_N + alpha_D) = 0.575; it is "
        "that of kaplan-steps at the critical batch size.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``."""
        return jnp.exp(self._log_loss(jnp.log(x["N"]), jnp.log(x["D"])))

    def _log_loss(self, log_n: Any, log_d: Any) -> Any:
        # In logarithms: the sum inside is the loss to the power of 10 and more.
        model = self.alpha_N / self.alpha_D * (jnp.log(self.Nc) - log_n)
        data = jnp.log(self.Dc) - log_d
        return self.alpha_D * (data + softplus(model - data))

    def optimum(self, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
        """Return N and D of the lowest loss under C = k N D."""
        log_product = jnp.log(flops) - jnp.log(flops_per_parameter_token)
        log_n = self._log_optimum(log_product)
        return jnp.exp(log_n), jnp.exp(log_product - log_n)

    def _log_optimum(self, log_product: Any) -> Any:
        """Log N of the optimum: that of a sum of powers with A = Nc^p, alpha = p, B = Dc, beta = 1."""
        p = self.alpha_N / self.alpha_D
        log_g = jnp.log(p) + p * jnp.log(self.Nc) - jnp.log(self.Dc)
        return (log_g + log_product) / (p + 1)

    def allocation_exponents(self) -> dict[str, Any]:
        """Return a and b of N_opt ~ C^a, D_opt ~ C^b."""
        return sum_of_powers.exponents(self.alpha_N, self.alpha_D)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss and ratio at the optimum, and these exponents."""
        c = coordinates
        n, d = sum_of_powers.reference_optimum(c["M_opt"], reference)
        alpha_n, alpha_d = c["alpha_N"], c["alpha_D"]
        # The terms inside are shares a and b of L^(1 / alpha_D); see sum_of_powers.coefficients.
        log_share = jnp.log(alpha_d / (alpha_n + alpha_d)), jnp.log(alpha_n / (alpha_n + alpha_d))
        log_loss = jnp.log(c["L_opt"])
        return cls(
            Nc=jnp.exp(jnp.log(n) + (alpha_d * log_share[0] + log_loss) / alpha_n),
            Dc=jnp.exp(jnp.log(d) + log_share[1] + log_loss / alpha_d),
            alpha_N=alpha_n,
            alpha_D=alpha_d,
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss and the ratio at the optimum, and the exponents."""
        log_product = jnp.log(reference["N"]) + jnp.log(reference["D"])
        log_n = self._log_optimum(log_product)
        return {
            "L_opt": jnp.exp(self._log_loss(log_n, log_product - log_n)),
            "M_opt": jnp.exp(log_product - 2 * log_n),
            "alpha_N": self.alpha_N,
            "alpha_D": self.alpha_D,
        }
