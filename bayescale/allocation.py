"""The best split of a training budget between parameters and tokens, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.laws import ClosedFormOptimum, Law
from bayescale.mixture import pooled
from bayescale.posterior import Posterior
from bayescale.prediction import (
    decades,
    decades_beyond,
    positive,
    shares_of,
    sound_forecasters,
    what_stands,
)
from bayescale.publications import Fit, PublishedFit
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

GOLDEN = (np.sqrt(5.0) - 1) / 2
GRID = 401  # points of the first search over log N
REFINEMENTS = 60  # golden sections of the bracket: below the rounding of the loss

NOT_IDENTIFIED = ("collinear", "constant-N", "constant-D", "constant-loss", "few-points")


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
    """

    C: NDArray[np.float64]
    level: float
    intervals: dict[str, tuple[Interval, ...]]
    decades_beyond: NDArray[np.float64]
    draws: dict[str, NDArray[np.float64]]
    flops_per_parameter_token: float
    method: str
    loss_unit: str
    basis: str
    law: str
    loss_model: str
    laws: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.C)

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
            "budgets": [
                {
                    "C": float(budget),
                    **{
                        name: column[i].as_point() if self.is_point else column[i].to_json()
                        for name, column in self.intervals.items()
                    },
                    "decades_beyond": float(self.decades_beyond[i]),
                }
                for i, budget in enumerate(self.C)
            ],
        }

    def to_frame(self) -> pandas.DataFrame:
        """The allocation as a data frame, a row for each budget."""
        import pandas

        return pandas.json_normalize(self.to_json()["budgets"], sep="_")

    def table(self) -> Table:
        """Return the table of the budgets, as it goes into a paper."""
        columns = (
            Column("C (FLOPs)", "$C$ (FLOPs)"),
            Column("N", "$N$"),
            Column("D", "$D$"),
            Column("D/N", "$D/N$"),
            Column(f"loss ({self.loss_unit})"),
            Column("decades beyond"),
        )
        names = ("N", "D", "tokens_per_parameter", "loss")
        rows: tuple[Any, ...] = tuple(
            (
                float(budget),
                *(self.intervals[name][i] for name in names),
                decades(self.decades_beyond[i]),
            )
            for i, budget in enumerate(self.C)
        )
        law = f"{self.law} {'law' if len(self.laws) == 1 else 'laws'}"
        loss = "" if self.loss_model == law else f", the loss by {self.loss_model}"
        caption = (
            f"Compute-optimal allocation with C = {number(self.flops_per_parameter_token)} N D, "
            f"{law} {self.basis}{loss}: {what_stands(self.level, self.is_point)}."
        )
        return Table(caption, columns, rows)

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def allocate(
    posterior: Fit,
    C: ArrayLike,
    *,
    level: float = DEFAULT_LEVEL,
    flops_per_parameter_token: float | None = None,
    numeric: bool = False,
    allow_failed: bool = False,
) -> Allocation:
    r"""Split a training budget between parameters and tokens, draw by draw.

    .. math:: (N, D)_\mathrm{opt}(\theta) = \arg\min_{k N D = C} L_\theta(N, D), \qquad
              \theta \sim p(\theta \mid \mathrm{runs})

    Parameters
    ----------
    posterior
        The fit of a law of N and D, a `PublishedFit`, or a mixture of fits: then N and D come from every
        law, by its weight.
    C
        Budgets in FLOPs, above 0; a number or shape (budgets,).
    level
        Mass of the intervals, between 0 and 1.
    flops_per_parameter_token
        k of C = k N D. By default 6, or what the FLOP column of the runs says.
    numeric
        Minimise numerically even where the law has a closed form.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Allocation
        N, D, D/N and loss for each budget, with intervals.

    Raises
    ------
    InputError
        A budget that is not positive, a law that is not one of N and D, or runs whose design does
        not identify an optimum.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Hoffmann et al. 2022, arXiv:2203.15556, equation 4.

    Examples
    --------
    >>> import bayescale
    >>> posterior = bayescale.fit("byte-sweep", seed=0)
    >>> allocation = bayescale.allocate(posterior, C=1e15)
    >>> best = allocation.draws
    >>> bool(abs(6 * best["N"] * best["D"] / 1e15 - 1).max() < 1e-9)
    True
    """
    _require_optimum(posterior, allow_failed)
    check_level(level)
    budgets = positive("C", C).ravel()
    factor = posterior.runs.flops_per_parameter_token
    if flops_per_parameter_token is not None:
        factor = positive("flops_per_parameter_token", flops_per_parameter_token).item()
    parts = posterior.parts
    laws, shares = [part.flat_law() for part, _ in parts], [share for _, share in parts]
    forecasters = sound_forecasters(posterior, allow_failed)

    optima = [optimal_splits(law, budgets, factor, numeric) for law in laws]
    # Drift depends on compute alone: it moves the loss at the optimum, and not where that is.
    forecast = [
        optimal_splits(model.flat_law(), budgets, factor, numeric)[2]
        * np.exp(model.drift_path({"N": budgets / factor, "D": np.ones_like(budgets)}))
        for model, _ in forecasters
    ]
    N, D = (pooled([best[i] for best in optima], shares) for i in (0, 1))
    loss = pooled(forecast, [share for _, share in forecasters])
    draws = {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}
    points = {"N": np.median(N, axis=0), "D": np.median(D, axis=0)}
    return Allocation(
        C=budgets,
        level=level,
        intervals={
            name: tuple(Interval.of(column, level) for column in values.T)
            for name, values in draws.items()
        },
        decades_beyond=decades_beyond(posterior.runs, points),
        draws=draws,
        flops_per_parameter_token=float(factor),
        method="closed form" if all(_closed(law, numeric) for law in laws) else "numeric",
        loss_unit=posterior.runs.loss_unit,
        basis=posterior.basis,
        law=posterior.name,
        loss_model=posterior.forecast_model,
        laws=shares_of(parts),
    )


def _require_optimum(posterior: Fit, allow_failed: bool) -> None:
    posterior.require_sound(allow_failed)
    for part, _ in posterior.parts:
        require_law_of_two(part)
        _require_identified(part, allow_failed)


def require_law_of_two(posterior: Posterior | PublishedFit) -> None:
    """Raise `InputError` if the law of a fit is not one of N and D: then there is no split of a budget."""
    law = posterior.spec.law
    if set(law.inputs) != {"N", "D"}:
        raise InputError(
            Problem("law", f"the law {law.name!r} is one of {', '.join(law.inputs)}",
                    "an allocation needs a law of N and D", "fit one, such as --law chinchilla")
        )  # fmt: skip


def _require_identified(posterior: Posterior | PublishedFit, allow_failed: bool) -> None:
    lifted = [name for name in posterior.provenance.get("allowed", ()) if name in NOT_IDENTIFIED]
    if lifted and not allow_failed:
        raise InputError(
            Problem("runs", f"the fit lifted the check {lifted[0]!r}",
                    "such runs do not say where the optimum is; it would come from the prior",
                    "add runs with other tokens per parameter")
        )  # fmt: skip


def optimal_splits(
    law: Law, budgets: ArrayLike, flops_per_parameter_token: float, numeric: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return N, D and loss at the optimum under C = k N D, each of shape (laws, budgets).

    Parameters
    ----------
    law
        Laws of N and D, every field of shape (laws,).
    budgets
        Compute C in FLOPs, shape (budgets,).
    flops_per_parameter_token
        k.
    numeric
        Search, even where the law has a closed form.
    """
    with jax.enable_x64(True):
        found = _optima(law, budgets, flops_per_parameter_token, _closed(law, numeric))
        N, D, loss = map(np.asarray, found)
        return N, D, loss


def _closed(law: Law, numeric: bool) -> bool:
    return isinstance(law, ClosedFormOptimum) and not numeric


@partial(jax.jit, static_argnames="closed")
def _optima(law: Any, budgets: Any, factor: Any, closed: bool) -> tuple[Any, Any, Any]:
    """N, D and loss at the optimum, each of shape (draws, budgets)."""

    def one(law: Law, budget: Any) -> tuple[Any, Any, Any]:
        if closed:
            N, D = law.optimum(budget, factor)  # type: ignore[attr-defined]
        else:
            N, D = numeric_optimum(law, budget, factor)
        return N, D, law.loss({"N": N, "D": D})

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(law, budgets)


def numeric_optimum(law: Law, flops: Any, flops_per_parameter_token: Any) -> tuple[Any, Any]:
    """Return N and D of the lowest loss under C = k N D by search over log N.

    A grid from one parameter to one token brackets the minimum; golden sections refine it.
    """
    log_product = jnp.log(flops / flops_per_parameter_token)

    def loss(log_n: Any) -> Any:
        return law.loss({"N": jnp.exp(log_n), "D": jnp.exp(log_product - log_n)})

    grid = jnp.linspace(0.0, log_product, GRID)
    best = jnp.clip(jnp.argmin(jax.vmap(loss)(grid)), 1, GRID - 2)

    def section(_: int, bracket: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bracket
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        smaller_left = loss(left) < loss(right)
        return jnp.where(smaller_left, low, left), jnp.where(smaller_left, right, high)

    low, high = jax.lax.fori_loop(0, REFINEMENTS, section, (grid[best - 1], grid[best + 1]))
    log_n = (low + high) / 2
    return jnp.exp(log_n), jnp.exp(log_product - log_n)
