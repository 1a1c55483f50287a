"""What goes with every answer: the fit's verdicts, and how far beyond the runs the answer lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescale.cli.output import note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayescale.publications import Fit

FAR = 2.0  # decades beyond the runs from which an answer carries a warning


def report(posterior: Fit, decades_beyond: NDArray, quiet: bool) -> None:
    """Print the fit's warnings and the distance of the answer, on standard error."""
    if quiet:
        return
    for verdict in posterior.verdicts:
        if verdict.severity != "note":
            note(str(verdict))
    farthest = float(decades_beyond.max(initial=0.0))
    if farthest > FAR:
        drifts = any(part.spec.drift is not None for part, _ in posterior.forecasting_parts)
        worth = (
            f"allows for laws that fail as they did on public sets, none of which go {FAR:g} decades out"
            if drifts
            else "holds if the law does; it does not contain the law's own error"
        )
        note(
            f"warn: extrapolation: the answer lies up to {farthest:.1f} decades beyond the runs. The "
            f"interval {worth}."
        )
