"""The Chinchilla law on all parameters, for runs whose N counts those without embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, power
from bayescale.laws.chinchilla import Chinchilla
from bayescale.parameters import Values, parameter
from bayescale.priors import Reference

GAMMA = 47_491.0  # vocabulary of 32,000 and width 39 times the number of layers


def total_params(n_nonemb: Any, gamma: float = GAMMA) -> Any:
    r"""Return all parameters of a model, embeddings included: N_T = N + gamma N^(1/3).

    Parameters
    ----------
    n_nonemb
        N, parameters without embeddings, above 0.
    gamma
        0 or more. Of an architecture with vocabulary V, depth l and width d at a fixed ratio r = d/l,
        N = 12 l d^2 and the embeddings are V d, so gamma = V (r / 12)^(1/3).

    Examples
    --------
    >>> round(float(total_params(1e8)) / 1e8, 2)
    1.22
    """
    return n_nonemb + gamma * power(n_nonemb, 1 / 3)


def nonembedding_params(n_total: Any, gamma: float = GAMMA) -> Any:
    r"""Return the parameters without embeddings of a model with `n_total` in all.

    The inverse of `total_params`: x = N^(1/3) solves x^3 + gamma x = N_T, whose one real root is

    .. math:: x = 2 \sqrt{\gamma/3}\, \sinh\left(\tfrac13 \operatorname{arsinh}
              \frac{N_T}{2 (\gamma/3)^{3/2}}\right)

    `gamma` must be above 0.

    Examples
    --------
    >>> round(float(nonembedding_params(total_params(1e8))) / 1e8, 6)
    1.0
    """
    third = gamma / 3
    angle = jnp.arcsinh(n_total / (2 * third**1.5)) / 3
    root = 2 * third**0.5 * jnp.sinh(angle)
    return root * root * root


class PearceSong(Law):
    r"""The Chinchilla law on all parameters, given those without embeddings.

    .. math:: L(N, D) = E + A N_T^{-\alpha} + B D^{-\beta}, \qquad N_T = N + \gamma N^{1/3}

    N is the number of parameters *without* embeddings, N_T that of all of them, D the number of
    training tokens; E, A, B, alpha and beta are those of the Chinchilla law in N_T, above 0. Runs whose
    N counts everything are runs of ``chinchilla`` itself.

    gamma belongs to the architecture and is not fitted: 47,491 for a vocabulary of 32,000 and a width of
    39 times the depth (`total_params` says what it is for others). For another, give a law of your
    own: ``class Mine(PearceSong): name, gamma = "mine", 30_000.0``.

    Small models are mostly embeddings, so in N the law bends, and its optimum under C = 6 N D, with
    N without embeddings, grows faster than that of the Chinchilla law: why Kaplan et al. and Hoffmann
    et al. disagree. The prior, on the contrary, is that of the Chinchilla law: L_opt and M_opt belong to
    the optimum where compute and tokens per parameter count N_T.

    References
    ----------
    Pearce, Song 2024, Reconciling Kaplan and Chinchilla Scaling Laws, arXiv:2406.12907.

    Examples
    --------
    >>> law = PearceSong(E=1.82, A=482.0, B=2085.4, alpha=0.348, beta=0.366)
    >>> round(float(law.loss({"N": 1e8, "D": 2e9})), 3)
    3.382
    """

    name: ClassVar = "pearce-song"
    title: ClassVar = "Chinchilla law on all parameters, given those without embeddings"
    equation: ClassVar = r"L = E + A (N + \gamma N^{1/3})^{-\alpha} + B D^{-\beta}"
    source: ClassVar = "Pearce, Song 2024, arXiv:2406.12907"
    inputs: ClassVar = ("N", "D")
    gamma: ClassVar[float] = GAMMA  # of the architecture: known, not fitted

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in all parameters", "loss")
    B: Values = parameter("B", "scale of the term in D", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of all parameters")
    beta: Values = parameter(r"\beta", "exponent of D")

    coordinates: ClassVar = Chinchilla.coordinates

    traps: ClassVar = (
        "N counts no embeddings; runs whose N counts everything are runs of chinchilla.",
        "An allocation under C = 6 N D counts no embeddings either, and prices small models too low.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``."""
        return self._of_all().loss({"N": total_params(x["N"], self.gamma), "D": x["D"]})

    def _of_all(self) -> Chinchilla:
        return Chinchilla(E=self.E, A=self.A, B=self.B, alpha=self.alpha, beta=self.beta)

    @classmethod
    def _counting_all(cls, reference: Reference) -> dict[str, Any]:
        return {**reference, "N": total_params(reference["N"], cls.gamma)}

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates, in all parameters."""
        same = Chinchilla.from_coordinates(coordinates, cls._counting_all(reference))
        return cls(**vars(same))

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law, in all parameters."""
        return self._of_all().to_coordinates(self._counting_all(reference))
