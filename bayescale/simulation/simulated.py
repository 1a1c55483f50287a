"""Simulated sets of runs as tables, objects and files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.cache import write_atomically
from bayescale.errors import InputError, Problem
from bayescale.runs import Runs
from bayescale.runs.catalogue import SYMBOL_TO_ROLE
from bayescale.tables import number

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]
FORMATS = (".csv", ".tsv", ".parquet", ".jsonl")


@dataclass(frozen=True, eq=False)
class Simulation:
    """Simulated sets of runs, all on one design; made by `simulate`.

    Parameters
    ----------
    law, noise
        Names of the law and of the noise model.
    points
        Symbol to values, each of shape (runs,): the inputs of every set.
    loss
        Simulated losses, shape (sets, runs).
    law_loss
        The law's losses, drift included, without the scatter of runs, shape (sets, runs).
    parameters
        The law's parameters by name, one value a set, each of shape (sets,).
    noise_parameters
        Those of the noise model, likewise.
    relative_se
        Known standard error of each log loss, shape (runs,); None if the design has none.
    seed
        Seed of all sets.
    loss_unit
        Unit of the losses.
    """

    law: str
    noise: str
    points: Mapping[str, Floats]
    loss: Floats
    law_loss: Floats
    parameters: Mapping[str, Floats]
    noise_parameters: Mapping[str, Floats]
    relative_se: Floats | None
    seed: int
    loss_unit: str

    def __len__(self) -> int:
        return len(self.loss)

    def runs(self, i: int) -> Runs:
        """Return one set as runs, ready for `bayescale.fit`.

        Raises
        ------
        InputError
            There is no such set.
        """
        if not 0 <= i < len(self):
            raise InputError(
                Problem("i", f"there is no set {i!r}", remedy=f"the last one is {len(self) - 1}")
            )
        roles = [SYMBOL_TO_ROLE.get(symbol, symbol) for symbol in self.points] + ["loss"]
        if self.relative_se is not None:
            roles.append("loss_se")
        return Runs(
            loss=self.loss[i],
            inputs=self.points,
            loss_se=None if self.relative_se is None else self.relative_se * self.loss[i],
            loss_unit=self.loss_unit,
            source=f"simulated set {i}",
            columns={role: role for role in roles},
            all_columns=tuple(self.table),
        )

    @cached_property
    def table(self) -> dict[str, NDArray[Any]]:
        """All sets as one dict of columns, a row for each run: `fit_many` reads it with ``by="set"``.

        Columns: ``set``, counted from 0; the inputs, by the names of their roles, such as ``params``
        and ``tokens``; ``loss``; ``loss_se``, where the design has standard errors; ``law_loss``.
        """
        sets, runs = self.loss.shape
        columns: dict[str, NDArray[Any]] = {"set": np.repeat(np.arange(sets), runs)}
        columns |= {
            SYMBOL_TO_ROLE.get(s, s): np.tile(values, sets) for s, values in self.points.items()
        }
        columns["loss"] = self.loss.ravel()
        if self.relative_se is not None:
            columns["loss_se"] = (self.relative_se * self.loss).ravel()
        return columns | {"law_loss": self.law_loss.ravel()}

    def to_frame(self) -> pandas.DataFrame:
        """The table as a data frame, a row for each run."""
        import pandas

        return pandas.DataFrame(self.table)

    def to_json(self) -> dict[str, Any]:
        """The simulation as plain data, losses as a list of lists: sets, then runs."""
        return {
            "law": self.law,
            "noise": self.noise,
            "seed": self.seed,
            "loss_unit": self.loss_unit,
            "parameters": _lists(self.parameters),
            "noise_parameters": _lists(self.noise_parameters),
            "points": _lists(self.points),
            "relative_se": None if self.relative_se is None else self.relative_se.tolist(),
            "loss": self.loss.tolist(),
            "law_loss": self.law_loss.tolist(),
        }

    def to_csv(self, separator: str = ",") -> str:
        """The table as text with a header; its numbers read back bit for bit."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator="\n")
        writer.writerow(self.table)
        writer.writerows(self._rows())
        return text.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write the table, atomically, as its name ends: .csv, .tsv, .parquet or .jsonl.

        Raises
        ------
        InputError
            Another ending, or a folder that is not there or cannot be written to.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending not in FORMATS:
            what = "its name has no ending that tells the format"
            if ending:
                what = f"{path.suffix!r} is not a format that is written"
            raise InputError(Problem(str(path), what, remedy=f"use one of {', '.join(FORMATS)}"))
        try:
            write_atomically(path, self._content(ending))
        except OSError as error:
            raise InputError(
                Problem(str(path), f"it cannot be written: {error.strerror or error}",
                        remedy="give the name of a file, in a folder that is there")
            ) from None  # fmt: skip
        return path

    def _content(self, ending: str) -> bytes:
        if ending == ".parquet":
            return self._parquet()
        if ending == ".jsonl":
            return self._jsonl().encode()
        return self.to_csv("\t" if ending == ".tsv" else ",").encode()

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        return zip(*(column.tolist() for column in self.table.values()), strict=True)

    def _jsonl(self) -> str:
        names = tuple(self.table)
        lines = (json.dumps(dict(zip(names, row, strict=True))) for row in self._rows())
        return "".join(f"{line}\n" for line in lines)

    def _parquet(self) -> bytes:
        import pyarrow
        import pyarrow.parquet

        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.table(self.table), sink)
        return sink.getvalue().to_pybytes()

    def __repr__(self) -> str:
        sets, runs = self.loss.shape
        values = {**self.parameters, **self.noise_parameters}
        return (
            f"{_count(sets, 'simulated set')} of {_count(runs, 'run')} from the {self.law} law with "
            f"{self.noise} noise, seed {self.seed}\n"
            f"  loss {_range(self.loss)} {self.loss_unit}; the law's own {_range(self.law_loss)}\n"
            f"  {', '.join(f'{name} {_range(v)}' for name, v in values.items())}"
        )


def _lists(arrays: Mapping[str, Floats]) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in arrays.items()}


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _range(values: Floats) -> str:
    low, high = values.min(), values.max()
    return number(low) if low == high else f"{low:.4g} to {high:.4g}"
