"""What the runs inform, of parameters and of answers, and which further runs would help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from bayescale.contraction import Contraction, moved, quantiles
from bayescale.errors import InputError, Problem
from bayescale.identifiability.answers import Answer, default_points, losses, optima
from bayescale.identifiability.directions import explained
from bayescale.identifiability.result import Identifiability, Kind, Quantity
from bayescale.identifiability.sensitivity import sensitivities
from bayescale.posterior import Posterior
from bayescale.prediction import checked_points, positive


def identify(
    posterior: Posterior,
    N: ArrayLike | None = None,
    D: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    C: ArrayLike | None = None,
    flops_per_parameter_token: float | None = None,
    seed: int = 0,
    allow_failed: bool = False,
) -> Identifiability:
    r"""Say what the runs inform, what is the prior still, and which two runs would help.

    .. math:: r = \frac{s_\mathrm{posterior}}{s_\mathrm{prior}}, \qquad
              \mathrm{contraction} = 1 - r^2, \qquad s = \frac{q_{0.95} - q_{0.05}}{3.29}

    s is the sd of the normal distribution with the same central 90%, on the logarithm or on the value,
    whichever makes the prior more symmetric. A quantity with r above 0.9 *is the prior*: the runs did
    not narrow it, and it is no finding. Beside it stands how much the posterior of it, on that scale,
    moves when the prior, or the likelihood, is raised to a power. Directions are combinations of the
    law's coordinates that are the prior, although each of these alone may not be.

    Answers are those of the law of the fit: the drift of forecasts, and a wider law, which `predict`
    adds, are left out, since no runs inform them far from the data. N and D/N at the optimum are
    judged even where `allocate` refuses to give them.

    Parameters
    ----------
    posterior
        The fit.
    N, D, x, points
        Where losses are asked, as for `bayescale.predict`. By default at 10 and 100 times the largest
        compute, at the runs' median D/N.
    C
        Budgets in FLOPs for which N and D/N at the optimum are asked, for a law of N and D. By default
        10 and 100 times the largest compute.
    flops_per_parameter_token
        k of C = k N D. By default 6, or what the FLOP column of the runs says.
    seed
        Seed of prior draws, and of the scatter of further runs.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Identifiability
        A `Quantity` for each coordinate, parameter and answer, and each uninformed `Direction`.

    Raises
    ------
    InputError
        A missing or non-positive input, or a budget for a law that is not one of N and D.
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Contraction: Schad, Betancourt and Vasishth 2021, Toward a principled Bayesian workflow in cognitive
    science, Psychological Methods 26, 103-126. Power scaling: Kallioinen, Paananen, Bürkner and Vehtari
    2024, Statistics and Computing 34, 57.

    Examples
    --------
    >>> import bayescale
    >>> posterior = bayescale.fit("byte-sweep", seed=0)
    >>> found = bayescale.identify(posterior, C=1e15)
    >>> found["alpha"].found.ratio < 0.5
    True
    """
    posterior.require_sound(allow_failed)
    inputs, runs = posterior.spec.law.inputs, posterior.runs
    where = default_points(runs, inputs)
    given = {"N": N, "D": D, "x": x}
    if points is not None:
        if any(value is not None for value in given.values()):
            raise InputError(
                Problem("points", "N, D or x is given beside them", remedy="give one or the other")
            )
        given = {symbol: points.get(symbol) for symbol in inputs}
    if any(value is not None for value in given.values()):
        where = checked_points(posterior, given)
    answers = losses(posterior, where, seed)
    answers += _allocations(posterior, C, flops_per_parameter_token, seed)
    coordinates = {c.name for c in posterior.spec.beliefs}
    known: dict[str, Any] = {**posterior.parameters, **posterior.derived, **posterior.coordinates}
    listed: list[tuple[str, Kind, Mapping[str, float], Contraction, Any]] = [
        (name, "coordinate" if name in coordinates else "parameter", {}, found, known[name])
        for name, found in posterior.contractions.items()
    ] + [
        (a.name, "answer", a.at, Contraction.of(a.draws, quantiles(a.prior)), a.draws)
        for a in answers
    ]
    # On the scale of the contraction: the measure depends on it, and heavy tails drown it.
    moves = sensitivities(posterior, [moved(found.scale)(draws) for *_, found, draws in listed])
    return Identifiability(
        quantities=tuple(
            Quantity(name, kind, at, found, *move, mark=_mark(posterior, name, kind, found))
            for (name, kind, at, found, _), move in zip(listed, moves, strict=True)
        ),
        directions=explained(posterior, seed),
        law=posterior.spec.law.name,
        n_runs=len(runs),
    )


def _mark(posterior: Posterior, name: str, kind: str, found: Contraction) -> str:
    if kind == "answer":
        return "prior" if found.is_prior else ""
    return posterior.mark(name)


def _allocations(
    posterior: Posterior, C: ArrayLike | None, flops_per_parameter_token: float | None, seed: int
) -> list[Answer]:
    """Optimal N and D/N for the budgets; none for a law that is not one of N and D."""
    law, runs = posterior.spec.law, posterior.runs
    if set(law.inputs) != {"N", "D"}:
        if C is None:
            return []
        raise InputError(
            Problem("C", f"the law {law.name!r} is one of {', '.join(law.inputs)}",
                    "an optimal split needs a law of N and D", "leave C (--flops) out")
        )  # fmt: skip
    factor = runs.flops_per_parameter_token
    if flops_per_parameter_token is not None:
        factor = positive("flops_per_parameter_token", flops_per_parameter_token).item()
    if C is None:
        far = default_points(runs, law.inputs)
        C = factor * far["N"] * far["D"]
    return optima(posterior, positive("C", C).ravel(), factor, seed)
