"""The additive law of mixtures: the Chinchilla law, and a term of the shares of the domains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import shares, sum_of_powers
from bayescale.laws.base import Inputs, Law, power
from bayescale.parameters import Coordinate, parameter
from bayescale.priors import Beta, LogNormal, Reference

EXPONENTS = (
    sum_of_powers.EXPONENT_OF_N,
    sum_of_powers.EXPONENT_OF_D,
)


class MixtureAdditive(Law):
    r"""The additive law of data mixtures.

    .. math:: L(N, D, h) = E + \frac{1}{\sum_i C_i h_i^{\gamma_i}} + A N^{-\alpha} + B D^{-\beta}

    N is the number of parameters, D the number of training tokens, h_i the share of domain i in them;
    shares are 0 or more and sum to 1. E, A, B, alpha and beta are those of the Chinchilla law; C_i and
    gamma_i (here g_i) say what the share of domain i is worth. All are above 0. The loss is that of one
    domain of validation or a mean of several. The best shares do not depend on N and D.

    E is told from the term in h only by how the loss moves with h: at one mixture they are one constant.
    The loss is finite at h_i = 0, its slope there is not for g_i < 1, so shares of exactly 0 say little
    of the next percent; the authors' shares are 0.1 or more.

    References
    ----------
    Shukor et al. 2025, Scaling Laws for Optimal Data Mixtures, arXiv:2507.09404.
    """

    domains: ClassVar[int]

    def loss(self, x: Inputs) -> Any:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["h_1"]`` and so on."""
        term_N = self._of("A") * power(x["N"], -self._of("alpha"))
        term_D = self._of("B") * power(x["D"], -self._of("beta"))
        return self._of("E") + mixture_term(self, x) + term_N + term_D

    def _of(self, name: str) -> Any:
        return getattr(self, name)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these coordinates at the optimum of the reference budget."""
        c = coordinates
        reducible = c["L_opt"] * (1 - c["share_E"])
        scales = sum_of_powers.coefficients(reducible, c["alpha"], c["beta"], c["M_opt"], reference)
        exponents = {"alpha": c["alpha"], "beta": c["beta"]}
        return cls(**scales, **exponents, **floor_from(c, reference, cls.domains))

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law: the inverse of `from_coordinates`."""
        A, B, alpha, beta = map(self._of, ("A", "B", "alpha", "beta"))
        decision = sum_of_powers.decision_coordinates(A, B, alpha, beta, reference)
        return {
            **floor_coordinates(self, decision["total"], reference),
            "M_opt": decision["M_opt"],
            "alpha": self._of("alpha"),
            "beta": self._of("beta"),
        }


def worths(law: Any, x: Inputs) -> list[Any]:
    """Return C_i h_i^g_i of every domain."""
    k = law.domains
    pairs = zip(shares.per_domain(law, "C", k), shares.per_domain(law, "g", k), strict=True)
    symbols = shares.share_symbols(k)
    return [C * shares.share_power(x[h], g) for (C, g), h in zip(pairs, symbols, strict=True)]


def mixture_term(law: Any, x: Inputs) -> Any:
    """Return what a law of mixtures adds to the loss for the shares: 1 / sum_i C_i h_i^g_i."""
    return 1 / sum(worths(law, x))


def floor_from(c: Mapping[str, Any], reference: Reference, domains: int) -> dict[str, Any]:
    """Return E, C_i and g_i from the coordinates."""
    floor = c["L_opt"] * c["share_E"]
    exponents = [slope / c["share_h"] for slope in shares.per_domain(c, "slope", domains)]
    logs = shares.from_contrasts(shares.per_domain(c, "worth", domains - 1))
    total = sum(jnp.exp(value) for value in logs) * floor * c["share_h"]
    found = {"E": floor * (1 - c["share_h"])}
    for i, (log, g) in enumerate(zip(logs, exponents, strict=True), start=1):
        scale = jnp.exp(log - g * jnp.log(reference[f"h_{i}"]))
        found |= {f"C_{i}": scale / total, f"g_{i}": g}
    return found


def floor_coordinates(law: Any, reducible: Any, reference: Reference) -> dict[str, Any]:
    """Return L_opt, shares of it and what belongs to the domains: the inverse of `floor_from`."""
    term = mixture_term(law, reference)
    floor = law.E + term
    found = shares.to_contrasts([jnp.log(worth) for worth in worths(law, reference)])
    exponents = shares.per_domain(law, "g", law.domains)
    return {
        "L_opt": floor + reducible,
        "share_E": floor / (floor + reducible),
        "share_h": term / floor,
        **{f"worth_{i}": value for i, value in enumerate(found, start=1)},
        **{f"slope_{i}": g * term / floor for i, g in enumerate(exponents, start=1)},
    }


def floor_fields(domains: int) -> dict[str, Any]:
    """Declare C_i and g_i."""
    numbers = range(1, domains + 1)
    scales = {f"C_{i}": parameter(f"C_{{{i}}}", f"worth of domain {i}") for i in numbers}
    return scales | {
        f"g_{i}": parameter(rf"\gamma_{{{i}}}", f"exponent of the share of domain {i}")
        for i in numbers
    }


def floor_priors(domains: int) -> tuple[Coordinate, ...]:
    """Return the coordinates that `floor_from` takes."""
    return (
        sum_of_powers.LOSS_AT_OPTIMUM,
        Coordinate(
            "share_E", sum_of_powers.SHARE_OF_E.prior, "E_h/L^*", "share of it that N and D leave"
        ),
        Coordinate("share_h", Beta(2, 5), "s_h", "share of the term in h in what N and D leave"),
        *shares.contrasts("worth", r"\Delta\ln C", "log worth of the mean share", domains, sd=1.0),
        *(
            Coordinate(
                f"slope_{i}",
                LogNormal(0.12, 0.6),
                rf"s_h \gamma_{{{i}}}",
                f"what a share of domain {i} does to what N and D leave: exponent times share of the term",
            )
            for i in range(1, domains + 1)
        ),
    )


@cache
def mixture_additive(domains: int) -> type[Law]:
    """Return the law of so many domains, 2 to 8.

    Examples
    --------
    >>> values = {"E": 1.2, "A": 300.0, "B": 600.0, "alpha": 0.33, "beta": 0.32}
    >>> law = mixture_additive(2)(**values, C_1=3.0, C_2=1.0, g_1=0.5, g_2=0.5)
    >>> x = {"N": 1e9, "D": 2e10}
    >>> [round(float(law.loss({**x, "h_1": h, "h_2": 1 - h})), 3) for h in (0.1, 0.9)]
    [2.352, 2.141]
    """
    fields = {
        "E": parameter("E", "irreducible loss", "loss"),
        "A": parameter("A", "scale of the term in N", "loss"),
        "B": parameter("B", "scale of the term in D", "loss"),
        "alpha": parameter(r"\alpha", "exponent of N"),
        "beta": parameter(r"\beta", "exponent of D"),
        **floor_fields(domains),
    }
    return shares.of_domains(
        MixtureAdditive,
        domains,
        fields,
        name=f"mixture-additive-{domains}",
        title=f"additive law of mixtures of {domains} domains",
        equation=rf"L = E + (\sum_{{i=1}}^{{{domains}}} C_i h_i^{{\gamma_i}})^{{-1}} "
        r"+ A N^{-\alpha} + B D^{-\beta}",
        source="Shukor et al. 2025, arXiv:2507.09404, additive law",
        inputs=("N", "D", *shares.share_symbols(domains)),
        falls_in=("N", "D"),
        coordinates=(*floor_priors(domains), sum_of_powers.TOKENS_PER_PARAMETER, *EXPONENTS),
    )


def __getattr__(name: str) -> type[Law]:
    """The classes of each number of domains, such as ``MixtureAdditive5``."""
    return mixture_additive(shares.domains_of(name, "MixtureAdditive"))
