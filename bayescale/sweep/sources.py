"""Where the data sets of a sweep come from: groups of the rows of a table, or several tables."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bayescale.diagnostics import Verdict, design_verdicts
from bayescale.effects import label_of
from bayescale.errors import BayescaleError, InputError, Problem
from bayescale.fitting import as_runs, runs_for
from bayescale.model import Data, ModelSpec, data_of, size_class
from bayescale.runs import GroupedRuns, Runs, check_design


@dataclass(frozen=True)
class Prepared:
    """One data set, ready to be fitted, or the reason why it is not.

    Parameters
    ----------
    data
        What the programs see; None for a rejected set.
    n_runs
        Number of its runs.
    verdicts
        Findings on its design.
    codes
        Checks that rejected it, or that were lifted.
    reason
        Why it is rejected; empty for others.
    """

    data: Data | None
    n_runs: int
    verdicts: tuple[Verdict, ...] = ()
    codes: tuple[str, ...] = ()
    reason: str = ""


class Sets:
    """Data sets that a sweep goes through; made ready one at a time, so they need not all be held."""

    by: tuple[str, ...]
    names: Sequence[str]

    @abstractmethod
    def values(self, i: int) -> tuple[str, ...]:
        """Return the values of `by` of one set."""

    @abstractmethod
    def size(self, i: int) -> int:
        """Return the rows to which one set is padded; 0 if it can be seen to be rejected."""

    @abstractmethod
    def prepare(self, i: int) -> Prepared:
        """Return one set, ready to be fitted."""

    @abstractmethod
    def digest(self) -> str:
        """Return a hash of the numbers of all sets."""

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Checks:
    """What a set must pass: the law's needs, the column of a law of one variable, lifted checks."""

    spec: ModelSpec
    x: str | None = None
    allow: tuple[str, ...] = ()

    def prepare(self, get: Callable[[], Runs], data: Data | None = None) -> Prepared:
        """Return the runs, ready to be fitted, or the reason why not; `data` if it is known."""
        n_runs = 0
        try:
            runs = get()
            n_runs = len(runs)
            law = self.spec.law
            runs = runs_for(runs, law, self.x)
            effects = self.spec.effects
            label = label_of(effects)
            wanted = law.inputs, len(law.parameters()), law.name
            lifted = check_design(runs, *wanted, self.allow, label, law.falls_in)
            if data is None:
                data = data_of(runs, law.inputs, self.spec.drift, effects, extremes=law.extremes)
        except InputError as error:
            first = error.problems[0]
            codes = tuple(dict.fromkeys(p.check or "bad-input" for p in error.problems))
            return Prepared(None, n_runs, codes=codes, reason=str(first))
        except BayescaleError as error:
            return Prepared(None, n_runs, codes=("bad-input",), reason=str(error))
        verdicts = tuple(design_verdicts(self.spec, runs))
        return Prepared(data, n_runs, verdicts, tuple(lifted))


@dataclass(frozen=True, eq=False)
class TableSets(Sets):
    """Groups of the rows of one table."""

    groups: GroupedRuns
    checks: Checks

    @property
    def by(self) -> tuple[str, ...]:  # type: ignore[override]
        """The columns that tell the sets apart."""
        return self.groups.by

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """Names of the sets."""
        return self.groups.names

    def values(self, i: int) -> tuple[str, ...]:
        """Return the values of `by` of one set."""
        return self.groups.values[i]

    def size(self, i: int) -> int:
        """Return the rows to which one set is padded."""
        return size_class(len(self.groups.rows(i)))

    def prepare(self, i: int) -> Prepared:
        """Return one set, ready to be fitted."""
        return self.checks.prepare(lambda: self.groups.runs(i))

    def digest(self) -> str:
        """Return a hash of the numbers of all rows, and of who shares a shift."""
        template, effects = self.groups.template, self.checks.spec.effects
        if effects is None:
            return template.data_hash
        columns = effects.columns(template)
        return hashlib.sha256(template.data_hash.encode() + columns.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class SeparateSets(Sets):
    """Tables by name; each may be anything that `Runs.read` reads."""

    tables: Mapping[str, Any]
    checks: Checks
    by: tuple[str, ...] = ("set",)
    _sizes: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tables:
            raise InputError(Problem("runs", "there are no data sets", remedy="give at least one"))

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """Names of the sets."""
        return list(map(str, self.tables))

    def values(self, i: int) -> tuple[str, ...]:
        """Return the name of one set."""
        return (self.names[i],)

    def size(self, i: int) -> int:
        """Return the rows to which one set is padded; 0 if it cannot be read."""
        if i not in self._sizes:
            prepared = self.prepare(i)
            self._sizes[i] = 0 if prepared.data is None else len(prepared.data.log_loss)
        return self._sizes[i]

    def prepare(self, i: int) -> Prepared:
        """Return one set, ready to be fitted."""
        return self.checks.prepare(
            lambda: as_runs(list(self.tables.values())[i], self.checks.spec.law)
        )

    def digest(self) -> str:
        """Return a hash of the numbers of all sets that can be fitted."""
        whole = hashlib.sha256()
        for i in range(len(self)):
            data = self.prepare(i).data
            if data is not None:
                whole.update(data.log_loss.tobytes() + data.relative_se.tobytes())
                whole.update(b"".join(column.tobytes() for column in data.inputs.values()))
                whole.update(data.group.tobytes())
        return whole.hexdigest()
