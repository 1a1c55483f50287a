"""Backtests: which runs are forecast from which, what is scored, and what is said of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import InputError, Runs, backtest
from bayescale.backtesting import FRACTIONS
from bayescale.cli.main import app
from bayescale.intervals import Interval
from bayescale.plots import plot_backtest, save_plot


def budgets(seed=0, per_budget=8):
    """Runs of four exact budgets, from the law."""
    generator = np.random.default_rng(seed)
    C = np.repeat([1e18, 4e18, 2e19, 1e20], per_budget)
    D = np.sqrt(C / 6 * 10 ** generator.uniform(0.5, 2.2, len(C)))
    N = C / (6 * D)
    loss = 1.8 + 480 * N**-0.35 + 2000 * D**-0.365
    return {
        "params": N,
        "tokens": D,
        "loss": loss * np.exp(0.004 * generator.standard_normal(len(C))),
    }


@pytest.fixture(scope="module")
def result():
    return backtest(Runs.read(budgets()), "chinchilla", "gaussian", seed=2)


def test_cheaper_runs_are_fitted_and_budgets_stay_together(result):
    # Half of 32 runs is the gap after two budgets; 0.65 (21) and 0.8 (26) are nearest to 24.
    assert [len(o.fitted) for o in result.origins] == [16, 24]
    for origin in result.origins:
        assert result.compute[origin.fitted].max() < result.compute[origin.forecast].min() * 0.999
        assert sorted([*origin.fitted, *origin.forecast]) == list(range(32))
        np.testing.assert_array_equal(origin.loss, result.runs.loss[origin.forecast])


def test_forecasts_are_those_of_fit_and_predict(result):
    origin = result.origins[0]
    fit = bayescale.fit(result.runs.take(np.sort(origin.fitted)), noise="gaussian", seed=2)
    points = {s: result.runs[s][origin.forecast] for s in ("N", "D")}
    expected = bayescale.predict(fit, points=points, seed=2)
    np.testing.assert_array_equal(origin.prediction.draws, expected.draws)


def test_scores_are_those_of_their_definitions(result):
    origin = result.origins[1]
    for i in range(len(origin.forecast)):
        draws = np.sort(np.log(origin.prediction.draws[:, i]))
        low, high = np.quantile(draws, [0.05, 0.95])
        y = np.log(origin.loss[i])
        score = high - low + 20 * ((low - y) * (y < low) + (y - high) * (y > high))
        assert origin.interval_score[i] == pytest.approx(score, abs=2e-6)
        assert origin.inside[i] == (low <= y <= high)
        assert origin.pit[i] == np.searchsorted(draws, y) / len(draws)
        assert origin.error[i] == pytest.approx(y - np.median(draws), abs=1e-6)
    inside = np.concatenate([o.inside for o in result.origins])
    assert result.coverage == inside.mean()
    bins = result.by_distance()
    assert sum(b["n_forecast"] for b in bins) == len(inside)
    assert sum(b["n_forecast"] * b["coverage"] for b in bins) == pytest.approx(inside.sum())


def test_where_the_law_is_right_the_intervals_cover(result):
    inside = np.concatenate([o.inside for o in result.origins])
    # 24 forecasts that share two fits: even 24 independent ones would be below this in 1 of 1,000.
    assert inside.sum() >= stats.binom.ppf(1e-3, len(inside), 0.9)


def test_what_cannot_be_fitted_says_so_and_the_others_go_on():
    found = backtest(Runs.read(budgets(per_budget=3)), noise="gaussian", fractions=[0.2, 0.75])
    first, second = found.origins
    assert first.status == "rejected"
    assert "parameters" in first.reason
    assert first.prediction is None
    assert len(first.inside) == 0
    assert second.status in ("ok", "warn")
    assert len(found.to_frame()) == 3
    only = replace(found, origins=(first,))
    assert [v.code for v in only.verdicts] == ["no-forecasts"]
    assert np.isnan(only.coverage)
    with pytest.raises(InputError, match="nothing to plot"):
        plot_backtest(only)
    assert found.to_json()["origins"][0]["reason"] == first.reason
    assert first.reason in repr(found)


def with_coverage(result, inside, drift="none"):
    """The backtest as it would be if this share of the first origin's forecasts were covered."""
    origin = result.origins[0]
    count = len(origin.forecast)
    loss = np.where(np.arange(count) < inside * count, 1.0, 100.0)
    intervals = (Interval.of([0.9, 1.1], 0.9),) * count
    prediction = replace(origin.prediction, intervals=intervals)
    made = replace(origin, prediction=prediction, loss=loss)
    return replace(result, drift=drift, origins=(made,))


def test_intervals_that_are_too_narrow_are_named(result):
    half = with_coverage(result, 0.5)
    (verdict,) = half.verdicts
    assert (verdict.code, verdict.severity) == ("intervals-too-narrow", "warn")
    assert verdict.sentence == "The 90% intervals held 50% of 16 outcomes."
    assert "--drift forecasts" in verdict.advice
    assert "--drift" not in with_coverage(result, 0.5, drift="forecasts").verdicts[0].advice
    assert "held 50% of 16 outcomes" in half.table().caption
    assert str(verdict) in repr(half)
    assert with_coverage(result, 1.0).verdicts == ()


def test_laws_of_one_variable():
    x = np.geomspace(1e6, 1e10, 16)
    scatter = np.exp(0.002 * np.random.default_rng(0).standard_normal(16))
    found = backtest(
        {"params": x, "loss": (1.7 + 300 * x**-0.3) * scatter}, "power", fractions=[0.7]
    )
    (origin,) = found.origins
    assert len(origin.fitted) == 11
    assert list(found.to_frame().columns[:3]) == ["n_fitted", "row", "x"]


@pytest.mark.parametrize("fractions", [[], [0.0], [0.5, 1.0], [-0.1], [float("nan")]])
def test_shares_outside_0_and_1_are_refused(fractions, runs):
    with pytest.raises(InputError, match="above 0 and below 1"):
        backtest(runs, fractions=fractions)


def test_runs_of_one_budget_are_refused():
    table = budgets()
    table["tokens"] = 1e19 / (6 * table["params"])
    with pytest.raises(InputError, match="one compute budget"):
        backtest(table)


def test_the_figure_shows_every_outcome(result, tmp_path):
    from matplotlib import pyplot

    axes = plot_backtest(result)
    assert len(axes) == 2
    for ax, origin in zip(axes, result.origins, strict=True):
        shown = np.concatenate([c.get_offsets() for c in ax.collections[1:]])
        errors = 100 * np.concatenate([origin.error[origin.inside], origin.error[~origin.inside]])
        np.testing.assert_allclose(shown[:, 1], errors)
    assert {p.name for p in save_plot(result, tmp_path)} == {
        "backtest.png",
        "backtest.pdf",
    }
    pyplot.close("all")


def test_the_command(tmp_path):
    import pandas

    path = tmp_path / "runs.csv"
    pandas.DataFrame(budgets()).to_csv(path, index=False)
    options = ["backtest", str(path), "--noise", "gaussian", "--fractions", ".75"]
    done = CliRunner().invoke(app, [*options, "--json", "--plots", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["n_runs"] == 32
    assert len(said["forecasts"]) == said["origins"][0]["n_forecast"] == 8
    assert 0 <= said["coverage"] <= 1
    assert (tmp_path / "figures" / "backtest.png").stat().st_size > 0
    shown = CliRunner().invoke(app, [*options, "--table", "markdown"]).stdout
    assert "| 24" in shown


def test_the_fractions_of_the_help_are_the_defaults():
    shown = " ".join(CliRunner().invoke(app, ["backtest", "--help"]).stdout.split())
    assert ",".join(f"{f:g}".lstrip("0") for f in FRACTIONS) in shown.replace("[default: ", "")
