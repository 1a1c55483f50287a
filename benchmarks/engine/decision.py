"""The posterior of `bayescale.fit` written once more, for peers that have no language for models.

Priors, Student-t scatter of log loss and decision coordinates are the library's, but its density is not
used: an error in either shows as another alpha in the table. The arithmetic is NumPy's or JAX's, as told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayescale import Runs
from bayescale.model import reference_of

COORDINATES = ("L_opt", "share_E", "M_opt", "alpha", "beta", "sigma", "nu")
PARAMETERS = ("E", "A", "B", "alpha", "beta", "sigma", "nu")  # whose ESS counts, for every peer
BOUNDS = tuple(float(np.log(end)) for end in (0.05, 1.2))  # of log alpha and log beta


class Numbers(NamedTuple):
    """A data set: runs, N D at their centre, and a low loss near it."""

    N: Any
    D: Any
    y: Any
    product: Any
    low_loss: Any


def numbers_of(runs: Runs) -> Numbers:
    """What the model needs of the runs."""
    reference = reference_of(runs, ("N", "D"))
    product = reference["N"] * reference["D"]
    return Numbers(runs.N, runs.D, np.log(runs.loss), product, reference["low_loss"])


def constrain(u: Any, xp: Any) -> dict[str, Any]:
    """Coordinates at an unbounded vector whose first axis is `COORDINATES`."""
    low, high = BOUNDS
    exponents = [xp.exp(low + (high - low) / (1 + xp.exp(-u[i]))) for i in (3, 4)]
    share = 1 / (1 + xp.exp(-u[1]))
    values = xp.exp(u[0]), share, xp.exp(u[2]), *exponents, xp.exp(u[5]), 2 + xp.exp(u[6])
    return dict(zip(COORDINATES, values, strict=True))


def log_density(u: Any, data: Numbers, xp: Any, gammaln: Any) -> Any:
    """Log posterior density of unbounded vectors, shape (7, ...), up to a constant; shape (...)."""
    c = constrain(u, xp)
    inside = {i: -xp.logaddexp(0.0, -u[i]) for i in (1, 3, 4)}
    outside = {i: -xp.logaddexp(0.0, u[i]) for i in (1, 3, 4)}
    prior = -0.5 * ((u[0] - xp.log(data.low_loss)) / 0.15) ** 2
    prior = prior + 4 * inside[1] + 1.7 * outside[1]
    prior = prior - 0.5 * ((u[2] - np.log(15)) / 0.9) ** 2
    for i, name, median, sd in ((3, "alpha", 0.30, 0.40), (4, "beta", 0.36, 0.50)):
        prior = prior - 0.5 * (xp.log(c[name] / median) / sd) ** 2 + inside[i] + outside[i]
    prior = prior - 0.5 * ((u[5] - np.log(0.006)) / 0.8) ** 2
    prior = prior + 2 * u[6] - 0.1 * xp.exp(u[6])

    c = {name: value[..., None] for name, value in c.items()}
    residual = data.y - xp.log(loss(c, data, xp))
    nu, sigma = c["nu"], c["sigma"]
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * xp.log(np.pi * nu) - xp.log(sigma)
    each = constant - 0.5 * (nu + 1) * xp.log1p((residual / sigma) ** 2 / nu)
    return prior + each.sum(-1)


def loss(c: Mapping[str, Any], data: Numbers, xp: Any) -> Any:
    """The law's loss at the runs."""
    a = c["beta"] / (c["alpha"] + c["beta"])
    n, d = xp.sqrt(data.product / c["M_opt"]), xp.sqrt(data.product * c["M_opt"])
    terms = a * xp.exp(-c["alpha"] * xp.log(data.N / n))
    terms = terms + (1 - a) * xp.exp(-c["beta"] * xp.log(data.D / d))
    return c["L_opt"] * (c["share_E"] + (1 - c["share_E"]) * terms)


def natural(c: Mapping[str, Any], data: Numbers) -> dict[str, np.ndarray]:
    """Draws of the decision coordinates as the paper's parameters, which all peers are judged by."""
    c = {name: np.asarray(c[name], float) for name in COORDINATES}
    a = c["beta"] / (c["alpha"] + c["beta"])
    n, d = np.sqrt(data.product / c["M_opt"]), np.sqrt(data.product * c["M_opt"])
    total = c["L_opt"] * (1 - c["share_E"])
    scales = {"A": a * total * n ** c["alpha"], "B": (1 - a) * total * d ** c["beta"]}
    same = {name: c[name] for name in ("alpha", "beta", "sigma", "nu")}
    return {"E": c["L_opt"] * c["share_E"], **scales, **same}
