"""Scatter of counts: how many of a number of items are wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from bayescale.noise.base import Noise
from bayescale.noise.symmetric import log_gamma
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal
from bayescale.units import LEAST_WRONG

LEAST, MOST = 1e-9, 1 - 1e-9  # error rates that a law may have, as a probability


class BetaBinomial(Noise):
    r"""Counts of wrong items, scattered more than independent items would be.

    .. math:: w_i \sim \mathrm{BetaBinomial}\left(n_i,\ \tfrac{p_i}{\rho'},\ \tfrac{1 - p_i}{\rho'}\right),
              \qquad p_i = L(x_i), \quad \rho' = \frac{\rho}{1 - \rho}

    n_i is the number of items of a row, w_i how many are wrong, L the error rate of the law, and rho the
    correlation of two items of a row: the variance of the count is n p (1 - p) (1 + (n - 1) rho), that
    of a binomial where rho is 0. Of pass@k from c correct samples of n, the rows must be the raw
    counts: shares at several k from the same samples are not independent.
    """

    name: ClassVar = "beta-binomial"
    equation: ClassVar = (
        r"w_i \sim \mathrm{BetaBinomial}(n_i, L(x_i) / \rho', (1 - L(x_i)) / \rho')"
    )
    counts: ClassVar = True
    rho: Values = parameter(r"\rho", "correlation of two items of a row")
    coordinates: ClassVar = (
        Coordinate(
            "rho",
            LogNormal(0.003, 1.5, low=1e-7, high=0.5),
            r"\rho",
            "correlation of two items of a row",
        ),
    )

    def likelihood(self, log_loss: Any, log_mean: Any, known: Any, below: Any = 0.0) -> Any:
        """Return the log probability of each count; `known` is the number of items."""
        p = jnp.clip(jnp.exp(log_mean), LEAST, MOST)
        size = (1 - self.rho) / self.rho
        wrong = known * jnp.exp(log_loss)
        right = known - wrong
        return (
            log_gamma_of(known + 1)
            - log_gamma_of(wrong + 1)
            - log_gamma_of(right + 1)
            + log_rising(p * size, wrong)
            + log_rising((1 - p) * size, right)
            - log_rising(size, known)
        )

    def observed(
        self, generator: np.random.Generator, log_mean: Any, known: Any, below: Any = 0.0
    ) -> Values:
        """Draw log error rates of rows with `known` items."""
        p = np.clip(np.exp(log_mean), LEAST, MOST)
        size = (1 - np.asarray(self.rho)) / np.asarray(self.rho)
        share = generator.beta(np.maximum(p * size, 1e-12), np.maximum((1 - p) * size, 1e-12))
        items = np.maximum(np.asarray(known), 1).astype(np.int64)
        return np.log(np.maximum(generator.binomial(items, share) / items, LEAST_WRONG))

    def log_density(self, residual: Any, relative_se: Any, below: Any = 0.0) -> Any:
        """Counts have no density of residuals; see `likelihood`."""
        raise TypeError("beta-binomial noise is of counts, not of residuals")

    def scatter(self, generator: np.random.Generator, relative_se: Any, below: Any = 0.0) -> Values:
        """Counts do not scatter about a law as residuals do; see `observed`."""
        raise TypeError("beta-binomial noise is of counts, not of residuals")

    def core(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Counts have no scale of residuals."""
        raise TypeError("beta-binomial noise is of counts, not of residuals")


def log_gamma_of(x: Any) -> Any:
    """The logarithm of Gamma(x) for x above 0, where `log_gamma` is for 1 or more."""
    return log_gamma(x + 1) - jnp.log(x)


def log_rising(a: Any, count: Any) -> Any:
    r"""The logarithm of Gamma(a + count) / Gamma(a), for a above 0 and a count of 0 or more."""
    return log_gamma_of(a + count) - log_gamma_of(a)
