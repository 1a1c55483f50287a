"""What the draws of a fit say together of the answer and of the runs that could be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.conditioning import LinearGaussian
from bayescale.contraction import Scale, moved
from bayescale.designing.targets import Target
from bayescale.errors import InputError, Problem
from bayescale.identifiability.remedies import robust_variance
from bayescale.mixture import law_points, pooled
from bayescale.new_runs import new_run_scatter
from bayescale.posterior import Posterior

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Draws of an answer with those of the log losses of candidate runs, of each law by its weight.

    Parameters
    ----------
    parts
        Fits of one law each, with their shares.
    means
        Log losses of the candidates at the draws of each part, shape (draws, candidates).
    raw
        Draws of the answer, of all parts together, shape (draws,).
    scale
        The scale that variances are taken on.
    own
        Variance of the scatter of each candidate about its mean, shape (candidates,).
    """

    parts: tuple[tuple[Posterior, float], ...]
    means: tuple[Floats, ...]
    raw: Floats
    scale: Scale
    own: Floats

    @classmethod
    def of(
        cls, target: Target, known: Any, points: Mapping[str, Floats], factor: float, seed: int
    ) -> Beliefs:
        """Take them from a fit.

        Parameters
        ----------
        target
            What is asked.
        known
            The fit, a mixture of fits, or the prior.
        points
            Inputs of the candidates.
        factor
            k of C = k N D.
        seed
            Seed of scatter and drift.

        Raises
        ------
        InputError
            The noise is of counts.
        """
        parts = target.parts(known)
        for part, _ in parts:
            if part.spec.noise.counts:
                raise InputError(
                    Problem("source", f"{part.spec.noise.name} noise is of counts of items",
                            "a design needs the scatter of log losses", "fit losses, or another noise")
                )  # fmt: skip
        draws = [target.joint(part, points, factor, seed + i) for i, (part, _) in enumerate(parts)]
        generator = np.random.default_rng([seed, 1])
        scatter = [
            new_run_scatter(part, law_points(part, points), 0.0, generator) for part, _ in parts
        ]
        shares = [share for _, share in parts]
        raw = pooled([answer for answer, _ in draws], shares)
        own = robust_variance(pooled(scatter, shares))
        return cls(parts, tuple(means for _, means in draws), raw, target.scale(raw), own)

    @property
    def values(self) -> Floats:
        """Draws of the answer on its scale, shape (draws,)."""
        return moved(self.scale)(self.raw)

    def linear(self) -> LinearGaussian:
        """Return the answer and the candidates as a joint normal distribution."""
        means = pooled(self.means, [share for _, share in self.parts])
        return LinearGaussian.of(self.values, means, self.own)
