"""The distillation law: the loss of a student from its teacher's and from the law without a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from bayescale.laws.base import Inputs, Law, Published, power
from bayescale.laws.coupled import Coupled
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Prior, Reference, softplus

SUPERVISED = tuple(p.name for p in Coupled.parameters())


class Distillation(Law):
    r"""The distillation law, with its supervised law.

    .. math:: L_S = L_T + L_T^{-c_0}\left(1 + \left(\frac{L_T}{\tilde L\,d_1}\right)^{1/f_1}
              \right)^{-c_1 f_1} \left(A' N^{-\alpha'} + B' D^{-\beta'}\right)^{\gamma'}, \qquad
              \tilde L(N, D) = E + \left(A N^{-\alpha} + B D^{-\beta}\right)^k

    N is the number of parameters of the student, D the tokens of its distillation, L_T the loss of its
    teacher. The supervised law gives the loss of the student without a teacher: the coupled law, whose
    outer exponent the paper calls gamma and this library k. The parameters of the other, with a prime in
    the paper, are A_d, B_d, alpha_d, beta_d and gamma_d; c_0, c_1, f_1, d_1 are the paper's. All are
    above 0. The middle factor is 1 for a teacher much better than the student would be by itself, and
    falls to 0 for one that is worse.

    The supervised law is sampled with the rest, under a prior about its published fit; runs of
    distillation alone say little of it, so give what runs without a teacher say: `supervised_priors`.
    c_1 and f_1 are not separately identified: for c_1 f_1 well above 1, as published, the factor is
    exp(-(L_T / (turn L))^(1/f_1)), which holds one number less; c_1 has a tight prior. A student never
    beats its teacher in this form.

    References
    ----------
    Busbridge et al. 2025, Distillation Scaling Laws, arXiv:2502.08606.

    Examples
    --------
    >>> law = Distillation.from_published("busbridge-2025-distillation")
    >>> [round(float(law.loss({"N": 1e9, "D": 2e10, "L_T": t})), 2) for t in (1.8, 2.4)]
    [2.26, 2.42]
    """

    name: ClassVar = "distillation"
    title: ClassVar = "distillation law"
    equation: ClassVar = (
        r"L_S = L_T + L_T^{-c_0} (1 + (L_T / (\tilde{L} d_1))^{1/f_1})^{-c_1 f_1} "
        r"(A' N^{-\alpha'} + B' D^{-\beta'})^{\gamma'}, "
        r"\tilde{L} = E + (A N^{-\alpha} + B D^{-\beta})^k"
    )
    source: ClassVar = "Busbridge et al. 2025, arXiv:2502.08606"
    inputs: ClassVar = ("N", "D", "L_T")
    falls_in: ClassVar = ()

    E: Values = parameter("E", "irreducible loss of the supervised law", "loss")
    A: Values = parameter("A", "inner scale of N in the supervised law")
    B: Values = parameter("B", "inner scale of D in the supervised law")
    alpha: Values = parameter(r"\alpha", "inner exponent of N in the supervised law")
    beta: Values = parameter(r"\beta", "inner exponent of D in the supervised law")
    k: Values = parameter("k", "outer exponent of the supervised law")
    A_d: Values = parameter("A'", "inner scale of N")
    B_d: Values = parameter("B'", "inner scale of D")
    alpha_d: Values = parameter(r"\alpha'", "inner exponent of N")
    beta_d: Values = parameter(r"\beta'", "inner exponent of D")
    gamma_d: Values = parameter(r"\gamma'", "outer exponent")
    c_0: Values = parameter("c_0", "exponent of the loss of the teacher")
    c_1: Values = parameter("c_1", "limit of the fall with a teacher that is worse")
    f_1: Values = parameter("f_1", "width of the turn, in log of the teacher's loss")
    d_1: Values = parameter("d_1", "ratio of teacher to supervised student at the turn")

    coordinates: ClassVar = (
        Coordinate(
            "L_opt",
            LogNormal(1.0, 0.1, relative_to="low_loss"),
            r"\tilde L^*",
            "supervised loss at the optimum for the reference budget",
            "loss",
        ),
        Coordinate("share_E", Beta(6, 5), r"E/\tilde L^*", "share of E in it"),
        Coordinate("M_opt", LogNormal(20.0, 0.5), r"M^*", "tokens per parameter at that optimum"),
        Coordinate(
            "k_alpha",
            LogNormal(0.184, 0.2),
            r"k\alpha",
            "effective exponent of N in the supervised law",
        ),
        Coordinate(
            "k_beta",
            LogNormal(0.195, 0.2),
            r"k\beta",
            "effective exponent of D in the supervised law",
        ),
        Coordinate("k", LogNormal(0.452, 0.2), "k", "outer exponent of that law"),
        Coordinate(
            "excess",
            LogNormal(0.05, 1.0, relative_to="low_loss"),
            r"L_S - L_T",
            "loss above that of a much better teacher's, at the centre",
            "loss",
        ),
        Coordinate("share_D", Beta(1, 2), r"s_D", "share of D in the inner sum at the centre"),
        Coordinate(
            "rate_N",
            LogNormal(0.245, 0.4),
            r"\gamma'\alpha'",
            "effective exponent of N",
        ),
        Coordinate(
            "rate_D",
            LogNormal(0.487, 0.4),
            r"\gamma'\beta'",
            "effective exponent of D",
        ),
        Coordinate("gamma_d", LogNormal(0.764, 0.3), r"\gamma'", "outer exponent"),
        Coordinate("c_0", LogNormal(2.55, 0.5), "c_0", "exponent of the teacher's loss"),
        Coordinate(
            "turn",
            LogNormal(0.93, 0.15),
            r"\rho",
            "ratio of teacher to supervised student at which the factor is 1/e",
        ),
        Coordinate("f_1", LogNormal(0.09, 0.4), "f_1", "width of the turn"),
        Coordinate(
            "c_1", LogNormal(522.6, 0.3), "c_1", "limit of the fall with a teacher that is worse"
        ),
    )
    published: ClassVar = (
        Published(
            "busbridge-2025-distillation",
            "Busbridge et al. 2025, arXiv:2502.08606, supervised and distillation laws",
            {
                "E": 1.220, "A": 3355.0, "B": 18186.0, "alpha": 0.408, "beta": 0.431, "k": 0.452,
                "A_d": 2243.0, "B_d": 24181.0, "alpha_d": 0.321, "beta_d": 0.637, "gamma_d": 0.764,
                "c_0": 2.549, "c_1": 522.6, "f_1": 0.090, "d_1": 1.315,
            },
        ),
    )  # fmt: skip
    traps: ClassVar = (
        "c_1 and f_1 are not separately identified: for c_1 f_1 well above 1 only turn and f_1 are.",
    )

    def supervised(self) -> Coupled:
        """Return the law of the student without a teacher."""
        return Coupled(**{name: getattr(self, name) for name in SUPERVISED})

    def loss(self, x: Inputs) -> Values:
        """Return the loss of the student at ``x["N"]``, ``x["D"]``, ``x["L_T"]``."""
        log_ratio = jnp.log(x["L_T"] / (self.supervised().loss(x) * self.d_1))
        turned = softplus(log_ratio / self.f_1)
        inner = self.A_d * power(x["N"], -self.alpha_d) + self.B_d * power(x["D"], -self.beta_d)
        logs = self.gamma_d * jnp.log(inner) - self.c_0 * jnp.log(x["L_T"])
        return x["L_T"] + jnp.exp(logs - self.c_1 * self.f_1 * turned)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with these coordinates at the centre of the runs."""
        c = coordinates
        supervised = Coupled.from_coordinates(c, reference)
        gamma = c["gamma_d"]
        alpha, beta = c["rate_N"] / gamma, c["rate_D"] / gamma
        log_inner = (jnp.log(c["excess"]) + c["c_0"] * jnp.log(reference["L_T"])) / gamma
        # d_1 = turn / (e^(1/(c_1 f_1)) - 1)^f_1
        narrowing = c["f_1"] * jnp.log(jnp.expm1(1 / (c["c_1"] * c["f_1"])))
        return cls(
            **{name: getattr(supervised, name) for name in SUPERVISED},
            A_d=(1 - c["share_D"]) * jnp.exp(log_inner + alpha * jnp.log(reference["N"])),
            B_d=c["share_D"] * jnp.exp(log_inner + beta * jnp.log(reference["D"])),
            alpha_d=alpha,
            beta_d=beta,
            gamma_d=gamma,
            c_0=c["c_0"],
            c_1=c["c_1"],
            f_1=c["f_1"],
            d_1=c["turn"] * jnp.exp(-narrowing),
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of this law: the inverse of `from_coordinates`."""
        term_N = self.A_d * power(reference["N"], -self.alpha_d)
        term_D = self.B_d * power(reference["D"], -self.beta_d)
        logs = self.gamma_d * jnp.log(term_N + term_D) - self.c_0 * jnp.log(reference["L_T"])
        narrowing = self.f_1 * jnp.log(jnp.expm1(1 / (self.c_1 * self.f_1)))
        return {
            **self.supervised().to_coordinates(reference),
            "excess": jnp.exp(logs),
            "share_D": term_D / (term_N + term_D),
            "rate_N": self.gamma_d * self.alpha_d,
            "rate_D": self.gamma_d * self.beta_d,
            "gamma_d": self.gamma_d,
            "c_0": self.c_0,
            "turn": self.d_1 * jnp.exp(narrowing),
            "f_1": self.f_1,
            "c_1": self.c_1,
        }


def supervised_priors(law: Law, N: ArrayLike, D: ArrayLike) -> dict[str, Prior]:
    """Return priors of the supervised part of `Distillation` from draws of a coupled law.

    Each coordinate is given the median and spread that the draws have at the centre of the runs of
    distillation; correlations between coordinates, small where that centre lies within the supervised
    runs, are not carried over.

    Parameters
    ----------
    law
        Draws of the supervised law, every field of shape (draws,): ``posterior.flat_law()``.
    N, D
        Those of the runs of distillation that will be fitted.

    Examples
    --------
    >>> import numpy as np
    >>> draws = Coupled(*(v * np.array([0.99, 1.0, 1.01]) for v in (1.2, 3e3, 2e4, 0.41, 0.43, 0.45)))
    >>> print(sorted(supervised_priors(draws, N=[1e8, 1e9], D=[2e9, 2e10])))
    ['L_opt', 'M_opt', 'k', 'k_alpha', 'k_beta', 'share_E']
    """
    centre = {"N": np.exp(np.mean(np.log(N))), "D": np.exp(np.mean(np.log(D)))}
    with jax.enable_x64(True):
        found = {name: np.asarray(v) for name, v in law.to_coordinates(centre).items()}
    share = found.pop("share_E")
    spread = share.mean() * (1 - share.mean()) / share.var() - 1
    priors: dict[str, Prior] = {
        name: LogNormal(float(np.median(values)), float(np.log(values).std()))
        for name, values in found.items()
    }
    return priors | {
        "share_E": Beta(float(share.mean() * spread), float((1 - share.mean()) * spread))
    }
