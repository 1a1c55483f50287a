"""Can the draws be trusted, and can the runs answer at all? Verdicts as data, then as sentences."""

from bayescale.diagnostics.chains import (
    DIVERGENT_SHARE_FAILED,
    NO_MODE,
    RHAT_SHORT,
    Convergence,
    convergence,
    diagnose_draws,
    judge_chains,
    judge_weights,
)
from bayescale.diagnostics.findings import design_verdicts, diagnose
from bayescale.diagnostics.verdicts import Diagnostics, Verdict, joined, worst_of

__all__ = [
    "DIVERGENT_SHARE_FAILED",
    "NO_MODE",
    "RHAT_SHORT",
    "Convergence",
    "Diagnostics",
    "Verdict",
    "convergence",
    "design_verdicts",
    "diagnose",
    "diagnose_draws",
    "joined",
    "judge_chains",
    "judge_weights",
    "worst_of",
]
