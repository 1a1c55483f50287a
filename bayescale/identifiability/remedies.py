"""Which two further runs would tell most about a quantity that the runs leave as it was."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bayescale.conditioning import LinearGaussian
from bayescale.drift import log_compute
from bayescale.identifiability.result import Remedy
from bayescale.new_runs import new_run_scatter
from bayescale.posterior import Posterior
from bayescale.prediction import mean_loss
from bayescale.runs import Runs

Floats = NDArray[np.float64]

DIGITS = (1.0, 3.0)  # of candidate sizes
RATIO_DIGITS = (1.0, 2.0, 5.0)  # of candidate D/N
AROUND = 10.0  # how far beyond the runs' own sizes and D/N candidates go
COSTS = (1.0, 10.0, 100.0)  # limits of a candidate's compute, in that of the largest run
GOOD = 0.5  # the sd that contents us, as a share of the prior's
SLACK = 1.1  # how much worse than the best of all the pair at a lower cost may be
QUARTILE_WIDTH = 1.349  # of a normal distribution, in its sds


def best_pair(
    posterior: Posterior, along: Floats, candidates: Mapping[str, Floats], seed: int = 0
) -> Remedy | None:
    r"""Return the pair of candidate runs after which a quantity would be known best.

    .. math:: \mathrm{Var}(t \mid y) = \mathrm{Var}(t) - c^\top (K + \mathrm{diag}(s^2))^{-1} c, \qquad
              c = \mathrm{Cov}(t, y), \quad K = \mathrm{Cov}(y)

    y are the log losses that the law gives the two runs, s their scatter, and the covariances those of
    the posterior's draws: the best linear update, exact for a linear law with Gaussian scatter. Pairs
    that cost no more than the largest run come first, dearer ones only if they are better.

    Parameters
    ----------
    posterior
        The fit.
    along
        Draws of the quantity in units of its prior sd, shape (draws,).
    candidates
        Symbol to values, each of shape (candidates,).
    seed
        Seed of the scatter and of a drift beyond the runs.

    Returns
    -------
    Remedy or None
        None if there are not two candidates.
    """
    if len(next(iter(candidates.values()), ())) < 2:
        return None
    after = pair_sds(posterior, along, candidates, seed)
    pairs = np.array(list(combinations(range(len(after)), 2)))
    found = after[pairs[:, 0], pairs[:, 1]]
    inputs = posterior.spec.law.inputs
    largest = log_compute({s: posterior.runs[s] for s in inputs}).max()
    cost = 10 ** (log_compute({s: candidates[s] for s in inputs}) - largest)[pairs].max(axis=1)
    enough = max(GOOD, SLACK * found.min())
    best = next(
        i
        for limit in (*COSTS, np.inf)
        for i in [int(np.argmin(np.where(cost <= limit * (1 + 1e-9), found, np.inf)))]
        if found[i] <= enough and cost[i] <= limit * (1 + 1e-9)
    )
    chosen = sorted(pairs[best], key=lambda i: tuple(v[i] for v in candidates.values()))
    points = tuple({s: float(v[i]) for s, v in candidates.items()} for i in chosen)
    return Remedy(points, float(found[best]))


def pair_sds(
    posterior: Posterior, along: Floats, candidates: Mapping[str, Floats], seed: int = 0
) -> Floats:
    """Return the sd of a quantity after each pair of candidates, shape (candidates, candidates)."""
    y = np.log(mean_loss(posterior, candidates, seed))
    scatter = new_run_scatter(posterior, candidates, 0.0, np.random.default_rng([seed, 1]))
    joint = LinearGaussian.of(along, y, robust_variance(scatter))
    return np.sqrt([joint.after_each([i]) for i in range(y.shape[1])])


def robust_variance(scatter: Floats) -> Floats:
    """Return the variance of the scatter of runs from draws of it, shape (draws, runs).

    Of quartiles, which outliers do not move: a Student-t fit makes light of them, too.
    """
    quartiles = np.ptp(np.quantile(scatter, [0.25, 0.75], axis=0), axis=0)
    return np.asarray((quartiles / QUARTILE_WIDTH) ** 2)


def candidate_runs(runs: Runs, inputs: tuple[str, ...]) -> dict[str, Floats]:
    """Return round sizes and D/N within and around those of the runs, up to 100 times their compute.

    Of laws of N and D, and of one variable; of others, none.
    """
    if set(inputs) == {"N", "D"}:
        sizes = _around(runs.N, DIGITS, AROUND)
        ratios = _around(runs.D / runs.N, RATIO_DIGITS, AROUND)
        N, M = (grid.ravel() for grid in np.meshgrid(sizes, ratios))
        found = {"N": N, "D": N * M}
    elif len(inputs) == 1:
        found = {inputs[0]: _around(runs[inputs[0]], DIGITS, COSTS[-1])}
    else:
        return {}
    if "D" in found:
        near = (found["D"] >= runs.D.min() / AROUND) & (found["D"] <= runs.D.max() * AROUND)
        found = {s: values[near] for s, values in found.items()}
    limit = np.log10(COSTS[-1]) + log_compute({s: runs[s] for s in inputs}).max()
    keep = log_compute(found) <= limit + 1e-9
    return {s: values[keep] for s, values in found.items()}


def round_numbers(low: float, high: float, digits: tuple[float, ...]) -> Floats:
    """Return the numbers from `low` to `high` that are one of some digits and zeros."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    grid = np.sort(np.outer(powers, digits).ravel())
    return grid[(grid >= low * (1 - 1e-9)) & (grid <= high * (1 + 1e-9))]


def _around(values: Floats, digits: tuple[float, ...], factor: float) -> Floats:
    """Round numbers within a factor of the range of some values."""
    return round_numbers(values.min() / factor, values.max() * factor, digits)
