"""What the commands print: results on standard output, progress and verdicts on standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from bayescale.cli.options import TableForm
    from bayescale.tables import Table


def clean(text: str) -> str:
    """The text without control characters, which could command a terminal."""
    return "".join(
        c if c in "\n\t" or (ord(c) >= 32 and not 127 <= ord(c) < 160) else "?" for c in text
    )


def emit(text: str) -> None:
    """Print a result."""
    print(clean(text))


def emit_json(value: Any) -> None:
    """Print a result as JSON; what is not a finite number becomes null."""
    print(json.dumps(_finite(value), indent=2))


def emit_result(
    data: Callable[[], Any],
    table: Callable[[], Table | Sequence[Table]],
    form: TableForm | None,
    as_json: bool,
    text: Callable[[], str] | None = None,
    **more: Any,
) -> None:
    """Print a result as JSON, with `more`; as tables for a paper; or as text, by default the tables'."""
    if as_json:
        emit_json({**data(), **more})
    elif form is None and text is not None:
        emit(text())
    else:
        found = table()
        tables = list(found) if isinstance(found, Sequence) else [found]
        if form is None:
            emit("\n\n".join(f"{one.caption}\n{one.text()}" for one in tables))
        else:
            emit("\n\n".join(one.render(form.value) for one in tables))


def note_all(remarks: Iterable[object], quiet: bool) -> None:
    """Print remarks, such as verdicts."""
    for remark in () if quiet else remarks:
        note(str(remark))


def note(text: str) -> None:
    """Print a remark that is no part of the result."""
    print(clean(text), file=sys.stderr)


@contextmanager
def progress(what: str, quiet: bool) -> Iterator[None]:
    """Show that work goes on, on a terminal; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(what)):
        yield


@contextmanager
def drawing(folder: Path, quiet: bool) -> Iterator[None]:
    """Draw figures into files: no window is opened, and it shows that work goes on."""
    import matplotlib

    matplotlib.use("agg")
    with progress(f"drawing figures into {folder}", quiet):
        yield


def draw(result: Any, folder: Path | None, quiet: bool, **options: Any) -> None:
    """Draw the figure of a result into a folder, if one is given."""
    if folder is None:
        return
    with drawing(folder, quiet):
        from bayescale.plots import save_plot

        save_plot(result, folder, **options)


@contextmanager
def bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar with rate and time left, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    shown = (
        TextColumn("fitting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=Console(stderr=True)) as bar:
        task = bar.add_task("fitting", total=None, rate="")

        def update(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.0f} a second" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield update


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
