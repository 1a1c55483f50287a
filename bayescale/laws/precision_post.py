"""The law of quantization after training: the Chinchilla law, and what fewer bits add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Published, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class PrecisionPost(Law):
    r"""The law of quantization of the weights after training in full precision.

    .. math::

        L = A N^{-\alpha} + B D^{-\beta} + E
            + C_T \frac{D^{\gamma_D}}{N^{\gamma_N}} e^{-P_{post} / \gamma}

    N is the number of parameters, D the number of training tokens, P_post the bits of the weights *after*
    training; training itself was in 16 bits or more (for less, see the law ``precision``). E is the
    irreducible loss. All are above 0. The last term grows with D: with few bits, a model trained on more
    tokens may be worse.

    Runs at many bits say nothing of the last term, and at few it may be all there is to see: give each
    model at several P_post, 16 among them, and its rows a ``run_id``.

    References
    ----------
    Kumar et al. 2024, Scaling Laws for Precision, arXiv:2411.04330.

    Examples
    --------
    >>> law = PrecisionPost.from_published("kumar-2024-post")
    >>> round(float(law.added({"N": 1e8, "D": 2e10, "P_post": 3})), 2)
    0.11
    """

    name: ClassVar = "precision-post"
    title: ClassVar = "law of precision after training (Kumar)"
    equation: ClassVar = (
        r"L = A N^{-\alpha} + B D^{-\beta} + E"
        r" + C_T D^{\gamma_D} N^{-\gamma_N} e^{-P_{post} / \gamma}"
    )
    source: ClassVar = "Kumar et al. 2024, arXiv:2411.04330"
    inputs: ClassVar = ("N", "D", "P_post")
    falls_in: ClassVar = ("N", "P_post")
    extremes: ClassVar = ("P_post",)

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in D", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of D")
    C_T: Values = parameter("C_T", "scale of what quantization adds", "loss")
    gamma_D: Values = parameter(r"\gamma_D", "exponent of D in what quantization adds")
    gamma_N: Values = parameter(r"\gamma_N", "exponent of N in what quantization adds")
    gamma: Values = parameter(r"\gamma", "bits per factor e of what quantization adds", "bits")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,
        Coordinate(
            "added",
            LogNormal(0.02, 1.2, relative_to="low_loss"),
            r"\delta_0",
            "what the fewest bits of the runs add to the loss at the centre of N and D",
            "loss",
        ),
        Coordinate("gamma_D", LogNormal(0.5, 0.4), r"\gamma_D", "exponent of D in what it adds"),
        Coordinate("gamma_N", LogNormal(0.35, 0.4), r"\gamma_N", "exponent of N in what it adds"),
        Coordinate(
            "gamma",
            LogNormal(0.6, 0.4, low=0.2, high=4.0),
            r"\gamma",
            "bits per factor e of what it adds",
            "bits",
        ),
    )
    published: ClassVar = (
        Published(
            "kumar-2024-post",
            "Kumar et al. 2024, arXiv:2411.04330, table 2 of appendix K; models up to 220M",
            {
                "E": 2.7648, "A": 4.299e3, "B": 1.806e4, "alpha": 0.4965, "beta": 0.4965,
                "C_T": 0.0598, "gamma_D": 0.5068, "gamma_N": 0.3439, "gamma": 0.5907,
            },
        ),
    )  # fmt: skip

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["P_post"]``."""
        trained = self.E + self.A * power(x["N"], -self.alpha) + self.B * power(x["D"], -self.beta)
        return trained + self.added(x)

    def added(self, x: Inputs) -> Values:
        """Return what quantization adds to the loss."""
        return self.C_T * jnp.exp(self._log_factor(x["N"], x["D"], x["P_post"]))

    def _log_factor(self, N: Any, D: Any, bits: Any) -> Any:
        return self.gamma_D * jnp.log(D) - self.gamma_N * jnp.log(N) - bits / self.gamma

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates, and what the fewest bits add."""
        c, r = coordinates, reference
        there: Any = Chinchilla.from_coordinates(c, r)
        law = cls(
            E=there.E, A=there.A, B=there.B, alpha=there.alpha, beta=there.beta,
            C_T=c["added"], gamma_D=c["gamma_D"], gamma_N=c["gamma_N"], gamma=c["gamma"],
        )  # fmt: skip
        factor = law._log_factor(r["N"], r["D"], r["lowest_P_post"])
        return replace(law, C_T=c["added"] * jnp.exp(-factor))

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates, and what the fewest bits add."""
        r = reference
        trained = Chinchilla(E=self.E, A=self.A, B=self.B, alpha=self.alpha, beta=self.beta)
        return {
            **trained.to_coordinates(r),
            "added": self.C_T * jnp.exp(self._log_factor(r["N"], r["D"], r["lowest_P_post"])),
            "gamma_D": self.gamma_D,
            "gamma_N": self.gamma_N,
            "gamma": self.gamma,
        }
