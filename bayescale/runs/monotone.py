"""Whether the response rises with x, by more than neighbouring runs scatter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

BINS = 40  # of the range of log x; runs nearer to each other are neighbours, in no order
KEPT = 3  # bins in sequence, whose median must be low, and later high
LEAST_RISE = math.log(1.05)
LEAST_SCATTERS = 6.0
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Rise:
    """A rise of the response with x.

    Parameters
    ----------
    log_rise
        Rise of the logarithm of the response.
    scatter
        Scatter of the logarithm between neighbours.
    low_x, high_x
        Where it is low, and where it is high afterwards.
    """

    log_rise: float
    scatter: float
    low_x: float
    high_x: float


def rise(x: ArrayLike, response: ArrayLike) -> Rise | None:
    """Return the largest rise that is kept over several values of x; None if there is none.

    Runs whose log x are close together count as one, by their median. A rise is one of the median of
    three such neighbours over an earlier one's; it counts if it is larger than 5% and than six times the
    scatter of neighbours. That is the larger of two robust estimates: the spread of close runs, which
    differ in inputs other than x too, and second differences. Of curves that are flat or fall, with
    normal or heavy-tailed scatter, fewer than 1 in 100 are taken to rise.

    Parameters
    ----------
    x, response
        Above 0, shape (runs,).
    """
    places, logs = np.log(np.asarray(x, float)), np.log(np.asarray(response, float))
    span = float(np.ptp(places))
    if span == 0:
        return None
    bins = np.minimum((places - places.min()) / span * BINS, BINS - 1).astype(int)
    members = [np.flatnonzero(bins == b) for b in np.unique(bins)]
    if len(members) < 2 * KEPT:
        return None
    middle = np.array([np.median(logs[rows]) for rows in members])
    kept = np.median(np.lib.stride_tricks.sliding_window_view(middle, KEPT), axis=1)
    lowest = np.minimum.accumulate(kept)[:-KEPT]
    rises = kept[KEPT:] - lowest
    last = int(np.argmax(rises))
    first = int(np.argmin(kept[: last + 1]))
    scatter = _scatter(logs, members, middle)
    if rises[last] <= max(LEAST_RISE, LEAST_SCATTERS * scatter):
        return None
    where = [float(np.exp(np.median(places[members[i + 1]]))) for i in (first, last + KEPT)]
    return Rise(float(rises[last]), scatter, *where)


def _scatter(logs: Floats, members: list[NDArray[np.intp]], middle: Floats) -> float:
    """Robust sd of neighbours, in the units of `logs`."""
    within = [logs[rows] - np.median(logs[rows]) for rows in members if len(rows) > 1]
    near = float(np.median(np.abs(np.concatenate(within)))) if within else 0.0
    second = float(np.median(np.abs(np.diff(middle, 2)))) / math.sqrt(6)
    return MAD_TO_SD * max(near, second)
