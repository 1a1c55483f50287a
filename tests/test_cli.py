"""The command line: results on standard output, exit codes, JSON, tables, files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bayescale
from bayescale.cli.main import main
from conftest import synthetic_posterior

COLUMNS = "params=size,tokens=seen,loss=ppl"


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bayescale", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    return call


@pytest.fixture(scope="session")
def saved(fit, tmp_path_factory):
    return fit.save(tmp_path_factory.mktemp("fits") / "fit.nc")


def test_fit_predict_and_allocate_a_file_with_odd_column_names(run, csv, tmp_path):
    path = tmp_path / "fit.nc"
    code, out, _ = run("fit", csv, "--columns", COLUMNS, "-o", path, "--seed", 1, "--json")
    result = json.loads(out)
    assert code == 0
    assert set(result["parameters"]) == {"E", "A", "B", "alpha", "beta", "sigma", "nu"}
    assert set(result["parameters"]["E"]) == {"median", "lower", "upper", "mean", "sd"}
    assert set(result["derived"]) == {"a", "b"}
    assert {"law", "noise", "n_runs", "level", "diagnostics", "seconds", "path"} <= set(result)
    diagnostics = {"verdict", "codes", "rhat_max", "ess_bulk_min", "ess_tail_min", "divergences"}
    assert diagnostics <= set(result["diagnostics"])
    assert result["seconds"]["sampling"] < result["seconds"]["total"]
    assert result["path"] == str(path)
    assert result["n_runs"] == 48

    code, out, _ = run("predict", path, "--params", "70e9", "--tokens", "1.4e12", "--json")
    (point,) = json.loads(out)["points"]
    assert code == 0
    assert {"N", "D", "kind", "median", "lower", "upper", "decades_beyond"} <= set(point)
    assert point["kind"] == "run"
    assert point["lower"] < point["median"] < point["upper"]

    code, out, _ = run("allocate", path, "--flops", "5.76e23", "--json")
    (budget,) = json.loads(out)["budgets"]
    assert code == 0
    assert {"C", "N", "D", "tokens_per_parameter", "loss", "decades_beyond"} < set(budget)
    assert budget["C"] == 5.76e23


def test_the_command_line_gives_what_the_library_gives(run, saved, fit):
    _, out, _ = run(
        "predict", saved, "--params", "1e10", "--tokens", "2e11", "--kind", "law", "--json"
    )
    interval = bayescale.predict(fit, 1e10, 2e11, kind="law").intervals[0]
    assert json.loads(out)["points"][0]["median"] == interval.median


@pytest.mark.parametrize("spelling", ["1e26", "1E+26", "1" + "0" * 26])
def test_one_number_has_many_spellings(run, saved, spelling):
    _, out, _ = run("allocate", saved, "--flops", spelling, "--json")
    assert json.loads(out)["budgets"][0]["C"] == 1e26


def test_points_from_a_table_keep_their_order(run, saved, tmp_path):
    points = tmp_path / "points.csv"
    points.write_text("name,N,D\nb,2e9,4e10\na,1e9,100000000000000000000000000\n")
    code, out, _ = run("predict", saved, "--runs", points, "--json")
    rows = json.loads(out)["points"]
    assert code == 0
    assert [row["N"] for row in rows] == [2e9, 1e9]
    assert rows[1]["D"] == 1e26


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_tables_for_papers(run, saved, csv, form):
    rule = {"markdown": "| --- |", "latex": r"\toprule"}[form]
    for words in (
        ["predict", saved, "--params", "1e10,2e10", "--tokens", "2e11", "--table", form],
        ["allocate", saved, "--flops", "1e22", "--flops", "1e23", "--table", form],
        ["fit", csv, "--columns", COLUMNS, "--table", form, "--quiet"],
    ):
        code, out, _ = run(*words)
        assert code == 0
        assert rule in out
        assert "48 runs" in out
        assert "90" in out


def test_json_is_alone_on_standard_output(run, saved):
    _, out, err = run("allocate", saved, "--flops", "1e30", "--json")
    json.loads(out)
    assert err == ""
    _, out, err = run("allocate", saved, "--flops", "1e30")
    assert "warn: extrapolation" in err
    assert "warn" not in out


def test_plots_are_asked_for(run, csv, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "bayescale.plots.save_plots", lambda *words, **more: asked.append((*words, more))
    )
    code, _, _ = run("fit", csv, "--columns", COLUMNS, "--plots", tmp_path, "--level", "0.8", "-q",
                     "--compare-to", "hoffmann-2022")  # fmt: skip
    assert code == 0
    ((posterior, folder, level, more),) = asked
    assert (len(posterior.runs), folder, level) == (48, tmp_path, 0.8)
    assert [other.fit.key for other in more["compare_to"]] == ["hoffmann-2022"]


def test_a_failed_fit_gives_no_answer_and_exit_code_4(run, runs, tmp_path, monkeypatch):
    everything = np.ones((4, 250), bool)
    failed = synthetic_posterior(runs, diverging=everything)
    path = failed.save(tmp_path / "failed.nc")
    for words in (
        ["allocate", path, "--flops", "1e23"],
        ["predict", path, "--params", 1e9, "--tokens", 1e10],
    ):
        code, out, err = run(*words)
        assert code == 4
        assert out == ""
        assert "1000 of 1000 transitions diverged" in err
        assert run(*words, "--allow", "failed-sampling")[0] == 0
    monkeypatch.setattr("bayescale.fitting.fit", lambda *_, **__: failed)
    code, out, _ = run("fit", "byte-sweep", "--json")
    assert code == 4
    assert json.loads(out)["diagnostics"]["verdict"] == "failed"


def test_strict_turns_warnings_into_exit_code_3(run, runs, monkeypatch):
    few = np.zeros((4, 250), bool)
    few[0, :3] = True
    monkeypatch.setattr(
        "bayescale.fitting.fit", lambda *_, **__: synthetic_posterior(runs, diverging=few)
    )
    assert run("fit", "byte-sweep", "-q")[0] == 0
    assert run("fit", "byte-sweep", "-q", "--strict")[0] == 3


def test_describe(run, csv):
    code, out, _ = run("describe", csv, "--columns", COLUMNS, "--json")
    described = json.loads(out)
    assert code == 0
    assert described["n_runs"] == 48
    assert described["ranges"]["N"]["column"] == "size"
    assert "48 runs" in run("describe", csv, "--columns", COLUMNS)[1]


def test_laws(run):
    code, out, _ = run("laws", "--json")
    laws = json.loads(out)
    assert code == 0
    assert [law["name"] for law in laws] == list(bayescale.laws.LAWS)
    assert {"name", "equation", "inputs", "response", "source", "published"} <= set(laws[0])
    _, out, _ = run("laws", "chinchilla")
    assert "in forecasts LogNormal(median 0.3, sd of log 0.25) in (0.05, 1.2)" in out
    assert "besiroglu-2024" in out
    assert "LogNormal(median 0.3" in out
    code, _, err = run("laws", "chinchila")
    assert code == 2
    assert "'chinchila' is not a law" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "{fit}", "--params", "1e9"], "D: it is missing"),
        (["predict", "{fit}", "--params", "7B", "--tokens", "1e12"], "Write 7e9"),
        (["predict", "{fit}", "--params", "-1", "--tokens", "1e12"], "above 0"),
        (["predict", "{fit}", "--params", "1e9", "--tokens", "1e12", "--level", "90"], "write 0.9|Write 0.9"),
        (["predict", "{fit}", "--params", "1e9", "--runs", "x.csv"], "not both"),
        (["predict", "missing.nc", "--params", "1e9"], "no such file"),
        (["allocate", "{fit}", "--flops", "0"], "above 0"),
        (["allocate", "{fit}", "--flops", "1e23", "--allow", "everything"], "failed-sampling"),
        (["fit", "{csv}", "--columns", COLUMNS, "--law", "chinchila"], "is not a law"),
        (["fit", "{csv}", "--columns", "params"], "not ROLE=COLUMN"),
        (["fit", "{csv}", "--level", "0"], "mass of an interval"),
    ],
)  # fmt: skip
def test_bad_requests_are_one_message_and_exit_code_2(run, saved, csv, words, message):
    import re

    code, out, err = run(*(w.format(fit=saved, csv=csv) for w in words))
    assert code == 2
    assert out == ""
    assert re.search(message, err)
    assert "Traceback" not in err


def test_text_cannot_command_a_terminal(run, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("params,tokens,loss,group\n1e8,1e9,3.1,\x1b[31mred\n2e8,1e10,2.9,b\n")
    _, out, _ = run("describe", path)
    assert "\x1b" not in out


def test_help_shows_an_example(run):
    from bayescale.cli.main import COMMANDS

    for command in (c.NAME for c in COMMANDS):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert f"bayescale {command}" in out.split("Example:")[1]


def test_the_installed_command(saved):
    """One process, as a user starts it: colourless and silent beside its result in a pipe."""
    command = Path(sys.executable).with_name("bayescale")
    done = subprocess.run(
        [command, "allocate", saved, "--flops", "1e21", "--json"],
        capture_output=True, text=True, check=True, env=os.environ | {"CI": "1"},
    )  # fmt: skip
    assert json.loads(done.stdout)["budgets"][0]["C"] == 1e21
    assert done.stderr == ""
