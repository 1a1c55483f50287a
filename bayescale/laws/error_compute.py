"""Error of a task from training compute: a logistic curve in log compute, down from chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.laws.remaining import REMAINS, SHARE_OF_FLOOR, logit_at_centre, remaining
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference


class ErrorCompute(Law):
    r"""The observational law of error in compute.

    .. math:: \mathrm{error} = (1 - \mathrm{chance})\left(f + \frac{1 - f}{1 + (C / C_{mid})^B}\right)

    C is the training compute; chance is the accuracy of guessing, known for each benchmark: 0.25 for
    four options, 0 for free answers. f (here floor) is the share of the error of guessing that no
    compute removes, C_mid the compute at which half of the rest is gone, B the steepness in log compute.
    All are above 0, and f is below 1.

    For public models of several families, which differ in data and recipe: let the rows of a family
    share a shift with ``--effects group``. Without it, differences between families pass for an effect
    of compute, and intervals are too narrow. The shift is of log error, the same at every size, where
    the paper has a slope and an intercept for each family. The floor is not identified by models far
    above it, nor B and C_mid by models at chance. This is one column of compute in place of the
    paper's principal components of many benchmarks.

    References
    ----------
    Ruan et al. 2024, Observational Scaling Laws and the Predictability of Language Model Performance,
    arXiv:2405.10938.

    Examples
    --------
    >>> law = ErrorCompute(floor=0.05, B=0.6, C_mid=1e23)
    >>> [round(float(law.loss({"C": C, "chance": 0.25})), 3) for C in (1e20, 1e23, 1e25)]
    [0.739, 0.394, 0.08]
    """

    name: ClassVar = "error-compute"
    title: ClassVar = "sigmoid law of error in compute"
    equation: ClassVar = (
        r"\mathrm{error} = (1 - \mathrm{chance}) (f + \frac{1 - f}{1 + (C / C_{mid})^B})"
    )
    source: ClassVar = "Ruan et al. 2024, arXiv:2405.10938"
    inputs: ClassVar = ("C", "chance")
    falls_in: ClassVar = ("C",)
    response: ClassVar = "error"

    floor: Values = parameter("f", "share of the error of guessing that no compute removes")
    B: Values = parameter("B", "steepness in log compute")
    C_mid: Values = parameter("C_{mid}", "compute at which half of the rest is gone", "FLOPs")

    coordinates: ClassVar = (
        REMAINS,
        SHARE_OF_FLOOR,
        Coordinate("B", LogNormal(0.5, 0.7), "B", "steepness in log compute"),
    )
    traps: ClassVar = (
        "Without --effects group, differences between families pass for an effect of compute.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the error at ``x["C"]``, ``x["chance"]``."""
        z = self.B * (jnp.log(self.C_mid) - jnp.log(x["C"]))
        return (1 - x["chance"]) * remaining(self.floor, z)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this error at the centre, floor and steepness."""
        c = coordinates
        z = logit_at_centre(c["remains"], c["share_floor"])
        half = jnp.exp(jnp.log(reference["C"]) + z / c["B"])
        return cls(floor=c["remains"] * c["share_floor"], B=c["B"], C_mid=half)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the error at the centre, the share of the floor in it and the steepness."""
        remains = self.loss({"C": reference["C"], "chance": 0.0})
        return {"remains": remains, "share_floor": self.floor / remains, "B": self.B}
