"""R-hat and effective sample sizes against ArviZ, over chains of every kind."""

import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayescale.convergence import TAIL, ess_bulk, ess_tail, rhat


def chains(seed):
    """Autoregressive chains: of 1 to 5, long and short, some with ties, some that disagree."""
    generator = np.random.default_rng(seed)
    count, length = generator.integers(1, 6), generator.integers(4, 300)
    memory = generator.uniform(-0.9, 0.99)
    draws = generator.standard_normal((count, length))
    for i in range(1, length):
        draws[:, i] += memory * draws[:, i - 1]
    if seed % 5 == 0:
        draws = np.round(draws)
    if seed % 7 == 0:
        draws += np.arange(count)[:, None]
    return draws


@pytest.mark.parametrize("seed", range(60))
def test_equal_to_arviz(seed):
    draws, axes = chains(seed), {"chain_axis": 0, "draw_axis": 1}
    with np.errstate(all="ignore"):
        theirs = [
            array_stats.rhat(draws, **axes),
            array_stats.ess(draws, method="bulk", **axes),
            array_stats.ess(draws, method="tail", prob=TAIL, **axes),
        ]
    ours = [rhat(draws), ess_bulk(draws), ess_tail(draws)]
    assert np.allclose(ours, np.asarray(theirs, dtype=float), rtol=1e-10, equal_nan=True)


@pytest.mark.parametrize(
    "draws", [np.full((4, 50), np.nan), np.zeros((4, 3)), np.where(np.eye(4, 50), np.inf, 0.0)]
)
def test_what_cannot_be_judged_is_nan(draws):
    assert np.isnan([rhat(draws), ess_bulk(draws), ess_tail(draws)]).all()


def test_one_chain_has_no_rhat():
    assert np.isnan(rhat(chains(1)[:1]))
