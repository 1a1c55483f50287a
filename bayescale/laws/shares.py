"""Shares of domains in the training data: inputs that sum to 1, and parameters of each domain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Rule
from bayescale.parameters import Coordinate, Values
from bayescale.priors import Normal

TOLERANCE = 1e-3  # of the sum of the shares of a run
SMALLEST = 1e-30  # a share of 0 in a logarithm; its power is 0 in effect

Fields = Mapping[str, Any]  # name to `bayescale.parameters.parameter`


def share_symbols(domains: int) -> tuple[str, ...]:
    """Return the symbols of the shares of so many domains: h_1, h_2 and so on."""
    return tuple(f"h_{i}" for i in range(1, domains + 1))


def sum_rule(domains: int) -> Rule:
    """Return the rule that the shares of a run sum to 1."""
    symbols = share_symbols(domains)

    def holds(x: Inputs) -> Any:
        return abs(sum(x[symbol] for symbol in symbols) - 1) <= TOLERANCE

    return Rule(
        holds,
        f"the shares {symbols[0]} to {symbols[-1]} must sum to 1 (within {TOLERANCE:g})",
        "divide each by their sum, or use the law of as many domains as the mixture has",
    )


def share_power(share: Any, exponent: Any) -> Any:
    """Return share^exponent for a share from 0 to 1 and an exponent above 0; 0 at a share of 0.

    The derivative in the exponent is 0 there too; that in the share has no limit for exponents below 1.
    """
    return jnp.exp(exponent * jnp.log(jnp.maximum(share, SMALLEST)))


def contrasts(
    name: str, symbol: str, meaning: str, domains: int, sd: float
) -> tuple[Coordinate, ...]:
    """Return coordinates that say how something differs between domains: each from the later ones.

    One fewer than domains. The priors are such that no domain is set apart: those of independent normal
    values of this `sd`, of which the mean is not seen.
    """
    return tuple(
        Coordinate(
            f"{name}_{i}",
            Normal(0.0, sd * math.sqrt(1 + 1 / (domains - i))),
            rf"{symbol}_{{{i}}}",
            f"{meaning}: domain {i} less the mean of the later ones",
        )
        for i in range(1, domains)
    )


def from_contrasts(found: Sequence[Any]) -> list[Any]:
    """Return one value of each domain, with sum 0, from their contrasts."""
    values, rest = [], 0.0
    for i, contrast in enumerate(found):
        later = len(found) - i
        values.append((contrast * later + rest) / (later + 1))
        rest = rest - values[-1]
    return [*values, rest]


def to_contrasts(values: Sequence[Any]) -> list[Any]:
    """Return the contrasts of values, whatever their sum: the inverse of `from_contrasts`."""
    return [
        value - sum(values[i:]) / len(values[i:]) for i, value in enumerate(values[:-1], start=1)
    ]


def per_domain(source: Any, name: str, domains: int) -> list[Any]:
    """Return what belongs to each domain, such as C_1, C_2, from a law's fields or from a mapping."""
    names = [f"{name}_{i}" for i in range(1, domains + 1)]
    return [source[n] if isinstance(source, Mapping) else getattr(source, n) for n in names]


def of_domains(base: type[Law], domains: int, fields: Fields, **declared: Any) -> type[Law]:
    """Return the law of so many domains: a class with these fields and class variables.

    Parameters
    ----------
    base
        The form, whose methods work for any number of domains.
    domains
        Number of domains, 2 or more.
    fields
        Name to declaration of each parameter.
    declared
        Class variables.
    """
    symbols = ", ".join(share_symbols(domains))
    body = {
        "__module__": base.__module__,
        "__qualname__": f"{base.__name__}{domains}",
        "__doc__": f"{base.__doc__}\n    Here there are {domains} domains: {symbols}.\n",
        "__annotations__": dict.fromkeys(fields, Values),
        "domains": domains,
        "rules": (sum_rule(domains),),
        **fields,
        **declared,
    }
    kind: Any = type(base)
    return kind(f"{base.__name__}{domains}", (base,), body)


def domains_of(name: str, form: str) -> int:
    """Return the number of domains in the name of a class, such as 5 in ``MixtureAdditive5``.

    Raises
    ------
    AttributeError
        It is not such a name.
    """
    number = name.removeprefix(form)
    if name == form + number and number.isdecimal() and 2 <= int(number) <= 8:
        return int(number)
    raise AttributeError(name)
