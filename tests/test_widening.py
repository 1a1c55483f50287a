"""Intervals widened by a backtest: how much, where, and that both are shown."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale
from bayescale import InputError
from bayescale.cli.main import app
from bayescale.widening import Widening, widen
from conftest import synthetic_posterior


@pytest.fixture(scope="module")
def backtest(runs):
    return bayescale.backtest(runs, noise="gaussian", drift="none")


def with_outcomes(backtest, spread, bias=0.0, seed=0):
    """The backtest with outcomes whose error is so many times as wide as the forecasts say."""
    generator = np.random.default_rng(seed)
    origins = []
    for origin in backtest.origins:
        logs = np.log(origin.prediction.draws)
        median, sd = np.median(logs, axis=0), logs.std(axis=0)
        times = spread(origin.decades_beyond) if callable(spread) else spread
        z = generator.standard_normal(len(origin.loss)) + bias
        origins.append(replace(origin, loss=np.exp(median + times * sd * z)))
    return replace(backtest, origins=tuple(origins))


def many(backtest, spread, copies=40):
    """Widening by as many backtests, so that one origin of trust weighs nothing."""
    parts = [Widening.of(with_outcomes(backtest, spread, seed=seed), 0.9) for seed in range(copies)]
    names = ("decades_beyond", "ratio", "weight")
    return Widening(0.9, *(np.concatenate([getattr(p, n) for p in parts]) for n in names))


def test_the_factor_is_how_much_too_narrow_the_intervals_are(backtest):
    assert many(backtest, 2.0).factor(0.3) == pytest.approx(2.0, rel=0.1)
    assert many(backtest, 1.0).factor([0.1, 1.0]) == pytest.approx([1.0, 1.0], rel=0.1)


def test_intervals_are_never_narrowed(backtest):
    assert many(backtest, 0.2).factor([0.0, 0.5, 3.0]).tolist() == [1.0, 1.0, 1.0]


def test_the_factor_follows_the_distance(backtest):
    edge = float(np.median(np.concatenate([o.decades_beyond for o in backtest.origins])))
    found = many(backtest, lambda d: np.where(d > edge, 3.0, 1.0))
    far = float(found.decades_beyond.max())
    assert found.factor(far) > 1.2 * found.factor(0.0)
    # Far beyond all outcomes nothing is known, and forecasts are trusted again.
    assert found.factor(100.0) == 1.0


def test_one_backtest_counts_as_a_few_outcomes(backtest):
    """Three origins that share nothing but one error each do not triple an interval to the full."""
    found = Widening.of(with_outcomes(backtest, 0.0, seed=1), 0.9)
    none = replace(found, ratio=np.full_like(found.ratio, 4.0))
    assert 1.0 < none.factor(0.3) <= 4.0
    few = replace(none, weight=none.weight * 0.01)
    assert few.factor(0.3) == pytest.approx(1.0, abs=0.05)


def test_both_intervals_are_shown(backtest, runs):
    posterior = synthetic_posterior(runs)
    plain = bayescale.predict(posterior, N=[1e9, 1e10], D=1e12)
    wide = widen(plain, with_outcomes(backtest, 3.0))
    assert wide.intervals == plain.intervals
    assert wide.draws is plain.draws
    for before, after, factor in zip(wide.intervals, wide.widened, wide.factors, strict=True):
        assert factor > 1
        # Equal but for the interpolation between the two middle draws, of losses or of logarithms.
        assert after.median == pytest.approx(before.median, rel=1e-6)
        up = np.log([after.upper / after.median, before.upper / before.median])
        assert up[0] / up[1] == pytest.approx(factor, rel=1e-4)
    row = wide.to_json()["points"][0]
    assert (row["widened_lower"], row["factor"]) == (wide.widened[0].lower, wide.factors[0])
    assert "factor" not in plain.to_json()["points"][0]
    assert "widened by its backtest" in repr(wide)
    assert "widened" not in repr(plain)


def test_a_backtest_without_forecasts(backtest):
    empty = replace(backtest, origins=())
    with pytest.raises(InputError, match="no fit to the cheaper runs gave a forecast"):
        Widening.of(empty, 0.9)


def test_the_command(runs, tmp_path):
    fit = bayescale.fit(runs, noise="gaussian", drift="none")
    path = fit.save(tmp_path / "fit.nc")
    arguments = [
        "predict",
        str(path),
        "--params",
        "1e9",
        "--tokens",
        "1e11",
        "--backtest",
        "--json",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["points"]
    expected = widen(
        bayescale.predict(fit, N=1e9, D=1e11), bayescale.backtest(fit.runs, **fit.settings)
    )
    assert row["factor"] == pytest.approx(expected.factors[0])
    assert row["widened_upper"] == pytest.approx(expected.widened[0].upper)
