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
from truths import TRUTHS, Truth, studies

from bayescale.calibration.quantities import drawn, names, rank
from bayescale.calibration.replicates import SETS
from bayescale.drift import DampedTrend
from bayescale.inference.batch import BatchSettings, fit_chunk
from bayescale.laws import get_law
from bayescale.model import ModelSpec, data_of, model_spec
from bayescale.noise import get_noise
from bayescale.sweep.work import judge

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import renew, renew_rows

README = Path(__file__).with_name("README.md")
LEVELS = (0.5, 0.8, 0.9, 0.95)
OWN = ("alpha", "E", "N_opt", "loss_10x", "loss_100x")
FAR = ("loss_10x", "loss_100x")
HEADS = {
    "alpha": "alpha", "E": "E", "N_opt": "optimal N, 10 x", "loss_10x": "loss, 10 x",
    "loss_100x": "loss, 100 x",
}  # fmt: skip


def places(spec: ModelSpec, made, answers, seed: int) -> dict[str, np.ndarray]:
    """Where the truths stand in the posteriors, in prior mass below; NaN where the sampling failed."""
    found = {name: np.full(len(made), np.nan) for name in names(spec)}
    settings = BatchSettings(seed=seed, sets=SETS)
    for start in range(0, len(made), SETS):
        some = made[start : start + SETS]
        data = [data_of(study.runs, spec.law.inputs, spec.drift, spec.effects) for study in some]
        called = [f"study {start + i}" for i in range(len(some))]
        fits = fit_chunk(spec, settings, called, data)
        streams = [np.random.default_rng([seed, 2, start + i]) for i in range(len(some))]
        vectors = [fit.u if fit.found else np.zeros((1, len(spec.coordinates))) for fit in fits]
        values = drawn(spec, SETS, data, vectors, answers, streams)
        for i, study in enumerate(some):
            if any(v.severity == "failed" for v in judge(fits[i], values[i])):
                continue
            truth = np.array([study.truth.get(name, np.nan) for name in names(spec)])
            for name, r in zip(
                names(spec), rank(truth, values[i], fits[i], streams[i]), strict=True
            ):
                if name in study.truth:
                    found[name][start + i] = r
    return found


def own(truth: Truth, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Ranks under the model of the parameters, as `bayescale.fit` has it by default."""
    made, answers = studies(truth, count, seed)
    options = {"law": "chinchilla", "noise": "student-t", "drift": None, **truth.options}
    spec = model_spec(
        get_law(options["law"]),
        get_noise(options["noise"]),
        drift=options["drift"],
        effects=options.get("effects"),
    )
    return places(spec, made, answers, seed)


def forecast(truth: Truth, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Ranks of losses under the default forecast: half of the draws from the law, half from a wider one."""
    made, answers = studies(truth, count, seed)
    noise = get_noise("student-t-trend")
    laws = (get_law("chinchilla"), get_law("chinchilla").wider)
    each = [
        places(
            model_spec(law, noise, drift=DampedTrend(), effects=truth.options.get("effects")),
            made,
            answers,
            seed,
        )
        for law in laws
    ]
    return {name: np.mean([ranks[name] for ranks in each], axis=0) for name in FAR}


def coverage(ranks: np.ndarray) -> dict[float, float]:
    kept = ranks[np.isfinite(ranks)]
    return {level: float(np.mean(np.abs(kept - 0.5) < level / 2)) for level in LEVELS}


def table(found: dict[str, list[tuple[str, np.ndarray]]], cell) -> list[str]:
    heads = [name for name, _ in next(iter(found.values()))]
    lines = ["| truth | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, columns in found.items():
        cells = [cell(r) if np.isfinite(r).any() else "" for _, r in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


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
    found, dropped = {}, []
    for name, truth in chosen.items():
        started = time.perf_counter()
        mine = own(truth, options.studies)
        columns = [(HEADS[q], mine[q]) for q in OWN]
        lost = int(np.isnan(mine["E"]).sum())
        if options.forecasts:
            far = forecast(truth, options.forecasts)
            columns += [(f"forecast, {HEADS[q].split(', ')[1]}", far[q]) for q in FAR]
            dropped.append((name, lost, int(np.isnan(far[FAR[0]]).sum())))
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
    lost = ", ".join(f"{name} {a} and {b}" for name, a, b in dropped if a or b) or "none"
    short = table(found, lambda r: f"{coverage(r)[0.9]:.3f}")
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
        "",
        f"Studies left out because the sampling failed (law, forecast): {lost}.",
    ]
    print("\n".join(block))
    if options.write:
        if options.truths:
            renew_rows(README, [short[2:], long[2:]], TRUTHS)
        else:
            renew(README, "\n".join(block))


def every_level(ranks: np.ndarray) -> str:
    return " / ".join(f"{100 * share:.0f}" for share in coverage(ranks).values())


if __name__ == "__main__":
    main()
