"""How quantities move as the prior, or the likelihood, is raised to a power; ArviZ does the work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayescale.arviz_tree import log_likelihood, log_prior
from bayescale.posterior import Posterior


def sensitivities(posterior: Posterior, draws: Sequence[np.ndarray]) -> list[tuple[float, float]]:
    """Return the power-scaling sensitivities of some quantities to the prior and to the likelihood.

    Parameters
    ----------
    posterior
        The fit.
    draws
        Draws of each quantity, of shape (chains, draws).

    Returns
    -------
    list of pairs
        For each quantity, the sensitivity to the prior and to the likelihood; NaN where some draws have
        no finite density.

    References
    ----------
    Kallioinen, Paananen, Bürkner and Vehtari 2024, Detecting and diagnosing prior and likelihood
    sensitivity with power-scaling, Statistics and Computing 34, 57,
    https://doi.org/10.1007/s11222-023-10366-5.
    """
    import arviz_base
    import arviz_stats

    densities = {
        "log_prior": log_prior(posterior),
        "log_likelihood": {"log_loss": log_likelihood(posterior)},
    }
    if not all(np.isfinite(v).all() for group in densities.values() for v in group.values()):
        return [(float("nan"), float("nan"))] * len(draws)
    tree = arviz_base.from_dict({"posterior": {"q": np.stack(draws, axis=-1)}, **densities})
    groups = ("prior", "likelihood")
    prior, data = (arviz_stats.psense(tree, group=group)["q"].to_numpy() for group in groups)
    return list(zip(prior.tolist(), data.tolist(), strict=True))
