"""Can the draws be trusted, and can the runs answer at all? Verdicts as data, then as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from bayescale.contraction import Contraction
from bayescale.convergence import statistics
from bayescale.effects import Effects
from bayescale.misfit import FALSE_ALARMS, Misfit
from bayescale.model import ModelSpec
from bayescale.runs import Runs
from bayescale.runs.catalogue import is_size
from bayescale.uninformed import Uninformed

Severity = Literal["note", "warn", "failed"]

RHAT_LIMIT = 1.01
RHAT_FAILED = 1.05
# For chains of a few hundred draws: 8 half-chains with 400 effective draws together reach
# sqrt(1 + 8/400 x 31/7) = 1.04 by chance, once in 14,000 times, and there are 14 of them to a fit.
RHAT_SHORT = 1.05
SHORT_TRANSITIONS = 2000
ESS_PER_CHAIN = 100
ESS_PER_CHAIN_FAILED = 10
TOGETHER = (
    0.2  # correlation of neighbours along a run from which intervals are said to be too narrow
)
ENOUGH_WEIGHTED = 400  # effective draws of importance sampling
DIVERGENT_SHARE_FAILED = 0.01
ENERGY_WARN, ENERGY_FAILED = 0.3, 0.2
SATURATED_SHARE = 0.05
BOUNDARY = 0.02


@dataclass(frozen=True)
class Verdict:
    """One finding: a code, how bad it is, what it says and what to do."""

    code: str
    severity: Severity
    sentence: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.code}: {self.sentence}" + (
            f" {self.advice}" if self.advice else ""
        )


@dataclass(frozen=True)
class Diagnostics:
    """What the sampler's statistics and the design say about a fit.

    Parameters
    ----------
    verdict
        ``"ok"``, ``"warn"`` or ``"failed"``: the worst of the verdicts.
    verdicts
        All findings, worst first.
    rhat_max
        Largest rank-normalised split R-hat of all coordinates; NaN where it does not exist.
    ess_bulk_min, ess_tail_min
        Smallest bulk and tail effective sample sizes.
    divergences
        Divergent transitions after warm-up, of all chains.
    steps_mean
        Mean leapfrog steps a draw.
    """

    verdict: Literal["ok", "warn", "failed"]
    verdicts: tuple[Verdict, ...]
    rhat_max: float
    ess_bulk_min: float
    ess_tail_min: float
    divergences: int
    steps_mean: float

    @property
    def codes(self) -> list[str]:
        """Codes of the verdicts that are warnings or failures."""
        return [v.code for v in self.verdicts if v.severity != "note"]

    def to_json(self) -> dict[str, Any]:
        """The diagnostics as plain data."""
        return asdict(self) | {"codes": self.codes}

    def __str__(self) -> str:
        head = (
            f"sampling {self.verdict}: R-hat at most {self.rhat_max:.3f}, ESS at least "
            f"{self.ess_bulk_min:.0f} (bulk) and {self.ess_tail_min:.0f} (tail), "
            f"{self.divergences} divergences"
        )
        return "\n".join([head, *(f"  {verdict}" for verdict in self.verdicts)])


@dataclass(frozen=True)
class Convergence:
    """Rank-normalised R-hat, and bulk and tail effective sample size, of each coordinate."""

    rhat: Mapping[str, float]
    ess_bulk: Mapping[str, float]
    ess_tail: Mapping[str, float]
    chains: int

    @property
    def rhat_max(self) -> float:
        """The largest R-hat; NaN if any does not exist."""
        return _worst(self.rhat, max)

    @property
    def ess_bulk_min(self) -> float:
        """The smallest bulk effective sample size; NaN if any does not exist."""
        return _worst(self.ess_bulk, min)

    @property
    def ess_tail_min(self) -> float:
        """The smallest tail effective sample size; NaN if any does not exist."""
        return _worst(self.ess_tail, min)

    @property
    def good(self) -> bool:
        """Whether every coordinate is within the limits."""
        enough = ESS_PER_CHAIN * self.chains
        return (
            self.rhat_max <= RHAT_LIMIT
            and self.ess_bulk_min >= enough
            and self.ess_tail_min >= enough
        )


def convergence(coordinates: Mapping[str, np.ndarray]) -> Convergence:
    """Return how well the chains mix, from draws with axes (chains, draws)."""
    names = list(coordinates)
    found = statistics(np.stack([np.asarray(coordinates[name], float) for name in names]))
    rhat, bulk, tail = (dict(zip(names, values.tolist(), strict=True)) for values in found)
    return Convergence(rhat, bulk, tail, chains=len(next(iter(coordinates.values()))))


ORDER = {"failed": 0, "warn": 1, "note": 2}


def worst_of(verdicts: Sequence[Verdict]) -> Literal["ok", "warn", "failed"]:
    """Return the worst of the verdicts; notes are no blemish."""
    severities = {v.severity for v in verdicts}
    if "failed" in severities:
        return "failed"
    return "warn" if "warn" in severities else "ok"


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


def diagnose_draws(
    coordinates: Mapping[str, np.ndarray],
    stats: Mapping[str, np.ndarray],
    others: Sequence[Verdict] = (),
) -> Diagnostics:
    """Judge draws and sampler statistics with axes (chains, draws), and add other verdicts."""
    mixing = convergence(coordinates)
    finite = all(np.isfinite(d).all() for d in (*coordinates.values(), stats["energy"]))
    verdicts = [
        *([] if finite else [_NOT_FINITE]),
        *_divergences(stats),
        *_mixing(mixing),
        *_energy(stats["energy"]),
        *_tree_depth(stats),
        *others,
    ]
    verdicts.sort(key=lambda v: ORDER[v.severity])
    return Diagnostics(
        verdict=worst_of(verdicts),
        verdicts=tuple(verdicts),
        rhat_max=mixing.rhat_max,
        ess_bulk_min=mixing.ess_bulk_min,
        ess_tail_min=mixing.ess_tail_min,
        divergences=int(stats["diverging"].sum()),
        steps_mean=float(stats["num_steps"].mean()),
    )


def judge_weights(k: float, ess: float, limit: float) -> list[Verdict]:
    """Return what Pareto k and the effective sample size say about importance sampling.

    Parameters
    ----------
    k, ess
        Of the weights.
    limit
        The largest k at which so many draws give a reliable answer.
    """
    verdicts = []
    if not k < limit:
        bad: Severity = "failed" if not k <= 1 else "warn"
        verdicts.append(
            Verdict(
                "pareto-k",
                bad,
                f"Pareto k is {k:.2f}, above {limit:.2f}: the proposal misses a tail of the posterior.",
                "Sample with --method nuts or auto.",
            )
        )
    if not ess >= ENOUGH_WEIGHTED:
        verdicts.append(
            Verdict(
                "ess",
                "warn" if ess >= ENOUGH_WEIGHTED / 10 else "failed",
                f"the effective sample size of the weights is {ess:.0f}, below {ENOUGH_WEIGHTED}.",
                "Sample with --method nuts or auto.",
            )
        )
    return verdicts


def judge_chains(mixing: Convergence, divergences: int, transitions: int) -> list[Verdict]:
    """Return what chains of a batch say: divergences, R-hat, effective sample sizes.

    Chains of a few hundred draws are held to `RHAT_SHORT`, and to half the effective size in the
    tails.
    """
    short = transitions < SHORT_TRANSITIONS
    limits = (RHAT_SHORT, ESS_PER_CHAIN / 2) if short else (RHAT_LIMIT, ESS_PER_CHAIN)
    return [*_divergent(divergences, transitions), *_mixing(mixing, *limits)]


NO_MODE = Verdict(
    "no-mode",
    "failed",
    "no search ended at a minimum of the negative log posterior density.",
    "Check the runs for extreme values, and the priors for what they exclude.",
)

_NOT_FINITE = Verdict(
    "not-finite",
    "failed",
    "some draws or energies are not finite.",
    "Check the runs for extreme values.",
)


def _worst(values: Mapping[str, float], choose: Any) -> float:
    """The worst value; NaN if any is NaN, since a diagnostic that does not exist is a failure."""
    return float("nan") if any(np.isnan(v) for v in values.values()) else choose(values.values())


def _divergences(stats: Mapping[str, np.ndarray]) -> list[Verdict]:
    return _divergent(int(stats["diverging"].sum()), stats["diverging"].size)


def _divergent(count: int, total: int) -> list[Verdict]:
    if not count:
        return []
    return [
        Verdict(
            "divergences",
            "failed" if count / total > DIVERGENT_SHARE_FAILED else "warn",
            f"{count} of {total} transitions diverged, so the draws may miss a part of the posterior.",
            "Fit a simpler law, or give narrower priors or more runs.",
        )
    ]


def _mixing(
    mixing: Convergence, rhat_limit: float = RHAT_LIMIT, tail_per_chain: float = ESS_PER_CHAIN
) -> list[Verdict]:
    verdicts = []
    worst = max(mixing.rhat, key=lambda n: np.nan_to_num(mixing.rhat[n], nan=np.inf))
    rhat = mixing.rhat[worst]
    if np.isnan(rhat):
        verdicts.append(
            Verdict(
                "rhat",
                "failed",
                f"R-hat of {worst} does not exist, so nothing shows that the chains agree.",
                "It needs two chains or more, and finite draws that move.",
            )
        )
    elif rhat > rhat_limit:
        verdicts.append(
            Verdict(
                "rhat",
                "warn" if rhat <= RHAT_FAILED else "failed",
                f"R-hat of {worst} is {rhat:.3f}, above {rhat_limit}: the chains disagree.",
                "Sample more draws; if it stays, the posterior has several modes.",
            )
        )
    limits = (
        ("ess-bulk", mixing.ess_bulk, ESS_PER_CHAIN * mixing.chains),
        ("ess-tail", mixing.ess_tail, tail_per_chain * mixing.chains),
    )
    for code, sizes, limit in limits:
        least = min(sizes, key=lambda n: np.nan_to_num(sizes[n], nan=-np.inf))
        if not sizes[least] >= limit:
            verdicts.append(
                Verdict(
                    code,
                    "warn" if sizes[least] >= ESS_PER_CHAIN_FAILED * mixing.chains else "failed",
                    f"the {code[4:]} effective sample size of {least} is {sizes[least]:.0f}, below "
                    f"{limit:.0f}.",
                    "Sample more draws (--draws).",
                )
            )
    return verdicts


def _energy(energy: np.ndarray) -> list[Verdict]:
    with np.errstate(divide="ignore", invalid="ignore"):
        bfmi = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)
    least = float(bfmi.min())
    if least >= ENERGY_WARN:
        return []
    return [
        Verdict(
            "energy",
            "warn" if least >= ENERGY_FAILED else "failed",
            f"the energy (E-BFMI {least:.2f}, below {ENERGY_WARN}) moves too slowly for the tails.",
            "Sample more draws, or give narrower priors.",
        )
    ]


def _tree_depth(stats: Mapping[str, np.ndarray]) -> list[Verdict]:
    share = float(stats["reached_max_treedepth"].mean(axis=1).max())
    if share <= SATURATED_SHARE:
        return []
    return [
        Verdict("tree-depth", "warn", f"{share:.0%} of a chain's trees stopped at the largest depth.",
                "The draws are right but few; sample more of them.")
    ]  # fmt: skip


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


_NO_FINDING = "It is no finding; bayescale identify says which two runs would inform it."


def joined(names: Sequence[str]) -> str:
    """Names as they stand in a sentence: ``A, B and alpha``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


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
