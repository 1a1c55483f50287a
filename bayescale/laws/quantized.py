"""The law of quantization-aware training: the Chinchilla law, and what quantization adds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import sum_of_powers
from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class Quantized(Law):
    r"""The law of quantization-aware training at one number of bits.

    .. math::

        L = \frac{A}{N^\alpha} + \frac{B}{D^\beta} + E
            + k \frac{D^{\gamma_D} (\log_2 G)^{\gamma_G}}{N^{\gamma_N}}

    N is the number of parameters, D the number of training tokens, G (the column group_size) how many
    weights share a scale of quantization: one or more, and with one nothing is added. E is the
    irreducible loss. All are above 0. What quantization adds grows with D and with G.

    Bits are no input: a fit holds at those of its runs. Runs of one group size cannot tell the last term
    from the first two; unquantized ones belong in as G = 1 only if the quantization is the sole
    difference.

    References
    ----------
    Chen et al. 2025, Scaling Law for Quantization-Aware Training, arXiv:2505.14302.
    """

    name: ClassVar = "quantized"
    title: ClassVar = "law of quantization-aware training (Chen)"
    equation: ClassVar = (
        r"L = A/N^\alpha + B/D^\beta + E + k D^{\gamma_D} (\log_2 G)^{\gamma_G} / N^{\gamma_N}"
    )
    source: ClassVar = "Chen et al. 2025, arXiv:2505.14302"
    inputs: ClassVar = ("N", "D", "group_size")
    falls_in: ClassVar = ("N",)

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in D", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of D")
    k: Values = parameter("k", "scale of what quantization adds", "loss")
    gamma_D: Values = parameter(r"\gamma_D", "exponent of D in what quantization adds")
    gamma_G: Values = parameter(r"\gamma_G", "exponent of log2 G in what quantization adds")
    gamma_N: Values = parameter(r"\gamma_N", "exponent of N in what quantization adds")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.2, relative_to="low_loss"),
            "L_0",
            "loss at the centre of N, D and G (of G = 2 if G is less)",
            "loss",
        ),
        Coordinate("share_E", Beta(4, 1.7), "E/L_0", "share of that loss that is irreducible"),
        Coordinate("share_D", Beta(3, 3), "q_D", "share of the rest that is the term in D"),
        Coordinate(
            "share_added", Beta(1.5, 4.5), "q_G", "share of what is left that quantization adds"
        ),
        sum_of_powers.EXPONENT_OF_N,
        sum_of_powers.EXPONENT_OF_D,
        Coordinate("gamma_D", LogNormal(0.2, 0.6), r"\gamma_D", "exponent of D in what it adds"),
        Coordinate(
            "gamma_G", LogNormal(0.7, 0.6), r"\gamma_G", "exponent of log2 G in what it adds"
        ),
        Coordinate("gamma_N", LogNormal(0.3, 0.6), r"\gamma_N", "exponent of N in what it adds"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["group_size"]``."""
        trained = self.E + self.A * power(x["N"], -self.alpha) + self.B * power(x["D"], -self.beta)
        return trained + self.added(x)

    def added(self, x: Inputs) -> Values:
        """Return what quantization adds to the loss, 0 with one weight to a group."""
        G = x["group_size"]
        factor = jnp.exp(self._log_factor(x["N"], x["D"], jnp.where(G > 1, G, 2.0)))
        return jnp.where(G > 1, self.k * factor, 0.0)

    def _log_factor(self, N: Any, D: Any, G: Any) -> Any:
        in_G = self.gamma_G * jnp.log(jnp.log(G) / math.log(2))
        return self.gamma_D * jnp.log(D) + in_G - self.gamma_N * jnp.log(N)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss and these shares of it at the centre."""
        c, (N, D, G) = coordinates, _centre(reference)
        rest = c["L_ref"] * (1 - c["share_E"])
        left = rest * (1 - c["share_D"])
        law = cls(
            E=c["L_ref"] * c["share_E"],
            A=left * (1 - c["share_added"]) * power(N, c["alpha"]),
            B=rest * c["share_D"] * power(D, c["beta"]),
            k=jnp.ones_like(rest),
            **{name: c[name] for name in ("alpha", "beta", "gamma_D", "gamma_G", "gamma_N")},
        )
        # A quotient by the factor would overflow in the derivative, in 32 bits.
        return replace(law, k=left * c["share_added"] * jnp.exp(-law._log_factor(N, D, G)))

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre and the shares of its terms."""
        N, D, G = _centre(reference)
        in_N, in_D = self.A * power(N, -self.alpha), self.B * power(D, -self.beta)
        added = self.k * jnp.exp(self._log_factor(N, D, G))
        rest = in_N + in_D + added
        return {
            "L_ref": self.E + rest,
            "share_E": self.E / (self.E + rest),
            "share_D": in_D / rest,
            "share_added": added / (in_N + added),
            **{n: getattr(self, n) for n in ("alpha", "beta", "gamma_D", "gamma_G", "gamma_N")},
        }


def _centre(reference: Reference) -> tuple[Any, Any, Any]:
    return reference["N"], reference["D"], jnp.maximum(reference["group_size"], 2.0)
