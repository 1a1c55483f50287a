"""The text of the sweep: the source of Python's own standard library, as bytes.

Only files of pure ASCII are kept, so that a byte is one of 128 symbols and nothing is recoded.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from pathlib import Path

import numpy as np

WINDOW = 64  # bytes that a model sees at once
HELD_OUT_SHARE = 0.02  # of the files, chosen by a hash of their path
HELD_OUT_WINDOWS = 4096


def standard_library_files() -> list[Path]:
    """Every `.py` file of the running Python's standard library, tests included, in a fixed order."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = (path for path in root.rglob("*.py") if "site-packages" not in path.parts)
    return sorted(files, key=lambda path: path.relative_to(root).as_posix())


def _is_held_out(relative_path: str) -> bool:
    digest = hashlib.sha256(relative_path.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < HELD_OUT_SHARE


def _windows(parts: list[bytes]) -> np.ndarray:
    """Cut the joined text into windows of WINDOW + 1 bytes that share one byte with the next."""
    text = np.frombuffer(b"\0".join(parts), dtype=np.uint8)
    n = (len(text) - 1) // WINDOW
    starts = np.arange(n) * WINDOW
    return text[starts[:, None] + np.arange(WINDOW + 1)]


def load() -> tuple[np.ndarray, np.ndarray, str]:
    """Return training windows, held-out windows (a fixed sample), and a description of the text."""
    root = Path(sysconfig.get_paths()["stdlib"])
    training, held_out = [], []
    for path in standard_library_files():
        content = path.read_bytes()
        if content.isascii():
            name = path.relative_to(root).as_posix()
            (held_out if _is_held_out(name) else training).append(content)
    windows = _windows(held_out)
    sample = np.random.default_rng(0).permutation(len(windows))[:HELD_OUT_WINDOWS]
    digest = hashlib.sha256(b"\0".join(training + held_out)).hexdigest()[:16]
    description = f"Python {sys.version.split()[0]} standard library, sha256 {digest}"
    return _windows(training), windows[np.sort(sample)], description
