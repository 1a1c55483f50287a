"""Which column of a table plays which role: N, D, loss and the rest."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bayescale.errors import InputError, Problem, shown
from bayescale.runs.catalogue import INPUT_ROLES, LABEL_ROLES, ROLES, Role

AT_ONCE = (*INPUT_ROLES, "loss", "loss_se", *LABEL_ROLES)  # looked for in every table


def plain(name: str) -> str:
    """The name without case and punctuation."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def nearest(name: str, candidates: Sequence[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest candidate, or an empty string."""
    by_plain = {plain(candidate): candidate for candidate in candidates}
    close = difflib.get_close_matches(plain(name), list(by_plain), n=1, cutoff=0.5)
    return f"; did you mean {by_plain[close[0]]!r}?" if close else ""


def resolve(
    columns: Sequence[str], mapping: Mapping[str, str | None] | None, source: str
) -> dict[str, str]:
    """Decide which column plays which role.

    Parameters
    ----------
    columns
        Names of the table's columns.
    mapping
        The user's choice, role to column; an empty column means that the role is not used.
    source
        What to call the table in messages.

    Returns
    -------
    dict
        Role to column, for the roles that are there.

    Raises
    ------
    InputError
        Unknown role, a column that is not there, or two columns that could play a role.
    """
    mapping = _checked_mapping(mapping)
    problems = []
    for name, column in mapping.items():
        if name not in ROLES:
            problems.append(
                Problem(
                    "columns",
                    f"{name!r} is not a role{_nearest_role(name)}",
                    remedy=f"roles are {', '.join(ROLES)}; write ROLE=COLUMN",
                )
            )
        elif column and column not in columns:
            problems.append(missing_column(name, column, columns, source))
    if problems:
        raise InputError(problems)
    resolved = {}
    taken = {column for column in mapping.values() if column}
    for role in ROLES.values():
        found = mapping.get(role.name)
        if found is None and role.name in AT_ONCE:
            found = recognise(role, columns, taken, source)
        if found:
            resolved[role.name] = found
    return resolved


def resolve_late(
    role: str, resolved: Mapping[str, str], columns: Sequence[str], source: str
) -> str:
    """Return the column of a role that is looked for only where it is needed; empty if there is none."""
    return resolved.get(role) or recognise(ROLES[role], columns, set(resolved.values()), source)


def _checked_mapping(mapping: Any) -> dict[str, str]:
    if mapping is not None and not isinstance(mapping, Mapping):
        raise InputError(
            Problem("columns", f"it is {shown(mapping)}, which maps no roles to columns",
                    remedy="write columns={'params': 'n', 'loss': 'val_loss'}")
        )  # fmt: skip
    return {
        str(role): "" if column is None else str(column) for role, column in (mapping or {}).items()
    }


def _nearest_role(name: str) -> str:
    by_symbol = {role.symbol.casefold(): role.name for role in ROLES.values()}
    if name.casefold() in by_symbol:
        return f"; did you mean {by_symbol[name.casefold()]!r}?"
    return nearest(name, list(ROLES))


def missing_column(role: str, column: str, columns: Sequence[str], source: str) -> Problem:
    """The problem of a named column that the table does not have."""
    return Problem(
        source,
        f"there is no column {column!r} for {role}{nearest(column, columns)}",
        remedy=f"the columns are {', '.join(map(repr, columns)) or 'none'}",
    )


def missing_role(
    role: str, columns: Sequence[str], source: str, taken: Collection[str] = ()
) -> Problem:
    """The problem of a role that no column plays; columns that are taken are not suggested."""
    free = [column for column in columns if column not in taken]
    candidates = [c for spelling in ROLES[role].spellings for c in [nearest(spelling, free)] if c]
    remedy = (
        f"name it with --columns {role}=COLUMN (columns={{{role!r}: COLUMN}}); "
        f"the columns are {', '.join(map(repr, columns)) or 'none'}"
    )
    if any(column[:1].isdigit() for column in columns):
        remedy += "; the first line of a file must name the columns"
    return Problem(
        source,
        f"no column holds {role} ({ROLES[role].meaning})" + (candidates[0] if candidates else ""),
        remedy=remedy,
    )


def recognise(role: Role, columns: Sequence[str], taken: set[str], source: str) -> str:
    """Return the column that plays a role by its name; empty if there is none."""
    found = [c for c in columns if c not in taken and plain(c) in role.spellings]
    exact = [c for c in found if c == role.name]
    if exact:
        return exact[0]
    if len(found) > 1:
        raise InputError(
            Problem(
                source,
                f"{' and '.join(map(repr, found))} could each hold {role.name} ({role.meaning})",
                remedy=f"choose with --columns {role.name}={found[0]} "
                f"(columns={{{role.name!r}: {found[0]!r}}})",
            )
        )
    return found[0] if found else ""
