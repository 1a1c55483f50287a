"""Intervals: quantiles of draws, and digits by uncertainty."""

import math

import numpy as np
import pytest

from bayescale.errors import InputError
from bayescale.intervals import Interval, check_level, flat, summarise


def interval(median, lower, upper):
    return Interval(median, lower, upper, mean=median, sd=0.0)


# Worked by hand. The smaller offset shows one digit from 355 to 949 and two else, as the Particle
# Data Group rounds its errors; all three numbers end at that place.
CASES = {
    (18.62, 13.1, 26.4): ("19 (13 to 26)", "19 (+7/-6)"),
    (18.62, 15.2, 22.1): ("18.6 (15.2 to 22.1)", "18.6 (+3.5/-3.4)"),
    (0.34781, 0.317, 0.373): ("0.348 (0.317 to 0.373)", "0.348 (+0.025/-0.031)"),
    (1.8172, 1.769, 1.871): ("1.82 (1.77 to 1.87)", "1.82 (+0.05/-0.05)"),
    (0.0123, 0.0100, 0.0150): ("0.0123 (0.0100 to 0.0150)", "0.0123 (+0.0027/-0.0023)"),
    (0.00612, 0.0041, 0.0102): ("0.0061 (0.0041 to 0.0102)", "0.0061 (+0.0041/-0.0020)"),
    (2.0, 1.904, 2.097): ("2.00 (1.90 to 2.10)", "2.00 (+0.10/-0.10)"),  # 0.096 is 0.10
    (5.0, 4.642, 5.4): ("5.0 (4.6 to 5.4)", "5.0 (+0.4/-0.4)"),  # 0.358: one digit
    (5.0, 4.648, 5.4): ("5.00 (4.65 to 5.40)", "5.00 (+0.40/-0.35)"),  # 0.352: two
    # Scale of the numbers.
    (72.3e9, 50e9, 101e9): ("7.2e10 (5.0e10 to 10.1e10)", "7.2 (+2.9/-2.2)e10"),
    (1.326e12, 1.21e12, 1.48e12): ("1.33e12 (1.21e12 to 1.48e12)", "1.33 (+0.15/-0.12)e12"),
    (9.96e11, 9.0e11, 1.1e12): ("1.00e12 (0.90e12 to 1.10e12)", "1.00 (+0.10/-0.10)e12"),
    (9.96e11, 9.8e11, 1.01e12): ("9.96e11 (9.80e11 to 10.10e11)", "9.96 (+0.14/-0.16)e11"),
    (1.23e-5, 1.0e-5, 1.5e-5): ("1.23e-5 (1.00e-5 to 1.50e-5)", "1.23 (+0.27/-0.23)e-5"),
    (99_996.0, 40_000.0, 160_000.0): ("1.0e5 (0.4e5 to 1.6e5)", "1.0 (+0.6/-0.6)e5"),
    # Digits above the point are rounded too.
    (1862.3, 1310.4, 2641.1): ("1900 (1300 to 2600)", "1900 (+700/-600)"),
    (482.0, 285.3, 744.2): ("480 (290 to 740)", "480 (+260/-190)"),
    # Signs.
    (-18.62, -26.4, -13.1): ("-19 (-26 to -13)", "-19 (+6/-7)"),
    (-0.001, -1.0, 1.0): ("0.0 (-1.0 to 1.0)", "0.0 (+1.0/-1.0)"),
    (1e-12, -1.0, 1.0): ("0.0 (-1.0 to 1.0)", "0.0 (+1.0/-1.0)"),
    (0.0, -1.0, 1.0): ("0.0 (-1.0 to 1.0)", "0.0 (+1.0/-1.0)"),
    # No width: a point; or next to none.
    (0.0, 0.0, 0.0): ("0", "0"),
    (2.5, 2.5, 2.5): ("2.500", "2.500"),
    (2.5, 2.5, 2.6): ("2.50 (2.50 to 2.60)", "2.50 (+0.10/-0.00)"),
    (9.996e11, 9.996e11, 9.996e11): ("9.996e11", "9.996e11"),
    (2.5, 2.49999986, 2.5000001): (
        "2.50000000 (2.49999986 to 2.50000010)",
        "2.50000000 (+0.00000010/-0.00000014)",
    ),
    (1974.0, 1973.9999999999998, 1974.0): ("1974 (1974 to 1974)", "1974 (+0/-0)"),
    # What is not finite.
    (1.97, 1.9, math.inf): ("1.97 (1.90 to inf)", "1.97 (+inf/-0.07)"),
    (math.inf, 64214763395274.0, math.inf): ("inf (6.4e13 to inf)", "inf (6.4e13 to inf)"),
    (6e20, 3.1e17, 2.5045e28): ("6.0e20 (3.1e17 to 2.5e28)", "6.0e20 (3.1e17 to 2.5e28)"),
    (6e11, 2.3e9, math.inf): ("6.0e11 (2.3e9 to inf)", "6.0e11 (2.3e9 to inf)"),
    (20.0, 0.15, 30.0): ("20 (0.15 to 30)", "20 (0.15 to 30)"),
    (math.inf, 0.0, math.inf): ("inf (0 to inf)", "inf (0 to inf)"),
    (math.nan, math.nan, math.nan): ("nan (nan to nan)", "nan (+nan/-nan)"),
}


@pytest.mark.parametrize(("numbers", "texts"), CASES.items(), ids=str)
def test_digits(numbers, texts):
    assert (str(interval(*numbers)), interval(*numbers).offsets()) == texts


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((18.62, 15.2, 22.1), "18.6^{+3.5}_{-3.4}"),
        ((72.3e9, 50e9, 101e9), r"7.2^{+2.9}_{-2.2} \times 10^{10}"),
        ((1.23e-5, 1.0e-5, 1.5e-5), r"1.23^{+0.27}_{-0.23} \times 10^{-5}"),
        ((-18.62, -26.4, -13.1), "-19^{+6}_{-7}"),
        ((6e20, 3.1e17, 2.5045e28), r"\mbox{6.0e20 (3.1e17 to 2.5e28)}"),
    ],
)
def test_latex(numbers, text):
    assert interval(*numbers).latex() == text


def test_offsets_lead_from_the_printed_median_to_the_printed_ends():
    generator = np.random.default_rng(0)
    for _ in range(200):
        median = 10 ** generator.uniform(-6, 13)
        lower, upper = median - np.array([1, -1]) * median * 10 ** generator.uniform(-4, 1, 2)
        one = interval(median, lower, upper)
        printed = [float(text) for text in one.strings()]
        centre, _, rest = one.offsets().partition(" (+")
        up, _, rest = rest.partition("/-")
        down, _, exponent = rest.partition(")")
        centre, up, down = (float(text + exponent) for text in (centre, up, down))
        np.testing.assert_allclose([centre, centre - down, centre + up], printed, rtol=1e-9)


def test_printed_numbers_are_near_the_numbers():
    # Half a unit of the last place is at most a seventh of the smaller offset (0.5 of 3.55).
    generator = np.random.default_rng(1)
    for _ in range(200):
        median = generator.choice([-1, 1]) * 10 ** generator.uniform(-6, 13)
        offsets = abs(median) * 10 ** generator.uniform(-4, 1, 2)
        numbers = (median, median - offsets[0], median + offsets[1])
        printed = [float(text) for text in interval(*numbers).strings()]
        assert np.abs(np.subtract(printed, numbers)).max() <= offsets.min() / 7


def test_of_draws():
    draws = np.random.default_rng(0).permutation(np.arange(1001.0)).reshape(7, 143)
    one = Interval.of(draws, level=0.8)
    assert (one.lower, one.upper) == pytest.approx((100.0, 900.0))
    assert (one.median, one.mean) == (500.0, 500.0)
    assert one.sd == pytest.approx(np.std(np.arange(1001), ddof=1))
    assert Interval.of(draws) == Interval.of(draws, level=0.9)
    assert Interval.of(3.0) == Interval(3.0, 3.0, 3.0, 3.0, 0.0)
    assert one.to_json().keys() == {"median", "lower", "upper", "mean", "sd"}
    assert Interval(**one.to_json()) == one


def test_summarise_and_flat():
    draws = {"a": np.arange(24.0).reshape(2, 3, 4), "b": np.ones((2, 3))}
    assert summarise(draws, 0.5) == {name: Interval.of(d, 0.5) for name, d in draws.items()}
    np.testing.assert_array_equal(flat(draws["a"]), np.arange(24.0).reshape(6, 4))
    assert flat(draws["b"]).shape == (6,)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90.0, math.nan])
def test_a_level_is_a_mass(level):
    message = rf"the level is {level:g}; it is the mass of an interval.*Write 0.9 for 90% intervals"
    with pytest.raises(InputError, match=message):
        check_level(level)
    with pytest.raises(InputError, match=message):
        Interval.of([1.0, 2.0], level)
