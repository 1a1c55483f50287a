"""How well a law foresees other runs like these: each run, or each group of runs, left out in turn."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayescale.errors import DesignError, FailedFitError
from bayescale.fitting import prepare
from bayescale.inference.batch import BatchSettings, fit_chunk
from bayescale.inference.batch_fit import BatchFit
from bayescale.model import Data, ModelSpec
from bayescale.posterior import Posterior
from bayescale.runs import Runs, check_design
from bayescale.runs.checks import repeated_run_ids
from bayescale.sweep.reweighted import Clusters, LeftOut

Floats = NDArray[np.float64]
SETS = 32  # fits of a chunk, however many groups there are, so that one program serves all
BLOCK = 1000  # draws to one call of the program
RUN, POINT = "run", "point"  # what may be left out besides a label or an input


@dataclass(frozen=True, eq=False)
class Elpd:
    """Expected log predictive density of the log losses of new runs like the fitted ones.

    Parameters
    ----------
    pointwise
        Log predictive density of each run or group when it is left out, summed within a group; shape
        (runs,) or (groups,).
    p
        Effective number of parameters; NaN where the law was fitted again.
    pareto_k
        Of each run, shape (runs,): from which the approximation is judged. Empty where the law was
        fitted again, so that there is no approximation.
    good_k
        The largest Pareto k that is reliable.
    """

    pointwise: Floats
    p: float
    pareto_k: Floats
    good_k: float

    @property
    def elpd(self) -> float:
        """Sum over all runs."""
        return float(self.pointwise.sum())

    @property
    def se(self) -> float:
        """Standard error of `elpd`, given that runs or groups are independent."""
        return standard_error(self.pointwise)

    @property
    def unreliable(self) -> int:
        """Number of runs whose Pareto k is too high."""
        return int(np.sum(self.pareto_k > self.good_k))


def standard_error(pointwise: Floats) -> float:
    """Standard error of a sum of independent terms."""
    return (
        float(np.sqrt(len(pointwise) * np.var(pointwise, ddof=1))) if len(pointwise) > 1 else np.nan
    )


def psis_loo(posterior: Posterior) -> Elpd:
    r"""Leave each run out in turn, by importance sampling from the posterior of all.

    .. math:: \mathrm{elpd} = \sum_i \ln p(\ln L_i \mid \mathrm{runs} \setminus i)

    The question it answers: how well would the law foresee another run like these? It says little of
    larger ones.

    References
    ----------
    Vehtari, Gelman, Gabry 2017, Practical Bayesian model evaluation using leave-one-out
    cross-validation and WAIC, Statistics and Computing 27, 1413-1432; by ArviZ.
    """
    from arviz_stats import loo

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a high Pareto k is marked in the result
        found = loo(posterior.to_arviz(), pointwise=True)
    return Elpd(
        pointwise=np.asarray(found.elpd_i, dtype=np.float64).ravel(),
        p=float(found.p),
        pareto_k=np.asarray(found.pareto_k, dtype=np.float64).ravel(),
        good_k=float(found.good_k),
    )


def dependence(runs: Runs, inputs: Collection[str]) -> str:
    """Why these runs are not independent given a law of these inputs; empty if nothing says so."""
    rows = repeated_run_ids(runs)
    if rows:
        return f"{len(rows)} {'run has' if len(rows) == 1 else 'runs have'} several rows"
    several = int(np.sum(np.bincount(_points(runs, inputs)) > 1))
    return f"{several} {'point has' if several == 1 else 'points have'} several runs" * bool(
        several
    )


def _points(runs: Runs, inputs: Collection[str]) -> NDArray[np.intp]:
    """Index of the point of each run, shape (runs,)."""
    columns = np.column_stack([runs[symbol] for symbol in inputs])
    return np.unique(columns, axis=0, return_inverse=True)[1].ravel()


def clusters_of(runs: Runs, leave_out: str, inputs: Collection[str]) -> Clusters:
    """Return what is left out together: ``"run"``, ``"point"``, or the name of a label or an input.

    Raises
    ------
    InputError
        The runs have no such label or input, or all share it.
    """
    if leave_out == RUN:
        return Clusters.of(runs, None)
    if leave_out == POINT:
        codes = _points(runs, inputs)
        return Clusters(tuple(f"point {i + 1}" for i in range(codes.max() + 1)), codes)
    return Clusters.of(runs, leave_out)


def leave_groups_out(
    runs: Any,
    law: Any,
    noise: Any,
    leave_out: str,
    inputs: Collection[str] = (),
    seed: int = 0,
    **options: Any,
) -> Elpd:
    r"""Leave each group of runs out in turn, and fit the law to the others.

    .. math:: \mathrm{elpd} = \sum_g \sum_{i \in g} \ln p(\ln L_i \mid \mathrm{runs} \setminus g)

    The question it answers: how well would the law foresee a run of another group like these? Its
    standard error counts groups, not rows.

    Parameters
    ----------
    runs, law, noise, seed
        As for `bayescale.fit`.
    leave_out
        What is left out together: ``"run"`` (each alone), ``"point"`` (runs at the same inputs), a
        label or an input.
    inputs
        The inputs that make a point; those of the law if there are none.
    **options
        Of `bayescale.fitting.prepare`: x, priors, drift, allow.

    Raises
    ------
    InputError
        The runs have no such groups.
    DesignError
        The runs without one of the groups do not inform the law.
    FailedFitError
        A fit without one of the groups found no mode.
    """
    spec, table, data, lifted = prepare(runs, law, noise, **options)
    clusters = clusters_of(table, leave_out, inputs or spec.law.inputs)
    every = LeftOut(clusters)
    kept = [every.of(i) > 0 for i in range(1, len(every.names))]
    for name, rows in zip(every.names[1:], kept, strict=True):
        _check(spec, table.take(rows), name, lifted)
    sets = -(-SETS // jax.device_count()) * jax.device_count()
    settings = BatchSettings(seed=seed, sets=sets)
    pointwise = []
    for start in range(0, len(kept), sets):
        some, names = kept[start : start + sets], every.names[1:][start : start + sets]
        fits = fit_chunk(spec, settings, names, [_weighted(data, rows) for rows in some])
        for name, rows, found in zip(names, some, fits, strict=True):
            if not found.found:
                raise FailedFitError(f"no mode was found {name}")
            pointwise.append(float(log_predictive(spec, found, _weighted(data, ~rows)).sum()))
    return Elpd(np.array(pointwise), np.nan, np.empty(0), np.nan)


def _check(spec: ModelSpec, rest: Runs, name: str, allow: Collection[str]) -> None:
    try:
        check_design(rest, spec.law.inputs, len(spec.law.parameters()), spec.law.name, allow)
    except DesignError as error:
        raise DesignError(f"{name}: {error}") from None


def _weighted(data: Data, rows: NDArray[np.bool_]) -> Data:
    weight = np.zeros_like(data.weight)
    weight[: len(rows)] = rows
    return data._replace(weight=weight)


def log_predictive(spec: ModelSpec, found: BatchFit, data: Data) -> Floats:
    """Log predictive densities of rows of weight 1: of each alone, or of all where rows share shifts."""
    u = np.concatenate([found.u, np.repeat(found.u[-1:], -len(found.u) % BLOCK, axis=0)])
    with jax.enable_x64(True):
        blocks = [
            np.asarray(_at_draws(spec, u[start : start + BLOCK], data))
            for start in range(0, len(u), BLOCK)
        ]
    density = np.concatenate(blocks)[: len(found.u)]
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp(density + np.log(found.weights)[:, None], axis=0))


def _densities(spec: ModelSpec, u: Any, data: Data) -> Any:
    def at(u: Any) -> Any:
        coordinates = spec.constrain(u, data.reference)
        if spec.effects is not None:
            return spec.log_likelihood(coordinates, data)[None]
        return data.weight * spec.log_densities(coordinates, data)

    return jax.vmap(at)(u)


_at_draws = jax.jit(_densities, static_argnums=0)
