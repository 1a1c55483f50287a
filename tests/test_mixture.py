"""Mixtures of laws: shares of the draws, answers from all of them, and files."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale
from bayescale import InputError, Mixture, Runs, allocate, load, predict
from bayescale.cli.main import app
from bayescale.laws import Chinchilla
from bayescale.mixture import pooled
from bayescale.prediction import log_predictive_density
from conftest import simulate, synthetic_posterior


class Outside(Chinchilla):
    """A law that is not one of the package's."""

    name = "outside"


@pytest.fixture(scope="module")
def parts(runs):
    chinchilla, coupled = (synthetic_posterior(runs, law=law) for law in ("chinchilla", "coupled"))
    # Their draws come from one stream: move those of one law, so that none is among the other's.
    return chinchilla, replace(coupled, law=jax.tree.map(lambda v: 1.01 * v, coupled.law))


@pytest.fixture(scope="module")
def forecasting(parts):
    """A fit whose forecasts come from two laws."""
    return replace(parts[0], make_forecasters=lambda: parts)


@pytest.fixture(scope="module")
def mixture(parts):
    return Mixture(parts, (0.25, 0.75), {"score": "forecasts"})


def from_which(draws, *sources):
    """How many of the draws are among those of each source."""
    return [int(np.isin(draws, source).sum()) for source in sources]


@pytest.mark.parametrize("shares", [(0.25, 0.75), (0.5, 0.5), (0.999, 0.001), (1 / 3, 2 / 3)])
def test_each_part_has_its_share_and_no_draw_is_taken_twice(shares):
    first, second = np.arange(1000.0), -1 - np.arange(600.0)
    found = pooled([first, second], shares)
    counts = from_which(found, first, second)
    assert np.abs(np.array(counts) - np.array(shares) * len(found)).max() <= 1
    assert len(np.unique(found)) == len(found)
    # As many as can be: one of the parts is used up.
    assert counts[0] >= 999 or counts[1] >= 599


def test_one_part_is_taken_whole():
    draws = np.random.default_rng(0).normal(size=(777, 3))
    np.testing.assert_array_equal(pooled([draws], [1.0]), draws)


def test_predictions_come_from_every_law_by_its_weight(mixture, parts):
    point = {"N": 1e10, "D": 1e12}
    found = predict(mixture, **point, kind="law")
    sources = [predict(part, **point, kind="law").draws for part in parts]
    assert from_which(found.draws, *sources) == [333, 1000]
    assert found.to_json()["laws"] == {"chinchilla": 0.25, "coupled": 0.75}
    assert found.model == "chinchilla (25%) and coupled (75%) laws"
    assert found.law == mixture.name
    new = predict(mixture, **point).draws
    assert from_which(new, predict(parts[0], **point).draws, found.draws) == [333, 0]


def test_allocations_come_from_every_law_by_its_weight(mixture, parts):
    found = allocate(mixture, 1e22)
    for name in ("N", "D", "tokens_per_parameter"):
        sources = [allocate(part, 1e22).draws[name] for part in parts]
        assert from_which(found.draws[name], *sources) == [333, 1000]
    np.testing.assert_allclose(6 * found.draws["N"] * found.draws["D"], 1e22)
    assert found.to_json()["laws"] == {"chinchilla": 0.25, "coupled": 0.75}
    assert "chinchilla (25%) and coupled (75%) laws fitted to" in found.table().caption


def test_density_is_the_weighted_mean_of_densities(mixture, parts):
    points, loss = {"N": np.array([1e9, 3e9]), "D": np.array([1e11, 3e11])}, np.array([2.2, 2.1])
    each = [np.exp(log_predictive_density(part, points, loss)) for part in parts]
    found = log_predictive_density(mixture, points, loss)
    np.testing.assert_allclose(np.exp(found), 0.25 * each[0] + 0.75 * each[1])


def test_a_law_alone_is_itself(parts):
    alone = Mixture(parts, (1.0, 0.0))
    for kind in ("law", "run"):
        one, other = (predict(p, N=1e10, D=1e12, kind=kind) for p in (alone, parts[0]))
        np.testing.assert_array_equal(one.draws, other.draws)
    assert list(predict(alone, N=1e10, D=1e12).laws) == ["chinchilla"]
    assert alone.forecast_model == "chinchilla (100%) law"


def test_forecasters_share_the_weight_of_their_law(forecasting, parts):
    found = Mixture((forecasting, parts[1]), (0.5, 0.5))
    assert [share for _, share in found.forecasting_parts] == [0.25, 0.25, 0.5]
    assert predict(found, N=1e10, D=1e12).laws == {"chinchilla": 0.25, "coupled": 0.75}


def test_x_comes_from_its_own_column(runs):
    power = synthetic_posterior(runs.with_x("C"), law="power")
    both = Mixture((synthetic_posterior(runs), power), (0.5, 0.5))
    assert both.inputs == ("N", "D")
    found = predict(both, N=1e10, D=1e12, kind="law").draws
    assert from_which(found, predict(power, x=6e22, kind="law").draws)[0] == 1000
    with pytest.raises(InputError, match="the law 'power' is one of x"):
        allocate(both, 1e22)
    free = Runs.read({"x": [1e6, 1e7, 1e8, 1e9] * 12, "loss": runs.loss})
    with pytest.raises(InputError, match="no inputs in common"):
        Mixture((synthetic_posterior(runs), synthetic_posterior(free, law="power")), (0.5, 0.5))


@pytest.mark.parametrize("weights", [(0.5,), (0.5, 0.6), (-0.5, 1.5), (float("nan"), 1.0)])
def test_weights_that_are_no_shares_are_refused(parts, weights):
    with pytest.raises(InputError, match="weight"):
        Mixture(parts, weights)


def test_other_runs_are_refused(parts):
    other = synthetic_posterior(Runs.read(simulate(seed=9)))
    with pytest.raises(InputError, match="fitted to different runs"):
        Mixture((parts[0], other), (0.5, 0.5))


def test_a_failed_law_gives_no_answers_unless_it_has_no_weight(runs, parts):
    failed = synthetic_posterior(runs, law="coupled", diverging=np.ones((4, 250), bool))
    with pytest.raises(bayescale.FailedFitError, match="divergences"):
        predict(Mixture((parts[0], failed), (0.5, 0.5)), N=1e10, D=1e12)
    predict(Mixture((parts[0], failed), (1.0, 0.0)), N=1e10, D=1e12)


def test_save_and_load(forecasting, parts, tmp_path):
    made = Mixture((forecasting, parts[1]), (0.5, 0.5), {"score": "loo"})
    again = load(made.save(tmp_path / "mixture.nc"))
    assert (again.weights, again.provenance) == (made.weights, {"score": "loo"})
    assert [p.spec for p in again.posteriors] == [p.spec for p in made.posteriors]
    one, other = (predict(m, N=1e10, D=1e12, seed=3) for m in (made, again))
    np.testing.assert_array_equal(one.draws, other.draws)
    assert repr(again) == repr(made)
    assert [p.name for p in tmp_path.iterdir()] == ["mixture.nc"]


def test_a_law_from_elsewhere_is_given_by_name(runs, parts, tmp_path):
    outside = synthetic_posterior(runs, law=Outside)
    path = Mixture((parts[1], outside), (0.5, 0.5)).save(tmp_path / "mixture.nc")
    with pytest.raises(InputError, match="which is not one of the package's"):
        load(path)
    assert list(load(path, law=Outside).laws) == ["coupled", "outside"]


def test_newer_files_are_refused(mixture, tmp_path):
    import h5py

    path = mixture.save(tmp_path / "mixture.nc")
    with h5py.File(path, "r+") as file:
        history = json.loads(file.attrs["bayescale"])
        file.attrs["bayescale"] = json.dumps(history | {"format": 99})
    with pytest.raises(InputError, match="its format is 99 .* Update bayescale"):
        load(path)


def test_the_commands(mixture, tmp_path):
    path = str(mixture.save(tmp_path / "mixture.nc"))
    run = CliRunner().invoke
    done = run(app, ["predict", path, "--params", "1e10", "--tokens", "1e12", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    expected = predict(mixture, N=1e10, D=1e12)
    assert said["points"][0]["upper"] == expected.intervals[0].upper
    assert said["laws"] == {"chinchilla": 0.25, "coupled": 0.75}
    done = run(app, ["allocate", path, "--flops", "1e22", "--json"])
    assert json.loads(done.stdout)["laws"] == {"chinchilla": 0.25, "coupled": 0.75}
    done = run(app, ["simulate", "--fit", path, "--points", path, "-o", str(tmp_path / "x.csv")])
    assert done.exit_code != 0
    assert "mixture of laws" in str(done.exception)
