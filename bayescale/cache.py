"""The private folder for compiled programs, and files that are written whole.

Whoever can write to a compilation cache can run code as its user, so the folder belongs to the user
alone: mode 0700, and it is not used if anybody else owns it or may write to it.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path


def cache_folder() -> Path | None:
    """Return the private cache folder, made if need be, or None if it cannot be had or trusted.

    ``BAYESCALE_CACHE`` names another folder, or turns the cache off with an empty value.
    """
    chosen = os.environ.get("BAYESCALE_CACHE")
    if chosen == "":
        return None
    folder = Path(chosen) if chosen else _user_cache() / "bayescale"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder if _is_private(folder) else None
    except OSError:
        return None


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _is_private(folder: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    writable_by_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid == os.getuid() and not writable_by_others


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or absent, whatever happens meanwhile."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as part:
        try:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
            part.close()
            os.chmod(part.name, default_mode())
            os.replace(part.name, path)
        except BaseException:
            part.close()
            Path(part.name).unlink(missing_ok=True)
            raise


def default_mode() -> int:
    """Permissions of a new file, by the user's umask; temporary files are made without it."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
