"""A mixture of laws: posteriors of several laws given the same runs, weighted by how well they forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.diagnostics import Verdict
from bayescale.errors import InputError, Problem
from bayescale.posterior import Posterior
from bayescale.runs import Runs
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

Floats = NDArray[np.float64]
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Mixture:
    r"""Several laws at once, so that an interval holds the uncertainty about the form of the law.

    .. math:: p(L \mid \mathrm{runs}) = \sum_k w_k\, p_k(L \mid \mathrm{runs})

    `bayescale.predict` and `bayescale.allocate` take it in place of a posterior: each law gives as many
    of the draws as its weight says.

    Parameters
    ----------
    posteriors
        One for each law, of the same runs.
    weights
        Of the laws, 0 or more; they add up to 1.
    provenance
        Where the weights come from.

    Raises
    ------
    InputError
        No posteriors, weights that are no shares, other runs, or laws whose inputs do not go together.
    """

    posteriors: tuple[Posterior, ...]
    weights: tuple[float, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        count = len(self.posteriors)
        if not count or weights.shape != (count,):
            raise InputError(
                Problem("weights", f"there are {weights.size} for {count} posteriors",
                        remedy="give one posterior or more, and a weight for each")
            )  # fmt: skip
        if not (np.all(weights >= 0) and abs(weights.sum() - 1) < ROUNDING):
            raise InputError(
                Problem("weights", f"they are {', '.join(f'{w:g}' for w in weights)}",
                        "they are the shares of the laws", "give numbers of 0 or more that add up to 1")
            )  # fmt: skip
        first = self.runs
        if any(not np.array_equal(p.runs.loss, first.loss) for p in self.posteriors):
            raise InputError(
                Problem("posteriors", "they were fitted to different runs",
                        "their weights compare laws on the same runs", "fit the same runs")
            )  # fmt: skip
        _ = self.inputs

    @property
    def runs(self) -> Runs:
        """The runs that all laws were fitted to."""
        return self.posteriors[0].runs

    @property
    def laws(self) -> dict[str, float]:
        """Name of each law to its weight."""
        return {p.name: w for p, w in zip(self.posteriors, self.weights, strict=True)}

    @property
    def name(self) -> str:
        """Names of the laws with their weights."""
        words = [f"{name} ({weight:.0%})" for name, weight in self.laws.items() if weight > 0]
        return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Symbols of what a prediction needs."""
        found = {p.inputs for p in self.posteriors}
        if len(found) == 1:
            return found.pop()
        others = {s for inputs in found if inputs != ("x",) for s in inputs}
        named = {p.runs.columns.get("x") for p in self.posteriors if p.inputs == ("x",)}
        if not named <= {*others, "C"}:
            raise InputError(
                Problem("posteriors", f"{self.name} have no inputs in common",
                        "a point must be one of all laws", "name the column of x with x='N' or such")
            )  # fmt: skip
        return tuple(s for s in ("N", "D", "U") if s in others)

    @property
    def basis(self) -> str:
        """What the laws were fitted to, in words."""
        return self.posteriors[0].basis

    @property
    def parts(self) -> tuple[tuple[Posterior, float], ...]:
        """The posteriors of the laws that have a weight, with it."""
        pairs = zip(self.posteriors, self.weights, strict=True)
        return tuple((p, w) for p, w in pairs if w > 0)

    @property
    def forecasting_parts(self) -> tuple[tuple[Posterior, float], ...]:
        """The posteriors that forecasts come from, with their shares."""
        return tuple(
            (model, weight * share)
            for posterior, weight in self.parts
            for model, share in posterior.forecasting_parts
        )

    @property
    def forecast_model(self) -> str:
        """The model that forecasts come from, in words."""
        drift = self.parts[0][0].forecasters[0].spec.drift
        words = f"{self.name} laws" if len(self.parts) > 1 else f"{self.name} law"
        return words if drift is None else f"{words} with {drift.name} drift"

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts on the posteriors of laws that have a weight; each once."""
        found = [v for posterior, _ in self.parts for v in posterior.diagnostics.verdicts]
        return tuple(dict.fromkeys(found))

    def require_sound(self, allow_failed: bool = False) -> None:
        """Raise `FailedFitError` if the sampling of a law that has a weight failed."""
        for posterior, _ in self.parts:
            posterior.require_sound(allow_failed)

    def save(self, path: str | Path) -> Path:
        """Write the mixture as netCDF, atomically; `bayescale.load` reads it.

        Raises
        ------
        InputError
            The folder is not there or cannot be written.
        """
        from bayescale.storage import save

        return save(self, path)

    def table(self) -> Table:
        """Return the table of the laws and their weights."""
        pairs = zip(self.posteriors, self.weights, strict=True)
        rows = tuple((p.name, f"{w:.3f}", p.diagnostics.verdict) for p, w in pairs)
        caption = f"Mixture of {len(rows)} laws fitted to {len(self.runs)} runs."
        return Table(caption, (Column("law"), Column("weight"), Column("sampling")), rows)

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def law_points(posterior: Any, points: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """Return points as the inputs of a law: the x of a law of one variable from its own column.

    Parameters
    ----------
    posterior
        A fit of one law, whose runs know the column of x.
    points
        Symbol to values, each of shape (points,).
    """
    given = {symbol: np.asarray(values, dtype=np.float64) for symbol, values in points.items()}
    if "x" in posterior.inputs and "x" not in given:
        column = posterior.runs.columns["x"]
        factor = posterior.runs.flops_per_parameter_token
        given["x"] = factor * given["N"] * given["D"] if column == "C" else given[column]
    return {symbol: given[symbol] for symbol in posterior.inputs}


def pooled(parts: Sequence[NDArray[Any]], shares: Sequence[float]) -> NDArray[Any]:
    """Join draws so that each part has its share of them; no draw is taken twice.

    Parameters
    ----------
    parts
        Draws of the same quantity from several models, each of shape (its draws, ...).
    shares
        Of the parts, above 0; they add up to 1.

    Returns
    -------
    array
        Shape (draws, ...): as many as the shares allow, from each part evenly spaced ones.

    Examples
    --------
    >>> pooled([np.zeros(4), np.ones(4)], [0.8, 0.2])
    array([0., 0., 0., 0., 1.])
    """
    share = np.asarray(shares, dtype=np.float64)
    sizes = np.array([len(part) for part in parts])
    total = int(np.min(sizes / share) * (1 + ROUNDING))
    exact = share * total
    counts = np.floor(exact + ROUNDING).astype(np.intp)
    left = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[left] += 1
    counts = np.minimum(counts, sizes)
    chosen = [
        part[np.arange(count) * len(part) // max(count, 1)]
        for part, count in zip(parts, counts.tolist(), strict=True)
    ]
    return np.concatenate(chosen)


def independent(draws: NDArray[Any], count: int, generator: np.random.Generator) -> NDArray[Any]:
    """Return draws in a random order, `count` of them, each used equally often.

    Beside draws of another fit they are draws of two independent posteriors, whatever order samplers
    left both in.
    """
    return draws[np.resize(generator.permutation(len(draws)), count)]
