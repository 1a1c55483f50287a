"""Units of loss, and training FLOPs."""

import math

import numpy as np
import pytest

from bayescale.errors import InputError
from bayescale.units import LOSS_UNITS, check_loss_unit, convert_loss, training_flops


@pytest.mark.parametrize("unit", LOSS_UNITS)
def test_known_units_are_returned(unit):
    assert check_loss_unit(unit) == unit


@pytest.mark.parametrize("unit", ["nats", "nat/token", "", None, "NATS/TOKEN"])
def test_unknown_units_are_refused(unit):
    with pytest.raises(InputError, match="is not known; use one of nats/token, bits/token"):
        check_loss_unit(unit)


@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        ("nats/token", "bits/token", math.log2(math.e)),
        ("bits/token", "nats/token", 1 / math.log2(math.e)),
        ("nats/token", "nats/byte", 1 / 4.5),
        ("nats/byte", "nats/token", 4.5),
        ("nats/token", "bits/byte", math.log2(math.e) / 4.5),
        ("bits/byte", "nats/token", 4.5 / math.log2(math.e)),
    ],
)
def test_factors(source, target, factor):
    loss = np.array([[2.0, 3.5]])
    converted = convert_loss(loss, source, target, bytes_per_token=4.5)
    assert converted.shape == loss.shape
    np.testing.assert_allclose(converted, loss * factor, rtol=1e-14)


def test_a_fair_coin_has_one_bit():
    assert convert_loss(math.log(2), "nats/token", "bits/token") == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("source", LOSS_UNITS)
@pytest.mark.parametrize("target", LOSS_UNITS)
def test_there_and_back(source, target):
    there = convert_loss(2.7, source, target, bytes_per_token=3.7)
    assert convert_loss(there, target, source, bytes_per_token=3.7) == pytest.approx(2.7, rel=1e-14)


@pytest.mark.parametrize("unit", LOSS_UNITS)
def test_the_same_unit_changes_no_bit(unit):
    assert convert_loss(0.1 + 0.2, unit, unit) == 0.1 + 0.2


@pytest.mark.parametrize("bad", [None, 0, -4, math.nan, math.inf])
def test_bytes_per_token_must_be_positive(bad):
    match = f"nats/token to bits/byte, bytes_per_token must be a positive number; it is {bad}"
    with pytest.raises(InputError, match=match):
        convert_loss(2.0, "nats/token", "bits/byte", bytes_per_token=bad)


def test_unknown_unit_in_a_conversion():
    with pytest.raises(InputError, match="loss unit 'nats' is not known"):
        convert_loss(2.0, "nats/token", "nats")


def test_flops_of_published_runs():
    # Hoffmann et al. 2022, table A3: Chinchilla, 5.76e23 with embeddings and attention counted.
    assert training_flops(70e9, 1.4e12) == pytest.approx(5.76e23, rel=0.03)
    # Brown et al. 2020, table D.1: GPT-3 175B, 3.14e23 FLOPs for 300e9 tokens.
    assert training_flops(174.6e9, 300e9) == pytest.approx(3.14e23, rel=0.01)


def test_flops_of_integers_do_not_overflow():
    N, D = np.array([7 * 10**10]), np.array([14 * 10**11])
    assert N.dtype == np.int64
    assert training_flops(N, D) == pytest.approx(5.88e23, rel=1e-15)


def test_flops_broadcast_and_take_another_factor():
    flops = training_flops(np.array([[1.0], [2.0]]), np.array([3.0, 4.0, 5.0]), 8)
    np.testing.assert_array_equal(flops, [[24, 32, 40], [48, 64, 80]])
