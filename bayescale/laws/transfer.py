"""Transfer: pretraining counts as additional data of the task, inside a law of training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class Transfer(Law):
    r"""Effective data transferred, inside a Chinchilla law of training from scratch.

    .. math:: L = E + A N^{-\alpha_N} + B\,(D_f + p\,D_T)^{-\alpha_D}, \qquad
              D_T = k\,D_f^{\alpha} N^{\beta}, \qquad p = \mathrm{pretrained}

    N is the number of parameters, D_f the tokens of fine-tuning; pretrained is 1 for runs that start
    from a pretrained model and 0 for runs from scratch. D_T is the data of the task that pretraining is
    worth; k, alpha and beta are those of Hernandez et al. E, A, B, alpha_N and alpha_D are those of the
    law from scratch, whose exponents the paper does not share: the Chinchilla form is chosen here. All
    are above 0.

    Runs of both kinds are needed: from fine-tuned ones alone k is not told from B, nor alpha from
    alpha_D. D_f may be characters, as in the paper, if it is so in every run; k has its unit. The form
    holds where fine-tuning data are few (a tenth of what N would need from scratch, or less): with many,
    a pretrained model may do worse than one from scratch, which this law cannot.

    References
    ----------
    Hernandez et al. 2021, Scaling Laws for Transfer, arXiv:2102.01293.

    Examples
    --------
    >>> law = Transfer(
    ...     E=1.0, A=50.0, B=300.0, alpha_N=0.25, alpha_D=0.3, k=1e4, alpha=0.2, beta=0.4
    ... )
    >>> [round(float(law.loss({"N": 1e8, "D_f": 1e7, "pretrained": p})), 2) for p in (0, 1)]
    [3.88, 2.28]
    """

    name: ClassVar = "transfer"
    title: ClassVar = "law of effective data transferred"
    equation: ClassVar = (
        r"L = E + A N^{-\alpha_N} + B (D_f + p D_T)^{-\alpha_D}, "
        r"D_T = k D_f^\alpha N^\beta, p = \mathrm{pretrained}"
    )
    source: ClassVar = "Hernandez et al. 2021, arXiv:2102.01293"
    inputs: ClassVar = ("N", "D_f", "pretrained")

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in data", "loss")
    alpha_N: Values = parameter(r"\alpha_N", "exponent of N, from scratch")
    alpha_D: Values = parameter(r"\alpha_D", "exponent of data, from scratch")
    k: Values = parameter("k", "scale of the data transferred")
    alpha: Values = parameter(r"\alpha", "exponent of fine-tuning data in the data transferred")
    beta: Values = parameter(r"\beta", "exponent of N in the data transferred")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the centre of the runs",
            "loss",
        ),
        Coordinate("share_E", Beta(2, 1.5), r"E/L_0", "share of that loss that is irreducible"),
        Coordinate("share_N", Beta(1, 2), r"s_N", "share of the term in N in the rest"),
        Coordinate(
            "D_T",
            LogNormal(5.0, 1.5, relative_to="D_f"),
            r"D_{T,0}",
            "data transferred at the centre of the runs",
            "tokens",
        ),
        Coordinate(
            "alpha_N", LogNormal(0.3, 0.4, low=0.05, high=1.2), r"\alpha_N", "exponent of N"
        ),
        Coordinate(
            "alpha_D", LogNormal(0.36, 0.5, low=0.05, high=1.2), r"\alpha_D", "exponent of data"
        ),
        Coordinate(
            "alpha",
            LogNormal(0.2, 0.7, low=0.005, high=1.5),
            r"\alpha",
            "exponent of fine-tuning data in the data transferred",
        ),
        Coordinate(
            "beta",
            LogNormal(0.35, 0.6, low=0.02, high=2.0),
            r"\beta",
            "exponent of N in the data transferred",
        ),
    )
    traps: ClassVar = (
        "From fine-tuned runs alone k is not told from B, nor alpha from alpha_D: add runs from scratch, "
        "with pretrained = 0.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D_f"]``, ``x["pretrained"]``."""
        term_N = self.A * power(x["N"], -self.alpha_N)
        return self.E + term_N + self.B * power(self.effective_data(x), -self.alpha_D)

    def effective_data(self, x: Inputs) -> Any:
        """Return D_f and, of pretrained models, the data transferred."""
        return x["D_f"] + x["pretrained"] * self.transferred(x)

    def transferred(self, x: Inputs) -> Any:
        """Return the data transferred at ``x["N"]``, ``x["D_f"]``."""
        return self.k * jnp.exp(self.alpha * jnp.log(x["D_f"]) + self.beta * jnp.log(x["N"]))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss, these shares of it and these data transferred at the centre."""
        c, r = coordinates, reference
        exponents = {name: c[name] for name in ("alpha_N", "alpha_D", "alpha", "beta")}
        powers = c["alpha"] * jnp.log(r["D_f"]) + c["beta"] * jnp.log(r["N"])
        reducible = c["L_ref"] * (1 - c["share_E"])
        data = r["D_f"] + r["pretrained"] * c["D_T"]
        return cls(
            E=c["L_ref"] * c["share_E"],
            A=reducible * c["share_N"] * power(r["N"], c["alpha_N"]),
            B=reducible * (1 - c["share_N"]) * power(data, c["alpha_D"]),
            k=c["D_T"] * jnp.exp(-powers),
            **exponents,
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss, the shares of it and the data transferred at the centre, and the exponents."""
        loss = self.loss(reference)
        term_N = self.A * power(reference["N"], -self.alpha_N)
        term_D = self.B * power(self.effective_data(reference), -self.alpha_D)
        return {
            "L_ref": loss,
            "share_E": self.E / loss,
            "share_N": term_N / (term_N + term_D),
            "D_T": self.transferred(reference),
            **{name: getattr(self, name) for name in ("alpha_N", "alpha_D", "alpha", "beta")},
        }
