"""The data-constrained law: the Chinchilla law of what repeated tokens and excess parameters are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Published
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.repetition import D_FROM_U, worth
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference

MOST = 60.0  # of log N less log U_N; beyond, exp leaves the range of 32 bits and nothing changes

VALUE_OF_REPEATS = LogNormal(15.0, 0.6)  # R_D*


class Repeated(Law):
    r"""The data-constrained law, for runs that repeat their data.

    .. math:: L(N, D, U) = E + A N'^{-\alpha} + B D'^{-\beta}
    .. math:: D' = U\left[1 + R_D^*\left(1 - e^{-(D/U - 1)/R_D^*}\right)\right], \qquad
              N' = U_N\left[1 + R_N^*\left(1 - e^{-(N/U_N - 1)/R_N^*}\right)\right]
    .. math:: U_N = \min\left(N,\ G\,(G U)^{\beta/\alpha}\right), \qquad
              G = \left(\frac{\alpha A}{\beta B}\right)^{1/(\alpha + \beta)}

    N is the number of parameters, D the number of training tokens, repeats included, U that of unique
    tokens among them, so that D / U is the number of epochs. U_N is the N for which U tokens would be
    compute-optimal, or N itself if that is smaller: parameters beyond it are worth less, as tokens seen
    again are. R_D and R_N are how many repeats are worth anything: with R_D = 15, 15 more epochs are worth
    63% of as many with new tokens, and endless ones no more than 15. Both are above 0, as E, A, B,
    alpha and beta of the Chinchilla law, which this is at one epoch and N below U_N.

    U must be what the run saw, never the size of a corpus that it did not finish. The law falls with every
    epoch: it has no over-fitting, and runs of so many epochs that their loss rises again do not belong
    into it. The authors fitted E, A, B, alpha and beta to other runs first and R_D and R_N after; here all
    seven are fitted together, so that intervals contain what is not known of the former.

    References
    ----------
    Muennighoff et al. 2023, Scaling Data-Constrained Language Models, arXiv:2305.16264, section 3.

    Examples
    --------
    >>> law = Repeated.from_published("muennighoff-2023")
    >>> round(float(law.loss({"N": 6.34e9, "D": 242e9, "U": 25e9})), 4)
    2.2256
    """

    name: ClassVar = "repeated"
    title: ClassVar = "data-constrained law"
    equation: ClassVar = (
        r"L = E + A N'^{-\alpha} + B D'^{-\beta},\ "
        r"D' = U[1 + R_D^*(1 - e^{-(D/U - 1)/R_D^*})],\ "
        r"N' = U_N[1 + R_N^*(1 - e^{-(N/U_N - 1)/R_N^*})]"
    )
    source: ClassVar = "Muennighoff et al. 2023, arXiv:2305.16264, section 3"
    inputs: ClassVar = ("N", "D", "U")
    falls_in: ClassVar = ("D", "U")  # in N it becomes flat: there the change rounds to none
    rules: ClassVar = (D_FROM_U,)

    E: Values = parameter("E", "irreducible loss", "loss")
    A: Values = parameter("A", "scale of the term in N'", "loss")
    B: Values = parameter("B", "scale of the term in D'", "loss")
    alpha: Values = parameter(r"\alpha", "exponent of N'")
    beta: Values = parameter(r"\beta", "exponent of D'")
    R_D: Values = parameter("R_D^*", "repeats of the data that are worth anything", "epochs")
    R_N: Values = parameter("R_N^*", "multiples of U_N that are worth anything, as parameters")

    coordinates: ClassVar = (
        *Chinchilla.coordinates,
        Coordinate("R_D", VALUE_OF_REPEATS, "R_D^*", "repeats that are worth anything", "epochs"),
        Coordinate("R_N", LogNormal(5.0, 0.8), "R_N^*", "multiples of U_N that are worth anything"),
    )
    published: ClassVar = (
        Published(
            "muennighoff-2023",
            "Muennighoff et al. 2023, arXiv:2305.16264, authors' repository, unrounded; one exponent",
            {
                "E": math.exp(0.6254804),
                "A": math.exp(6.255414),
                "B": math.exp(7.3049974),
                "alpha": 0.3526596,
                "beta": 0.3526596,
                "R_D": 15.387756,
                "R_N": 5.309743,
            },
        ),
        Published(
            "muennighoff-2023-untied",
            "Muennighoff et al. 2023, arXiv:2305.16264, authors' repository, unrounded; two exponents",
            {
                "E": math.exp(0.604038),
                "A": math.exp(6.6229553),
                "B": math.exp(7.5856404),
                "alpha": 0.3724021,
                "beta": 0.36468068,
                "R_D": 16.257626,
                "R_N": 4.9642363,
            },
        ),
    )

    traps: ClassVar = (
        "U is what the run saw, not the size of its corpus: D for a run that repeats nothing.",
        "R_D is no number of epochs to stop at: 15 repeats are still worth 63% of as many new tokens.",
        "The published R_D and R_N hold with the published E, A and B, which the runs of one epoch in the "
        "same table lie 6 to 28% above; fitted together with E, A and B they come out otherwise.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at ``x["N"]``, ``x["D"]``, ``x["U"]``."""
        data = worth(x["U"], x["D"] / x["U"] - 1, self.R_D)
        # The worth of N has slope 0 in U_N where U_N reaches N: the corner of the minimum is smooth.
        excess = jnp.clip(jnp.log(x["N"]) - self._log_optimal_n(jnp.log(x["U"])), 0.0, MOST)
        model = worth(x["N"] * jnp.exp(-excess), jnp.expm1(excess), self.R_N)
        return self._once().loss({"N": model, "D": data})

    def _once(self) -> Chinchilla:
        return Chinchilla(E=self.E, A=self.A, B=self.B, alpha=self.alpha, beta=self.beta)

    def _log_optimal_n(self, log_d: Any) -> Any:
        """Log of the N for which these tokens are compute-optimal, where no token is repeated."""
        log_ratio = jnp.log(self.alpha * self.A) - jnp.log(self.beta * self.B)
        return (log_ratio + self.beta * log_d) / self.alpha

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these decision coordinates, at one epoch, and values of repeats."""
        c = coordinates
        return cls(**vars(Chinchilla.from_coordinates(c, reference)), R_D=c["R_D"], R_N=c["R_N"])

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the decision coordinates of this law."""
        return {**self._once().to_coordinates(reference), "R_D": self.R_D, "R_N": self.R_N}
