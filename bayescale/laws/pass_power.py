"""Coverage of repeated sampling: its logarithm is a power of the number of samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class PassPower(Law):
    r"""The power law of log coverage (pass@k), as an error.

    .. math:: \mathrm{error}(k) = 1 - c(k), \qquad c(k) = \exp(a\,k^b)

    k is the number of samples per problem, c the coverage: the share of problems that at least one of k
    samples solves; the error is the share left unsolved. a and b are below 0, in the signs of the paper;
    some write a k^(-b), which is the same curve with the sign of b turned.

    All problems are solved in the end: no floor. Points of several k computed from the same samples are
    strongly correlated, so their intervals come out too narrow: use one k a problem set, or raw counts.
    The paper shows a benchmark that the form does not fit.

    References
    ----------
    Brown et al. 2024, Large Language Monkeys: Scaling Inference Compute with Repeated Sampling,
    arXiv:2407.21787.

    Examples
    --------
    >>> law = PassPower(a=-1.6, b=-0.4)
    >>> [round(float(law.loss({"k": k})), 3) for k in (1.0, 100.0)]
    [0.798, 0.224]
    """

    name: ClassVar = "pass-power"
    title: ClassVar = "power law of log coverage"
    equation: ClassVar = r"\mathrm{error} = 1 - \exp(a k^b)"
    source: ClassVar = "Brown et al. 2024, arXiv:2407.21787"
    inputs: ClassVar = ("k",)
    response: ClassVar = "error"

    a: Values = parameter("a", "log coverage of one sample, below 0")
    b: Values = parameter("b", "exponent of the samples, below 0")

    coordinates: ClassVar = (
        Coordinate("coverage_1", Beta(1, 1), "c_1", "coverage of one sample"),
        Coordinate("decay", LogNormal(0.4, 0.8), "-b", "exponent of the samples, without its sign"),
    )
    traps: ClassVar = (
        "Points of several k computed from the same samples are strongly correlated.",
        "The same curve is written a k^(-b) elsewhere, with the sign of b turned.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the error at ``x["k"]``."""
        return -jnp.expm1(self.a * power(x["k"], self.b))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this coverage of one sample and exponent."""
        return cls(a=jnp.log(coordinates["coverage_1"]), b=-coordinates["decay"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coverage of one sample and the exponent."""
        return {"coverage_1": jnp.exp(self.a), "decay": -self.b}
