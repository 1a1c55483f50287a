"""A pooled fit: a posterior for each group of runs, for one not seen, and what the groups share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayescale.diagnostics import Diagnostics, Verdict, diagnose_draws
from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, summarise
from bayescale.laws import Law
from bayescale.posterior import Draws, Posterior
from bayescale.priors import Beta
from bayescale.runs.roles import nearest
from bayescale.storage import (
    NEW,
    group_of,
    groups_tree,
    pooled_history,
    read_tree,
    save_tree,
)
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

TYPICAL, SHARED = "typical", "tau"  # sections of a saved pooled fit
SHOWN = 8  # groups that a verdict names


@dataclass(frozen=True, eq=False)
class PooledFit:
    """Laws of several groups of runs, drawn from one population; made by `bayescale.fit_pooled`.

    Parameters
    ----------
    groups
        Name to `Posterior` of the group, with the runs of the group; ``pooled["c4"]`` is one of them.
    new_group
        The posterior of a group that was not seen: its law is drawn from the population. Its runs
        are those of all groups, so that its forecasts drift from its law beyond the largest of them.
    typical
        Coordinate to draws of its value in a typical group, the centre of the population; shape
        (chains, draws).
    tau
        Coordinate to draws of its spread among groups, as a share of the sd of the law's prior: near 0
        groups share it, near 1 they know nothing of each other.
    spread
        Prior of every tau.
    by
        The columns that tell the groups apart.
    alone
        Group to the design checks that it would not pass alone.
    unpooled
        Group to its fit without the others, or to why there is none; if asked for. Not saved.
    """

    groups: Mapping[str, Posterior]
    new_group: Posterior
    typical: Draws
    tau: Draws
    spread: Beta
    by: tuple[str, ...] = ()
    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unpooled: Mapping[str, Posterior | str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Posterior:
        """Return the posterior of a group, or of ``"new"``; raises `InputError` if there is none."""
        if name == NEW:
            return self.new_group
        if name not in self.groups:
            raise InputError(
                Problem("group", f"there is no group {name!r}{nearest(str(name), list(self.groups))}",
                        remedy=f"groups are {', '.join(map(repr, [*self.groups, NEW]))}")
            )  # fmt: skip
        return self.groups[name]

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Figures and verdicts on the sampling of all groups, and on groups with few runs."""
        draws = {
            **{f"{name} of a typical group": values for name, values in self.typical.items()},
            **{f"tau of {name}": values for name, values in self.tau.items()},
        }
        for group, posterior in self.groups.items():
            draws |= {f"{name} of {group}": v for name, v in posterior.coordinates.items()}
        return diagnose_draws(draws, self.new_group.stats, self.verdicts)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Groups whose law is mostly that of the population, since their runs cannot tell it."""
        if not self.alone:
            return ()
        named = []
        for name, checks in self.alone.items():
            count = len(self.groups[name].runs)
            named.append(f"{name} ({count} run{'s' if count > 1 else ''}: {', '.join(checks)})")
        more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
        said = (
            f"{', '.join(named[:SHOWN])}{more} would not be fitted alone: mostly, what is said of "
            f"{'it' if len(named) == 1 else 'them'} is what is known of the population."
        )
        advice = "It is right of a group that is like the others; more runs show whether it is."
        return (Verdict("mostly-population", "warn", said, advice),)

    def population(self, level: float = DEFAULT_LEVEL) -> dict[str, dict[str, Interval]]:
        """Return intervals of each coordinate: of a typical group, of a new one, and of tau."""
        new = {name: self.new_group.coordinates[name] for name in self.typical}
        parts = {"typical": self.typical, "new": new, "tau": self.tau}
        found = {part: summarise(draws, level) for part, draws in parts.items()}
        return {name: {part: found[part][name] for part in parts} for name in self.typical}

    def table(self, level: float = DEFAULT_LEVEL) -> Table:
        """Return the table of the groups' laws, as it goes into a paper."""
        spec = self.new_group.spec
        shown = [*spec.law.parameters(), *spec.noise.parameters()]
        rows: list[Any] = []
        for name, posterior in [*self.groups.items(), ("a new group", self.new_group)]:
            summary = posterior.summary(level)
            runs = str(len(posterior.runs)) if posterior is not self.new_group else ""
            rows.append((name, runs, *(summary[p.name] for p in shown)))
        drift = "" if spec.drift is None else f" and {spec.drift.name} drift"
        caption = (
            f"Posteriors of the {spec.law.title} with {spec.noise.name} noise{drift} on log loss, "
            f"partially pooled over {len(self)} groups by {', '.join(self.by)}, "
            f"{len(self.new_group.runs)} runs: median and {level:.0%} interval."
        )
        columns = (Column("group"), Column("runs"),
                   *(Column(p.name, f"${p.symbol}$") for p in shown))  # fmt: skip
        return Table(caption, columns, tuple(rows))

    def population_table(self, level: float = DEFAULT_LEVEL) -> Table:
        """Return the table of what the groups share."""
        meanings = {c.name: c for c in self.new_group.spec.beliefs}
        rows = tuple(
            ((name, meanings[name].symbol), found["typical"], found["new"], found["tau"],
             meanings[name].meaning)
            for name, found in self.population(level).items()
        )  # fmt: skip
        caption = (
            f"Population of the groups: coordinates of a typical group and of a new one, and their "
            f"spread among groups as a share of the prior's; median and {level:.0%} interval."
        )
        heads = (Column("coordinate"), Column("typical group"), Column("new group"),
                 Column("tau", r"$\tau$"), Column("meaning"))  # fmt: skip
        return Table(caption, heads, rows)

    def shrinkage(self, level: float = DEFAULT_LEVEL) -> Table:
        """Return the table of the groups' parameters beside those of their fits alone.

        The last column is the width of the pooled interval as a share of the other's.

        Raises
        ------
        InputError
            The groups were not fitted alone.
        """
        if not self.unpooled:
            raise InputError(
                Problem("unpooled", "the groups were not fitted alone",
                        remedy="fit with unpooled=True (--unpooled)")
            )  # fmt: skip
        rows: list[Any] = []
        for name, other in self.unpooled.items():
            mine = self.groups[name].summary(level)
            if isinstance(other, str):
                rows.append((name, "", "", f"not fitted alone: {', '.join(self.alone.get(name, ()))}"
                             if self.alone.get(name) else "not fitted alone", ""))  # fmt: skip
                continue
            theirs = other.summary(level)
            rows += [
                (name, p, mine[p], theirs[p], f"{_width(mine[p]) / _width(theirs[p]):.2f}")
                for p in mine
            ]
        caption = (
            f"Partially pooled parameters of {len(self)} groups beside those of each group alone: median "
            f"and {level:.0%} interval, and the width of the first as a share of the second."
        )
        heads = ("group", "parameter", "pooled", "alone", "width")
        return Table(caption, tuple(map(Column, heads)), tuple(rows))

    def to_json(self, level: float = DEFAULT_LEVEL) -> dict[str, Any]:
        """The fit as plain data: each group's intervals, the population, the diagnostics."""
        spec = self.new_group.spec
        named = {**self.groups, NEW: self.new_group}
        return {
            "law": spec.law.name,
            "noise": spec.noise.name,
            "drift": self.new_group.drift_name,
            "by": list(self.by),
            "n_runs": len(self.new_group.runs),
            "level": level,
            "loss_unit": self.new_group.runs.loss_unit,
            "groups": {
                name: {
                    "n_runs": 0 if name == NEW else len(posterior.runs),
                    "parameters": _plain(posterior.summary(level)),
                    "alone": self._alone(name, level),
                    "checks": list(self.alone.get(name, ())),
                }
                for name, posterior in named.items()
            },
            "population": {name: _plain(f) for name, f in self.population(level).items()},
            "diagnostics": self.diagnostics.to_json(),
            "allowed": self.new_group.provenance["allowed"],
            "seconds": self.new_group.provenance["seconds"],
        }

    def _alone(self, name: str, level: float) -> dict[str, Any] | str | None:
        other = self.unpooled.get(name)
        return _plain(other.summary(level)) if isinstance(other, Posterior) else other

    def to_frame(self, level: float = DEFAULT_LEVEL) -> pandas.DataFrame:
        """A data frame with a row for each group and parameter; a group not seen is ``"new"``."""
        import pandas

        rows = [
            {"group": name, "n_runs": found["n_runs"], "parameter": p, **interval}
            for name, found in self.to_json(level)["groups"].items()
            for p, interval in found["parameters"].items()
        ]
        return pandas.DataFrame(rows)

    def text(self, level: float = DEFAULT_LEVEL) -> str:
        """Return the groups, the population and the verdicts as text."""
        tables = [self.table(level), self.population_table(level)]
        if self.unpooled:
            tables.append(self.shrinkage(level))
        blocks = [f"{table.caption}\n{table.text()}" for table in tables]
        return "\n\n".join([*blocks, str(self.diagnostics)])

    def __repr__(self) -> str:
        return self.text()

    def save(self, path: str | Path) -> Path:
        """Write all posteriors, their forecasters too, as one netCDF file, atomically.

        `load_pooled` reads it, and ``load(path, group="c4")`` one group of it.

        Raises
        ------
        InputError
            The folder is not there or cannot be written.
        """
        history = {
            "by": list(self.by),
            "groups": list(self.groups),
            "alone": {name: list(checks) for name, checks in self.alone.items()},
            "spread": asdict(self.spread),
        }
        draws = {TYPICAL: self.typical, SHARED: self.tau}
        everyone = [*self.groups.values(), self.new_group]
        return save_tree(groups_tree(everyone, history, draws), path)


def load_pooled(path: str | Path, law: type[Law] | str | None = None) -> PooledFit:
    """Read a pooled fit that `PooledFit.save` wrote.

    Parameters
    ----------
    path, law
        As for `bayescale.load`.

    Returns
    -------
    PooledFit
        As it was saved, without the fits of groups alone.

    Raises
    ------
    InputError
        No such file, not a pooled fit, or a law that the package does not have.
    """

    def read(tree: Any) -> PooledFit:
        history = pooled_history(tree, str(path))
        names = history["groups"]
        everyone = [group_of(tree, i, str(path), law) for i in range(len(names) + 1)]
        typical, tau = (
            {str(name): v.to_numpy() for name, v in tree[part].data_vars.items()}
            for part in (TYPICAL, SHARED)
        )
        return PooledFit(
            groups=dict(zip(names, everyone, strict=False)),
            new_group=everyone[-1],
            typical=typical,
            tau=tau,
            spread=Beta(**history["spread"]),
            by=tuple(history["by"]),
            alone={name: tuple(checks) for name, checks in history["alone"].items()},
        )

    return read_tree(path, read)


def _width(interval: Interval) -> float:
    return interval.upper - interval.lower


def _plain(summary: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: interval.to_json() for name, interval in summary.items()}
