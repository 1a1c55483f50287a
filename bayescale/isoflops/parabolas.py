"""Approach 2 as it is done: a parabola for each compute budget, then a power law through its minima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem, shown
from bayescale.runs import Runs
from bayescale.runs.sharing import sharing

TOLERANCE = 0.1  # runs of one budget differ in compute by at most this share
MIN_RUNS = 5  # of a budget
LEAST_RUNS = 3  # that a parabola needs

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parabola:
    r"""A parabola of loss in log N through the runs of one compute budget.

    .. math:: L = c_0 + c_1 z + c_2 z^2, \qquad z = \ln N - m, \qquad
              \ln N_\mathrm{opt} = m - c_1 / (2 c_2)

    Parameters
    ----------
    C
        The budget: the geometric mean of the compute of its runs, in FLOPs.
    rows
        Indices of the runs.
    log_n, loss
        Of these runs, each of shape (its runs,).
    min_runs
        How many the budget must have.
    """

    C: float
    rows: NDArray[np.intp]
    log_n: Floats
    loss: Floats
    min_runs: int = MIN_RUNS

    @property
    def centre(self) -> float:
        """The m of z."""
        return float(self.log_n.mean())

    @property
    def width(self) -> float:
        """Decades of N that its runs span."""
        return float(np.ptp(self.log_n)) / np.log(10)

    @property
    def inverse(self) -> Floats:
        """What turns losses into coefficients by least squares, shape (3, its runs)."""
        powers = np.vander(self.log_n - self.centre, 3, increasing=True)
        return np.asarray(np.linalg.pinv(powers), dtype=np.float64)

    def coefficients(self, loss: Floats) -> Floats:
        """Return c of losses of shape (..., its runs), shape (..., 3)."""
        return loss @ self.inverse.T

    def at(self, log_n: Floats) -> Floats:
        """Return the parabola through the runs' own losses."""
        powers = np.vander(np.ravel(log_n) - self.centre, 3, increasing=True)
        return np.reshape(powers @ self.coefficients(self.loss), np.shape(log_n))

    def minimum(self, loss: Floats) -> Floats:
        """Return log N at the minima of parabolas through losses of shape (..., its runs).

        NaN where a parabola has none, or none among its runs.
        """
        found = self._turning(loss)
        inside = (self.log_n.min() <= found) & (found <= self.log_n.max())
        return np.where(inside, found, np.nan)

    def _turning(self, loss: Floats) -> Floats:
        """Log N at the minima, wherever they lie."""
        c = self.coefficients(loss)
        curved = c[..., 2] > 0
        steps = -c[..., 1] / np.where(curved, 2 * c[..., 2], 1.0)
        return np.where(curved, self.centre + steps, np.nan)

    @property
    def log_optimum(self) -> float:
        """Log N at the minimum; NaN if the parabola has none among its runs."""
        return float(self.minimum(self.loss))

    @property
    def reason(self) -> str:
        """Why the budget is left out; empty if it is used."""
        if len(self.rows) < self.min_runs:
            return f"{len(self.rows)} runs, fewer than {self.min_runs}"
        if len(np.unique(self.log_n)) < LEAST_RUNS:
            return f"fewer than {LEAST_RUNS} distinct N"
        if np.isnan(self._turning(self.loss)):
            return "the parabola has no minimum"
        return "the minimum lies outside the runs" if np.isnan(self.log_optimum) else ""


def parabolas(
    runs: Runs,
    tolerance: float = TOLERANCE,
    by: str | None = None,
    budgets: Sequence[float] | None = None,
    min_runs: int = MIN_RUNS,
) -> tuple[Parabola, ...]:
    """Group runs by compute budget, cheapest first.

    Parameters
    ----------
    runs
        Runs with N, loss and compute.
    tolerance
        Largest share by which the compute of runs of one budget differs.
    by
        A label or input whose values are the budgets, in place of the compute.
    budgets
        The budgets, in FLOPs: each takes the runs within `tolerance` of it, up or down. By default
        they are found: the range of compute, no wider than `tolerance`, that holds most runs, then that
        of the others, while there are `min_runs`.
    min_runs
        Runs that a budget must have, 3 or more.

    Raises
    ------
    InputError
        An option that cannot be used.
    """
    if not (isinstance(min_runs, int) and min_runs >= LEAST_RUNS):
        raise InputError(
            Problem("min_runs", f"it is {shown(min_runs)}", "a parabola has three coefficients",
                    f"give {LEAST_RUNS} or more")
        )  # fmt: skip
    if not 0 < tolerance < 1:
        raise InputError(
            Problem("tolerance", f"it is {shown(tolerance)}",
                    "it is the share by which the compute of one budget differs",
                    "give a number between 0 and 1, such as 0.1")
        )  # fmt: skip
    if by is not None and budgets is not None:
        raise InputError(
            Problem("by", "budgets are given, too", "both say which runs go together",
                    "give one or the other")
        )  # fmt: skip
    log_c, log_n = np.log(runs.C), np.log(runs.N)
    if by is not None:
        names, codes = sharing(runs, by)
        groups = [np.flatnonzero(codes == i) for i in range(len(names))]
    elif budgets is not None:
        distance = np.abs(log_c[:, None] - np.log(np.asarray(budgets, dtype=np.float64)))
        near = np.where(distance.min(axis=1) <= np.log1p(tolerance), distance.argmin(axis=1), -1)
        groups = [np.flatnonzero(near == i) for i in range(len(budgets))]
    else:
        groups = densest(log_c, np.log1p(tolerance), min_runs)
    found = [
        Parabola(float(np.exp(log_c[g].mean())), g, log_n[g], runs.loss[g], min_runs)
        for g in groups
        if len(g)
    ]
    return tuple(sorted(found, key=lambda p: p.C))


def densest(values: Floats, width: float, least: int) -> list[NDArray[np.intp]]:
    """Return indices of values that lie within a width of each other, the largest group first.

    Examples
    --------
    >>> densest(np.array([1.0, 5.0, 5.1, 1.1, 1.2, 3.0]), width=0.3, least=2)
    [array([0, 3, 4]), array([1, 2])]
    """
    order = np.argsort(values, kind="stable")
    groups = []
    while len(order):
        ends = np.searchsorted(values[order], values[order] + width * (1 + 1e-9), side="right")
        counts = ends - np.arange(len(order))
        start = int(counts.argmax())
        if counts[start] < least:
            break
        groups.append(np.sort(order[start : ends[start]]))
        order = np.delete(order, slice(start, ends[start]))
    return groups


@dataclass(frozen=True, eq=False)
class PowerLaw:
    r"""A line through log optima: :math:`\ln N_\mathrm{opt} = g + a (\ln C - m)`.

    Parameters
    ----------
    a, g
        Exponent and log N at the centre, of each set of optima, shape (...).
    m
        Log of the geometric mean of the budgets.
    """

    a: Floats
    g: Floats
    m: float

    @classmethod
    def through(cls, log_c: Floats, log_n: Floats) -> PowerLaw:
        """Fit by ordinary least squares; optima of shape (..., budgets), NaN where there is none.

        A set with fewer than two optima has no line, and NaN for it.
        """
        m = float(log_c.mean())
        there = np.isfinite(log_n)
        count = there.sum(axis=-1)
        enough = count >= 2
        n = np.where(enough, count, 2)
        x, y = np.where(there, log_c - m, 0.0), np.where(there, log_n, 0.0)
        x_mean, y_mean = x.sum(axis=-1) / n, y.sum(axis=-1) / n
        spread = (x * x).sum(axis=-1) - n * x_mean**2
        a = ((x * y).sum(axis=-1) - n * x_mean * y_mean) / np.where(enough, spread, 1.0)
        return cls(np.where(enough, a, np.nan), np.where(enough, y_mean - a * x_mean, np.nan), m)

    def log_at(self, C: Floats) -> Floats:
        """Return log N at budgets, shape (..., budgets)."""
        return self.g[..., None] + self.a[..., None] * (np.log(C) - self.m)


def approach_two(found: Sequence[Parabola], losses: Sequence[Floats]) -> PowerLaw:
    """Run the procedure on losses of these budgets, each of shape (..., its runs)."""
    log_c = np.log([p.C for p in found])
    minima = [p.minimum(loss) for p, loss in zip(found, losses, strict=True)]
    return PowerLaw.through(log_c, np.stack(minima, axis=-1))


def resampled(found: Sequence[Parabola], samples: int, seed: int) -> list[Floats]:
    r"""Return losses about the parabolas, with relative residuals drawn from those of all budgets.

    .. math:: L^*_{ij} = \hat L_{ij} (1 + r^*), \qquad
              r = \sqrt{\frac{n}{n - 3 G}} \, \frac{L - \hat L}{\hat L}

    n runs of G budgets; the factor makes up for the three coefficients of each parabola.

    Raises
    ------
    InputError
        Every budget has three runs, so that there are no residuals.
    """
    fitted = [p.at(p.log_n) for p in found]
    total = sum(map(len, fitted))
    free = total - 3 * len(found)
    if free < 1:
        raise InputError(
            Problem("runs", "every budget has three runs",
                    "a parabola goes through all of them and leaves no residuals to resample",
                    "add runs to a budget")
        )  # fmt: skip
    relative = [(p.loss - f) / f for p, f in zip(found, fitted, strict=True)]
    pool = np.concatenate(relative) * np.sqrt(total / free)
    generator = np.random.default_rng(seed)
    return [f * (1 + generator.choice(pool, (samples, len(f)))) for f in fitted]
