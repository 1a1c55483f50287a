"""Samplers without JAX: PyMC with nutpie in two parametrisations, PyStan, plain NumPy."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import decision
import numpy as np
from decision import numbers_of
from samplers_jax import CHAINS, DRAWS, Draws, Fit
from scipy.special import gammaln

from bayescale import Runs

STEPS, ADAPTATION = 20_000, 5_000  # of a chain of the plain sampler


def with_nutpie(runs: Runs) -> Fit:
    """The library's priors and coordinates in PyMC."""
    import nutpie
    import pymc as pm

    data = numbers_of(runs)
    low, high = decision.BOUNDS
    with pm.Model() as model:
        shared = decision.Numbers(*(pm.Data(n, v) for n, v in data._asdict().items()))
        c = {
            "L_opt": pm.LogNormal("L_opt", pm.math.log(shared.low_loss), 0.15),
            "share_E": pm.Beta("share_E", 4, 1.7),
            "M_opt": pm.LogNormal("M_opt", np.log(15), 0.9),
        }
        for name, median, sd in (("alpha", 0.30, 0.40), ("beta", 0.36, 0.50)):
            log = pm.TruncatedNormal(f"log_{name}", np.log(median), sd, lower=low, upper=high)
            c[name] = pm.Deterministic(name, pm.math.exp(log))
        sigma = pm.LogNormal("sigma", np.log(0.006), 0.8)
        nu = pm.Deterministic("nu", 2 + pm.Gamma("excess", 2, 0.1))
        mean = pm.math.log(decision.loss(c, shared, pm.math))
        pm.StudentT("losses", nu=nu, mu=mean, sigma=sigma, observed=shared.y)
    compiled = nutpie.compile_pymc_model(model)

    def fit(runs: Runs, seed: int) -> Draws:
        data = numbers_of(runs)
        draws = _nutpie(compiled.with_data(**data._asdict()), seed)
        return decision.natural({name: draws[name] for name in decision.COORDINATES}, data)

    return fit


def with_nutpie_natural(runs: Runs) -> Fit:
    """The paper's parameters with weak priors, as in `stan_child.PROGRAM`."""
    import nutpie
    import pymc as pm

    def values(runs: Runs) -> dict[str, np.ndarray]:
        return {"logN": np.log(runs.N), "logD": np.log(runs.D), "y": np.log(runs.loss)}

    with pm.Model() as model:
        log_n, log_d, y = (pm.Data(name, value) for name, value in values(runs).items())
        e = pm.TruncatedNormal("E", 2, 1, lower=0)
        log_a, log_b = pm.Normal("logA", 6, 3), pm.Normal("logB", 6, 3)
        alpha = pm.TruncatedNormal("alpha", 0.35, 0.2, lower=0)
        beta = pm.TruncatedNormal("beta", 0.35, 0.2, lower=0)
        sigma, nu = pm.HalfNormal("sigma", 0.1), pm.Gamma("nu", 2, 0.1)
        loss = e + pm.math.exp(log_a - alpha * log_n) + pm.math.exp(log_b - beta * log_d)
        pm.StudentT("losses", nu=nu, mu=pm.math.log(loss), sigma=sigma, observed=y)
    compiled = nutpie.compile_pymc_model(model)

    def fit(runs: Runs, seed: int) -> Draws:
        return _paper_names(_nutpie(compiled.with_data(**values(runs)), seed))

    return fit


def _nutpie(compiled, seed: int) -> Draws:
    import nutpie

    trace = nutpie.sample(compiled, draws=DRAWS, chains=CHAINS, seed=seed, progress_bar=False)
    return {name: value.values for name, value in trace.posterior.items()}


def _paper_names(draws: Draws) -> Draws:
    """Ranks are what effective sizes are made of, so log A does for A."""
    renamed = {"A": "logA", "B": "logB"}
    return {name: draws[renamed.get(name, name)] for name in decision.PARAMETERS}


def with_stan(runs: Runs, python: str) -> Fit:
    """PyStan in a process of its own, because it may want another Python."""
    child = subprocess.Popen(
        [python, Path(__file__).with_name("stan_child.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip

    def ask(runs: Runs, **more) -> None:
        columns = {"logN": np.log(runs.N), "logD": np.log(runs.D), "y": np.log(runs.loss)}
        data = {name: column.tolist() for name, column in columns.items()}
        child.stdin.write(json.dumps({"data": {"n": len(runs), **data}, **more}) + "\n")
        child.stdin.flush()
        answer = json.loads(child.stdout.readline() or '{"error": "its process died"}')
        if answer.get("missing"):
            raise ModuleNotFoundError("stan")
        if "error" in answer:
            raise RuntimeError(answer["error"])

    ask(runs)  # compiles the program, which is then found again

    def fit(runs: Runs, seed: int) -> Draws:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder, "draws.npz"))
            ask(runs, seed=seed, out=out, chains=CHAINS, draws=DRAWS)
            with np.load(out) as draws:
                return _paper_names(dict(draws))

    return fit


def with_numpy(runs: Runs) -> Fit:
    """Adaptive Metropolis (Haario et al. 2001), four chains as one array, nothing to compile."""

    def fit(runs: Runs, seed: int) -> Draws:
        data, generator = numbers_of(runs), np.random.default_rng(seed)
        u = np.log([data.low_loss, 2.3, 15, 1.8, 1.3, 0.006, 18])[:, None]
        u = u + 0.1 * generator.standard_normal((7, CHAINS))
        density = decision.log_density(u, data, np, gammaln)
        kept = np.empty((7, ADAPTATION + STEPS, CHAINS))
        root, size, accepted = 0.01 * np.eye(7), 1.0, 0
        for step in range(ADAPTATION + STEPS):
            proposal = u + size * (root @ generator.standard_normal((7, CHAINS)))
            there = decision.log_density(proposal, data, np, gammaln)
            taken = np.log(generator.uniform(size=CHAINS)) < there - density
            u, density = np.where(taken, proposal, u), np.where(taken, there, density)
            kept[:, step] = u
            accepted += taken.sum()
            if step < ADAPTATION and step % 250 == 249:
                if step > 1000:
                    recent = kept[:, step // 2 : step + 1].reshape(7, -1)
                    root = np.linalg.cholesky(2.38**2 / 7 * np.cov(recent) + 1e-10 * np.eye(7))
                size *= np.exp(accepted / (250 * CHAINS) - 0.25)
                accepted = 0
        draws = np.moveaxis(kept[:, ADAPTATION:], 2, 1)  # to (7, chains, steps)
        return decision.natural(decision.constrain(draws, np), data)

    return fit
