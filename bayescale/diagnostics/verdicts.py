"""What a diagnosis finds: verdicts as data, then as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["note", "warn", "failed"]


@dataclass(frozen=True)
class Verdict:
    """One finding: a code, how bad it is, what it says and what to do."""

    code: str
    severity: Severity
    sentence: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.code}: {self.sentence}" + (
            f" {self.advice}" if self.advice else ""
        )


@dataclass(frozen=True)
class Diagnostics:
    """What the sampler's statistics and the design say about a fit.

    Parameters
    ----------
    verdict
        ``"ok"``, ``"warn"`` or ``"failed"``: the worst of the verdicts.
    verdicts
        All findings, worst first.
    rhat_max
        Largest rank-normalised split R-hat of all coordinates; NaN where it does not exist.
    ess_bulk_min, ess_tail_min
        Smallest bulk and tail effective sample sizes.
    divergences
        Divergent transitions after warm-up, of all chains.
    steps_mean
        Mean leapfrog steps a draw.
    """

    verdict: Literal["ok", "warn", "failed"]
    verdicts: tuple[Verdict, ...]
    rhat_max: float
    ess_bulk_min: float
    ess_tail_min: float
    divergences: int
    steps_mean: float

    @property
    def codes(self) -> list[str]:
        """Codes of the verdicts that are warnings or failures."""
        return [v.code for v in self.verdicts if v.severity != "note"]

    def to_json(self) -> dict[str, Any]:
        """The diagnostics as plain data."""
        return asdict(self) | {"codes": self.codes}

    def __str__(self) -> str:
        head = (
            f"sampling {self.verdict}: R-hat at most {self.rhat_max:.3f}, ESS at least "
            f"{self.ess_bulk_min:.0f} (bulk) and {self.ess_tail_min:.0f} (tail), "
            f"{self.divergences} divergences"
        )
        return "\n".join([head, *(f"  {verdict}" for verdict in self.verdicts)])


ORDER = {"failed": 0, "warn": 1, "note": 2}


def worst_of(verdicts: Sequence[Verdict]) -> Literal["ok", "warn", "failed"]:
    """Return the worst of the verdicts; notes are no blemish."""
    severities = {v.severity for v in verdicts}
    if "failed" in severities:
        return "failed"
    return "warn" if "warn" in severities else "ok"


def joined(names: Sequence[str]) -> str:
    """Names as they stand in a sentence: ``A, B and alpha``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
