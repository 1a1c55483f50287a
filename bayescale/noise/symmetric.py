"""Scatter that is as often above the law as below it: Student-t, with a trend, Gaussian, Laplace."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, stdtrit

from bayescale.noise.base import SCALE, Elliptical, Noise, total_variance
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import ShiftedGamma
from bayescale.priors import StudentT as StudentTPrior

ONE_SD = float(ndtr(1.0))  # mass of a normal below one sd
SERIES = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224)


def log_gamma_ratio(x: Any) -> Any:
    r"""The logarithm of Gamma(x + 1/2) / Gamma(x), for x of 1 or more.

    .. math:: \ln\frac{\Gamma(y+\frac12)}{\Gamma(y)} \sim \frac12\ln y - \frac{1}{8y}
              + \frac{1}{192y^3} - \frac{1}{640y^5} + \dots, \qquad
              \frac{\Gamma(x+\frac12)}{\Gamma(x)} = \frac{\Gamma(y+\frac12)}{\Gamma(y)}
              \prod_{j<8}\frac{x+j}{x+j+\frac12}, \quad y = x + 8

    Faster to compile than two log-gamma functions with their derivatives, and without the
    cancellation between them. The products are taken in pairs, (x + j)(x + 7 - j) = x^2 + 7x +
    j (7 - j), which halves the operations.
    """
    y = x + 8
    above, below = x * (x + 7), x * (x + 8) + 3.75
    ratio = 1.0
    for pair in (0, 6, 10, 12):
        ratio = ratio * ((above + pair) / (below + pair))
    inverse = 1 / y
    square = inverse * inverse
    series = SERIES[-1]
    for coefficient in reversed(SERIES[:-1]):
        series = coefficient + square * series
    return 0.5 * jnp.log(y * ratio * ratio) + inverse * series


STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def log_gamma(x: Any) -> Any:
    r"""The logarithm of Gamma(x), for x of 1 or more; faster to compile than JAX's, with derivatives.

    .. math:: \ln\Gamma(x) = \left(y - \tfrac12\right)\ln y - y + \tfrac12\ln 2\pi
              + \frac{1}{12y} - \frac{1}{360y^3} + \dots - \ln\prod_{j<8}(x + j), \quad y = x + 8
    """
    y, square = x + 8, x * (x + 7)  # (x + j) (x + 7 - j) = x^2 + 7x + j (7 - j)
    product = square * (square + 6) * ((square + 10) * (square + 12))
    inverse = 1 / y
    series = STIRLING[-1]
    for coefficient in reversed(STIRLING[:-1]):
        series = coefficient + inverse * inverse * series
    log_y, log_product = jnp.log(y), jnp.log(product)
    return (y - 0.5) * log_y - y + 0.5 * math.log(2 * math.pi) + inverse * series - log_product


class StudentT(Elliptical):
    r"""Student-t scatter of log loss; heavy tails keep a few odd runs from moving the answer.

    .. math:: \ln L_i \sim \mathrm{StudentT}\left(\nu,\ \ln L(x_i),\ \sqrt{\sigma^2 + s_i^2}\right)

    s_i is the run's known standard error of log loss (0 if none), nu the degrees of freedom.
    """

    name: ClassVar = "student-t"
    equation: ClassVar = r"\ln L_i \sim \mathrm{StudentT}(\nu, \ln L(x_i), \sqrt{\sigma^2 + s_i^2})"
    sigma: Values = parameter(r"\sigma", "scale of the scatter of log loss")
    nu: Values = parameter(r"\nu", "degrees of freedom; small means heavy tails")
    coordinates: ClassVar = (
        SCALE,
        Coordinate(
            "nu", ShiftedGamma(2.0, 0.1, shift=2.0), r"\nu", "degrees of freedom", minor=True
        ),
    )

    def log_density(self, residual: Any, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the log density of each residual."""
        variance = total_variance(self.sigma, relative_se)
        constant = log_gamma_ratio(self.nu / 2) - 0.5 * jnp.log(math.pi * self.nu)
        # Not log1p, which takes twice the time: what it adds is below the rounding of the sum.
        tail = jnp.log(1 + residual * residual / (self.nu * variance))
        return constant - 0.5 * jnp.log(variance) - 0.5 * (self.nu + 1) * tail

    def scatter(self, generator: np.random.Generator, relative_se: Any, below: Any = 0.0) -> Values:
        """Draw the scatter of log losses about the law."""
        scale = np.hypot(self.sigma, relative_se)
        return scale * generator.standard_t(np.broadcast_to(self.nu, scale.shape))

    def core(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the sd of the normal that has the same middle 68%."""
        return np.hypot(self.sigma, relative_se) * stdtrit(self.nu, ONE_SD)

    def variance(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the squared scale of each row."""
        return total_variance(self.sigma, relative_se)

    def joint_log_density(self, square: Any, log_det: Any, count: Any) -> Any:
        """Return the log density of the residuals of a group: a multivariate Student-t."""
        half, degrees = 0.5 * count, 0.5 * self.nu
        constant = (
            log_gamma(degrees + half) - log_gamma(degrees) - half * jnp.log(math.pi * self.nu)
        )
        return constant - 0.5 * log_det - (degrees + half) * jnp.log(1 + square / self.nu)

    def mixing(self, generator: np.random.Generator, count: int) -> Any:
        """Draw what the residuals of each group are multiplied by."""
        nu = np.broadcast_to(self.nu, np.broadcast_shapes(np.shape(self.nu), (count,)))
        return np.sqrt(nu / generator.chisquare(nu))


class StudentTTrend(Elliptical):
    r"""Student-t scatter of log loss whose scale changes with compute.

    .. math:: \ln L_i \sim \mathrm{StudentT}(\nu, \ln L(x_i), \sqrt{\sigma^2 e^{2 \gamma b_i} + s_i^2})

    b_i is the distance of the run below the largest one, in decades of compute, so sigma is the scale
    there and beyond; s_i is the run's known standard error of log loss (0 if none), nu the degrees of
    freedom. Small runs, often tuned least, scatter more in some studies; in others, large ones do.
    """

    name: ClassVar = "student-t-trend"
    equation: ClassVar = (
        r"\ln L_i \sim \mathrm{StudentT}(\nu, \ln L(x_i), \sqrt{\sigma^2 e^{2 \gamma b_i} + s_i^2})"
    )
    sigma: Values = parameter(r"\sigma", "scale of the scatter of log loss at the largest compute")
    nu: Values = parameter(r"\nu", "degrees of freedom; small means heavy tails")
    trend: Values = parameter(r"\gamma", "change of ln sigma for a decade less of compute")
    coordinates: ClassVar = (
        *StudentT.coordinates,
        Coordinate(
            "trend", StudentTPrior(4.0, scale=0.3), r"\gamma", "change of ln sigma a decade down"
        ),
    )

    def log_density(self, residual: Any, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the log density of each residual."""
        return self._there(below, jnp).log_density(residual, relative_se)

    def scatter(self, generator: np.random.Generator, relative_se: Any, below: Any = 0.0) -> Values:
        """Draw the scatter of log losses about the law."""
        return self._there(below, np).scatter(generator, relative_se)

    def core(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the sd of the normal that has the same middle 68%."""
        return self._there(below, np).core(relative_se)

    def variance(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the squared scale of each row."""
        return self._there(below, jnp).variance(relative_se)

    def joint_log_density(self, square: Any, log_det: Any, count: Any) -> Any:
        """Return the log density of the residuals of a group: a multivariate Student-t."""
        return StudentT(self.sigma, self.nu).joint_log_density(square, log_det, count)

    def mixing(self, generator: np.random.Generator, count: int) -> Any:
        """Draw what the residuals of each group are multiplied by."""
        return StudentT(self.sigma, self.nu).mixing(generator, count)

    def _there(self, below: Any, numpy: Any) -> StudentT:
        return StudentT(self.sigma * numpy.exp(self.trend * below), self.nu)


class Gaussian(Elliptical):
    r"""Gaussian scatter of log loss.

    .. math:: \ln L_i \sim \mathrm{Normal}\left(\ln L(x_i),\ \sqrt{\sigma^2 + s_i^2}\right)

    s_i is the run's known standard error of log loss (0 if none). A few odd runs can move the answer
    far: on the 245 digitised Chinchilla runs, five of them do.
    """

    name: ClassVar = "gaussian"
    equation: ClassVar = r"\ln L_i \sim \mathrm{Normal}(\ln L(x_i), \sqrt{\sigma^2 + s_i^2})"
    sigma: Values = parameter(r"\sigma", "sd of the scatter of log loss")
    coordinates: ClassVar = (SCALE,)

    def log_density(self, residual: Any, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the log density of each residual."""
        variance = total_variance(self.sigma, relative_se)
        return -0.5 * (residual * residual / variance + jnp.log(2 * math.pi * variance))

    def scatter(self, generator: np.random.Generator, relative_se: Any, below: Any = 0.0) -> Values:
        """Draw the scatter of log losses about the law."""
        scale = np.hypot(self.sigma, relative_se)
        return scale * generator.standard_normal(scale.shape)

    def core(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the sd."""
        return np.hypot(self.sigma, relative_se)

    def variance(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the squared scale of each row."""
        return total_variance(self.sigma, relative_se)

    def joint_log_density(self, square: Any, log_det: Any, count: Any) -> Any:
        """Return the log density of the residuals of a group: a multivariate normal."""
        return -0.5 * (square + log_det + count * math.log(2 * math.pi))

    def mixing(self, generator: np.random.Generator, count: int) -> Any:
        """Return ones: a normal needs no mixing."""
        return np.ones(np.broadcast_shapes(np.shape(self.sigma), (count,)))


class Laplace(Noise):
    r"""Laplace (double-exponential) scatter of log loss; its maximum is least absolute deviations.

    .. math:: \ln L_i \sim \mathrm{Laplace}\left(\ln L(x_i),\ \sqrt{\sigma^2 + s_i^2}\right)

    In effect the objective of the published Chinchilla fits, whose Huber threshold is far below the
    residuals.
    """

    name: ClassVar = "laplace"
    equation: ClassVar = r"\ln L_i \sim \mathrm{Laplace}(\ln L(x_i), \sqrt{\sigma^2 + s_i^2})"
    sigma: Values = parameter(r"\sigma", "mean absolute scatter of log loss")
    coordinates: ClassVar = (SCALE,)

    def log_density(self, residual: Any, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the log density of each residual."""
        variance = total_variance(self.sigma, relative_se)
        return -jnp.abs(residual) / jnp.sqrt(variance) - 0.5 * jnp.log(4 * variance)

    def scatter(self, generator: np.random.Generator, relative_se: Any, below: Any = 0.0) -> Values:
        """Draw the scatter of log losses about the law."""
        scale = np.hypot(self.sigma, relative_se)
        return scale * generator.laplace(size=scale.shape)

    def core(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the sd of the normal that has the same middle 68%."""
        return np.hypot(self.sigma, relative_se) * -math.log(2 * (1 - ONE_SD))
