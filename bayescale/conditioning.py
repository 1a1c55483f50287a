"""What further observations would leave of the variance of a quantity: conditioning of a joint normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearGaussian:
    r"""A quantity t and the means m of candidate observations, as a joint normal distribution.

    .. math:: \mathrm{Var}(t \mid y_S) = \mathrm{Var}(t)
              - c_S^\top (K_S + \mathrm{diag}(s_S^2))^{-1} c_S, \qquad
              c = \mathrm{Cov}(m, t), \quad K = \mathrm{Cov}(m)

    y = m + s e are the observations, with independent standard normal e. Exact where t is linear in what
    is unknown; else it is the variance that the best linear estimate of t leaves. Several such
    distributions of the same candidates may stand together, on axes before the others.

    Parameters
    ----------
    variance
        Var(t), shape (...).
    c
        Shape (..., candidates).
    K
        Shape (..., candidates, candidates).
    own
        s^2, shape (candidates,).
    """

    variance: Any
    c: Floats
    K: Floats
    own: Floats

    @classmethod
    def of(cls, target: ArrayLike, means: ArrayLike, own: ArrayLike) -> LinearGaussian:
        """Take the covariances from draws.

        Parameters
        ----------
        target
            Draws of t, shape (draws,).
        means
            Draws of m, shape (draws, candidates).
        own
            s^2, shape (candidates,).

        Examples
        --------
        >>> t = np.array([-1.0, 0.0, 1.0])
        >>> float(LinearGaussian.of(t, t[:, None], [1.0]).after([0]))
        0.5
        """
        joint = np.cov(np.column_stack([means, target]), rowvar=False)
        squares = np.asarray(own, dtype=np.float64)
        return cls(float(joint[-1, -1]), joint[:-1, -1], joint[:-1, :-1], squares)

    def after(self, chosen: Sequence[int]) -> Any:
        """Return the variance that observations of the chosen candidates leave."""
        s = list(chosen)
        c = self.c[..., s]
        solved = np.linalg.solve(self._observed(s), c[..., None])[..., 0]
        return np.maximum(self.variance - np.sum(c * solved, axis=-1), 0.0)

    def after_each(self, chosen: Sequence[int] = ()) -> Floats:
        """Return the variance after the chosen candidates and one more, for each candidate.

        Shape (candidates,). A candidate that is among the chosen is observed a second time.
        """
        s = list(chosen)
        c, K = self.c[..., s], self.K[..., s, :]
        solved = np.linalg.solve(self._observed(s), np.concatenate([K, c[..., None]], axis=-1))
        left = self.variance - np.sum(c * solved[..., -1], axis=-1)
        cross = self.c - np.einsum("...sn,...s->...n", K, solved[..., -1])
        own = np.diagonal(self.K, axis1=-2, axis2=-1) + self.own
        d = own - np.einsum("...sn,...sn->...n", K, solved[..., :-1])
        return np.asarray(np.maximum(np.asarray(left)[..., None] - cross**2 / d, 0.0))

    def _observed(self, s: list[int]) -> Floats:
        return self.K[..., s, :][..., s] + np.diag(self.own[s])
