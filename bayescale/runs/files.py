"""Read a table from a file or a data frame: names, cells, and where each cell stands."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayescale.errors import InputError, Problem

MAX_BYTES = 1_000_000_000
MAX_ROWS = 10_000_000
FORMATS = (".csv", ".tsv", ".parquet", ".json", ".jsonl")


@dataclass
class Table:
    """Columns of equal length as they were read, and the place of each row.

    Parameters
    ----------
    columns
        Name to cells: text from a CSV file, Python values from JSON, arrays from a data frame.
    source
        What to call the table in messages.
    place
        Row index (from 0) to the words for it, such as ``"line 7"``.
    """

    columns: dict[str, Any]
    source: str
    place: Callable[[int], str]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def load(source: Any) -> Table:
    """Read a path (CSV, TSV, Parquet, JSON, JSONL), a dict of columns or a data frame.

    Raises
    ------
    InputError
        No such file, an unknown format, or a file that is not a table.
    """
    if isinstance(source, str | Path):
        return _load_file(Path(source))
    if isinstance(source, Mapping):
        return _from_mapping(source)
    return _from_frame(source)


def _load_file(path: Path) -> Table:
    if not path.is_file():
        hint = "is a folder" if path.is_dir() else "there is no such file"
        raise InputError(Problem(str(path), hint, remedy="give the path of a table of runs"))
    if path.stat().st_size > MAX_BYTES:
        raise InputError(Problem(str(path), f"the file is larger than {MAX_BYTES:,} bytes"))
    readers = {
        ".csv": _read_delimited(","),
        ".tsv": _read_delimited("\t"),
        ".json": _read_json,
        ".jsonl": _read_jsonl,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            Problem(str(path), f"{path.suffix or 'no ending'!r} is not a format that is read",
                    remedy=f"use one of {', '.join(FORMATS)}")
        )  # fmt: skip
    try:
        return reader(path)
    except UnicodeDecodeError as error:
        raise InputError(
            Problem(str(path), f"byte {error.start} is not UTF-8 text", remedy="save it as UTF-8")
        ) from None


def _read_delimited(delimiter: str) -> Callable[[Path], Table]:
    def read(path: Path) -> Table:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            rows, lines, problems = [], [], []
            header: list[str] | None = None
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if header is None:
                    header = [cell.strip() for cell in row]
                    _check_header(header, str(path))
                elif len(row) != len(header):
                    problems.append(
                        Problem(f"{path}, line {reader.line_num}",
                                f"the row has {len(row)} cells and the header {len(header)}",
                                remedy="quote cells that contain the separator, or fill the row")
                    )  # fmt: skip
                else:
                    rows.append(row)
                    lines.append(reader.line_num)
                if len(rows) > MAX_ROWS:
                    raise InputError(Problem(str(path), f"more than {MAX_ROWS:,} rows"))
        if problems:
            raise InputError(problems)
        if header is None:
            raise InputError(Problem(str(path), "the file is empty"))
        cells = list(zip(*rows, strict=True)) if rows else [()] * len(header)
        return Table(dict(zip(header, cells, strict=True)), str(path), lambda i: f"line {lines[i]}")

    return read


def _check_header(header: list[str], source: str) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(
            Problem(source, f"the header names {', '.join(map(repr, repeated))} more than once",
                    remedy="rename or remove one of the columns")
        )  # fmt: skip


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return dict(pairs)


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique_pairs)
    except (ValueError, RecursionError) as error:
        raise InputError(Problem(where, f"not valid JSON: {error}")) from None


def _read_json(path: Path) -> Table:
    data = _parse_json(path.read_text(encoding="utf-8-sig"), str(path))
    if isinstance(data, dict) and all(isinstance(column, list) for column in data.values()):
        table = _from_mapping(data)
        return Table(table.columns, str(path), table.place)
    if isinstance(data, list):
        return _from_records(data, str(path), lambda i: f"row {i + 1}")
    raise InputError(
        Problem(str(path), "neither a list of objects nor an object of lists",
                remedy='write [{"params": 1e8, "tokens": 2e9, "loss": 3.1}, ...]')
    )  # fmt: skip


def _read_jsonl(path: Path) -> Table:
    records, lines = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            records.append(_parse_json(line, f"{path}, line {number}"))
            lines.append(number)
    return _from_records(records, str(path), lambda i: f"line {lines[i]}")


def _from_records(records: list[Any], source: str, place: Callable[[int], str]) -> Table:
    for i, record in enumerate(records):
        if not isinstance(record, dict):
            raise InputError(Problem(f"{source}, {place(i)}", f"{record!r} is not an object"))
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    return Table(columns, source, place)


def _read_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        if file.metadata.num_rows > MAX_ROWS:
            raise InputError(Problem(str(path), f"more than {MAX_ROWS:,} rows"))
        table = _from_frame(file.read())
    except pyarrow.ArrowException as error:
        raise InputError(Problem(str(path), f"not a Parquet file that can be read: {error}")) from None
    return Table(table.columns, str(path), table.place)


def _from_mapping(columns: Mapping[str, Any]) -> Table:
    if not columns:
        raise InputError(Problem("runs", "the table has no columns"))
    cells = {str(name): _one_dimensional(str(name), column) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            Problem("runs", f"the columns have different lengths: {lengths}",
                    remedy="give one value for each run in every column")
        )  # fmt: skip
    return Table(cells, "runs", lambda i: f"row {i}")


def _one_dimensional(name: str, column: Any) -> Any:
    if isinstance(column, list | tuple):
        return column
    array = np.asarray(column)
    if array.ndim != 1:
        raise InputError(
            Problem(f"runs, column {name!r}", f"it has shape {array.shape}", remedy="give one axis")
        )
    return array


def _from_frame(frame: Any) -> Table:
    import narwhals as nw

    try:
        frame = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise InputError(
            Problem("runs", f"{type(frame).__name__} is not a table of runs",
                    remedy="give a path, a dict of columns, or a pandas, polars or pyarrow table")
        ) from None  # fmt: skip
    _check_header(list(map(str, frame.columns)), "runs")
    columns = {
        str(name): series.to_numpy() if series.dtype.is_numeric() and not series.is_null().any()
        else series.to_list()
        for name, series in ((name, frame[name]) for name in frame.columns)
    }  # fmt: skip
    return Table(columns, "runs", lambda i: f"row {i}")
