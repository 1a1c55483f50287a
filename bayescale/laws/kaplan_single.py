"""The laws of Kaplan et al. in one variable: parameters, tokens or compute, without an offset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law, Published, power
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal, Reference

PF_DAY = 8.64e19  # FLOPs
PAPER = "Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361"


class KaplanSingle(Law):
    """What the three laws share: a power of one input, 1 where the input is its scale X_c."""

    source: ClassVar = PAPER

    X_c: Values = parameter("X_c", "value of the input at which the loss would be 1", "input")
    alpha: Values = parameter(r"\alpha", "exponent of the input")

    coordinates: ClassVar = (
        Coordinate(
            "L_ref",
            LogNormal(1.0, 0.3, relative_to="low_loss"),
            r"L_0",
            "loss at the geometric centre of the input",
            "loss",
        ),
        Coordinate("alpha", LogNormal(0.08, 0.6, low=0.015, high=1.0), r"\alpha", "exponent"),
    )

    def loss(self, x: Inputs) -> Values:
        """Return the loss at the one input."""
        return jnp.exp(self.alpha * (jnp.log(self.X_c) - jnp.log(x[self.inputs[0]])))

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this loss at the centre and this exponent."""
        alpha = coordinates["alpha"]
        scale = reference[cls.inputs[0]] * power(coordinates["L_ref"], 1 / alpha)
        return cls(X_c=scale, alpha=alpha)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the loss at the centre and the exponent."""
        return {"L_ref": self.loss(reference), "alpha": self.alpha}


class KaplanN(KaplanSingle):
    r"""The law of Kaplan et al. in parameters.

    .. math:: L(N) = (N_c / N)^{\alpha_N}

    N is the number of parameters **without embeddings**, of models trained to convergence on ample
    data; `X_c` is N_c, `alpha` is alpha_N, both above 0. No loss is irreducible here: what a floor
    would explain goes into the exponent, which is therefore several times smaller than that of a law
    with an offset, and the loss falls to 0 far away. N_c depends on the tokenizer.

    References
    ----------
    Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361.

    Examples
    --------
    >>> round(float(KaplanN.from_published("kaplan-2020-n").loss({"N": 1e9})), 2)
    2.38
    """

    name: ClassVar = "kaplan-n"
    title: ClassVar = "Kaplan law of parameters"
    equation: ClassVar = r"L = (N_c / N)^{\alpha_N}"
    inputs: ClassVar = ("N",)
    published: ClassVar = (Published("kaplan-2020-n", PAPER, {"X_c": 8.8e13, "alpha": 0.076}),)


class KaplanD(KaplanSingle):
    r"""The law of Kaplan et al. in tokens.

    .. math:: L(D) = (D_c / D)^{\alpha_D}

    D is the number of training tokens, of large models that stopped early; `X_c` is D_c, `alpha` is
    alpha_D, both above 0. As in `KaplanN`, no loss is irreducible, and D_c depends on the tokenizer.

    References
    ----------
    Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361.

    Examples
    --------
    >>> round(float(KaplanD.from_published("kaplan-2020-d").loss({"D": 1e10})), 2)
    2.26
    """

    name: ClassVar = "kaplan-d"
    title: ClassVar = "Kaplan law of tokens"
    equation: ClassVar = r"L = (D_c / D)^{\alpha_D}"
    inputs: ClassVar = ("D",)
    published: ClassVar = (Published("kaplan-2020-d", PAPER, {"X_c": 5.4e13, "alpha": 0.095}),)


class KaplanC(KaplanSingle):
    r"""The law of Kaplan et al. in compute.

    .. math:: L(C) = (C_c / C)^{\alpha_C}

    C is the training compute in **FLOPs**; the paper counts PF-days, one of which is 8.64e19 FLOPs, and
    the published C_c is converted. It is the least compute that reaches the loss, so runs should lie
    on the compute-efficient frontier and have batches far below the critical one. `X_c` is C_c,
    `alpha` is alpha_C, both above 0. As in `KaplanN`, no loss is irreducible.

    References
    ----------
    Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361.

    Examples
    --------
    >>> round(float(KaplanC.from_published("kaplan-2020-c").loss({"C": 8.64e19})), 2)
    2.66
    """

    name: ClassVar = "kaplan-c"
    title: ClassVar = "Kaplan law of compute"
    equation: ClassVar = r"L = (C_c / C)^{\alpha_C}"
    inputs: ClassVar = ("C",)
    published: ClassVar = (
        Published(
            "kaplan-2020-c",
            f"{PAPER}, 3.1e8 PF-days",
            {"X_c": 3.1e8 * PF_DAY, "alpha": 0.050},
        ),
    )
