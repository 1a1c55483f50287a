"""Published fits: laws with the constants of a paper, in place of a fit of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from bayescale.diagnostics import Verdict
from bayescale.errors import InputError, Problem
from bayescale.laws import LAWS, Law, Published
from bayescale.mixture import Mixture
from bayescale.model import ModelSpec
from bayescale.noise import Gaussian
from bayescale.posterior import Posterior
from bayescale.runs import Runs
from bayescale.runs.roles import nearest


@dataclass(frozen=True, eq=False)
class PublishedFit:
    """A law with published constants: `bayescale.predict` and `bayescale.allocate` take it as a fit.

    Its answers are points: how its parameters vary together was not published, and standard errors of
    single parameters, whose correlations are above 0.99, say next to nothing about an answer. Nor is
    the scatter of runs known, or where its runs lay.

    Parameters
    ----------
    law
        The law: its parameters are arrays of shape (1, 1), as if of one chain with one draw.
    fit
        Key, source and values.
    """

    law: Law
    fit: Published

    @property
    def name(self) -> str:
        """Name of the law."""
        return self.law.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """Symbols of what the law is a law of."""
        return self.law.inputs

    @property
    def spec(self) -> ModelSpec:
        """The law as a model without drift; its noise is not known."""
        return ModelSpec(type(self.law), Gaussian)

    @cached_property
    def runs(self) -> Runs:
        """No runs."""
        return Runs(np.empty(0), {symbol: np.empty(0) for symbol in self.inputs})

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The source."""
        return {"source": self.fit.source}

    @property
    def parts(self) -> tuple[tuple[PublishedFit, float], ...]:
        """The law, alone."""
        return ((self, 1.0),)

    forecasting_parts = parts

    @property
    def forecast_model(self) -> str:
        """The law, in words."""
        return f"{self.law.name} law"

    @property
    def basis(self) -> str:
        """Where the law comes from, in words."""
        return f"as published ({self.fit.source})"

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """None."""
        return ()

    def require_sound(self, allow_failed: bool = False) -> None:
        """Nothing was sampled that could have failed."""

    def flat_law(self) -> Law:
        """Return the law with one axis, of one draw."""
        return jax.tree.map(np.ravel, self.law)

    def drift_path(self, points: Mapping[str, ArrayLike], seed: int = 0) -> float:
        """Return 0: the law is taken as it stands."""
        return 0.0


Fit = Posterior | Mixture | PublishedFit  # what `predict` and `allocate` take


def published(key: str) -> PublishedFit:
    """Return a published fit by its key, such as ``"hoffmann-2022"``; see ``bayescale laws``.

    Raises
    ------
    InputError
        There is no such fit.

    Examples
    --------
    >>> import bayescale
    >>> best = bayescale.allocate(published("hoffmann-2022"), C=5.76e23)
    >>> round(best.intervals["tokens_per_parameter"][0].median)
    59
    """
    found = published_fits()
    if key not in found:
        raise InputError(
            Problem("published", f"{key!r} is no published fit{nearest(str(key), list(found))}",
                    remedy=f"use one of {', '.join(found)}")
        )  # fmt: skip
    law, fit = found[key]
    values = {name: np.full((1, 1), value, dtype=np.float64) for name, value in fit.values.items()}
    return PublishedFit(law(**values), fit)


def published_fits() -> dict[str, tuple[type[Law], Published]]:
    """Return every published fit by its key, with its law."""
    return {fit.key: (law, fit) for law in LAWS.values() for fit in law.published}
