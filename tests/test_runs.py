"""Runs: what is read, from where, and what is made of it."""

import csv
import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

from bayescale.errors import InputError
from bayescale.runs import ROLES, Runs, read_points
from bayescale.runs.catalogue import LAW_ROLES
from bayescale.runs.cells import NotANumberError, parse_number

TABLE = {
    "N": [10**18, 10**18 - 1, 2**53 + 1, 123_456_789_012_345_678, 7_000_000_000, 124_439_808],
    "D": [2**62 + 1, 999_999_999_999_999_999, 14 * 10**11, 3, 2**53 + 3, 10**9],
    "loss": [1.9372, 0.1 + 0.2, 2.5, 1 / 3, 3.0000000000000004, 4],
    "corpus": ["c4", "c4", "rpj, deduplicated", 'a "b"', "", "c4"],
}
SMALL = {"N": [1e8, 2e8, 4e8, 8e8], "D": [2e9, 4e9, 4e9, 2e9], "loss": [3.2, 3.0, 2.9, 2.95]}


def write_delimited(path, table, delimiter):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def records(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def write_parquet(path, table):
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    return path


SOURCES = {
    "dict of lists": lambda table, folder: table,
    "dict of arrays": lambda table, folder: {k: np.asarray(v) for k, v in table.items()},
    "pandas": lambda table, folder: pandas.DataFrame(table),
    "pandas, arrow": lambda table, folder: pandas.DataFrame(table).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "pandas, index": lambda table, folder: pandas.DataFrame(table).set_index(
        pandas.Index(range(100, 100 + len(table["N"])))
    ),
    "polars": lambda table, folder: polars.DataFrame(table),
    "pyarrow": lambda table, folder: pyarrow.table(table),
    "csv": lambda table, folder: write_delimited(folder / "runs.csv", table, ","),
    "CSV": lambda table, folder: str(write_delimited(folder / "RUNS.CSV", table, ",")),
    "tsv": lambda table, folder: write_delimited(folder / "runs.tsv", table, "\t"),
    "parquet": lambda table, folder: write_parquet(folder / "runs.parquet", table),
    "json records": lambda table, folder: write(
        folder / "records.json", json.dumps(records(table), indent=1)
    ),
    "json columns": lambda table, folder: write(folder / "columns.json", json.dumps(table)),
    "jsonl": lambda table, folder: write(
        folder / "runs.jsonl", "\n".join(json.dumps(r) for r in records(table)) + "\n"
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_bits(kind, tmp_path):
    runs = Runs.read(SOURCES[kind](TABLE, tmp_path))
    for symbol in ("N", "D"):
        assert runs[symbol].dtype == np.float64
        # float() of a Python integer is correctly rounded.
        assert runs[symbol].tolist() == [float(value) for value in TABLE[symbol]]
    assert runs.loss.tolist() == [float(value) for value in TABLE["loss"]]
    assert runs.labels["group"].tolist() == TABLE["corpus"]
    assert runs.columns == {"params": "N", "tokens": "D", "loss": "loss", "group": "corpus"}
    assert runs.data_hash == Runs.read(TABLE).data_hash


@pytest.mark.parametrize("kind", SOURCES)
def test_where_and_columns_work_on_every_source(kind, tmp_path):
    table = {"N": [1, 2, 3], "n_seen": [4, 5, 6], "val": [3.0, 2.5, 2.0], "ok": ["y", "n", "y"]}
    runs = Runs.read(
        SOURCES[kind](table, tmp_path), {"tokens": "n_seen", "loss": "val"}, where="ok == 'y'"
    )
    assert (runs.N.tolist(), runs.D.tolist(), runs.loss.tolist()) == ([1, 3], [4, 6], [3.0, 2.0])
    assert runs.n_left_out == 1


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u4", "u8", "i2", "longdouble", "O"])
def test_dtypes_become_float64(dtype):
    runs = Runs.read({**SMALL, "N": np.array([1, 2, 4, 30000], dtype=dtype)})
    assert runs.N.dtype == np.float64
    assert runs.N.tolist() == [1, 2, 4, 30000]


def test_big_integers_of_every_width():
    for dtype in (polars.Int64, polars.UInt64, polars.Int128):
        frame = polars.DataFrame({**SMALL, "N": polars.Series([10**18, 1, 2, 3], dtype=dtype)})
        assert Runs.read(frame).N[0] == 1e18
    assert Runs.read({**SMALL, "N": [10**30, 1, 2, 3]}).N[0] == 1e30


@pytest.mark.parametrize(
    "cell",
    [
        "1e26",
        "1E+26",
        "1.0e26",
        " 100000000000000000000000000 ",
        "+1.e26",
        b"1e26",
        10**26,
        1e26,
        Decimal("1e26"),
        Fraction(10**26),
        np.float64(1e26),
        np.array(1e26),
    ],
)
def test_spellings_of_one_number(cell):
    assert parse_number(cell) == 1e26


@pytest.mark.parametrize("spelled", ["1e26", "1E+26", "100000000000000000000000000"])
def test_spellings_of_one_number_in_files(spelled, tmp_path):
    delimited = write(tmp_path / "runs.csv", f"N,D,loss\n{spelled},1e9,3\n")
    plain = write(tmp_path / "runs.json", f'[{{"N": {spelled}, "D": 1e9, "loss": 3}}]')
    quoted = write(tmp_path / "quoted.json", f'[{{"N": "{spelled}", "D": "1e9", "loss": 3}}]')
    for source in (delimited, plain, quoted, {"N": [spelled], "D": [10**9], "loss": ["3"]}):
        assert Runs.read(source).N.tolist() == [1e26]


@pytest.mark.parametrize(
    ("cell", "message", "remedy"),
    [
        ("1,000", "'1,000' is not a number", "write 1000"),
        ("1_000_000", "'1_000_000' is not a number", "write 1000000"),
        ("7B", "'7B' is not a number", "write 7e9"),
        ("1.4 T", "'1.4 T' is not a number", "write 1.4e12"),
        ("0x10", "'0x10' is not a number", "write a plain number such as 1.4e12"),
        ("１２", "is not a number", "write a plain number such as 1.4e12"),
        ("∞", "'∞' is not a number", "write a plain number such as 1.4e12"),
        ("1e8; 2e8", "is not a number", "write a plain number such as 1.4e12"),
        (True, "True is a truth value, not a number", "write the number itself"),
        (1j, "1j is not a number", "write a plain number such as 1.4e12"),
        (np.complex128(1), r"\(1\+0j\) is not a number", "write a plain number such as 1.4e12"),
        (np.timedelta64(1, "ns"), "1 is not a number", "write a plain number such as 1.4e12"),
        ([1.0], r"\[1.0\] is not a number", "write a plain number such as 1.4e12"),
        (None, "the cell is empty", ""),
        (" ", "the cell is empty", ""),
        ("N/A", r"the cell is missing \('N/A'\)", ""),
        (pandas.NA, "the cell is empty", ""),
        ("x" * 500, r"^'x{56}\.\.\. is not a number$", "write a plain number such as 1.4e12"),
    ],
)
def test_cells_that_are_no_numbers(cell, message, remedy):
    with pytest.raises(NotANumberError, match=message) as error:
        parse_number(cell)
    assert error.value.remedy == remedy


def test_masked_cells_are_missing():
    with pytest.raises(InputError, match="row 1, column 'N': the cell is empty"):
        Runs.read({**SMALL, "N": np.ma.array([1.0, 2, 3, 4], mask=[0, 1, 0, 0])})


# Columns


@pytest.mark.parametrize(
    ("role", "spelling"), [(r.name, s) for r in ROLES.values() for s in r.spellings]
)
def test_spellings_are_recognised(role, spelling):
    response = {"accuracy": role, "items": "error"}.get(role, "loss" if role != "error" else role)
    table = {"params": [1.0, 2.0], "tokens": [3.0, 4.0], response: [0.5, 0.6]}
    table = {name: column for name, column in table.items() if name != role}
    domain = ROLES[role].domain
    values = [7.0, 8.0] if domain.high > 8 else [0.2, 0.4]
    runs = Runs.read({**table, spelling: values})
    if role in LAW_ROLES:
        assert role not in runs.columns  # it is looked for when a law needs it
        runs = runs.with_inputs([ROLES[role].symbol])
    assert runs.columns[role] == spelling


@pytest.mark.parametrize("name", ["N_params", "num params", "Model.Size", "PARAMETERS", "nParams"])
def test_case_and_punctuation_do_not_matter(name):
    assert Runs.read({name: [1.0], "D": [2.0], "loss": [3.0]}).columns["params"] == name


def test_header_is_stripped_and_byte_order_mark_dropped(tmp_path):
    path = write(
        tmp_path / "runs.csv", "\ufeffN , D,loss \r\n 1e8, 2e9 ,3\r\n\r\n,,\r\n2e8,4e9,2\r\n"
    )
    runs = Runs.read(path)
    assert (runs.N.tolist(), runs.places) == ([1e8, 2e8], ("line 2", "line 5"))


def test_a_column_can_be_named():
    table = {"n": [1.0], "N": [2.0], "D": [3.0], "loss": [4.0], "val_loss": [5.0]}
    runs = Runs.read(table, columns={"params": "n", "loss": "val_loss"})
    assert (runs.N.tolist(), runs.loss.tolist()) == ([1.0], [5.0])


def test_ambiguous_columns_are_refused():
    table = {"N": [1.0], "n_params": [2.0], "D": [3.0], "loss": [4.0]}
    match = "'N' and 'n_params' could each hold params .* Choose with --columns params=N"
    with pytest.raises(InputError, match=match):
        Runs.read(table)
    assert Runs.read(table, {"params": "n_params"}).N.tolist() == [2.0]


def test_the_name_of_the_role_wins():
    table = {**SMALL, "val_loss": [9.0] * 4}
    assert Runs.read(table).columns["loss"] == "loss"


def test_an_empty_name_leaves_a_role_out():
    table = {**SMALL, "flops": ["A100"] * 4, "id": [1, 1, 1, 1]}
    with pytest.raises(InputError, match=r"column 'flops': 'A100' .* with --columns flops=\."):
        Runs.read(table)
    runs = Runs.read(table, columns={"flops": "", "run_id": None})
    assert set(runs.inputs) == {"N", "D"}
    assert runs.labels == {}
    assert runs.flops_per_parameter_token == 6
    np.testing.assert_array_equal(runs.C, 6 * runs.N * runs.D)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"param": "N"}, "'param' is not a role; did you mean 'params'"),
        ({"N": "N"}, "'N' is not a role; did you mean 'params'"),
        ({"D": "N"}, "'D' is not a role; did you mean 'tokens'"),
        ({1: "N"}, "'1' is not a role. Roles are params, tokens, flops"),
        ({"loss": "los"}, "no column 'los' for loss; did you mean 'loss'.* 'N', 'D', 'loss'"),
        ({"loss": 7}, "no column '7' for loss"),
        ({"params": "a", "tokens": "b"}, "no column 'a' for params(.|\n)*no column 'b' for tokens"),
        ("params=N", r"'params=N', which maps no roles to columns. Write columns=\{"),
        (["N"], "which maps no roles to columns"),
    ],
)
def test_bad_columns(columns, match):
    with pytest.raises(InputError, match=match):
        Runs.read(SMALL, columns)


def test_numbered_columns_of_a_data_frame():
    frame = pandas.DataFrame([[1e8, 3.0, 2e9], [2e8, 2.9, 4e9]])
    runs = Runs.read(frame, {"params": 0, "loss": "1", "tokens": 2})
    assert (runs.N.tolist(), runs.D.tolist()) == ([1e8, 2e8], [2e9, 4e9])


def test_missing_roles_are_named_with_the_nearest_column():
    with pytest.raises(
        InputError, match=r"no column holds loss .* did you mean 'lss'.*loss=COLUMN"
    ):
        Runs.read({"N": [1.0], "D": [2.0], "lss": [3.0]})
    runs = Runs.read({"N": [1.0], "tokns": [2.0], "loss": [3.0]})
    with pytest.raises(InputError, match=r"no column holds tokens .* did you mean 'tokns'\? Name"):
        runs.D  # noqa: B018
    with pytest.raises(InputError, match=r"no column holds params .* did you mean 'size'"):
        Runs.read({"size": [1.0], "loss": [3.0]}).N  # noqa: B018
    with pytest.raises(InputError, match=r"holds loss(.|\n)*holds params"):
        Runs.read({"a": [1.0]})


def test_taken_columns_are_not_suggested():
    with pytest.raises(InputError, match=r"no column holds loss \(final loss of the run\)\. Name"):
        Runs.read({"N": [1.0], "flops": [2.0]})


@pytest.mark.parametrize("symbol", ["loss", "group", "z", "M"])
def test_only_inputs_are_inputs(symbol):
    with pytest.raises(InputError, match=f"there is no column '{symbol}' for {symbol}"):
        Runs.read(SMALL).with_x(symbol)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (None, "NoneType is not a table of runs"),
        ([SMALL], "list is not a table of runs. Give a path, a dict of columns, or a pandas"),
        (np.ones((3, 3)), "ndarray is not a table"),
        (polars.LazyFrame(SMALL), "LazyFrame is not a table"),
        ({}, "the table has no columns. Give columns such as"),
        ({"N": [], "D": [], "loss": []}, "runs: the table has no rows. Give at least one run"),
        ({**SMALL, "D": [1.0]}, r"the columns have different lengths: \{'N': 4, 'D': 1, 'loss'"),
        ({**SMALL, "D": 1.0}, "column 'D': it is 1.0. Give a list or an array"),
        ({**SMALL, "D": "abcd"}, "column 'D': it is 'abcd'. Give a list or an array"),
        ({**SMALL, "D": np.ones((4, 2))}, r"column 'D': it has shape \(4, 2\)"),
        ({**SMALL, 1: [1] * 4, "1": [2] * 4}, "names '1' more than once"),
        (pandas.DataFrame([[1, 2]], columns=["N", "N"]), "'N' 2 times. Rename or remove one"),
        (
            pyarrow.Table.from_arrays([pyarrow.array([1.0])] * 2, names=["loss", "loss"]),
            "'loss' 2 times. Rename or remove one",
        ),
    ],
)
def test_what_is_no_table(source, match):
    with pytest.raises(InputError, match=match):
        Runs.read(source)


def test_unknown_loss_unit():
    with pytest.raises(InputError, match="loss unit 'nats' is not known"):
        Runs.read(SMALL, loss_unit="nats")


# where

CHOICES = {
    "N": [1, 2, 3, 4],
    "D": [5, 6, 7, 8],
    "loss": [4.0, 3.0, 2.0, 1.0],
    "text": ["a", " b", "c4", "1"],
    "number text": ["1", "2", "", "none"],
    "flag": ["True", "false", "TRUE", "False"],
    "truth": [True, False, None, True],
    "big": [1, 2, 3, 10**30],
    "class": [0, 0, 1, 1],
    "unset": [None] * 4,
}


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("N == 2", [2]),
        ("N != 2", [1, 3, 4]),
        ("loss < 3", [3, 4]),
        ("loss <= 3", [2, 3, 4]),
        ("3 < loss", [1]),
        ("loss >= 3.0", [1, 2]),
        ("1 < N <= 3", [2, 3]),
        ("N > -1", [1, 2, 3, 4]),
        ("N == 1 or N == 4", [1, 4]),
        ("N > 1 and loss > 1.5", [2, 3]),
        ("not N == 1", [2, 3, 4]),
        ("not (N == 1 or N == 2) and D < 8", [3]),
        ("N in [1, 3]", [1, 3]),
        ("N not in (1, 3)", [2, 4]),
        ("text in ['b', 'c4']", [2, 3]),
        ("text == 'b'", [2]),
        ("text != 'b'", [1, 3, 4]),
        ("text == '1'", [4]),
        ("text == 1", [4]),
        ("`number text` == 2", [2]),
        ("`number text` == '2'", [2]),
        ("`number text` != '2'", [1, 3, 4]),
        ("`number text` < 2", [1]),
        ("`number text` == ''", [3]),
        ("`number text` == 'none'", [4]),
        ("flag == True", [1, 3]),
        ("flag == 'false'", [2, 4]),
        ("truth == True", [1, 4]),
        ("truth == 'false'", [2]),
        ("big == 1000000000000000000000000000000", [4]),
        (f"big < {'9' * 400}", [1, 2, 3, 4]),
        ("`class` == 1", [3, 4]),
        ("unset == ''", [1, 2, 3, 4]),
        ("D == N", []),
        ("D > N", [1, 2, 3, 4]),
        ("unset == 1", []),
        ("N in []", []),
        ("text == 'a`N`'", []),
    ],
)
def test_where_keeps(expression, kept):
    if kept:
        runs = Runs.read(CHOICES, where=expression)
        assert (runs.N.tolist(), runs.n_left_out) == (kept, 4 - len(kept))
    else:
        with pytest.raises(InputError, match=r"leaves out all 4 rows\. Choose rows that are there"):
            Runs.read(CHOICES, where=expression)


def test_where_chooses_alike_from_text_and_from_numbers(tmp_path):
    path = write_delimited(tmp_path / "runs.csv", {**SMALL, "seed": [1, 2, 1, 2]}, ",")
    for expression in ("seed == 1", "seed == '1'", "seed != 2", "seed in [1.0]"):
        assert Runs.read(path, where=expression).N.tolist() == [1e8, 4e8]


@pytest.mark.parametrize(
    ("expression", "match"),
    [
        ("nn == 1", "there is no column 'nn'; did you mean 'N'"),
        ("los < 3", "there is no column 'los'; did you mean 'loss'"),
        ("`flags` == 1", "there is no column 'flags'; did you mean 'flag'"),
        ("text < 'b'", "'a' in row 0 is text, which has no order: use == or !="),
        ("text < 3", "'a' in row 0 is text, which has no order"),
        ("N < 'abc'", "'abc' is text, which has no order"),
        ("N ==", "it cannot be read. Write comparisons such as"),
        ("   ", "it cannot be read"),
        ("N = 1", "it cannot be read"),
        ("N == 1; D == 2", "it cannot be read"),
        ("class == 1", "it cannot be read. .* backquotes"),
        ("N == '\\ud800' + \0", "it cannot be read"),
        ("(" * 500 + "N" + ")" * 500 + " == 1", "it cannot be read"),
        ("not " * 5000 + "N == 1", "it cannot be read"),
        ("N", "'N' is not a comparison"),
        ("True", "'True' is not a comparison"),
        ("N is 1", "only == != < <= > >= in and not in are known"),
        ("N in D", "'D' is not a list"),
        ("N + 1 == 2", r"'N \+ 1' is neither a column nor a value"),
        ("`number text` + 1 == 2", r"'`number text` \+ 1' is neither a column nor a value"),
        ("-N < 1", "'-N' is neither a column nor a value"),
        ("-'a' == N", "is neither a column nor a value"),
        ("N == None", "'None' is neither a column nor a value"),
        ("N == 1j", "'1j' is neither"),
    ],
)
def test_where_that_cannot_be_used(expression, match):
    with pytest.raises(InputError, match=match) as error:
        Runs.read(CHOICES, where=expression)
    assert str(error.value).startswith("runs, where ")


@pytest.mark.parametrize(
    "expression",
    [
        "open(r'{path}', 'w') == 1",
        "open(r'{path}', 'w')",
        "N == open(r'{path}', 'w')",
        "N in [open(r'{path}', 'w')]",
        "__import__('pathlib').Path(r'{path}').touch() == None",
        "[open(r'{path}', 'w') for _ in N] == 1",
        "(lambda: open(r'{path}', 'w'))() == 1",
        'f\'{{open(r"{path}", "w")}}\' == text',
        "N.__class__ == 1",
        "N[0] == 1",
        "(N := 3) == 1",
        "N == 1 if open(r'{path}', 'w') else 0",
        "not open(r'{path}', 'w')",
        "`N`.tofile(r'{path}') == 1",
    ],
)
def test_where_runs_no_code(expression, tmp_path):
    path = tmp_path / "made"
    with pytest.raises(InputError, match=r"neither a column nor a value|is not a comparison"):
        Runs.read(CHOICES, where=expression.format(path=path))
    assert not path.exists()


# What runs are


def test_standard_errors_and_labels():
    table = {
        **SMALL,
        "loss_se": [0, 0.1, 0.2, 0.0],
        "seed": [1.0, np.nan, 2, 2],
        "run": [" a", "", None, "b"],
    }
    runs = Runs.read(table)
    np.testing.assert_array_equal(runs.loss_se, [0, 0.1, 0.2, 0])
    np.testing.assert_allclose(runs.relative_se, np.array([0, 0.1, 0.2, 0]) / SMALL["loss"])
    assert runs.labels["seed"].tolist() == ["1", "", "2", "2"]
    assert runs.labels["run_id"].tolist() == ["a", "", "", "b"]
    assert Runs.read(SMALL).relative_se.tolist() == [0.0] * 4
    with pytest.raises(
        InputError, match=r"row 1, column 'loss_se': the value is -0\.1; .* 0 or more"
    ):
        Runs.read({**SMALL, "loss_se": [0, -0.1, 0, 0]})


def test_with_x():
    runs = Runs.read(SMALL)
    np.testing.assert_array_equal(runs.with_x("N")["x"], runs.N)
    np.testing.assert_array_equal(runs.with_x("tokens")["x"], runs.D)
    np.testing.assert_array_equal(runs.with_x("flops")["x"], 6 * runs.N * runs.D)
    assert "x" not in runs.inputs
    with pytest.raises(InputError, match="no column holds unique_tokens"):
        runs.with_x("U")


def test_in_unit():
    runs = Runs.read({**SMALL, "loss_se": [0.1] * 4}, loss_unit="nats/token")
    bits = runs.in_unit("bits/byte", bytes_per_token=4)
    np.testing.assert_allclose(bits.loss, runs.loss / np.log(2) / 4, rtol=1e-14)
    np.testing.assert_allclose(bits.relative_se, runs.relative_se, rtol=1e-14)
    assert (bits.loss_unit, runs.loss_unit) == ("bits/byte", "nats/token")
    np.testing.assert_allclose(bits.in_unit("nats/token", 4).loss, runs.loss, rtol=1e-14)
    with pytest.raises(InputError, match="bytes_per_token must be a positive number; it is None"):
        runs.in_unit("bits/byte")


def test_runs_hold_their_inputs():
    runs = Runs.read(SMALL)
    assert "N" in runs
    assert "C" in runs
    assert "loss" not in runs
    assert runs["C"].tolist() == (6 * runs.N * runs.D).tolist()


@pytest.mark.parametrize(
    ("rows", "kept"),
    [([2, 0], [2, 0]), (slice(1, 3), [1, 2]), ([True, False, False, True], [0, 3]), (-1, [3])],
)
def test_take(rows, kept, tmp_path):
    table = {**SMALL, "loss_se": [0.1, 0.2, 0.3, 0.4], "seed": [5, 6, 7, 8]}
    runs = Runs.read(write_delimited(tmp_path / "runs.csv", table, ","))
    taken = runs.take(rows)
    assert taken.N.tolist() == [SMALL["N"][i] for i in kept]
    assert taken.loss.tolist() == [SMALL["loss"][i] for i in kept]
    assert taken.loss_se.tolist() == [table["loss_se"][i] for i in kept]
    assert taken.labels["seed"].tolist() == [str(table["seed"][i]) for i in kept]
    assert taken.places == tuple(f"line {i + 2}" for i in kept)
    assert len(taken) == len(kept)
    assert len(runs) == 4


def test_data_hash_sees_the_numbers_and_nothing_else():
    runs = Runs.read(SMALL)
    same = [
        Runs.read({"val_loss": SMALL["loss"], "tokens": SMALL["D"], "params": SMALL["N"]}),
        Runs.read({**SMALL, "seed": [1, 2, 3, 4], "note": ["x"] * 4}),
        Runs.read({**SMALL, "loss_se": [0] * 4}),
        runs.take(slice(None)),
    ]
    other = [
        Runs.read({**SMALL, "loss": [3.2, 3.0, 2.9, np.nextafter(2.95, 3)]}),
        Runs.read({**SMALL, "loss_se": [0, 0, 0, 0.1]}),
        Runs.read({**SMALL, "N": SMALL["D"], "D": SMALL["N"]}),
        Runs.read({**SMALL, "flops": [1e18] * 4}),
        runs.take([1, 0, 2, 3]),
        runs.take([0, 1, 2]),
    ]
    assert {r.data_hash for r in same} == {runs.data_hash}
    assert len({r.data_hash for r in [runs, *other]}) == 7
    assert len(bytes.fromhex(runs.data_hash)) == 32


def test_flops_per_parameter_token():
    N, D = np.array(SMALL["N"]), np.array(SMALL["D"])
    assert Runs.read(SMALL).flops_per_parameter_token == 6
    assert Runs.read({**SMALL, "C": 6 * N * D * (1 + 1e-9)}).flops_per_parameter_token == 6
    k = np.array([6.0, 7.0, 8.0, 9.0])
    runs = Runs.read({**SMALL, "C": k * N * D})
    assert runs.flops_per_parameter_token == pytest.approx(np.prod(k) ** 0.25, rel=1e-14)
    np.testing.assert_array_equal(runs.C, k * N * D)
    assert Runs.read({"N": [1.0], "loss": [2.0]}).flops_per_parameter_token == 6


# describe


def test_describe_ranges_and_design():
    loss = [3.5, 3.2, 3 * np.exp(0.01), 3 * np.exp(-0.01)]
    runs = Runs.read(
        {"size": [1e6, 1e7, 1e8, 1e8], "D": [1e9, 1e10, 1e9, 1e9], "loss": loss}, {"params": "size"}
    )
    d = runs.describe()
    decades = {symbol: r.decades for symbol, r in d.ranges.items()}
    assert decades == pytest.approx(
        {"N": 2, "D": 1, "C": 2, "M": 2, "loss": np.log10(3.5 / (3 * np.exp(-0.01)))}
    )
    assert {symbol: r.distinct for symbol, r in d.ranges.items()} == {
        "N": 3, "D": 2, "C": 2, "M": 2, "loss": 4
    }  # fmt: skip
    assert {symbol: r.column for symbol, r in d.ranges.items()} == {
        "N": "size", "D": "D", "C": "6ND", "M": "D/N", "loss": "loss"
    }  # fmt: skip
    assert (d.ranges["C"].smallest, d.ranges["C"].largest) == pytest.approx((6e15, 6e17))
    # By hand: covariance -1/4, variances 11/4, 3/4 of log10 N = 6, 7, 8, 8, log10 D = 9, 10, 9, 9.
    assert d.correlation == pytest.approx(-0.25 / np.sqrt(11 / 4 * 3 / 4))
    assert (d.n_runs, d.n_left_out, d.duplicate_rows) == (4, 0, 0)
    # Two runs at +-0.01 of one point: sample sd 0.01 * sqrt(2).
    assert d.replicated_points == 1
    assert d.replicate_sd == pytest.approx(0.01 * np.sqrt(2))
    assert (d.flops_per_parameter_token, d.flops_deviation) == (6, pytest.approx(0, abs=1e-15))
    assert str(runs.describe()) == repr(runs)
    assert json.loads(json.dumps(d.to_json()))["ranges"]["N"]["decades"] == pytest.approx(2)


def test_describe_counts_what_is_suspicious():
    table = {
        "N": [1e8, 1e8, 2e8, 2e8, 3e8],
        "D": [1e9, 1e9, 2e9, 2e9, 3e9],
        "loss": [3.0, 3.0, 2.9, 2.9, 2.8],
        "seed": [0, 0, 0, 1, 0],
        "run_id": ["a", "a", "b", "c", ""],
        "corpus": ["c4", "c4", "rpj", "c4", "c4"],
        "dropped": [0, 0, 0, 0, 1],
    }
    d = Runs.read(table, where="dropped == 0").describe()
    assert (d.n_runs, d.n_left_out) == (4, 1)
    assert d.duplicate_rows == 1  # the rows of 2e8 differ in their seed
    assert d.rows_of_one_run == {"a": 2}
    assert d.groups == {"c4": 3, "rpj": 1}
    notes = "\n".join(d.notes)
    for words in (
        "N spans 0.30 decades: less than one makes its exponent uncertain",
        "the correlation of log N and log D is 1.000 (near 1: N and D are hard to tell apart)",
        "2 points have several runs",
        "1 rows repeat another in inputs, loss and labels",
        "1 runs have several rows (checkpoints?), which are not independent",
        "groups: c4 3, rpj 1",
    ):
        assert words in notes
    assert "4 runs (1 left out) from runs; loss in nats/token" in str(d)


def test_describe_compares_flops():
    N, D = np.array(SMALL["N"]), np.array(SMALL["D"])
    d = Runs.read({**SMALL, "flops": N * D * [6, 6, 6, 12]}).describe()
    assert d.ranges["C"].column == "flops"
    assert d.flops_per_parameter_token == pytest.approx(6 * 2**0.25)
    assert d.flops_deviation == pytest.approx(2**0.75 - 1)
    assert any(
        "C / (N D) is 7.14 on average and differs from that by up to 68%" in n for n in d.notes
    )


@pytest.mark.parametrize(
    "table",
    [
        {"N": [1e8], "D": [2e9], "loss": [3.0]},
        {"x": [1e8, 2e8], "loss": [3.0, 2.0]},
        {"N": [1e8, 2e8], "D": [2e9, 2e9], "loss": [3.0, 2.0]},
        {"N": [2.0**53, 2.0**53 + 2], "D": [1e9, 2e9], "loss": [3.0, 2.0]},
        {"x": [1e-300, 1e300], "loss": [3.0, 2.0]},
        {"flops": [1e18], "loss": [3.0]},
    ],
)
def test_describe_of_small_tables(table):
    d = Runs.read(table).describe()
    assert d.correlation is None
    assert np.isfinite([r.decades for r in d.ranges.values()]).all()


# read_points


def test_points_need_no_loss(tmp_path):
    table = {"params": [7e9, 1e9], "tokens": [1e12, 2e12], "name": ["a", "b"]}
    points = read_points(write_delimited(tmp_path / "points.csv", table, ","), ["D", "N"])
    assert list(points) == ["D", "N"]
    assert (points["N"].tolist(), points["D"].tolist()) == ([7e9, 1e9], [1e12, 2e12])
    assert read_points(table, ["N"], where="name == 'b'")["N"].tolist() == [1e9]
    assert read_points({"size": [1.0]}, ["N"], {"params": "size"})["N"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"N": [1e9]}, "no column holds tokens"),
        ({"N": [1e9], "tokns": [1e9]}, "did you mean 'tokns'"),
        ({"N": [1e9, 0], "D": [1e9, 1e9]}, "row 1, column 'N': the value is 0"),
        ({"N": [], "D": []}, "the table has no rows"),
    ],
)
def test_bad_points(table, match):
    with pytest.raises(InputError, match=match):
        read_points(table, ["N", "D"])


def test_a_file_with_too_many_rows_is_refused(tmp_path):
    from bayescale.runs.text import read_delimited

    path = tmp_path / "runs.csv"
    path.write_text("N,D,loss\n" + "1e8,1e9,3.0\n" * 5)
    assert len(read_delimited(path, ",", 5)[1]) == 5
    with pytest.raises(InputError, match="more than 4 rows"):
        read_delimited(path, ",", 4)
