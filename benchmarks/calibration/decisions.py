"""Coverage of decisions: the optimum of far budgets, and the compute that reaches a loss.

    python benchmarks/calibration/decisions.py --write

The budgets are 10 and 100 times the largest compute of the runs. The loss to reach is the true one at the
true optimum of such a budget, so that the budget is what its reaching takes.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from fitted import chunks, coverage, every_level, model_of, table
from truths import TRUTHS, Study, Truth, studies

from bayescale.allocation.splitting import Terms, best_splits, reaching
from bayescale.calibration.quantities import BEYOND, BUDGET, Answers, rank
from bayescale.inference.batch_fit import BatchFit
from bayescale.laws import Law, law_losses
from bayescale.model import Data, ModelSpec
from bayescale.sweep.work import judge

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import block, renew, renew_rows

README = Path(__file__).with_name("README.md")
TERMS = Terms()
HEADS = [f"{what}, {f:g} x" for what in ("optimal N", "compute to loss") for f in BEYOND]
DRAWS = 800  # of a posterior, at most
BLOCK = 20_000  # of them to one call, so that one program serves all chunks


def budgets_of(answers: Answers) -> np.ndarray:
    """FLOPs of the budgets, shape (2,)."""
    largest = answers.product / BUDGET
    return TERMS.flops_per_parameter_token * largest * np.array(BEYOND)


def targets_of(truth: Truth, study: Study, answers: Answers) -> np.ndarray:
    """The true losses at the true optima, drift included, shape (2,)."""
    law = jax.tree.map(np.atleast_1d, truth.law)
    drift = [study.truth[f"loss_{f:g}x"] for f in BEYOND] / law_losses(law, answers.points)[0]
    return best_splits(law, budgets_of(answers), TERMS).loss[0] * drift


def decided(law: Law, budgets: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """N of the best split of each budget, and the FLOPs to each target, (laws, 2); shape (laws, 4)."""
    N = best_splits(law, budgets, TERMS).N
    return np.concatenate([N, reaching(law, targets, TERMS)[2]], axis=1)


@partial(jax.jit, static_argnums=0)
def laws_at(spec: ModelSpec, u: Any, reference: Any) -> Law:
    """The laws of unbounded vectors, shape (laws, p), each with its own study's reference."""
    return jax.vmap(lambda v, r: spec.build(spec.constrain(v, r), r)[0])(u, reference)


def thinned(fit: BatchFit) -> BatchFit:
    """Some of the draws, evenly taken: a search for each of them would take long."""
    step = max(1, -(-len(fit.u) // DRAWS))
    weights = fit.weights[::step] / max(fit.weights[::step].sum(), 1e-300)
    effective = min(fit.ess, 1 / max((weights**2).sum(), 1e-300))
    return replace(fit, u=fit.u[::step], weights=weights, ess=effective)


def drawn(
    spec: ModelSpec, fits: list[BatchFit], data: list[Data], budgets: np.ndarray, targets: Any
) -> list[np.ndarray]:
    """The decisions of the draws of each posterior, shape (4, draws)."""
    counts = [len(fit.u) for fit in fits]
    study = np.repeat(np.arange(len(fits)), counts)
    u = np.concatenate([fit.u for fit in fits])
    filled = np.resize(np.arange(len(u)), -(-len(u) // BLOCK) * BLOCK)
    parts = []
    for rows in filled.reshape(-1, BLOCK):
        mine = study[rows]
        reference = {s: np.array([d.reference[s] for d in data])[mine] for s in data[0].reference}
        with jax.enable_x64(True):
            law = jax.tree.map(np.asarray, laws_at(spec, u[rows], reference))
        parts.append(decided(law, budgets, np.asarray(targets)[mine]))
    values = np.concatenate(parts)[: len(u)]
    return [part.T for part in np.split(values, np.cumsum(counts)[:-1])]


def places(truth: Truth, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Where the true decisions stand in the posteriors; NaN where the sampling failed."""
    made, answers = studies(truth, count, seed)
    spec, budgets = model_of(truth), budgets_of(answers)
    optima = best_splits(jax.tree.map(np.atleast_1d, truth.law), budgets, TERMS).N[0]
    known = np.concatenate([optima, budgets])
    ranks = np.full((count, len(HEADS)), np.nan)
    for start, data, fits in chunks(spec, made, seed):
        targets = [targets_of(truth, made[start + i], answers) for i in range(len(fits))]
        some = [thinned(fit) for fit in fits]
        for i, values in enumerate(drawn(spec, some, data, budgets, targets)):
            if any(v.severity == "failed" for v in judge(fits[i], fits[i].u)):
                continue
            stream = np.random.default_rng([seed, 3, start + i])
            ranks[start + i] = rank(known, values, some[i], stream)
    return dict(zip(HEADS, ranks.T, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000, help="of each truth (%(default)s)")
    parser.add_argument("--truths", help="names, with commas between them")
    parser.add_argument("--write", action="store_true", help="renew the tables, or their rows")
    options = parser.parse_args()
    chosen = options.truths.split(",") if options.truths else list(TRUTHS)
    found = {}
    for name in chosen:
        started = time.perf_counter()
        ranks = places(TRUTHS[name], options.studies)
        failed = int(np.isnan(ranks[HEADS[0]]).sum())
        found[name] = [*ranks.items(), ("failed", np.array([failed]))]
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
        print("\n".join(table({name: found[name]}, at_levels)), flush=True)
    tables = [table(found, cell) for cell in (at_90, at_levels)]
    if not options.write:
        return
    if options.truths and "| truth" in block(README, "decisions"):
        renew_rows(README, [rows[2:] for rows in tables], TRUTHS, name="decisions")
        return
    error = np.sqrt(0.09 / options.studies)
    head = f"{options.studies:,} studies of each truth; {time.strftime('%Y-%m-%d')}. "
    head += f"Standard error at 0.9: {error:.3f}"
    text = [head, "", "Coverage of 90% intervals:", "", *tables[0]]
    text += ["", "Coverage of 50, 80, 90 and 95% intervals, in percent:", "", *tables[1]]
    renew(README, "\n".join(text), "decisions")


def at_90(ranks: np.ndarray) -> str:
    return str(ranks[0]) if len(ranks) == 1 else f"{coverage(ranks)[0.9]:.3f}"


def at_levels(ranks: np.ndarray) -> str:
    return str(ranks[0]) if len(ranks) == 1 else every_level(ranks)


if __name__ == "__main__":
    main()
