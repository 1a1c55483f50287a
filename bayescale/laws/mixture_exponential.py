"""The exponential law of mixtures: log reducible loss is linear in the shares of the domains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import shares
from bayescale.laws.base import Inputs, Law
from bayescale.parameters import Coordinate, parameter
from bayescale.priors import Beta, LogNormal, Reference


class MixtureExponential(Law):
    r"""The exponential law of data mixtures.

    .. math:: L(h) = c + k \exp\Big(\sum_j t_j h_j\Big), \qquad \sum_j t_j = 0

    h_j is the share of domain j in the training data; shares are 0 or more and sum to 1. c is the loss
    that no mixture removes, k the scale of the rest, both above 0; t_j is how the share of domain j moves
    its logarithm. Because shares sum to 1, a constant added to every t_j is a factor of k: the paper's
    t_j are identified only up to it, and here they sum to 0, so the last is minus the sum of the others.

    The loss is that of one domain of validation, at one N and D: fit each domain by itself, and add up
    predictions with the weights of your target. t_j is not a causal effect of domain j: it is what a
    larger share of j does at the expense of all others.

    References
    ----------
    Ye et al. 2024, Data Mixing Laws, arXiv:2403.16952.
    """

    domains: ClassVar[int]

    def loss(self, x: Inputs) -> Any:
        """Return the loss at ``x["h_1"]``, ``x["h_2"]`` and so on."""
        return self._of("c") + self._of("k") * self._mixed(x)

    def _mixed(self, x: Inputs) -> Any:
        effects = self.effects()
        symbols = shares.share_symbols(self.domains)
        return jnp.exp(sum(t * x[h] for t, h in zip(effects, symbols, strict=True)))

    def effects(self) -> list[Any]:
        """Return t_j of every domain; they sum to 0."""
        free = shares.per_domain(self, "t", self.domains - 1)
        return [*free, -sum(free)]

    def _of(self, name: str) -> Any:
        return getattr(self, name)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the mean mixture, share of c and slopes there."""
        c = coordinates
        slopes = shares.from_contrasts(shares.per_domain(c, "slope", cls.domains - 1))
        free = {f"t_{i}": s / (1 - c["share_c"]) for i, s in enumerate(slopes[:-1], start=1)}
        reducible = c["L_ref"] * (1 - c["share_c"])
        scale = reducible / cls(c=0.0, k=1.0, **free).loss(reference)
        return cls(c=c["L_ref"] * c["share_c"], k=scale, **free)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the mean mixture, the share of c in it and the slopes there."""
        loss = self.loss(reference)
        reducible = self._of("k") * self._mixed(reference) / loss
        found = shares.to_contrasts([reducible * t for t in self.effects()])
        return {
            "L_ref": loss,
            "share_c": self._of("c") / loss,
            **{f"slope_{i}": value for i, value in enumerate(found, start=1)},
        }


@cache
def mixture_exponential(domains: int) -> type[Law]:
    """Return the law of so many domains, 2 to 8.

    Examples
    --------
    >>> law = mixture_exponential(3)(c=1.5, k=1.0, t_1=-0.6, t_2=0.2)
    >>> round(float(law.loss({"h_1": 0.5, "h_2": 0.3, "h_3": 0.2})), 3)
    2.352
    """
    fields = {
        "c": parameter("c", "loss that no mixture removes", "loss"),
        "k": parameter("k", "scale of the rest", "loss"),
        **{
            f"t_{i}": parameter(f"t_{{{i}}}", f"effect of the share of domain {i} on its logarithm")
            for i in range(1, domains)
        },
    }
    meaning = "slope of log loss in a share at the mean mixture"
    return shares.of_domains(
        MixtureExponential,
        domains,
        fields,
        name=f"mixture-exponential-{domains}",
        title=f"exponential law of mixtures of {domains} domains",
        equation=rf"L = c + k \exp(\sum_{{j=1}}^{{{domains}}} t_j h_j)",
        source="Ye et al. 2024, arXiv:2403.16952",
        inputs=shares.share_symbols(domains),
        falls_in=(),
        coordinates=(
            Coordinate(
                "L_ref",
                LogNormal(1.0, 0.3, relative_to="low_loss"),
                r"L_0",
                "loss of the mean mixture of the runs",
                "loss",
            ),
            Coordinate("share_c", Beta(1.5, 2), r"c/L_0", "share of that loss that is irreducible"),
            *shares.contrasts("slope", "s", meaning, domains, sd=1.0),
        ),
    )


def __getattr__(name: str) -> type[Law]:
    """The classes of each number of domains, such as ``MixtureExponential5``."""
    return mixture_exponential(shares.domains_of(name, "MixtureExponential"))
