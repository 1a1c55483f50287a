"""Two steps to an error, and what a threshold makes of a smooth error."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale
from bayescale import InputError, Runs, compare_metrics, predict_error, thresholded
from bayescale.cli.main import app
from conftest import synthetic_posterior


def link_runs(chance=0.25):
    losses = np.linspace(2.0, 3.5, 24)
    error = 0.75 * (0.1 + 0.9 / (1 + np.exp(-3 * (losses - 2.6))))
    chances = np.broadcast_to(chance, 24)
    return Runs(error, {"L_pre": losses, "chance": np.array(chances)}, response="error")


@pytest.fixture
def second():
    return synthetic_posterior(link_runs(), law="error-sigmoid")


N, D = np.array([2e8, 1e9]), np.array([4e9, 2e10])


def test_uncertainty_of_both_steps_reaches_the_error(synthetic, second):
    found = predict_error(synthetic, second, N, D, kind="law", level=0.9)
    loss = bayescale.predict(synthetic, N, D, kind="law")
    law = second.flat_law()

    def link(L, a, k, L0):
        return 0.75 * (1 - a / (1 + np.exp(-k * (L - L0))))

    fields = [np.asarray(getattr(law, name)) for name in ("a", "k", "L0")]
    for i in range(2):
        L = np.median(loss.draws[:, i])
        step = 1e-4
        slope = (np.median(link(L + step, *fields)) - np.median(link(L - step, *fields))) / (
            2 * step
        )
        # To first order the variances of two independent steps add up.
        expected = np.hypot(slope * loss.draws[:, i].std(), link(L, *fields).std())
        count = len(found.draws)
        assert found.draws[:, i].std() == pytest.approx(expected, rel=4 / np.sqrt(2 * count) + 0.03)
        assert found.intervals[i].median == pytest.approx(np.median(link(L, *fields)), rel=0.01)
        assert found.draws[:, i].std() > 1.05 * link(L, *fields).std()


def test_scatter_of_runs_widens_and_errors_stay_shares(synthetic, second):
    law = predict_error(synthetic, second, N, D, kind="law")
    run = predict_error(synthetic, second, N, D)
    for a, b in zip(law.intervals, run.intervals, strict=True):
        assert b.upper - b.lower > a.upper - a.lower
    small = predict_error(synthetic, second, 1e3, 1e3)
    assert small.draws.max() <= 1
    assert small.share_outside[0] == 1


def test_result_prints_and_serialises(synthetic, second):
    found = predict_error(synthetic, second, N, D)
    text = str(found)
    assert "error at that loss by the error-sigmoid law fitted to 24" in text
    plain = json.loads(json.dumps(found.to_json()))
    assert len(plain["points"]) == len(found) == len(found.to_frame()) == 2
    assert plain["points"][0]["N"] == 2e8
    assert plain["points"][0]["median"] == found.intervals[0].median
    again = predict_error(synthetic, second, N, D)
    np.testing.assert_array_equal(again.draws, found.draws)


def test_the_command(synthetic, second, tmp_path):
    fit, errors = synthetic.save(tmp_path / "fit.nc"), second.save(tmp_path / "errors.nc")
    words = ["predict", str(fit), "--params", "2e8,1e9", "--tokens", "4e9,2e10", "--seed", "3"]
    done = CliRunner().invoke(app, [*words, "--through", str(errors), "--json"])
    assert done.exit_code == 0, done.stderr
    expected = predict_error(synthetic, second, N, D, seed=3)
    assert json.loads(done.stdout) == expected.to_json()
    printed = CliRunner().invoke(app, [*words, "--through", str(errors), "--kind", "law"]).stdout
    assert predict_error(synthetic, second, N, D, kind="law", seed=3).table().caption in printed
    for more, message in (
        (["--given", "chance=0.25"], "--given: it is given without --through"),
        (["--through", str(errors), "--backtest"], "--backtest: it is given with --through"),
    ):
        with pytest.raises(InputError, match=message):
            CliRunner().invoke(app, [*words, *more], catch_exceptions=False)


def test_bad_input(synthetic, second):
    with pytest.raises(InputError, match="'chinchilla' is not a law of error in the loss"):
        predict_error(synthetic, synthetic, N, D)
    with pytest.raises(InputError, match="takes no 'chanse' beside the loss"):
        predict_error(synthetic, second, N, D, given={"chanse": 0.2})
    with pytest.raises(InputError, match="chance"):
        predict_error(synthetic, second, N, D, given={"chance": 1.0})
    mixed = synthetic_posterior(link_runs(np.linspace(0, 0.5, 24)), law="error-sigmoid")
    with pytest.raises(InputError, match=r"chance is missing, and differs .* given=\{'chance'"):
        predict_error(synthetic, mixed, N, D)
    assert len(predict_error(synthetic, mixed, N, D, given={"chance": 0.2})) == 2


@pytest.mark.nightly
def test_errors_of_larger_models_from_small_ones(public_data):
    path = public_data / "overtraining.csv"
    columns = {"pretraining_loss": "loss", "error": "err_avg17"}
    small, large = (f"dataset == 'rpj' and split == '{split}'" for split in ("train", "holdout"))
    first = bayescale.fit(Runs.read(path, where=small), law="coupled", seed=0)
    link = Runs.read(path, columns=columns, where=small, response="error")
    second = bayescale.fit(link, law="error-exponential", seed=0)
    held_out = Runs.read(path, columns=columns, where=large, response="error")
    found = predict_error(first, second, held_out.N, held_out.D, level=0.9)
    inside = [i.lower < e < i.upper for i, e in zip(found.intervals, held_out.loss, strict=True)]
    assert inside == [True] * 3
    assert all(i.upper - i.lower < 0.12 for i in found.intervals)


def test_thresholded_is_the_product_of_independent_tokens():
    generator = np.random.default_rng(0)
    wrong = (generator.random((200_000, 7)) < 0.13).any(axis=1).mean()
    error = thresholded([0.13], 7).item()
    assert abs(wrong - error) < 4 * np.sqrt(error * (1 - error) / 200_000)
    np.testing.assert_allclose(thresholded([0.0, 0.3, 1.0], 1), [0.0, 0.3, 1.0])
    with pytest.raises(InputError, match="not between 0 and 1"):
        thresholded([0.2, 1.2], 3)
    with pytest.raises(InputError, match="length"):
        thresholded(0.2, 0)


def test_a_smooth_law_explains_a_jump_of_the_metric_and_no_other():
    generator = np.random.default_rng(1)
    x = np.geomspace(1e6, 1e10, 40)
    token = 0.01 + 40 * x**-0.3
    seen = token * np.exp(0.02 * generator.standard_normal(40))
    runs = Runs(seen, {"x": x}, response="error")
    posterior = bayescale.fit(runs, law="power", drift="none", seed=0)
    exact = 1 - (1 - token * np.exp(0.02 * generator.standard_normal(40))) ** 20
    assert exact[0] > 0.999  # nothing is right in the small ones,
    assert exact[-1] < 0.7  # and much in the large
    found = compare_metrics(posterior, exact, 20, level=0.9)
    assert abs(found.inside.mean() - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 40)
    broken = compare_metrics(posterior, np.where(x < 1e8, 1.0, exact / 3), 20)
    assert broken.inside.mean() < 0.5
    assert f"{found.inside.sum()} of 40" in str(found)
    assert len(found.to_json()["runs"]) == len(found.to_frame()) == 40
    with pytest.raises(InputError, match="one exact-match error a run"):
        compare_metrics(posterior, exact[:5], 20)
