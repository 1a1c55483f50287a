"""The scaling laws, one file each; `LAWS` lists them."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.laws.annealing import Annealing
from bayescale.laws.base import ClosedFormOptimum, Law, Published, Rule, law_losses
from bayescale.laws.bnsl import Bnsl1, Bnsl2
from bayescale.laws.bounded import Bounded
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.coupled import Coupled
from bayescale.laws.data_quality import DataQuality, data_quality
from bayescale.laws.double_saturation import DoubleSaturation
from bayescale.laws.granular import Granular
from bayescale.laws.joint_moe import JointMoE
from bayescale.laws.kaplan_joint import KaplanJoint
from bayescale.laws.kaplan_single import KaplanC, KaplanD, KaplanN
from bayescale.laws.kaplan_steps import KaplanSteps
from bayescale.laws.m1 import M1
from bayescale.laws.m3 import M3
from bayescale.laws.m4 import M4
from bayescale.laws.multi_power import MultiPower
from bayescale.laws.overtraining import Overtraining
from bayescale.laws.parallel import Parallel
from bayescale.laws.pearce_song import PearceSong
from bayescale.laws.power import Power
from bayescale.laws.precision import Precision
from bayescale.laws.precision_post import PrecisionPost
from bayescale.laws.quantized import Quantized
from bayescale.laws.repeated import Repeated
from bayescale.laws.repeated_lambda import RepeatedLambda
from bayescale.laws.routed import Routed
from bayescale.laws.sparse_moe import SparseMoE
from bayescale.laws.sparse_weights import SparseWeights
from bayescale.laws.tied import Tied
from bayescale.laws.vocabulary import Vocabulary

LAWS: dict[str, type[Law]] = {
    law.name: law
    for law in (
        Chinchilla,
        Coupled,
        Power,
        KaplanJoint,
        KaplanSteps,
        Tied,
        Overtraining,
        PearceSong,
        Bounded,
        Repeated,
        RepeatedLambda,
        data_quality(sources=2),
        data_quality(sources=3),
        data_quality(sources=4),
        Annealing,
        MultiPower,
        Routed,
        Granular,
        JointMoE,
        SparseMoE,
        SparseWeights,
        Precision,
        PrecisionPost,
        Quantized,
        Parallel,
        Vocabulary,
        KaplanN,
        KaplanD,
        KaplanC,
        M1,
        M3,
        M4,
        Bnsl1,
        Bnsl2,
        DoubleSaturation,
    )
}

__all__ = [
    "LAWS",
    "M1",
    "M3",
    "M4",
    "Annealing",
    "Bnsl1",
    "Bnsl2",
    "Bounded",
    "Chinchilla",
    "ClosedFormOptimum",
    "Coupled",
    "DataQuality",
    "DoubleSaturation",
    "Granular",
    "JointMoE",
    "KaplanC",
    "KaplanD",
    "KaplanJoint",
    "KaplanN",
    "KaplanSteps",
    "Law",
    "MultiPower",
    "Overtraining",
    "Parallel",
    "PearceSong",
    "Power",
    "Precision",
    "PrecisionPost",
    "Published",
    "Quantized",
    "Repeated",
    "RepeatedLambda",
    "Routed",
    "Rule",
    "SparseMoE",
    "SparseWeights",
    "Tied",
    "Vocabulary",
    "data_quality",
    "get_law",
    "law_losses",
]


def _imported(module: str) -> Any:
    """A module, which may also lie in the folder that the command was typed in."""
    sys.path.append(os.getcwd())
    try:
        return importlib.import_module(module)
    finally:
        sys.path.pop()


def get_law(law: Any) -> type[Law]:
    """Return a law's class from its name, from ``"module:Class"``, or from the class itself.

    Raises
    ------
    InputError
        There is no such law.
    """
    if isinstance(law, type) and issubclass(law, Law):
        return law
    if law in LAWS:
        return LAWS[law]
    if isinstance(law, str) and ":" in law:
        module, _, name = law.partition(":")
        try:
            found = getattr(_imported(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(
                Problem("law", f"{law!r} cannot be loaded: {error}", remedy="write module:Class")
            ) from None
        return get_law(found)
    raise InputError(
        Problem(
            "law", f"{law!r} is not a law", remedy=f"use one of {', '.join(LAWS)}, or module:Class"
        )
    )
