"""What a law is: the paper's equation, its parameters as fields, and the coordinates of its prior."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.parameters import Coordinate, Parameter, Values, parameters
from bayescale.priors import Reference

Inputs = Mapping[str, Any]


def power(base: Any, exponent: Any) -> Any:
    """Return base^exponent for a positive base.

    The operator ``**`` also provides for bases of 0 and below, which no law needs and which takes
    longer to compile and to differentiate.
    """
    return jnp.exp(exponent * jnp.log(base))


@dataclass(frozen=True)
class Published:
    """A published fit of a law: a key, its source with table or equation, and the values."""

    key: str
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Rule:
    """What must hold between the inputs of a run: a test of them, in words, and what to do if not."""

    holds: Callable[[Inputs], Any]
    words: str
    remedy: str


class Law(eqx.Module):
    """A scaling law; subclass it in one file, and list it in ``bayescale/laws/__init__.py``.

    A law's fields are its parameters in the units of the paper, each declared with
    `bayescale.parameters.parameter`. One object is one law; a posterior is the same class with axes
    (chains, draws) on every field, and the library maps over them.

    The subclass gives, as class variables,

    ``name``
        what follows ``--law``;
    ``title``
        a few words;
    ``equation``
        the equation in LaTeX;
    ``source``
        paper and equation number;
    ``inputs``
        symbols of the columns it needs, such as ``("N", "D")``: those of ``bayescale.runs.ROLES``, or
        names of columns of your own, whose values must be above 0;
    ``falls_in``
        the inputs in which the response falls; all of them if it is not given;
    ``response``
        what it explains: ``"loss"`` (or an error rate), ``"error"`` (an error rate only), or another
        column, above 0;
    ``rules``
        what must hold between the inputs of a run (`Rule`);
    ``extremes``
        inputs, or ``"loss"``, whose least and greatest value the priors refer to, as ``lowest_x`` and
        ``highest_x``;
    ``coordinates``
        what the prior is on (`Coordinate`), in the sampler's order;
    ``published``
        published fits (`Published`), may be empty;
    ``wider``
        a law that contains this one, which forecasts come from; None if there is none;
    ``traps``
        errors that are often made with it, a sentence each, as ``bayescale laws NAME`` shows them;
    ``searches``
        how many times the search for the mode begins anew, 1 unless posteriors have several modes;
    ``usual``
        whether it is among the laws that are compared when none are named;

    and the methods below.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    equation: ClassVar[str]
    source: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    falls_in: ClassVar[tuple[str, ...] | None] = None
    response: ClassVar[str] = "loss"
    rules: ClassVar[tuple[Rule, ...]] = ()
    extremes: ClassVar[tuple[str, ...]] = ()
    coordinates: ClassVar[tuple[Coordinate, ...]]
    published: ClassVar[tuple[Published, ...]] = ()
    wider: ClassVar[type[Law] | None] = None
    traps: ClassVar[tuple[str, ...]] = ()
    searches: ClassVar[int] = 1
    usual: ClassVar[bool] = False

    @abstractmethod
    def loss(self, x: Inputs) -> Values:
        """Return the loss at the inputs, a mapping of symbol to array."""

    @classmethod
    @abstractmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law that has these coordinates, for a data set with this reference."""

    @abstractmethod
    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law: the inverse of `from_coordinates`."""

    @classmethod
    def wanted_response(cls) -> str | None:
        """Return the response to read from a table; None for the loss, or what is in its place."""
        return None if cls.response == "loss" else cls.response

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return the parameters, in order."""
        return parameters(cls)

    @classmethod
    def from_published(cls, key: str) -> Law:
        """Return the published fit with this key."""
        for fit in cls.published:
            if fit.key == key:
                return cls(**fit.values)
        known = ", ".join(fit.key for fit in cls.published) or "none"
        raise KeyError(f"law {cls.name!r} has no published fit {key!r}; there are: {known}")


def law_losses(law: Law, points: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Return the loss of every law at every point, shape (laws, points).

    Parameters
    ----------
    law
        Laws, every field of shape (laws,).
    points
        Symbol to values, each of shape (points,).
    """
    with jax.enable_x64(True):
        return np.asarray(_losses(law, {s: np.asarray(points[s]) for s in law.inputs}))


@jax.jit
def _losses(law: Law, points: Inputs) -> Any:
    return jax.vmap(lambda one: one.loss(points))(law)


class ClosedFormOptimum(eqx.Module):
    """The ability of a law of N and D to say its compute-optimal split in closed form."""

    @abstractmethod
    def optimum(self, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
        """Return N and D of the lowest loss under C = k N D."""

    @abstractmethod
    def allocation_exponents(self) -> dict[str, Any]:
        """Return a and b of N_opt ~ C^a, D_opt ~ C^b."""
