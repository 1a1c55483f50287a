"""What a calibration found: the ranks of the truths, and which of them are not uniform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayescale.calibration import bands
from bayescale.diagnostics import Verdict
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]

LEVELS = (0.5, 0.8, 0.9, 0.95)  # of the intervals whose coverage is told
MOST_DROPPED = 0.05  # of the replicates
SHIFTED = 3.0  # standard errors of the mean rank, from which ranks are called too low or too high


@dataclass(frozen=True, eq=False)
class Calibration:
    """Ranks of truths among the draws of posteriors, one for each simulated replicate of the runs.

    Made by `calibrate`, where the truths are draws of a posterior, or by
    `bayescale.calibration.calibrate_prior`.

    Parameters
    ----------
    source
        What the truths were drawn from: ``"posterior"`` or ``"prior"``.
    law, noise, drift
        Names of what was fitted.
    n_runs
        Runs of a replicate.
    ranks
        Quantity to the ranks in (0, 1) of those replicates that count, each of shape (replicates,);
        uniform if draws and intervals are right.
    labels
        Quantity to what it is called in the table.
    replicates, dropped
        Replicates in all, and those whose sampling failed, which do not count.
    false_alarm
        Probability that the bands of any quantity are left although all is right.
    """

    source: str
    law: str
    noise: str
    drift: str
    n_runs: int
    ranks: Mapping[str, Floats]
    labels: Mapping[str, str]
    replicates: int
    dropped: int
    false_alarm: float

    @cached_property
    def p_values(self) -> dict[str, float]:
        """P-value of the uniformity of each quantity's ranks; NaN if there are none."""
        enough = self.replicates - self.dropped > 1
        return {k: bands.p_value(v) if enough else np.nan for k, v in self.ranks.items()}

    @property
    def passed(self) -> dict[str, bool]:
        """Whether the distribution of each quantity's ranks stays inside its band."""
        limit = self.false_alarm / len(self.ranks)
        return {name: bool(p > limit) for name, p in self.p_values.items()}

    @property
    def coverage(self) -> dict[str, dict[float, float]]:
        """Quantity to level to the share of the replicates whose central interval holds the truth."""
        return {
            name: {level: _held(values, level) for level in LEVELS}
            for name, values in self.ranks.items()
        }

    def band(self) -> tuple[Floats, Floats, Floats]:
        """Return points, and limits of the ranks' empirical distribution there, for every quantity."""
        kept = self.replicates - self.dropped
        return bands.band(kept, self.false_alarm / len(self.ranks))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Which ranks are not uniform, and whether too many replicates were dropped."""
        found = [self._verdict(name) for name, passed in self.passed.items() if not passed]
        if self.dropped > MOST_DROPPED * self.replicates:
            found.append(
                Verdict(
                    "replicates-dropped", "warn",
                    f"the sampling of {self.dropped} of {self.replicates} replicates failed.",
                    "What passes holds for the others only: the runs may be too few for the law.",
                )
            )  # fmt: skip
        return tuple(found)

    def _verdict(self, name: str) -> Verdict:
        values = self.ranks[name]
        what = "ranks are not uniform"
        if len(values):
            error = np.sqrt(1 / 12 / len(values))
            off = (values.mean() - 0.5) / error
            if abs(off) > SHIFTED:
                # A truth whose rank is high lies above its draws.
                what = f"draws lie too {'low' if off > 0 else 'high'}"
            else:
                narrow = ((values - 0.5) ** 2).mean() > 1 / 12
                what = f"intervals are too {'narrow' if narrow else 'wide'}"
        return Verdict(
            "not-calibrated", "warn",
            f"{self.labels[name]}: {what} (p = {self.p_values[name]:.1g}); its 90% intervals held "
            f"{_held(values, 0.9):.0%} of the truths.",
            "Do not report its interval; try --method nuts, and tell the project.",
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The calibration as plain data, ranks included."""
        return {
            "source": self.source,
            "law": self.law,
            "noise": self.noise,
            "drift": self.drift,
            "n_runs": self.n_runs,
            "replicates": self.replicates,
            "dropped": self.dropped,
            "false_alarm": self.false_alarm,
            "passed": all(self.passed.values()),
            "quantities": {
                name: {
                    "label": self.labels[name],
                    "passed": self.passed[name],
                    "p_value": self.p_values[name],
                    "mean_rank": _mean(values),
                    "coverage": {f"{k:g}": v for k, v in self.coverage[name].items()},
                    "ranks": values.tolist(),
                }
                for name, values in self.ranks.items()
            },
            "verdicts": [asdict(v) for v in self.verdicts],
        }

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each quantity."""
        import pandas

        rows = []
        for name, row in self.to_json()["quantities"].items():
            held = {f"coverage_{level}": v for level, v in row.pop("coverage").items()}
            del row["ranks"]
            rows.append({"quantity": name} | row | held)
        return pandas.DataFrame(rows)

    def table(self) -> Table:
        """Return the table of the quantities, as it goes into a paper."""
        drift = "" if self.drift == "none" else f" and {self.drift} drift"
        more = "the runs and " if self.source == "posterior" else ""
        caption = (
            f"Calibration of the {self.law} law with {self.noise} noise{drift}: truths drawn from the "
            f"{self.source}, {self.replicates} replicates of {self.n_runs} runs ({self.dropped} dropped), "
            f"posteriors given {more}each replicate. Mean rank of the truths (0.5 if all is right), share "
            "inside central intervals, p-value of uniform ranks; "
            f"{self.false_alarm:.1%} chance that any fails if all is right."
        )
        heads = ("quantity", "mean rank", *(f"{level:.0%} held" for level in LEVELS), "p", "passed")
        rows = tuple(
            (
                self.labels[name],
                f"{_mean(values):.3f}",
                *(f"{share:.1%}" for share in self.coverage[name].values()),
                f"{self.p_values[name]:.2g}",
                "yes" if self.passed[name] else "NO",
            )
            for name, values in self.ranks.items()
        )
        return Table(caption, tuple(map(Column, heads)), rows)

    def __repr__(self) -> str:
        return "\n".join([self.table().caption, self.table().text(), *map(str, self.verdicts)])


def _held(ranks: Floats, level: float) -> float:
    return _mean(np.abs(ranks - 0.5) < level / 2)


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
