"""The joint law of mixtures: the shares of the domains move the terms in N and in D too."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import shares, sum_of_powers
from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.mixture_additive import (
    EXPONENTS,
    floor_coordinates,
    floor_fields,
    floor_from,
    floor_priors,
    mixture_term,
)
from bayescale.parameters import Coordinate, parameter
from bayescale.priors import LogNormal, Reference


class MixtureJoint(Law):
    r"""The joint law of data mixtures.

    .. math:: L(N, D, h) = E + \frac{1}{\sum_i C_i h_i^{\gamma_i}} + A_h N^{-\alpha} + B_h D^{-\beta},
              \qquad A_h = \Big(\sum_i C_i^A h_i\Big)^{\gamma^A},
              \qquad B_h = \Big(\sum_i C_i^B h_i\Big)^{\gamma^B}

    N is the number of parameters, D the number of training tokens, h_i the share of domain i in them;
    shares are 0 or more and sum to 1. E, alpha and beta are those of the Chinchilla law, the term in h
    is that of the additive law, and C_i^A, C_i^B (here CA_i, CB_i) with gamma^A, gamma^B (gA, gB) let
    the shares move the scales of the other two, so that the best shares depend on N and D. All are
    above 0. If all CA_i are equal, and all CB_i, this is the additive law.

    Five parameters and four of each domain: runs must vary h at several N and D, or most of them stay
    the prior. gA is told from the CA_i only by the curvature of A_h in h.

    References
    ----------
    Shukor et al. 2025, Scaling Laws for Optimal Data Mixtures, arXiv:2507.09404.
    """

    domains: ClassVar[int]

    def loss(self, x: Inputs) -> Any:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["h_1"]`` and so on."""
        term_N = self.scale("A", x) * power(x["N"], -self._of("alpha"))
        term_D = self.scale("B", x) * power(x["D"], -self._of("beta"))
        return self._of("E") + mixture_term(self, x) + term_N + term_D

    def scale(self, term: str, x: Inputs) -> Any:
        """Return A_h or B_h (`term` A or B) of a mixture."""
        inner = shares.per_domain(self, f"C{term}", self.domains)
        symbols = shares.share_symbols(self.domains)
        mixed = sum(C * x[h] for C, h in zip(inner, symbols, strict=True))
        return power(mixed, self._of(f"g{term}"))

    def _of(self, name: str) -> Any:
        return getattr(self, name)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these coordinates at the optimum of the reference budget."""
        c = coordinates
        reducible = c["L_opt"] * (1 - c["share_E"])
        scales = sum_of_powers.coefficients(reducible, c["alpha"], c["beta"], c["M_opt"], reference)
        found = {"alpha": c["alpha"], "beta": c["beta"], **floor_from(c, reference, cls.domains)}
        for term, scale in scales.items():
            outer = c[f"g{term}"]
            effects = shares.from_contrasts(shares.per_domain(c, f"move{term}", cls.domains - 1))
            worth = [jnp.exp(effect / outer) for effect in effects]
            symbols = shares.share_symbols(cls.domains)
            mean = sum(w * reference[h] for w, h in zip(worth, symbols, strict=True))
            level = power(scale, 1 / outer) / mean
            found |= {f"g{term}": outer}
            found |= {f"C{term}_{i}": level * w for i, w in enumerate(worth, start=1)}
        return cls(**found)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law: the inverse of `from_coordinates`."""
        A, B = (self.scale(term, reference) for term in "AB")
        alpha, beta = self._of("alpha"), self._of("beta")
        decision = sum_of_powers.decision_coordinates(A, B, alpha, beta, reference)
        found = floor_coordinates(self, decision["total"], reference)
        for term in "AB":
            outer = self._of(f"g{term}")
            inner = shares.per_domain(self, f"C{term}", self.domains)
            moves = shares.to_contrasts([outer * jnp.log(C) for C in inner])
            found |= {f"g{term}": outer}
            found |= {f"move{term}_{i}": move for i, move in enumerate(moves, start=1)}
        return found | {
            "M_opt": decision["M_opt"],
            "alpha": alpha,
            "beta": beta,
        }


@cache
def mixture_joint(domains: int) -> type[Law]:
    """Return the law of so many domains, 2 to 8.

    Examples
    --------
    >>> floor = {"E": 1.2, "alpha": 0.33, "beta": 0.32, "C_1": 3.0, "C_2": 1.0, "g_1": 0.5, "g_2": 0.5}
    >>> law = mixture_joint(2)(**floor, CA_1=250.0, CA_2=350.0, CB_1=500.0, CB_2=700.0, gA=1.0, gB=1.0)
    >>> x = {"N": 1e9, "D": 2e10}
    >>> [round(float(law.loss({**x, "h_1": h, "h_2": 1 - h})), 3) for h in (0.1, 0.9)]
    [2.435, 2.058]
    """
    numbers = range(1, domains + 1)
    fields = {
        "E": parameter("E", "irreducible loss", "loss"),
        "alpha": parameter(r"\alpha", "exponent of N"),
        "beta": parameter(r"\beta", "exponent of D"),
        "gA": parameter(r"\gamma^A", "exponent of the mixture in the scale of the term in N"),
        "gB": parameter(r"\gamma^B", "exponent of the mixture in the scale of the term in D"),
        **floor_fields(domains),
        **{
            f"C{term}_{i}": parameter(f"C_{{{i}}}^{term}", f"domain {i} in that of {size}")
            for term, size in (("A", "N"), ("B", "D"))
            for i in numbers
        },
    }
    moves = [
        coordinate
        for term, size in (("A", "N"), ("B", "D"))
        for coordinate in (
            *shares.contrasts(
                f"move{term}",
                rf"\Delta\ln C^{term}",
                f"effect on the log of the scale of {size}",
                domains,
                sd=0.7,
            ),
            Coordinate(
                f"g{term}",
                LogNormal(1.0, 0.4, low=0.4, high=2.5),
                rf"\gamma^{term}",
                f"exponent of the mixture in the scale of {size}",
            ),
        )
    ]
    return shares.of_domains(
        MixtureJoint,
        domains,
        fields,
        name=f"mixture-joint-{domains}",
        title=f"joint law of mixtures of {domains} domains",
        equation=rf"L = E + (\sum_{{i=1}}^{{{domains}}} C_i h_i^{{\gamma_i}})^{{-1}} "
        r"+ (\sum_i C_i^A h_i)^{\gamma^A} N^{-\alpha} + (\sum_i C_i^B h_i)^{\gamma^B} D^{-\beta}",
        source="Shukor et al. 2025, arXiv:2507.09404, joint law",
        inputs=("N", "D", *shares.share_symbols(domains)),
        falls_in=("N", "D"),
        coordinates=(
            *floor_priors(domains),
            sum_of_powers.TOKENS_PER_PARAMETER,
            *EXPONENTS,
            *moves,
        ),
    )


def __getattr__(name: str) -> type[Law]:
    """The classes of each number of domains, such as ``MixtureJoint5``."""
    return mixture_joint(shares.domains_of(name, "MixtureJoint"))
