"""The folder of a sweep: what it was asked, one file a chunk, and the results when all are there.

A chunk's file is written whole or not at all, and its pages carry checksums; so whatever stopped a
sweep, what is in the folder is right, and the sweep goes on where a file is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayescale.cache import write_atomically
from bayescale.errors import InputError, Problem
from bayescale.sweep.work import ChunkResult

if TYPE_CHECKING:
    import pyarrow

TOGETHER = 100  # chunks that make one group of rows of the joined file
MANIFEST, RESULTS, LOCK = "sweep.json", "results.parquet", "lock.json"


class Directory:
    """A folder that holds one sweep, locked while the sweep runs.

    Parameters
    ----------
    path
        The folder; made if it is not there.
    manifest
        Everything that decides the numbers, as plain data.
    resume
        Whether finished chunks of the same sweep are kept.

    Raises
    ------
    InputError
        The folder holds something else, another sweep, or a sweep that runs.
    """

    def __init__(self, path: str | Path, manifest: Mapping[str, Any], resume: bool):
        self.path = Path(path)
        self._prepare(json.loads(json.dumps(manifest)), resume)

    def _prepare(self, manifest: dict[str, Any], resume: bool) -> None:
        where = str(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            there = sorted(p.name for p in self.path.iterdir())
        except OSError as error:
            raise InputError(
                Problem(where, f"it cannot be a folder for results: {error.strerror or error}",
                        remedy="give the name of a new folder, where you may write")
            ) from None  # fmt: skip
        if MANIFEST not in there:
            if there:
                raise InputError(
                    Problem(where, f"it holds {there[0]!r}, which is no part of a sweep",
                            remedy="give the name of a new folder")
                )  # fmt: skip
            write_atomically(self.path / MANIFEST, json.dumps(manifest, indent=2).encode())
            return
        if not resume:
            raise InputError(
                Problem(where, "it holds the results of a sweep",
                        remedy="go on with it by --resume (resume=True), or give a new folder")
            )  # fmt: skip
        before = json.loads((self.path / MANIFEST).read_text())
        for name in dict.fromkeys([*before, *manifest]):
            if before.get(name) != manifest.get(name):
                raise InputError(
                    Problem(where, f"it holds a sweep with other settings: {name} was "
                            f"{_short(before.get(name))} and is {_short(manifest.get(name))}",
                            "its chunks would not belong to the others",
                            "give the same settings, or a new folder")
                )  # fmt: skip

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; a lock that a dead process of this machine left is taken over."""
        lock = self.path / LOCK
        host = socket.gethostname()
        while True:
            try:
                handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                break
            except FileExistsError:
                self._take_over(lock, host)
        with os.fdopen(handle, "w") as file:
            json.dump({"pid": os.getpid(), "host": host}, file)
        try:
            for part in self.path.glob(".*"):
                part.unlink()  # what a killed process did not finish
            yield
        finally:
            lock.unlink(missing_ok=True)

    def _take_over(self, lock: Path, host: str) -> None:
        try:
            holder = json.loads(lock.read_text())
        except (OSError, ValueError):
            holder = {}
        pid = holder.get("pid")
        if holder.get("host") == host and not _alive(pid):
            lock.unlink(missing_ok=True)
            return
        raise InputError(
            Problem(str(self.path), f"process {pid} on {holder.get('host')} works in it",
                    "two sweeps in one folder would write the same files",
                    f"wait for it; if it is no longer there, delete {lock}")
        )  # fmt: skip

    def _chunk(self, index: int) -> Path:
        return self.path / f"chunk-{index:06d}.parquet"

    def done(self, index: int) -> bool:
        """Whether a chunk is there and whole; a damaged file is removed, to be made again."""
        if not self._chunk(index).is_file():
            return False
        try:
            _read(self._chunk(index))
        except Exception:  # whatever the reader says of a damaged file
            self._chunk(index).unlink()
            return False
        return True

    def write(self, index: int, result: ChunkResult) -> int:
        """Write a chunk and return its size in bytes.

        The draws come first, since the rows say that the chunk is done.
        """
        import pyarrow
        import pyarrow.parquet

        size = self._write_draws(index, result) if result.draws else 0
        sink = pyarrow.BufferOutputStream()
        table = pyarrow.table(result.columns)
        pyarrow.parquet.write_table(table, sink, write_page_checksum=True)
        content = sink.getvalue().to_pybytes()
        try:
            write_atomically(self._chunk(index), content)
        except OSError as error:
            raise InputError(
                Problem(str(self.path), f"a chunk cannot be written: {error.strerror or error}",
                        "the chunks before it are whole",
                        "make room, or the folder writable, and go on with --resume")
            ) from None  # fmt: skip
        return size + len(content)

    def _write_draws(self, index: int, result: ChunkResult) -> int:
        import xarray

        names = [str(name) for name in result.columns["set"]]
        arrays = {name: (("set", "draw"), values) for name, values in result.draws.items()}
        part = self.path / f".draws-{index:06d}.nc"
        xarray.Dataset(arrays, coords={"set": names}).to_netcdf(part, engine="h5netcdf")
        whole = self.path / f"draws-{index:06d}.nc"
        os.replace(part, whole)
        return whole.stat().st_size

    def finish(self, chunks: int) -> Counter[str]:
        """Join the chunks into one file, some at a time; return the number of sets by status.

        Not one at a time: a file keeps notes on each of its groups of rows until it is closed.
        """
        import pyarrow.parquet

        part, whole = self.path / f".{RESULTS}", self.path / RESULTS
        writer = None
        counts: Counter[str] = Counter()
        try:
            for start in range(0, chunks, TOGETHER):
                some = range(start, min(start + TOGETHER, chunks))
                table = pyarrow.concat_tables([_read(self._chunk(i)) for i in some])
                if writer is None:
                    writer = pyarrow.parquet.ParquetWriter(part, table.schema)
                writer.write_table(table)
                counts.update(table["status"].to_pylist())
        finally:
            if writer is not None:
                writer.close()
        os.replace(part, whole)
        return counts


def _read(path: Path) -> pyarrow.Table:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path, page_checksum_verification=True)


def _alive(pid: Any) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
