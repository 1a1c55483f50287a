"""The law of vocabularies: parameters of the vocabulary apart from the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class Vocabulary(Law):
    r"""The law of vocabularies, of the loss less that of a unigram model.

    .. math::

        L_u(N, N_v, D) = -E + \frac{A_1}{N^{\alpha_1}} + \frac{A_2}{N_v^{\alpha_2}} + \frac{B}{D^\beta}

    N is the number of parameters *without* those of the vocabulary, N_v the number of those of the
    vocabulary (its size times the width), D the number of training tokens, in tokens of the run's own
    vocabulary. :math:`L_u` is the loss less the loss of the unigram model of the same tokens, so that
    vocabularies can be compared: it is below 0. E is what it tends to, with its sign turned; all
    parameters but E are above 0.

    A loss below 0 has no logarithm, so the response is the column ``unigram_ratio``, :math:`e^{L_u}`: the
    perplexity over that of the unigram model. Scatter of its logarithm is scatter of :math:`L_u` in nats,
    on the raw scale, as in the paper. Vocabularies have an optimum only under a budget, because N_v costs
    compute and a larger vocabulary makes fewer tokens of the same text.

    References
    ----------
    Tao et al. 2024, Scaling Laws with Vocabulary: Larger Models Deserve Larger Vocabularies,
    arXiv:2407.13623.

    Examples
    --------
    >>> import math
    >>> law = Vocabulary(E=5.0, A1=200.0, alpha1=0.3, A2=5.0, alpha2=0.2, B=500.0, beta=0.3)
    >>> ratio = float(law.loss({"N": 4e8, "N_v": 3e7, "D": 1e10}))
    >>> round(ratio, 4), round(math.log(ratio), 2)
    (0.022, -3.81)
    """

    name: ClassVar = "vocabulary"
    title: ClassVar = "law of vocabularies (Tao)"
    equation: ClassVar = r"\ln r = -E + A_1 / N^{\alpha_1} + A_2 / N_v^{\alpha_2} + B / D^\beta"
    source: ClassVar = "Tao et al. 2024, arXiv:2407.13623"
    inputs: ClassVar = ("N", "N_v", "D")
    response: ClassVar = "unigram_ratio"

    E: Values = parameter(
        "E", "minus the loss of unlimited models and data, unigram's less", "nats"
    )
    A1: Values = parameter("A_1", "scale of the term in N", "nats")
    alpha1: Values = parameter(r"\alpha_1", "exponent of N")
    A2: Values = parameter("A_2", "scale of the term in N_v", "nats")
    alpha2: Values = parameter(r"\alpha_2", "exponent of N_v")
    B: Values = parameter("B", "scale of the term in D", "nats")
    beta: Values = parameter(r"\beta", "exponent of D")

    coordinates: ClassVar = (
        Coordinate(
            "ratio_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            "r_0",
            "perplexity over that of the unigram model, at the geometric centre of the inputs",
        ),
        Coordinate(
            "reducible",
            LogNormal(0.8, 0.6),
            r"\ln r_0 + E",
            "reducible loss at that centre",
            "nats",
        ),
        Coordinate("share_D", Beta(2, 3), "q_D", "share of that loss that is the term in D"),
        Coordinate("share_v", Beta(1.5, 3), "q_v", "share of the rest that is the term in N_v"),
        Coordinate(
            "alpha1", LogNormal(0.30, 0.40, low=0.05, high=1.2), r"\alpha_1", "exponent of N"
        ),
        Coordinate(
            "alpha2", LogNormal(0.30, 0.50, low=0.05, high=1.2), r"\alpha_2", "exponent of N_v"
        ),
        Coordinate("beta", LogNormal(0.36, 0.50, low=0.05, high=1.2), r"\beta", "exponent of D"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return e^L_u at ``x["N"]``, ``x["N_v"]``, ``x["D"]``."""
        in_N, in_v, in_D = self._terms(x)
        return jnp.exp(in_N + in_v + in_D - self.E)

    def _terms(self, x: Inputs) -> tuple[Any, Any, Any]:
        return (
            self.A1 * power(x["N"], -self.alpha1),
            self.A2 * power(x["N_v"], -self.alpha2),
            self.B * power(x["D"], -self.beta),
        )

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this response and these shares of the reducible loss at the centre."""
        c, r = coordinates, reference
        in_D = c["reducible"] * c["share_D"]
        left = c["reducible"] - in_D
        return cls(
            E=c["reducible"] - jnp.log(c["ratio_ref"]),
            A1=left * (1 - c["share_v"]) * power(r["N"], c["alpha1"]),
            alpha1=c["alpha1"],
            A2=left * c["share_v"] * power(r["N_v"], c["alpha2"]),
            alpha2=c["alpha2"],
            B=in_D * power(r["D"], c["beta"]),
            beta=c["beta"],
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the response at the centre, the reducible loss and the shares of it."""
        in_N, in_v, in_D = self._terms(reference)
        reducible = in_N + in_v + in_D
        return {
            "ratio_ref": jnp.exp(reducible - self.E),
            "reducible": reducible,
            "share_D": in_D / reducible,
            "share_v": in_v / (in_N + in_v),
            "alpha1": self.alpha1,
            "alpha2": self.alpha2,
            "beta": self.beta,
        }
