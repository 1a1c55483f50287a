"""Outliers: the threshold, the core of each noise, the five known ones, and what is shown."""

import json

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import InputError, Runs
from bayescale.cli.main import app
from bayescale.noise import Gaussian, Laplace, OneSided, StudentT, StudentTTrend
from bayescale.outlying import threshold
from bayescale.plots import plot_outliers
from conftest import TRUTH, simulate, synthetic_posterior


@pytest.mark.parametrize("n", [1, 48, 245, 100_000])
def test_the_threshold_is_that_of_chaloner_and_brant(n):
    k = threshold(n, 0.05)
    assert (1 - 2 * stats.norm.sf(k)) ** n == pytest.approx(0.95, rel=1e-9)


def test_bad_probabilities_are_refused(synthetic):
    for value in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="prior_probability: it is .*between 0 and 1"):
            bayescale.outliers(synthetic, prior_probability=value)


@pytest.mark.parametrize(
    ("noise", "twin"),
    [
        (StudentT(0.01, 2.5), stats.t(2.5, scale=np.hypot(0.01, 0.004))),
        (StudentTTrend(0.005, 9.0, np.log(2.0)), stats.t(9.0, scale=np.hypot(0.01, 0.004))),
        (Gaussian(0.01), stats.norm(scale=np.hypot(0.01, 0.004))),
        (OneSided(0.01, 0.05), stats.norm(scale=np.hypot(0.01, 0.004))),
        (Laplace(0.01), stats.laplace(scale=np.hypot(0.01, 0.004))),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_core_has_the_middle_of_the_scatter(noise, twin):
    core = noise.core(0.004, 1.0)
    assert twin.cdf(core) - twin.cdf(-core) == pytest.approx(stats.norm.cdf(1) - stats.norm.cdf(-1))


@pytest.fixture(scope="module")
def known():
    """Runs of which two are out by 10 and 7 sd, and draws about the truth."""
    table = simulate(n=40, sigma=0.006, seed=2)
    table["loss"][[5, 30]] *= np.exp([0.06, -0.042])
    table["run_id"] = [f"run-{i}" for i in range(40)]
    return Runs.read(table)


@pytest.fixture(scope="module")
def result(known):
    return bayescale.outliers(truth_known(known))


def truth_known(runs):
    """A posterior that knows the truth: law and sigma have no width."""
    from dataclasses import replace

    import jax

    posterior = synthetic_posterior(runs, noise="gaussian")
    law = type(posterior.law)(**{name: np.full((4, 250), v) for name, v in TRUTH.items()})
    noise = jax.tree.map(lambda field: np.full((4, 250), 0.006), posterior.noise)
    return replace(posterior, law=law, noise=noise)


def test_planted_outliers_are_found_and_no_others(result, known):
    assert len(result) == 2
    assert result.order[:2].tolist() == [5, 30]
    fitted = TRUTH["E"] + TRUTH["A"] * known.N ** -TRUTH["alpha"]
    residual = np.log(known.loss / (fitted + TRUTH["B"] * known.D ** -TRUTH["beta"]))
    np.testing.assert_allclose(result.residual, residual, atol=1e-12)
    np.testing.assert_allclose(result.standardised, residual / 0.006, rtol=1e-9)
    np.testing.assert_array_equal(result.probability, np.abs(residual) > 0.006 * result.k)


def test_what_is_shown(result):
    said = result.to_json()
    assert (said["n_runs"], said["n_outliers"], said["prior_probability"]) == (40, 2, 0.05)
    first = said["runs"][0]
    assert (first["row"], first["run_id"], first["probability"]) == (5, "run-5", 1.0)
    assert json.loads(json.dumps(said)) == said
    assert list(result.to_frame()["row"][:2]) == [5, 30]
    assert "2 more likely than not" in repr(result)
    assert len(result.table(3).rows) == 3
    assert result.table().rows[0][1] == "run-5"


def test_the_figure_shows_every_run(result):
    from matplotlib import pyplot

    ax = plot_outliers(result)
    shown = ax.collections[0].get_offsets()
    np.testing.assert_allclose(np.sort(shown[:, 1]), np.sort(result.standardised))
    assert {text.get_text() for text in ax.texts} == {result.names[5], result.names[30]}
    pyplot.close("all")


def test_shifts_of_groups_are_scatter(known):
    from dataclasses import replace

    from bayescale.model import model_spec

    plain = truth_known(known)
    spec = model_spec(plain.spec.law, Gaussian, effects="run_id")
    omega = {"omega": np.full((4, 250), 0.008)}
    shared = replace(plain, spec=spec, coordinates={**plain.coordinates, **omega})
    found = bayescale.outliers(shared, allow_failed=True)  # draws that do not move
    alone = bayescale.outliers(plain)
    np.testing.assert_allclose(found.standardised, 0.6 * alone.standardised, rtol=1e-9)


def test_the_five_known_outliers_of_the_chinchilla_runs(public_data):
    runs = Runs.read(public_data / "chinchilla.csv")
    dropped = np.flatnonzero(Runs.read(
        public_data / "chinchilla.csv", columns={"group": "epoch_dropped"}
    ).labels["group"] == "1")  # fmt: skip
    found = bayescale.outliers(bayescale.fit(runs, drift="none"))
    assert len(dropped) == 5
    assert set(found.order[:5].tolist()) == set(dropped.tolist())
    assert (found.probability[dropped] == 1).all()
    assert 5 <= len(found) <= 15


def test_the_command(synthetic, tmp_path):
    path = str(synthetic.save(tmp_path / "fit.nc"))
    done = CliRunner().invoke(app, ["outliers", path, "--json", "--plots", str(tmp_path / "f")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert len(said["runs"]) == said["n_runs"] == 48
    assert (tmp_path / "f" / "outliers.png").stat().st_size > 0
    shown = CliRunner().invoke(app, ["outliers", path, "--top", "2", "--table", "markdown"]).stdout
    assert shown.count("\n| row") == 2
