"""How long a sweep will take and what it will write, from its first chunks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bayescale.errors import InputError, Problem

LEAST_SECONDS = 5.0  # of chunks at work after those that compiled
COPIES_ON_DISK = 2  # the chunks, and the file that joins them


@dataclass(frozen=True)
class Estimate:
    """What is left of a sweep.

    Parameters
    ----------
    sets
        Data sets of the whole sweep.
    seconds
        Time that is left.
    bytes
        Size of the results when all are there; 0 if they stay in memory.
    """

    sets: int
    seconds: float
    bytes: int

    def __str__(self) -> str:
        size = f", {_size(self.bytes)} of results" if self.bytes else ""
        return f"{self.sets:,} data sets: about {_duration(self.seconds)} from now{size}"


Announce = Callable[[Estimate], None]


class Pace:
    """Watches the chunks of a sweep, and speaks once, when enough of them are done.

    Parameters
    ----------
    costs
        Cost of each chunk that is to be made, in any unit.
    workers
        Chunks at work at once; so many are waited for first, since they compile.
    announce
        What is called with the estimate.
    folder
        Where the results go; None if they stay in memory.
    """

    def __init__(
        self,
        costs: Sequence[float],
        workers: int,
        announce: Announce | None,
        folder: Path | None,
    ):
        self.total = self.left = float(sum(costs))
        self.workers, self.announce, self.folder = workers, announce, folder
        self.chunks = self.written = 0
        self.warm: tuple[float, float] | None = None
        self.said = False

    def step(self, cost: float, written: int, sets: int) -> None:
        """Note that a chunk is done.

        Raises
        ------
        InputError
            The results will not fit on the disk.
        """
        now = time.perf_counter()
        self.left -= cost
        self.chunks += 1
        self.written += written
        if self.said:
            return
        if self.chunks == self.workers:
            self.warm = (now, self.left)
        if self.warm is None or self.chunks < 3 * self.workers:
            return
        seconds, done = now - self.warm[0], self.warm[1] - self.left
        if seconds < LEAST_SECONDS:
            return
        self.said = True
        if self.left < self.total / 2:
            return
        size = int(COPIES_ON_DISK * self.written * self.total / (self.total - self.left))
        self._check_disk(size - self.written)
        if self.announce:
            self.announce(Estimate(sets, seconds * self.left / done, size))

    def _check_disk(self, needed: int) -> None:
        if self.folder is None:
            return
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise InputError(
                Problem(str(self.folder), f"the results will need about {_size(needed)} more, and "
                        f"{_size(free)} are free", "the chunks that are done are kept",
                        "make room and go on with --resume, or keep fewer draws")
            )  # fmt: skip


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
