"""What is found about identifiability, as data, as tables and as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescale.contraction import PRIOR_RATIO, Contraction
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

Kind = Literal["coordinate", "parameter", "answer"]

SENSITIVE = 0.05  # of power-scaling sensitivity; the limit of Kallioinen et al.
PRIOR_DATA_CONFLICT = "prior-data conflict"
STRONG_PRIOR = "strong prior or weak data"


@dataclass(frozen=True)
class Quantity:
    """One quantity: how far the runs narrowed it, and how much it moves with prior and data.

    Parameters
    ----------
    name
        Name of a coordinate or parameter; of an answer ``"loss"``, ``"N_opt"`` or
        ``"tokens_per_parameter"``.
    kind
        ``"coordinate"`` (the prior is put on it), ``"parameter"`` (of the paper's law, of the noise, or
        what follows from them) or ``"answer"``.
    at
        Where an answer was asked: symbol to value, such as N and D, or C.
    found
        Posterior sd against prior sd.
    prior_sensitivity, data_sensitivity
        How far the posterior of it moves as the prior, or the likelihood, is raised to a power: the
        power-scaling sensitivity of Kallioinen et al., per doubling of the power.
    mark
        ``"prior"`` if the runs did not narrow it, ``"prior, with B"`` if they did not tell it from B.
    """

    name: str
    kind: Kind
    at: Mapping[str, float]
    found: Contraction
    prior_sensitivity: float
    data_sensitivity: float
    mark: str = ""

    @property
    def is_prior(self) -> bool:
        """Whether the runs left the prior nearly as it was."""
        return self.found.is_prior

    @property
    def diagnosis(self) -> str:
        """What the sensitivities mean; empty if the prior hardly matters."""
        if not self.prior_sensitivity >= SENSITIVE:
            return ""
        return PRIOR_DATA_CONFLICT if self.data_sensitivity >= SENSITIVE else STRONG_PRIOR

    @property
    def label(self) -> str:
        """Name and place as they stand in a table."""
        if not self.at:
            return self.name
        name = {"tokens_per_parameter": "D/N at the optimum"}.get(self.name, self.name)
        return f"{name}, " + ", ".join(
            f"{s} = {number(float(f'{v:.3g}'))}" for s, v in self.at.items()
        )

    def to_json(self) -> dict[str, Any]:
        """The quantity as plain data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "at": dict(self.at),
            **self.found.to_json(),
            "prior_sensitivity": self.prior_sensitivity,
            "data_sensitivity": self.data_sensitivity,
            "diagnosis": self.diagnosis,
            "mark": self.mark,
        }


@dataclass(frozen=True)
class Remedy:
    """The two further runs that would narrow a direction most.

    Parameters
    ----------
    points
        Inputs of each run, symbol to value.
    ratio
        sd along the direction with these runs, as a share of the prior's; a linear prediction.
    """

    points: tuple[Mapping[str, float], ...]
    ratio: float


@dataclass(frozen=True)
class Direction:
    """A combination of coordinates that the runs leave as the prior has it.

    Parameters
    ----------
    ratio
        The posterior's sd along it, as a share of the prior's.
    loadings
        Every coordinate of the law to its part in the direction, in units of its prior sd; the squares
        sum to 1.
    parameters
        The paper's parameters that move most along it; scales are taken at the centre of the runs.
    remedy
        The runs that would help; None if none were found.
    sentence
        All of that in words.
    """

    ratio: float
    loadings: Mapping[str, float]
    parameters: tuple[str, ...]
    remedy: Remedy | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Identifiability:
    """What the runs inform, and what is the prior still.

    Parameters
    ----------
    quantities
        Coordinates, parameters, then answers.
    directions
        Combinations of coordinates that the runs do not inform, the least informed first.
    law, n_runs
        Name of the law, and number of fitted runs.
    """

    quantities: tuple[Quantity, ...]
    directions: tuple[Direction, ...]
    law: str
    n_runs: int

    @property
    def prior(self) -> tuple[str, ...]:
        """Labels of what is the prior."""
        return tuple(q.label for q in self.quantities if q.is_prior)

    def __getitem__(self, label: str) -> Quantity:
        return next(q for q in self.quantities if q.label == label)

    def to_json(self) -> dict[str, Any]:
        """The findings as plain data: ``{"quantities": [...], "directions": [...], ...}``."""
        return {
            "law": self.law,
            "n_runs": self.n_runs,
            "quantities": [q.to_json() for q in self.quantities],
            "directions": [asdict(d) for d in self.directions],
            "prior": list(self.prior),
        }

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each quantity."""
        import pandas

        rows = [q.to_json() for q in self.quantities]
        return pandas.DataFrame(
            [{**row, "at": q.label} for row, q in zip(rows, self.quantities, strict=True)]
        )

    def table(self) -> Table:
        """Return the table of the quantities, as it goes into a paper."""
        heads = ("quantity", "scale", "prior sd", "posterior sd", "ratio", "contraction", "mark",
                 "moves with prior", "with data", "diagnosis")  # fmt: skip
        caption = (
            f"What {self.n_runs} runs tell of the {self.law} law: sd of the prior and of the posterior "
            "(from the central 90%; of the logarithm where the scale is log), their ratio, contraction "
            f'1 - ratio^2, and power-scaling sensitivities. Marked "prior": ratio above {PRIOR_RATIO}.'
        )
        return Table(caption, tuple(map(Column, heads)), tuple(map(_row, self.quantities)))

    def text(self) -> str:
        """Return the table and the directions as text."""
        told = [f"  {d}" for d in self.directions] or ["  none"]
        table = self.table()
        return "\n".join(
            [table.caption, table.text(), "Directions that the runs do not inform:", *told]
        )

    def __repr__(self) -> str:
        return self.text()


def _row(q: Quantity) -> tuple[str, ...]:
    found = q.found
    return (
        q.label,
        found.scale,
        f"{found.prior_sd:.2g}",
        f"{found.posterior_sd:.2g}",
        f"{found.ratio:.0%}",
        f"{max(found.contraction, 0):.1%}",
        q.mark,
        *(f"{v:.2f}" if np.isfinite(v) else "" for v in (q.prior_sensitivity, q.data_sensitivity)),
        q.diagnosis,
    )
