"""Simulated runs: the law's losses, the noise's scatter, sets that stand on their own, files."""

import json
import re
import sys

import numpy as np
import pytest
from scipy import stats

from bayescale import FailedFitError, InputError, Runs, fit_many, simulate
from bayescale.cli.main import main
from bayescale.laws import Chinchilla, Coupled, Power
from bayescale.noise import Gaussian, Laplace, StudentT
from conftest import synthetic_posterior

VALUES = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
LAW = Chinchilla(**VALUES)
NOISE = StudentT(sigma=0.01, nu=10.0)
N, D = np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 1e12, 5)
POINTS = {"N": N, "D": D}
TYPED = ["--law", "chinchilla", "--values", ",".join(f"{k}={v}" for k, v in VALUES.items())]
GRID = ["--params", "1e8,1e9", "--tokens", "2e9,2e10,2e11", "--sigma", "0.01"]


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bayescale", "simulate", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    return call


@pytest.fixture(scope="module")
def simulation():
    return simulate(LAW, POINTS, NOISE, sets=3, seed=1)


def test_the_losses_are_the_laws_and_a_scatter(simulation):
    formula = 1.69 + 406.4 / N**0.34 + 410.7 / D**0.28
    np.testing.assert_allclose(simulation.law_loss, np.tile(formula, (3, 1)), rtol=1e-13)
    assert len(simulation) == 3
    assert {name: v.tolist() for name, v in simulation.parameters.items()} == {
        name: [value] * 3 for name, value in VALUES.items()
    }
    assert simulation.noise_parameters["nu"].tolist() == [10, 10, 10]
    power = simulate(Power(E=0.0, c=400.0, alpha=0.34), {"x": 1e9}, Gaussian(sigma=0.01))
    np.testing.assert_allclose(power.law_loss, [[400 / 1e9**0.34]], rtol=1e-13)
    assert simulate(LAW, {"N": N[:, None], "D": D[:2]}, NOISE).loss.shape == (1, 10)


SCATTERS = {
    StudentT: ({"nu": 3.0}, stats.t(3, scale=0.02)),
    Gaussian: ({}, stats.norm(scale=0.02)),
    Laplace: ({}, stats.laplace(scale=0.02)),
}


@pytest.mark.parametrize("noise", SCATTERS)
def test_the_scatter_is_that_of_the_noise(noise):
    more, law = SCATTERS[noise]
    many = simulate(LAW, POINTS, noise(sigma=0.02, **more), sets=2000, seed=0)
    scatter = np.log(many.loss / many.law_loss)
    assert stats.kstest(scatter.ravel(), law.cdf).pvalue > 1e-3
    assert np.abs(stats.spearmanr(scatter).statistic - np.eye(5)).max() < 4.5 / np.sqrt(2000)
    # Within a set and from set to set there is no memory: neighbours in time are independent.
    assert abs(stats.spearmanr(scatter[1:, 0], scatter[:-1, 0]).statistic) < 4 / np.sqrt(2000)


def test_a_set_is_the_same_however_many_there_are(synthetic, simulation):
    fewer, other = (simulate(LAW, POINTS, NOISE, sets=2, seed=seed) for seed in (1, 2))
    assert fewer.loss.tolist() == simulation.loss[:2].tolist()
    assert not np.isin(other.loss, simulation.loss).any()
    many = simulate(synthetic, POINTS, sets=1001)  # of 1,000 draws
    # Programs of other shapes may round otherwise.
    np.testing.assert_allclose(simulate(synthetic, POINTS, sets=5).loss, many.loss[:5], rtol=1e-13)


def test_a_fit_gives_each_set_a_draw_of_its_own(synthetic):
    many = simulate(synthetic, POINTS, sets=1500)
    draws = np.stack([v.ravel() for v in synthetic.parameters.values()], axis=1)
    taken = np.stack([*many.parameters.values(), *many.noise_parameters.values()], axis=1)
    for part in (taken[:1000], np.unique(taken[1000:], axis=0)):
        assert len(np.unique(part, axis=0)) == len(part), "none is taken twice before all are"
    assert np.sort(taken[:1000], axis=0).tolist() == np.sort(draws, axis=0).tolist()
    assert (taken[:1000] != draws).any()
    E, A, B, alpha, beta, sigma, nu = taken.T[:, :, None]
    np.testing.assert_allclose(many.law_loss, E + A / N**alpha + B / D**beta, rtol=1e-12)
    masses = stats.t.cdf(np.log(many.loss / many.law_loss), nu, scale=sigma)
    assert stats.kstest(masses.ravel(), "uniform").pvalue > 1e-3


def test_known_standard_errors_are_part_of_the_design(table):
    runs = Runs.read({**table, "loss_se": 0.03 * table["loss"]}, loss_unit="bits/token")
    many = simulate(LAW, runs, Gaussian(sigma=0.04), sets=100)
    scatter = np.log(many.loss / many.law_loss)
    assert stats.kstest(scatter.ravel(), stats.norm(scale=0.05).cdf).pvalue > 1e-3
    again = many.runs(7)
    np.testing.assert_allclose(again.relative_se, 0.03, rtol=1e-14)
    assert (again.loss_unit, again.N.tolist()) == ("bits/token", runs.N.tolist())
    assert Runs.read(many.table, loss_unit="bits/token").loss_se.size == 4800


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl"])
def test_files_read_back_bit_for_bit(simulation, tmp_path, form):
    path = simulation.save(tmp_path / f"sims.{form}")
    back = Runs.read(path, where="set == 2")
    assert back.columns == {"params": "params", "tokens": "tokens", "loss": "loss"}
    one = simulation.runs(2)
    for symbol in "ND":
        assert back[symbol].tolist() == one[symbol].tolist() == POINTS[symbol].tolist()
    assert back.loss.tolist() == one.loss.tolist() == simulation.loss[2].tolist()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_results_in_other_forms(simulation):
    frame = simulation.to_frame()
    assert list(frame.columns) == ["set", "params", "tokens", "loss", "law_loss"]
    assert frame["loss"].tolist() == simulation.loss.ravel().tolist()
    data = simulation.to_json()
    assert json.loads(json.dumps(data)) == data
    assert (data["seed"], data["law"], data["noise"]) == (1, "chinchilla", "student-t")
    assert np.shape(data["loss"]) == np.shape(data["law_loss"]) == (3, 5)
    assert re.match(
        "3 simulated sets of 5 runs from the chinchilla law with student-t noise, seed 1\n"
        r"  loss \d.* to \d.* nats/token; the law's own .*\n  E 1.69, A 406.4, .*, nu 10$",
        repr(simulation),
    )


def test_a_table_of_sets_goes_into_fit_many(table):
    many = simulate(LAW, Runs.read(table).take(range(20)), Gaussian(sigma=0.005), sets=3)
    fitted = fit_many(many.table, by="set", sets=8)
    assert fitted.status["rejected"] == 0
    rows = fitted.table.to_pylist()
    assert [row["set"] for row in rows] == ["0", "1", "2"]
    assert {row["n_runs"] for row in rows} == {20}


# --- refusals ---


@pytest.mark.parametrize(
    ("source", "points", "noise", "options", "message"),
    [
        (LAW, {"N": N}, NOISE, {}, r"points: D missing; the law 'chinchilla' needs N and D. Give D \("),
        (LAW, {"N": -1, "D": D}, NOISE, {}, "N: it is -1; it must be finite and above 0"),
        (LAW, {"N": N, "D": D[:2]}, NOISE, {}, r"do not go together: N \(5,\), D \(2,\)"),
        (LAW, {"N": [], "D": []}, NOISE, {}, "points: there are none"),
        (LAW, [1, 2], NOISE, {}, r"points: it is \[1, 2\]. Give Runs, or a mapping"),
        (LAW, POINTS, None, {}, "noise: it is missing; a law alone does not say .* Give StudentT"),
        (LAW, POINTS, "gaussian", {}, "noise: 'gaussian' is not a noise model"),
        (LAW, POINTS, Gaussian(sigma=0.0), {}, "sigma of the gaussian noise: it is 0; .* above 0"),
        (LAW, POINTS, StudentT(sigma=0.1, nu=-1.0), {}, "nu of the student-t noise: it is -1"),
        (LAW, POINTS, Gaussian(sigma=1e4), {}, "noise: the loss of run .* of set 0 .* smaller sigma"),
        (Chinchilla(**VALUES | {"A": -1.0}), POINTS, NOISE, {}, "A of the chinchilla law: it is -1"),
        (Chinchilla(**VALUES | {"E": np.nan}), POINTS, NOISE, {}, "E of .*: it is nan; .* finite, 0"),
        (Chinchilla(**VALUES | {"E": np.ones(2)}), POINTS, NOISE, {}, "E of .* is not one number"),
        (Coupled(**VALUES | {"B": 1e300}, k=2.0), POINTS, NOISE, {}, "law: the loss of run 0 of set 0"),
        (Chinchilla, POINTS, NOISE, {}, "source: .* is neither a law with its parameters nor a fit"),
        (LAW, POINTS, NOISE, {"sets": 0}, "sets: it is 0. Give a whole number of 1 or more"),
        (LAW, POINTS, NOISE, {"seed": 1.5}, "seed: it is 1.5. Give a whole number of 0 or more"),
    ],
)  # fmt: skip
def test_bad_requests(source, points, noise, options, message):
    with pytest.raises(InputError, match=message):
        simulate(source, points, noise, **options)


def test_bad_requests_of_a_fit_or_of_a_result(runs, synthetic, simulation, tmp_path):
    with pytest.raises(InputError, match="noise: the fit has its own"):
        simulate(synthetic, POINTS, NOISE)
    with pytest.raises(
        InputError, match="loss_unit: it is 'bits/byte', and the losses .* nats/tok"
    ):
        simulate(synthetic, POINTS, loss_unit="bits/byte")
    with pytest.raises(InputError, match="no column holds x"):
        simulate(Power(E=1.0, c=400.0, alpha=0.34), runs, NOISE)
    failed = synthetic_posterior(runs, diverging=np.ones((4, 250), bool))
    with pytest.raises(FailedFitError, match=r"1000 of 1000 transitions.*\n.*allow_failed=True"):
        simulate(failed, POINTS)
    assert len(simulate(failed, POINTS, allow_failed=True)) == 1
    with pytest.raises(InputError, match="i: there is no set 3. The last one is 2"):
        simulation.runs(3)
    for name, message in (("a.json", "'.json' is not a format that is written. Use one of .csv"),
                          ("a", "no ending that tells the format"),
                          ("b/a.csv", "cannot be written: No such file")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            simulation.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


# --- the command ---


def test_the_command_gives_what_the_library_gives(run, tmp_path):
    path = tmp_path / "sims.parquet"
    words = [*TYPED, *GRID, "--nu", 10, "--sets", 3, "--seed", 1]
    code, out, _ = run("-o", path, *words, "--json")
    assert code == 0
    assert json.loads(out) == {"sets": 3, "runs": 6, "law": "chinchilla", "noise": "student-t",
                               "seed": 1, "path": str(path)}  # fmt: skip
    grid = {"N": np.repeat([1e8, 1e9], 3), "D": np.tile([2e9, 2e10, 2e11], 2)}
    expected = simulate(LAW, grid, NOISE, sets=3, seed=1)
    assert Runs.read(path).loss.tolist() == expected.loss.ravel().tolist()
    assert run(*words)[1] == expected.to_csv()
    _, out, err = run("-o", tmp_path / "sims.csv", *words)
    assert (out, err) == (f"{expected!r}\n", f"saved to {tmp_path / 'sims.csv'}\n")


def test_designs_and_sources_of_the_command(run, csv, runs, synthetic, tmp_path):
    fit = synthetic.save(tmp_path / "fit.nc")
    table = ["--points", csv, "--columns", "params=size,tokens=seen", "--where", "size > 1e8"]
    code, out, _ = run("--fit", fit, *table, "--sets", 2)
    kept = runs.take(runs.N > 1e8)
    assert code == 0
    assert out == simulate(synthetic, {"N": kept.N, "D": kept.D}, sets=2).to_csv()
    published = ["--law", "chinchilla", "--published", "besiroglu-2024"]
    law = Chinchilla.from_published("besiroglu-2024")
    _, out, _ = run(*published, "--params", 1e9, "--tokens", 1e10, "--sigma", 0.01)
    assert out == simulate(law, {"N": 1e9, "D": 1e10}, Gaussian(sigma=0.01)).to_csv()
    power = ["--law", "power", "--values", "E=1.7,c=400", "--values", "alpha=0.3"]
    _, out, _ = run(*power, "--x", "1e9,1e10", "--sigma", 0.1, "--noise", "laplace")
    assert out.startswith("set,x,loss,law_loss\n0,1000000000.0,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*GRID], "simulate from: none given. Give either --fit FIT.nc, or --law with --published"),
        ([*TYPED, *GRID, "--fit", "fit.nc"], "simulate from: --fit and --values given"),
        ([*TYPED[2:], *GRID], "--law: it is missing"),
        ([*TYPED, "--sigma", 1], "the design: none given. Give either --points TABLE, or --params"),
        ([*TYPED, *GRID, "--points", "a.csv"], "design: --points and --params and --tokens given"),
        ([*TYPED, *GRID, "--where", "loss < 3"], "--where: it is for a table of points"),
        ([*TYPED, *GRID, "--x", "1"], "--x: the law has no input x. Give --params and --tokens"),
        ([*TYPED, "--params", "1e9", "--sigma", "1"], "--tokens: it is missing. The law needs N, D"),
        (["--fit", "fit.nc", *GRID], "--sigma: a fit has its own noise"),
        ([*TYPED, *GRID, "--noise", "student-t"], "--nu: nu is missing. The student-t noise has sigma"),
        ([*TYPED, *GRID, "--nu", 5, "--noise", "gaussian"], "there is no parameter 'nu'"),
        ([*TYPED, *GRID[:-1], "1,2"], "--sigma: '1,2' is not one number"),
        ([*TYPED[:3], "E=1,A=2", *GRID], "--values: B is missing. The chinchilla law has E, A, B, al"),
        ([*TYPED, "--values", "E=2", *GRID], "--values: E stands twice"),
        ([*TYPED, "--values", "k", *GRID], "--values k: '' is not one number"),
        (["--law", "chinchilla", "--published", "x", *GRID], "has no fit 'x'. Use one of hoffmann-2022"),
    ],
)  # fmt: skip
def test_bad_commands_are_one_message_and_exit_code_2(run, words, message):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert re.search(message, err)
    assert err.count("bayescale: ") == 1
