"""The pages of the benchmarks: what stands between two markers of a page, and tables there, made anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def markers(name: str) -> tuple[str, str]:
    return f"<!-- begin: {name} -->", f"<!-- end: {name} -->"


def block(page: Path, name: str = "run") -> str:
    """What stands between the markers of a page."""
    begin, end = markers(name)
    return page.read_text().partition(begin)[2].partition(end)[0].strip("\n")


def renew(page: Path, text: str, name: str = "run") -> None:
    """Put another text between the markers of a page."""
    begin, end = markers(name)
    text = text.strip("\n")  # and not the spaces before a first line of code
    whole, count = re.subn(
        f"({begin}\n).*?({end})",
        lambda m: f"{m[1]}\n{text}\n\n{m[2]}",
        page.read_text(),
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"{page} has {count} blocks {begin}")
    page.write_text(whole)


def renew_rows(
    page: Path,
    tables: Sequence[Sequence[str]],
    order: Iterable[str],
    cells: int = 1,
    name: str = "run",
) -> None:
    """Put rows into the tables of a page, in place of those of the same name; rows in an order.

    Parameters
    ----------
    page
        Its block has as many tables, with blank lines between them.
    tables
        Rows for each.
    order
        Names: the first cells of rows, with " | " between them.
    cells
        How many of them.
    name
        Of the block.
    """
    blocks, names = block(page, name).split("\n\n"), list(order)
    places = [i for i, text in enumerate(blocks) if text.startswith("| ")]
    for i, rows in zip(places, tables, strict=True):
        head, line, *old = blocks[i].splitlines()
        named = {" | ".join(_cells(row)[:cells]): row for row in [*old, *rows]}
        blocks[i] = "\n".join([head, line, *(named[n] for n in names if n in named)])
    renew(page, "\n\n".join(blocks), name)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
