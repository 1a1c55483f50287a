"""How log loss comes down to its final value: learned from the curves of earlier runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import multigammaln

Floats = NDArray[np.float64]

# Weak beliefs about the logarithms of the four scales below: median and sd.
BELIEFS = (
    (np.log(0.01), 1.5),  # tau: sd of log loss that runs gather over a factor e of tokens
    (np.log(0.003), 1.5),  # eta: sd of a checkpoint's own noise
    (np.log(10.0), 1.0),  # delta: how many runs the structured covariance counts for
    (np.log(10.0), 1.5),  # kappa: how many runs the belief in no trend with size counts for
)


@dataclass(frozen=True, eq=False)
class CurveModel:
    r"""Deviations y of log loss from its final value, on a grid of shares, as a function of size.

    .. math:: y_r \sim \mathcal N(B^\top x_r,\ \Sigma), \qquad x_r = (1,\ z_r), \qquad
              \Sigma \sim \mathcal{IW}(G + 1 + \delta,\ \delta\, T)

    .. math:: T_{ij} = \tau^2 \min(u_i, u_j) + \eta^2 (1 + [i = j]), \qquad u = -\ln t

    A new run's curve is then multivariate Student-t, in closed form. T says that runs drift apart by as
    much in each factor of tokens, and that a checkpoint and the final loss, from which it is counted,
    have noise of their own; the curves may say otherwise, the more so the more there are. The first
    row of B has a flat prior, the second (per decade of size) is shrunk to 0 by kappa. tau, eta, delta
    and kappa are those of the largest marginal likelihood, under weak beliefs.

    Parameters
    ----------
    shares
        The grid, ascending, shape (G,).
    y
        Deviations of the earlier runs, shape (runs, G).
    z
        Their sizes, in decades, shape (runs,).
    scales
        tau, eta, delta and kappa.

    References
    ----------
    Multivariate regression with a conjugate prior: Rossi, Allenby and McCulloch 2005, Bayesian
    Statistics and Marketing, section 2.8.5.
    """

    shares: Floats
    y: Floats
    z: Floats
    scales: Floats

    @classmethod
    def learn(cls, shares: Floats, y: Floats, z: Floats) -> CurveModel:
        """Learn from the curves of three runs or more."""
        start = cls(shares, y, z, np.exp([median for median, _ in BELIEFS]))

        def loss(logs: Floats) -> float:
            belief = sum(((x - m) / s) ** 2 for x, (m, s) in zip(logs, BELIEFS, strict=True)) / 2
            return float(belief - replace(start, scales=np.exp(logs)).log_evidence)

        options = {"xatol": 0.02, "fatol": 0.02, "maxiter": 400}
        found = minimize(loss, np.log(start.scales), method="Nelder-Mead", options=options)
        return replace(start, scales=np.exp(found.x))

    def without(self, run: int) -> CurveModel:
        """Return the model with one run left out, the scales as they are."""
        return replace(self, y=np.delete(self.y, run, 0), z=np.delete(self.z, run))

    @property
    def structure(self) -> Floats:
        """The T of the formula."""
        tau, eta, _, _ = self.scales
        u = -np.log(self.shares)
        return tau**2 * np.minimum.outer(u, u) + eta**2 * (1 + np.eye(len(u)))

    def _parts(self) -> tuple[Floats, Floats, Floats]:
        """Precision of the coefficients, coefficients, and the scale matrix given the runs."""
        delta, kappa = self.scales[2:]
        x = np.column_stack([np.ones(len(self.z)), self.z - self.z.mean()])
        shrink = np.diag([0.0, kappa])
        precision = x.T @ x + shrink
        B = np.linalg.solve(precision, x.T @ self.y)
        left = self.y - x @ B
        return precision, B, delta * self.structure + left.T @ left + B.T @ shrink @ B

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the curves, but for a constant."""
        delta, kappa = self.scales[2:]
        grid, runs = len(self.shares), len(self.z)
        precision, _, psi = self._parts()
        before, after = grid + 1 + delta, grid + delta + runs
        return float(
            grid / 2 * (np.log(kappa) - np.linalg.slogdet(precision)[1])
            + before / 2 * np.linalg.slogdet(delta * self.structure)[1]
            - after / 2 * np.linalg.slogdet(psi)[1]
            + multigammaln(after / 2, grid)
            - multigammaln(before / 2, grid)
        )

    def of_a_run(self, z: float) -> NewCurve:
        """Return what the curve of a new run of this size will be."""
        precision, B, psi = self._parts()
        x = np.array([1.0, z - self.z.mean()])
        dof = self.scales[2] + len(self.z) + 1
        spread = 1 + x @ np.linalg.solve(precision, x)
        return NewCurve(self.shares, x @ B, spread * psi / dof, float(dof))


@dataclass(frozen=True, eq=False)
class NewCurve:
    r"""Deviations of a new run from its final log loss: :math:`t_\nu(m, S)` on the grid.

    Parameters
    ----------
    shares
        The grid, shape (G,).
    location, scale, dof
        m of shape (G,), S of shape (G, G), and the degrees of freedom.
    """

    shares: Floats
    location: Floats
    scale: Floats
    dof: float

    def at(self, points: NDArray[np.intp]) -> NewCurve:
        """Return the curve at some points of the grid."""
        square = self.scale[np.ix_(points, points)]
        return replace(
            self, shares=self.shares[points], location=self.location[points], scale=square
        )

    def draw(self, count: int, generator: np.random.Generator) -> Floats:
        """Draw deviations, shape (count, G)."""
        normal = generator.standard_normal((count, len(self.shares)))
        chi = np.sqrt(generator.chisquare(self.dof, (count, 1)) / self.dof)
        return self.location + normal @ np.linalg.cholesky(self.scale).T / chi

    def log_likelihood(self, seen: Floats, final: Floats) -> Floats:
        r"""Return the log likelihood of final log losses, given what is seen up to each point.

        .. math:: \ln p(s_{1..k} \mid \ell) = -\frac{\nu + k}{2}
                  \ln\left(1 + \frac{Q_k(\ell)}{\nu}\right) + \mathrm{const}, \qquad
                  Q_k = |(\,L^{-1}(s - m - \ell)\,)_{1..k}|^2

        Parameters
        ----------
        seen
            Log losses at the points of the grid, shape (curves, G).
        final
            Final log losses, shape (values,).

        Returns
        -------
        array
            Shape (curves, G, values): at [:, k] given the first k + 1 points.
        """
        root = np.linalg.cholesky(self.scale)
        v = solve_triangular(root, (seen - self.location).T, lower=True).T
        w = solve_triangular(root, np.ones(len(self.shares)), lower=True)
        a, b, c = np.cumsum(v * v, -1), np.cumsum(v * w, -1), np.cumsum(w * w)
        Q = a[..., None] - 2 * b[..., None] * final + c[:, None] * final**2
        k = np.arange(1, len(self.shares) + 1)
        power = (self.dof + k)[:, None] / 2
        return np.asarray(-power * np.log1p(np.maximum(Q, 0.0) / self.dof))
