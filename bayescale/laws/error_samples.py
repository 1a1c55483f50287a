"""Error of test-time compute: a power law with offset in the number of samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class ErrorSamples(Law):
    r"""The power law of error in samples, with offset.

    .. math:: \mathrm{error}(k) = e_\infty + c\,k^{-\gamma}

    k is the number of samples (or votes, or steps of a search) per problem, e_inf the error that no
    number removes, c and gamma the scale and exponent of the rest. All are above 0, and
    e_inf + c, the error of one sample, is at most 1. For votes and verifiers, which have a floor; the
    coverage of an oracle verifier is another law (``pass-power``).

    The floor is told from a small gamma only by k over two decades and more. Points computed from the
    same samples are correlated.

    References
    ----------
    The generic form of test-time scaling; compare Snell et al. 2024, Scaling LLM Test-Time Compute
    Optimally, arXiv:2408.03314, which gives no law in closed form.

    Examples
    --------
    >>> law = ErrorSamples(e_inf=0.2, c=0.5, gamma=0.5)
    >>> [round(float(law.loss({"k": k})), 2) for k in (1.0, 100.0)]
    [0.7, 0.25]
    """

    name: ClassVar = "error-samples"
    title: ClassVar = "power law of error in samples"
    equation: ClassVar = r"\mathrm{error} = e_\infty + c k^{-\gamma}"
    source: ClassVar = "generic form; compare Snell et al. 2024, arXiv:2408.03314"
    inputs: ClassVar = ("k",)
    response: ClassVar = "error"

    e_inf: Values = parameter(r"e_\infty", "error that no number of samples removes")
    c: Values = parameter("c", "scale of the rest")
    gamma: Values = parameter(r"\gamma", "exponent of the samples")

    coordinates: ClassVar = (
        Coordinate("error_1", Beta(1.5, 1), "e_1", "error of one sample"),
        Coordinate("share_inf", Beta(1, 1), r"e_\infty/e_1", "share of it that is never removed"),
        Coordinate(
            "gamma", LogNormal(0.4, 0.8, low=0.01, high=4.0), r"\gamma", "exponent of the samples"
        ),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the error at ``x["k"]``."""
        return self.e_inf + self.c * power(x["k"], -self.gamma)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this error of one sample, share of it and exponent."""
        c = coordinates
        floor = c["error_1"] * c["share_inf"]
        return cls(e_inf=floor, c=c["error_1"] * (1 - c["share_inf"]), gamma=c["gamma"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the error of one sample, the share of it that stays and the exponent."""
        one = self.e_inf + self.c
        return {"error_1": one, "share_inf": self.e_inf / one, "gamma": self.gamma}
