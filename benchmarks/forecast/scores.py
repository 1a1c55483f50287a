"""Scores of forecasts of log loss: coverage, interval score, CRPS, and where the outcomes fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sets import Split

LEVEL = 0.9
NEAR = 0.5  # decades beyond the runs that are called near


@dataclass(frozen=True)
class Score:
    """Scores of one split; each of shape (runs,)."""

    split: Split
    inside: np.ndarray
    interval: np.ndarray
    crps: np.ndarray
    pit: np.ndarray


def score(split: Split, draws: np.ndarray) -> Score:
    """Score draws of log loss, shape (draws, runs), against what was observed.

    The interval score (Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and
    estimation, JASA 102, 359, equation 43) is the width of the interval, plus 2 / (1 - level) times
    how far an outcome lies outside.
    """
    observed = np.log(split.test.loss)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    outside = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
    ranked = np.sort(draws, axis=0)
    count = len(ranked)
    weight = (2 * np.arange(1, count + 1) - 1 - count)[:, None] / count**2
    crps = np.abs(draws - observed).mean(axis=0) - (weight * ranked).sum(axis=0)
    return Score(
        split=split,
        inside=(low <= observed) & (observed <= high),
        interval=high - low + 2 / (1 - LEVEL) * outside,
        crps=crps,
        pit=(draws < observed).mean(axis=0),
    )


def summary(scores: list[Score]) -> dict[str, float]:
    """The figures of a method: every split counts the same."""
    coverage = np.array([s.inside.mean() for s in scores])
    near = np.concatenate([s.inside[s.split.decades <= NEAR] for s in scores])
    far = np.concatenate([s.inside[s.split.decades > NEAR] for s in scores])
    return {
        "mean coverage": float(coverage.mean()),
        "splits covering 80% or more": float(np.mean(coverage >= 0.8)),
        "least coverage": float(coverage.min()),
        "interval score": float(np.exp(np.mean([np.log(s.interval.mean()) for s in scores]))),
        "CRPS": float(np.exp(np.mean([np.log(s.crps.mean()) for s in scores]))),
        "mean PIT": float(np.mean([s.pit.mean() for s in scores])),
        f"coverage to {NEAR} decades": float(near.mean()),
        "and beyond": float(far.mean()),
    }
