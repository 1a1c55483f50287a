"""Laws of one variable: what they contain, papers' numbers, and curves with breaks and rises."""

import importlib.util
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from law_designs import grid, reference, scattered
from scipy.special import expit, log_expit

import bayescale
from bayescale import Runs
from bayescale.errors import DesignError
from bayescale.laws import M1, M3, M4, Bnsl1, Bnsl2, DoubleSaturation, KaplanC, Power, get_law
from bayescale.laws.m4 import log_odds

X = np.geomspace(1e3, 1e10, 30)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def same(one, other, rtol=1e-12):
    np.testing.assert_allclose(one.loss({"x": X}), other.loss({"x": X}), rtol=rtol)


def test_m3_with_exponent_1_is_power_and_without_saturation_m1():
    same(M3(beta=4e3, gamma=5e-4, c=1.0), Power(E=2.0, c=4e3, alpha=1.0))
    same(M3(beta=10.0, gamma=1e-20, c=0.2), M1(beta=10.0, c=0.2), 1e-9)


def test_m4_tends_to_power():
    # Where e0 - L = 1, the plateau has no say whatever alpha is.
    wide = M4(e_inf=1.5, e0=1e4, alpha=1e-6, beta=30.0, c=0.3)
    same(wide, Power(E=1.5, c=30.0, alpha=0.3), 1e-4)


def test_m4_with_alpha_1_is_a_logistic_curve():
    law = M4(e_inf=0.2, e0=0.9, alpha=1.0, beta=1e3, c=0.5)
    expected = 0.2 + 0.7 * expit(np.log(1e3) - 0.5 * np.log(X))
    np.testing.assert_allclose(law.loss({"x": X}), expected, rtol=1e-13)


def test_m4_has_the_expansion_of_its_paper_at_large_x():
    e, e0, alpha, beta, c = 0.2, 0.9, 0.6, 50.0, 0.4
    x = np.geomspace(1e9, 1e12, 4)
    power, gap = beta * x**-c, e0 - e
    first = gap**alpha * power
    second = alpha * gap ** (2 * alpha - 1) * power**2
    excess = np.asarray(M4(e_inf=e, e0=e0, alpha=alpha, beta=beta, c=c).loss({"x": x})) - e
    assert np.all(np.abs(excess - first + second) < 5 * power * second)


def test_log_odds_solve_their_equation():
    t, alpha = np.meshgrid(np.linspace(-60, 60, 121), np.geomspace(0.05, 5, 21))
    s = np.asarray(log_odds(t, alpha))
    np.testing.assert_allclose(log_expit(s) - alpha * log_expit(-s), t, atol=1e-11)


def test_second_derivatives_of_log_odds():
    """Searches use Hessians, so the rule of the derivative must itself be differentiable."""
    for t in (-3.0, 0.4, 6.0):
        found = jax.hessian(lambda v: log_odds(v[0], v[1]))(np.array([t, 0.4]))
        gradient = jax.grad(lambda v: log_odds(v[0], v[1]))
        for i in range(2):
            step = 1e-5 * (np.arange(2) == i)
            point = np.array([t, 0.4])
            difference = (gradient(point + step) - gradient(point - step)) / 2e-5
            np.testing.assert_allclose(found[i], difference, rtol=1e-6, atol=1e-9)


def test_bnsl_without_change_of_slope_is_power_and_contains_fewer_breaks():
    straight = {"a": 1.5, "b": 30.0, "c0": 0.3}
    one = Bnsl1(**straight, c1=0.0, d1=1e6, f1=0.3)
    same(one, Power(E=1.5, c=30.0, alpha=0.3))
    broken = {**straight, "c1": 0.4, "d1": 1e6, "f1": 0.3}
    same(Bnsl2(**broken, c2=0.0, d2=1e8, f2=0.1), Bnsl1(**broken))


def test_slopes_of_bnsl_far_from_the_break():
    law = Bnsl1(a=0.5, b=30.0, c0=0.1, c1=0.4, d1=1e6, f1=0.2)
    for x, slope in ((1e2, 0.1), (1e11, 0.5)):
        low, high = (np.log(float(law.loss({"x": x * k})) - 0.5) for k in (1.0, 2.0))
        assert (low - high) / np.log(2) == pytest.approx(slope, rel=1e-6)


def test_double_saturation_without_shift_is_power_and_is_flat_below_it():
    same(DoubleSaturation(c=1.5, a=30.0, d=1e-12, b=0.3), Power(E=1.5, c=30.0, alpha=0.3))
    law = DoubleSaturation(c=0.1, a=0.5, d=2.0, b=0.3)
    assert float(law.loss({"x": 1e-9})) == pytest.approx(0.1 + 0.5 * 2**-0.3)


def test_compute_of_kaplan_is_in_flops():
    law = KaplanC.from_published("kaplan-2020-c")
    assert float(law.X_c) == pytest.approx(3.1e8 * 1e15 * 24 * 3600)
    assert float(law.loss({"C": law.X_c})) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["m1", "m3", "m4", "bnsl-1", "bnsl-2", "double-saturation"])
def test_32_bits_are_enough_for_medians(name):
    law, x = get_law(name), grid(get_law(name))
    middle = {c.name: float(c.prior.quantile(0.5, reference(law))) for c in law.coordinates}
    exact = np.asarray(law.from_coordinates(middle, reference(law)).loss(x))
    with jax.enable_x64(False):
        rough = np.asarray(law.from_coordinates(middle, reference(law)).loss(x))
    np.testing.assert_allclose(rough, exact, rtol=2e-5)


@pytest.fixture(scope="module")
def addition(public_data):
    return Runs.read(public_data / "addition_break.csv")


def test_a_break_is_fitted_by_a_broken_law(addition):
    fit = bayescale.fit(addition, law="bnsl-1", drift="none")
    assert fit.diagnostics.divergences <= 4
    assert fit.misfit is None
    # The example in the authors' repository, fitted to the first 14 of these points.
    found = fit.summary(level=0.999)
    example = {"a": 0.414, "b": 2.277, "c0": 0.055, "c1": 5.66, "d1": 612.6, "f1": 0.0592}
    for name, value in example.items():
        assert found[name].lower < value < found[name].upper, name
    assert float(np.median(fit.noise.sigma)) < 0.005


@pytest.mark.parametrize("law", ["power", "m1", "double-saturation"])
def test_laws_without_a_break_say_that_they_miss_it(addition, law):
    fit = bayescale.fit(addition, law=law, drift="none")
    assert "misses-the-shape" in fit.diagnostics.codes
    assert float(np.median(fit.noise.sigma)) > 0.1


def test_double_descent_is_refused_by_laws_that_fall(public_data):
    where = "curve == 'cifar10-mcnn-p20-sgd'"
    runs = Runs.read(public_data / "double_descent.csv", columns={"group": ""}, where=where)
    for law in ("power", "m1", "m3", "m4", "double-saturation"):
        with pytest.raises(DesignError, match="the loss rises by 10% between x = ") as refusal:
            bayescale.fit(runs, law=law)
        assert [problem.check for problem in refusal.value.problems] == ["not-monotone"]
    fit = bayescale.fit(runs, law="power", drift="none", allow=["not-monotone"])
    assert fit.provenance["allowed"] == ["not-monotone"]
    assert "misses-the-shape" in fit.diagnostics.codes
    many = bayescale.fit_many({"double": runs}, law="power")
    assert many.status["rejected"] == 1
    assert many.table["codes"].to_pylist() == ["not-monotone"]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [0, 1])
def test_two_breaks_are_found(seed):
    truth = {"a": 1.5, "b": 30.0, "c0": 0.05, "c1": 0.9, "d1": 1e8, "f1": 0.2}
    truth |= {"c2": -0.6, "d2": 1e9, "f2": 0.2}
    x = scattered(Bnsl2, 100)
    scatter = np.exp(0.003 * np.random.default_rng(0).standard_normal(100))
    runs = Runs(np.asarray(Bnsl2(**truth).loss(x)) * scatter, x)
    found = bayescale.fit(runs, law="bnsl-2", drift="none", seed=seed).summary(level=0.998)
    for name, value in truth.items():
        assert found[name].lower < value < found[name].upper, name


@pytest.mark.nightly
def test_the_benchmark_of_curves(public_data):
    """Three of its curves: a line on log axes is far off, and laws with more shape are near."""
    path = Path(__file__).parents[1] / "benchmarks" / "curves" / "run.py"
    module = importlib.util.spec_from_file_location("curves_benchmark", path)
    benchmark = importlib.util.module_from_spec(module)
    sys.modules[module.name] = benchmark  # where its dataclasses look for themselves
    module.loader.exec_module(benchmark)
    names = ["IC|bird_10|BiT/101/3", "IC|c_10|BiT/50/1", "IC|inet_10|BiT/101/3"]
    every = benchmark.curves(public_data)
    assert len(every) == 72
    chosen = {name: every[name] for name in names}
    rmse = {}
    for law in ("m1", "power", "m4", "bnsl-1"):
        scores, failed = benchmark.plain(chosen, law)
        rmse[law] = np.array([scores[name].rmse for name in names])
        assert failed == 0
        assert benchmark.summary(scores.values())["mean"] == pytest.approx(rmse[law].mean())
    for law in ("power", "m4", "bnsl-1"):
        assert np.all(rmse[law] < 0.8 * rmse["m1"]), law
        assert np.all(rmse[law] < 0.04), law
    assert rmse["bnsl-1"][0] < 0.8 * rmse["power"][0]
