"""Fits as commands read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescale.posterior import Posterior
    from bayescale.publications import Fit
    from bayescale.tables import Table


def open_fit(path: Path, law: str | None, group: str | None) -> Fit:
    """Read a fit, or take a published one by its key."""
    from bayescale.publications import published, published_fits
    from bayescale.runs.roles import nearest

    keys = published_fits()
    if not path.exists() and str(path) in keys:
        return published(str(path))
    if not path.exists() and (close := nearest(str(path), list(keys))) and not path.suffix:
        raise InputError(
            Problem(str(path), f"there is no such file, and no published fit of that name{close}",
                    remedy="name a file that  bayescale fit -o FIT.nc  wrote, or a published fit; "
                    "bayescale laws  lists them")
        )  # fmt: skip
    from bayescale.storage import load

    return load(path, law, group)


def beside(keys: list[str] | None, answer: Callable[[Fit], Any]) -> dict[str, Any]:
    """Return the answers of published fits, by their keys."""
    from bayescale.cli.options import parse_names
    from bayescale.publications import published

    return {key: answer(published(key)) for key in parse_names(keys)}


def as_json(answers: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of published fits as plain data; nothing if there are none."""
    found = {key: answer.to_json() for key, answer in answers.items()}
    return {"compare_to": found} if found else {}


def as_tables(own: Table, answers: dict[str, Any]) -> list[Table]:
    """Return the table of the user's own answer, and those of the published fits."""
    return [own, *(answer.table() for answer in answers.values())]


def load_posterior(path: Path, law: str | None, needs: str, group: str | None = None) -> Posterior:
    """Read the fit of one law; `needs` says why a mixture of laws will not do."""
    from bayescale.storage import load

    return of_one_law(load(path, law, group), path, needs)


def of_one_law(found: Fit, path: Path, needs: str) -> Posterior:
    """Return what was read from a file, if it is the fit of one law."""
    from bayescale.mixture import Mixture
    from bayescale.posterior import Posterior

    if not isinstance(found, Posterior):
        what = "a mixture of laws" if isinstance(found, Mixture) else "a published fit"
        raise InputError(Problem(str(path), f"it is {what}", needs, "give a fit of one law"))
    return found
