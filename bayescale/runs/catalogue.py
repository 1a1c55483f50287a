"""What the columns of a table may hold: N, D, loss and the rest, with how they are spelled."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_DOMAINS = 8  # of a mixture of training data


@dataclass(frozen=True)
class Domain:
    """Where the values of a column lie: between `low` and `high`, and not at an end that is open."""

    words: str
    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = True

    def holds(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which values lie in it."""
        above = values > self.low if self.low_open else values >= self.low
        below = values < self.high if self.high_open else values <= self.high
        return above & below


ABOVE_ZERO = Domain("above 0", 0.0, low_open=True)
FROM_ZERO = Domain("0 or more", 0.0)
FROM_ONE = Domain("1 or more", 1.0)
SHARE = Domain("between 0 and 1", 0.0, 1.0, high_open=False)
POSITIVE_SHARE = Domain("above 0, and 1 at most", 0.0, 1.0, low_open=True, high_open=False)
BELOW_ONE = Domain("0 or more and below 1", 0.0, 1.0)


@dataclass(frozen=True)
class Role:
    """A role that a column may play.

    Parameters
    ----------
    name
        Its name in ``columns=`` and ``--columns``.
    symbol
        Its symbol in laws, results and `Runs`.
    meaning
        What the column holds, with its unit.
    spellings
        Column names recognised without being told, best first, compared without case and
        punctuation.
    domain
        Where its values lie.
    scale
        Whether it is a size that grows with compute, so that extrapolation is along it.
    given
        Whether it is a constant of the task, which no law learns from and which may be the same in
        every run.
    """

    name: str
    symbol: str
    meaning: str
    spellings: tuple[str, ...] = ()
    domain: Domain = ABOVE_ZERO
    scale: bool = True
    given: bool = False


def _setting(
    name: str, symbol: str, meaning: str, domain: Domain, *spellings: str, given: bool = False
) -> Role:
    """An input that is no size: some laws need it, and it is read only for them."""
    known = (name.replace("_", ""), *spellings)
    return Role(name, symbol, meaning, known, domain, scale=False, given=given)


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role(
            "params",
            "N",
            "parameters of the model",
            ("params", "n", "nparams", "numparams", "parameters", "nparameters", "numparameters",
             "parametercount", "paramcount", "modelsize", "modelparams", "totalparams"),
        ),
        Role(
            "tokens",
            "D",
            "training tokens seen",
            ("tokens", "d", "ntokens", "numtokens", "trainingtokens", "traintokens", "tokensseen",
             "tokencount", "datasize", "numinputtokensseen"),
        ),
        Role(
            "flops",
            "C",
            "training compute in FLOPs",
            ("flops", "c", "flop", "compute", "trainingflops", "trainflops", "trainingcompute",
             "totalflops"),
        ),
        Role("unique_tokens", "U", "unique training tokens",
             ("uniquetokens", "u", "nuniquetokens", "uniqued")),
        Role("x", "x", "the one input of a law of one variable", ("x",)),
        Role("steps", "S_min", "training steps, at a batch far above the critical one",
             ("stepsmin", "smin", "minsteps")),
        Role("step", "step", "training step of a checkpoint", ("step", "trainingstep", "iteration")),
        Role("finetuning_tokens", "D_f", "tokens of fine-tuning",
             ("finetuningtokens", "df", "finetunetokens", "tokensfinetuning")),
        Role("samples", "k", "samples (attempts) per problem", ("samples", "nsamples", "attempts"),
             FROM_ONE),
        _setting("active_params", "N_act", "parameters that a token passes", ABOVE_ZERO,
                 "nact", "activeparameters", "nactive", "paramsactive"),
        _setting("experts", "experts", "experts of a routed layer (1 if dense)", FROM_ONE,
                 "nexperts", "numexperts", "expertcount"),
        _setting("granularity", "G", "granularity of the experts (1 if as wide as the dense layer)",
                 FROM_ONE, "g"),
        _setting("sparsity", "S", "share of the weights or of the experts that is not used",
                 BELOW_ONE),
        _setting("weight_bits", "P_w", "bits of the weights in training", ABOVE_ZERO,
                 "pw", "bitsweights", "weightprecision"),
        _setting("activation_bits", "P_a", "bits of the activations in training", ABOVE_ZERO,
                 "pa", "bitsactivations", "activationprecision"),
        _setting("cache_bits", "P_kv", "bits of the key-value cache in training", ABOVE_ZERO,
                 "pkv", "kvbits", "bitskv"),
        _setting("post_bits", "P_post", "bits of the weights after training", ABOVE_ZERO,
                 "ppost", "bitspost", "ptqbits"),
        _setting("group_size", "group_size", "weights that share a scale of quantization", FROM_ONE),
        _setting("teacher_loss", "L_T", "loss of the teacher", ABOVE_ZERO, "lt", "lossteacher"),
        _setting("pretrained", "pretrained", "1 if it starts from a pretrained model, 0 if from scratch",
                 SHARE),
        _setting("pretraining_loss", "L_pre", "loss that the error is explained by", ABOVE_ZERO,
                 "lpre", "taskloss"),
        _setting("chance", "chance", "share of items that guessing gets right", BELOW_ONE,
                 "chancerate", "guessrate", given=True),
        _setting("reward", "reward", "reward, as a share of the highest", POSITIVE_SHARE, "passrate"),
        _setting("streams", "P", "parallel streams", FROM_ONE, "parallelstreams", "nstreams"),
        _setting("vocabulary_params", "N_v", "parameters of the vocabulary", ABOVE_ZERO,
                 "nv", "vocabparams", "embeddingparams"),
        _setting("unigram_ratio", "unigram_ratio", "perplexity over that of the unigram model, e^L_u",
                 ABOVE_ZERO, "normalizedperplexity", "normalisedperplexity"),
        _setting("learning_rate", "lr", "learning rate", ABOVE_ZERO, "lr"),
        _setting("batch_size", "batch", "tokens of a batch", ABOVE_ZERO, "batch", "batchtokens"),
        *(_setting(f"share_{i}", f"h_{i}", f"share of domain {i} in the training tokens", SHARE)
          for i in range(1, MOST_DOMAINS + 1)),
        _setting("domain_share", "r", "share of the domain in the training tokens", SHARE,
                 "domainratio", "mixtureratio"),
        Role(
            "loss",
            "loss",
            "final loss of the run",
            ("loss", "l", "finalloss", "valloss", "validationloss", "evalloss", "testloss",
             "heldoutloss"),
        ),
        Role("loss_se", "loss_se", "standard error of the loss, in the unit of the loss",
             ("lossse", "sel", "lossstderr", "lossstandarderror", "lossstderror"), FROM_ZERO),
        Role("error", "error", "share of items that are wrong",
             ("error", "err", "errorrate", "error01"), SHARE),
        Role("accuracy", "accuracy", "share of items that are right",
             ("accuracy", "acc", "score"), SHARE),
        Role("items", "items", "items that the share is of",
             ("items", "nitems", "numitems", "nquestions", "trials"), FROM_ONE),
        Role("group", "group", "label of a family of runs", ("group", "corpus", "dataset", "family")),
        Role("seed", "seed", "random seed", ("seed", "randomseed")),
        Role("run_id", "run_id", "label of the training run", ("runid", "run", "runname", "id")),
    )
}  # fmt: skip

INPUT_ROLES = ("params", "tokens", "flops", "unique_tokens", "x")  # read wherever they are there
LABEL_ROLES = ("group", "seed", "run_id")
RESPONSE_ROLES = ("loss", "error", "accuracy")
LAW_ROLES = tuple(  # read where the law needs them
    name
    for name in ROLES
    if name not in (*INPUT_ROLES, *LABEL_ROLES, *RESPONSE_ROLES, "loss_se", "items")
)
SYMBOL_TO_ROLE = {role.symbol: role.name for role in ROLES.values()}


def meaning_of(symbol: str) -> str:
    """Return what an input holds; of a law's own input, that it is a column of that name."""
    role = SYMBOL_TO_ROLE.get(symbol)
    return f"the column {symbol!r}" if role is None else ROLES[role].meaning


def domain_of(symbol: str) -> Domain:
    """Return where the values of an input lie; those of a law's own input, above 0."""
    role = SYMBOL_TO_ROLE.get(symbol)
    return ABOVE_ZERO if role is None else ROLES[role].domain


def is_size(symbol: str) -> bool:
    """Whether an input grows with compute, as a law's own input is taken to do."""
    role = SYMBOL_TO_ROLE.get(symbol)
    return role is None or ROLES[role].scale


def is_given(symbol: str) -> bool:
    """Whether an input is a constant of the task, which may be the same in every run."""
    role = SYMBOL_TO_ROLE.get(symbol)
    return role is not None and ROLES[role].given


def scales(symbols: Collection[str]) -> tuple[str, ...]:
    """Return the inputs whose product is the size of a run: N and D where both are there.

    Else all that grow with compute; empty if none does.
    """
    if {"N", "D"} <= set(symbols):
        return ("N", "D")
    return tuple(filter(is_size, symbols))
