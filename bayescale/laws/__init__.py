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
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.coupled import Coupled
from bayescale.laws.distillation import Distillation, supervised_priors
from bayescale.laws.domain_share import DomainShare
from bayescale.laws.error_compute import ErrorCompute
from bayescale.laws.error_exponential import ErrorExponential
from bayescale.laws.error_samples import ErrorSamples
from bayescale.laws.error_sigmoid import ErrorSigmoid
from bayescale.laws.fine_tuning import FineTuning
from bayescale.laws.granular import Granular
from bayescale.laws.joint_moe import JointMoE
from bayescale.laws.mixture_additive import mixture_additive
from bayescale.laws.mixture_exponential import mixture_exponential
from bayescale.laws.mixture_joint import mixture_joint
from bayescale.laws.multi_power import MultiPower
from bayescale.laws.parallel import Parallel
from bayescale.laws.pass_power import PassPower
from bayescale.laws.power import Power
from bayescale.laws.pre_learned import PreLearned
from bayescale.laws.precision import Precision
from bayescale.laws.precision_post import PrecisionPost
from bayescale.laws.quantized import Quantized
from bayescale.laws.reward_sigmoid import RewardSigmoid
from bayescale.laws.routed import Routed
from bayescale.laws.sparse_moe import SparseMoE
from bayescale.laws.sparse_weights import SparseWeights
from bayescale.laws.transfer import Transfer
from bayescale.laws.vocabulary import Vocabulary

_ALL: tuple[type[Law], ...] = (
    Chinchilla,
    Coupled,
    Power,
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
    FineTuning,
    PreLearned,
    Transfer,
    DomainShare,
    *map(mixture_exponential, (2, 3, 4)),
    *map(mixture_additive, (2, 3, 4)),
    *map(mixture_joint, (2, 3, 4)),
    Distillation,
    ErrorExponential,
    ErrorSigmoid,
    ErrorCompute,
    PassPower,
    ErrorSamples,
    RewardSigmoid,
    LearningRate,
    BatchSize,
)
LAWS: dict[str, type[Law]] = {law.name: law for law in _ALL}

__all__ = [
    "LAWS",
    "Annealing",
    "BatchSize",
    "Chinchilla",
    "ClosedFormOptimum",
    "Coupled",
    "Distillation",
    "DomainShare",
    "ErrorCompute",
    "ErrorExponential",
    "ErrorSamples",
    "ErrorSigmoid",
    "FineTuning",
    "Granular",
    "JointMoE",
    "Law",
    "LearningRate",
    "MultiPower",
    "Parallel",
    "PassPower",
    "Power",
    "PreLearned",
    "Precision",
    "PrecisionPost",
    "Published",
    "Quantized",
    "RewardSigmoid",
    "Routed",
    "Rule",
    "SparseMoE",
    "SparseWeights",
    "Transfer",
    "Vocabulary",
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
