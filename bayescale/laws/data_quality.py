"""The Chinchilla law of tokens from several sources, of which some are worth more than others."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.errors import InputError, Problem
from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.shares import share_symbols, sum_rule
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Reference, ShiftedGamma, StudentT

MOST_SOURCES = 8  # as many as there are columns for shares
DEGREES, SCALE = 4.0, 0.4  # of the prior of log quality: Student-t


class DataQuality(Law):
    r"""The Chinchilla law on tokens weighed by the quality of their source.

    .. math:: L(N, D, h) = E + A N^{-\alpha} + B D_{eff}^{-\beta}, \qquad
              D_{eff} = D \sum_{i=1}^{k} q_i h_i
    .. math:: q_1 = 1, \qquad \ln q_i \sim \mathrm{Normal}(0, \tau), \qquad
              \tau^2 \sim 0.4^2 \cdot 4 / \chi^2_4

    N is the number of parameters, D the number of training tokens, {shares} the shares of
    the sources among them, which sum to 1. A token of source i is worth q_i tokens of source 1, the
    reference: B is the scale of the law of runs on source 1 alone. E, A, B, alpha, beta and all q are above
    0. tau is how much the sources differ: they are pooled by as much as they are alike, and it is what one
    would expect of a source not seen. Given few sources it stays close to its prior (median 0.44).

    Mixtures must differ between runs, and differ otherwise than N and D do. Quality is that for the loss
    that is fitted: on another validation set, sources are worth other things. All tokens are seen once;
    a token counts the same in every mixture, without interactions between sources.

    In the coordinates, log q_i and tau are replaced by quantities that are independent beforehand:
    t_i, log q_i in units of what the sources before it lead to expect (Student-t, of one more degree
    of freedom each), and precision, of tau given all of them. This is the same prior, without the
    funnel that log q_i = tau z_i has.

    References
    ----------
    Hoffmann et al. 2022, arXiv:2203.15556, for the law; Muennighoff et al. 2023, arXiv:2305.16264, for
    data counted by what they are worth. Gelman, Hill 2007, Data Analysis Using Regression and
    Multilevel/Hierarchical Models, chapter 12, for partial pooling.

    Examples
    --------
    >>> law = data_quality(sources=2)(E=1.8, A=480.0, B=2085.0, alpha=0.35, beta=0.37, tau=0.4, q_2=2.0)
    >>> web, half = {"h_1": 1.0, "h_2": 0.0}, {"h_1": 0.5, "h_2": 0.5}
    >>> [round(float(law.loss({"N": 1e9, "D": 2e10, **mixture})), 3) for mixture in (web, half)]
    [2.462, 2.417]
    """

    source: ClassVar = (
        "Hoffmann et al. 2022, arXiv:2203.15556, with tokens by quality as in Muennighoff et al. 2023, "
        "arXiv:2305.16264"
    )
    falls_in: ClassVar = ("N", "D")
    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N", "loss")
    B: Values = parameter("B", "scale of the term in tokens of source 1", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N")
    beta: Values = parameter(r"\beta", "exponent of effective tokens")
    tau: Values = parameter(r"\tau", "sd of log quality between sources")

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]`` and the shares ``x["h_1"]``, ``x["h_2"]``, ..."""
        worth = x["D"] * _mean(vars(self), {symbol: x[symbol] for symbol in self.inputs})
        return self._of_one_source(self.B).loss({"N": x["N"], "D": worth})

    @classmethod
    def _rated(cls) -> list[str]:
        """The numbers of the sources that have a quality to be found, as text."""
        return [
            symbol.removeprefix("h_") for symbol in cls.inputs if symbol not in ("N", "D", "h_1")
        ]

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates, at the mean mixture, and qualities."""
        c = coordinates
        qualities: dict[str, Any] = {}
        squares: Any = DEGREES * SCALE**2
        degrees = DEGREES
        for i in cls._rated():
            log = c[f"t_{i}"] * jnp.sqrt(squares / degrees)
            qualities[f"q_{i}"] = jnp.exp(log)
            squares, degrees = squares + log * log, degrees + 1
        tau = jnp.sqrt(squares / (2 * c["precision"]))
        same = vars(Chinchilla.from_coordinates(c, reference))
        scale = same["B"] * power(_mean(qualities, reference), c["beta"])
        return cls(**{**same, "B": scale}, tau=tau, **qualities)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law, at the mean mixture, and those of quality."""
        scale = self.B * power(_mean(vars(self), reference), -self.beta)
        found = self._of_one_source(scale).to_coordinates(reference)
        squares: Any = DEGREES * SCALE**2
        degrees = DEGREES
        for i in self._rated():
            log = jnp.log(getattr(self, f"q_{i}"))
            found[f"t_{i}"] = log / jnp.sqrt(squares / degrees)
            squares, degrees = squares + log * log, degrees + 1
        return {**found, "precision": squares / (2 * self.tau * self.tau)}

    def _of_one_source(self, scale: Any) -> Chinchilla:
        return Chinchilla(E=self.E, A=self.A, B=scale, alpha=self.alpha, beta=self.beta)


def _mean(qualities: Mapping[str, Any], x: Mapping[str, Any]) -> Any:
    """The mean quality of mixtures; shares and qualities end in the number of their source."""
    rated = [symbol for symbol in x if symbol.startswith("h_") and symbol != "h_1"]
    return x["h_1"] + sum(qualities[symbol.replace("h", "q")] * x[symbol] for symbol in rated)


def data_quality(sources: int) -> type[DataQuality]:
    """Return the law of `sources` sources, from 2 to 8; the same class each time.

    Examples
    --------
    >>> data_quality(3).name, data_quality(sources=3).inputs
    ('data-quality-3', ('N', 'D', 'h_1', 'h_2', 'h_3'))
    """
    if not 2 <= sources <= MOST_SOURCES:
        raise InputError(
            Problem("sources", f"it is {sources}", f"it must be from 2 to {MOST_SOURCES}",
                    "lump small sources together")
        )  # fmt: skip
    return _of_sources(sources)


@lru_cache(maxsize=MOST_SOURCES)
def _of_sources(sources: int) -> type[DataQuality]:
    shares = share_symbols(sources)
    rated = range(2, sources + 1)
    name = f"DataQuality{sources}"
    qualities = {
        f"q_{i}": parameter(f"q_{i}", f"tokens of source 1 that a token of source {i} is worth")
        for i in rated
    }
    odds = tuple(
        Coordinate(
            f"t_{i}",
            StudentT(DEGREES + i - 2),
            f"t_{i}",
            f"log quality of source {i}, in units of what the sources before it lead to expect",
        )
        for i in rated
    )
    precision = Coordinate(
        "precision",
        ShiftedGamma((DEGREES + sources - 1) / 2, 1.0, 0.0),
        r"g_\tau",
        "(0.64 + sum of squared log q) / (2 tau^2)",
        minor=True,
    )
    body = {
        "__module__": __name__,
        "__qualname__": name,
        "__doc__": (DataQuality.__doc__ or "").replace("{shares}", ", ".join(shares)),
        "__annotations__": dict.fromkeys(qualities, Values),
        "name": f"data-quality-{sources}",
        "title": f"Chinchilla law of {sources} sources of data",
        "equation": r"L = E + A N^{-\alpha} + B (D \sum_i q_i h_i)^{-\beta},\ q_1 = 1",
        "inputs": ("N", "D", *shares),
        "rules": (sum_rule(sources),),
        "coordinates": (*Chinchilla.coordinates, *odds, precision),
        **qualities,
    }
    return types.new_class(name, (DataQuality,), exec_body=lambda space: space.update(body))


def __getattr__(name: str) -> Any:
    """Find ``data_quality:DataQuality5``, the name of a law in files, without its being made before."""
    sources = name.removeprefix("DataQuality")
    if sources != name and sources.isdigit() and 2 <= int(sources) <= MOST_SOURCES:
        return data_quality(int(sources))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
