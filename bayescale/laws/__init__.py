"""The scaling laws, one file each; `LAWS` lists them."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.laws.annealing import Annealing
from bayescale.laws.base import ClosedFormOptimum, Law, Published, Rule, law_losses
from bayescale.laws.best_setting import BatchSize, LearningRate
from bayescale.laws.bnsl import Bnsl1, Bnsl2
from bayescale.laws.bounded import Bounded
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.coupled import Coupled
from bayescale.laws.data_quality import DataQuality, data_quality
from bayescale.laws.distillation import Distillation, supervised_priors
from bayescale.laws.domain_share import DomainShare
from bayescale.laws.double_saturation import DoubleSaturation
from bayescale.laws.error_compute import ErrorCompute
from bayescale.laws.error_exponential import ErrorExponential
from bayescale.laws.error_samples import ErrorSamples
from bayescale.laws.error_sigmoid import ErrorSigmoid
from bayescale.laws.fine_tuning import FineTuning
from bayescale.laws.granular import Granular
from bayescale.laws.joint_moe import JointMoE
from bayescale.laws.kaplan_joint import KaplanJoint
from bayescale.laws.kaplan_single import KaplanC, KaplanD, KaplanN
from bayescale.laws.kaplan_steps import KaplanSteps
from bayescale.laws.m1 import M1
from bayescale.laws.m3 import M3
from bayescale.laws.m4 import M4
from bayescale.laws.mixture_additive import mixture_additive
from bayescale.laws.mixture_exponential import mixture_exponential
from bayescale.laws.mixture_joint import mixture_joint
from bayescale.laws.multi_power import MultiPower
from bayescale.laws.overtraining import Overtraining
from bayescale.laws.parallel import Parallel
from bayescale.laws.pass_power import PassPower
from bayescale.laws.pearce_song import PearceSong
from bayescale.laws.power import Power
from bayescale.laws.pre_learned import PreLearned
from bayescale.laws.precision import Precision
from bayescale.laws.precision_post import PrecisionPost
from bayescale.laws.quantized import Quantized
from bayescale.laws.repeated import Repeated
from bayescale.laws.repeated_lambda import RepeatedLambda
from bayescale.laws.reward_sigmoid import RewardSigmoid
from bayescale.laws.routed import Routed
from bayescale.laws.sparse_moe import SparseMoE
from bayescale.laws.sparse_weights import SparseWeights
from bayescale.laws.tied import Tied
from bayescale.laws.transfer import Transfer
from bayescale.laws.vocabulary import Vocabulary

_EVERY: tuple[type[Law], ...] = (
    Chinchilla,
    Coupled,
    Tied,
    Bounded,
    PearceSong,
    Overtraining,
    KaplanJoint,
    KaplanSteps,
    Power,
    M1,
    M3,
    M4,
    Bnsl1,
    Bnsl2,
    DoubleSaturation,
    KaplanN,
    KaplanD,
    KaplanC,
    Repeated,
    RepeatedLambda,
    *map(data_quality, (2, 3, 4)),
    *map(mixture_exponential, (2, 3, 4)),
    *map(mixture_additive, (2, 3, 4)),
    *map(mixture_joint, (2, 3, 4)),
    DomainShare,
    FineTuning,
    PreLearned,
    Transfer,
    Distillation,
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
    Annealing,
    MultiPower,
    ErrorExponential,
    ErrorSigmoid,
    ErrorCompute,
    ErrorSamples,
    PassPower,
    RewardSigmoid,
    LearningRate,
    BatchSize,
)
LAWS: dict[str, type[Law]] = {law.name: law for law in _EVERY}

__all__ = [
    "LAWS",
    "M1",
    "M3",
    "M4",
    "Annealing",
    "BatchSize",
    "Bnsl1",
    "Bnsl2",
    "Bounded",
    "Chinchilla",
    "ClosedFormOptimum",
    "Coupled",
    "DataQuality",
    "Distillation",
    "DomainShare",
    "DoubleSaturation",
    "ErrorCompute",
    "ErrorExponential",
    "ErrorSamples",
    "ErrorSigmoid",
    "FineTuning",
    "Granular",
    "JointMoE",
    "KaplanC",
    "KaplanD",
    "KaplanJoint",
    "KaplanN",
    "KaplanSteps",
    "Law",
    "LearningRate",
    "MultiPower",
    "Overtraining",
    "Parallel",
    "PassPower",
    "PearceSong",
    "Power",
    "PreLearned",
    "Precision",
    "PrecisionPost",
    "Published",
    "Quantized",
    "Repeated",
    "RepeatedLambda",
    "RewardSigmoid",
    "Routed",
    "Rule",
    "SparseMoE",
    "SparseWeights",
    "Tied",
    "Transfer",
    "Vocabulary",
    "data_quality",
    "get_law",
    "law_losses",
    "mixture_additive",
    "mixture_exponential",
    "mixture_joint",
    "supervised_priors",
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
