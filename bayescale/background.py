"""Import slow modules while something else is waited for."""

from __future__ import annotations

import contextlib
import importlib
import threading


def import_soon(*modules: str) -> None:
    """Start to import modules in a thread; the import statement that needs one waits for it.

    An import that fails is left to that statement, which then fails where it can be seen.
    """

    def work() -> None:
        for module in modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)

    threading.Thread(target=work, daemon=True).start()
