"""What a plan would show, and what it loses against the best one of its budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.architecture import Architecture
from bayescale.allocation.costs import Cost, short
from bayescale.allocation.splitting import Terms, best_splits, reaching, size_symbol, total
from bayescale.allocation.terms import check_paid, require_optimum, terms_of
from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import law_losses
from bayescale.mixture import pooled
from bayescale.prediction import Prediction, positive, predict, shares_of
from bayescale.publications import Fit
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]
TOLERANCE = 0.005  # of the loss: plans that lose no more count among the best
HIGH = 0.9  # the quantile of the regret that is shown beside its mean


@dataclass(frozen=True)
class Assessment:
    """A plan, what it would show, and what it loses against the best of the same budget.

    Parameters
    ----------
    N, D, C
        The plan, and its FLOPs, those of inference included.
    prediction
        Loss of a new run of it.
    best
        ``"N"``, ``"D"`` at the optimum of the same budget, and ``"tokens_per_parameter"`` there.
    excess
        Relative loss above that of the optimum, by the law.
    wasted
        Share of the budget that the optimum would not have needed for the same loss.
    probability
        That the plan is among the best: its excess is `tolerance` or less.
    expected, high
        Mean and 90th percentile of the excess.
    tolerance, level
        What counts as among the best; mass of the intervals.
    terms, cost
        What a split may be; hours and money.
    basis, laws
        What was fitted in words; name of each law to its share of the draws.
    tokens_per_year
        Tokens that come in a year, if it was given: then D is so many years of data.
    architecture
        The model's shape, if it was given: then C counts its FLOPs.
    """

    N: float
    D: float
    C: float
    prediction: Prediction
    best: Mapping[str, Interval]
    excess: Interval
    wasted: Interval
    probability: float
    expected: float
    high: float
    tolerance: float
    level: float
    terms: Terms
    cost: Cost | None
    basis: str
    laws: Mapping[str, float]
    tokens_per_year: float | None = None
    architecture: Architecture | None = None

    def to_json(self) -> dict[str, Any]:
        """The assessment as plain data."""
        (point,) = self.prediction.to_json()["points"]
        found = {
            "N": self.N,
            "D": self.D,
            "C": self.C,
            "flops_per_parameter_token": self.terms.flops_per_parameter_token,
            "tokens_per_parameter": self.D / self.N,
            "level": self.level,
            "loss": point,
            "best": {name: interval.to_json() for name, interval in self.best.items()},
            "excess_loss": self.excess.to_json(),
            "expected_excess_loss": self.expected,
            "excess_loss_p90": self.high,
            "wasted_compute": self.wasted.to_json(),
            "probability_among_best": self.probability,
            "tolerance": self.tolerance,
            "laws": dict(self.laws),
            **self.terms.to_json(),
        }
        if self.tokens_per_year is not None:
            found["years_of_data"] = self.D / self.tokens_per_year
        if self.architecture is not None:
            found["architecture"] = self.architecture.to_json()
        return found | ({} if self.cost is None else {"cost": self.cost.to_json(self.C)})

    def to_frame(self) -> pandas.DataFrame:
        """The assessment as a data frame of one row."""
        import pandas

        return pandas.json_normalize(self.to_json(), sep="_")

    def table(self) -> Table:
        """Return the assessment as a table, a line for each question."""
        percent = [i.times(100.0) for i in (self.excess, self.wasted)]
        rows: list[Any] = [
            ("parameters N", self.N),
            ("training tokens D", self.D),
            ("FLOPs C", self.C),
            ("tokens per parameter", f"{self.D / self.N:.3g}"),
            (f"loss of a new run ({self.prediction.loss_unit})", self.prediction.intervals[0]),
            ("best N for C", self.best["N"]),
            ("best tokens per parameter", self.best["tokens_per_parameter"]),
            ("loss above the best (%)", percent[0]),
            (f"the same, mean and {HIGH:.0%} at most", f"{self.expected:.2%}, {self.high:.2%}"),
            ("compute not needed for this loss (%)", percent[1]),
            (f"probability within {self.tolerance:.1%} of the best", f"{self.probability:.2f}"),
        ]
        if self.cost is not None:
            rows.append(("device-hours", short(float(self.cost.hours(self.C)))))
            if self.cost.price:
                rows.append(
                    (f"money ({self.cost.currency})", short(float(self.cost.money(self.C))))
                )
        if self.tokens_per_year is not None:
            rows.append(("years of data", f"{self.D / self.tokens_per_year:.3g}"))
        k = number(self.terms.flops_per_parameter_token)
        caption = (
            f"A plan beside the best one of its budget C = {self.terms.cost(k)}{self.terms.words()}, "
            f"{' and '.join(self.laws)} {self.basis}: median and {self.level:.0%} interval; best and "
            "excess are the law's own."
        )
        return Table(caption, (Column("of the plan"), Column("value")), tuple(rows))

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def what_if(
    posterior: Fit,
    N: float | None = None,
    D: float | None = None,
    *,
    architecture: Architecture | None = None,
    inference_tokens: float = 0.0,
    at: Mapping[str, float] | None = None,
    tolerance: float = TOLERANCE,
    cost: Cost | None = None,
    tokens_per_year: float | None = None,
    level: float = DEFAULT_LEVEL,
    flops_per_parameter_token: float | None = None,
    seed: int = 0,
    allow_failed: bool = False,
) -> Assessment:
    r"""Say what a plan would show, and what it loses against the best plan of the same budget.

    .. math:: r(\theta) = \frac{L_\theta(N, D)}{\min_{N' (k D' + 2 T) = C} L_\theta(N', D')} - 1, \qquad
              w(\theta) = 1 - \frac{C^*_\theta(L_\theta(N, D))}{C}

    Parameters
    ----------
    posterior
        A fit, a mixture, or a `PublishedFit`.
    N, D
        The plan: parameters and training tokens, above 0. N may be left to an architecture.
    architecture
        The shape of the model: then k is what its training FLOPs come to, attention and logits counted.
        All its parameters are N; if the runs do not count embeddings, give N as they do.
    inference_tokens
        T, tokens that the model is to be run on.
    at
        Other inputs of the law.
    tolerance
        Relative loss above the best that still counts as among the best, above 0.
    cost
        Hours and money; see `Cost`.
    tokens_per_year
        Tokens that come in a year, above 0.
    level, flops_per_parameter_token, allow_failed
        As for `bayescale.allocate`.
    seed
        Of the scatter of a new run.

    Returns
    -------
    Assessment
        Loss, regret and cost, with intervals.

    Raises
    ------
    InputError
        As for `bayescale.allocate`; or a plan without N or D, or with two numbers for k.

    Examples
    --------
    >>> import bayescale
    >>> plan = bayescale.what_if(bayescale.fit("byte-sweep", seed=0), N=1e6, D=2e7)
    >>> 0 <= plan.probability <= 1
    True
    """
    check_level(level)
    check_tolerance(tolerance)
    if tokens_per_year is not None:
        tokens_per_year = positive("tokens_per_year", tokens_per_year).item()
    if architecture is not None:
        N, flops_per_parameter_token = _of_shape(architecture, N, flops_per_parameter_token)
    if N is None or D is None:
        raise InputError(
            Problem("N, D", f"{'N' if N is None else 'D'} is missing", "a plan is of both",
                    "give parameters (or an architecture) and training tokens")
        )  # fmt: skip
    size, tokens = positive("N", N).item(), positive("D", D).item()
    terms = terms_of(posterior, flops_per_parameter_token, inference_tokens=inference_tokens, at=at)
    require_optimum(posterior, terms, allow_failed)
    budget = float(total(terms.numbers, size, tokens))
    parts = posterior.parts
    shares = [share for _, share in parts]
    columns: list[list[Floats]] = [[], [], [], []]
    for part, _ in parts:
        law = part.flat_law()
        there = best_splits(law, [budget], terms)
        check_paid(np.array([budget]), there.N, terms)
        symbols = {size_symbol(law.inputs): [size], "D": [tokens], **{s: [v] for s, v in terms.at}}
        mine = law_losses(law, symbols)
        needed = reaching(law, mine, terms)[2]
        for column, values in zip(
            columns, (there.N, there.D, mine / there.loss - 1, 1 - needed / budget), strict=True
        ):
            column.append(np.maximum(values, 0.0))
    best_n, best_d, excess, wasted = (pooled(column, shares)[:, 0] for column in columns)
    points = {size_symbol(posterior.inputs): [size], "D": [tokens], **{s: [v] for s, v in terms.at}}
    return Assessment(
        N=size,
        D=tokens,
        C=budget,
        prediction=predict(
            posterior, points=points, level=level, seed=seed, allow_failed=allow_failed
        ),
        best=best_of(best_n, best_d, level),
        excess=Interval.of(excess, level),
        wasted=Interval.of(wasted, level),
        probability=float(np.mean(excess <= tolerance)),
        expected=float(excess.mean()),
        high=float(np.quantile(excess, HIGH)),
        tolerance=tolerance,
        level=level,
        terms=terms,
        cost=cost,
        basis=posterior.basis,
        laws=shares_of(parts),
        tokens_per_year=tokens_per_year,
        architecture=architecture,
    )


def _of_shape(shape: Architecture, N: float | None, k: float | None) -> tuple[float, float]:
    """Return N and k of a model's shape."""
    if k is not None:
        raise InputError(
            Problem("flops_per_parameter_token, architecture", "both are given",
                    "the one follows from the other", "give one of them")
        )  # fmt: skip
    return (shape.parameters if N is None else N), shape.flops_per_parameter_token(N)


def best_of(N: Floats, D: Floats, level: float) -> dict[str, Interval]:
    """Return the intervals of the optimum, from its draws."""
    found = {"N": N, "D": D, "tokens_per_parameter": D / N}
    return {name: Interval.of(draws, level) for name, draws in found.items()}


def check_tolerance(tolerance: float) -> None:
    """Raise if a tolerance is not a share of the loss."""
    if not 0 < tolerance < 1:
        raise InputError(
            Problem("tolerance", f"it is {tolerance:g}", "it is a share of the loss, above 0 and below 1",
                    "write 0.005 for half a percent")
        )  # fmt: skip
