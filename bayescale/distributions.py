"""NumPyro distributions whose constants are numbers, not operations of the compiled program.

NumPyro's own truncated normal and Beta compute their normalising constants inside the program, at
every place where the density is used; with the constants worked out beforehand, a fit compiles in
about two thirds of the time.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro
from scipy.special import betaln, log_ndtr, ndtr

# ArviZ puts a lazy stand-in for numpyro into sys.modules, which loses submodules that are imported
# by their own name; as attributes they are complete.
dist: Any = numpyro.distributions
constraints: Any = dist.constraints


class TruncatedLogNormal(dist.Distribution):
    """A log-normal variable between two bounds; all four arguments are plain numbers."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    pytree_aux_fields: ClassVar = ("centre", "sd_log", "low", "high")

    def __init__(self, centre: float, sd_log: float, low: float, high: float):
        self.centre, self.sd_log, self.low, self.high = centre, sd_log, low, high
        super().__init__(batch_shape=(), event_shape=())

    @property
    def support(self) -> Any:
        """The interval between the bounds."""
        return constraints.interval(self.low, self.high)

    def _standard(self, value: float) -> float:
        return (math.log(value) - self.centre) / self.sd_log

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Return the log density."""
        low, high = self._standard(self.low), self._standard(self.high)
        # ln(F(high) - F(low)), from whichever tail keeps its digits
        ends = (low, high) if low < 0 else (-high, -low)
        log_mass = log_ndtr(ends[1]) + math.log1p(-math.exp(log_ndtr(ends[0]) - log_ndtr(ends[1])))
        constant = log_mass + math.log(self.sd_log) + 0.5 * math.log(2 * math.pi)
        log_value = jnp.log(value)
        return -0.5 * ((log_value - self.centre) / self.sd_log) ** 2 - log_value - constant

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draw by the inverse of the distribution function."""
        low, high = ndtr(self._standard(self.low)), ndtr(self._standard(self.high))
        mass = jax.random.uniform(key, sample_shape, minval=low, maxval=high)
        return jnp.exp(self.centre + self.sd_log * jax.scipy.special.ndtri(mass))


class ConstantBeta(dist.Distribution):
    """A Beta variable whose shapes are plain numbers."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.unit_interval
    pytree_aux_fields: ClassVar = ("a", "b")

    def __init__(self, a: float, b: float):
        self.a, self.b = a, b
        super().__init__(batch_shape=(), event_shape=())

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Return the log density."""
        kernel = (self.a - 1) * jnp.log(value) + (self.b - 1) * jnp.log1p(-value)
        return kernel - float(betaln(self.a, self.b))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draw with JAX's own generator of Beta variables."""
        return jax.random.beta(key, self.a, self.b, sample_shape)


class GammaSupport(type(constraints.greater_than(0.0))):  # type: ignore[misc]
    """Values above a lower bound, reached from the real line by ``bound + softplus(u)**3``.

    The cube root of a Gamma variable is close to normal (Wilson and Hilferty 1931, PNAS 17, 684),
    and so is that of a posterior in such a variable: the sampler moves in it with fewer rejections
    than in the logarithm, whose left tail is long.
    """


def _to_gamma_support(constraint: GammaSupport) -> Any:
    transforms = dist.transforms
    return transforms.ComposeTransform(
        [
            transforms.SoftplusTransform(),
            transforms.PowerTransform(3.0),
            transforms.AffineTransform(constraint.lower_bound, 1.0, domain=constraints.positive),
        ]
    )


dist.transforms.biject_to.register(GammaSupport)(_to_gamma_support)


class ShiftedGamma(dist.Distribution):
    """A plain number plus a Gamma variable whose shape and rate are plain numbers."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    pytree_aux_fields: ClassVar = ("shape_", "rate", "shift")

    def __init__(self, shape: float, rate: float, shift: float):
        self.shape_, self.rate, self.shift = shape, rate, shift
        super().__init__(batch_shape=(), event_shape=())

    @property
    def support(self) -> Any:
        """Values above the shift."""
        return GammaSupport(self.shift)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Return the log density."""
        excess = value - self.shift
        constant = self.shape_ * math.log(self.rate) - math.lgamma(self.shape_)
        return (self.shape_ - 1) * jnp.log(excess) - self.rate * excess + constant

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draw with JAX's own generator of Gamma variables."""
        return self.shift + jax.random.gamma(key, self.shape_, sample_shape) / self.rate


SHIFT = 8  # steps of the recurrence, after which the series below is exact to rounding
SERIES = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224)


def log_gamma_ratio(x: Any) -> Any:
    r"""The logarithm of Gamma(x + 1/2) / Gamma(x), for x of 1 or more.

    .. math:: \ln\frac{\Gamma(y+\frac12)}{\Gamma(y)} \sim \frac12\ln y - \frac{1}{8y}
              + \frac{1}{192y^3} - \frac{1}{640y^5} + \dots, \qquad
              \frac{\Gamma(x+\frac12)}{\Gamma(x)} = \frac{\Gamma(y+\frac12)}{\Gamma(y)}
              \prod_{j<8}\frac{x+j}{x+j+\frac12}, \quad y = x + 8

    Twice as fast to compile as two log-gamma functions with their derivatives, and without the
    cancellation between them.
    """
    y = x + SHIFT
    product = math.prod(x + j for j in range(SHIFT)) / math.prod(x + j + 0.5 for j in range(SHIFT))
    inverse = 1 / y
    square = inverse * inverse
    series = SERIES[-1]
    for coefficient in reversed(SERIES[:-1]):
        series = coefficient + square * series
    return 0.5 * jnp.log(y) + inverse * series + jnp.log(product)


class StudentT(dist.Distribution):
    """A Student-t variable whose degrees of freedom, 2 or more, are shared by all its elements.

    NumPyro's own works out the normalising constant for every element; here it is one number.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real
    pytree_data_fields: ClassVar = ("df", "loc", "scale")

    def __init__(self, df: Any, loc: Any, scale: Any):
        self.df, self.loc, self.scale = df, loc, scale
        super().__init__(batch_shape=jnp.broadcast_shapes(jnp.shape(loc), jnp.shape(scale)))

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Return the log density of each element."""
        z = (value - self.loc) / self.scale
        constant = log_gamma_ratio(self.df / 2) - 0.5 * jnp.log(jnp.pi * self.df)
        tail = 0.5 * (self.df + 1) * jnp.log1p(z * z / self.df)
        return constant - jnp.log(self.scale) - tail

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draw with JAX's own generator of Student-t variables."""
        shape = (*sample_shape, *self.batch_shape)
        return self.loc + self.scale * jax.random.t(key, self.df, shape)
