"""What is believed before there are runs: draws of the prior, in the place of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from bayescale.conditioning import LinearGaussian
from bayescale.contraction import moved
from bayescale.designing.beliefs import Beliefs
from bayescale.designing.targets import Target
from bayescale.errors import InputError, Problem
from bayescale.laws import Law
from bayescale.model import ModelSpec, model_spec, prior_draws, reference_of
from bayescale.noise import Noise
from bayescale.posterior import PRIOR_DRAWS, Posterior
from bayescale.priors import Prior
from bayescale.runs import Runs

Floats = NDArray[np.float64]

TRUTHS = 60  # about which the law is taken as linear
STEP = 0.25  # in prior sds, of the differences
TINY = np.finfo(np.float64).tiny
LOSS = 3.0  # of the runs about the centre of those allowed, where none is told


def prior_fit(
    law: type[Law],
    noise: type[Noise],
    points: Mapping[str, ArrayLike],
    loss: float = LOSS,
    priors: Mapping[str, Prior] | None = None,
    seed: int = 0,
) -> Posterior:
    """Return the prior of a law as a posterior of one chain, given no runs.

    Parameters
    ----------
    law, noise
        The law and the noise.
    points
        The runs that may be made, symbol to values of shape (runs,): priors refer to their centre.
    loss
        The lowest losses that are to be expected about there.
    priors
        In place of the law's own.
    seed
        Seed of the draws.

    Raises
    ------
    InputError
        The priors of the law refer to losses that only runs can give.
    """
    if "loss" in law.extremes:
        raise InputError(
            Problem("law", f"the priors of {law.name!r} refer to the losses of runs",
                    "there are none yet", "fit a few runs first, and design from the fit")
        )  # fmt: skip
    inputs = {s: np.asarray(points[s], dtype=np.float64) for s in law.inputs}
    count = len(next(iter(inputs.values())))
    runs = Runs(loss=np.full(count, loss), inputs=inputs, source="no runs")
    spec = model_spec(law, noise, priors)
    reference = reference_of(runs, law.inputs, law.extremes)
    return _of_draws(spec, runs, reference, prior_draws(spec, reference, PRIOR_DRAWS, seed))


def _of_draws(
    spec: ModelSpec, runs: Runs, reference: Mapping[str, float], draws: Mapping[str, Floats]
) -> Posterior:
    """Draws of all coordinates, each of shape (draws,), as a posterior of one chain."""
    coordinates = {name: values[None] for name, values in draws.items()}
    with jax.enable_x64(True):
        built = jax.tree.map(np.asarray, spec.build(coordinates, reference))
    stats = {"energy": np.zeros((1, len(next(iter(draws.values())))))}
    history = {"allowed": [], "seed": 0}
    law, noise = built
    return Posterior(law, noise, coordinates, stats, spec, runs, reference, history)


@dataclass(frozen=True)
class Typical:
    """The geometric mean of the variances about several possible truths.

    Up to a constant, half its logarithm is the expected entropy of a normal target: the variance of a
    truth that is hard to tell does not drown the others.
    """

    truths: LinearGaussian

    def after(self, chosen: Sequence[int]) -> float:
        """Return the variance that observations of the chosen candidates leave."""
        return float(_geometric_mean(self.truths.after(chosen)))

    def after_each(self, chosen: Sequence[int] = ()) -> Floats:
        """Return the variance after the chosen candidates and one more, for each candidate."""
        return _geometric_mean(self.truths.after_each(chosen))


def _geometric_mean(values: ArrayLike) -> Floats:
    logs = np.log(np.maximum(np.asarray(values, dtype=np.float64), TINY))
    return np.asarray(np.exp(logs.mean(axis=0)))


def local_criterion(
    prior: Posterior,
    target: Target,
    beliefs: Beliefs,
    points: Mapping[str, Floats],
    factor: float,
    seed: int,
) -> Typical:
    r"""Return the variances that runs leave about possible truths, the law taken as linear near each.

    .. math:: \theta = q(\Phi(z)), \quad z \sim \mathrm{Normal}(0, I), \qquad
              m(z) \approx m(z_j) + J_j (z - z_j), \quad t(z) \approx t(z_j) + g_j^\top (z - z_j)

    q are the quantiles of the priors, so that the covariances are K = J J', c = J g, Var(t) = g'g.
    Derivatives are differences over half a prior sd.

    Parameters
    ----------
    prior
        What `prior_fit` returns.
    target
        What is asked.
    beliefs
        Draws of the prior: the scale of the answer, and the scatter of runs.
    points
        Inputs of the candidates.
    factor
        k of C = k N D.
    seed
        Seed of the truths.
    """
    spec, reference = prior.spec, prior.reference
    size = len(spec.law.coordinates)
    centres = np.random.default_rng([seed, 3]).standard_normal((TRUTHS, len(spec.beliefs)))
    steps = STEP * np.eye(size, len(spec.beliefs))
    z = centres[:, None, None] + np.stack([steps, -steps])  # truths, signs, coordinates, beliefs
    draws = {
        c.name: c.prior.quantile(ndtr(z[..., i].ravel()), reference)
        for i, c in enumerate(spec.beliefs)
    }
    raw, means = target.joint(_of_draws(spec, prior.runs, reference, draws), points, factor, seed)
    both = np.column_stack([means, moved(beliefs.scale)(raw)]).reshape(TRUTHS, 2, size, -1)
    slopes = (both[:, 0] - both[:, 1]) / (2 * STEP)
    J, g = slopes[..., :-1], slopes[..., -1]
    K = np.einsum("tci,tcj->tij", J, J)
    c = np.einsum("tc,tci->ti", g, J)
    return Typical(LinearGaussian(np.sum(g * g, axis=-1), c, K, beliefs.own))
