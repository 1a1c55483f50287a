"""Two recipes fitted together, so that what pairs of their runs share does not count as uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.fitting import fit
from bayescale.laws import Law
from bayescale.noise import Noise
from bayescale.posterior import Posterior
from bayescale.priors import Prior
from bayescale.speedups.pairs import LABEL, paired_runs
from bayescale.speedups.two_laws import two_laws

SAMPLER = (("chains", 4), ("draws", 1000), ("warmup", 200))  # and the least of each


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
