"""The law of over-training: loss in compute and tokens per parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws import sum_of_powers
from bayescale.laws.base import ClosedFormOptimum, Inputs, Law, power
from bayescale.laws.coupled import Coupled
from bayescale.laws.tied import Tied
from bayescale.parameters import Values, parameter
from bayescale.priors import LogNormal, Reference

FLOPS = 6.0  # per parameter and token, by the law's definition


class Overtraining(Law, ClosedFormOptimum):
    r"""The law of over-training.

    .. math:: L(C, M) = E + \left(a M^{\eta} + b M^{-\eta}\right) C^{-\eta},
              \qquad C = 6 N D,\quad M = D / N

    N is the number of parameters, D the number of training tokens, E the irreducible loss, eta the
    exponent of compute, a and b the scales of what a model too small and of what tokens too few lose.
    All are above 0. Runs of the same M are parallel lines in the logarithm of the reducible loss, and
    M = (b/a)^(1/(2 eta)) is the best of them, whatever the budget.

    It is the Chinchilla law with one exponent in other symbols: alpha = beta = 2 eta, A = a 6^-eta and
    B = b 6^-eta (law ``tied``). So eta is half the exponent that other laws call alpha, and the law
    cannot have an optimum that moves with compute. On wide grids of M, ``coupled`` fits better. C is
    6 N D here, whatever the column of FLOPs says.

    References
    ----------
    Gadre et al. 2024, Language models scale reliably with over-training and on downstream tasks,
    arXiv:2403.08540.

    Examples
    --------
    >>> law = Overtraining(E=1.8, a=150.0, b=300.0, eta=0.135)
    >>> round(float(law.loss({"N": 1e9, "D": 2e10})), 3)
    2.627
    """

    name: ClassVar = "overtraining"
    title: ClassVar = "law of over-training"
    equation: ClassVar = r"L = E + (a M^{\eta} + b M^{-\eta}) C^{-\eta},\ C = 6ND,\ M = D/N"
    source: ClassVar = "Gadre et al. 2024, arXiv:2403.08540"
    inputs: ClassVar = ("N", "D")
    wider: ClassVar = Coupled

    E: Values = parameter("E", "irreducible loss", "loss")
    a: Values = parameter("a", "scale of what a model too small loses", "loss")
    b: Values = parameter("b", "scale of what tokens too few lose", "loss")
    eta: Values = parameter(r"\eta", "exponent of compute")

    coordinates: ClassVar = (
        sum_of_powers.LOSS_AT_OPTIMUM,
        sum_of_powers.SHARE_OF_E,
        sum_of_powers.TOKENS_PER_PARAMETER,
        sum_of_powers.exponent(
            "eta", LogNormal(0.16, 0.40, low=0.025, high=0.6), r"\eta", "exponent of compute"
        ),
    )

    traps: ClassVar = (
        "eta is half the exponent that other laws call alpha.",
        "One exponent for N and D is assumed: the best tokens per parameter is the same for each budget.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``."""
        # C M = 6 D^2 and C / M = 6 N^2, which do not leave the range of 32 bits as soon as C does.
        small = self.a * power(x["N"], -2 * self.eta)
        short = self.b * power(x["D"], -2 * self.eta)
        return self.E + (small + short) * power(FLOPS, -self.eta)

    def optimum(self, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
        """Return N and D of the lowest loss under C = k N D."""
        return self._tied().optimum(flops, flops_per_parameter_token)

    def allocation_exponents(self) -> dict[str, Any]:
        """Return a and b of N_opt ~ C^a, D_opt ~ C^b: a half each."""
        return self._tied().allocation_exponents()

    def _tied(self) -> Tied:
        unit = power(FLOPS, -self.eta)
        return Tied(E=self.E, A=self.a * unit, B=self.b * unit, alpha=2 * self.eta)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates."""
        eta = coordinates["eta"]
        same = Tied.from_coordinates({**coordinates, "alpha": 2 * eta}, reference)
        unit = power(FLOPS, eta)
        return cls(E=same.E, a=same.A * unit, b=same.B * unit, eta=eta)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law."""
        found = self._tied().to_coordinates(reference)
        return {**{n: v for n, v in found.items() if n != "alpha"}, "eta": self.eta}
