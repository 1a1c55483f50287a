"""The multi-power law: a loss curve from every fall of the learning rate of its run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import schedules
from bayescale.laws.base import Inputs, Law, Published, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference

NAMES = ("L0", "A", "alpha", "B", "C", "beta", "gamma")
FITS = {  # size of the model to the values of the paper, in the order of NAMES
    "25m": (3.040, 0.525, 0.508, 363.8, 2.066, 0.583, 0.641),
    "100m": (2.651, 0.601, 0.453, 437.9, 2.132, 0.598, 0.655),
    "400m": (2.375, 0.654, 0.429, 523.4, 2.025, 0.594, 0.635),
}


class MultiPower(Law):
    r"""The multi-power law of loss curves.

    .. math:: L(t) = L_0 + A\,S_1(t)^{-\alpha} - B \sum_{k \le t} (\eta_{k-1} - \eta_k)\,
              \left(1 - \left(C\,\eta_k^{-\gamma} S_k(t) + 1\right)^{-\beta}\right)

    A row is a checkpoint of a run: its step t and its learning rate lr, eta in the equation; S_1 is the
    sum of the learning rates of the run so far, its warm-up included, and S_k that since step k. The
    rows of a run stand together, in the order of their steps; a fall of the learning rate between two
    rows counts from the later one, so rows must be dense where it falls. L_0 is the loss that no
    training removes, A and alpha scale and exponent of what the sum removes; each fall removes B
    times its size in the end, and C, beta and gamma say how soon. What the falls remove is kept below
    95% of the middle term. Give each run a shift of its own and scatter that is correlated along it, with
    ``effects=Effects("run_id", along="step")``.

    References
    ----------
    Luo et al. 2025, A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules,
    arXiv:2503.12811.

    Examples
    --------
    >>> law = MultiPower.from_published("luo-2025-100m")
    >>> x = {"step": [1e4, 2e4, 2.1e4], "lr": [3e-4, 3e-4, 3e-5]}
    >>> [round(float(value), 2) for value in law.loss(x)]
    [3.02, 2.92, 2.91]
    """

    name: ClassVar = "multi-power"
    title: ClassVar = "multi-power law of loss curves"
    equation: ClassVar = (
        r"L = L_0 + A S_1^{-\alpha} - B \sum_k (\eta_{k-1} - \eta_k) "
        r"(1 - (C \eta_k^{-\gamma} S_k + 1)^{-\beta})"
    )
    source: ClassVar = "Luo et al. 2025, arXiv:2503.12811"
    inputs: ClassVar = schedules.INPUTS
    falls_in: ClassVar = ()

    L0: Values = parameter("L_0", "loss that no training removes", "loss")
    A: Values = parameter("A", "scale of what the sum of the learning rates removes", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of the sum of the learning rates")
    B: Values = parameter("B", "loss that a fall of the learning rate removes, per unit", "loss")
    C: Values = parameter("C", "how soon it does")
    beta: Values = parameter(r"\beta", "exponent of how soon it does")
    gamma: Values = parameter(r"\gamma", "exponent of the learning rate that it has fallen to")

    coordinates: ClassVar = (
        *schedules.AT_CENTRE,
        Coordinate(
            "annealed",
            LogNormal(0.2, 0.8, low=1e-3, high=0.9),
            r"B\eta_*/R_*",
            "share of the reducible loss that the fall of the central learning rate to 0 removes",
        ),
        Coordinate(
            "speed",
            LogNormal(10.0, 1.2),
            r"C\eta_*^{-\gamma}S_*",
            "how soon a fall acts: C eta^-gamma S over a tenth of the central sum",
        ),
        Coordinate("beta", LogNormal(0.6, 0.4, low=0.05, high=3.0), r"\beta", "exponent of that"),
        Coordinate("gamma", LogNormal(0.6, 0.4, low=0.05, high=3.0), r"\gamma", "exponent of eta"),
    )
    published: ClassVar = tuple(
        Published(
            f"luo-2025-{size}",
            f"Luo et al. 2025, arXiv:2503.12811, {size.upper()} parameters",
            dict(zip(NAMES, values, strict=True)),
        )
        for size, values in FITS.items()
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at each row of ``x["step"]``, ``x["lr"]``."""
        rows = schedules.rows_of(x)
        sums, run = schedules.rate_sums(rows), jnp.cumsum(rows.first)
        reducible = self.A * power(sums, -self.alpha)
        since = (
            sums[:, None] - (sums - rows.rate)[None, :]
        )  # the sum from step k on, itself included
        later = (run[:, None] == run[None, :]) & (jnp.tril(jnp.ones_like(since)) > 0)
        since = jnp.where(later, since, 0.0)
        soon = 1 + self.C * power(rows.rate, -self.gamma) * since
        acted = (rows.before - rows.rate) * (1 - power(soon, -self.beta))
        fallen = self.B * jnp.sum(jnp.where(later, acted, 0.0), axis=1)
        return self.L0 + schedules.less(reducible, fallen)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss, exponents and annealing at the centre."""
        c, (curve, reducible) = coordinates, schedules.curve_from(coordinates, reference)
        size = reference["step"] * reference["lr"]
        return cls(
            **curve,
            B=c["annealed"] * reducible / reference["lr"],
            C=c["speed"] * power(reference["lr"], c["gamma"]) / (0.1 * size),
            beta=c["beta"],
            gamma=c["gamma"],
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return loss, share, exponents and annealing at the centre."""
        size = reference["step"] * reference["lr"]
        centre, reducible = schedules.at_centre(self, reference)
        return {
            **centre,
            "annealed": self.B * reference["lr"] / reducible,
            "speed": 0.1 * size * self.C * power(reference["lr"], -self.gamma),
            "beta": self.beta,
            "gamma": self.gamma,
        }
