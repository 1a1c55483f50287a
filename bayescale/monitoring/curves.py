"""Curves of runs: losses at checkpoints, by the share of the training that is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem, shown
from bayescale.runs import Runs

FINISHED = 0.995  # share of the tokens from which a run counts as done
LATE = 0.25  # a run whose first checkpoint comes after this share has no curve
FEW = 4  # checkpoints that a curve needs

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Checkpoints of one run, in order.

    Parameters
    ----------
    name
        What the run is called.
    N
        Its parameters.
    D_final
        The tokens that it is to see.
    D, loss
        Tokens seen at each checkpoint, and the loss there, each of shape (checkpoints,).
    """

    name: str
    N: float
    D_final: float
    D: Floats
    loss: Floats

    @property
    def shares(self) -> Floats:
        """Share of the training that is done at each checkpoint."""
        return self.D / self.D_final

    @property
    def is_finished(self) -> bool:
        """Whether the last checkpoint is the end of the run."""
        return bool(self.shares[-1] >= FINISHED)

    @property
    def reason(self) -> str:
        """Why nothing can be learned from it as an earlier run; empty if something can."""
        if not self.is_finished:
            return f"it ends at {self.shares[-1]:.0%} of its tokens"
        if len(self.D) < FEW:
            return f"it has {len(self.D)} checkpoints, fewer than {FEW}"
        return "its first checkpoint comes late" if self.shares[0] > LATE else ""


def read_curve(
    source: Any,
    N: float,
    D_final: float,
    steps: float | None = None,
    columns: Mapping[str, str | None] | None = None,
    where: str | None = None,
    loss_unit: str = "nats/token",
) -> Curve:
    """Read the checkpoints of one run: tokens or steps, and losses.

    Parameters
    ----------
    source, columns, where, loss_unit
        As for `bayescale.Runs.read`.
    N, D_final
        Parameters of the run, and the tokens that it is to see, above 0.
    steps
        The steps that it is to make, if the table has steps and no tokens.

    Raises
    ------
    InputError
        The table cannot be read, two rows are of one checkpoint, or one lies beyond the end.
    """
    table = _read(source, columns, where, loss_unit)
    if "D" in table.inputs:
        D = table.D
    elif steps is not None:
        D = table.with_inputs(["step"])["step"] / steps * D_final
    else:
        has_step = table.has("step")
        raise InputError(
            Problem(
                table.source,
                "it has steps and no tokens" if has_step else "no column holds tokens",
                "the share of the training that is done must be known",
                "say how many steps the run will make (steps, --steps)" if has_step
                else "name it with --columns tokens=COLUMN",
            )
        )  # fmt: skip
    curve = _curve("the run", N, D_final, D, table.loss, table.source)
    if curve.shares[-1] > 2 - FINISHED:
        raise InputError(
            Problem(table.source, f"a checkpoint at {curve.D[-1]:.6g} tokens lies beyond the end",
                    f"the run is to see {D_final:.6g}", "give the tokens of the whole run")
        )  # fmt: skip
    return curve


def read_curves(
    source: Any,
    columns: Mapping[str, str | None] | None = None,
    where: str | None = None,
    loss_unit: str = "nats/token",
) -> tuple[Curve, ...]:
    """Read the checkpoints of earlier runs: run_id, N, tokens, loss, and where there is one D_final.

    Without a column ``D_final``, the last checkpoint of each run is its end.
    """
    table = _read(source, columns, where, loss_unit)
    if "run_id" not in table.labels:
        raise InputError(
            Problem(table.source, "no column says which run a checkpoint is of",
                    remedy="name it with columns={'run_id': COLUMN} (--curves-columns run_id=COLUMN)")
        )  # fmt: skip
    N, D = table.N, table.D
    final = table.with_inputs(["D_final"])["D_final"] if table.has("D_final") else None
    found = []
    for name in dict.fromkeys(table.labels["run_id"].tolist()):
        mine = table.labels["run_id"] == name
        if len(np.unique(N[mine])) > 1:
            raise InputError(
                Problem(table.source, f"the run {name!r} has several N", "a run has one size",
                        "correct the column of the run or of N")
            )  # fmt: skip
        end = D[mine].max() if final is None else float(final[mine].max())
        found.append(_curve(name, float(N[mine][0]), end, D[mine], table.loss[mine], table.source))
    return tuple(found)


def _read(
    source: Any, columns: Mapping[str, str | None] | None, where: str | None, loss_unit: str
) -> Runs:
    if isinstance(source, Runs):
        return source
    return Runs.read(source, columns, where, loss_unit, response="loss")


def _curve(name: str, N: float, D_final: float, D: Floats, loss: Floats, source: str) -> Curve:
    order = np.argsort(D, kind="stable")
    repeated = np.flatnonzero(np.diff(D[order]) == 0)
    if len(repeated):
        raise InputError(
            Problem(source, f"{shown(name)} has two rows at {D[order][repeated[0]]:.6g} tokens",
                    "a checkpoint has one loss", "choose one of them, for instance with --where")
        )  # fmt: skip
    return Curve(name, N, D_final, D[order], loss[order])
