"""Effective draws a second of one warm fit, and posteriors a second of batches, beside the peers.

    python -m pip install -e ".[benchmarks]" && python benchmarks/engine/run.py RUNS.csv

RUNS is a table of runs with N, D and loss; the 240 runs of Besiroglu et al. are the usual one. Every
figure of a table comes from one run on one machine. Data sets of a batch are bootstrap samples of the
runs (weights), so that each has their size.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import bayescale
from bayescale import Runs
from bayescale.convergence import ess_bulk
from bayescale.inference.batch import BatchSettings
from bayescale.model import data_of, model_spec, reference_of
from bayescale.sweep.quantities import Targets
from bayescale.sweep.sources import Prepared
from bayescale.sweep.work import Job, run_chunk

REPEATS = 5


def least_ess(draws):
    """Smallest bulk effective sample size of draws of shape (chains, draws)."""
    return min(ess_bulk(np.asarray(d, float)) for d in draws.values())


def bayescale_single(runs):
    bayescale.fit(runs, seed=99)
    for seed in range(REPEATS):
        started = time.perf_counter()
        fit = bayescale.fit(runs, seed=seed)
        seconds = time.perf_counter() - started
        yield least_ess(fit.coordinates), seconds


def pymc_nutpie(runs):
    """The same priors and scatter in PyMC, sampled by nutpie; compiled before the clock starts."""
    import nutpie
    import pymc as pm

    reference = reference_of(runs, ("N", "D"))
    product = reference["N"] * reference["D"]
    with pm.Model() as model:
        best = pm.LogNormal("L_opt", np.log(reference["low_loss"]), 0.15)
        share = pm.Beta("share_E", 4, 1.7)
        ratio = pm.LogNormal("M_opt", np.log(15), 0.9)
        low, high = np.log(0.05), np.log(1.2)
        log_alpha = pm.TruncatedNormal("log_alpha", np.log(0.30), 0.40, lower=low, upper=high)
        log_beta = pm.TruncatedNormal("log_beta", np.log(0.36), 0.50, lower=low, upper=high)
        sigma = pm.LogNormal("sigma", np.log(0.006), 0.8)
        excess = pm.Gamma("excess", 2, 0.1)
        alpha, beta = pm.math.exp(log_alpha), pm.math.exp(log_beta)
        a = beta / (alpha + beta)
        n, d = pm.math.sqrt(product / ratio), pm.math.sqrt(product * ratio)
        terms = a * (runs.N / n) ** -alpha + (1 - a) * (runs.D / d) ** -beta
        mean = pm.math.log(best * share + best * (1 - share) * terms)
        pm.StudentT("y", nu=2 + excess, mu=mean, sigma=sigma, observed=np.log(runs.loss))
    compiled = nutpie.compile_pymc_model(model)
    names = ["L_opt", "share_E", "M_opt", "log_alpha", "log_beta", "sigma", "excess"]
    for seed in range(REPEATS):
        started = time.perf_counter()
        trace = nutpie.sample(compiled, draws=1000, chains=4, seed=seed, progress_bar=False)
        seconds = time.perf_counter() - started
        yield least_ess({name: trace.posterior[name].values for name in names}), seconds


def numpyro_mcmc(runs):
    """The same model in plain NumPyro, by MCMC.run, as its documentation does it."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS, init_to_median

    reference = reference_of(runs, ("N", "D"))
    product = reference["N"] * reference["D"]

    def model(N, D, y):
        best = numpyro.sample("L_opt", dist.LogNormal(jnp.log(reference["low_loss"]), 0.15))
        share = numpyro.sample("share_E", dist.Beta(4, 1.7))
        ratio = numpyro.sample("M_opt", dist.LogNormal(jnp.log(15.0), 0.9))
        low, high = jnp.log(0.05), jnp.log(1.2)
        alpha = jnp.exp(
            numpyro.sample("log_alpha", dist.TruncatedNormal(jnp.log(0.3), 0.4, low=low, high=high))
        )
        beta = jnp.exp(
            numpyro.sample("log_beta", dist.TruncatedNormal(jnp.log(0.36), 0.5, low=low, high=high))
        )
        sigma = numpyro.sample("sigma", dist.LogNormal(jnp.log(0.006), 0.8))
        excess = numpyro.sample("excess", dist.Gamma(2, 0.1))
        a = beta / (alpha + beta)
        n, d = jnp.sqrt(product / ratio), jnp.sqrt(product * ratio)
        terms = a * (N / n) ** -alpha + (1 - a) * (D / d) ** -beta
        mean = jnp.log(best * share + best * (1 - share) * terms)
        numpyro.sample("y", dist.StudentT(2 + excess, mean, sigma), obs=y)

    with jax.enable_x64(True):
        for seed in range(2):
            started = time.perf_counter()
            mcmc = MCMC(
                NUTS(model, dense_mass=True, init_strategy=init_to_median),
                num_warmup=500, num_samples=1000, num_chains=4,
                chain_method="vectorized", progress_bar=False,
            )  # fmt: skip
            mcmc.run(jax.random.key(seed), runs.N, runs.D, np.log(runs.loss))
            draws = mcmc.get_samples(group_by_chain=True)
            draws = {name: np.asarray(value) for name, value in draws.items()}
            yield least_ess(draws), time.perf_counter() - started


def batch(runs, method, count):
    """Posteriors a second, least ESS, and the share of sets whose status is ok."""
    spec, base = model_spec(*_law_and_noise()), data_of(runs, ("N", "D"))
    generator = np.random.default_rng(0)
    sets = 64 if method != "nuts" else 32
    job = Job(spec, BatchSettings(method=method, sets=sets), Targets())

    def sample(i):
        weight = np.zeros_like(base.weight)
        picked = generator.integers(0, len(runs), len(runs))
        weight[: len(runs)] = np.bincount(picked, minlength=len(runs))
        return Prepared(base._replace(weight=weight), len(runs))

    names, prepared = [f"bootstrap {i}" for i in range(count)], [sample(i) for i in range(count)]

    def work(start):
        rows = slice(start, start + sets)
        values = [(name,) for name in names[rows]]
        return run_chunk(job, ("set",), names[rows], values, prepared[rows])

    work(0)
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(work, range(0, count, sets)))
    seconds = time.perf_counter() - started
    ess = np.concatenate([r.columns["ess"] for r in results])
    ok = np.mean([s == "ok" for r in results for s in r.columns["status"]])
    return count / seconds, float(np.median(ess)), float(np.mean(ess >= 400)), float(ok)


def _law_and_noise():
    from bayescale.laws import get_law
    from bayescale.noise import get_noise

    return get_law("chinchilla"), get_noise("student-t")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs")
    parser.add_argument("--where")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = Runs.read(options.runs, where=options.where)
    print(f"{len(runs)} runs, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}\n")
    print("| single fit, warm, 4 x 1,000 draws | least bulk ESS | seconds | ESS a second |")
    print("|---|---|---|---|")
    peers = {
        "bayescale": bayescale_single,
        "PyMC + nutpie (compile not counted)": pymc_nutpie,
        "NumPyro MCMC.run": numpyro_mcmc,
    }
    for name, peer in peers.items():
        try:
            found = np.array(list(peer(runs)))
        except ImportError as error:
            print(f"| {name} | not installed: {error.name} | | |")
            continue
        ess, seconds = np.median(found, axis=0)
        rate = np.median(found[:, 0] / found[:, 1])
        print(f"| {name} | {ess:.0f} | {seconds:.3f} | {rate:.0f} |", flush=True)
    print("\n| batch | posteriors a second | median ESS | ESS of 400 or more | status ok |")
    print("|---|---|---|---|---|")
    for method, count in (("laplace-is", 2048), ("nuts", 256), ("auto", 2048)):
        rate, ess, enough, ok = batch(runs, method, count)
        print(f"| {method} | {rate:.0f} | {ess:.0f} | {enough:.1%} | {ok:.1%} |", flush=True)


if __name__ == "__main__":
    main()
