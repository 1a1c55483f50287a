"""Plans beside the best of their budget: regret by brute force, regions, cost, and what is refused."""

import json

import jax
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from typer.testing import CliRunner

import bayescale
from bayescale import Cost, InputError
from bayescale.cli.main import app
from conftest import synthetic_posterior

C = 5.76e23


@pytest.fixture(scope="module")
def posterior(runs):
    return synthetic_posterior(runs)


def lowest(law, budget, i, inference=0.0):
    """The lowest loss of one draw, by SciPy."""
    E, A, B, a, b = (float(getattr(law, name)[i]) for name in ("E", "A", "B", "alpha", "beta"))

    def loss(log_n):
        n = np.exp(log_n)
        d = (budget / n - 2 * inference) / 6
        return E + A * n**-a + B * d**-b if d > 0 else 1e9

    high = np.log(budget / (6 + 2 * inference))
    return minimize_scalar(loss, bounds=(np.log(1e6), high), options={"xatol": 1e-12}).fun


@pytest.mark.parametrize("inference", [0.0, 1e12])
def test_regret_is_that_of_brute_force(posterior, inference):
    N, D = 70e9, 1.4e12
    plan = bayescale.what_if(posterior, N, D, inference_tokens=inference)
    law = posterior.flat_law()
    budget = N * (6 * D + 2 * inference)
    assert pytest.approx(budget) == plan.C
    with jax.enable_x64(True):
        mine = np.asarray(law.E + law.A * N**-law.alpha + law.B * D**-law.beta)
    expected = np.array([mine[i] / lowest(law, budget, i, inference) - 1 for i in range(len(mine))])
    assert plan.expected == pytest.approx(expected.mean(), rel=1e-6, abs=1e-9)
    assert plan.high == pytest.approx(np.quantile(expected, 0.9), rel=1e-5, abs=1e-9)
    near = np.abs(expected - plan.tolerance) < 1e-9
    assert abs(plan.probability - np.mean(expected <= plan.tolerance)) <= near.mean()


def test_wasted_compute_is_what_the_best_split_saves(posterior):
    plan = bayescale.what_if(posterior, 1e9, 1e15)
    law = posterior.flat_law()
    with jax.enable_x64(True):
        mine = np.asarray(law.E + law.A * 1e9**-law.alpha + law.B * 1e15**-law.beta)
    wasted = []
    for i in range(len(mine)):
        low, high = 10.0, np.log10(plan.C)
        for _ in range(22):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if lowest(law, 10**middle, i) > mine[i] else (low, middle)
        wasted.append(1 - 10**low / plan.C)
    assert plan.wasted.median == pytest.approx(np.median(wasted), abs=1e-4)
    assert plan.wasted.median > 0.5  # a million tokens per parameter


def test_the_optimum_loses_nothing(posterior):
    best = bayescale.allocate(posterior, C)
    plan = bayescale.what_if(
        posterior, best.intervals["N"][0].median, best.intervals["D"][0].median
    )
    assert plan.probability > 0.9
    assert 0 <= plan.expected < 0.002


def test_the_region(posterior):
    found = bayescale.region(posterior, C)
    best = bayescale.allocate(posterior, C).intervals["N"][0]
    assert best.lower < found.N[found.least] < best.upper
    low, high = found.likely(0.5)
    assert low < best.median < high
    wide = bayescale.region(posterior, C, tolerance=0.02)
    assert (wide.probability >= found.probability).all()
    i = int(np.argmin(np.abs(found.N - 70e9)))
    plan = bayescale.what_if(posterior, found.N[i], found.D[i])
    assert plan.probability == pytest.approx(found.probability[i], abs=2e-3)
    assert plan.expected == pytest.approx(found.expected[i], rel=1e-6)
    listed = bayescale.region(posterior, C, sizes=[7e9, 70e9])
    assert listed.N.tolist() == [7e9, 70e9]
    assert found.to_frame().shape == (len(found.N), 5)


def test_cost():
    cost = Cost(peak_flops=1e15, utilisation=0.5, price=2.0, currency="EUR")
    assert cost.hours(1.8e18) == pytest.approx(1.0)
    assert cost.money(1.8e18) == pytest.approx(2.0)
    assert cost.flops(2.0) == pytest.approx(1.8e18)
    for options in ({"peak_flops": 0}, {"peak_flops": 1e15, "utilisation": 1.2},
                    {"peak_flops": 1e15, "price": -1}):  # fmt: skip
        with pytest.raises(InputError, match="it must be"):
            Cost(**options)
    with pytest.raises(InputError, match="price: it is 0"):
        Cost(peak_flops=1e15).flops(100.0)


def test_the_command(posterior, tmp_path):
    path = posterior.save(tmp_path / "fit.nc")
    words = ["what-if", str(path), "--params", "70e9", "--tokens", "15e12", "--inference-tokens",
             "1e14", "--peak-flops", "989e12", "--price", "2", "--tokens-per-year", "5e12"]  # fmt: skip
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["tokens_per_parameter"] == pytest.approx(15e12 / 70e9)
    assert said["years_of_data"] == 3.0
    assert said["cost"]["money"] == pytest.approx(2 * said["cost"]["device_hours"])
    assert 0 <= said["probability_among_best"] <= 1
    done = CliRunner().invoke(app, words)
    assert "money (USD)" in done.stdout
    assert "years of data" in done.stdout
    with pytest.raises(InputError, match="without --peak-flops"):
        CliRunner().invoke(app, [*words[:6], "--price", "2"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fit: bayescale.what_if(fit, -1, 1e9), "N: it is -1"),
        (lambda fit: bayescale.what_if(fit, 1e9, 1e10, tolerance=2), "tolerance: it is 2"),
        (lambda fit: bayescale.region(fit, 1.0), "C: 1 FLOPs train no model"),
        (lambda fit: bayescale.region(fit, 1e21, at={"experts": 2}), "no other input experts"),
    ],
)
def test_bad_requests(posterior, call, message):
    with pytest.raises(InputError, match=message):
        call(posterior)
