"""The posterior of one data set of a batch: its draws, how good they are, and whether that is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bayescale.diagnostics import DIVERGENT_SHARE_FAILED, RHAT_SHORT, Convergence, convergence
from bayescale.inference.importance import ENOUGH, Weighted


@dataclass(frozen=True)
class BatchFit:
    """The posterior of one data set of a batch, as weighted draws.

    Parameters
    ----------
    method
        The method that made it: ``"laplace-is"``, ``"nuts"``, or ``"jumping"`` where its chains disagreed.
    u
        Unbounded vectors, shape (draws, p); none where no mode was found.
    weights
        Weights of the draws, which add up to 1.
    k
        Pareto k of the importance weights; NaN where they were not asked for.
    ess
        Effective draws: of the weights, or the smallest bulk one of all coordinates.
    mixing
        R-hat and effective sizes of the chains; None for importance sampling.
    divergences
        Divergent transitions of the chains; 0 for importance sampling.
    """

    method: Literal["laplace-is", "nuts", "jumping"]
    u: np.ndarray
    weights: np.ndarray
    k: float
    ess: float
    mixing: Convergence | None
    divergences: int

    @property
    def found(self) -> bool:
        """Whether the search for the mode ended at a minimum."""
        return len(self.u) > 0

    @property
    def agreed(self) -> bool:
        """Whether chains are good enough to stop at: short ones pass the strict limit by chance."""
        assert self.mixing is not None
        divergent = self.divergences > DIVERGENT_SHARE_FAILED * len(self.u)
        enough = self.mixing.ess_bulk_min >= ENOUGH and self.mixing.ess_tail_min >= ENOUGH / 2
        return self.mixing.rhat_max <= RHAT_SHORT and enough and not divergent

    @property
    def quality(self) -> float:
        """What chains are worth: effective draws, fewer where some transitions diverged."""
        return float(np.nan_to_num(self.ess, nan=-1.0)) / (1 + self.divergences)


def from_weights(weighted: Weighted, i: int) -> BatchFit:
    """Return the weighted draws of one data set as a fit."""
    used = np.isfinite(weighted.log_weights[i])
    return BatchFit(
        method="laplace-is",
        u=weighted.u[i][used],
        weights=np.exp(weighted.log_weights[i][used]),
        k=float(weighted.k[i]),
        ess=float(weighted.ess[i]),
        mixing=None,
        divergences=0,
    )


def from_chains(u: np.ndarray, diverging: np.ndarray, k: float) -> BatchFit:
    """Return the draws of chains, shape (chains, draws, p), as a fit."""
    mixing = convergence({str(i): u[..., i] for i in range(u.shape[-1])})
    draws = u.reshape(-1, u.shape[-1])
    return BatchFit(
        method="nuts",
        u=draws,
        weights=np.full(len(draws), 1 / len(draws)),
        k=k,
        ess=mixing.ess_bulk_min,
        mixing=mixing,
        divergences=int(diverging.sum()),
    )
