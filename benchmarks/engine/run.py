"""The engine beside its peers, and its cost against size; one table after another, in Markdown.

    python -m pip install -e ".[benchmarks]"
    python benchmarks/engine/run.py RUNS.csv --where "epoch_dropped == 0"

RUNS is a table of runs with N, D and loss; the 240 runs of Besiroglu et al. are the usual one. All figures
come from one run on one machine.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import batch
import cold
import paper
import points
import scaling
import single
from report import Context, machine

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import renew

README = Path(__file__).with_name("README.md")

Section = Callable[[Context], Iterator[str]]
SECTIONS: dict[str, tuple[Section, ...]] = {
    "single": (single.lines, points.lines, cold.lines),
    "batch": (batch.lines, paper.lines),
    "rows": (scaling.lines_of_rows,),
    "sets": (scaling.lines_of_sets,),
    "devices": (scaling.lines_of_devices,),
}


def lines(context: Context, chosen: list[str]) -> Iterator[str]:
    yield f"{len(context.runs)} runs; {machine()}{'; a quick run' if context.quick else ''}"
    for name in chosen:
        for section in SECTIONS[name]:
            yield ""
            yield from section(context)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", help="table with N, D and loss")
    parser.add_argument("--where", help="condition that picks its rows")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: few repeats, small sizes"
    )
    parser.add_argument("--full", action="store_true", help="with the largest number of data sets")
    parser.add_argument("--write", action="store_true", help="renew the tables of README.md")
    parser.add_argument(
        "--stan-python", default=sys.executable, help="a Python that has PyStan, if not this one"
    )
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if options.write and (options.quick or set(chosen) != set(SECTIONS)):
        parser.error("README.md holds one whole run: --write goes with neither --only nor --quick")
    warnings.simplefilter("ignore")
    context = Context(options.runs, options.where, options.quick, options.full, options.stan_python)
    kept = []
    for line in lines(context, chosen):
        print(line, flush=True)
        kept.append(line)
    if options.write:
        renew(README, "\n".join(kept))


if __name__ == "__main__":
    main()
