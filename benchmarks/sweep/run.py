"""Run the sweep: `python run.py tune`, `python run.py train`, `python run.py table`.

Several workers may share one results folder: each claims a run by creating its lock file, and a
run that has a result is not trained again, so the sweep goes on where it stopped: start the first
worker with `--clear-locks`, which forgets the claims of workers that died.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import design
import jax
import numpy as np
import text

COLUMNS = [
    "params",
    "params_no_emb",
    "tokens",
    "flops",
    "loss",
    "seed",
    "split",
    "width",
    "layers",
    "learning_rate",
    "wall_seconds",
]


def read(results: Path, stage: str) -> list[dict]:
    """The finished runs of a stage."""
    return [json.loads(path.read_text()) for path in sorted(results.glob(f"{stage}-*.json"))]


def learning_rate_rule(results: Path) -> tuple[float, float, float]:
    """The rule that the finished search implies; prints what was best where."""
    finished = read(results, "tune")
    cells = []
    for shape, tokens in design.TUNED:
        runs = [r for r in finished if (r["width"], r["layers"]) == shape and r["asked"] == tokens]
        best = design.best_rate([r["learning_rate"] for r in runs], [r["loss"] for r in runs])
        print(f"N {shape.params:>8,}  D {tokens:>10,.0f}  best learning rate {best:.5f}")
        cells.append((shape.params, tokens, best))
    rule = design.fit_rule(cells)
    print("learning rate = exp({:.4f}) N^{:.4f} D^{:.4f}".format(*rule))
    return rule


def claim(lock: Path) -> bool:
    """Whether this worker is the first to want what the lock stands for."""
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def run_job(job: design.Job, results: Path, data: tuple) -> dict:
    """The record of a job, from its file or by training."""
    path = results / f"{job.name}.json"
    if path.exists():
        return json.loads(path.read_text())
    import train

    windows, held_out, description = data
    record = train.train(job.shape, job.tokens, job.learning_rate, job.seed, windows, held_out)
    record |= {"asked": job.tokens, "text": description}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record))
    os.replace(part, path)
    print(job.name, f"loss {record['loss']:.4f}, {record['wall_seconds']:.0f} s", flush=True)
    return record


def tune(results: Path) -> None:
    """Walk to the best learning rate of every cell that nobody has claimed."""
    data = text.load()
    for shape, tokens in design.TUNED:
        if not claim(results / f"tune-{shape.width}x{shape.layers}-{tokens:.0f}.lock"):
            continue
        losses: dict[int, float] = {}
        while (k := design.next_rate(shape, losses)) is not None:
            job = design.Job("tune", shape, tokens, 2.0**k, 0)
            losses[k] = run_job(job, results, data)["loss"]


def train_all(results: Path) -> None:
    """Train every run of the design that nobody has claimed."""
    jobs = design.main_jobs(learning_rate_rule(results))
    data = text.load()
    for job in jobs:
        if claim(results / f"{job.name}.lock"):
            run_job(job, results, data)


def table(results: Path, path: Path) -> None:
    """Write the table that the package ships."""
    rows = [
        run | {"split": stage, "flops": 6 * run["params"] * run["tokens"]}
        for stage in ("fit", "forecast")
        for run in read(results, stage)
    ]
    rows.sort(key=lambda row: (row["split"], row["params"], row["tokens"], row["seed"]))
    lines = [",".join(COLUMNS)]
    for row in rows:
        row["loss"], row["learning_rate"] = round(row["loss"], 5), round(row["learning_rate"], 6)
        lines.append(",".join(str(row[c]) for c in COLUMNS))
    path.write_text("\n".join(lines) + "\n")
    fit = np.array([[r["params"], r["tokens"], r["flops"]] for r in rows if r["split"] == "fit"])
    print(
        f"{len(rows)} runs in {path}; decades of N, D, C to fit:", np.log10(fit.max(0) / fit.min(0))
    )


def tuning_table(results: Path, path: Path) -> None:
    """Write the search for the learning rate: what every rate that was tried gave."""
    names = ["params", "tokens", "learning_rate", "loss", "seed"]
    runs = sorted(
        read(results, "tune"), key=lambda r: (r["params"], r["tokens"], r["learning_rate"])
    )
    lines = [",".join(names)]
    lines += [",".join(str(run[name]) for name in names) for run in runs]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["tune", "train", "table"])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--core", type=int, help="bind this worker to one core")
    parser.add_argument("--clear-locks", action="store_true")
    parser.add_argument("--to", type=Path, default=Path("byte_sweep.csv"))
    arguments = parser.parse_args()
    arguments.results.mkdir(exist_ok=True)
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    jax.config.update("jax_compilation_cache_dir", str(arguments.results.resolve() / "programs"))
    if arguments.clear_locks:
        for lock in arguments.results.glob("*.lock"):
            lock.unlink()
    if arguments.command == "tune":
        tune(arguments.results)
    elif arguments.command == "train":
        train_all(arguments.results)
    else:
        table(arguments.results, arguments.to)
        tuning_table(arguments.results, Path(__file__).with_name("tuning.csv"))


if __name__ == "__main__":
    main()
