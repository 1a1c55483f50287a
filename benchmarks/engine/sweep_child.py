"""A process that fits simulated data sets with `fit_many`, warm, and prints seconds and peak memory.

python sweep_child.py SETS ROWS
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from data import simulated

import bayescale
from bayescale.sweep.many import SETS


def peak() -> int:
    """Most bytes of memory that this process has held."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux counts into ru_maxrss what the parent held when it forked
        return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(count: int, rows: int) -> None:
    def fit(table, folder):
        return bayescale.fit_many(table, by="set", method="laplace-is", output=folder)

    with tempfile.TemporaryDirectory() as folder:
        fit(simulated(rows, SETS, seed=1), f"{folder}/warm")
        table = simulated(rows, count)
        started = time.perf_counter()
        many = fit(table, f"{folder}/results")
        seconds = time.perf_counter() - started
    found = {"seconds": seconds, "peak_bytes": peak(), "ok": many.status["ok"] / count}
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
