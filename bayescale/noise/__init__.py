"""How observed losses scatter about a law: distributions of log loss; `NOISES` lists them."""

from __future__ import annotations

from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.noise.base import Elliptical, Noise
from bayescale.noise.counts import BetaBinomial
from bayescale.noise.one_sided import OneSided
from bayescale.noise.symmetric import Gaussian, Laplace, StudentT, StudentTTrend, log_gamma_ratio

__all__ = [
    "NOISES",
    "BetaBinomial",
    "Elliptical",
    "Gaussian",
    "Laplace",
    "Noise",
    "OneSided",
    "StudentT",
    "StudentTTrend",
    "get_noise",
    "log_gamma_ratio",
]

NOISES: dict[str, type[Noise]] = {
    noise.name: noise
    for noise in (StudentT, StudentTTrend, Gaussian, Laplace, OneSided, BetaBinomial)
}


def get_noise(noise: Any) -> type[Noise]:
    """Return a noise model's class from its name, or from the class itself.

    Raises
    ------
    InputError
        There is no such noise model.
    """
    if isinstance(noise, type) and issubclass(noise, Noise):
        return noise
    if noise in NOISES:
        return NOISES[noise]
    raise InputError(
        Problem(
            "noise", f"{noise!r} is not a noise model", remedy=f"use one of {', '.join(NOISES)}"
        )
    )
