"""Public tables of runs, and their splits by compute: fitted on the cheap runs, scored on the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayescale import Runs

FRACTIONS = (0.5, 0.65, 0.8)
NO_LABELS = {"loss_se": "", "group": "", "seed": "", "run_id": ""}
PORIAN = (
    "rw_base_longwarmup_kaplan_standard",
    "rw_base_shortwarmup_chinchilla_standard",
    "rw_tuned_shortwarmup_const_standard",
)


@dataclass(frozen=True)
class Split:
    """Runs that are fitted, and larger ones that are forecast."""

    name: str
    fraction: float
    train: Runs
    test: Runs

    @property
    def decades(self) -> np.ndarray:
        """Distance of each forecast run beyond the largest compute of the fitted ones."""
        largest = np.log10(self.train.N * self.train.D).max()
        return np.log10(self.test.N * self.test.D) - largest


def read(folder: Path) -> dict[str, Runs]:
    """The nine sets; runs that share a trunk are taken as they are, as a user would."""
    sets = {"chinchilla": Runs.read(folder / "chinchilla.csv", where="epoch_dropped == 0")}
    for corpus in ("c4_original", "rpj", "rw_original"):
        where = f"dataset == '{corpus}'"
        sets[f"overtraining {corpus}"] = Runs.read(folder / "overtraining.csv", NO_LABELS, where)
    for config in PORIAN:
        runs = Runs.read(folder / "porian.csv", NO_LABELS, f"config == '{config}'")
        sets[f"porian {config}"] = runs.take(runs.D >= runs.N)
    where = "schedule == 'cooldown_end'"
    sets["gemstones cool-downs"] = Runs.read(folder / "gemstones.csv", NO_LABELS, where)
    columns = {**NO_LABELS, "unique_tokens": ""}
    one_epoch = Runs.read(folder / "datablations.csv", columns, "epochs <= 1")
    sets["datablations, one epoch"] = one_epoch
    return sets


def splits(sets: dict[str, Runs], fractions: tuple[float, ...] = FRACTIONS) -> Iterator[Split]:
    """Each set cut at these shares of its runs, ordered by compute."""
    for name, runs in sets.items():
        order = np.argsort(runs.N * runs.D, kind="stable")
        for fraction in fractions:
            count = round(fraction * len(runs))
            cheap, dear = np.sort(order[:count]), np.sort(order[count:])
            yield Split(name, fraction, runs.take(cheap), runs.take(dear))
