"""The result of approach 2 beside a posterior: exponents and optima, their bias, and whether they agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.diagnostics import Verdict
from bayescale.intervals import Interval
from bayescale.isoflops.parabolas import (
    Parabola,
    PowerLaw,
)
from bayescale.runs import Runs
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

SAMPLES = 4000  # of the bootstrap
BIASED = 0.05  # bias of N from which it is told

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IsoFlop:
    r"""Approach 2 on some runs, beside the posterior of a law.

    Draws of N are on the logarithm, of shape (draws, budgets asked); those of exponents of shape (draws,).

    Parameters
    ----------
    level
        Mass of the intervals.
    runs
        The runs.
    parabolas
        One for each compute budget, cheapest first; `Parabola.reason` says why one is left out.
    line
        The power law through the minima of those that are used.
    samples
        Power laws of the bootstrap.
    C
        Budgets in FLOPs at which N is asked for, shape (budgets,).
    exponent, log_optimum
        a and log N at the optimum, of the posterior.
    exponent_bias, log_bias
        What approach 2 makes of noiseless losses of each draw's law at the same points, less the draw's
        own optimum.
    law, basis
        Name of the law, and what it was fitted to in words.
    """

    level: float
    runs: Runs
    parabolas: tuple[Parabola, ...]
    line: PowerLaw
    samples: PowerLaw
    C: Floats
    exponent: Floats
    log_optimum: Floats
    exponent_bias: Floats
    log_bias: Floats
    law: str
    basis: str

    @property
    def used(self) -> tuple[Parabola, ...]:
        """The budgets that the power law goes through."""
        return tuple(p for p in self.parabolas if not p.reason)

    @property
    def a(self) -> float:
        """The exponent by approach 2."""
        return float(self.line.a)

    @property
    def N(self) -> Floats:
        """N at the asked budgets by approach 2, shape (budgets,)."""
        return np.exp(self.line.log_at(self.C))

    @property
    def difference(self) -> tuple[Floats, Floats]:
        r"""Approach 2, less its bias, less the posterior: of a, and of log N; 0 if they agree.

        .. math:: \Delta = \hat y^* - (y(\theta) + \mathrm{bias}(\theta))

        with bootstrap samples and posterior draws paired as if independent. Both are made of the same
        runs, whose scatter moves them together, so the interval is too wide rather than too narrow.
        """
        count = len(self.exponent)
        pick = np.arange(SAMPLES) % count, np.arange(SAMPLES) % len(self.samples.a)
        a = self.samples.a[pick[1]] - (self.exponent + self.exponent_bias)[pick[0]]
        log_n = self.samples.log_at(self.C)[pick[1]] - (self.log_optimum + self.log_bias)[pick[0]]
        return a, log_n

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The comparison: a, then N at each asked budget; differences of N are factors."""
        gap_a, gap_n = self.difference
        found = [
            self._row("a", None, self.a, (self.samples.a, self.exponent, self.exponent_bias, gap_a))
        ]
        at = self.samples.log_at(self.C)
        found += [
            self._row(
                "N", float(budget), float(self.N[i]),
                tuple(np.exp(x[:, i]) for x in (at, self.log_optimum, self.log_bias, gap_n)),
            )
            for i, budget in enumerate(self.C)
        ]  # fmt: skip
        return found

    def _row(
        self, quantity: str, budget: float | None, estimate: float, draws: tuple[Floats, ...]
    ) -> dict[str, Any]:
        names = ("approach_2", "posterior", "bias", "difference")
        found = {
            name: Interval.of(x[np.isfinite(x)], self.level)
            for name, x in zip(names, draws, strict=True)
        }
        none = 0.0 if quantity == "a" else 1.0
        agrees = found["difference"].lower <= none <= found["difference"].upper
        return {"quantity": quantity, "C": budget, "estimate": estimate, **found, "agrees": agrees}

    @property
    def agrees(self) -> bool:
        """Whether approach 2, less its bias, is compatible with the posterior, in a and every N."""
        return all(row["agrees"] for row in self.rows)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What was left out, how biased the procedure is, and whether the two disagree."""
        found = []
        left = [p for p in self.parabolas if p.reason]
        alone = len(self.runs) - sum(len(p.rows) for p in self.parabolas)
        if left or alone:
            words = [f"C = {number(float(f'{p.C:.3g}'))} ({p.reason})" for p in left]
            words += [f"{alone} runs of no budget"] if alone else []
            found.append(Verdict("left-out", "note", f"Left out: {'; '.join(words)}."))
        lost = float(np.mean(~np.isfinite(self.samples.a)))
        if lost:
            found.append(
                Verdict(
                    "samples-lost", "warn", f"{lost:.1%} of the bootstrap samples had no power law."
                )
            )
        rows = self.rows
        for row in rows[1:]:
            if abs(np.log(row["bias"].median)) > BIASED:
                sign = "large" if row["bias"].median > 1 else "small"
                found.append(
                    Verdict(
                        "biased", "note",
                        f"On noiseless losses of the law at these points, approach 2 gives N at C = "
                        f"{number(row['C'])} too {sign}: times {row['bias']}.",
                        "The parabola is not the law's curve, the more so the wider the budgets' range "
                        "of N.",
                    )
                )  # fmt: skip
        apart = [
            "a" if r["C"] is None else f"N at C = {number(r['C'])}" for r in rows if not r["agrees"]
        ]
        if apart:
            found.append(
                Verdict(
                    "disagree", "warn",
                    f"Approach 2, less its bias, and the posterior disagree on {' and '.join(apart)}.",
                    "The law does not fit these budgets, or the runs of some budget err together: see "
                    "the parabolas, and try another law (compare).",
                )
            )  # fmt: skip
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain data; ``bias`` and ``difference`` of N are factors."""
        return {
            "law": self.law,
            "level": self.level,
            "n_runs": len(self.runs),
            "agrees": self.agrees,
            "a": self.a,
            "answers": [
                {k: v.to_json() if isinstance(v, Interval) else v for k, v in row.items()}
                for row in self.rows
            ],
            "budgets": self._budgets(),
            "verdicts": [asdict(v) for v in self.verdicts],
        }

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each compute budget."""
        import pandas

        return pandas.DataFrame(self._budgets())

    def _budgets(self) -> list[dict[str, Any]]:
        return [
            {
                "C": p.C,
                "n_runs": len(p.rows),
                "decades_of_N": p.width,
                "N": float(np.exp(p.log_optimum)),
                "loss": float(p.at(np.array(p.log_optimum))),
                "used": not p.reason,
                "reason": p.reason,
            }
            for p in self.parabolas
        ]

    def budget_table(self) -> Table:
        """Return the table of the parabolas, as it goes into a paper."""
        heads = ("C (FLOPs)", "runs", "decades of N", "N at the minimum", "loss there", "left out")
        rows = tuple(
            (number(float(f"{b['C']:.3g}")), str(b["n_runs"]), f"{b['decades_of_N']:.2f}",
             *(("", "") if np.isnan(b["N"]) else (number(float(f"{b['N']:.3g}")), f"{b['loss']:.4g}")),
             b["reason"])
            for b in self._budgets()
        )  # fmt: skip
        caption = (
            f"Parabolas of loss ({self.runs.loss_unit}) in log N, one for each compute budget."
        )
        return Table(caption, tuple(map(Column, heads)), rows)

    def table(self) -> Table:
        """Return the table of the comparison, as it goes into a paper."""
        caption = (
            f"Approach 2 on {sum(len(p.rows) for p in self.used)} runs of {len(self.used)} budgets "
            f"(bootstrap) beside the {self.law} law {self.basis}: median and {self.level:.0%} interval. "
            "Bias: of approach 2 on noiseless losses of the law at these points. Difference: approach 2, "
            "less its bias, against the posterior; of N, bias and difference are factors."
        )
        heads = ("", "approach 2", "posterior", "bias", "difference", "agree")
        rows = tuple(
            (
                "a" if row["C"] is None else f"N at C = {number(row['C'])}",
                *(row[name] for name in ("approach_2", "posterior", "bias", "difference")),
                "yes" if row["agrees"] else "no",
            )
            for row in self.rows
        )
        return Table(caption, tuple(map(Column, heads)), rows)

    def __repr__(self) -> str:
        tables = (self.budget_table(), self.table())
        parts = [part for t in tables for part in (t.caption, t.text(), "")]
        return "\n".join([*parts[:-1], *map(str, self.verdicts)])
