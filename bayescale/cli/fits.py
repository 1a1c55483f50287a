"""Fits as commands read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.mixture import Mixture
    from bayescale.posterior import Posterior


def load_posterior(path: Path, law: str | None, needs: str, group: str | None = None) -> Posterior:
    """Read the fit of one law; `needs` says why a mixture of laws will not do."""
    from bayescale.storage import load

    return of_one_law(load(path, law, group), path, needs)


def of_one_law(found: Posterior | Mixture, path: Path, needs: str) -> Posterior:
    """Return what was read from a file, if it is the fit of one law."""
    from bayescale.posterior import Posterior

    if not isinstance(found, Posterior):
        raise InputError(
            Problem(str(path), "it is a mixture of laws", needs, "give a fit of one law")
        )
    return found
