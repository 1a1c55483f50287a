"""Can the draws be trusted: what the statistics of the sampler, or of the weights, say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.convergence import statistics
from bayescale.diagnostics.verdicts import ORDER, Diagnostics, Severity, Verdict, worst_of

RHAT_LIMIT = 1.01
RHAT_FAILED = 1.05
# For chains of a few hundred draws: 8 half-chains with 400 effective draws together reach
# sqrt(1 + 8/400 x 31/7) = 1.04 by chance, once in 14,000 times, and there are 14 of them to a fit.
RHAT_SHORT = 1.05
SHORT_TRANSITIONS = 2000
ESS_PER_CHAIN = 100
ESS_PER_CHAIN_FAILED = 10
ENOUGH_WEIGHTED = 400  # effective draws of importance sampling
DIVERGENT_SHARE_FAILED = 0.01
ENERGY_WARN, ENERGY_FAILED = 0.3, 0.2
SATURATED_SHARE = 0.05

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
