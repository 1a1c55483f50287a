"""What a noise model is: a distribution of log losses about a law, with its own priors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from bayescale.parameters import Coordinate, Parameter, Values, parameters
from bayescale.priors import LogNormal

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
    counts: ClassVar[bool] = False  # whether it is of counts of items, not of losses

    def likelihood(self, log_loss: Any, log_mean: Any, known: Any, below: Any = 0.0) -> Any:
        """Return the log density of each observed log loss.

        Parameters
        ----------
        log_loss, log_mean
            Observed, and of the law with its drift.
        known
            Known standard error of each log loss; for noise of counts, the number of items.
        below
            Decades of compute from each run up to the largest one, 0 or more.
        """
        return self.log_density(log_loss - log_mean, known, below)

    def observed(
        self, generator: np.random.Generator, log_mean: Any, known: Any, below: Any = 0.0
    ) -> Values:
        """Draw log losses of runs, in NumPy; arguments as in `likelihood`."""
        return log_mean + self.scatter(generator, known, below)

    @abstractmethod
    def log_density(self, residual: Any, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the log density of each residual.

        Parameters
        ----------
        residual
            Observed log loss less the logarithm of the law's loss.
        relative_se
            Known standard error of each log loss; 0 where none is known.
        below
            Decades of compute from each run up to the largest one, 0 or more.
        """

    @abstractmethod
    def scatter(self, generator: np.random.Generator, relative_se: Any, below: Any = 0.0) -> Values:
        """Draw from the same distribution about 0, in NumPy (no compilation).

        Parameters
        ----------
        generator
            NumPy's random generator.
        relative_se, below
            As in `log_density`; the fields and these broadcast to the shape of the result.
        """

    @abstractmethod
    def core(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the sd of the normal that has the same middle 68% (NumPy): scatter without its tails.

        Arguments as in `scatter`.
        """

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return the parameters, in order."""
        return parameters(cls)

    @classmethod
    def from_coordinates(cls, coordinates: Mapping[str, Any]) -> Noise:
        """Return the noise model with these values, taken from all coordinates of a model."""
        return cls(**{c.name: coordinates[c.name] for c in cls.coordinates})


class Elliptical(Noise):
    """Noise whose rows can share a shift: their joint density depends on one quadratic form.

    The residuals r of the rows of a group have the joint scale matrix S, and the density falls with
    r' S^-1 r alone: the contours are ellipsoids.
    """

    @abstractmethod
    def variance(self, relative_se: Any, below: Any = 0.0) -> Any:
        """Return the squared scale of each row; arguments as in `log_density`."""

    @abstractmethod
    def joint_log_density(self, square: Any, log_det: Any, count: Any) -> Any:
        """Return the log density of the residuals of a group.

        Parameters
        ----------
        square
            r' S^-1 r.
        log_det
            The logarithm of the determinant of S.
        count
            Number of rows; 0 gives a log density of 0.
        """

    @abstractmethod
    def mixing(self, generator: np.random.Generator, count: int) -> Any:
        """Draw, in NumPy, what the normal residuals of each group are multiplied by.

        Shape (..., count), where the fields have shape (..., 1).
        """


def total_variance(sigma: Any, relative_se: Any) -> Any:
    """The squared scale of a log loss whose own standard error is known."""
    return sigma * sigma + relative_se * relative_se
