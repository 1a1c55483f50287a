"""The law of quantization-aware training: the Chinchilla law, and what quantization adds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.chinchilla import Chinchilla
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
        *Chinchilla.coordinates,
        Coordinate(
            "share_added",
            Beta(1.5, 4.5),
            "q_G",
            "share of the reducible loss that quantization adds at the centre (of G = 2 if G is less)",
        ),
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
        added = self.k * jnp.exp(self._log_factor(x["N"], x["D"], jnp.where(G > 1, G, 2.0)))
        return jnp.where(G > 1, added, 0.0)

    def _log_factor(self, N: Any, D: Any, G: Any) -> Any:
        log2_G = jnp.log(G) / math.log(2)
        return (
            self.gamma_D * jnp.log(D) + self.gamma_G * jnp.log(log2_G) - self.gamma_N * jnp.log(N)
        )

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates; L_opt is with what quantization adds."""
        c, r = coordinates, reference
        added = c["L_opt"] * (1 - c["share_E"]) * c["share_added"]
        L_opt = c["L_opt"] - added
        share_E = c["L_opt"] * c["share_E"] / L_opt
        there = Chinchilla.from_coordinates({**c, "L_opt": L_opt, "share_E": share_E}, r)
        trained = {name: getattr(there, name) for name in ("E", "A", "B", "alpha", "beta")}
        exponents = {name: c[name] for name in ("gamma_D", "gamma_G", "gamma_N")}
        law = cls(**trained, **exponents, k=added)
        factor = law._log_factor(r["N"], r["D"], jnp.maximum(r["group_size"], 2.0))
        return cls(**trained, **exponents, k=added * jnp.exp(-factor))

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates; L_opt is with what quantization adds at the centre."""
        r = reference
        trained = Chinchilla(E=self.E, A=self.A, B=self.B, alpha=self.alpha, beta=self.beta)
        found = trained.to_coordinates(r)
        factor = self._log_factor(r["N"], r["D"], jnp.maximum(r["group_size"], 2.0))
        added = self.k * jnp.exp(factor)
        loss = found["L_opt"] + added
        return {
            **found,
            "L_opt": loss,
            "share_E": self.E / loss,
            "share_added": added / (loss - self.E),
            "gamma_D": self.gamma_D,
            "gamma_G": self.gamma_G,
            "gamma_N": self.gamma_N,
        }
