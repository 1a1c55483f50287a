"""Forecasts of larger runs on public data: coverage and scores of each method, in one table.

    python -m pip install -e ".[benchmarks]"
    python benchmarks/forecast/run.py DATA --write

DATA is the folder of the public tables. Each set is fitted on its cheapest runs by compute and scored on
the others.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from methods import methods
from scores import Score, score, summary
from sets import FRACTIONS, read, splits

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import renew, renew_rows

README = Path(__file__).with_name("README.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public tables")
    parser.add_argument("--methods", help="names, with semicolons between them")
    parser.add_argument("--short", action="store_true", help="the middle split of each set only")
    parser.add_argument("--json", type=Path, help="write the coverage of every split here")
    parser.add_argument("--write", action="store_true", help="renew README.md: all, or some rows")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = methods()
    if options.methods:
        chosen = {name.strip(): chosen[name.strip()] for name in options.methods.split(";")}
    every = list(splits(read(options.data), FRACTIONS[1:2] if options.short else FRACTIONS))
    found: dict[str, list[Score]] = {}
    lines: list[str] = []
    for name, method in chosen.items():
        started = time.perf_counter()
        try:
            found[name] = [score(split, method(split.train, split.test)) for split in every]
        except ImportError as error:
            print(f"{name}: not installed: {error.name}", flush=True)
            continue
        figures = summary(found[name]) | {"seconds": time.perf_counter() - started}
        if not lines:
            lines += ["| method | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
            print("\n".join(lines))
        digits = {"interval score": 4, "CRPS": 4, "seconds": 0}
        cells = [f"{value:.{digits.get(key, 2)}f}" for key, value in figures.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    per_set = list(coverage_by_set(found))
    print("\n" + "\n".join(per_set))
    if options.json:
        options.json.write_text(json.dumps(by_split(found), indent=1))
    if options.write and options.methods:
        renew_rows(README, [lines[2:], per_set[2:]], methods())
    elif options.write:
        block = "\n".join(
            [f"{len(every)} splits, {time.strftime('%Y-%m-%d')}", "", *lines, "", *per_set]
        )
        renew(README, block)


def coverage_by_set(found: dict[str, list[Score]]):
    """Coverage and interval score of each method on each set, all of its splits together."""
    names = list(dict.fromkeys(s.split.name for scores in found.values() for s in scores))
    yield "| coverage / interval score | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for method, scores in found.items():
        cells = []
        for name in names:
            mine = [s for s in scores if s.split.name == name]
            coverage = np.mean([s.inside.mean() for s in mine])
            interval = np.exp(np.mean([np.log(s.interval.mean()) for s in mine]))
            cells.append(f"{coverage:.2f} / {interval:.3f}")
        yield f"| {method} | " + " | ".join(cells) + " |"


def by_split(found: dict[str, list[Score]]) -> dict[str, dict[str, list[float]]]:
    return {
        method: {
            f"{s.split.name} {s.split.fraction}": [float(s.inside.mean()), float(s.interval.mean())]
            for s in scores
        }
        for method, scores in found.items()
    }


if __name__ == "__main__":
    main()
