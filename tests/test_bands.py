"""Bands and p-values of uniformity: exact, against simulation and against ArviZ."""

import numpy as np
import pytest
from arviz_stats import ecdf_utils
from scipy import stats

from bayescale.calibration import bands


@pytest.mark.parametrize("count", [50, 500])
def test_the_pointwise_level_is_that_of_simulated_samples(count):
    """ArviZ finds it as a quantile over simulated uniform samples."""
    generator = np.random.default_rng(0)
    simulations, false_alarm = 2000, 0.1
    at = bands.places(count)
    level = ecdf_utils.simulate_confidence_bands(
        count, 1, at, 1 - false_alarm, simulations, generator
    )
    # Samples that fall to the level of ArviZ's quantile: binomial about the rate that is asked for.
    rate = bands.outside(count, (1 - level) / 2)
    assert abs(rate - false_alarm) < 4 * np.sqrt(false_alarm * (1 - false_alarm) / simulations)


@pytest.mark.parametrize("count", [20, 200, 450])
def test_p_values_of_uniform_numbers_are_uniform_and_consistent_with_the_band(count):
    generator = np.random.default_rng(count)
    samples = generator.uniform(size=(300, count))
    found = np.array([bands.p_value(sample) for sample in samples])
    for rate in (0.01, 0.1, 0.5):
        inside = stats.binom(len(found), rate).interval(1 - 1e-4)
        # Of few numbers there are few p-values, so their rates are at most what they say.
        assert (found <= rate).sum() <= inside[1]
        assert count < 100 or (found <= rate).sum() >= inside[0]
    at, lower, upper = bands.band(count, 0.1)
    share = np.array([bands.counts_below(sample, at) for sample in samples]) / count
    leaves = ((share < lower - 1e-12) | (share > upper + 1e-12)).any(axis=1)
    np.testing.assert_array_equal(leaves, found <= 0.1)


def test_probabilities_add_up_over_all_paths():
    """Six numbers, five points: every way they can fall, weighed by the multinomial."""
    count, tail = 6, 0.02
    at = bands.places(count)
    total = 0.0
    for code in range((count + 1) ** len(at)):
        counts = [(code // (count + 1) ** i) % (count + 1) for i in range(len(at))]
        if np.any(np.diff(counts) < 0):
            continue
        cells = np.diff([0, *counts, count])
        smallest = min(
            stats.binom.cdf(counts, count, at).min(),
            stats.binom.sf(np.array(counts) - 1, count, at).min(),
        )
        if smallest <= tail:
            total += stats.multinomial.pmf(cells, count, np.full(count, 1 / count))
    assert bands.outside(count, tail) == pytest.approx(total, rel=1e-9)


def test_what_is_not_uniform_is_found():
    generator = np.random.default_rng(3)
    z = generator.standard_normal(500)
    assert bands.p_value(stats.norm.cdf(z)) > 1e-3
    for wrong in (z / 0.8, z + 0.3, 0.7 * z):
        assert bands.p_value(stats.norm.cdf(wrong)) < 1e-3


def test_few_numbers_have_a_band_too():
    for count in (2, 3, 20):
        _, lower, upper = bands.band(count, 1e-3)
        assert np.all(lower <= upper)
        assert 0 <= bands.p_value(np.full(count, 0.5)) <= 1
