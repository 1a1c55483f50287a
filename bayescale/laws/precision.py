"""The law of training in low precision: the Chinchilla law in an effective number of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Published, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference

PARTS = {"w": "weights", "a": "activations", "kv": "cache"}
LEAST_KEPT = 1e-3  # where the form has no parameters left the loss is large, not undefined


def _coordinates(part: str, words: str) -> tuple[Coordinate, Coordinate]:
    bits = Coordinate(
        f"gamma_{part}",
        LogNormal(2.0, 0.5),
        rf"\gamma_{{{part}}}",
        f"bits of the {words} per factor e of what is lost",
        "bits",
    )
    margin = Coordinate(
        f"margin_{part}",
        LogNormal(0.3, 0.6, relative_to=f"lowest_P_{part}"),
        rf"P_{{{part}}}/\gamma_{{{part}}} - n_{{{part}}}",
        f"minus the log of the share lost with the fewest bits of the {words} in the runs",
    )
    return bits, margin


class Precision(Law):
    r"""The law of training in low precision.

    .. math::

        L = A N_{eff}^{-\alpha} + B D^{-\beta} + E, \qquad
        N_{eff} = N \prod_{x \in \{w, a, kv\}} \left(1 - e^{-P_x / \gamma_x + n_x}\right)

    N is the number of parameters, D the number of training tokens, P_w, P_a and P_kv the bits of the
    weights, the activations and the key-value cache *in training*. E is the irreducible loss, and what is
    lost of the parameters falls by a factor e per gamma_x bits. In infinite precision it is the Chinchilla
    law (whose exponents the paper sets equal; here each has its own).

    The offsets n_x belong to the published fit, though the formula in the paper's text leaves them out.
    Each P_x / gamma_x must be above n_x, so P_x above the bits n_x gamma_x at which nothing is kept: the
    coordinates keep these below the fewest bits in the runs, and predictions far below those bits are
    large, not infinite. A part whose bits are the same in all runs returns its priors. The authors warn
    that their constants belong to their set-up.

    References
    ----------
    Kumar et al. 2024, Scaling Laws for Precision, arXiv:2411.04330.

    Examples
    --------
    >>> law = Precision.from_published("kumar-2024")
    >>> round(float(law.kept({"P_w": 4, "P_a": 16, "P_kv": 16})), 2)
    0.69
    """

    name: ClassVar = "precision"
    title: ClassVar = "law of training precision (Kumar)"
    equation: ClassVar = (
        r"L = A \left(N \prod_x (1 - e^{-P_x / \gamma_x + n_x})\right)^{-\alpha} + B D^{-\beta} + E"
    )
    source: ClassVar = "Kumar et al. 2024, arXiv:2411.04330"
    inputs: ClassVar = ("N", "D", "P_w", "P_a", "P_kv")
    extremes: ClassVar = ("P_w", "P_a", "P_kv")

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in D", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of D")
    gamma_w: Values = parameter(r"\gamma_w", "scale of the bits of the weights", "bits")
    n_w: Values = parameter("n_w", "offset of the bits of the weights")
    gamma_a: Values = parameter(r"\gamma_a", "scale of the bits of the activations", "bits")
    n_a: Values = parameter("n_a", "offset of the bits of the activations")
    gamma_kv: Values = parameter(r"\gamma_{kv}", "scale of the bits of the cache", "bits")
    n_kv: Values = parameter("n_{kv}", "offset of the bits of the cache")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,  # at the centre of the bits
        *(c for part, words in PARTS.items() for c in _coordinates(part, words)),
    )
    published: ClassVar = (
        Published(
            "kumar-2024",
            "Kumar et al. 2024, arXiv:2411.04330, table 2 of appendix K; models up to 220M",
            {
                "E": 2.7648, "A": 4.299e3, "B": 1.806e4, "alpha": 0.4965, "beta": 0.4965,
                "gamma_w": 2.6745, "n_w": 0.3037, "gamma_a": 2.2102, "n_a": 1.4072,
                "gamma_kv": 0.9578, "n_kv": 2.4185,
            },
        ),
    )  # fmt: skip

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["P_w"]``, ``x["P_a"]``, ``x["P_kv"]``."""
        effective = x["N"] * self.kept(x)
        return self.E + self.A * power(effective, -self.alpha) + self.B * power(x["D"], -self.beta)

    def kept(self, x: Inputs) -> Values:
        """Return the share of the parameters that is left, N_eff / N."""
        w = jnp.exp(self.n_w - x["P_w"] / self.gamma_w)
        a = jnp.exp(self.n_a - x["P_a"] / self.gamma_a)
        kv = jnp.exp(self.n_kv - x["P_kv"] / self.gamma_kv)
        most = 1 - LEAST_KEPT
        return (1 - jnp.minimum(w, most)) * (1 - jnp.minimum(a, most)) * (1 - jnp.minimum(kv, most))

    def at(self, x: Inputs) -> Chinchilla:
        """Return the Chinchilla law of N and D at these bits."""
        A = self.A * power(self.kept(x), -self.alpha)
        return Chinchilla(E=self.E, A=A, B=self.B, alpha=self.alpha, beta=self.beta)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates at the centre of the bits."""
        c = coordinates
        there: Any = Chinchilla.from_coordinates(c, reference)
        bits = {f"gamma_{part}": c[f"gamma_{part}"] for part in PARTS} | {
            f"n_{part}": reference[f"lowest_P_{part}"] / c[f"gamma_{part}"] - c[f"margin_{part}"]
            for part in PARTS
        }
        law = cls(E=there.E, A=there.A, B=there.B, alpha=there.alpha, beta=there.beta, **bits)
        return replace(law, A=there.A * power(law.kept(reference), there.alpha))

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates at the centre of the bits."""
        found = self.at(reference).to_coordinates(reference)
        for part in PARTS:
            gamma, n = getattr(self, f"gamma_{part}"), getattr(self, f"n_{part}")
            found |= {
                f"gamma_{part}": gamma,
                f"margin_{part}": reference[f"lowest_P_{part}"] / gamma - n,
            }
        return found
