"""Laws of hyper-parameters: the best learning rate and batch size, log-linear in N and D."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Normal, Reference

AT_CENTRE = Coordinate(
    "y_ref",
    LogNormal(1.0, 1.0, relative_to="low_loss"),
    "y_0",
    "best setting at the geometric centre of N and D",
)
EXPONENTS = (
    Coordinate("a", Normal(0.0, 0.5), "a", "exponent of N"),
    Coordinate("b", Normal(0.0, 0.5), "b", "exponent of D"),
)


class LogLinear(Law):
    """What both laws are: a scale and two powers; rows are of the best setting of a size."""

    inputs: ClassVar = ("N", "D")
    falls_in: ClassVar = ()
    coordinates: ClassVar = (AT_CENTRE, *EXPONENTS)

    def loss(self, x: Inputs) -> Values:
        """Return the setting at ``x["N"]``, ``x["D"]``."""
        k, a, b = (getattr(self, name) for name in "kab")
        return k * jnp.exp(a * jnp.log(x["N"]) + b * jnp.log(x["D"]))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this setting at the centre and exponents."""
        exponents = {name: coordinates[name] for name in "ab"}
        return cls(k=coordinates["y_ref"] / cls(k=1.0, **exponents).loss(reference), **exponents)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the setting at the centre and the exponents."""
        return {"y_ref": self.loss(reference), **{name: getattr(self, name) for name in "ab"}}


class LearningRate(LogLinear):
    r"""The log-linear law of the best learning rate.

    .. math:: \eta(N, D) = k\,N^a D^b

    N is the number of parameters, D the number of training tokens, k the scale, above 0, a and b
    exponents of either sign. Each row is a size and the learning rate that did best there, not a run:
    what is a minimum over a grid scatters by a step of the grid at least. For a law of N or of compute
    alone, see ``power`` in logarithms; D proportional to N leaves only a + b.

    References
    ----------
    Li et al. 2025, Predictable Scale: Part I, Step Law, arXiv:2503.04715.

    Examples
    --------
    >>> law = LearningRate(k=2.0, a=-0.7, b=0.3)
    >>> round(float(law.loss({"N": 1e9, "D": 1e11})), 5)
    0.002
    """

    name: ClassVar = "learning-rate"
    title: ClassVar = "log-linear law of the best learning rate"
    equation: ClassVar = r"\eta = k N^a D^b"
    source: ClassVar = "Li et al. 2025, arXiv:2503.04715"
    response: ClassVar = "learning_rate"

    k: Values = parameter("k", "scale")
    a: Values = parameter("a", "exponent of N")
    b: Values = parameter("b", "exponent of D")


class BatchSize(LogLinear):
    r"""The log-linear law of the best batch size.

    .. math:: B(N, D) = k\,N^a D^b

    N is the number of parameters, D the number of training tokens, k the scale, above 0, a and b
    exponents of either sign; Step Law finds a near 0. The batch is in tokens (or sequences, if it is so
    in every row). Each row is a size and the batch that did best there, not a run. The best batch is
    not the critical one: losses near the best are flat, and grids are coarse.

    References
    ----------
    Li et al. 2025, Predictable Scale: Part I, Step Law, arXiv:2503.04715.

    Examples
    --------
    >>> law = BatchSize(k=0.6, a=0.0, b=0.57)
    >>> round(float(law.loss({"N": 1e9, "D": 1e11})) / 1e6, 2)
    1.12
    """

    name: ClassVar = "batch-size"
    title: ClassVar = "log-linear law of the best batch size"
    equation: ClassVar = r"B = k N^a D^b"
    source: ClassVar = "Li et al. 2025, arXiv:2503.04715"
    response: ClassVar = "batch_size"

    k: Values = parameter("k", "scale", "tokens")
    a: Values = parameter("a", "exponent of N")
    b: Values = parameter("b", "exponent of D")
