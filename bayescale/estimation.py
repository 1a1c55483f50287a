"""The maximum-likelihood law: one point, for comparison with published fits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from bayescale.fitting import prepare
from bayescale.inference.engine import search, search_request
from bayescale.inference.likelihood import (
    least_absolute_deviations,
    log_likelihood,
    smooth_maximum,
)
from bayescale.inference.programs import programs
from bayescale.laws import Law
from bayescale.model import ModelSpec
from bayescale.noise import Laplace, Noise, StudentT


@dataclass(frozen=True, eq=False)
class PointEstimate:
    """A maximum of the likelihood.

    Parameters
    ----------
    law
        The law there, its fields plain numbers.
    noise
        The noise model there.
    log_likelihood
        Sum of the log densities of the log losses.
    n_runs
        Number of runs.
    """

    law: Law
    noise: Noise
    log_likelihood: float
    n_runs: int

    def to_json(self) -> dict[str, Any]:
        """The estimate as plain data."""
        sources = (self.law, self.noise)
        return {
            "law": self.law.name,
            "noise": self.noise.name,
            "n_runs": self.n_runs,
            "log_likelihood": self.log_likelihood,
            "parameters": {
                p.name: float(getattr(s, p.name)) for s in sources for p in s.parameters()
            },
        }

    def __repr__(self) -> str:
        values = ", ".join(f"{k} {v:.6g}" for k, v in self.to_json()["parameters"].items())
        return (
            f"maximum likelihood of the {self.law.title} with {self.noise.name} noise, {self.n_runs} "
            f"runs: {values} (log likelihood {self.log_likelihood:.4f}; a point, without uncertainty)"
        )


def point_estimate(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "laplace",
    *,
    x: str | None = None,
    allow: Collection[str] = (),
    seed: int = 0,
) -> PointEstimate:
    r"""Maximise the likelihood of a law, within the support of its priors.

    .. math:: \hat\theta = \arg\max_\theta \sum_i \ln p(\ln L_i \mid \ln L_\theta(x_i))

    With Laplace noise this is least absolute deviations of log loss, the objective that the
    published Chinchilla fits amount to.

    Parameters
    ----------
    runs, law, noise, x, allow
        As for `bayescale.fit`.
    seed
        Seed of the starts of the search.

    Returns
    -------
    PointEstimate
        One law and one noise model: no intervals.

    Raises
    ------
    InputError
        The runs, the law or the noise cannot be used.

    References
    ----------
    Besiroglu et al. 2024, arXiv:2404.10102, section 3.

    Examples
    --------
    >>> estimate = point_estimate("byte-sweep", noise="laplace")
    >>> 0 < estimate.law.alpha < 1
    True
    """
    spec, runs, data, _ = prepare(runs, law, noise, x=x, allow=allow)
    with jax.enable_x64(True):
        # The search starts where a fit's does, with the program that a fit has compiled.
        robust = ModelSpec(spec.law, StudentT)
        (program,) = programs(search_request(robust, data))
        minima, _ = search(robust, program, data, seed)
        size = len(spec.law.coordinates)
        centres = {c.name: c.prior.centre(data.reference) for c in spec.coordinates}
        start = spec.unconstrain(centres, data.reference)
        start[:size] = minima.u[0, minima.best[0], :size]
        if spec.noise is Laplace and not data.relative_se.any():
            u = _laplace_maximum(least_absolute_deviations(spec, start, data), spec, data)
        else:
            u = np.asarray(jax.jit(partial(smooth_maximum, spec))(start, data))
        law_there, noise_there = spec.build(spec.constrain(u, data.reference), data.reference)
        value = float(log_likelihood(spec, u, data))
        law_there, noise_there = jax.tree.map(float, (law_there, noise_there))
    return PointEstimate(law_there, noise_there, value, len(runs))


def _laplace_maximum(u: np.ndarray, spec: Any, data: Any) -> np.ndarray:
    """Set the scale, the last coordinate, to its own maximum: the mean absolute residual."""
    law = spec.law.from_coordinates(spec.constrain(u, data.reference), data.reference)
    residuals = np.abs(data.log_loss - np.log(np.asarray(law.loss(data.inputs))))
    scale = residuals[data.weight > 0].mean()
    return np.append(u[:-1], np.log(scale))
