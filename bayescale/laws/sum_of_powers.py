r"""What the laws that rise with S(N, D) = A N^-alpha + B D^-beta have in common.

The optimum under a budget and the decision coordinates follow from S alone, whatever increasing
function of it the loss is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from bayescale.laws.base import power
from bayescale.parameters import Coordinate
from bayescale.priors import Beta, LogNormal, Reference

LOSS_AT_OPTIMUM = Coordinate(
    "L_opt",
    LogNormal(1.0, 0.15, relative_to="low_loss"),
    r"L^*",
    "loss at the optimum for the reference budget, the geometric centre of the runs' compute",
    "loss",
)
SHARE_OF_E = Coordinate("share_E", Beta(4, 1.7), r"E/L^*", "share of that loss that is irreducible")
TOKENS_PER_PARAMETER = Coordinate(
    "M_opt",
    LogNormal(15.0, 0.9),
    r"M^*",
    "tokens per parameter at that optimum",
    "tokens per parameter",
)


# Sds of the logarithm of exponents of N and of D in forecasts: four fifths of the spread of published
# fits (0.31 and 0.43), which contains their errors. Of those tried 0.2 and 0.3 forecast as well, and pull
# at exponents as low as some that were published.
FIRM_N, FIRM_D = 0.25, 0.35


def exponent(
    name: str, prior: LogNormal, symbol: str, meaning: str, firm: float = FIRM_N
) -> Coordinate:
    """Return the coordinate of an exponent, whose prior has a smaller sd in forecasts: `firm`."""
    return Coordinate(name, prior, symbol, meaning, in_forecasts=replace(prior, sd_log=firm))


LIKE_ALPHA = LogNormal(0.30, 0.40, low=0.05, high=1.2)
LIKE_BETA = LogNormal(0.36, 0.50, low=0.05, high=1.2)
EXPONENT_OF_N = exponent("alpha", LIKE_ALPHA, r"\alpha", "exponent of N")
EXPONENT_OF_D = exponent("beta", LIKE_BETA, r"\beta", "exponent of D", FIRM_D)


def optimum(A: Any, B: Any, alpha: Any, beta: Any, product: Any) -> tuple[Any, Any]:
    r"""The N and D that minimise A N^-alpha + B D^-beta at a fixed product N D.

    .. math:: N = G\,P^a,\quad D = P^b / G,\quad P = N D,\quad
              a = \frac{\beta}{\alpha+\beta},\quad b = \frac{\alpha}{\alpha+\beta},\quad
              G = \left(\frac{\alpha A}{\beta B}\right)^{1/(\alpha+\beta)}

    Parameters
    ----------
    A, B, alpha, beta
        Coefficients and exponents, above 0.
    product
        N D, that is C / 6.

    Returns
    -------
    N, D
        Parameters and tokens.

    References
    ----------
    Hoffmann et al. 2022, arXiv:2203.15556, equation 4.
    """
    log_g = (jnp.log(alpha * A) - jnp.log(beta * B)) / (alpha + beta)
    log_product = jnp.log(product)
    log_n = log_g + beta / (alpha + beta) * log_product
    return jnp.exp(log_n), jnp.exp(log_product - log_n)


def exponents(alpha: Any, beta: Any) -> dict[str, Any]:
    """The exponents a of N_opt ~ C^a and b of D_opt ~ C^b."""
    return {"a": beta / (alpha + beta), "b": alpha / (alpha + beta)}


def reference_optimum(M_opt: Any, reference: Reference) -> tuple[Any, Any]:
    """N and D at the optimum for the reference budget, given their ratio there."""
    product = reference["N"] * reference["D"]
    return jnp.sqrt(product / M_opt), jnp.sqrt(product * M_opt)


def coefficients(total: Any, alpha: Any, beta: Any, M_opt: Any, reference: Reference) -> dict:
    r"""A and B for which S is `total` at the optimum of the reference budget, with D/N = M_opt.

    At an optimum alpha A N^-alpha = beta B D^-beta, so the N term is the share a of S:

    .. math:: A = a\,S\,N_*^\alpha, \qquad B = b\,S\,D_*^\beta
    """
    n, d = reference_optimum(M_opt, reference)
    share = beta / (alpha + beta)
    return {"A": share * total * power(n, alpha), "B": (1 - share) * total * power(d, beta)}


def decision_coordinates(A: Any, B: Any, alpha: Any, beta: Any, reference: Reference) -> dict:
    """S at the optimum of the reference budget (``total``) and D/N there (``M_opt``)."""
    n, d = optimum(A, B, alpha, beta, reference["N"] * reference["D"])
    return {"total": A * power(n, -alpha) + B * power(d, -beta), "M_opt": d / n}
