"""Chunks on a Ray cluster: Ray assigns the devices, tries again, and replaces lost workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.sweep.executors import Executor
from bayescale.sweep.sources import Sets
from bayescale.sweep.work import ChunkResult, Job, died, fit_sets, join

RETRIES = 2  # of a chunk whose worker died, before it is parted
WAITING = 2  # chunks at hand for each one at work

Piece = tuple[int, int, int]  # a chunk, and which of its data sets: from, to


class OnRay(Executor):
    """A Ray cluster: the one at ``RAY_ADDRESS``, one that runs, or one that starts on this machine.

    Chunks go out as they stand in the plan, and their rows come back to this process, which alone
    writes files. A data set that kills its worker is found by parting its chunk, and comes back as
    failed.

    Parameters
    ----------
    per_chunk
        Resources that a chunk takes, by Ray's names; by default one CPU.

    Raises
    ------
    InputError
        Ray is not installed, or a resource that is not there was asked for.
    """

    def __init__(self, per_chunk: Mapping[str, float] | None = None):
        try:
            import ray
        except ImportError:
            raise InputError(
                Problem("executor", "Ray is not installed",
                        remedy="python -m pip install 'bayescale[ray]'")
            ) from None  # fmt: skip
        self.ray = ray
        self.ours = not ray.is_initialized()
        if self.ours:
            # Ray would take away the accelerators of workers that ask for none; JAX decides itself.
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        self.needs = dict(per_chunk or {"CPU": 1})
        self.workers = self._capacity()
        if self.workers < 1:
            self.close()
            raise InputError(
                Problem("per_chunk", f"no place in the cluster has {self.needs}",
                        f"it has {_readable(ray.cluster_resources())}",
                        "ask for less, or start nodes that have it")
            )  # fmt: skip

    def _capacity(self) -> int:
        """Chunks that the nodes which are alive can work on at once."""
        nodes = [n["Resources"] for n in self.ray.nodes() if n["Alive"]]
        return sum(
            int(min(node.get(name, 0) / amount for name, amount in self.needs.items() if amount))
            for node in nodes
        )

    def close(self) -> None:
        """Stop the cluster, if this object started it."""
        if self.ours and self.ray.is_initialized():
            self.ray.shutdown()

    def run(
        self, job: Job, source: Sets, chunks: Sequence[Sequence[int]], indices: Sequence[int]
    ) -> Iterator[tuple[int, ChunkResult]]:
        """Yield chunks as the cluster gets them done."""
        others = {name: n for name, n in self.needs.items() if name not in ("CPU", "GPU")}
        task = self.ray.remote(fit_sets).options(
            num_cpus=self.needs.get("CPU", 0),
            num_gpus=self.needs.get("GPU", 0),
            resources=others or None,
            max_retries=RETRIES,
        )
        shared = self.ray.put(job), self.ray.put(source)
        running: dict[Any, Piece] = {}
        todo = iter(indices)
        parts: dict[int, dict[int, ChunkResult]] = {}

        def submit(piece: Piece) -> None:
            index, start, stop = piece
            running[task.remote(*shared, list(chunks[index][start:stop]))] = piece

        try:
            while True:
                while len(running) < WAITING * max(1, self._capacity()):
                    following = next(todo, None)
                    if following is None:
                        break
                    submit((following, 0, len(chunks[following])))
                if not running:
                    return
                (done,), _ = self.ray.wait(list(running), num_returns=1)
                index, start, stop = piece = running.pop(done)
                result = self._result(job, source, chunks[index][start:stop], done)
                if result is None:
                    middle = (start + stop) // 2
                    submit((index, start, middle))
                    submit((index, middle, stop))
                    continue
                pieces = parts.setdefault(index, {})
                pieces[piece[1]] = result
                if sum(len(r.columns["set"]) for r in pieces.values()) == len(chunks[index]):
                    del parts[index]
                    yield index, join([pieces[at] for at in sorted(pieces)])
        finally:
            for reference in running:
                self.ray.cancel(reference, force=True)

    def _result(
        self, job: Job, source: Sets, rows: Sequence[int], reference: Any
    ) -> ChunkResult | None:
        """The rows of a piece; None if its workers died and it can be parted."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except errors.RayTaskError as error:
            raise error.cause from None
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError) as error:
            if len(rows) > 1:
                return None
            return died(job, source, rows[0], type(error).__name__)


def _readable(resources: Mapping[str, float]) -> str:
    """Resources in words, without the names of nodes and memory."""
    shown = {k: v for k, v in resources.items() if ":" not in k and "memory" not in k}
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(shown.items())) or "nothing"
