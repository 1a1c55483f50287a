"""How observed losses scatter about a law: distributions of log loss, with their own priors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.parameters import Coordinate, Parameter, Values, parameter, parameters
from bayescale.priors import LogNormal, ShiftedGamma

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

SCALE = Coordinate(
    "sigma", LogNormal(0.006, 0.8), r"\sigma", "scale of the scatter of log loss about the law"
)


class Noise(eqx.Module):
    """The scatter of log losses about the log of a law; its fields are its parameters.

    Coordinates and parameters of a noise model are the same.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    coordinates: ClassVar[tuple[Coordinate, ...]]

    @abstractmethod
    def distribution(self, log_loss: Any, relative_se: Any) -> Distribution:
        """Return the distribution of observed log losses.

        Parameters
        ----------
        log_loss
            Logarithm of the law's loss.
        relative_se
            Known standard error of each log loss; 0 where none is known.
        """

    @abstractmethod
    def scatter(self, generator: np.random.Generator, relative_se: Any) -> Values:
        """Draw from the same distribution about 0, in NumPy (no compilation).

        Parameters
        ----------
        generator
            NumPy's random generator.
        relative_se
            As in `distribution`; the fields and this broadcast to the shape of the result.
        """

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return the parameters, in order."""
        return parameters(cls)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any]) -> Noise:
        """Return the noise model with these values, taken from all coordinates of a model."""
        return cls(**{c.name: coordinates[c.name] for c in cls.coordinates})


def total_scale(sigma: Any, relative_se: Any) -> Any:
    """The scale of a log loss whose own standard error is known."""
    return jnp.sqrt(sigma**2 + relative_se**2)


class StudentT(Noise):
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
        Coordinate("nu", ShiftedGamma(2.0, 0.1, shift=2.0), r"\nu", "degrees of freedom"),
    )

    def distribution(self, log_loss: Any, relative_se: Any) -> Distribution:
        """Return the distribution of observed log losses."""
        from bayescale import distributions

        return distributions.StudentT(self.nu, log_loss, total_scale(self.sigma, relative_se))

    def scatter(self, generator: np.random.Generator, relative_se: Any) -> Values:
        """Draw the scatter of log losses about the law."""
        scale = np.hypot(self.sigma, relative_se)
        return scale * generator.standard_t(np.broadcast_to(self.nu, scale.shape))


class Gaussian(Noise):
    r"""Gaussian scatter of log loss.

    .. math:: \ln L_i \sim \mathrm{Normal}\left(\ln L(x_i),\ \sqrt{\sigma^2 + s_i^2}\right)

    s_i is the run's known standard error of log loss (0 if none). A few odd runs can move the answer
    far: on the 245 digitised Chinchilla runs, five of them do.
    """

    name: ClassVar = "gaussian"
    equation: ClassVar = r"\ln L_i \sim \mathrm{Normal}(\ln L(x_i), \sqrt{\sigma^2 + s_i^2})"
    sigma: Values = parameter(r"\sigma", "sd of the scatter of log loss")
    coordinates: ClassVar = (SCALE,)

    def distribution(self, log_loss: Any, relative_se: Any) -> Distribution:
        """Return the distribution of observed log losses."""
        import numpyro

        dist = numpyro.distributions

        return dist.Normal(log_loss, total_scale(self.sigma, relative_se))

    def scatter(self, generator: np.random.Generator, relative_se: Any) -> Values:
        """Draw the scatter of log losses about the law."""
        scale = np.hypot(self.sigma, relative_se)
        return scale * generator.standard_normal(scale.shape)


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

    def distribution(self, log_loss: Any, relative_se: Any) -> Distribution:
        """Return the distribution of observed log losses."""
        import numpyro

        dist = numpyro.distributions

        return dist.Laplace(log_loss, total_scale(self.sigma, relative_se))

    def scatter(self, generator: np.random.Generator, relative_se: Any) -> Values:
        """Draw the scatter of log losses about the law."""
        scale = np.hypot(self.sigma, relative_se)
        return scale * generator.laplace(size=scale.shape)


NOISES: dict[str, type[Noise]] = {noise.name: noise for noise in (StudentT, Gaussian, Laplace)}


def get_noise(noise: Any) -> type[Noise]:
    """Return a noise model's class from its name, or from the class itself.

    Raises
    ------
    InputError
        There is no such noise model.
    """
    if isinstance(noise, type) and issubclass(noise, Noise):
        return noise
    if noise in NOISES:
        return NOISES[noise]
    raise InputError(
        Problem(
            "noise", f"{noise!r} is not a noise model", remedy=f"use one of {', '.join(NOISES)}"
        )
    )
