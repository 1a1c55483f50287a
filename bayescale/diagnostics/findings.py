"""Can the runs answer at all: what a posterior and a design say beside the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayescale.contraction import Contraction
from bayescale.diagnostics.chains import diagnose_draws
from bayescale.diagnostics.verdicts import Diagnostics, Severity, Verdict, joined
from bayescale.effects import Effects
from bayescale.misfit import FALSE_ALARMS, Misfit
from bayescale.model import ModelSpec
from bayescale.runs import Runs
from bayescale.runs.catalogue import is_size
from bayescale.uninformed import Uninformed

BOUNDARY = 0.02
TOGETHER = 0.2  # correlation of neighbours along a run from which it is told
_NO_FINDING = "It is no finding; bayescale identify says which two runs would inform it."


def diagnose(
    spec: ModelSpec,
    coordinates: Mapping[str, np.ndarray],
    stats: Mapping[str, np.ndarray],
    runs: Runs,
    contractions: Mapping[str, Contraction],
    directions: Sequence[Uninformed] = (),
    shape: Misfit | None = None,
) -> Diagnostics:
    """Judge a fit from its draws, its sampler statistics and its runs.

    Parameters
    ----------
    spec
        The model.
    coordinates, stats
        Draws of the coordinates and statistics of the sampler, axes (chains, draws).
    runs
        The runs that were fitted.
    contractions
        What the runs made of the prior of each coordinate and parameter.
    directions
        The combinations of the law's coordinates that are the prior.
    shape
        What is systematic in the residuals of a law of one variable.

    Returns
    -------
    Diagnostics
        Figures and verdicts.
    """
    return diagnose_draws(
        coordinates,
        stats,
        [
            *_prior_dominated(spec, contractions),
            *_undecided(directions),
            *_boundary(coordinates),
            *_missed(spec, shape),
            *design_verdicts(spec, runs),
        ],
    )


def _prior_dominated(spec: ModelSpec, contractions: Mapping[str, Contraction]) -> list[Verdict]:
    """Quantities whose posterior is hardly narrower than their prior, in one finding.

    Minor ones, such as the degrees of freedom of the scatter, are apart from the others.
    """
    minor = {c.name for c in spec.beliefs if c.minor}
    meanings = {p.name: p.meaning for p in (*spec.law.parameters(), *spec.noise.parameters())}
    meanings |= {c.name: c.meaning for c in spec.beliefs}
    named = {
        name: f"{name} ({meanings[name]})" if name in meanings else name
        for name, found in contractions.items()
        if found.is_prior
    }
    groups: tuple[tuple[list[str], Severity], ...] = (
        ([name for name in named if name not in minor], "warn"),
        ([name for name in named if name in minor], "note"),
    )
    verdicts = []
    for names, severity in groups:
        if not names:
            continue
        ratio = min(min(contractions[name].ratio for name in names), 1.0)
        verb, whom = ("is", "it to") if len(names) == 1 else ("are", "none of them to less than")
        said = (
            f"{joined([named[name] for name in names])} {verb} the prior: the runs narrowed {whom} "
            f"{ratio:.0%} of the prior's sd."
        )
        advice = _NO_FINDING if severity == "warn" else "Only many more runs would tell."
        verdicts.append(Verdict("prior-dominated", severity, said, advice))
    return verdicts


def _undecided(directions: Sequence[Uninformed]) -> list[Verdict]:
    """Parameters that cannot be told apart, though each of them may be narrower than its prior."""
    groups = [joined(d.parameters) for d in directions if len(d.parameters) > 1]
    if not groups:
        return []
    ratio = min(*(d.ratio for d in directions if len(d.parameters) > 1), 1.0)
    said = (
        f"{groups[0]} cannot be told apart{''.join(f', nor can {g}' for g in groups[1:])}: the runs "
        f"narrowed a combination of them to no less than {ratio:.0%} of the prior's sd."
    )
    return [Verdict("prior-dominated", "warn", said, _NO_FINDING)]


def _boundary(coordinates: Mapping[str, np.ndarray]) -> list[Verdict]:
    if "share_E" not in coordinates or not np.quantile(coordinates["share_E"], 0.05) <= BOUNDARY:
        return []
    return [
        Verdict(
            "E-at-boundary",
            "warn",
            "E, the irreducible loss, cannot be told from 0.",
            "Forecasts far beyond the data depend on the prior of E; add runs with lower loss.",
        )
    ]


def _missed(spec: ModelSpec, shape: Misfit | None) -> list[Verdict]:
    if shape is None:
        return []
    if spec.effects is not None:
        return _together_along_runs(spec.effects, shape)
    side = "above" if shape.mean > 0 else "below"
    symbol = spec.law.inputs[0]
    return [
        Verdict(
            "misses-the-shape",
            "warn",
            f"residuals go together along {symbol}: {shape.count} runs in sequence, from {symbol} = "
            f"{shape.low_x:.3g} to {shape.high_x:.3g}, lie {side} the law, by {abs(shape.mean):.2%} on "
            f"average. A law that is right looks so in fewer than 1 of {1 / FALSE_ALARMS:.0f} fits.",
            "Its forecasts are not to be trusted: fit a law of another shape, such as one with breaks "
            "(--law bnsl-1, --law bnsl-2).",
        )
    ]


def _together_along_runs(effects: Effects, shape: Misfit) -> list[Verdict]:
    correlation = 1 - shape.ratio / 2
    if correlation < TOGETHER:
        return []
    return [
        Verdict(
            "correlated-rows",
            "warn",
            f"rows that follow each other in one {effects.label} go together beyond their shared shift: "
            f"the correlation of their residuals is {correlation:.2f}. Taken as independent, they make "
            "intervals too narrow.",
            f"Let scatter be correlated along the run: --effects {effects.label} --along D "
            f'(effects=Effects("{effects.label}", along="D"); or along another input that grows in it).',
        )
    ]


def design_verdicts(spec: ModelSpec, runs: Runs) -> list[Verdict]:
    """Return what the design of the runs says about a fit, before any sampling."""
    verdicts = []
    for symbol in filter(is_size, spec.law.inputs):
        values = runs[symbol]
        scales, decades = len(set(values.tolist())), float(np.log10(values.max() / values.min()))
        if scales < 4 or decades < 1:
            verdicts.append(
                Verdict(
                    "few-scales",
                    "warn",
                    f"{symbol} has {scales} distinct values over {decades:.2f} decades, little to see an "
                    "exponent with.",
                    f"Add runs with other {symbol}.",
                )
            )
    if spec.effects is not None:
        groups, parameters = len(spec.effects.groups(runs)[0]), len(spec.law.parameters())
        if groups <= parameters:
            verdicts.append(
                Verdict(
                    "few-groups",
                    "warn",
                    f"the {len(runs)} rows are {groups} groups by {spec.effects.label}, for "
                    f"{parameters} parameters of the law: what differs between groups is hardly told "
                    "from their shifts.",
                    "Add groups rather than rows.",
                )
            )
    if {"N", "D"} <= set(spec.law.inputs) and not any(np.ptp(runs[s]) == 0 for s in ("N", "D")):
        correlation = float(np.corrcoef(np.log(runs.N), np.log(runs.D))[0, 1])
        if abs(correlation) > 0.97:
            verdicts.append(
                Verdict(
                    "collinear-design",
                    "warn",
                    f"log N and log D have correlation {correlation:.3f}: the design hardly tells "
                    "their effects apart.",
                    "Add runs with other tokens per parameter before trusting the allocation.",
                )
            )
    return verdicts
