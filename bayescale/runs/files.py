"""Read a table from a file or a data frame: names, cells, and where each cell stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayescale.errors import InputError, Problem, shown
from bayescale.runs.text import check_header, read_delimited, read_text

MAX_BYTES = 1_000_000_000
MAX_ROWS = 10_000_000
FORMATS = (".csv", ".tsv", ".parquet", ".json", ".jsonl")
_RECORD = '{"params": 1e8, "tokens": 2e9, "loss": 3.1}'
_RECORDS = f"[{_RECORD}, ...]"


@dataclass
class Table:
    """Columns of equal length as they were read, and the place of each row.

    Parameters
    ----------
    columns
        Name to cells: arrays of text from a CSV file, Python values from JSON, arrays from a data frame.
    source
        What to call the table in messages.
    place
        Row index (from 0) to the words for it: ``"line 7"`` of a text file, else ``"row 7"``,
        counted from 1 in a file and from 0 in a data frame or dict.
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
    try:
        return _read_file(path)
    except OSError as error:
        raise InputError(
            Problem(str(path), f"it cannot be read: {error.strerror or error}",
                    remedy="give the path of a table of runs")
        ) from None  # fmt: skip


def _read_file(path: Path) -> Table:
    if not path.is_file():
        hint = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputError(Problem(str(path), hint, remedy="give the path of a table of runs"))
    if path.stat().st_size > MAX_BYTES:
        raise InputError(Problem(str(path), f"the file is larger than {MAX_BYTES:,} bytes"))
    readers = {
        ".csv": _read_csv,
        ".tsv": _read_tsv,
        ".json": _read_json,
        ".jsonl": _read_jsonl,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        what = "its name has no ending that tells the format"
        if path.suffix:
            what = f"{path.suffix!r} is not a format that is read"
        raise InputError(Problem(str(path), what, remedy=f"use one of {', '.join(FORMATS)}"))
    return reader(path)


def _read_csv(path: Path) -> Table:
    return _read_separated(path, ",")


def _read_tsv(path: Path) -> Table:
    return _read_separated(path, "\t")


def _read_separated(path: Path, separator: str) -> Table:
    columns, lines = read_delimited(path, separator, MAX_ROWS)
    return Table(columns, str(path), lambda i: f"line {lines[i]}")


class _RepeatedKeyError(ValueError):
    pass


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in pairs:
        if name in record:
            values = f"{shown(record[name])} and {shown(value)}"
            raise _RepeatedKeyError(f"the key {name!r} stands twice in one object, with {values}")
        record[name] = value
    return record


def _parse_json(text: str, source: str, line: int | None = None) -> Any:
    """Read the whole source, or one line of it."""
    place = source if line is None else f"{source}, line {line}"
    try:
        return json.loads(text, object_pairs_hook=_unique_pairs)
    except json.JSONDecodeError as error:
        where = f"{source}, line {line or error.lineno}, character {error.colno}"
        what, remedy = f"not valid JSON: {error.msg}", "correct the text there"
    except _RepeatedKeyError as error:
        where, what, remedy = place, str(error), "rename or remove one of them"
    except (ValueError, RecursionError) as error:
        where, what, remedy = place, f"it cannot be read as JSON: {error}", f"write {_RECORDS}"
    raise InputError(Problem(where, what, remedy=remedy))


def _read_json(path: Path) -> Table:
    data = _parse_json(read_text(path), str(path))
    if isinstance(data, dict) and all(isinstance(column, list) for column in data.values()):
        return _from_mapping(data, str(path), first=1)
    if isinstance(data, list):
        return _from_records(data, str(path), lambda i: f"row {i + 1}")
    raise InputError(
        Problem(str(path), "neither a list of objects nor an object of lists",
                remedy=f"write {_RECORDS}")
    )  # fmt: skip


def _read_jsonl(path: Path) -> Table:
    records, lines = [], []
    problems: list[Problem] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append(_parse_json(line, str(path), number))
            lines.append(number)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return _from_records(records, str(path), lambda i: f"line {lines[i]}")


def _from_records(records: list[Any], source: str, place: Callable[[int], str]) -> Table:
    problems = [
        Problem(f"{source}, {place(i)}", f"{shown(record)} is not an object",
                remedy=f"write {_RECORD}")
        for i, record in enumerate(records)
        if not isinstance(record, dict)
    ]  # fmt: skip
    if problems:
        raise InputError(problems)
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
        table = file.read()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            Problem(str(path), f"not a Parquet file that can be read: {reason}",
                    remedy="write it again, for instance with DataFrame.to_parquet")
        ) from None  # fmt: skip
    return _from_frame(table, str(path), first=1)


def _from_mapping(columns: Mapping[Any, Any], source: str = "runs", first: int = 0) -> Table:
    if not columns:
        remedy = 'give columns such as {"params": [1e8], "tokens": [2e9], "loss": [3.1]}'
        raise InputError(Problem(source, "the table has no columns", remedy=remedy))
    check_header(list(map(str, columns)), source)
    cells = {str(name): _one_dimensional(f"{source}, column {str(name)!r}", column)
             for name, column in columns.items()}  # fmt: skip
    lengths = {name: len(column) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            Problem(source, f"the columns have different lengths: {shown(lengths, 200)}",
                    remedy="give one value for each run in every column")
        )  # fmt: skip
    return Table(cells, source, lambda i: f"row {i + first}")


def _one_dimensional(where: str, column: Any) -> Any:
    if isinstance(column, list | tuple):
        return column
    if isinstance(column, np.ma.MaskedArray):
        return column.tolist()  # None where it is masked
    array = np.asarray(column)
    if array.ndim == 0:
        raise InputError(
            Problem(
                where, f"it is {shown(column)}", remedy="give a list or an array, a value a run"
            )
        )
    if array.ndim > 1:
        raise InputError(Problem(where, f"it has shape {array.shape}", remedy="give one axis"))
    return array


def _from_frame(frame: Any, source: str = "runs", first: int = 0) -> Table:
    import narwhals as nw

    try:
        frame = nw.from_native(frame, eager_only=True)
        series = list(frame.iter_columns())
    except TypeError:
        raise InputError(
            Problem(source, f"{type(frame).__name__} is not a table of runs",
                    remedy="give a path, a dict of columns, or a pandas, polars or pyarrow table")
        ) from None  # fmt: skip
    except nw.exceptions.DuplicateError as error:
        raise InputError(
            Problem(source, " ".join(str(error).split()), remedy="rename or remove one of them")
        ) from None
    check_header([str(s.name) for s in series], source)
    columns = {str(s.name): _cells_of_series(s, source) for s in series}
    return Table(columns, source, lambda i: f"row {i + first}")


def _cells_of_series(series: Any, source: str) -> Any:
    """An array where the cells are numbers without gaps, else a list of Python values."""
    import narwhals as nw

    wide = (nw.Decimal, nw.Int128, nw.UInt128)  # NumPy has no such types
    try:
        if series.dtype.is_numeric() and series.dtype not in wide and not series.is_null().any():
            return series.to_numpy()
        return series.to_list()
    except Exception as error:  # of whichever data frame library; no type covers them all
        raise InputError(
            Problem(f"{source}, column {str(series.name)!r}",
                    f"its cells, of type {series.dtype}, cannot be read: {str(error).rstrip('.')}",
                    remedy="convert the column to numbers or text, or drop it from the table")
        ) from None  # fmt: skip
