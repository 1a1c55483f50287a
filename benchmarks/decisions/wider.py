"""The same questions put to the laws that forecasts come from, in place of the law of the allocation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import bayescale
from bayescale.allocation.splitting import Terms, best_splits
from bayescale.laws import law_losses
from bayescale.mixture import pooled


@dataclass(frozen=True)
class Wider:
    """The laws that a fit forecasts with (half Chinchilla, half coupled, by default), their drift left out.

    A drift depends on compute alone, and leaves the optimum where it is.
    """

    fit: bayescale.Posterior
    k: float

    def best(self, C: np.ndarray) -> list:
        laws = [model.flat_law() for model in self.fit.forecasters]
        return [(law, best_splits(law, C, Terms(self.k))) for law in laws]

    def optima(self, C: float) -> np.ndarray:
        """Draws of N at the optimum of a budget."""
        parts = [splits.N[:, 0] for _, splits in self.best(np.array([C]))]
        return pooled(parts, [1 / len(parts)] * len(parts))

    def median(self, C: float) -> float:
        return float(np.median(self.optima(C)))

    def probability(self, N: np.ndarray, D: np.ndarray, tolerance: float) -> np.ndarray:
        """That each plan is within the tolerance of the best of its own budget."""
        parts = [
            law_losses(law, {"N": N, "D": D}) / splits.loss - 1 <= tolerance
            for law, splits in self.best(self.k * N * D)
        ]
        return np.mean([part.mean(axis=0) for part in parts], axis=0)
