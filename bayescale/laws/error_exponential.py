"""Error of downstream tasks from the loss: an exponential approach to a ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, Reference

LEAST_ERROR = 1e-4  # where the form would fall to 0 and below


class ErrorExponential(Law):
    r"""The exponential law of downstream error.

    .. math:: \mathrm{Err}(L) = \epsilon - k\,e^{-\gamma L}

    L_pre is the pretraining loss L, epsilon the error of a model that has learned nothing (that of
    guessing, at most 1), k and gamma the scale and rate at which error falls below it; all above 0. The
    error rises with the loss, from which it comes: give the loss as the column L_pre, the error (or the
    accuracy) as what is explained.

    Fitted well above 0, the form reaches 0 at L = ln(k / epsilon) / gamma and would go below; there it
    is held at 0.0001, and it should not be trusted near it. Averages over many tasks follow it far
    better than single tasks. gamma is a rate per unit of loss: fits in nats and in bits differ.

    References
    ----------
    Gadre et al. 2024, Language models scale reliably with over-training and on downstream tasks,
    arXiv:2403.08540.

    Examples
    --------
    >>> law = ErrorExponential(epsilon=0.8, k=2.0, gamma=0.8)
    >>> [round(float(law.loss({"L_pre": L})), 3) for L in (2.5, 3.5)]
    [0.529, 0.678]
    """

    name: ClassVar = "error-exponential"
    title: ClassVar = "exponential law of downstream error"
    equation: ClassVar = r"\mathrm{Err} = \epsilon - k e^{-\gamma L}"
    source: ClassVar = "Gadre et al. 2024, arXiv:2403.08540"
    inputs: ClassVar = ("L_pre",)
    falls_in: ClassVar = ()
    response: ClassVar = "error"
    extremes: ClassVar = ("L_pre",)

    epsilon: Values = parameter(r"\epsilon", "error of a model that has learned nothing")
    k: Values = parameter("k", "scale of the fall")
    gamma: Values = parameter(r"\gamma", "rate of the fall with the loss")

    coordinates: ClassVar = (
        Coordinate("error_high", Beta(4, 2), "e_h", "error at the highest loss of the runs"),
        Coordinate(
            "share_low",
            Beta(2, 1),
            "e_l/e_h",
            "error at the lowest loss of the runs, as a share of that at the highest",
        ),
        Coordinate(
            "share_rest",
            Beta(1, 1),
            r"s_\epsilon",
            "share of what is missing to 1 that higher losses would add",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the error at ``x["L_pre"]``."""
        return jnp.maximum(self.epsilon - self._fall(x["L_pre"]), LEAST_ERROR)

    def _fall(self, loss: Any) -> Any:
        return jnp.exp(jnp.log(self.k) - self.gamma * loss)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these errors at both ends of the runs, and this epsilon above them."""
        c = coordinates
        low, high = reference["lowest_L_pre"], reference["highest_L_pre"]
        rest = (1 - c["error_high"]) * c["share_rest"]
        gained = c["error_high"] * (1 - c["share_low"])
        gamma = jnp.log1p(gained / rest) / (high - low)
        return cls(epsilon=c["error_high"] + rest, k=rest * jnp.exp(gamma * high), gamma=gamma)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the errors at both ends of the runs, and epsilon above the higher."""
        low, rest = (self._fall(reference[f"{end}_L_pre"]) for end in ("lowest", "highest"))
        error = self.epsilon - rest
        return {
            "error_high": error,
            "share_low": (self.epsilon - low) / error,
            "share_rest": rest / (1 - error),
        }
