"""Renew the blocks of README.md that commands print: `python benchmarks/update_readme.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def demo() -> str:
    """What `bayescale demo` prints, as an indented block."""
    command = Path(sys.executable).with_name("bayescale")
    out = subprocess.run([command, "demo"], capture_output=True, text=True, check=True).stdout
    return "\n".join(f"    {line}".rstrip() for line in out.splitlines())


def laws() -> str:
    """The table of laws."""
    from bayescale.laws import LAWS

    rows = ["| `--law` | equation | inputs | source |", "|---|---|---|---|"]
    rows += [
        f"| `{law.name}` | ${law.equation}$ | {', '.join(law.inputs)} | {law.source} |"
        for law in LAWS.values()
    ]
    return "\n".join(rows)


BLOCKS = {"bayescale demo": demo, "laws": laws}


def renewed(text: str, name: str) -> str:
    """The page with one block made anew."""
    pattern = rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)"
    return re.sub(pattern, lambda m: f"{m[1]}\n{BLOCKS[name]()}\n\n{m[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    page = README.read_text()
    for block in BLOCKS:
        page = renewed(page, block)
    README.write_text(page)
