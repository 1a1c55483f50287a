"""Rows that share a shift of log loss: checkpoints of one run, runs of one lab, size or budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.noise import NOISES, Elliptical, Noise
from bayescale.parameters import Coordinate, Parameter
from bayescale.priors import LogNormal
from bayescale.runs import Runs
from bayescale.runs.sharing import sharing

Floats = NDArray[np.float64]
NAME = "omega"


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

    Parameters
    ----------
    label
        A label of the runs (``run_id``, ``group``, ``seed``) or an input (``N``, ``D``, ``C``). A row
        whose label is blank is a group of its own.

    References
    ----------
    Random intercepts: Laird and Ware 1982, Random-effects models for longitudinal data, Biometrics 38,
    963-974; with Student-t tails: Pinheiro, Liu and Wu 2001, Journal of Computational and Graphical
    Statistics 10, 249-276.

    Examples
    --------
    >>> Effects("run_id").parameter.meaning
    'scale of the shift of log loss that rows of one run_id share'
    """

    label: str

    @property
    def coordinate(self) -> Coordinate:
        """Omega, with its prior."""
        return Coordinate(NAME, LogNormal(0.006, 1.2), r"\omega", self.parameter.meaning)

    @property
    def parameter(self) -> Parameter:
        """Omega, as tables declare it."""
        meaning = f"scale of the shift of log loss that rows of one {self.label} share"
        return Parameter(NAME, r"\omega", meaning)

    def groups(self, runs: Runs) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """Return the name of each group, in the order of first rows, and the group of each row.

        Raises
        ------
        InputError
            The runs have no such label or input.
        """
        return sharing(runs, self.label, "effects", blank_alone=True)

    def log_densities(
        self,
        noise: Noise,
        omega: Any,
        residual: Any,
        relative_se: Any,
        below: Any,
        weight: Any,
        group: Any,
    ) -> Any:
        """Return the log density of each group of rows.

        Parameters
        ----------
        noise, omega
            The noise and the scale of the shifts.
        residual, relative_se, below
            As for `Noise.log_density`, each of shape (rows,).
        weight
            How often each row's group counts, shape (rows,): rows of weight 0 are not there, and the
            others of a group have one weight, how often the group as a whole was drawn.
        group
            Index of the group of each row, below the number of rows; as floats, which hold it exactly.

        Returns
        -------
        array
            Shape (rows,): as many groups as there may be; 0 for those that are not there.
        """
        assert isinstance(noise, Elliptical)
        variance = noise.variance(relative_se, below) * jnp.ones_like(residual)
        there = jnp.where(weight > 0, 1.0, 0.0).astype(residual.dtype)
        precision = there / variance
        weighted = precision * residual
        columns = (
            there, weight, there * jnp.log(variance), precision, weighted, weighted * residual,
        )  # fmt: skip
        index = group.astype(jnp.int32)
        sums = jax.ops.segment_sum(jnp.stack(columns, axis=-1), index, num_segments=len(residual))
        count, copies, log_det, precision, weighted, square = jnp.moveaxis(sums, -1, 0)
        shared = omega * omega
        spread = 1 + shared * precision
        square = jnp.maximum(square - shared * weighted * weighted / spread, 0.0)
        density = noise.joint_log_density(square, log_det + jnp.log(spread), count)
        return copies / jnp.maximum(count, 1.0) * density

    def scatter(
        self,
        noise: Noise,
        omega: ArrayLike,
        generator: np.random.Generator,
        relative_se: ArrayLike,
        below: Floats,
        group: NDArray[np.intp],
    ) -> Floats:
        """Draw the scatter of log losses of rows, those of a group with one shift; shape (..., rows).

        Parameters
        ----------
        noise, omega
            Fields of shape (..., 1).
        generator
            NumPy's random generator.
        relative_se, below, group
            Of each row, shape (rows,).
        """
        assert isinstance(noise, Elliptical)
        with jax.enable_x64(True):
            scale = np.sqrt(np.asarray(noise.variance(relative_se, below)))
        count = int(group.max()) + 1
        factor = noise.mixing(generator, count)
        shift = np.asarray(omega) * generator.standard_normal(factor.shape)
        scatter = scale * generator.standard_normal((*factor.shape[:-1], len(group)))
        return np.asarray((scatter + shift[..., group]) * factor[..., group])


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
