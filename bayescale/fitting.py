"""Fit a law to runs: checks, mode, whitening, sampling, and a posterior that knows its history.

The one module that calls `bayescale.inference`; everything after it works on posteriors.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from bayescale.datasets import is_dataset, load_dataset
from bayescale.errors import FailedFitError, InputError, Problem
from bayescale.inference.geometry import Whitening
from bayescale.inference.mode import find_mode
from bayescale.inference.nuts import Sampler, sample
from bayescale.inference.programs import programs
from bayescale.laws import Law, get_law
from bayescale.model import Data, ModelSpec, data_of, model_spec
from bayescale.noise import Noise, get_noise
from bayescale.posterior import Posterior
from bayescale.priors import Prior
from bayescale.runs import Runs, check_design

TARGET_ACCEPT = (0.8, 0.95, 0.99)  # the next is tried while any transition diverges


def as_runs(runs: Any) -> Runs:
    """Return runs from `Runs`, the name of a data set, or anything that `Runs.read` reads."""
    if isinstance(runs, Runs):
        return runs
    if is_dataset(runs):
        return load_dataset(runs)
    return Runs.read(runs)


def fit(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    allow: Collection[str] = (),
    seed: int = 0,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 200,
) -> Posterior:
    r"""Sample the posterior of a scaling law given training runs.

    .. math:: p(\theta \mid \mathrm{runs}) \propto p(\theta) \prod_i
              p\!\left(\ln L_i \mid \ln L_\theta(x_i), \sigma, \nu\right)

    A multi-start search finds the mode in unbounded coordinates, the Laplace approximation there
    whitens the space, and NumPyro's NUTS samples in it, in 64 bits. The coordinates are those that
    people have beliefs about (loss at the optimum, tokens per parameter there), and the law's own
    parameters follow from them.

    Parameters
    ----------
    runs
        `Runs`, the path of a table, a data frame, a dict of columns, or the name of a data set.
    law
        Name of a law (see ``bayescale.laws.LAWS``), ``"module:Class"``, or the class.
    noise
        ``"student-t"``, ``"gaussian"`` or ``"laplace"``: scatter of log loss about the law.
    x
        For a law of one variable, the column that it is a law of: ``"N"``, ``"D"``, ``"C"``, ``"U"``.
    priors
        Coordinate name to prior, in place of the law's own.
    allow
        Names of design checks to lift; recorded in the result.
    seed
        Seed; the same seed on the same device and versions gives the same draws.
    chains, draws, warmup
        Number of chains, draws kept and warm-up draws dropped in each.

    Returns
    -------
    Posterior
        Draws with axes (chains, draws), sampler statistics, runs and provenance.

    Raises
    ------
    InputError
        The runs, the law, the noise or a prior cannot be used.
    DesignError
        The runs cannot inform the law.
    FailedFitError
        No mode was found from any start.

    Examples
    --------
    >>> posterior = fit("byte-sweep", draws=200)  # doctest: +SKIP
    >>> posterior.law.alpha.shape  # doctest: +SKIP
    (4, 200)
    """
    started = time.perf_counter()
    law, noise = get_law(law), get_noise(noise)
    spec = model_spec(law, noise, priors)
    runs = as_runs(runs)
    if x is not None:
        runs = runs.with_x(x)
    runs = _with_only_input(runs, law)
    for symbol in law.inputs:
        runs[symbol]  # raises, naming the missing column
    lifted = check_design(runs, law.inputs, len(law.parameters()), law.name, allow)
    sampler = _checked(Sampler(chains, draws, warmup))
    data = data_of(runs, law.inputs)
    with jax.enable_x64(True):
        out, sampling = _sample(spec, sampler, data, seed)
    stats = out["stats"]
    stats["reached_max_treedepth"] = stats["num_steps"] >= 2**sampler.max_tree_depth - 1
    provenance = {
        "bayescale": version("bayescale"),
        **{package: version(package) for package in ("jax", "jaxlib", "numpyro", "numpy")},
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "precision": 64,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "chains": chains,
        "draws": draws,
        "warmup": warmup,
        "target_accept": sampling["target_accept"],
        "max_tree_depth": sampler.max_tree_depth,
        "data_hash": runs.data_hash,
        "allowed": lifted,
        "seconds": {
            "total": time.perf_counter() - started,
            "sampling": sampling["seconds"],
        },
    }
    return Posterior(
        law=law(**out["law"]),
        noise=noise(**out["noise"]),
        coordinates=out["coordinates"],
        stats=stats,
        spec=spec,
        runs=runs,
        reference={name: float(value) for name, value in data.reference.items()},
        provenance=provenance,
    )


def _sample(
    spec: ModelSpec, sampler: Sampler, data: Data, seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, float]]:
    """Find the mode and sample; again with smaller steps while transitions diverge."""
    mode_key, sample_key = _key_data(seed, 2)
    size = len(spec.coordinates)
    find, draw = programs(
        (find_mode, (spec,), (mode_key, data)),
        (sample, (spec, sampler), (sample_key, data, _whitening_shape(size), np.float64(0.8))),
    )
    started = time.perf_counter()
    whitening, potentials = find(mode_key, data)
    if not np.isfinite(potentials).any():
        raise FailedFitError(
            "no start of the search reached a finite posterior density; check the runs for extreme "
            "values, and the priors for what they exclude"
        )
    best: dict[str, dict[str, np.ndarray]] = {}
    for target in TARGET_ACCEPT:
        out = jax.tree.map(np.array, draw(sample_key, data, whitening, np.float64(target)))
        if not best or out["stats"]["diverging"].sum() < best["stats"]["diverging"].sum():
            best, best_target = out, target
        if not best["stats"]["diverging"].any():
            break
    return best, {"seconds": time.perf_counter() - started, "target_accept": best_target}


def _key_data(seed: int, count: int) -> np.ndarray:
    """Data of independent Threefry keys, shape (count, 2)."""
    key = jax.random.key(seed, impl="threefry2x32")
    return np.asarray(jax.random.key_data(jax.random.split(key, count)))


def _whitening_shape(size: int) -> Whitening:
    """A whitening map of the right shape, to compile for."""
    return Whitening(np.zeros(size), np.eye(size))


def _checked(sampler: Sampler) -> Sampler:
    for name, least in (("chains", 1), ("draws", 4), ("warmup", 50)):
        value = getattr(sampler, name)
        if not (isinstance(value, int) and value >= least):
            raise InputError(Problem(name, f"it is {value!r}", remedy=f"give {least} or more"))
    return sampler


def _with_only_input(runs: Runs, law: type[Law]) -> Runs:
    """For a law of one variable, take x from the only input column that the table has."""
    if "x" not in law.inputs or "x" in runs.inputs:
        return runs
    columns = list(runs.inputs)
    if len(columns) == 1:
        return runs.with_x(columns[0])
    raise InputError(
        Problem("x", f"the law {law.name!r} has one variable and the runs have {', '.join(columns)}",
                remedy="choose with --x params, --x tokens or --x flops (x='N', 'D' or 'C'), or map a "
                "column with --columns x=COLUMN")
    )  # fmt: skip
