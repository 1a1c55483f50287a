"""Renew the blocks of README.md that commands print: `python benchmarks/update_readme.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pages import block, renew

README = Path(__file__).parents[1] / "README.md"
ENGINE = Path(__file__).parent / "engine" / "README.md"
FORECAST = Path(__file__).parent / "forecast" / "README.md"
CALIBRATION = Path(__file__).parent / "calibration" / "README.md"
SECTIONS = ("One data set of", "Batches of")  # of the engine's benchmark
COLUMNS = ("method", "mean coverage", "splits covering 80% or more", "interval score", "CRPS")


def demo() -> str:
    """What `bayescale demo` prints, as an indented block."""
    command = Path(sys.executable).with_name("bayescale")
    out = subprocess.run([command, "demo"], capture_output=True, text=True, check=True).stdout
    return "\n".join(f"    {line}".rstrip() for line in out.splitlines())


def inputs() -> str:
    """The table of the columns that only some laws need."""
    from bayescale.runs.catalogue import LAW_ROLES, ROLES

    lines = ["| role | symbol | meaning |", "|---|---|---|"]
    for name in LAW_ROLES:
        role = ROLES[name]
        lines.append(f"| `{name}` | {role.symbol} | {role.meaning} |")
    return "\n".join(lines)


def laws() -> str:
    """The table of laws."""
    from bayescale.laws import LAWS

    rows = ["| `--law` | equation | inputs | source |", "|---|---|---|---|"]
    rows += [
        f"| `{law.name}` | ${law.equation}$ | {', '.join(law.inputs)} | {law.source} |"
        for law in LAWS.values()
    ]
    return "\n".join(rows)


def forecast() -> str:
    """The main columns of the forecast benchmark's first table, as its last run wrote them."""
    head, table, *_ = block(FORECAST).split("\n\n")
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    kept = [rows[0].index(name) for name in COLUMNS]
    lines = ["| " + " | ".join(row[i] for i in kept) + " |" for row in rows]
    return "\n".join(
        [f"{head}; 90% intervals for single new runs, scores on log loss.", "", *lines]
    )


def calibration() -> str:
    """The first table of the benchmark of coverage, as its last run wrote it."""
    head, _, table, *_ = block(CALIBRATION).split("\n\n")
    return f"{head}\n\n{table}"


def engine() -> str:
    """The machine and two tables of the engine's benchmark, as its last run wrote them."""
    machine, *sections = block(ENGINE).split("### ")
    chosen = [s for s in sections if s.startswith(SECTIONS)]
    tables = [
        f"**{title}**\n{table.rstrip()}" for title, _, table in (s.partition("\n") for s in chosen)
    ]
    return "\n\n".join([machine.strip() + ".", *tables])


BLOCKS = {
    "bayescale demo": demo,
    "inputs": inputs,
    "laws": laws,
    "forecast": forecast,
    "calibration": calibration,
    "engine": engine,
}


if __name__ == "__main__":
    for name, made in BLOCKS.items():
        renew(README, made(), name)
