"""Coverage of intervals where the truth is known, the model's assumptions kept and broken.

    python benchmarks/calibration/run.py --write

A column of the tables is a quantity; "forecast" is what `bayescale.predict` gives without options, "law"
what it gives with ``drift="none"``, without the scatter of a new run.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from fitted import chunks, coverage, every_level, model_of, table
from truths import TRUTHS, Truth, studies

from bayescale.calibration.quantities import drawn, names, rank
from bayescale.calibration.replicates import SETS
from bayescale.drift import DampedTrend
from bayescale.fitting import forecast_priors
from bayescale.model import ModelSpec, model_spec
from bayescale.noise import get_noise
from bayescale.sweep.work import judge

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import renew, renew_rows

README = Path(__file__).with_name("README.md")
OWN = ("alpha", "E", "N_opt", "loss_10x", "loss_100x")
FAR = ("loss_10x", "loss_100x")
LEFT_OUT = "left out (law, forecast)"  # because the sampling failed
HEADS = {
    "alpha": "alpha", "E": "E", "N_opt": "optimal N, 10 x", "loss_10x": "loss, 10 x",
    "loss_100x": "loss, 100 x",
}  # fmt: skip


def places(spec: ModelSpec, made, answers, seed: int) -> dict[str, np.ndarray]:
    """Where the truths stand in the posteriors, in prior mass below; NaN where the sampling failed."""
    found = {name: np.full(len(made), np.nan) for name in names(spec)}
    for start, data, fits in chunks(spec, made, seed):
        streams = [np.random.default_rng([seed, 2, start + i]) for i in range(len(fits))]
        vectors = [fit.u if fit.found else np.zeros((1, len(spec.coordinates))) for fit in fits]
        values = drawn(spec, SETS, data, vectors, answers, streams)
        for i, fit in enumerate(fits):
            if any(v.severity == "failed" for v in judge(fit, values[i])):
                continue
            known = made[start + i].truth
            truth = np.array([known.get(name, np.nan) for name in names(spec)])
            ranks = rank(truth, values[i], fit, streams[i])
            for name, r in zip(names(spec), ranks, strict=True):
                if name in known:
                    found[name][start + i] = r
    return found


def own(truth: Truth, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Ranks under the model of the parameters, as `bayescale.fit` has it by default."""
    made, answers = studies(truth, count, seed)
    return places(model_of(truth), made, answers, seed)


def forecast(truth: Truth, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Ranks of losses under the default forecast: half from the law, half from a wider one if it has one."""
    made, answers = studies(truth, count, seed)
    noise, own = get_noise("student-t-trend"), model_of(truth)
    laws = (own.law,) if own.law.wider is None else (own.law, own.law.wider)
    models = [
        model_spec(law, noise, forecast_priors(own, law, noise), DampedTrend(), own.effects)
        for law in laws
    ]
    each = [places(model, made, answers, seed) for model in models]
    return {name: np.mean([ranks[name] for ranks in each], axis=0) for name in FAR}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000, help="for the law (%(default)s)")
    parser.add_argument("--forecasts", type=int, default=200, help="for the default (%(default)s)")
    parser.add_argument("--truths", help="names, with commas between them")
    parser.add_argument(
        "--write",
        action="store_true",
        help="renew the tables of README.md, or the rows of --truths",
    )
    options = parser.parse_args()
    chosen = TRUTHS
    if options.truths:
        chosen = {name: TRUTHS[name] for name in options.truths.split(",")}
    found, dropped = {}, {}
    for name, truth in chosen.items():
        started = time.perf_counter()
        mine = own(truth, options.studies)
        columns = [(HEADS[q], mine[q]) for q in OWN]
        lost = int(np.isnan(mine["E"]).sum())
        if options.forecasts:
            far = forecast(truth, options.forecasts)
            columns += [(f"forecast, {HEADS[q].split(', ')[1]}", far[q]) for q in FAR]
            lost = f"{lost} and {int(np.isnan(far[FAR[0]]).sum())}"
        dropped[name] = str(lost)
        found[name] = columns
        print(f"{name}: {time.perf_counter() - started:.0f} s, {lost} dropped", flush=True)
        print("\n".join(table({name: columns}, every_level)), flush=True)
    head = (
        f"{options.studies:,} studies of each truth, {options.forecasts:,} for forecasts; "
        f"{time.strftime('%Y-%m-%d')}. Standard errors at 0.9: "
        f"{np.sqrt(0.09 / options.studies):.3f}"
        + (
            f", {np.sqrt(0.09 / options.forecasts):.3f} for forecasts."
            if options.forecasts
            else "."
        )
    )
    short = table(found, lambda r: f"{coverage(r)[0.9]:.3f}")
    ends = [LEFT_OUT, "---", *dropped.values()]
    short = [f"{line} {end} |" for line, end in zip(short, ends, strict=True)]
    long = table(found, every_level)
    block = [
        head,
        "",
        "Coverage of 90% intervals:",
        "",
        *short,
        "",
        "Coverage of 50, 80, 90 and 95% intervals, in percent:",
        "",
        *long,
    ]
    print("\n".join(block))
    if options.write:
        if options.truths:
            renew_rows(README, [short[2:], long[2:]], TRUTHS)
        else:
            renew(README, "\n".join(block))


if __name__ == "__main__":
    main()
