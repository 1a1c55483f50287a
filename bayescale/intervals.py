"""Intervals from draws, and numbers printed to the digits that their uncertainty allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayescale.errors import InputError, Problem

DEFAULT_LEVEL = 0.9
VAST = 100.0  # times: from here on the ends have digits of their own
ROUNDING = 1e-12  # offsets below this share of the numbers are rounding errors


def check_level(level: float) -> float:
    """Return the level if it is the mass of an interval, else raise `InputError`."""
    if not 0 < level < 1:
        raise InputError(
            Problem("level", f"the level is {level:g}", "it is the mass of an interval, above 0 and below 1",
                    "write 0.9 for 90% intervals")
        )  # fmt: skip
    return float(level)


@dataclass(frozen=True)
class Interval:
    """Median, equal-tailed interval, mean and sd of some draws."""

    median: float
    lower: float
    upper: float
    mean: float
    sd: float

    @classmethod
    def of(cls, draws: ArrayLike, level: float = DEFAULT_LEVEL) -> Interval:
        """Summarise draws of any shape; `level` is the mass between lower and upper.

        Examples
        --------
        >>> Interval.of([1.0, 2.0, 3.0], level=0.5)
        Interval(median=2.0, lower=1.5, upper=2.5, mean=2.0, sd=1.0)
        """
        values = np.asarray(draws, dtype=np.float64).ravel()
        tail = (1 - check_level(level)) / 2
        if np.isinf(values).any():  # what some draws say is never reached
            ends = np.quantile(values, [tail, 0.5, 1 - tail], method="inverted_cdf")
            lower, median, upper = map(float, ends)
            return cls(median, lower, upper, math.inf, math.inf)
        lower, median, upper = np.quantile(values, [tail, 0.5, 1 - tail])
        sd = float(values.std(ddof=1)) if values.size > 1 else 0.0
        return cls(float(median), float(lower), float(upper), float(values.mean()), sd)

    def to_json(self) -> dict[str, float]:
        """The five numbers by name."""
        return asdict(self)

    def as_point(self) -> dict[str, float | None]:
        """The median by name, with nothing where an interval would be: of a single number."""
        nothing = dict.fromkeys(("lower", "upper", "sd"))
        return {**asdict(self), **nothing}

    def times(self, factor: float) -> Interval:
        """Return the interval of the draws times a factor above 0, such as that of a unit."""
        return Interval(*(factor * value for value in asdict(self).values()))

    @property
    def is_point(self) -> bool:
        """Whether it is of a single number, and says nothing of its uncertainty."""
        return self.lower == self.upper

    def __str__(self) -> str:
        median, lower, upper = self.strings()
        return median if self.is_point else f"{median} ({lower} to {upper})"

    def strings(self) -> tuple[str, str, str]:
        """Median, lower and upper end as text, to the digits that the uncertainty allows."""
        numbers = (self.median, self.lower, self.upper)
        if self._is_vast:
            return tuple(map(_two_digits, numbers))  # type: ignore[return-value]
        exponent, decimals = self._scale()
        suffix = f"e{exponent}" if exponent else ""
        texts = (_fixed(value / 10.0**exponent, decimals) + suffix for value in numbers)
        return tuple(texts)  # type: ignore[return-value]

    @property
    def _is_vast(self) -> bool:
        """Whether its ends are of other sizes than the median, so that no place of digits suits all."""
        if math.isinf(self.median):
            return True
        up = self.upper / self.median if self.median > 0 and math.isfinite(self.upper) else 1.0
        return self.lower > 0 and max(self.median / self.lower, up) > VAST

    def offsets(self) -> str:
        """Median with offsets, such as ``18.6 (+3.1/-2.4)``; of a point, the number."""
        if self.is_point or self._is_vast:
            return str(self)
        median, up, down, exponent = self._offsets()
        return f"{median} (+{up}/-{down})" + (f"e{exponent}" if exponent else "")

    def latex(self) -> str:
        """Median with offsets, in LaTeX without the dollar signs."""
        if self.is_point:
            median, _, power = str(self).partition("e")
            return f"{median} \\times 10^{{{power}}}" if power else median
        if self._is_vast:
            return rf"\mbox{{{self}}}"
        median, up, down, exponent = self._offsets()
        text = f"{median}^{{+{up}}}_{{-{down}}}"
        return f"{text} \\times 10^{{{exponent}}}" if exponent else text

    def _offsets(self) -> tuple[str, str, str, int]:
        """Median, distance up and distance down as text, and the power of ten of all three."""
        exponent, decimals = self._scale()
        median, lower, upper = (
            round(value / 10.0**exponent, decimals)
            for value in (self.median, self.lower, self.upper)
        )
        numbers = (median, upper - median, median - lower)
        return (*(_fixed(value, decimals) for value in numbers), exponent)  # type: ignore[return-value]

    def _scale(self) -> tuple[int, int]:
        """Power of ten to divide by, and decimals to print (-2: round to hundreds)."""
        finite = [abs(v) for v in (self.median, self.lower, self.upper) if math.isfinite(v)]
        size = max(finite, default=0.0)
        if size == 0 or not math.isfinite(self.median):
            return 0, 0
        offsets = [abs(end - self.median) for end in (self.lower, self.upper)]
        seen = [offset for offset in offsets if ROUNDING * size < offset < math.inf]
        # The median may be far nearer to 0 than it is certain: 0.0 (-1.0 to 1.0).
        magnitude = math.floor(math.log10(max(abs(self.median), min(seen, default=0.0))))
        last = _last_digit(min(seen)) if seen else 3 - magnitude
        if round(abs(self.median), last) >= 10.0 ** (magnitude + 1):
            magnitude += 1  # 9.96e9, known to 0.5e9, is printed as 1.00e10
        exponent = magnitude if not -3 <= magnitude < 5 else 0
        return exponent, last + exponent


def _fixed(value: float, decimals: int) -> str:
    """A number to these decimals; below 0 they round to tens, hundreds and so on."""
    return f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}"  # + 0.0 turns -0 into 0


def _two_digits(value: float) -> str:
    """A number to two digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    magnitude = math.floor(math.log10(abs(value)))
    exponent = magnitude if not -3 <= magnitude < 5 else 0
    suffix = f"e{exponent}" if exponent else ""
    return _fixed(value / 10.0**exponent, 1 - magnitude + exponent) + suffix


def _last_digit(uncertainty: float) -> int:
    """Decimals at which an uncertainty shows one digit (355 to 949) or two (the rest)."""
    exponent = math.floor(math.log10(uncertainty))
    leading = uncertainty / 10.0**exponent
    return -exponent + (0 if 3.55 <= leading < 9.5 else 1) - (1 if leading >= 9.5 else 0)


def flat(draws: ArrayLike) -> np.ndarray:
    """Draws of shape (chains, draws, ...) with the first two axes joined."""
    array = np.asarray(draws)
    return array.reshape(-1, *array.shape[2:])


def summarise(draws: Mapping[str, Any], level: float) -> dict[str, Interval]:
    """The interval of each quantity."""
    return {name: Interval.of(values, level) for name, values in draws.items()}
