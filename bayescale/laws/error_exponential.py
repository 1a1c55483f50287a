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
        Coordinate("epsilon", Beta(5, 1.5), r"\epsilon", "error of a model that learned nothing"),
        Coordinate(
            "gap_high", Beta(1, 2), r"g_h", "share of it that is gone at the highest loss of the runs"
        ),
        Coordinate(
            "share_low",
            Beta(2, 1),
            r"s_l",
            "error at the lowest loss, as a share of that at the highest",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the error at ``x["L_pre"]``."""
        return jnp.maximum(self.epsilon - self._fall(x["L_pre"]), LEAST_ERROR)

    def _fall(self, loss: Any) -> Any:
        return jnp.exp(jnp.log(self.k) - self.gamma * loss)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these errors at the highest and the lowest loss of the runs."""
        c = coordinates
        low, high = reference["lowest_L_pre"], reference["highest_L_pre"]
        gap_low = 1 - c["share_low"] * (1 - c["gap_high"])
        gamma = jnp.log(gap_low / c["gap_high"]) / (high - low)
        scale = c["epsilon"] * c["gap_high"] * jnp.exp(gamma * high)
        return cls(epsilon=c["epsilon"], k=scale, gamma=gamma)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return epsilon, and the errors at both ends of the runs as shares."""
        falls = [self._fall(reference[f"{end}_L_pre"]) for end in ("lowest", "highest")]
        low, high = (self.epsilon - fall for fall in falls)
        return {
            "epsilon": self.epsilon,
            "gap_high": falls[1] / self.epsilon,
            "share_low": low / high,
        }
