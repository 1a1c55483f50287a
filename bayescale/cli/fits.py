"""Fits as commands read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.posterior import Posterior


def load_posterior(path: Path, law: str | None, needs: str, group: str | None = None) -> Posterior:
    """Return the fit of one law; `needs` says why a mixture of laws will not do."""
    from bayescale.mixture import Mixture
    from bayescale.storage import load

    found = load(path, law, group)
    if isinstance(found, Mixture):
        raise InputError(
            Problem(str(path), "it is a mixture of laws", needs, "give a fit of one law")
        )
    return found
