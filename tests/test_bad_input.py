"""Bad tables through the command line: one message with what, where, which value and a remedy."""

import csv
import datetime
import io
import json
import math
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import hypothesis.strategies as st
import jax.monitoring
import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings

from bayescale.cli.main import main
from bayescale.errors import InputError
from bayescale.runs import Runs
from bayescale.runs.where import select

SIZES, TOKENS = [1e7, 3e7, 1e8], [1e9, 5e9, 2e10]
N, D = (grid.ravel().tolist() for grid in np.meshgrid(SIZES, TOKENS))
LOSS = [3.5, 3.2, 3.0, 3.3, 3.0, 2.8, 3.1, 2.8, 2.6]
GOOD = {"N": N, "D": D, "loss": LOSS}
FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
RAMP = [1e7, 2e7, 4e7, 8e7, 3e8, 1e9]
FALLING = [3.5, 3.4, 3.3, 3.2, 3.1, 3.0]


def records(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def delimited(table, delimiter):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return text.getvalue()


def save(table, path):
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(table), path)
        return path
    text = {
        ".csv": lambda: delimited(table, ","),
        ".tsv": lambda: delimited(table, "\t"),
        ".json": lambda: json.dumps(records(table)),
        ".jsonl": lambda: "\n".join(map(json.dumps, records(table))),
    }[path.suffix]()
    path.write_text(text, encoding="utf-8")
    return path


def place(form, row):
    """Words for the row, counted from 1."""
    return {"csv": f"line {row + 1}", "tsv": f"line {row + 1}", "jsonl": f"line {row}"}.get(
        form, f"row {row}"
    )


@pytest.fixture(autouse=True)
def no_compilation():
    """What is refused is refused before anything is compiled."""
    compiled = []

    def listen(event, seconds, **_):
        if "compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield
    jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []


@pytest.fixture
def refused(capsys, monkeypatch):
    """Run ``bayescale fit FILE --quiet``, check that it is refused as it should be; the message."""

    def run(path, *options):
        monkeypatch.setattr(sys, "argv", ["bayescale", "fit", str(path), "--quiet", *options])
        with pytest.raises(SystemExit, match=r"^2$"):
            main()
        out, err = capsys.readouterr()
        assert_one_message(out, err, path)
        return err

    return run


def assert_one_message(out, err, path):
    assert out == ""
    assert err.startswith("bayescale: ")
    assert err.count("bayescale: ") == 1
    assert "Traceback" not in err
    for line in err.rstrip("\n").split("\n"):
        # Each problem names the file, is a sentence, and has a remedy after it.
        assert line.startswith("...") or str(path) in line
        assert line.endswith(".")
        assert line.startswith("...") or ". " in line or "? " in line
    assert all(character.isprintable() or character == "\n" for character in err)


# One bad cell: value in the file, words of the message


class Cell(NamedTuple):
    value: object
    words: tuple[str, ...]
    remedy: str


DROP = "Fill it, or leave such rows out with --where 'D > 0'."
CORRECT = "Correct it, or leave such rows out with --where 'D > 0'."
FINITE = "Correct it, or leave such rows out with --where 'D < 1e300'."
PLAIN = "Write a plain number such as 1.4e12"
CELLS = {
    "nan": Cell(math.nan, ("the value is NaN", "must be a number"), DROP),
    "inf": Cell(math.inf, ("the value is infinite", "inf", "must be finite"), FINITE),
    "-inf": Cell(-math.inf, ("the value is infinite", "-inf", "must be finite"), CORRECT),
    "zero": Cell(0, ("the value is 0", "must be above 0"), CORRECT),
    "minus zero": Cell(-0.0, ("the value is -0", "must be above 0"), CORRECT),
    "negative": Cell(-5e9, ("the value is -5e+09", "must be above 0"), CORRECT),
    "empty": Cell(None, ("the cell is empty", "must be a number"), DROP),
    "text": Cell("many", ("'many' is not a number",), f"{PLAIN}, or leave such rows out with"),
    "missing word": Cell("N/A", ("the cell is missing ('N/A')",), DROP),
    "thousands": Cell("1,000", ("'1,000' is not a number",), "Write 1000."),
    "spaced thousands": Cell("5 000 000", ("'5 000 000' is not a number",), "Write 5000000."),
    "underscores": Cell("1_000", ("'1_000' is not a number",), "Write 1000."),
    "suffix": Cell("7B", ("'7B' is not a number",), "Write 7e9."),
    "small suffix": Cell("1.5k", ("'1.5k' is not a number",), "Write 1.5e3."),
    "hexadecimal": Cell("0x10", ("'0x10' is not a number",), PLAIN),
    "decimal comma": Cell("1,5e9", ("'1,5e9' is not a number",), PLAIN),
    "unit": Cell("5e9 tokens", ("'5e9 tokens' is not a number",), PLAIN),
    "formula": Cell("=SUM(A1:A9)", ("'=SUM(A1:A9)' is not a number",), PLAIN),
    "too large": Cell("1e999", ("the value is infinite ('1e999')",), FINITE),
    "escape codes": Cell("\x1b[31m5e9", (r"'\x1b[31m5e9' is not a number",), PLAIN),
    "long text": Cell("x" * 9000, (f"'{'x' * 56}... is not a number",), PLAIN),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", CELLS)
def test_bad_cell(kind, form, refused, tmp_path):
    value, words, remedy = CELLS[kind]
    column = [*D[:4], value, *D[5:]]
    if form == "parquet" and isinstance(value, str):
        column = list(map(str, column))  # a column of a Parquet file has one type
    path = save({**GOOD, "D": column}, tmp_path / f"runs.{form}")
    message = refused(path)
    assert f"{path}, {place(form, 5)}, column 'D': " in message
    for word in ("tokens must be", *words, remedy):
        assert word in message
    assert len(message.rstrip().split("\n")) == 1


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_truth_values(form, refused, tmp_path):
    path = save({**GOOD, "loss": [True] * 9}, tmp_path / f"runs.{form}")
    message = refused(path)
    assert f"{path}, {place(form, 1)}, column 'loss': True is a truth value" in message
    assert "Write the number itself." in message
    assert len(message.rstrip().split("\n")) == 9


@pytest.mark.parametrize("value", ["true", "False"])
def test_truth_values_as_text(value, refused, tmp_path):
    path = save({**GOOD, "N": [value, *N[1:]]}, tmp_path / "runs.csv")
    assert f"line 2, column 'N': '{value}' is not a number; params must be" in refused(path)


@pytest.mark.parametrize("value", [[1e9], {"count": 1e9}])
def test_nested_values(value, refused, tmp_path):
    path = save({**GOOD, "N": [value, *N[1:]]}, tmp_path / "runs.json")
    assert f"row 1, column 'N': {value!r} is not a number; params must be" in refused(path)


# Tables that lack something


class Bad(NamedTuple):
    table: dict
    words: tuple[str, ...]
    options: tuple[str, ...] = ()


TABLES = {
    "no tokens": Bad(
        {"N": N, "loss": LOSS},
        ("no column holds tokens (training tokens seen)", "--columns tokens=COLUMN", "'N', 'loss'"),
    ),
    "no loss": Bad(
        {"N": N, "D": D},
        ("no column holds loss (final loss of the run)", "--columns loss=COLUMN", "'N', 'D'"),
    ),
    "nothing known": Bad(
        {"a": N, "b": D},
        ("no column holds loss", "no column holds params", "--columns params=COLUMN", "'a', 'b'"),
    ),
    "misspelt tokens": Bad(
        {"N": N, "tokns": D, "loss": LOSS},
        ("no column holds tokens", "did you mean 'tokns'? Name it with --columns tokens=COLUMN",),
    ),
    "misspelt loss": Bad(
        {"N": N, "D": D, "final_los": LOSS},
        ("no column holds loss", "did you mean 'final_los'? Name it with --columns loss=COLUMN",),
    ),
    "misspelt in an option": Bad(
        GOOD,
        ("no column 'lss' for loss; did you mean 'loss'? The columns are 'N', 'D', 'loss'",),
        ("--columns", "loss=lss"),
    ),
    "ambiguous": Bad(
        {**GOOD, "n_params": N},
        ("'N' and 'n_params' could each hold params", "Choose with --columns params=N"),
    ),
    "constant N": Bad(
        {"N": [7e9] * 6, "D": RAMP, "loss": FALLING},
        ("column 'N': N (parameters of the model) is 7e+09 in every run", "--allow constant-N"),
    ),
    "constant D": Bad(
        {"N": RAMP, "D": [3e11] * 6, "loss": FALLING},
        ("column 'D': D (training tokens seen) is 3e+11 in every run", "--allow constant-D"),
    ),
    "D proportional to N": Bad(
        {"N": RAMP, "D": [20 * n for n in RAMP], "loss": FALLING},
        ("D is 20 N in every run", "cannot be told apart", "Add runs", "--allow collinear"),
    ),
    "fewer points than parameters": Bad(
        {"N": N[:4], "D": D[:4], "loss": LOSS[:4]},
        ("4 distinct points in N, D for the 5 parameters", "Give more runs", "--allow few-points"),
    ),
    "replicates of few points": Bad(
        {"N": N[:4] * 3, "D": D[:4] * 3, "loss": np.linspace(3, 4, 12).tolist()},
        ("4 distinct points in N, D for the 5 parameters", "--allow few-points"),
    ),
    "one run": Bad(
        {"N": [1e9], "D": [2e10], "loss": [2.5]},
        ("1 distinct points", "is 1e+09 in every run", "is 2e+10 in every run"),
    ),
    "several rows of one run": Bad(
        {**GOOD, "run_id": [*"abcdef", "g", "g", "g"]},
        ("column 'run_id': 1 run has several rows, such as 'g' with 3", "not independent",
         "--columns run_id=", "--allow several-rows-per-run"),
    ),
    "where leaves nothing": Bad(
        GOOD,
        ("where 'loss > 100' leaves out all 9 rows. Choose rows that are there",),
        ("--where", "loss > 100"),
    ),
    "where leaves too few": Bad(
        GOOD,
        ("3 distinct points in N, D for the 5 parameters", "is 1e+07 in every run"),
        ("--where", "N < 2e7"),
    ),
    "where names no column": Bad(
        GOOD,
        ("where 'los < 4': there is no column 'los'; did you mean 'loss'? Write comparisons",),
        ("--where", "los < 4"),
    ),
    "where is no comparison": Bad(
        GOOD,
        ("'exit(0)' is not a comparison. Write comparisons such as",),
        ("--where", "exit(0)"),
    ),
    "unknown role": Bad(
        {"n": N, "D": D, "loss": LOSS},
        ("no column 'm' for params", "The columns are 'n', 'D', 'loss'"),
        ("--columns", "params=m"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", TABLES)
def test_bad_table(kind, form, refused, tmp_path):
    table, words, options = TABLES[kind]
    message = refused(save(table, tmp_path / f"runs.{form}"), *options)
    for word in words:
        assert word in message


@pytest.mark.parametrize("form", FORMATS)
def test_duplicate_rows(form, refused, tmp_path):
    table = {name: [*column, column[2]] for name, column in GOOD.items()}
    path = save(table, tmp_path / f"runs.{form}")
    message = refused(path)
    assert (
        f"{path}: 1 duplicate row: {place(form, 10)} repeats {place(form, 3)} (N = 1e+08,"
        in message
    )
    assert "Remove the copies. To go on all the same: --allow duplicate-rows" in message


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
def test_header_without_rows(form, refused, tmp_path):
    path = save({name: pyarrow.array([], "f8") for name in GOOD}, tmp_path / f"runs.{form}")
    assert f"{path}: the table has no rows. Give at least one run." in refused(path)


def test_rows_that_where_keeps_are_named_by_their_own_lines(refused, tmp_path):
    path = save({**GOOD, "D": [*D[:-1], 0]}, tmp_path / "runs.csv")
    assert f"{path}, line 10, column 'D': the value is 0" in refused(path, "--where", "N > 2e7")


def test_the_remedy_for_a_bad_cell_works(tmp_path):
    for cell in CELLS.values():
        path = save({**GOOD, "D": [cell.value, *D[1:]]}, tmp_path / "runs.csv")
        with pytest.raises(InputError, match="line 2, column 'D'") as error:
            Runs.read(path)
        words = str(error.value).partition("--where ")[2]
        if words:
            expression = words[1:].rpartition(words[0])[0]
            assert len(Runs.read(path, where=expression)) == 8


def test_all_problems_at_once_in_the_order_of_the_columns(refused, tmp_path):
    path = save(
        {"N": [0, "x", 1, 1], "D": [1, 1, None, 1], "loss": [1, 1, 1, -1]}, tmp_path / "a.csv"
    )
    lines = refused(path).rstrip().split("\n")
    assert [line.removeprefix("bayescale: ").split(": ")[0] for line in lines] == [
        f"{path}, line 2, column 'N'",
        f"{path}, line 3, column 'N'",
        f"{path}, line 4, column 'D'",
        f"{path}, line 5, column 'loss'",
    ]


def test_many_problems_are_counted(refused, tmp_path):
    path = save({"N": ["x"] * 1000, "D": D[:1] * 1000, "loss": ["y"] * 1000}, tmp_path / "runs.csv")
    lines = refused(path).rstrip().split("\n")
    assert len(lines) == 21
    assert lines[-1] == "... and 1980 more problems like these."


# Files that are no tables

HEADER = "N,D,loss\n"
ROW = "1e8,2e9,3.0\n"
RECORD = '{"N": 1e8, "D": 2e9, "loss": 3.0}'
FILES = {
    "empty.csv": ("", "the file is empty. Give a header and a row a run"),
    "blank.csv": ("\n \n\n", "the file is empty. Give a header"),
    "only commas.csv": (",,\n,,\n", "the file is empty. Give a header"),
    "empty.tsv": ("", "the file is empty. Give a header"),
    "empty.jsonl": ("", "the table has no rows. Give at least one run"),
    "empty.json": ("", "line 1, character 1: not valid JSON: Expecting value"),
    "empty.parquet": ("", "not a Parquet file that can be read"),
    "short row.csv": (
        HEADER + ROW + "1e8,2e9\n",
        "line 3: the row has 2 cells and the header 3 cells. Quote cells that contain",
    ),
    "long row.csv": (
        HEADER + ROW + "1,000,2e9,3\n",
        "line 3: the row has 4 cells and the header 3 cells. Quote cells that contain",
    ),
    "long row.tsv": (
        HEADER.replace(",", "\t") + "1\t2\t3\t4\n",
        "line 2: the row has 4 cells and the header 3 cells",
    ),
    "open quote.csv": (
        HEADER + ROW + '1e8,2e9,"3.0\n' + ROW * 3,
        "line 3: the row cannot be read: unexpected end of data. Close each quotation mark",
    ),
    "stray quote.csv": (
        HEADER + '"1e8"9,2e9,3.0\n' + ROW,
        "line 2: the row cannot be read: ',' expected after '\"'. Close each quotation mark",
    ),
    "huge cell.csv": (HEADER + "1" * 200_000 + ",2e9,3\n", "line 2: the row cannot be read: field"),
    "duplicate header.csv": (
        "N,D,loss,N\n" + "1,2,3,4\n",
        "line 1: the header names 'N' more than once. Rename or remove one of the columns",
    ),
    "no header.csv": (ROW * 2, "the first line of a file must name the columns"),
    "semicolons.csv": (
        "N;D;loss\n1e8;2e9;3,0\n",
        "line 1: the whole header is one cell, 'N;D;loss'. Separate cells by commas in a .csv",
    ),
    "commas.tsv": (HEADER + ROW, "line 1: the whole header is one cell, 'N,D,loss'. Separate"),
    "latin-1.csv": (
        (HEADER + ROW + "1e8,2e9,caf\xe9\n").encode("latin-1"),
        "line 3: byte 0xe9 is not UTF-8 text. Save the file as UTF-8",
    ),
    "utf-16.csv": (
        (HEADER + ROW).encode("utf-16"),
        "line 1: byte 0xff is not UTF-8 text. Save the",
    ),
    "latin-1.tsv": (b"N\tD\tloss\n\xb5", "line 2: byte 0xb5 is not UTF-8 text"),
    "latin-1.json": (b'[\n{"N\xe9": 1}]', "line 2: byte 0xe9 is not UTF-8 text"),
    "latin-1.jsonl": (RECORD.encode() + b"\n\xe9", "line 2: byte 0xe9 is not UTF-8 text"),
    "far.csv": (
        (HEADER + ROW * 50_000).encode() + b"\xff",
        "line 50002: byte 0xff is not UTF-8 text",
    ),
    "broken.json": (
        f"[{RECORD},\n {{'N': 1}}]",
        "line 2, character 3: not valid JSON: Expecting property name enclosed in double quotes. "
        "Correct the text there",
    ),
    "cut.json": (f"[{RECORD},", "not valid JSON"),
    "two values.json": (f"{RECORD}\n{RECORD}", "line 2, character 1: not valid JSON: Extra data"),
    "duplicate keys.json": (
        '[{"N": 1e8, "N": 2e8, "D": 2e9, "loss": 3}]',
        "the key 'N' stands twice in one object, with 100000000.0 and 200000000.0. Rename",
    ),
    "duplicate columns.json": ('{"N": [1], "N": [2]}', "the key 'N' stands twice in one object"),
    "number.json": ("3", "neither a list of objects nor an object of lists. Write [{"),
    "text.json": ('"runs"', "neither a list of objects nor an object of lists"),
    "null.json": ("null", "neither a list of objects nor an object of lists"),
    "nested.json": ('{"runs": {"N": [1]}}', "neither a list of objects nor an object of lists"),
    "object of nothing.json": ("{}", "the table has no columns. Give columns such as"),
    "list of nothing.json": ("[]", "the table has no rows. Give at least one run"),
    "list of numbers.json": ("[1, 2]", 'row 1: 1 is not an object. Write {"params"'),
    "lengths.json": (
        '{"N": [1, 2], "D": [1], "loss": [1]}',
        "the columns have different lengths: {'N': 2, 'D': 1, 'loss': 1}. Give one value for each",
    ),
    "deep.json": ("[" * 100_000, "it cannot be read as JSON: maximum recursion depth exceeded"),
    "digits.json": (
        f'[{{"N": {"9" * 5000}}}]',
        "it cannot be read as JSON: Exceeds the limit (4300 digits)",
    ),
    "bad line.jsonl": (
        f"{RECORD}\n\n{RECORD[:-1]}\n{RECORD}",
        "line 3, character 33: not valid JSON: Expecting ',' delimiter",
    ),
    "array line.jsonl": (f"{RECORD}\n[1, 2]", "line 2: [1, 2] is not an object. Write {"),
    "duplicate keys.jsonl": (
        f'{RECORD}\n{{"N": 1, "N": 2}}',
        "line 2: the key 'N' stands twice in one object, with 1 and 2. Rename",
    ),
    "missing key.jsonl": (
        f'{RECORD}\n{{"N": 1e8, "loss": 3}}',
        "line 2, column 'D': the cell is empty; tokens must be a number",
    ),
    "broken.parquet": (b"PAR1 and so on PAR1", "not a Parquet file that can be read"),
    "text.parquet": (HEADER + ROW, "not a Parquet file that can be read: Parquet magic bytes"),
    "runs.xlsx": (b"PK\x03\x04", "'.xlsx' is not a format that is read. Use one of .csv, .tsv"),
    "runs.csv.gz": (b"\x1f\x8b", "'.gz' is not a format that is read. Use one of .csv"),
    "runs": (HEADER + ROW, "its name has no ending that tells the format. Use one of .csv"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_file(name, refused, tmp_path):
    data, words = FILES[name]
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    message = refused(path)
    assert f"bayescale: {path}" in message
    assert words in message


def test_every_bad_line_is_named(refused, tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text(f'{RECORD}\n{{\n{RECORD}\n{{"N": 1, "N": 2}}\n')
    lines = refused(path).split("\n")
    assert f"{path}, line 2, character 2: not valid JSON" in lines[0]
    assert f"{path}, line 4: the key 'N' stands twice" in lines[1]


@pytest.mark.parametrize("cut", [1, 100, -1, -9])
def test_cut_parquet(cut, refused, tmp_path):
    path = save(GOOD, tmp_path / "runs.parquet")
    path.write_bytes(path.read_bytes()[:cut])
    assert "not a Parquet file that can be read: " in refused(path)


def test_parquet_of_which_bytes_were_changed(tmp_path):
    path = save({name: column * 50 for name, column in GOOD.items()}, tmp_path / "runs.parquet")
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(40):
        changed = bytearray(whole)
        for at in generator.integers(4, len(whole) - 4, 5):
            changed[at] ^= int(generator.integers(1, 256))
        path.write_bytes(changed)
        read_or_refuse(path)


def test_parquet_with_a_column_that_stands_twice(refused, tmp_path):
    path = tmp_path / "runs.parquet"
    column = pyarrow.array([1.0, 2.0])
    pyarrow.parquet.write_table(pyarrow.table([column] * 3, names=["N", "N", "loss"]), path)
    assert f"{path}: " in refused(path)


def test_missing_file(refused, tmp_path):
    path = tmp_path / "nothing.csv"
    assert f"{path}: there is no such file. Give the path of a table" in refused(path)


def test_folder(refused, tmp_path):
    path = tmp_path / "runs.csv"
    path.mkdir()
    assert f"{path}: it is a folder. Give the path of a table" in refused(path)


def test_path_that_no_system_takes(refused, tmp_path):
    path = tmp_path / f"{'x' * 5000}.csv"
    assert "Give the path of a table" in refused(path)


@pytest.mark.parametrize(
    "option", [("--columns", "loss=x"), ("--where", "N > 1"), ("--loss-unit", "bits/byte")]
)
def test_options_for_files_with_a_data_set(option, refused):
    message = refused("byte-sweep", *option)
    assert "byte-sweep: it is a data set of the package. Leave out --columns, " in message


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--columns", "loss"), "--columns: 'loss' is not ROLE=COLUMN. Write params=N"),
        (("--columns", "loss=a,loss=b"), "--columns: the role 'loss' stands twice. Write params=N"),
        (("--loss-unit", "nats"), "loss unit 'nats' is not known; use one of nats/token"),
        (
            ("--allow", "colinear"),
            "'colinear' is not a check; did you mean 'collinear'? Checks are",
        ),
    ],
)
def test_bad_option(option, words, capsys, monkeypatch, tmp_path):
    path = save(GOOD, tmp_path / "runs.csv")
    monkeypatch.setattr(sys, "argv", ["bayescale", "fit", str(path), "--quiet", *option])
    with pytest.raises(SystemExit, match=r"^2$"):
        main()
    out, err = capsys.readouterr()
    assert (out, err.count("bayescale: ")) == ("", 1)
    assert words in err


# The installed command


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "there is no such file. Give the path"),
        (
            HEADER + "1e8,7B,3\n",
            "line 2, column 'D': '7B' is not a number; tokens must be a number",
        ),
        (HEADER + ROW, "1 distinct points in N, D for the 5 parameters of the law 'chinchilla'"),
    ],
)
def test_installed_command(data, words, tmp_path):
    path = tmp_path / "runs.csv"
    if data:
        path.write_text(data)
    command = Path(sys.executable).with_name("bayescale")
    if not command.exists():
        pytest.skip("the command is not installed beside this Python")
    done = subprocess.run(
        [command, "fit", path, "--quiet"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert_one_message(done.stdout, done.stderr, path)
    assert words in done.stderr


# Anything at all becomes runs, or is refused


def read_or_refuse(source, **options):
    try:
        runs = Runs.read(source, **options)
    except InputError as error:
        refusal = error
    else:
        assert_valid(runs)
        return
    assert all(problem.what for problem in refusal.problems)
    assert str(refusal)


def assert_valid(runs):
    assert len(runs) > 0
    for column in (*runs.inputs.values(), runs.loss):
        assert column.dtype == np.float64
        assert column.shape == (len(runs),)
        assert np.isfinite(column).all()
        assert (column > 0).all()
    assert all(len(label) == len(runs) for label in runs.labels.values())
    assert runs.places[0]


NAMES = st.sampled_from(
    [
        "N",
        "D",
        "loss",
        "params",
        "val_loss",
        "tokens",
        "C",
        "loss_se",
        "seed",
        "run_id",
        "U",
        "x",
        "",
        " ",
    ]
)
POSITIVE = st.one_of(st.floats(1e-300, 1e300), st.integers(1, 2**63 - 1))
NUMBERS = st.one_of(
    POSITIVE,
    st.floats(),
    st.integers(),
    st.sampled_from([10**18, 2**63, 2**64, 10**400, -(10**400), -1, 0, 1e308, 5e-324]),
)
TEXTS = st.one_of(
    st.sampled_from(["1e26", "7B", "1,000", "nan", "-inf", "", "NA", "1e999", "true", "--1", "١"]),
    st.floats().map(str),
    st.text(max_size=8),
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.binary(max_size=4),
    st.decimals(),
    st.complex_numbers(),
    st.dates(),
    st.timedeltas(),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(
        [pandas.NA, pandas.NaT, np.float32(3), np.datetime64("NaT", "s"), np.bool_(True)]
    ),
)
COLUMNS = st.one_of(
    st.just(POSITIVE),
    st.just(POSITIVE),
    st.just(NUMBERS),
    st.just(st.one_of(NUMBERS, TEXTS)),
    st.just(st.one_of(NUMBERS, TEXTS, ODD)),
)
DTYPES = [
    "i1",
    "u1",
    "i8",
    "u8",
    "f2",
    "f4",
    "f8",
    "longdouble",
    "c16",
    "?",
    "m8[s]",
    "M8[s]",
    "U9",
    "S9",
]


@st.composite
def tables(draw):
    """A dict of columns: numbers of every kind, some with text or anything; some rows twice."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    if draw(st.booleans()):
        names = list(dict.fromkeys(["N", "D", "loss", *names]))
    rows = draw(st.integers(0, 5))
    repeat = draw(st.integers(1, 2))
    return {
        name: draw(st.lists(draw(COLUMNS), min_size=rows, max_size=rows)) * repeat for name in names
    }


def as_dtype(column, dtype):
    with np.errstate(all="ignore"):
        try:
            return np.asarray(column).astype(dtype)
        except (TypeError, ValueError, OverflowError, Warning):
            return np.arange(len(column)).astype("f8").astype(dtype)


def built(build, *arguments, **options):
    """A frame, or None where the data frame library itself refuses the cells."""
    try:
        return build(*arguments, **options)
    except Exception:  # the libraries' own errors are many
        return None


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tables(), st.data())
@example({"N": [10**18, math.nan], "D": [-1, math.inf], "loss": ["x", True]}, None)
def test_any_table_becomes_runs_or_is_refused(table, data):
    read_or_refuse(table)
    cells = [cell for column in table.values() for cell in column]
    plain = all(isinstance(cell, int | float | str | None) for cell in cells)
    for frame in (
        built(pandas.DataFrame, table),
        built(lambda: pandas.DataFrame(table).convert_dtypes()),
        # Polars panics on some cells that are no plain values.
        built(polars.DataFrame, table, strict=False) if plain else None,
        built(pyarrow.table, table),
    ):
        if frame is not None:
            read_or_refuse(frame)
    if data is not None:
        dtype = data.draw(st.sampled_from(DTYPES))
        read_or_refuse({name: as_dtype(column, dtype) for name, column in table.items()})
    with tempfile.TemporaryDirectory() as folder:
        for form in ("csv", "tsv", "json", "jsonl"):
            path = built(save, table, Path(folder) / f"runs.{form}")
            if path is not None:
                read_or_refuse(path)


PIECES = st.sampled_from(
    [*",;\t\n\"'{}[]:#", "\r\n", "N", "D", "loss", "1e8", "3", "null", " ", "\ufeff"]
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.binary(max_size=60), st.lists(PIECES, max_size=40).map(lambda s: "".join(s).encode())
    ),
    st.sampled_from(FORMATS),
)
def test_any_file_becomes_runs_or_is_refused(data, form):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"runs.{form}"
        for start in ("", HEADER + ROW, RECORD + "\n", f"[{RECORD}", '{"N": [1], "loss": [3]'):
            path.write_bytes(start.encode() + data)
            read_or_refuse(path)


WORDS = st.sampled_from(
    ["N", "D", "loss", "note", "`N`", "`no`", "None", "True", "1", "-1", "1e999", "1j", "'a'",
     "'1'", "''", "f'{N}'", "_column_0", "==", "!=", "<", "<=", ">", "in", "not", "and", "or",
     "is", "if", "else", "lambda", "for", ":=", "(", ")", "[", "]", ",", ":", "+", "-",
     "*", ".", "~", "`", "#", "\0", "\\", "\n"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(max_size=20)))
def test_any_expression_chooses_rows_or_is_refused(expression):
    from bayescale.runs.files import load

    table = load(
        {"N": [1, 2, 3], "D": [1, None, "3"], "loss": [1.0, 2.0, 3.0], "note": ["a", "", "1"]}
    )
    try:
        rows = select(table, expression)
    except InputError as error:
        refusal = str(error)
    else:
        assert (rows.dtype, rows.shape) == (bool, (3,))
        return
    assert "Write comparisons such as" in refusal


def test_a_decimal_and_a_date_are_told_apart():
    runs = Runs.read({"N": [Decimal("1e26")], "D": [1e9], "loss": [Decimal("2.5")]})
    assert (runs.N[0], runs.loss[0]) == (1e26, 2.5)
    with pytest.raises(InputError, match=r"datetime\.date\(2026, 1, 1\) is not a number"):
        Runs.read({"N": [datetime.date(2026, 1, 1)], "D": [1e9], "loss": [2.5]})
