"""The embedded sweep is what its documentation says."""

import numpy as np

from bayescale import Runs
from bayescale.datasets import DATASETS, load_byte_sweep, load_dataset


def test_the_design_is_as_documented():
    runs, held_out, everything = (load_byte_sweep(s) for s in ("fit", "forecast", None))
    assert len(runs) >= 60
    assert len(held_out) >= 6
    assert len(everything) == len(runs) + len(held_out)
    decades = {s: np.log10(runs[s].max() / runs[s].min()) for s in "NDC"}
    assert decades["N"] >= 2
    assert decades["D"] >= 2
    assert decades["C"] >= 3
    ratio = runs.D / runs.N
    assert 1.9 < ratio.min() < 2.1
    assert 195 < ratio.max() < 205
    factor = held_out.C / runs.C.max()
    assert factor.min() > 5
    assert factor.max() < 10
    assert np.allclose(everything.C, 6 * everything.N * everything.D)
    assert runs.loss_unit == "nats/byte"


def test_some_points_have_three_seeds_which_differ():
    description = load_byte_sweep("fit").describe()
    assert description.replicated_points == 10
    assert 0.001 < description.replicate_sd < 0.05
    assert description.duplicate_rows == 0


def test_loss_falls_with_n_and_with_d():
    runs = load_byte_sweep("fit")
    slope = np.linalg.lstsq(
        np.column_stack([np.ones(len(runs)), np.log(runs.N), np.log(runs.D)]),
        np.log(runs.loss),
        rcond=None,
    )[0]
    assert slope[1] < 0
    assert slope[2] < 0


def test_data_sets_are_found_by_name():
    assert "byte-sweep" in DATASETS
    assert isinstance(load_dataset("byte-sweep"), Runs)
