"""What runs would leave of an answer's uncertainty, without taking the answer as linear: two checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from bayescale.contraction import NORMAL_WIDTH, Scale, moved
from bayescale.designing.beliefs import Beliefs
from bayescale.designing.targets import Target
from bayescale.errors import InputError, Problem
from bayescale.mixture import law_points, pooled
from bayescale.new_runs import new_run_log_densities, new_run_scatter
from bayescale.posterior import Posterior
from bayescale.runs import Runs
from bayescale.sweep.many import fit_many
from bayescale.units import FLOPS_PER_PARAMETER_TOKEN

Floats = NDArray[np.float64]

OUTCOMES = 200  # simulated, of which each reweights all draws
ENOUGH = 30.0  # effective draws in the middle of the outcomes, below which reweighting says nothing
WIDE = 0.9  # of the intervals of refits, whose width gives an sd


@dataclass(frozen=True)
class Check:
    """The sd after the runs, as a check has it; on the scale of the target.

    Parameters
    ----------
    sd
        Root of the mean variance over simulated outcomes; NaN where it cannot be told.
    outcomes
        Number of outcomes that were simulated and could be used.
    ess
        Effective draws in the middle of the outcomes.
    """

    sd: float
    outcomes: int
    ess: float

    def to_json(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def reweighted(
    beliefs: Beliefs, chosen: Sequence[int], points: Mapping[str, Floats], seed: int
) -> Check:
    r"""Return the expected sd of the answer after runs, by reweighting draws over simulated outcomes.

    .. math:: y^{(j)} \sim p(y \mid \theta_j), \quad w_i \propto p(y^{(j)} \mid \theta_i), \quad i \ne j,
              \qquad s^2 = \frac1J \sum_j \mathrm{Var}_w(t)

    Parameters
    ----------
    beliefs
        Draws of the answer and of the candidates' log losses.
    chosen
        Which candidates are run.
    points
        Inputs of these.
    seed
        Seed of the outcomes.
    """
    parts, target = beliefs.parts, beliefs.values
    means = [mean[:, list(chosen)] for mean in beliefs.means]
    shares = [share for _, share in parts]
    there = [law_points(part, points) for part, _ in parts]
    m = pooled(means, shares)
    generator = np.random.default_rng([seed, 2])
    scatter = pooled(
        [
            new_run_scatter(part, at, 0.0, generator)
            for (part, _), at in zip(parts, there, strict=True)
        ],
        shares,
    )
    truths = np.arange(min(OUTCOMES, len(m))) * len(m) // min(OUTCOMES, len(m))
    variances, sizes = [], []
    for j in truths:
        y = m[j] + scatter[j]
        density = pooled(
            [
                new_run_log_densities(part, at, y, mean, 0.0)
                for (part, _), at, mean in zip(parts, there, means, strict=True)
            ],
            shares,
        ).sum(axis=1)
        density[j] = -np.inf  # a truth does not count among the draws that are to find it
        w = np.exp(density - density.max())
        w /= w.sum()
        mean = w @ target
        sizes.append(1 / (w @ w))
        # The variance about a mean of few effective draws is too small by one of them.
        variances.append(w @ (target - mean) ** 2 / max(1 - 1 / sizes[-1], 1e-9))
    ess = float(np.median(sizes))
    sd = float(np.sqrt(np.mean(variances))) if ess >= ENOUGH else float("nan")
    return Check(sd, len(truths), ess)


def refitted(
    posterior: Posterior,
    target: Target,
    scale: Scale,
    points: Mapping[str, Floats],
    factor: float,
    count: int,
    seed: int,
) -> Check:
    """Return the mean sd of the target in fits to the runs that are there with simulated new ones.

    Of the law alone, without drift. The sd is that of the normal with the same central 90%.

    Parameters
    ----------
    posterior
        The fit of one law.
    target, scale
        What is asked, and the scale of its sd.
    points
        Inputs of the new runs.
    factor
        k of C = k N D.
    count
        Number of outcomes, each fitted.
    seed
        Seed of outcomes and fits.

    Raises
    ------
    InputError
        No fit gave an answer.
    """
    sets = augmented(posterior, points, count, seed)
    spec = posterior.spec
    many = fit_many(
        sets, law=spec.law, noise=spec.noise, priors=dict(spec.priors), seed=seed, level=WIDE,
        allow=posterior.provenance.get("allowed", ()),
        points={s: [v] for s, v in target.at.items()} if target.kind == "loss" else None,
        flops=[target.at["C"] * FLOPS_PER_PARAMETER_TOKEN / factor] if target.kind == "optimum" else None,
    )  # fmt: skip
    column = target.name if target.kind == "parameter" else f"{target.name}_1"
    ends = np.array([many.table[f"{column}_{end}"].to_numpy() for end in ("lower", "upper")])
    ends = ends[:, np.isfinite(ends).all(axis=0)]
    if not ends.size:
        reasons = {str(r) for r in many.table["reason"].to_pylist()}
        raise InputError(
            Problem("refits", f"none of {count} could be fitted ({'; '.join(sorted(reasons))})",
                    remedy="leave --refits out, or allow more runs with --runs")
        )  # fmt: skip
    sds = np.ptp(moved(scale)(ends), axis=0) / NORMAL_WIDTH
    return Check(float(np.sqrt(np.mean(sds**2))), ends.shape[1], float("nan"))


def augmented(
    posterior: Posterior, points: Mapping[str, Floats], count: int, seed: int
) -> dict[str, Runs]:
    """Return the fit's runs together with simulated new ones, by the names of the outcomes."""
    from bayescale.simulation import simulate

    simulated = simulate(posterior, points, sets=count, seed=seed, allow_failed=True)
    own, inputs = posterior.runs, posterior.spec.law.inputs
    zeros = np.zeros(simulated.loss.shape[1])
    se = None if own.loss_se is None else np.append(own.loss_se, zeros)
    return {
        f"outcome {i}": Runs(
            loss=np.append(own.loss, loss),
            inputs={s: np.append(own[s], simulated.points[s]) for s in inputs},
            loss_se=se,
            loss_unit=own.loss_unit,
            response=own.response,
            source=f"outcome {i}",
        )
        for i, loss in enumerate(simulated.loss)
    }
