"""What each law costs: seconds of its compilation beside the Chinchilla law's, and how it samples."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ["BAYESCALE_CACHE"] = ""  # every compilation is made, none is read

import jax
import numpy as np

import bayescale
from bayescale.inference.engine import sample_request, search_request
from bayescale.inference.nuts import Sampler
from bayescale.laws import LAWS, Law, law_losses
from bayescale.model import ModelSpec, data_of, prior_draws
from bayescale.noise import Gaussian, StudentT

BENCHMARKS = Path(__file__).parents[1]
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent / "tests")]
from law_designs import reference, runs, scattered  # the points of the laws' tests
from pages import block, renew, renew_rows, table

README = Path(__file__).parent / "README.md"
RUNS, SIGMA, REPEATS = 100, 0.003, 2
HEADS = (
    "law", "parameters", "compile x chinchilla", "fit, seconds", "divergences", "least ESS", "attempts",
)  # fmt: skip


def typical(law: type[Law]) -> Any:
    """The law at the medians of its prior; fields of shape (1,)."""
    with jax.enable_x64(True):
        drawn = prior_draws(ModelSpec(law, Gaussian), reference(law), 2000, seed=3)
        middle = {c.name: np.median(drawn[c.name], keepdims=True) for c in law.coordinates}
        return jax.tree.map(np.asarray, law.from_coordinates(middle, reference(law)))


def simulated(law: type[Law]) -> bayescale.Runs:
    """Runs of the typical law."""
    points = scattered(law, RUNS)
    noise = SIGMA * np.random.default_rng(11).standard_normal(RUNS)
    return runs(law, points, law_losses(typical(law), points)[0] * np.exp(noise))


def compile_seconds(law: type[Law], table: bayescale.Runs) -> float:
    """Processor seconds to trace and compile what a fit needs."""
    spec = ModelSpec(law, StudentT)
    data = data_of(table, law.inputs, extremes=law.extremes)
    with jax.enable_x64(True):
        started = time.process_time()
        for function, static, arguments in (
            sample_request(spec, Sampler(1000, 200), data),
            search_request(spec, data),
        ):
            jax.jit(lambda *given, f=function, s=static: f(*s, *given)).lower(*arguments).compile()
        return time.process_time() - started


def row(law: type[Law], base: bayescale.Runs) -> list[str]:
    table = simulated(law)
    ratios = [
        compile_seconds(law, table) / compile_seconds(LAWS["chinchilla"], base)
        for _ in range(REPEATS)
    ]
    started = time.perf_counter()
    fit = bayescale.fit(table, law=law, drift="none", seed=0)
    seconds = time.perf_counter() - started
    found = fit.diagnostics
    return [
        f"`{law.name}`", str(len(law.parameters())), f"{np.mean(ratios):.1f}", f"{seconds:.1f}",
        str(found.divergences), f"{min(found.ess_bulk_min, found.ess_tail_min):.0f}",
        str(fit.provenance["attempts"]),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", default=",".join(LAWS), help="names (%(default)s)")
    parser.add_argument(
        "--write", action="store_true", help="renew the table of README.md, or its rows"
    )
    options = parser.parse_args()
    base = simulated(LAWS["chinchilla"])
    compile_seconds(LAWS["chinchilla"], base)
    rows = []
    for name in options.laws.split(","):
        rows.append(row(LAWS[name], base))
        print(*rows[-1], sep="  ", flush=True)
        jax.clear_caches()
    if options.write and block(README):
        renew_rows(README, [table(HEADS, rows)[2:]], [f"`{name}`" for name in LAWS])
    elif options.write:
        words = f"{RUNS} simulated runs, {datetime.now(UTC):%Y-%m-%d}"
        renew(README, "\n".join([words, "", *table(HEADS, rows)]))


if __name__ == "__main__":
    main()
