"""IsoFLOP fits (approach 2) beside the posterior of a law: their bias, and whether the two agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.diagnostics import Verdict
from bayescale.errors import InputError, Problem, shown
from bayescale.fitting import fit as fit_law
from bayescale.fitting import runs_for
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import Law, get_law
from bayescale.mixture import pooled
from bayescale.noise import Noise
from bayescale.parabolas import (
    MIN_RUNS,
    TOLERANCE,
    Parabola,
    PowerLaw,
    approach_two,
    parabolas,
    resampled,
)
from bayescale.prediction import law_loss, positive
from bayescale.publications import Fit
from bayescale.runs import Runs
from bayescale.splitting import Terms, optimal_splits
from bayescale.tables import Column, Table, number
from bayescale.terms import require_optimum

if TYPE_CHECKING:
    import pandas

SAMPLES = 4000  # of the bootstrap
BEYOND = 100.0  # times the largest budget, at which N is asked for by default
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


def isoflop(
    runs: Any,
    fit: Fit | None = None,
    *,
    C: ArrayLike | None = None,
    budgets: ArrayLike | None = None,
    by: str | None = None,
    tolerance: float = TOLERANCE,
    min_runs: int = MIN_RUNS,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    allow: Collection[str] = (),
    samples: int = SAMPLES,
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
    allow_failed: bool = False,
) -> IsoFlop:
    r"""Fit isoFLOP parabolas and a power law (approach 2), and set them beside the posterior of a law.

    .. math:: N_i = \arg\min_N \left( c_{0i} + c_{1i} \ln N + c_{2i} \ln^2 N \right), \qquad
              \ln N_i = \ln G + a \ln C_i

    The parabola is not the law's curve at constant compute. So even without noise its minimum is beside
    the optimum where alpha differs from beta, or where the sizes are not centred on it, by more the
    wider they are; the size of it is found by running the procedure on noiseless losses of each draw's
    law at the same points. What is left between the two, less that bias, is compared with what bootstrap
    and posterior allow.

    The assumptions: runs of one budget differ in N alone; relative scatter is alike in all budgets, and
    independent. A parabola whose minimum lies outside its runs is left out, and said to be.

    Parameters
    ----------
    runs
        Runs of a few compute budgets, or what `bayescale.Runs.read` takes.
    fit
        The fit of a law of N and D, a mixture or a `PublishedFit`; by default `law` is fitted to all
        the runs.
    C
        Budgets in FLOPs at which N is asked for; by default the largest that is used, and 100 times it.
    budgets, by, tolerance, min_runs
        Which runs share a budget: those within `tolerance` of one of `budgets`, those of one value of the
        label or input `by`, or by default those whose compute differs by less than the share
        `tolerance`. A budget has `min_runs` or more, at least 3.
    law, noise, allow
        Of the fit, if none is given; as for `bayescale.fit`.
    samples
        Of the bootstrap, 100 or more: residuals of the parabolas, drawn from those of all budgets.
    level
        Mass of the intervals, between 0 and 1.
    seed
        Of the bootstrap and of the fit.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    IsoFlop
        Parabolas, exponent and N of both, the bias, and whether they agree.

    Raises
    ------
    InputError
        Fewer than two budgets can be used, an option cannot be used, or the law is not one of N and D.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Approach 2: Hoffmann et al. 2022, arXiv:2203.15556, section 3.2.

    Examples
    --------
    >>> import bayescale
    >>> N = np.geomspace(1e7, 1e9, 7)
    >>> C = np.repeat([1e18, 1e19, 1e20], 7)
    >>> N = np.tile(N, 3) * (C / 1e19) ** 0.5
    >>> loss = 1.8 + 480 * N**-0.35 + 2000 * (C / (6 * N)) ** -0.365
    >>> loss *= np.exp(0.003 * np.random.default_rng(0).standard_normal(21))
    >>> table = {"params": N, "tokens": C / (6 * N), "loss": loss}
    >>> found = bayescale.isoflop(table, bayescale.published("besiroglu-2024"), C=1e21)
    >>> 0.4 < found.a < 0.6
    True
    """
    check_level(level)
    if not (isinstance(samples, int) and samples >= 100):
        raise InputError(Problem("samples", f"it is {shown(samples)}", remedy="give 100 or more"))
    table = runs_for(runs, get_law("chinchilla"))
    asked_budgets = None if budgets is None else positive("budgets", budgets).ravel().tolist()
    found = parabolas(table, tolerance, by, asked_budgets, min_runs)
    used = tuple(p for p in found if not p.reason)
    if len(used) < 2:
        raise InputError(_too_few(found, min_runs))
    C = np.array([1.0, BEYOND]) * used[-1].C if C is None else positive("C", C).ravel()
    bootstrap = approach_two(used, resampled(used, samples, seed))
    if fit is None:
        fit = fit_law(table, law, noise, allow=allow, seed=seed)
    require_optimum(fit, Terms(), allow_failed)
    a, log_n, a_bias, log_bias = of_the_law(fit, table, used, np.asarray(C))
    return IsoFlop(
        level=level,
        runs=table,
        parabolas=found,
        line=approach_two(used, [p.loss for p in used]),
        samples=bootstrap,
        C=np.asarray(C),
        exponent=a,
        log_optimum=log_n,
        exponent_bias=a_bias,
        log_bias=log_bias,
        law=fit.name,
        basis=fit.basis,
    )


def of_the_law(
    fit: Fit, runs: Runs, used: Sequence[Parabola], C: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return a and log N at the optimum of each draw, and what approach 2 adds to them.

    The a of a law whose optimum is no power law is the slope through its optima at the same budgets.
    Draws for which approach 2 gives no power law are left out.
    """
    factor = runs.flops_per_parameter_token
    parts: list[Floats] = []
    for model, _ in fit.parts:
        line = approach_two(used, [law_loss(model, _points(runs, p)) for p in used])
        budgets = np.array([p.C for p in used])
        N, _, _ = optimal_splits(model.flat_law(), np.concatenate([budgets, C]), factor)
        own = np.log(N[:, len(used) :])
        a = PowerLaw.through(np.log(budgets), np.log(N[:, : len(used)])).a
        columns = [a[:, None], own, (line.a - a)[:, None], line.log_at(C) - own]
        parts.append(np.concatenate(columns, axis=1))
    draws = pooled(parts, [share for _, share in fit.parts])
    draws = draws[np.isfinite(draws).all(axis=1)]
    if not len(draws):
        raise InputError(
            Problem("fit", "its losses at these runs have no minimum at any budget",
                    "the law and the runs do not go together", "fit the law to these runs")
        )  # fmt: skip
    k = len(C)
    return draws[:, 0], draws[:, 1 : 1 + k], draws[:, 1 + k], draws[:, 2 + k :]


def _points(runs: Runs, one: Parabola) -> Mapping[str, Floats]:
    return {"N": runs.N[one.rows], "D": runs.D[one.rows]}


def _too_few(found: Sequence[Parabola], min_runs: int) -> Problem:
    said = "; ".join(f"C = {number(float(f'{p.C:.3g}'))}: {p.reason}" for p in found if p.reason)
    return Problem(
        "runs",
        f"{sum(not p.reason for p in found)} compute budgets can be used"
        + (f" ({said})" if said else ""),
        f"a power law needs two, each of {min_runs} runs or more and a minimum among them",
        "name the budgets (budgets, --budgets), group by a column (by, --by), raise the tolerance, or "
        "lower min_runs",
    )
