"""The result of an allocation: splits of budgets, or cheapest ways to losses, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.costs import Cost, short
from bayescale.allocation.splitting import Terms, total
from bayescale.intervals import Interval
from bayescale.prediction import decades, what_stands
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]
ALL = 0.995  # of a budget: what prints as 100%


@dataclass(frozen=True)
class Allocation:
    """Compute-optimal N, D, D/N and loss for some budgets, with intervals.

    Parameters
    ----------
    C
        Budgets in FLOPs, shape (budgets,).
    level
        Mass of the intervals.
    intervals
        ``"N"``, ``"D"``, ``"tokens_per_parameter"`` and ``"loss"`` to one `Interval` a budget; the
        loss is the mean of `loss_model`, drift included, at each draw's own optimum.
    decades_beyond
        How far the median optimum lies outside the runs, in decades.
    draws
        The same four to draws of shape (draws, budgets); a draw of the loss belongs to a draw of N and
        D only where the fit makes its own forecasts.
    flops_per_parameter_token
        k of C = k N D.
    method
        ``"closed form"`` or ``"numeric"``.
    loss_unit, basis, law, loss_model
        Unit of the loss, what was fitted in words, name of the law, and what the loss comes from in words.
    laws
        Name of each law to its share of the draws of N and D.
    terms
        What a split may be.
    target_loss
        The losses to reach, shape (budgets,); None where budgets were given. Then ``"C"``, the FLOPs that
        reach them, is among the intervals, `C` is its median, and a loss that a draw cannot reach
        costs infinity there.
    at_limit
        Share of the draws whose best split lies at a limit of the terms, shape (budgets,); None for losses.
    target_error
        The downstream errors to reach in place of losses, shape (budgets,); then the loss among the
        intervals is the one that gives the error.
    through
        The law from loss to error, in words.
    share_outside
        Share of the draws whose loss lies outside that of the runs of that law, shape (budgets,).
    cost
        Hours and money of FLOPs; None if nobody asked.
    """

    C: Floats
    level: float
    intervals: dict[str, tuple[Interval, ...]]
    decades_beyond: Floats
    draws: dict[str, Floats]
    flops_per_parameter_token: float
    method: str
    loss_unit: str
    basis: str
    law: str
    loss_model: str
    laws: Mapping[str, float]
    terms: Terms
    target_loss: Floats | None = None
    at_limit: Floats | None = None
    target_error: Floats | None = None
    through: str = ""
    share_outside: Floats | None = None
    cost: Cost | None = None

    def __len__(self) -> int:
        return len(self.C)

    @property
    def targets(self) -> Floats | None:
        """The losses or errors to reach; None where budgets were given."""
        return self.target_loss if self.target_error is None else self.target_error

    @property
    def reached(self) -> list[float]:
        """Share of the draws in which some split reaches the target, for each of them."""
        return [float(share) for share in np.isfinite(self.draws["N"]).mean(axis=0)]

    @property
    def is_point(self) -> bool:
        """Whether it comes from a law without draws, and so without intervals."""
        return len(self.draws["N"]) == 1

    def to_json(self) -> dict[str, Any]:
        """The allocation as plain data: ``{"budgets": [...]}``, one for each budget, in order."""
        return {
            "level": self.level,
            "flops_per_parameter_token": self.flops_per_parameter_token,
            "method": self.method,
            "loss_model": self.loss_model,
            "laws": dict(self.laws),
            **({"through": self.through} if self.through else {}),
            **self.terms.to_json(),
            **({} if self.cost is None else {"cost": self.cost.to_json()}),
            "budgets": [
                {
                    **({"C": float(budget)} if self.targets is None else self._target(i)),
                    **{name: self._as_json(value) for name, value in self.amounts(i).items()},
                    **{name: self._as_json(column[i]) for name, column in self.intervals.items()},
                    "decades_beyond": float(self.decades_beyond[i]),
                    **({} if self.at_limit is None else {"at_limit": float(self.at_limit[i])}),
                }
                for i, budget in enumerate(self.C)
            ],
        }

    def _target(self, i: int) -> dict[str, float]:
        if self.target_error is None or self.share_outside is None:
            assert self.target_loss is not None
            return {"target_loss": float(self.target_loss[i]), "reached": self.reached[i]}
        return {
            "target_error": float(self.target_error[i]),
            "target_accuracy": 1.0 - float(self.target_error[i]),
            "reached": self.reached[i],
            "share_outside": float(self.share_outside[i]),
        }

    @property
    def spent(self) -> Floats:
        """Share of each budget that the best splits spend, the median: 1 if no limit holds N and D down."""
        n, N, D = self.terms.numbers, self.draws["N"], self.draws["D"]
        return np.asarray(np.median(total(n, N, D), axis=0) / self.C)

    def amounts(self, i: int) -> dict[str, Any]:
        """Hours and money of a budget, or their intervals of what reaches a loss; empty if nobody asked."""
        factors = {} if self.cost is None else self.cost.factors
        if self.targets is None:
            return {name: float(self.C[i]) * factor for name, factor in factors.items()}
        return {name: self.intervals["C"][i].times(factor) for name, factor in factors.items()}

    def _as_json(self, value: float | Interval) -> Any:
        if not isinstance(value, Interval):
            return value
        return value.as_point() if self.is_point else value.to_json()

    def to_frame(self) -> pandas.DataFrame:
        """The allocation as a data frame, a row for each budget."""
        import pandas

        return pandas.json_normalize(self.to_json()["budgets"], sep="_")

    def table(self) -> Table:
        """Return the table of the budgets, or of the losses to reach, as it goes into a paper."""
        first, last = Column("C (FLOPs)", "$C$ (FLOPs)"), Column(f"loss ({self.loss_unit})")
        given: Any = self.C
        names: tuple[str, ...] = ("N", "D", "tokens_per_parameter", "loss")
        if self.targets is not None:
            first, last, given, names = last, first, self.targets, (*names[:3], "C")
        heads = [first, Column("N", "$N$"), Column("D", "$D$"), Column("D/N", "$D/N$"), last]
        if self.target_error is not None:
            heads, names = [Column("error"), first, *heads[1:]], ("loss", *names)
        if self.cost is not None:
            heads += self.cost.heads
        rows: list[Any] = [
            (
                float(value),
                *(self.intervals[name][i] for name in names),
                *map(short, self.amounts(i).values()),
                decades(self.decades_beyond[i]),
            )
            for i, value in enumerate(given)
        ]
        heads.append(Column("decades beyond"))
        if self.targets is not None:  # the share of the draws in which it can be reached
            heads.append(Column("reached"))
            rows = [(*row, f"{share:.0%}") for row, share in zip(rows, self.reached, strict=True)]
        if self.share_outside is not None:
            heads.append(Column("outside"))
            rows = [(*row, f"{s:.0%}") for row, s in zip(rows, self.share_outside, strict=True)]
        if self.at_limit is not None and self.at_limit.any():
            heads.append(Column("at a limit"))
            rows = [(*row, f"{share:.0%}") for row, share in zip(rows, self.at_limit, strict=True)]
            if (self.spent < ALL).any():
                heads.append(Column("spent"))
                rows = [(*row, f"{share:.0%}") for row, share in zip(rows, self.spent, strict=True)]
        law = f"{self.law} {'law' if len(self.laws) == 1 else 'laws'}"
        loss = "" if self.loss_model == law else f", the loss by {self.loss_model}"
        if self.targets is not None:
            loss = ""
        k = number(self.flops_per_parameter_token)
        what = "Compute-optimal allocation"
        if self.targets is not None:
            what = f"Cheapest way to {'a loss' if self.target_error is None else 'an error'}"
        if self.target_error is not None:
            loss = (
                f", error (1 less the accuracy) at that loss by the {self.through} (outside: share of the "
                "losses beyond those runs)"
            )
        caption = (
            f"{what} with C = {self.terms.cost(k)}{self.terms.words()}, {law} {self.basis}{loss}: "
            f"{what_stands(self.level, self.is_point)}."
        )
        return Table(caption, tuple(heads), tuple(rows))

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"
