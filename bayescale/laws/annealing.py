"""The annealing law: a loss curve from the learning rates of its run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws import schedules
from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class Annealing(Law):
    r"""The annealing law of loss curves.

    .. math:: L(s) = L_0 + A\,S_1^{-\alpha} - C\,S_2, \qquad S_1 = \sum_{i \le s} \eta_i, \qquad
              S_2 = \sum_{i \le s} \sum_{k \le i} (\eta_{k-1} - \eta_k)\,\lambda^{i-k}

    A row is a checkpoint of a run: its step and its learning rate lr, eta in the equation. The rows of
    a run stand together, in the order of their steps. L_0 is the loss that no training removes, A and
    alpha scale and exponent of what the sum of the learning rates removes, C of what annealing
    removes, and h = -1 / ln lambda the steps that an annealing is remembered for. h and C are told
    apart only where there are two schedules or more. What annealing removes is kept below 95% of the
    middle term. Give each run a shift of its own, and since rows close to each other are not independent
    even so, scatter that is correlated along it: ``effects=Effects("run_id", along="step")``.

    References
    ----------
    Tissue et al. 2024, Scaling Law with Learning Rate Annealing, arXiv:2408.11029.

    Examples
    --------
    >>> law = Annealing(L0=2.5, A=0.5, alpha=0.5, C=0.3, memory=1000.0)
    >>> x = {"step": [1000.0, 2000.0, 3000.0], "lr": [1e-3, 1e-3, 1e-4]}
    >>> [round(float(value), 3) for value in law.loss(x)]
    [3.0, 2.854, 2.714]
    """

    name: ClassVar = "annealing"
    title: ClassVar = "annealing law of loss curves"
    equation: ClassVar = r"L = L_0 + A S_1^{-\alpha} - C S_2"
    source: ClassVar = "Tissue et al. 2024, arXiv:2408.11029"
    inputs: ClassVar = schedules.INPUTS
    falls_in: ClassVar = ()

    L0: Values = parameter("L_0", "loss that no training removes", "loss")
    A: Values = parameter("A", "scale of what the sum of the learning rates removes", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of the sum of the learning rates")
    C: Values = parameter("C", "loss that a unit of annealing removes", "loss")
    memory: Values = parameter("h", "steps for which an annealing is remembered", "steps")

    coordinates: ClassVar = (
        *schedules.AT_CENTRE,
        Coordinate(
            "annealed",
            LogNormal(0.1, 0.9, low=1e-4, high=0.9),
            r"C\eta_* h/R_*",
            "share of the reducible loss that annealing the central learning rate to 0 removes",
        ),
        Coordinate(
            "memory",
            LogNormal(300.0, 1.2, low=3.0, high=1e5),
            "h",
            "steps for which an annealing is remembered",
            "steps",
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at each row of ``x["step"]``, ``x["lr"]``."""
        rows = schedules.rows_of(x)
        reducible = self.A * power(schedules.rate_sums(rows), -self.alpha)
        annealed = self.C * schedules.annealed(rows, self.memory)
        return self.L0 + schedules.less(reducible, annealed)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss, exponent and annealing at the centre."""
        c, (curve, reducible) = coordinates, schedules.curve_from(coordinates, reference)
        return cls(
            **curve,
            C=c["annealed"] * reducible / (reference["lr"] * c["memory"]),
            memory=c["memory"],
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return loss, share, exponent and annealing at the centre."""
        centre, reducible = schedules.at_centre(self, reference)
        return {
            **centre,
            "annealed": self.C * reference["lr"] * self.memory / reducible,
            "memory": self.memory,
        }
