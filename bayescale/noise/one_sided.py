"""Scatter that lies above the law more often than below it: runs that were not tuned to their best."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc

from bayescale.noise.base import SCALE, Noise, total_variance
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import LogNormal

ROOT_HALF = math.sqrt(0.5)
LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
FAR = 8.0  # sd below 0 from which the tail of the normal is a continued fraction
TERMS = 16


def _convergent(terms: int) -> tuple[list[float], list[float]]:
    """Numerator and denominator of the continued fraction, over t, as polynomials in 1 / t^2."""
    above, under = np.ones(1), np.ones(1)
    for term in range(terms, 0, -1):
        above, under = np.polynomial.polynomial.polyadd(above, term * np.append(0, under)), above
    return above.tolist(), under.tolist()


ABOVE, UNDER = _convergent(TERMS)


def log_far_tail(x: Any) -> Any:
    r"""The logarithm of Phi(x) over exp(-x^2 / 2), for x below -FAR, where Phi itself is lost.

    .. math:: \frac{\Phi(-t)}{e^{-t^2/2}} = \frac{1}{\sqrt{2\pi}}\,
              \cfrac{1}{t + \cfrac{1}{t + \cfrac{2}{t + \cfrac{3}{t + \dots}}}}

    The fraction is cut off, and worked out as a ratio of polynomials: it compiles faster.
    """
    square = 1 / (x * x)
    ends = []
    for coefficients in (ABOVE, UNDER):
        value = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            value = coefficient + square * value
        ends.append(value)
    return jnp.log(ends[1] / ends[0] / -x) - LOG_ROOT_2_PI


class OneSided(Noise):
    r"""Normal scatter of log loss, and an excess that is never below 0: the law is that of tuned runs.

    .. math:: \ln L_i \sim \mathrm{Normal}(\ln L(x_i), \sqrt{\sigma^2 + s_i^2}) + \mathrm{Exponential}(\eta)

    eta is the mean of the excess, what a run loses to settings that were not tuned for it; s_i is the
    run's known standard error of log loss (0 if none). The stochastic frontier of Aigner, Lovell and
    Schmidt 1977 (Journal of Econometrics 6, 21-37) and of Meeusen and van den Broeck 1977 (International
    Economic Review 18, 435-444), with losses for costs. Losses below the law are normal scatter only, so
    a few odd low ones move it far; and where most of the large runs are undertuned, it still bends to
    them. Where no run has an excess, eta and the law's level are told apart by the skewness of the
    residuals alone, and their intervals are wide.
    """

    name: ClassVar = "one-sided"
    equation: ClassVar = (
        r"\ln L_i \sim \mathrm{Normal}(\ln L(x_i), \sqrt{\sigma^2 + s_i^2}) + "
        r"\mathrm{Exponential}(\eta)"
    )
    sigma: Values = parameter(r"\sigma", "sd of the scatter of log loss of tuned runs")
    excess: Values = parameter(r"\eta", "mean excess of log loss of runs that are not tuned")
    coordinates: ClassVar = (
        SCALE,
        Coordinate("excess", LogNormal(0.006, 1.2), r"\eta", "mean excess of log loss"),
    )

    def log_density(self, residual: Any, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the log density of each residual."""
        scale = jnp.sqrt(total_variance(self.sigma, relative_se))
        z, share = residual / scale, scale / self.excess
        x = z - share
        far = x < -FAR  # the scatter is most of it: the normal density, and a factor
        normal = log_far_tail(jnp.where(far, x, -FAR)) - 0.5 * z * z
        tail = jnp.log(0.5 * erfc(-ROOT_HALF * jnp.where(far, -FAR, x)))
        exponential = share * (0.5 * share - z) + tail
        return jnp.where(far, normal, exponential) - jnp.log(self.excess)

    def scatter(self, generator: np.random.Generator, relative_se: Any, below: Any = 0.0) -> Values:
        """Draw the scatter of log losses about the law."""
        scale = np.hypot(self.sigma, relative_se)
        shape = np.broadcast_shapes(np.shape(scale), np.shape(self.excess))
        excess = self.excess * generator.standard_exponential(shape)
        return scale * generator.standard_normal(shape) + excess

    def core(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the sd of tuned runs."""
        return np.hypot(self.sigma, relative_se)
