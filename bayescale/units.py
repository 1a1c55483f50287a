"""Units of loss, and the convention that turns N and D into training FLOPs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError

LOSS_UNITS = ("nats/token", "bits/token", "nats/byte", "bits/byte")
FLOPS_PER_PARAMETER_TOKEN = 6.0
LEAST_WRONG = 1e-12  # what stands for an error rate of 0, which has no logarithm


def check_loss_unit(unit: str) -> str:
    """Return the unit if it is one of `LOSS_UNITS`, else raise `InputError`."""
    if unit not in LOSS_UNITS:
        raise InputError(f"loss unit {unit!r} is not known; use one of {', '.join(LOSS_UNITS)}")
    return unit


def convert_loss(
    loss: ArrayLike, source: str, target: str, bytes_per_token: float | None = None
) -> NDArray[np.float64]:
    r"""Convert a loss between nats or bits, per token or per byte.

    .. math:: L_\mathrm{bits} = L_\mathrm{nats} / \ln 2, \qquad
              L_\mathrm{byte} = L_\mathrm{token} / (\mathrm{bytes\ per\ token})

    Parameters
    ----------
    loss
        Loss, any shape.
    source, target
        One of ``nats/token``, ``bits/token``, ``nats/byte``, ``bits/byte``.
    bytes_per_token
        Mean bytes of text in a token; needed only between tokens and bytes. Above 0.

    Returns
    -------
    array
        The loss in the target unit, same shape.

    Raises
    ------
    InputError
        Unknown unit, or `bytes_per_token` missing, or not positive and finite, where it is needed.

    Examples
    --------
    >>> float(convert_loss(2.0, "nats/token", "bits/byte", bytes_per_token=4.0).round(4))
    0.7213
    """
    source_measure, source_per = check_loss_unit(source).split("/")
    target_measure, target_per = check_loss_unit(target).split("/")
    factor = 1.0
    if source_measure != target_measure:
        factor *= 1 / math.log(2) if target_measure == "bits" else math.log(2)
    if source_per != target_per:
        if bytes_per_token is None or not 0 < bytes_per_token < math.inf:
            raise InputError(
                f"to convert {source} to {target}, bytes_per_token must be a positive number; "
                f"it is {bytes_per_token}"
            )
        factor *= 1 / bytes_per_token if target_per == "byte" else bytes_per_token
    return np.asarray(loss, dtype=np.float64) * factor


def training_flops(
    N: ArrayLike, D: ArrayLike, flops_per_parameter_token: float = FLOPS_PER_PARAMETER_TOKEN
) -> NDArray[np.float64]:
    r"""Training compute of a dense transformer.

    .. math:: C = k N D, \qquad k = 6

    Parameters
    ----------
    N
        Parameters, any shape.
    D
        Training tokens, broadcast against `N`.
    flops_per_parameter_token
        k: 2 for the forward pass and 4 for the backward pass.

    Returns
    -------
    array
        FLOPs, in float64 (integers of this size overflow 64 bits).

    References
    ----------
    Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361, section 2.1.

    Examples
    --------
    >>> float(training_flops(70e9, 1.4e12))
    5.88e+23
    """
    return flops_per_parameter_token * np.asarray(N, dtype=np.float64) * np.asarray(D, np.float64)
