"""Two laws at once, each of the rows of its own recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws import Law
from bayescale.laws.base import Inputs
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Prior, Reference

RECIPE = "recipe"
FIRST, SECOND = 1.0, 1.0 + 1e-6  # of the recipe: so near that it is no size, which scales an input


class TwoLaws(Law):
    """Two laws at once, each of the rows of its recipe; `two_laws` makes the class.

    The parameters and coordinates of the first are those of its law with ``A_`` before the name, those
    of the second with ``B_``.
    """

    of: ClassVar[tuple[type[Law], type[Law]]]
    own: ClassVar[tuple[tuple[Coordinate, ...], tuple[Coordinate, ...]]]

    def recipe(self, i: int) -> Law:
        """Return the law of the first (0) or second (1) recipe."""
        names = [p.name for p in self.of[i].parameters()]
        return self.of[i](**{name: getattr(self, f"{'AB'[i]}_{name}") for name in names})

    def loss(self, x: Inputs) -> Values:
        """Return the loss at the law's inputs, by the law of ``x["recipe"]``."""
        first, second = (self.recipe(i).loss(x) for i in (0, 1))
        return jnp.where(x[RECIPE] > 0.5 * (FIRST + SECOND), second, first)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the laws, each by its own coordinates."""
        found: dict[str, Any] = {}
        for side, law, own in zip("AB", cls.of, cls.own, strict=True):
            mine = {c.name: coordinates[f"{side}_{c.name}"] for c in own}
            made = law.from_coordinates(mine, reference)
            found |= {f"{side}_{p.name}": getattr(made, p.name) for p in law.parameters()}
        return cls(**found)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of both."""
        return {
            f"{side}_{name}": value
            for i, side in enumerate("AB")
            for name, value in self.recipe(i).to_coordinates(reference).items()
        }


@lru_cache(maxsize=32)
def two_laws(
    first: type[Law],
    second: type[Law],
    priors: tuple[tuple[tuple[str, Prior], ...], tuple[tuple[str, Prior], ...]] = ((), ()),
) -> type[Law]:
    """Return the law of two recipes at once; their inputs are the same.

    Parameters
    ----------
    first, second
        Their laws.
    priors
        Of each, in place of those of the law.
    """
    laws = (first, second)
    own = tuple(
        tuple(replace(c, prior=dict(given).get(c.name, c.prior)) for c in law.coordinates)
        for law, given in zip(laws, priors, strict=True)
    )
    sides = list(zip("AB", laws, own, strict=True))
    fields = {
        f"{side}_{p.name}": parameter(f"{p.symbol}^{side}", f"{p.meaning}, of {side}", p.unit)
        for side, law, _ in sides
        for p in law.parameters()
    }
    name = f"{first.name} and {second.name}"
    body = {
        "__module__": __name__,
        "__qualname__": "TwoLaws",
        "__doc__": TwoLaws.__doc__,
        "__annotations__": dict.fromkeys(fields, Values),
        **fields,
        "of": laws,
        "own": own,
        "name": name,
        "title": f"{name} laws of two recipes",
        "equation": rf"L_A: {first.equation}, \quad L_B: {second.equation}",
        "source": f"{first.source}; {second.source}",
        "inputs": (*first.inputs, RECIPE),
        "falls_in": (),
        "extremes": tuple(dict.fromkeys((*first.extremes, *second.extremes))),
        "searches": max(first.searches, second.searches),
        "coordinates": tuple(
            replace(c, name=f"{side}_{c.name}") for side, _, mine in sides for c in mine
        ),
    }
    kind: Any = type(TwoLaws)
    return kind("TwoLaws", (TwoLaws,), body)
