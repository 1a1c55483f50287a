"""What `bayescale.design` returns: the runs, and the interval before and after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.contraction import Scale
from bayescale.designing.checking import Check
from bayescale.diagnostics import Verdict
from bayescale.intervals import Interval
from bayescale.runs import Runs
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]

APART = 1.3  # the sd of a check over that of the design, or its inverse, from which it is told
USELESS = 0.95  # of the sd, above which the runs hardly help


@dataclass(frozen=True, eq=False)
class Design:
    """Further runs, and what they are expected to leave of an answer's uncertainty.

    Parameters
    ----------
    target
        What is asked, in words.
    scale
        ``"log"`` or ``"linear"``: what all sds are of. On the logarithm, 0.1 is about 10%.
    level
        Mass of the intervals.
    budget
        FLOPs for all runs together.
    points
        Inputs of the runs, symbol to values of shape (runs,), the most useful per FLOP first.
    C
        FLOPs of each, shape (runs,).
    sd_before, sd_after
        The target's sd now, and as it is expected to be after the first run, the first two and so on,
        shape (runs,).
    before, after
        The interval now, and one of the expected width about the same median.
    reweighted
        The sd after all runs by reweighting draws over simulated outcomes; NaN where the draws are too few.
    refitted
        The same by fits to simulated outcomes; None if they were not asked for.
    candidates, candidate_C, candidate_sd
        Inputs of all affordable runs, their FLOPs, and the sd after each alone.
    runs
        The runs that were fitted; None before there are any.
    flops_per_parameter_token
        k of C = k N D.
    basis, law
        What was fitted, in words, and the name of the law.
    laws
        Name of each law to its share of the draws.
    """

    target: str
    scale: Scale
    level: float
    budget: float
    points: Mapping[str, Floats]
    C: Floats
    sd_before: float
    sd_after: Floats
    before: Interval
    after: Interval
    reweighted: Check
    refitted: Check | None
    candidates: Mapping[str, Floats]
    candidate_C: Floats
    candidate_sd: Floats
    runs: Runs | None
    flops_per_parameter_token: float
    basis: str
    law: str
    laws: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.C)

    @property
    def share(self) -> Floats:
        """Share of the budget that each run takes, shape (runs,)."""
        return self.C / self.budget

    @property
    def ratio(self) -> float:
        """The sd after all runs, as a share of that before."""
        return float(self.sd_after[-1] / self.sd_before)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What is to be said of the figures."""
        found = []
        if self.ratio > USELESS:
            found.append(
                Verdict("little-gain", "warn",
                        f"These runs leave {self.ratio:.0%} of the sd of {self.target}.",
                        "Give a larger budget, or allow other sizes and D/N.")
            )  # fmt: skip
        for name, check in (("reweighting", self.reweighted), ("refits", self.refitted)):
            if check is None:
                continue
            times = check.sd / float(self.sd_after[-1])
            if times > APART or times < 1 / APART:
                found.append(
                    Verdict("not-linear", "note",
                            f"By {name} over {check.outcomes} simulated outcomes the sd after the runs is "
                            f"{check.sd:.3g}, not {self.sd_after[-1]:.3g}: the answer is not linear in what "
                            "is unknown.",
                            "The choice of runs stands; take the width from there.")
                )  # fmt: skip
        if self.refitted is None and not np.isfinite(self.reweighted.sd):
            found.append(
                Verdict("not-checked", "note",
                        f"The expected width could not be checked by reweighting: {self.reweighted.ess:.0f} "
                        "effective draws are left.",
                        "Of a fit of one law, --refits 40 (refits=40) checks it by fits."
                        if self.runs is not None else "Design again from a fit of the first runs.")
            )  # fmt: skip
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The design as plain data: ``{"runs": [...]}``, one for each run, in order."""
        return {
            "target": self.target,
            "scale": self.scale,
            "level": self.level,
            "budget": self.budget,
            "cost": float(self.C.sum()),
            "flops_per_parameter_token": self.flops_per_parameter_token,
            "law": self.law,
            "laws": dict(self.laws),
            "basis": self.basis,
            "sd_before": self.sd_before,
            "sd_after": float(self.sd_after[-1]),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "reweighted": self.reweighted.to_json(),
            "refitted": None if self.refitted is None else self.refitted.to_json(),
            "candidates": len(self.candidate_C),
            "runs": self._rows(),
        }

    def _rows(self) -> list[dict[str, float]]:
        return [
            {
                **{symbol: float(values[i]) for symbol, values in self.points.items()},
                "C": float(self.C[i]),
                "share": float(self.share[i]),
                "sd_after": float(self.sd_after[i]),
            }
            for i in range(len(self))
        ]

    def to_frame(self) -> pandas.DataFrame:
        """The runs as a data frame, a row for each, with the sd after it and those before it."""
        import pandas

        return pandas.DataFrame(self._rows())

    def table(self) -> Table:
        """Return the table of the runs, as it goes into a paper."""
        two = "N" in self.points
        symbols = [s for s in self.points if two or s != "x"]
        columns = [Column("run"), *(Column(s, f"${s}$") for s in symbols)]
        columns += [Column("D/N", "$D/N$")] if two else []
        columns += [
            Column("C (FLOPs)", "$C$ (FLOPs)"),
            Column("share of budget"),
            Column("sd after it"),
            Column("of the sd now"),
        ]
        rows = []
        for i in range(len(self)):
            cells: list[Any] = [str(i + 1)]
            cells += [_digits(self.points[s][i]) for s in symbols]
            cells += [_digits(self.points["D"][i] / self.points["N"][i])] if two else []
            cells += [_digits(self.C[i]), f"{self.share[i]:.1%}", f"{self.sd_after[i]:.3g}"]
            rows.append((*cells, f"{self.sd_after[i] / self.sd_before:.0%}"))
        law = f"{self.law} {'law' if len(self.laws) == 1 else 'laws'}"
        of = "its logarithm" if self.scale == "log" else "it"
        caption = (
            f"Runs that narrow {self.target} most within {number(self.budget)} FLOPs, {law} {self.basis}: "
            f"{self.level:.0%} interval {self.before} now, about {self.after} after them; sd of {of} "
            f"{self.sd_before:.3g} now."
        )
        return Table(caption, tuple(columns), tuple(rows))

    def __repr__(self) -> str:
        words = "\n".join(str(verdict) for verdict in self.verdicts)
        return f"{self.table().caption}\n{self.table().text()}" + (f"\n{words}" if words else "")


def narrowed(values: Floats, ratio: float, scale: Scale, level: float) -> Interval:
    """Return the interval of draws drawn in towards their median.

    Parameters
    ----------
    values
        Draws on the scale, shape (draws,).
    ratio
        What is left of their sd.
    scale
        ``"log"`` or ``"linear"``.
    level
        Mass of the interval.

    Examples
    --------
    >>> round(narrowed(np.array([-1.0, 0.0, 1.0]), 0.5, "linear", 0.9).upper, 6)
    0.45
    """
    middle = np.median(values)
    closer = middle + (values - middle) * ratio
    return Interval.of(np.exp(closer) if scale == "log" else closer, level)


def _digits(value: float) -> str:
    return number(float(f"{value:.3g}"))
