"""Systematic residuals along x: the stated rate of false alarms, and what is found."""

from dataclasses import replace

import numpy as np
import pytest

import bayescale
from bayescale import Runs
from bayescale.drift import DampedTrend
from bayescale.laws import get_law
from bayescale.misfit import FALSE_ALARMS, misfit


@pytest.mark.parametrize("n", [10, 17, 60, 400])
def test_false_alarms(n):
    """Residuals without order, of any distribution, at x with ties."""
    generator, count = np.random.default_rng(0), 20_000
    x = np.round(generator.uniform(0, 2 * n, n))
    alarms = sum(misfit(x, generator.standard_t(3, n)) is not None for _ in range(count))
    expected = FALSE_ALARMS * count
    assert alarms < expected + 4 * np.sqrt(expected)
    assert alarms > 0


def test_false_alarms_of_least_squares():
    """About a fitted curve there are fewer: neighbours alternate a little more."""
    generator, n, count = np.random.default_rng(0), 17, 5000
    z = np.linspace(-1, 1, n)
    design = np.stack([np.ones(n), z, z * z], axis=1)
    projection = np.eye(n) - design @ np.linalg.pinv(design)
    noise = generator.standard_normal((count, n))
    alarms = sum(misfit(np.exp(z), row @ projection) is not None for row in noise)
    assert alarms < FALSE_ALARMS * count


def test_the_order_within_ties_does_not_matter_much():
    x = np.repeat([1.0, 2.0, 3.0], 20)
    trend = np.tile(np.linspace(-1, 1, 20), 3)  # in what the rows are sorted by, not in x
    assert misfit(x, trend) is None


def test_what_is_found():
    x = np.arange(1.0, 31.0)
    residuals = np.where((x > 10) & (x <= 22), 0.02, -0.01) + 1e-4 * np.sin(50 * x)
    found = misfit(x[::-1], residuals[::-1])
    assert (found.low_x, found.high_x, found.count) == (11, 22, 12)
    assert found.mean == pytest.approx(0.02, abs=1e-3)
    assert found.p_value < FALSE_ALARMS
    assert misfit(x[:9], residuals[:9]) is None
    assert misfit(x, np.zeros(30)) is None


def test_verdict_of_a_fit():
    generator = np.random.default_rng(1)
    x = 10 ** generator.uniform(0, 3, 40)
    scatter = np.exp(0.003 * generator.standard_normal(40))
    straight = Runs.read({"x": x, "loss": 1.5 * x**-0.1 * scatter})
    right = bayescale.fit(straight, law="m1", drift="none")
    assert right.misfit is None
    assert "misses-the-shape" not in right.diagnostics.codes
    law = get_law("power")(E=1.0, c=1.0, alpha=0.5)
    curved = Runs.read({"x": x, "loss": np.asarray(law.loss({"x": x})) * scatter})
    wrong = bayescale.fit(curved, law="m1", drift="none")
    assert "misses-the-shape" in wrong.diagnostics.codes
    (verdict,) = [v for v in wrong.verdicts if v.code == "misses-the-shape"]
    assert verdict.severity == "warn"
    assert f"from x = {wrong.misfit.low_x:.3g}" in verdict.sentence
    assert "fewer than 1 of 1000 fits" in verdict.sentence
    assert "--law bnsl-1" in verdict.advice
    assert replace(wrong, spec=replace(wrong.spec, drift=DampedTrend())).misfit is None
