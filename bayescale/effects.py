"""Rows that share a shift of log loss: checkpoints of one run, runs of one lab, size or budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.noise import NOISES, Elliptical, Noise
from bayescale.ornstein_uhlenbeck import Steps, columns_of, drawn, innovations
from bayescale.parameters import Coordinate, Parameter
from bayescale.priors import LogNormal
from bayescale.runs import Runs
from bayescale.runs.catalogue import is_size
from bayescale.runs.sharing import sharing

Floats = NDArray[np.float64]
OMEGA, KAPPA, LENGTH = "omega", "kappa", "length"


@dataclass(frozen=True)
class Effects:
    r"""Rows that share the value of a label share a shift of log loss.

    .. math:: r_g = (\ln L_i - \ln L_\theta(x_i))_{i \in g} \sim \mathrm{StudentT}\left(\nu, 0,\
              \mathrm{diag}(\sigma_i^2 + s_i^2) + \omega^2 \mathbf{1}\mathbf{1}^\top\right)

    for every group g of rows; multivariate normal for Gaussian noise. The shifts are integrated out, by
    the formulas of Sherman and Morrison for the inverse and the determinant, so the model has one more
    coordinate, omega, however many groups there are. One row alone has the noise's own density with
    scale sqrt(sigma^2 + s^2 + omega^2). The tails belong to a group: an odd run is forgiven as a
    whole, one odd row of an ordinary run is not.

    The prior of omega, log-normal about the same value as that of sigma and wider, says that shifts and
    scatter are of one order: seeds alone shift a run by 0.0003 to 0.01.

    With `along`, what the rows of a group share is not one shift alone: part of it wanders along the
    group, as an Ornstein-Uhlenbeck process, and rows that lie close to each other go together.

    .. math:: S = \mathrm{diag}(\sigma_i^2 + s_i^2) + \omega^2 \mathbf{1}\mathbf{1}^\top + \kappa^2 R,
              \qquad R_{ij} = e^{-|t_i - t_j| / \ell}, \quad t = \log_{10} x

    x is the input that is named: tokens D, steps, or what else grows along a run; the law fails in the
    same way over the same factor of training, whatever its length, so t is its decades. Scatter sigma
    and known standard errors s are of each row alone. With kappa = 0 the model is that without `along`;
    rows need not be thinned. The prior of kappa is that of omega; that of the correlation length l, wide
    about 0.3 decades.

    Parameters
    ----------
    label
        A label of the runs (``run_id``, ``group``, ``seed``) or an input (``N``, ``D``, ``C``). A row
        whose label is blank is a group of its own.
    along
        An input, above 0, along which the rows of a group lie: ``D``, ``C``, ``step``, ``x``.

    References
    ----------
    Random intercepts: Laird and Ware 1982, Random-effects models for longitudinal data, Biometrics 38,
    963-974; with Student-t tails: Pinheiro, Liu and Wu 2001, Journal of Computational and Graphical
    Statistics 10, 249-276; with serial correlation and independent errors beside them: Diggle 1988, An
    approach to the analysis of repeated measurements, Biometrics 44, 959-971.

    Examples
    --------
    >>> Effects("run_id").parameters[0].meaning
    'scale of the shift of log loss that rows of one run_id share'
    >>> [p.name for p in Effects("run_id", along="D").parameters]
    ['omega', 'kappa', 'length']
    """

    label: str
    along: str | None = None

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Omega, and with `along` kappa and the correlation length, with their priors."""
        meaning = f"scale of the shift of log loss that rows of one {self.label} share"
        shift = Coordinate(OMEGA, LogNormal(0.006, 1.2), r"\omega", meaning)
        if self.along is None:
            return (shift,)
        meaning = f"scale of what wanders along {self.along} within one {self.label}"
        return (
            shift,
            Coordinate(KAPPA, LogNormal(0.006, 1.2), r"\kappa", meaning),
            Coordinate(
                LENGTH,
                LogNormal(0.3, 1.2, low=1e-3, high=100.0),
                r"\ell",
                "correlation length of what wanders",
                f"decades of {self.along}",
                minor=True,
            ),
        )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The coordinates, as tables declare them."""
        return tuple(Parameter(c.name, c.symbol, c.meaning, c.unit) for c in self.coordinates)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        return tuple(c.name for c in self.coordinates)

    def __str__(self) -> str:
        """Name the groups, and along what their scatter is correlated."""
        return self.label if self.along is None else f"{self.label}, correlated along {self.along}"

    def groups(self, runs: Runs) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """Return the name of each group, in the order of first rows, and the group of each row.

        Raises
        ------
        InputError
            The runs have no such label or input.
        """
        return sharing(runs, self.label, "effects", blank_alone=True)

    def columns(self, runs: Runs) -> Floats:
        """Return what programs see of who shares what: `apart`, with the groups and places of runs.

        Raises
        ------
        InputError
            The runs have no such label or input, or its values are not above 0.
        """
        _, group = self.groups(runs)
        return self._columns(group, self._places(runs))

    def apart(self, count: int) -> Floats:
        """Return the columns of rows that share nothing: the group, and with `along` order and place.

        Shape (count, 1) or (count, 3); see `bayescale.ornstein_uhlenbeck.columns_of`.
        """
        return self._columns(np.arange(count), np.zeros(count))

    def _columns(self, group: NDArray[np.intp], place: Floats) -> Floats:
        if self.along is None:
            return group[:, None].astype(np.float64)
        return columns_of(group, place)

    def _places(self, runs: Runs) -> Floats:
        """Decades of what the rows lie along; 0 if they lie along nothing."""
        if self.along is None:
            return np.zeros(len(runs))
        there = dict.fromkeys([*runs.inputs, *(["C"] if {"N", "D"} <= set(runs.inputs) else [])])
        if self.along not in there:
            raise InputError(
                Problem("along", f"the runs have no input {self.along!r} that the law knows",
                        "rows of a run are correlated along something that grows in the run",
                        f"use one of {', '.join(there)}")
            )  # fmt: skip
        values = runs[self.along]
        if not np.all(values > 0):
            raise InputError(
                Problem("along", f"{self.along} is {values.min():g} in one row",
                        "distances along a run are in decades", "leave the row out, or name what is "
                        "above 0 everywhere")
            )  # fmt: skip
        return np.log10(values)

    def lie_along(self, runs: Runs, inputs: Sequence[str]) -> str | None:
        """Return the input that grows along runs whose rows are taken as independent but for a shift.

        None if the rows of a group are not those of one run, or the model says along what they lie.
        """
        if self.label != "run_id" or self.along is not None:
            return None
        _, group = self.groups(runs)
        for symbol in filter(is_size, inputs):
            within = np.zeros(int(group.max()) + 1), np.full(int(group.max()) + 1, np.inf)
            np.maximum.at(within[0], group, runs[symbol])
            np.minimum.at(within[1], group, runs[symbol])
            if np.any(within[0] > within[1]):
                return symbol
        return None

    def log_densities(
        self,
        noise: Noise,
        scales: Mapping[str, Any],
        residual: Any,
        relative_se: Any,
        below: Any,
        weight: Any,
        columns: Any,
    ) -> Any:
        """Return the log density of each group of rows.

        Parameters
        ----------
        noise, scales
            The noise, and the values of the coordinates by name.
        residual, relative_se, below
            As for `Noise.log_density`, each of shape (rows,).
        weight
            How often each row's group counts, shape (rows,): rows of weight 0 are not there, and the
            others of a group have one weight, how often the group as a whole was drawn.
        columns
            Of `columns`, shape (rows, 1) or (rows, 3), each group below the number of rows.

        Returns
        -------
        array
            Shape (rows,): as many groups as there may be; 0 for those that are not there.
        """
        assert isinstance(noise, Elliptical)
        variance = noise.variance(relative_se, below) * jnp.ones_like(residual)
        there = jnp.where(weight > 0, 1.0, 0.0).astype(residual.dtype)
        index = columns[:, 0].astype(jnp.int32)
        error, one = residual, jnp.ones_like(residual)
        if self.along is not None:
            steps = Steps.of(columns)
            variance, error, one = innovations(
                steps, scales[KAPPA], scales[LENGTH], variance, there, residual
            )
            there, weight, index = (rows[steps.order] for rows in (there, weight, index))
        known = there / variance
        terms = (
            there, weight, there * jnp.log(variance), known * one * one, known * one * error,
            known * error * error,
        )  # fmt: skip
        sums = jax.ops.segment_sum(jnp.stack(terms, axis=-1), index, num_segments=len(residual))
        count, copies, log_det, precision, weighted, square = jnp.moveaxis(sums, -1, 0)
        shared = scales[OMEGA] * scales[OMEGA]
        spread = 1 + shared * precision
        square = jnp.maximum(square - shared * weighted * weighted / spread, 0.0)
        density = noise.joint_log_density(square, log_det + jnp.log(spread), count)
        return copies / jnp.maximum(count, 1.0) * density

    def alone(self, scales: Mapping[str, ArrayLike]) -> Floats:
        """Return the scale of what a row of its own has of all this, beside the noise."""
        shift = np.asarray(scales[OMEGA])
        return shift if self.along is None else np.hypot(shift, scales[KAPPA])

    def scatter(
        self,
        noise: Noise,
        scales: Mapping[str, ArrayLike],
        generator: np.random.Generator,
        relative_se: ArrayLike,
        below: Floats,
        columns: Floats,
    ) -> Floats:
        """Draw the scatter of log losses of rows, those of a group together; shape (..., rows).

        Parameters
        ----------
        noise, scales
            Fields, and values of the coordinates by name, of shape (..., 1).
        generator
            NumPy's random generator.
        relative_se, below
            Of each row, shape (rows,).
        columns
            Of `columns`.
        """
        assert isinstance(noise, Elliptical)
        with jax.enable_x64(True):
            scale = np.sqrt(np.asarray(noise.variance(relative_se, below)))
        group = columns[:, 0].astype(np.intp)
        factor = noise.mixing(generator, int(group.max()) + 1)
        shift = np.asarray(scales[OMEGA]) * generator.standard_normal(factor.shape)
        scatter = scale * generator.standard_normal((*factor.shape[:-1], len(group)))
        if self.along is not None:
            wander = drawn(generator, columns, scales[LENGTH])
            scatter = scatter + np.asarray(scales[KAPPA]) * wander
        return np.asarray((scatter + shift[..., group]) * factor[..., group])


def renewed(columns: Floats) -> Floats:
    """Return the columns of rows that were taken from a table, or of tables put together.

    Groups are counted from 0 without gaps.
    """
    if not columns.size:
        return columns
    group = np.unique(columns[:, 0], return_inverse=True)[1].ravel()
    if columns.shape[1] == 1:
        return group[:, None].astype(np.float64)
    return columns_of(group, columns[:, 2])


def get_effects(effects: Any, noise: type[Noise]) -> Effects | None:
    """Return effects from the name of a label; None for None and for ``"none"``.

    Raises
    ------
    InputError
        The rows of a group cannot share a shift under this noise.
    """
    if effects is None or effects == "none":
        return None
    if not issubclass(noise, Elliptical):
        able = [name for name, one in NOISES.items() if issubclass(one, Elliptical)]
        raise InputError(
            Problem("effects", f"the noise is {noise.name}",
                    "the density of rows that share a shift is not known in closed form for it",
                    f"use --noise {' or '.join(able)}")
        )  # fmt: skip
    return effects if isinstance(effects, Effects) else Effects(str(effects))


def label_of(effects: str | Effects | None) -> str | None:
    """Return the label whose rows share a shift, of effects or of the name that stands for them."""
    return effects.label if isinstance(effects, Effects) else effects
