"""Pareto-smoothed weights against ArviZ's, and weights that cannot be used."""

import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayescale.inference.psis import effective_sizes, k_limit, smooth


def weights(draws, seed=0):
    """Log weights with light to heavy tails, 30 sets."""
    generator = np.random.default_rng(seed)
    spreads = np.repeat([0.1, 0.5, 1.0, 2.0, 5.0], 5)[:, None]
    normal = spreads * generator.standard_normal((25, draws))
    return np.concatenate([normal, generator.standard_t(3, (5, draws))])


@pytest.mark.parametrize("draws", [100, 225, 226, 800, 2400])
def test_weights_and_k_are_arvizs(draws):
    raw = weights(draws)
    smoothed, k = smooth(raw)
    for i in range(len(raw)):
        theirs, their_k = array_stats.psislw(-raw[i])  # which takes log likelihoods
        assert k[i] == pytest.approx(float(their_k), abs=1e-9)
        np.testing.assert_allclose(smoothed[i], theirs - np.log(np.exp(theirs).sum()), atol=1e-8)


def test_weights_add_up_to_one_and_sets_do_not_disturb_each_other():
    raw = weights(800)
    together, k = smooth(raw)
    np.testing.assert_allclose(np.exp(together).sum(axis=1), 1.0)
    for i in (0, 7, 29):
        alone, k_alone = smooth(raw[i : i + 1])
        np.testing.assert_array_equal(alone[0], together[i])
        assert k_alone[0] == k[i]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.fill(-np.inf),
        lambda row: row.fill(0.0),
        lambda row: row.__setitem__(3, np.nan),
        lambda row: row.__setitem__(3, np.inf),
    ],
    ids=["none above 0", "all equal", "not a number", "infinite"],
)
def test_weights_that_cannot_be_used_have_an_infinite_k(spoil):
    raw = weights(800)
    before = smooth(raw)[1]
    spoil(raw[4])
    after = smooth(raw)[1]
    assert after[4] == np.inf
    np.testing.assert_array_equal(np.delete(after, 4), np.delete(before, 4))


def test_a_draw_of_weight_zero_is_no_harm():
    raw = weights(800)[:1]
    raw[0, :5] = -np.inf
    smoothed, k = smooth(raw)
    assert np.isfinite(k[0])
    assert np.all(np.exp(smoothed[0, :5]) == 0)


def test_effective_sizes():
    equal = np.log(np.full((1, 50), 1 / 50))
    assert effective_sizes(equal)[0] == pytest.approx(50)
    one = np.log(np.array([[1.0, 0.0]]) + 1e-300)
    assert effective_sizes(one)[0] == pytest.approx(1)


@pytest.mark.parametrize(("draws", "limit"), [(100, 0.5), (1000, 2 / 3), (2200, 0.7), (9999, 0.7)])
def test_k_limit(draws, limit):
    assert k_limit(draws) == pytest.approx(limit, abs=2e-3)
