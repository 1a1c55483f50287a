"""The embedded sweep: small byte-level language models on the source of Python's standard library."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files
from typing import Literal

from bayescale.runs import Runs

Split = Literal["fit", "forecast"]


def load_byte_sweep(split: Split | None = "fit") -> Runs:
    """Load the sweep that ships with the package.

    Decoder transformers of 5 thousand to 1 million parameters (RMS norm, rotary positions, tied
    embedding, 128 byte symbols, context of 64 bytes), trained with AdamW on the source text of
    Python 3.13's standard library, every byte seen at most once, batches of 1,024 bytes, the learning
    rate warmed up over a tenth of the steps and decayed to zero exactly at D. The peak learning rate
    is a power law in N and D fitted to searches in factors of two at nine points. Made for this
    package by ``benchmarks/sweep``; licensed as the package.

    Columns of the table (``byte_sweep.csv``):

    ``params``
        N, all weights; the tied embedding counts once.
    ``params_no_emb``
        N without the embedding.
    ``tokens``
        D, training bytes (a token is a byte).
    ``flops``
        6 N D.
    ``loss``
        Mean cross-entropy on 262,144 bytes of held-out files, nats per byte.
    ``seed``
        Seed of the weights and of the order of the text; ten points have three seeds.
    ``split``
        ``fit``: the smaller runs; ``forecast``: runs of 5 to 10 times the compute of the largest of
        those.
    ``width``, ``layers``, ``learning_rate``
        Shape of the model and peak learning rate.
    ``wall_seconds``
        Wall time of the run on one CPU core that it shared with other work: no measure of cost.

    Parameters
    ----------
    split
        ``"fit"``, ``"forecast"``, or None for all runs.

    Returns
    -------
    Runs
        The runs, loss in nats per byte.

    Examples
    --------
    >>> load_byte_sweep("forecast").loss_unit
    'nats/byte'
    """
    resource = files("bayescale.datasets") / "byte_sweep.csv"
    with as_file(resource) as path:
        where = f"split == '{split}'" if split else None
        return replace(Runs.read(path, where=where, loss_unit="nats/byte"), source="byte-sweep")
