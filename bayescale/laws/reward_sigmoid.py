"""Reward of reinforcement learning from compute: a saturating sigmoid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from bayescale.laws.base import Inputs, Law
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Beta, LogNormal, Reference


class RewardSigmoid(Law):
    r"""The sigmoid law of reward in reinforcement-learning compute.

    .. math:: R(C) = R_0 + \frac{A - R_0}{1 + (C_{mid} / C)^B}

    C is the compute spent on reinforcement learning, in any one unit; R, the reward, is a share between
    0 and 1, such as the pass rate on held-out prompts. R0 is the reward without training, A that of
    endless training, C_mid the compute at which half of the gain is made, B the steepness;
    0 < R0 < A < 1, and B and C_mid are above 0.

    A is not identified before the knee: runs that all end with C below C_mid leave it between the last
    reward and 1, wherever the prior has it. The first part of training is often off the curve (the
    authors leave it out); rows of one run are not independent (``--effects run_id`` for several runs).
    The scatter is relative to R, so rewards near 0 weigh much.

    References
    ----------
    Khatri et al. 2025, The Art of Scaling Reinforcement Learning Compute for LLMs (ScaleRL),
    arXiv:2510.13786.

    Examples
    --------
    >>> law = RewardSigmoid(R0=0.2, A=0.6, B=1.5, C_mid=2000.0)
    >>> [round(float(law.loss({"C": C})), 3) for C in (100.0, 2000.0, 1e5)]
    [0.204, 0.4, 0.599]
    """

    name: ClassVar = "reward-sigmoid"
    title: ClassVar = "sigmoid law of reward"
    equation: ClassVar = r"R = R_0 + \frac{A - R_0}{1 + (C_{mid} / C)^B}"
    source: ClassVar = "Khatri et al. 2025, arXiv:2510.13786"
    inputs: ClassVar = ("C",)
    falls_in: ClassVar = ()
    response: ClassVar = "reward"

    R0: Values = parameter("R_0", "reward without training")
    A: Values = parameter("A", "reward of endless training")
    B: Values = parameter("B", "steepness in log compute")
    C_mid: Values = parameter("C_{mid}", "compute at which half of the gain is made", "FLOPs")

    coordinates: ClassVar = (
        Coordinate("R_ref", Beta(1.5, 1.5), "R_c", "reward at the geometric centre of compute"),
        Coordinate("share_0", Beta(1, 1), "R_0/R_c", "reward without training, as a share of it"),
        Coordinate(
            "share_rest",
            Beta(1, 1.5),
            "s_A",
            "share of what is missing to 1 that more compute gains",
        ),
        Coordinate("B", LogNormal(1.0, 0.5), "B", "steepness in log compute"),
    )
    traps: ClassVar = (
        "A is not identified before the knee, by runs that all end with C below C_mid.",
    )

    def loss(self, x: Inputs) -> Values:
        """Return the reward at ``x["C"]``."""
        z = self.B * (jnp.log(x["C"]) - jnp.log(self.C_mid))
        return self.R0 + (self.A - self.R0) * jax.nn.sigmoid(z)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the law with this reward at the centre, start, end and steepness."""
        c = coordinates
        gained = c["R_ref"] * (1 - c["share_0"])
        ahead = (1 - c["R_ref"]) * c["share_rest"]
        log_half = jnp.log(reference["C"]) + (jnp.log(ahead) - jnp.log(gained)) / c["B"]
        return cls(
            R0=c["R_ref"] * c["share_0"],
            A=c["R_ref"] + ahead,
            B=c["B"],
            C_mid=jnp.exp(log_half),
        )

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the reward at the centre, the start and the end as shares, and the steepness."""
        z = self.B * (jnp.log(reference["C"]) - jnp.log(self.C_mid))
        reward = self.R0 + (self.A - self.R0) * jax.nn.sigmoid(z)
        ahead = (self.A - self.R0) * jax.nn.sigmoid(-z)  # A - R_c without cancellation
        return {
            "R_ref": reward,
            "share_0": self.R0 / reward,
            "share_rest": ahead / (1 - reward),
            "B": self.B,
        }
