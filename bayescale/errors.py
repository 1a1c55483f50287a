"""The errors that bayescale raises.

::

    BayescaleError
    ├── InputError            what was given cannot be used (exit code 2)
    │   └── DesignError       the runs cannot inform what is asked of them; liftable by name
    └── FailedFitError        a fit whose sampling failed was asked for an answer (exit code 4)

Every problem in what a user gave becomes a `Problem`: where it is, what the value is, why it
matters and what to do. An `InputError` carries all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 20


def shown(value: Any, width: int = 60) -> str:
    """The value as it stands in a message: short, whatever it is."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = f"a number of type {type(value).__name__}"
    return text if len(text) <= width else f"{text[: width - 3]}..."


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the input.

    Parameters
    ----------
    where
        File, line, column or argument, as the user knows it; may be empty.
    what
        What is wrong, with the value received.
    why
        Why it matters; may be empty.
    remedy
        What to type or change.
    check
        Name of the check, if it may be lifted with ``--allow NAME``; else empty.
    """

    where: str
    what: str
    why: str = ""
    remedy: str = ""
    check: str = ""

    def __str__(self) -> str:
        """The problem as one sentence or more."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.why:
            text += f"; {self.why}"
        text += "" if text.endswith("?") else "."
        if self.remedy:
            text += f" {self.remedy[:1].upper()}{self.remedy[1:]}."
        if self.check:
            text += f" To go on all the same: --allow {self.check} (allow=[{self.check!r}])."
        return text


class BayescaleError(Exception):
    """The base of every error that bayescale raises on purpose."""


class InputError(BayescaleError):
    """What was given cannot be used.

    Parameters
    ----------
    problems
        All problems found, or one sentence.
    """

    def __init__(self, problems: Sequence[Problem] | Problem | str):
        if isinstance(problems, str):
            problems = Problem("", problems.rstrip("."))
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        shown = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        left = len(self.problems) - len(shown)
        if left:
            shown.append(f"... and {left} more problems like these.")
        return "\n".join(shown)


class DesignError(InputError):
    """The runs cannot inform what is asked of them.

    Each problem names a check that ``allow=[...]`` (``--allow NAME``) lifts; what was lifted is
    recorded in the result.
    """


class FailedFitError(BayescaleError):
    """A fit whose sampling failed was asked for an answer."""
