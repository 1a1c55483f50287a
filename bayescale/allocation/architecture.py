"""Parameters and training FLOPs of a transformer from its shape: attention and logits counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from math import inf
from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.prediction import positive
from bayescale.runs.roles import nearest
from bayescale.tables import number

PASSES = 3.0  # a forward pass, and a backward pass of twice its FLOPs
MULTIPLY_ADD = 2.0  # FLOPs of a weight that meets a token
SAME_COUNT = 0.1  # a number of parameters that is nearer to one of the counts is that count


@dataclass(frozen=True)
class Architecture:
    r"""A decoder-only dense transformer: how many parameters it has, and FLOPs that a token costs.

    .. math:: C / D = 6 (N_\mathrm{layers} + V d) + 12\, \ell\, h\, s, \qquad
              N_\mathrm{layers} = \ell\, (2 d h (1 + g) + m\, d\, d_\mathrm{ff})

    Every weight of a matrix product costs 6 FLOPs a training token (2 forward, 4 backward). So do scores
    and weighted sums of attention: 2 h s each forward, over the whole sequence. V d is the product that
    gives the logits; the look-up of an embedding costs nothing. m is 2 matrices of the feed-forward, 3 if
    it is gated; g the share of heads that keys and values have of their own. Norms, biases and
    positions are not counted: less than 1%.

    These are the matrix products that both sources count. Kaplan et al. leave out the logits and count
    half of the attention (`causal`); Hoffmann et al. also count the look-up as a product, and 3
    FLOPs for each score of the softmax.

    Parameters
    ----------
    layers, d_model, heads, d_ff
        l, d, heads of attention, and width of the feed-forward; whole numbers, 1 or more.
    vocabulary, sequence_length
        V, and s in tokens; whole numbers, 1 or more.
    kv_heads
        Heads of keys and values, a divisor of `heads`; as many as these if None.
    head_size
        Width of a head; d_model / heads if None. h is heads x head_size.
    gated
        Whether the feed-forward has a gate (SwiGLU, GeGLU): a third matrix.
    tied
        Whether the logits share the matrix of the embeddings.
    causal
        Whether only the half of attention is counted that a causal mask leaves.

    Raises
    ------
    InputError
        A number that is no whole number of 1 or more, or heads that do not divide.

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361, section 2.1 and table 1; Hoffmann et al. 2022,
    arXiv:2203.15556, appendix F.

    Examples
    --------
    >>> model = Architecture(layers=32, d_model=4096, heads=32, kv_heads=8, d_ff=14336,
    ...                      vocabulary=128256, sequence_length=8192, gated=True)
    >>> f"{model.parameters:.4g} {model.non_embedding_parameters:.4g}"
    '8.03e+09 6.979e+09'
    >>> round(model.flops_per_parameter_token(), 2)
    7.21
    """

    layers: int
    d_model: int
    heads: int
    d_ff: int
    vocabulary: int
    sequence_length: int
    kv_heads: int | None = None
    head_size: int | None = None
    gated: bool = False
    tied: bool = False
    causal: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool):
                if value not in (0, 1):
                    raise _refused(field.name, value, "it is 1 (yes) or 0 (no)")
                object.__setattr__(self, field.name, bool(value))
            elif value is not None:
                if isinstance(value, bool) or not 1 <= value < inf or value != int(value):
                    raise _refused(field.name, value, "it is a whole number, 1 or more")
                object.__setattr__(self, field.name, int(value))
        if self.head_size is None and self.d_model % self.heads:
            raise _refused(
                "heads",
                self.heads,
                f"they do not divide d_model = {self.d_model}",
                "give head_size",
            )
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise _refused("kv_heads", self.kv_heads, f"they do not divide heads = {self.heads}")

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Architecture:
        """Return the architecture of named values, such as an option of the command line gives.

        Raises
        ------
        InputError
            A name that is none, or one that is missing.
        """
        known = {field.name: field.default is MISSING for field in fields(cls)}
        for name in values:
            if name not in known:
                raise InputError(
                    Problem("architecture", f"{name!r} is no part of one{nearest(name, list(known))}",
                            remedy=f"it has {', '.join(known)}")
                )  # fmt: skip
        missing = [name for name, needed in known.items() if needed and name not in values]
        if missing:
            raise InputError(
                Problem("architecture", f"without {', '.join(missing)}",
                        "FLOPs and parameters follow from all of them",
                        f"write {','.join(f'{name}=...' for name in missing)}, too")
            )  # fmt: skip
        return cls(**values)  # type: ignore[arg-type]

    @property
    def d_attention(self) -> int:
        """Width of all heads together, h."""
        return self.heads * (self.head_size or self.d_model // self.heads)

    @property
    def non_embedding_parameters(self) -> float:
        """Weights of the layers: N of Kaplan et al."""
        shared = (self.kv_heads or self.heads) / self.heads
        attention = 2 * self.d_model * self.d_attention * (1 + shared)
        return float(
            self.layers * (attention + (3 if self.gated else 2) * self.d_model * self.d_ff)
        )

    @property
    def embedding_parameters(self) -> float:
        """Weights of a table of the vocabulary: of the embeddings, and again of the logits if untied."""
        return float(self.vocabulary * self.d_model)

    @property
    def parameters(self) -> float:
        """All weights, embeddings included: N of Hoffmann et al."""
        return self.non_embedding_parameters + (1 if self.tied else 2) * self.embedding_parameters

    @property
    def flops_per_token(self) -> float:
        """Training FLOPs of a token, C / D."""
        products = self.non_embedding_parameters + self.embedding_parameters
        attention = 2 * self.layers * self.d_attention * self.sequence_length
        return PASSES * MULTIPLY_ADD * (products + attention / (2 if self.causal else 1))

    def flops_per_parameter_token(self, N: float | None = None) -> float:
        """Return k of C = k N D.

        Parameters
        ----------
        N
            Parameters as the runs of a fit count them: all of them (the default), all but embeddings, or
            these and the logits.

        Raises
        ------
        InputError
            No count of this architecture is within a tenth of N.
        """
        if N is None:
            return self.flops_per_token / self.parameters
        size = positive("N", N).item()
        counts = {
            "all": self.parameters,
            "without embeddings": self.non_embedding_parameters,
            "with the logits": self.non_embedding_parameters + self.embedding_parameters,
        }
        if not any(abs(size / count - 1) <= SAME_COUNT for count in counts.values()):
            listed = ", ".join(f"{number(count)} ({name})" for name, count in counts.items())
            raise InputError(
                Problem("N, architecture", f"N is {number(size)}, and the architecture has {listed}",
                        "they are not of one model", "leave out the one or the other, or correct it")
            )  # fmt: skip
        return self.flops_per_token / size

    def to_json(self) -> dict[str, Any]:
        """Return the shape and its counts as plain data."""
        return {
            **asdict(self),
            "parameters": self.parameters,
            "non_embedding_parameters": self.non_embedding_parameters,
            "flops_per_token": self.flops_per_token,
        }


def _refused(name: str, value: Any, why: str, remedy: str = "") -> InputError:
    return InputError(Problem(f"architecture, {name}", f"it is {value}", why, remedy))
