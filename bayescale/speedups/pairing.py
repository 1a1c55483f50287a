"""Two recipes fitted together, so that what pairs of their runs share does not count as uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.fitting import fit
from bayescale.laws import Law
from bayescale.laws.base import Inputs
from bayescale.noise import Noise
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.posterior import Posterior
from bayescale.priors import Prior, Reference
from bayescale.runs import Runs
from bayescale.tables import number

LABEL, RECIPE = "pair", "recipe"
FIRST, SECOND = 1.0, 1.0 + 1e-6  # of the recipe: so near that it is no size, which scales an input
LEAST_PAIRS = 3


class TwoLaws(Law):
    """Two laws at once, each of the rows of its recipe; `two_laws` makes the class.

    The parameters and coordinates of the first are those of its law with ``A_`` before the name, those
    of the second with ``B_``.
    """

    of: ClassVar[tuple[type[Law], type[Law]]]
    own: ClassVar[tuple[tuple[Coordinate, ...], tuple[Coordinate, ...]]]

    def recipe(self, i: int) -> Law:
        """Return the law of the first (0) or second (1) recipe."""
        names = [p.name for p in self.of[i].parameters()]
        return self.of[i](**{name: getattr(self, f"{'AB'[i]}_{name}") for name in names})

    def loss(self, x: Inputs) -> Values:
        """Return the loss at the law's inputs, by the law of ``x["recipe"]``."""
        first, second = (self.recipe(i).loss(x) for i in (0, 1))
        return jnp.where(x[RECIPE] > 0.5 * (FIRST + SECOND), second, first)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any], reference: Reference) -> Law:
        """Return the laws, each by its own coordinates."""
        found: dict[str, Any] = {}
        for side, law, own in zip("AB", cls.of, cls.own, strict=True):
            mine = {c.name: coordinates[f"{side}_{c.name}"] for c in own}
            made = law.from_coordinates(mine, reference)
            found |= {f"{side}_{p.name}": getattr(made, p.name) for p in law.parameters()}
        return cls(**found)

    def to_coordinates(self, reference: Reference) -> dict[str, Any]:
        """Return the coordinates of both."""
        return {
            f"{side}_{name}": value
            for i, side in enumerate("AB")
            for name, value in self.recipe(i).to_coordinates(reference).items()
        }


@lru_cache(maxsize=32)
def two_laws(
    first: type[Law],
    second: type[Law],
    priors: tuple[tuple[tuple[str, Prior], ...], tuple[tuple[str, Prior], ...]] = ((), ()),
) -> type[Law]:
    """Return the law of two recipes at once; their inputs are the same.

    Parameters
    ----------
    first, second
        Their laws.
    priors
        Of each, in place of those of the law.
    """
    laws = (first, second)
    own = tuple(
        tuple(replace(c, prior=dict(given).get(c.name, c.prior)) for c in law.coordinates)
        for law, given in zip(laws, priors, strict=True)
    )
    sides = list(zip("AB", laws, own, strict=True))
    fields = {
        f"{side}_{p.name}": parameter(f"{p.symbol}^{side}", f"{p.meaning}, of {side}", p.unit)
        for side, law, _ in sides
        for p in law.parameters()
    }
    name = f"{first.name} and {second.name}"
    body = {
        "__module__": __name__,
        "__qualname__": "TwoLaws",
        "__doc__": TwoLaws.__doc__,
        "__annotations__": dict.fromkeys(fields, Values),
        **fields,
        "of": laws,
        "own": own,
        "name": name,
        "title": f"{name} laws of two recipes",
        "equation": rf"L_A: {first.equation}, \quad L_B: {second.equation}",
        "source": f"{first.source}; {second.source}",
        "inputs": (*first.inputs, RECIPE),
        "falls_in": (),
        "extremes": tuple(dict.fromkeys((*first.extremes, *second.extremes))),
        "searches": max(first.searches, second.searches),
        "coordinates": tuple(
            replace(c, name=f"{side}_{c.name}") for side, _, mine in sides for c in mine
        ),
    }
    kind: Any = type(TwoLaws)
    return kind("TwoLaws", (TwoLaws,), body)


@dataclass(frozen=True)
class Together:
    """Two recipes fitted together.

    Parameters
    ----------
    posterior
        Of both laws; its parameters start with ``A_`` and ``B_``, and `omega` is the scale of the shift
        that the two runs of a pair share.
    pairs
        Number of pairs.
    """

    posterior: Posterior
    pairs: int

    def laws(self) -> tuple[Law, Law]:
        """Return the laws of both recipes, every field of shape (draws,); draws go together."""
        flat: Any = self.posterior.flat_law()
        return flat.recipe(0), flat.recipe(1)


def fit_together(A: Posterior, B: Posterior, seed: int = 0) -> Together:
    r"""Fit two recipes at once, the runs of a pair sharing a shift of log loss.

    .. math:: \ln L_{A,j} = \ln f_A(x_j) + u_j + \epsilon_{A,j}, \qquad
              \ln L_{B,j} = \ln f_B(x_j) + u_j + \epsilon_{B,j}, \qquad
              u_j \sim \omega, \quad \epsilon \sim \sigma

    A seed, an order of the data, or a point at which both laws are off in the same way, shift both runs
    of a pair, and leave their difference alone. The scale omega is inferred beside that of the rest of
    the scatter, which is the same for both recipes, so pairs that share nothing cost little. The shifts
    are integrated out (`bayescale.effects.Effects`). Runs without a partner are fitted with the others.

    Parameters
    ----------
    A, B
        Fits of one law each, of the same inputs and with the same noise; their priors and sampler
        settings are kept.
    seed
        Seed of the sampler.

    Raises
    ------
    InputError
        The fits do not go together, or there are no pairs.
    """
    _check(A, B)
    runs, pairs = paired_runs(A.runs, B.runs, A.inputs)
    law_priors, noise_priors = zip(*(_priors(one) for one in (A, B)), strict=True)
    if noise_priors[0] != noise_priors[1]:
        raise InputError(
            Problem("paired", "A and B have different priors of the noise",
                    "the two are fitted together, with one noise", "fit both with the same priors")
        )  # fmt: skip
    posterior = fit(
        runs,
        law=two_laws(A.spec.law, B.spec.law, tuple(law_priors)),
        noise=A.spec.noise,
        priors=dict(noise_priors[0]),
        drift="none",
        effects=LABEL,
        allow=sorted({*A.provenance["allowed"], *B.provenance["allowed"]} - {"one-row-groups"}),
        seed=seed,
        **{name: max(A.provenance.get(name, least), least) for name, least in SAMPLER},
    )
    return Together(posterior, pairs)


SAMPLER = (("chains", 4), ("draws", 1000), ("warmup", 200))


def paired_runs(A: Runs, B: Runs, inputs: tuple[str, ...]) -> tuple[Runs, int]:
    """Return the runs of both as one table, with a label of the pairs, and the number of these.

    A pair is a run of each with the same inputs (to six digits) and, if both tables have seeds, the same
    seed.

    Raises
    ------
    InputError
        There are too few pairs, or several runs that could be a partner.
    """
    seeds = "seed" in A.labels and "seed" in B.labels
    keys = []
    for name, runs in (("A", A), ("B", B)):
        found = pair_keys(runs, inputs, seeds)
        twice = next((key for key in found if found.count(key) > 1), None)
        if twice is not None:
            at = f"{found.count(twice)} runs at {', '.join(twice)}"
            raise InputError(
                Problem("paired", f"{name} has {at}",
                        "a run has one partner", "name a column that tells them apart: --columns "
                        "seed=COLUMN in both fits, or fit one run of each design")
            )  # fmt: skip
        keys.append(found)
    common = [key for key in keys[0] if key in set(keys[1])]
    if len(common) < LEAST_PAIRS:
        raise InputError(
            Problem("paired", f"A and B have {len(common)} runs of the same "
                    f"{', '.join(inputs)}{' and seed' if seeds else ''}",
                    f"pairs are told by these, and {LEAST_PAIRS} or more are needed",
                    "leave out --paired (paired=False): the two are then taken as independent")
        )  # fmt: skip
    number_of = {key: str(i) for i, key in enumerate(common)}
    both = [number_of.get(key, "") for found in keys for key in found]
    se = [runs.loss_se for runs in (A, B)]
    known = [np.zeros(len(r)) if s is None else s for r, s in zip((A, B), se, strict=True)]
    columns = {s: np.concatenate([A[s], B[s]]) for s in inputs}
    recipe = np.repeat([FIRST, SECOND], [len(A), len(B)])
    places = [f"{n}, {p}" for n, r in (("A", A), ("B", B)) for p in (r.places or range(len(r)))]
    return Runs(
        loss=np.concatenate([A.loss, B.loss]),
        inputs={**columns, RECIPE: recipe},
        loss_se=None if se == [None, None] else np.concatenate(known),
        labels={LABEL: np.asarray(both)},
        loss_unit=A.loss_unit,
        response=A.response,
        source="the runs of A and B",
        places=tuple(places),
    ), len(common)


def pair_keys(runs: Runs, inputs: tuple[str, ...], seeds: bool) -> list[tuple[str, ...]]:
    """Return what tells the partner of each run: its inputs as text, and its seed."""
    columns = [[f"{s} = {number(v)}" for v in runs[s].tolist()] for s in inputs]
    if seeds:
        columns.append([f"seed {label}" for label in runs.labels["seed"].tolist()])
    return list(zip(*columns, strict=True))


def common_designs(A: Runs, B: Runs, inputs: tuple[str, ...]) -> int:
    """Return how many designs both tables have."""
    return len({*pair_keys(A, inputs, False)} & {*pair_keys(B, inputs, False)})


def _check(A: Posterior, B: Posterior) -> None:
    for name, one in (("A", A), ("B", B)):
        if not isinstance(one, Posterior):
            raise InputError(
                Problem("paired", f"{name} is not the fit of one law to runs",
                        "pairs are fitted together anew", "give fits of one law, or leave it out")
            )  # fmt: skip
        if one.spec.effects is not None or one.spec.drift is not None:
            what = "a drift" if one.spec.effects is None else f"effects of {one.spec.effects.label}"
            raise InputError(
                Problem("paired", f"{name} was fitted with {what}",
                        "the runs of a pair share a shift, and there may be no other",
                        "fit it without, or leave out --paired (paired=False)")
            )  # fmt: skip
    if A.spec.noise is not B.spec.noise:
        raise InputError(
            Problem("paired", f"A has {A.spec.noise.name} noise and B {B.spec.noise.name}",
                    "the two are fitted together, with one noise", "fit both with the same noise")
        )  # fmt: skip
    if A.inputs != B.inputs:
        raise InputError(
            Problem("paired", f"A is a law of {', '.join(A.inputs)} and B of {', '.join(B.inputs)}",
                    "pairs are runs of the same inputs", "fit laws of the same inputs")
        )  # fmt: skip


def _priors(one: Posterior) -> tuple[tuple[tuple[str, Prior], ...], tuple[tuple[str, Prior], ...]]:
    """The user's priors of a fit: of its law, and of its noise."""
    noise: type[Noise] = one.spec.noise
    names = {c.name for c in noise.coordinates}
    of_noise = tuple((name, p) for name, p in one.spec.priors if name in names)
    return tuple((name, p) for name, p in one.spec.priors if name not in names), of_noise
