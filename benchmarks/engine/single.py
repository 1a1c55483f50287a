"""One data set, warm: effective draws a second of each sampler, by the least informed parameter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import samplers_other
from data import shaken
from report import Context, figure, table, why
from samplers_jax import Fit, with_bayescale, with_blackjax, with_jitted_numpyro, with_numpyro

from bayescale import Runs
from bayescale.convergence import statistics

REPEATS = 7


@dataclass(frozen=True)
class Sampler:
    """A row: its name, its function (see `samplers_jax`), how often it is timed at most."""

    name: str
    make: Callable[[Runs], Fit]
    most: int = REPEATS
    in_quick: bool = True


def samplers(context: Context) -> list[Sampler]:
    stan = partial(samplers_other.with_stan, python=context.stan_python)
    return [
        Sampler("bayescale", with_bayescale),
        Sampler("PyMC + nutpie, decision coordinates", samplers_other.with_nutpie),
        Sampler(
            "PyMC + nutpie, E, A, B, alpha, beta",
            samplers_other.with_nutpie_natural,
            3,
            in_quick=False,
        ),
        Sampler("PyStan, E, A, B, alpha, beta", stan, 1, in_quick=False),
        Sampler("NumPyro MCMC.run, decision coordinates", with_numpyro, 1, in_quick=False),
        Sampler("NumPyro in jax.jit, decision coordinates", with_jitted_numpyro, 3, in_quick=False),
        Sampler("BlackJAX in jax.jit, decision coordinates", with_blackjax, 3, in_quick=False),
        Sampler("plain NumPy Metropolis, decision coordinates", samplers_other.with_numpy, 2),
    ]


def measure(sampler: Sampler, runs: Runs, repeats: int) -> list[float]:
    """Least bulk ESS, seconds, ESS a second, worst R-hat, mean and sd of alpha.

    Medians over new data of the same size.
    """
    fit = sampler.make(runs)
    if sampler.most > 1:
        fit(runs, 99)  # compiles; `most` of 1 is for what has compiled or does so every time
    found = []
    for seed in range(1, min(repeats, sampler.most) + 1):
        data = shaken(runs, seed)
        started = time.perf_counter()
        draws = fit(data, seed)
        seconds = time.perf_counter() - started
        rhat, ess, _ = statistics(np.stack(list(draws.values())))
        alpha, least = draws["alpha"], ess.min()
        found.append((least, seconds, least / seconds, rhat.max(), alpha.mean(), alpha.std()))
    return np.median(found, axis=0).tolist()


def rows(context: Context) -> Iterator[list[str]]:
    repeats = 1 if context.quick else REPEATS
    ours = None
    for sampler in samplers(context):
        if context.quick and not sampler.in_quick:
            yield [sampler.name, "left out of a quick run"]
            continue
        try:
            ess, seconds, rate, rhat, alpha, sd = measure(sampler, context.runs, repeats)
        except Exception as error:
            yield [sampler.name, why(error)]
            continue
        ours = ours or rate
        checks = f"{alpha:.3f} ± {sd:.3f}", f"{rhat:.3f}"
        pace = figure(ess), figure(seconds), figure(rate), figure(ours / rate)
        yield [sampler.name, *checks, *pace]


def lines(context: Context) -> Iterator[str]:
    yield f"### One data set of {len(context.runs)} runs, warm: 4 chains of 1,000 draws\n"
    columns = ["", "alpha", "worst R-hat", "least bulk ESS", "seconds", "ESS a second"]
    yield from table([*columns, "bayescale's over this"], rows(context))
