"""The splits of a budget that lose little, and how surely they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.costs import Cost
from bayescale.allocation.splitting import Terms, best_splits, size_symbol
from bayescale.allocation.terms import check_paid, require_optimum, terms_of
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import law_losses
from bayescale.mixture import pooled
from bayescale.plans.assessment import HIGH, TOLERANCE, best_of, check_tolerance
from bayescale.prediction import positive, shares_of
from bayescale.publications import Fit
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]
SPAN, POINTS = 2.0, 321  # decades to each side of the best size, and sizes that are tried


@dataclass(frozen=True)
class Region:
    """The splits of a budget that lose little, and how surely they do.

    Parameters
    ----------
    C
        The budget in FLOPs.
    N, D
        Splits of it, shape (splits,), from the smallest size to the largest.
    probability
        That each is among the best: within `tolerance` of the lowest loss.
    expected, high
        Mean and 90th percentile of the relative loss above the best.
    best
        ``"N"``, ``"D"`` and ``"tokens_per_parameter"`` at the optimum.
    tolerance, level
        What counts as among the best; mass of the intervals.
    terms, cost, basis, laws
        As of an `Assessment`.
    """

    C: float
    N: Floats
    D: Floats
    probability: Floats
    expected: Floats
    high: Floats
    best: Mapping[str, Interval]
    tolerance: float
    level: float
    terms: Terms
    cost: Cost | None
    basis: str
    laws: Mapping[str, float]

    @property
    def least(self) -> int:
        """Index of the split of least expected regret."""
        return int(np.argmin(self.expected))

    @property
    def budget(self) -> str:
        """The budget in words: what it is, what it pays for, and what it costs."""
        k = number(self.terms.flops_per_parameter_token)
        spent = "" if self.cost is None else f", {self.cost.words(self.C)}"
        return f"C = {number(self.C)} = {self.terms.cost(k)}{self.terms.words()}{spent}"

    def likely(self, probability: float = 0.5) -> tuple[float, float] | None:
        """Return the smallest and the largest size that are among the best with this probability."""
        there = np.flatnonzero(self.probability >= probability)
        return (float(self.N[there[0]]), float(self.N[there[-1]])) if len(there) else None

    def to_json(self) -> dict[str, Any]:
        """The region as plain data, a row for each split."""
        names = ("N", "D", "probability", "expected", "high")
        splits = [
            dict(zip(names, map(float, row), strict=True))
            for row in zip(*(getattr(self, name) for name in names), strict=True)
        ]
        return {
            "C": self.C,
            "flops_per_parameter_token": self.terms.flops_per_parameter_token,
            "tolerance": self.tolerance,
            "level": self.level,
            "least": splits[self.least],
            "likely": self.likely(),
            "best": {name: interval.to_json() for name, interval in self.best.items()},
            "laws": dict(self.laws),
            **self.terms.to_json(),
            **({} if self.cost is None else {"cost": self.cost.to_json(self.C)}),
            "splits": splits,
        }

    def to_frame(self) -> pandas.DataFrame:
        """The region as a data frame, a row for each split."""
        import pandas

        return pandas.DataFrame(self.to_json()["splits"])

    def table(self, rows: int = 9) -> Table:
        """Return a table of splits about the one of least expected regret."""
        step = max(1, int(np.count_nonzero(self.probability > 0.05)) // rows)
        room = (len(self.N) - 1 - self.least) // step
        above = min(max(rows // 2, rows - 1 - self.least // step), room)
        below = min(rows - 1 - above, self.least // step)
        chosen = [self.least + step * i for i in range(-below, above + 1)]
        lines: tuple[Any, ...] = tuple(
            (
                float(f"{self.N[i]:.3g}"),
                float(f"{self.D[i]:.3g}"),
                f"{self.D[i] / self.N[i]:.3g}",
                f"{self.probability[i]:.2f}",
                f"{self.expected[i]:.2%}",
                f"{self.high[i]:.2%}",
                "least" if i == self.least else "",
            )
            for i in chosen
        )
        heads = ("N", "D", "D/N", f"P(within {self.tolerance:.1%})", "mean excess loss",
                 f"{HIGH:.0%} at most", "expected regret")  # fmt: skip
        caption = (
            f"Splits of {self.budget}, {' and '.join(self.laws)} {self.basis}: the probability that each "
            f"is within {self.tolerance:.1%} of the lowest loss, and its loss above that."
        )
        return Table(caption, tuple(map(Column, heads)), lines)

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def region(
    posterior: Fit,
    C: float,
    *,
    tolerance: float = TOLERANCE,
    inference_tokens: float = 0.0,
    max_params: float | None = None,
    max_tokens: float | None = None,
    sizes: Sequence[float] = (),
    at: Mapping[str, float] | None = None,
    cost: Cost | None = None,
    level: float = DEFAULT_LEVEL,
    flops_per_parameter_token: float | None = None,
    allow_failed: bool = False,
) -> Region:
    """Return all splits of a budget that lose little, rather than the one that loses least.

    Parameters
    ----------
    posterior
        A fit, a mixture, or a `PublishedFit`.
    C
        The budget in FLOPs, above 0.
    tolerance
        Relative loss above the best that still counts as among the best, above 0.
    inference_tokens, max_params, max_tokens, sizes, at, cost, level, flops_per_parameter_token, allow_failed
        As for `bayescale.allocate`.

    Returns
    -------
    Region
        Splits, the probability that each is among the best, and what it is expected to lose.

    Raises
    ------
    InputError
        As for `bayescale.allocate`.

    Examples
    --------
    >>> import bayescale
    >>> found = bayescale.region(bayescale.fit("byte-sweep", seed=0), C=1e14)
    >>> bool(found.expected[found.least] <= found.expected.min())
    True
    """
    check_level(level)
    check_tolerance(tolerance)
    budget = positive("C", C).item()
    terms = terms_of(
        posterior, flops_per_parameter_token, inference_tokens=inference_tokens,
        max_params=max_params, max_tokens=max_tokens, sizes=sizes, at=at,
    )  # fmt: skip
    require_optimum(posterior, terms, allow_failed)
    parts = posterior.parts
    laws, shares = [part.flat_law() for part, _ in parts], [share for _, share in parts]
    best = [best_splits(law, [budget], terms) for law in laws]
    check_paid(np.array([budget]), best[0].N, terms)
    best_n, best_d = (pooled([getattr(found, s) for found in best], shares) for s in "ND")
    n = terms.numbers
    if len(n.sizes):
        N = np.asarray(n.sizes)
    else:
        middle = float(np.median(best_n))
        most = min(float(n.most_N), budget / (n.k + 2 * n.T))
        N = np.geomspace(middle / 10**SPAN, min(middle * 10**SPAN, most), POINTS)
    D = np.minimum((budget / N - 2 * n.T) / n.k, n.most_D)
    N, D = N[D > 0], D[D > 0]
    regrets = []
    for law, found in zip(laws, best, strict=True):
        others = {s: np.full(len(N), v) for s, v in terms.at}
        losses = law_losses(law, {size_symbol(law.inputs): N, "D": D, **others})
        regrets.append(np.maximum(losses / found.loss - 1, 0.0))
    excess = pooled(regrets, shares)
    return Region(
        C=budget,
        N=N,
        D=D,
        probability=np.mean(excess <= tolerance, axis=0),
        expected=excess.mean(axis=0),
        high=np.quantile(excess, HIGH, axis=0),
        best=best_of(best_n, best_d, level),
        tolerance=tolerance,
        level=level,
        terms=terms,
        cost=cost,
        basis=posterior.basis,
        laws=shares_of(parts),
    )
