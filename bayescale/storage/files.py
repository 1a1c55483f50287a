"""Trees of arrays as netCDF files: written whole or not at all, read with a plain reason where that fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bayescale.cache import default_mode
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    import xarray


def save_tree(tree: xarray.DataTree, path: str | Path) -> Path:
    """Write a tree, the whole or nothing; raises `InputError` where it cannot be written."""
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(
            Problem(str(path), f"there is no folder {str(path.parent)!r}", remedy="make it first")
        )
    try:
        _write(tree, path)
    except OSError as error:
        raise InputError(
            Problem(str(path), f"it cannot be written: {error.strerror or error}",
                    remedy="give the name of a file, in a folder that can be written to")
        ) from None  # fmt: skip
    return path


def _write(tree: xarray.DataTree, path: Path) -> None:
    """Write beside the file, then put the whole in its place."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        tree.to_netcdf(part, engine="h5netcdf")
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(part, default_mode())
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def read_tree[T](path: str | Path, read: Callable[[xarray.DataTree], T]) -> T:
    """Return what a function reads from a saved tree; raises `InputError` where it cannot."""
    import xarray

    if not Path(path).is_file():
        raise InputError(
            Problem(str(path), "there is no such file", remedy="save a fit with -o FIT.nc first")
        )
    try:
        with xarray.open_datatree(path, engine="h5netcdf") as tree:
            return read(tree.load())
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise InputError(
            Problem(str(path), f"it is not a bayescale fit that can be read ({error})",
                    remedy="give a file that  bayescale fit ... -o FIT.nc  wrote")
        ) from None  # fmt: skip
