"""Where two recipes cross: the compute at which the better one changes, draw by draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.intervals import Interval
from bayescale.speedups.frontier import Frontier
from bayescale.tables import number

Floats = NDArray[np.float64]
POINTS = 65  # of the range at which losses are compared
HALVINGS = 40
EQUAL = 1e-12  # relative difference of losses that is rounding


@dataclass(frozen=True)
class Crossing:
    """Where two recipes cross within a range of scales.

    Parameters
    ----------
    within
        The range.
    a_throughout, b_throughout
        Share of the draws in which A, or B, has the lower loss over the whole range.
    a_after, b_after
        Share of the draws in which they cross in it, and A, or B, is ahead after the last crossing.
    several
        Share of the draws in which they cross more than once.
    draws
        Scale of the last crossing in each draw, shape (draws,); NaN where there is none.
    interval
        Of the scale of the crossing, in the draws that have one; None if none has.
    """

    within: tuple[float, float]
    a_throughout: float
    b_throughout: float
    a_after: float
    b_after: float
    several: float
    draws: Floats
    interval: Interval | None

    @property
    def share(self) -> float:
        """Share of the draws in which the recipes cross in the range."""
        return self.a_after + self.b_after

    def to_json(self) -> dict[str, Any]:
        """The crossing as plain data."""
        return {
            "within": list(self.within),
            "share": self.share,
            "interval": None if self.interval is None else self.interval.to_json(),
            "a_throughout": self.a_throughout,
            "b_throughout": self.b_throughout,
            "a_after": self.a_after,
            "b_after": self.b_after,
            "several": self.several,
        }

    def words(self, symbol: str, level: float) -> str:
        """Return it as sentences."""
        low, high = map(number, self.within)
        where = f"between {symbol} = {low} and {high}"
        if self.interval is None:
            shares = f"A is ahead in {self.a_throughout:.0%} of the draws and B in {self.b_throughout:.0%}"
            return f"Crossing: none {where}; throughout, {shares}."
        found = f"Crossing {where}: in {self.share:.0%} of the draws, at {self.interval}"
        if not self.interval.is_point:
            found += f" (median and {level:.0%} interval of these)"
        found += (
            f"; A is ahead after it in {self.a_after:.0%}, B in {self.b_after:.0%}; without a crossing, "
            f"A is ahead in {self.a_throughout:.0%}, B in {self.b_throughout:.0%}."
        )
        if self.several:
            found += f" In {self.several:.0%} they cross more than once: the last one counts."
        return found


def crossing(A: Frontier, B: Frontier, within: tuple[float, float], level: float) -> Crossing:
    """Return where the lowest losses of two recipes cross, the last time within a range.

    Losses are compared at points evenly spaced in the logarithm; two crossings between neighbours
    are not seen.
    """
    grid = np.geomspace(within[0], within[1], POINTS)

    def below(ours: Floats, theirs: Floats) -> NDArray[np.bool_]:
        return ours < theirs * (1 - EQUAL)

    ours, theirs = A.losses(grid), B.losses(grid)
    first = below(ours, theirs)
    changes = first[:, 1:] != first[:, :-1]
    count = changes.sum(axis=1)
    last = POINTS - 2 - np.argmax(changes[:, ::-1], axis=1)
    found = np.full(len(first), np.nan)
    crossed = count > 0
    if crossed.any():
        low, high = np.log(grid[last])[:, None], np.log(grid[last + 1])[:, None]
        before = first[np.arange(len(first)), last][:, None]
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            at_middle = np.exp(middle)
            same = below(A.losses(at_middle), B.losses(at_middle)) == before
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        found[crossed] = np.exp(0.5 * (low + high))[crossed, 0]
    end = first[:, -1]
    behind = below(theirs, ours)[:, -1]  # of laws that are the same, neither is ahead
    return Crossing(
        within=within,
        a_throughout=float(np.mean(~crossed & end)),
        b_throughout=float(np.mean(~crossed & behind)),
        a_after=float(np.mean(crossed & end)),
        b_after=float(np.mean(crossed & ~end)),
        several=float(np.mean(count > 1)),
        draws=found,
        interval=Interval.of(found[crossed], level) if crossed.any() else None,
    )
