"""What every section needs: the options of a run, Markdown tables, figures, the machine."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bayescale import Runs


@dataclass
class Context:
    """Options of a run, and what one section found that another needs."""

    path: str
    where: str | None
    quick: bool
    full: bool
    stan_python: str
    found: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        self.runs = Runs.read(self.path, where=self.where)


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """The lines of a Markdown table, each as soon as its row is there."""
    columns = list(columns)
    yield "| " + " | ".join(columns) + " |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        cells = [str(cell) for cell in row]
        yield "| " + " | ".join(cells + [""] * (len(columns) - len(cells))) + " |"


def figure(x: float, digits: int = 3) -> str:
    """A number to some significant digits, never as 1e+06."""
    if x == 0 or x != x:
        return "0" if x == 0 else ""
    rounded = float(f"{x:.{digits}g}")
    places = max(0, digits - 1 - int(f"{abs(rounded):e}".partition("e")[2]))
    return f"{rounded:,.{places}f}"


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{figure(seconds / size, 2)} {unit}"
    return f"{figure(seconds, 2)} s"


def why(error: Exception) -> str:
    """What a row says when its peer gave no figures."""
    if isinstance(error, ModuleNotFoundError):
        return "not installed"
    text = re.sub(r"\S*/\S*/\S*", "...", str(error).strip().partition("\n")[0])
    return f"did not run: {type(error).__name__}: {text[:90]}".replace("|", "/")


def machine() -> str:
    """Cores, processor, memory, versions and date."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "numpyro", "bayescale"))
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory:.0f} GiB, {platform.system()}; "
        f"Python {platform.python_version()}, {versions}; {time.strftime('%Y-%m-%d')}"
    )


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        found = dict(
            re.findall(r"^(model name|cpu family|model)\s*: (.*)$", facts.read_text(), re.M)
        )
        if "model name" in found:  # a virtual machine may hide the rest of the name
            return f"{found['model name']} (family {found['cpu family']}, model {found['model']})"
    return platform.processor() or platform.machine()
