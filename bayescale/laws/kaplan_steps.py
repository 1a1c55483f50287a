"""Kaplan's law of parameters and training steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Published, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class KaplanSteps(Law):
    r"""Kaplan's law of model size and training steps, for data without end.

    .. math:: L(N, S_{min}) = \left(\frac{N_c}{N}\right)^{\alpha_N}
              + \left(\frac{S_c}{S_{min}}\right)^{\alpha_S}

    N is the number of parameters *without* embeddings, S_min the training steps at a batch far above
    the critical one, where more examples per step no longer help. All parameters are above 0. There
    is no irreducible loss, and no term for data that repeat.

    Steps S at a batch of B tokens are fewer of these: S_min = S / (1 + B_crit / B), where the critical
    batch B_crit grows as the loss falls; `bayescale.laws.kaplan_batch` converts. Steps taken from the
    middle of a learning-rate schedule are not comparable with final ones.

    References
    ----------
    Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361, equation 1.6.

    Examples
    --------
    >>> law = KaplanSteps.from_published("kaplan-2020-steps")
    >>> round(float(law.loss({"N": 1.5e9, "S_min": 1e5})), 2)
    2.33
    """

    name: ClassVar = "kaplan-steps"
    title: ClassVar = "Kaplan's law of steps"
    equation: ClassVar = r"L = (N_c/N)^{\alpha_N} + (S_c/S_{min})^{\alpha_S}"
    source: ClassVar = "Kaplan et al. 2020, arXiv:2001.08361, equation 1.6"
    inputs: ClassVar = ("N", "S_min")

    Nc: Values = parameter("N_c", "scale of N", "parameters")
    Sc: Values = parameter("S_c", "scale of the steps", "steps")
    alpha_N: Values = parameter(r"\alpha_N", "exponent of N")
    alpha_S: Values = parameter(r"\alpha_S", "exponent of the steps")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of N and the steps",
            "loss",
        ),
        Coordinate("share_N", Beta(5, 1.5), r"l_N/L_0", "share of that loss that is the term in N"),
        Coordinate(
            "alpha_N", LogNormal(0.08, 0.4, low=0.03, high=0.5), r"\alpha_N", "exponent of N"
        ),
        Coordinate(
            "alpha_S", LogNormal(0.7, 0.4, low=0.15, high=2.5), r"\alpha_S", "exponent of the steps"
        ),
    )
    published: ClassVar = (
        Published(
            "kaplan-2020-steps",
            "Kaplan et al. 2020, arXiv:2001.08361, table 3",
            {"Nc": 6.5e13, "Sc": 2.1e3, "alpha_N": 0.077, "alpha_S": 0.76},
        ),
    )

    traps: ClassVar = (
        "S_min is not the number of steps taken but S / (1 + B_crit / B): kaplan_batch converts.",
        "N counts no embeddings.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["S_min"]``."""
        model, steps = self._terms(x)
        return model + steps

    def _terms(self, x: Inputs) -> tuple[Any, Any]:
        return power(self.Nc / x["N"], self.alpha_N), power(self.Sc / x["S_min"], self.alpha_S)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre, share of the term in N, and exponents."""
        c = coordinates
        log_model = jnp.log(c["L_ref"] * c["share_N"])
        log_steps = jnp.log(c["L_ref"] * (1 - c["share_N"]))
        return cls(
            Nc=jnp.exp(jnp.log(reference["N"]) + log_model / c["alpha_N"]),
            Sc=jnp.exp(jnp.log(reference["S_min"]) + log_steps / c["alpha_S"]),
            alpha_N=c["alpha_N"],
            alpha_S=c["alpha_S"],
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre, the share of the term in N, and the exponents."""
        model, steps = self._terms(reference)
        return {
            "L_ref": model + steps,
            "share_N": model / (model + steps),
            "alpha_N": self.alpha_N,
            "alpha_S": self.alpha_S,
        }
