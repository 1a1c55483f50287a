"""What saved files call their parts, and which versions read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayescale.errors import InputError, Problem

# 1 has no drift, 2 a random walk of log loss, 3 damped trends and forecasters, 4 effects, 6 responses that
# are no losses, 7 effects along a run, 8 drifts whose slope is off at the largest run, 9 drifts of several
# kinds
FORMAT = 9
MIXTURE_FORMAT = 5  # of a file that holds a mixture; older versions read none
SAMPLE_AXES = ("chain", "draw")
STATS = "sample_stats"
FORECASTER = "forecaster"  # groups of this name, with a number, hold other posteriors;
LAW, GROUP = "law", "group"  # of these, the posteriors of a mixture and of a pooled fit
POOLED, POOLED_FORMAT = "bayescale_pooled", 1
NEW = "new"  # the name of the group of a pooled fit that was not seen


def check_format(history: Mapping[str, Any], latest: int, source: str) -> None:
    """Raise if a later version wrote the file."""
    if history["format"] > latest:
        raise InputError(
            Problem(source, f"its format is {history['format']} and this version reads up to {latest}",
                    remedy="update bayescale")
        )  # fmt: skip
