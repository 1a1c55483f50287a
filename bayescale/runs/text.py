"""Read text files: as UTF-8, and as rows of cells between separators."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem

BLOCK = 20_000  # rows that are held as Python objects before they are packed
PACKED = np.dtypes.StringDType()  # 16 bytes for a short cell, a quarter of a Python string


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    InputError
        The file is not UTF-8; the message names the line.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{error.object[error.start]:02x} is not UTF-8 text"
        raise InputError(
            Problem(f"{path}, line {line}", what, remedy="save the file as UTF-8")
        ) from None


def read_delimited(
    path: Path, separator: str, max_rows: int
) -> tuple[dict[str, NDArray], NDArray[np.int64]]:
    """Read a file of separated cells, empty rows left out.

    Parameters
    ----------
    path
        The file.
    separator
        One character.
    max_rows
        Longer tables are refused.

    Returns
    -------
    columns
        Name to cells, arrays of text of shape (rows,).
    lines
        The line on which each row begins, shape (rows,).

    Raises
    ------
    InputError
        No header, a header with a name twice, rows of another length, an open quotation mark.
    """
    rows: list[list[str]] = []
    lines: list[int] = []
    packed: list[list[NDArray]] = []
    packed_lines: list[NDArray[np.int64]] = []
    problems: list[Problem] = []
    header: list[str] | None = None

    def pack() -> None:
        if rows:
            packed.append([np.array(cells, PACKED) for cells in zip(*rows, strict=True)])
            packed_lines.append(np.array(lines))
            rows.clear()
            lines.clear()

    for line, row in _rows(path, separator):
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = [cell.strip() for cell in row]
            check_header(header, f"{path}, line {line}")
            _check_separator(header, f"{path}, line {line}")
        elif len(row) != len(header):
            problems.append(
                Problem(f"{path}, line {line}",
                        f"the row has {_cells(len(row))} and the header {_cells(len(header))}",
                        remedy="quote cells that contain the separator, or fill the row")
            )  # fmt: skip
        else:
            rows.append(row)
            lines.append(line)
        if len(packed) * BLOCK + len(rows) > max_rows:
            raise InputError(Problem(str(path), f"more than {max_rows:,} rows"))
        if len(rows) == BLOCK:
            pack()
    if problems:
        raise InputError(problems)
    if header is None:
        raise InputError(
            Problem(str(path), "the file is empty", remedy="give a header and a row a run")
        )
    pack()
    if not packed:
        return {name: np.empty(0, PACKED) for name in header}, np.empty(0, np.int64)
    # A column at a time, its blocks let go: a table is never held twice.
    columns = {name: np.concatenate([block.pop(0) for block in packed]) for name in header}
    return columns, np.concatenate(packed_lines)


def _rows(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row and the line on which it begins; an open quotation mark swallows no rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError:
                read_text(path)  # says on which line
                raise
            except csv.Error as error:
                raise InputError(
                    Problem(f"{path}, line {line}", f"the row cannot be read: {error}",
                            remedy="close each quotation mark, and write one inside a cell twice")
                ) from None  # fmt: skip
            yield line, row


def check_header(header: list[str], where: str) -> None:
    """Refuse names that stand twice.

    Raises
    ------
    InputError
        Names all of them.
    """
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(
            Problem(where, f"the header names {', '.join(map(repr, repeated))} more than once",
                    remedy="rename or remove one of the columns")
        )  # fmt: skip


def _check_separator(header: list[str], where: str) -> None:
    if len(header) == 1 and any(mark in header[0] for mark in ",;|\t"):
        raise InputError(
            Problem(where, f"the whole header is one cell, {header[0]!r}",
                    remedy="separate cells by commas in a .csv file, by tabs in a .tsv file")
        )  # fmt: skip


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"
