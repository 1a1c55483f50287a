"""The losses that give a downstream error, through the law of a second fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.minimising import root
from bayescale.allocation.splitting import MOST, Terms, reaching, size_symbol
from bayescale.allocation.terms import LEAST_REACHED
from bayescale.downstream import LINK, link_inputs
from bayescale.errors import InputError, Problem
from bayescale.laws import law_losses
from bayescale.mixture import independent, pooled
from bayescale.posterior import Posterior
from bayescale.prediction import positive
from bayescale.publications import Fit

Floats = NDArray[np.float64]
PAIRING = 7  # stream of random numbers beside those of forecasts
LOWEST, HIGHEST = -12.0, 8.0  # of the logarithm of a loss


class Reached(NamedTuple):
    """Cheapest ways to errors, every field of shape (draws, errors).

    `loss` is what each draw of the error law asks for: 0 where no loss gives the error, infinite where
    every loss does.
    """

    N: Floats
    D: Floats
    C: Floats
    loss: Floats


def losses_for(
    second: Posterior, errors: Floats, given: Mapping[str, float]
) -> tuple[Floats, Floats]:
    """Return the loss at which each draw of an error law has each error, and the error of any loss.

    Parameters
    ----------
    second
        A fit of a law of error in the loss; the error rises with it.
    errors
        Shape (errors,).
    given
        The law's other inputs.

    Returns
    -------
    loss
        Shape (draws, errors): 0 where the error is below the least of the law, infinite where it is not
        below that of a model that has learned nothing.
    ends
        Least and greatest error of each draw, shape (draws, 2).
    """
    with jax.enable_x64(True):
        found = _losses_for(second.flat_law(), jnp.asarray(errors), dict(given))
        return np.asarray(found[0]), np.asarray(found[1])


@jax.jit
def _losses_for(law: Any, errors: Any, given: Mapping[str, Any]) -> Any:
    def one(law: Any) -> Any:
        def error(log_loss: Any) -> Any:
            return law.loss({LINK: jnp.exp(log_loss), **given})

        def loss(target: Any) -> Any:
            log_loss, _ = root(lambda x: error(x) - target, LOWEST, HIGHEST)
            inside = jnp.where(error(HIGHEST) > target, jnp.exp(log_loss), jnp.inf)
            return jnp.where(error(LOWEST) < target, inside, 0.0)

        ends = jnp.stack([error(LOWEST), error(HIGHEST)])
        return jax.vmap(loss)(errors), ends

    return jax.vmap(one)(law)


def ways_to_errors(
    first: Fit,
    second: Posterior,
    errors: Floats,
    given: Mapping[str, float],
    terms: Terms,
    seed: int,
) -> Reached:
    """Return the cheapest way of each draw of a loss law to each error, by a draw of the error law.

    Draws of the two fits are set beside each other as those of independent posteriors.

    Raises
    ------
    InputError
        An error that hardly any draw reaches, or that a model has which has learned nothing.
    """
    wanted, ends = losses_for(second, errors, given)
    _check_learned(errors, wanted, ends)
    ways, limits = [], []
    generator = np.random.default_rng([seed, PAIRING])
    for part, _ in first.parts:
        law = part.flat_law()
        own = len(jax.tree.leaves(law)[0])
        count = max(own, len(wanted))
        rows = independent(np.arange(len(wanted)), count, generator)
        repeated = jax.tree.map(lambda field, n=count: np.resize(field, n), law)
        losses = wanted[rows]
        N, D, C = reaching(repeated, np.where(np.isfinite(losses), losses, 1.0), terms)
        free = np.isinf(losses)  # whatever is trained will do
        N, D = np.where(free, 1.0, N), np.where(free, 1.0, D)
        C = np.where(free, terms.flops_per_parameter_token, C)
        ways.append(np.stack([N, D, C, losses]))
        limits.append(_limits(repeated, second, rows, given, terms))
    shares = [share for _, share in first.parts]
    found = Reached(*(pooled([way[i] for way in ways], shares) for i in range(4)))
    _check_reached(errors, found.C, pooled(limits, shares))
    return found


def checked_errors(values: Any) -> Floats:
    """Return errors to reach, checked: above 0 and below 1."""
    errors = positive("target_error", values).ravel()
    if (errors >= 1).any():
        raise InputError(
            Problem("target_error", f"it is {errors.max():g}", "it is a share of wrong items, above 0 and "
                    "below 1", "write 0.4 for an accuracy of 60%")
        )  # fmt: skip
    return errors


def _limits(
    law: Any, second: Posterior, rows: Any, given: Mapping[str, float], terms: Terms
) -> Floats:
    """The error of each draw if compute were no object, within the terms."""
    n = terms.numbers
    size = np.max(n.sizes) if n.sizes.size else n.most_N
    best = {size_symbol(law.inputs): [float(size)], "D": [float(min(n.most_D, MOST))],
            **{s: [v] for s, v in terms.at}}  # fmt: skip
    losses = law_losses(law, best)[:, 0]
    taken = jax.tree.map(lambda field: field[rows], second.flat_law())
    with jax.enable_x64(True):
        error = jax.vmap(lambda law, loss: law.loss({LINK: loss, **given}))(taken, losses)
        return np.asarray(error)


def _check_learned(errors: Floats, wanted: Floats, ends: Floats) -> None:
    """Raise if a model that has learned nothing has an error already, in most draws."""
    free = np.isinf(wanted).mean(axis=0)
    if (free > 0.5).any():
        i = int(np.argmax(free))
        raise InputError(
            Problem("target_error", f"it is {errors[i]:g}, and a model that has learned nothing has an error "
                    f"of {np.median(ends[:, 1]):.3g}", "nothing need be trained for it",
                    f"ask for an error below {np.median(ends[:, 1]):.3g}")
        )  # fmt: skip


def _check_reached(errors: Floats, C: Floats, limits: Floats) -> None:
    """Raise if hardly any draw reaches an error, whatever is spent; and say what can be reached."""
    share = np.isfinite(C).mean(axis=0)
    none = np.flatnonzero(share < LEAST_REACHED)
    if len(none):
        i = none[0]
        least = float(np.median(limits))
        raise InputError(
            Problem("target_error", f"{errors[i]:g} (accuracy {1 - errors[i]:g}) is out of reach in "
                    f"{1 - share[i]:.0%} of the draws",
                    f"with unlimited compute the error is {least:.3g} at the median (accuracy "
                    f"{1 - least:.3g})", f"ask for an error above {least:.3g}, or lift the limits of N "
                    "and D")
        )  # fmt: skip


def checked_link(
    second: Any, given: Mapping[str, float] | None, allow_failed: bool
) -> tuple[Posterior, dict[str, float]]:
    """Return the fit of an error law, checked, and the other inputs of its law."""
    if not isinstance(second, Posterior):
        raise InputError(
            Problem("through", "it is missing or no fit of one law" ,
                    "an error is reached through a law of error in the loss",
                    "give a fit of error-exponential or error-sigmoid (--through ERRORFIT)")
        )  # fmt: skip
    second.require_sound(allow_failed)
    return second, link_inputs(second, given)
