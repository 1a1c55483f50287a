"""Whether a law keeps its contract, on the runs that it is to be fitted to."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.fitting import runs_for
from bayescale.laws import Law, get_law, law_losses
from bayescale.model import ModelSpec, prior_draws, reference_of
from bayescale.noise import Gaussian
from bayescale.runs.catalogue import domain_of

DRAWS = 200
CLOSE = 1e-6
STEP = 1.2  # times an input, to see whether the response falls in it


def check_law(law: str | type[Law], runs: Any, *, x: str | None = None) -> None:
    """Check a law of your own before it is fitted: prior, equation, coordinates and slopes.

    With draws of the prior, at the inputs of the runs: there are as many parameters as coordinates, and the
    maps between them are each other's inverse; losses are finite and above 0, in 64 bits and in 32; the
    loss falls in the inputs in which the law says that it does.

    Parameters
    ----------
    law
        The class, or ``"module:Class"``.
    runs
        Runs that it is to be fitted to; see `bayescale.fit`.
    x
        For a law of one variable, the column that it is a law of.

    Raises
    ------
    InputError
        Everything that was found, with what to change.

    Examples
    --------
    >>> check_law("chinchilla", "byte-sweep")
    """
    chosen = get_law(law)
    table = runs_for(runs, chosen, x)
    problems = [*_declarations(chosen)]
    if not problems:
        inputs = {symbol: table[symbol] for symbol in chosen.inputs}
        reference = reference_of(table, chosen.inputs, chosen.extremes)
        problems = [*_behaviour(chosen, inputs, reference)]
    if problems:
        raise InputError(problems)


def _declarations(law: type[Law]) -> list[Problem]:
    fields, coordinates = law.parameters(), law.coordinates
    if len(fields) == len(coordinates):
        return []
    return [
        Problem(f"law {law.name!r}", f"it has {len(fields)} parameters and {len(coordinates)} coordinates",
                "one is a one-to-one map of the other",
                "declare each field with parameter(...), and as many Coordinate(...)")
    ]  # fmt: skip


def _behaviour(
    law: type[Law], inputs: dict[str, Any], reference: dict[str, float]
) -> list[Problem]:
    name = f"law {law.name!r}"
    drawn = prior_draws(ModelSpec(law, Gaussian), reference, DRAWS, seed=0)
    coordinates = {c.name: drawn[c.name] for c in law.coordinates}
    with jax.enable_x64(True):
        laws = jax.vmap(lambda c: law.from_coordinates(c, reference))(coordinates)
        back = jax.vmap(lambda one: one.to_coordinates(reference))(laws)
    problems = [
        Problem(name, f"to_coordinates gives {c!r} back as {np.asarray(back[c])[i]:.6g}, not {v[i]:.6g}",
                "it is the inverse of from_coordinates", "check both for the reference they use")
        for c, v in coordinates.items()
        for i in [int(np.argmax(~np.isclose(back[c], v, rtol=CLOSE, atol=CLOSE)))]
        if not np.allclose(back[c], v, rtol=CLOSE, atol=CLOSE)
    ]  # fmt: skip
    losses = law_losses(laws, inputs)
    bad = np.argwhere(~(np.isfinite(losses) & (losses > 0)))
    if len(bad):
        draw, row = bad[0]
        values = ", ".join(f"{c} = {v[draw]:.4g}" for c, v in coordinates.items())
        what = f"its loss at row {row} is {losses[draw, row]:.4g} for a draw of the prior, {values}"
        problems.append(
            Problem(name, what,
                    "it must be finite and above 0 wherever the prior goes",
                    "narrow the prior, or write the equation so that it holds; power(base, exponent) is "
                    "for bases above 0")
        )  # fmt: skip
        return problems
    with jax.enable_x64(False):
        few = {c: np.asarray(v, np.float32) for c, v in coordinates.items()}
        rows = {s: np.asarray(v, np.float32) for s, v in inputs.items()}
        numbers = {key: np.float32(value) for key, value in reference.items()}
        single = np.asarray(jax.vmap(lambda c: law.from_coordinates(c, numbers).loss(rows))(few))
    if not np.isfinite(single).all():
        problems.append(
            Problem(name, "its loss overflows in 32 bits", "accelerators and sweeps work in 32 bits",
                    "write products of powers as exp of a sum of logarithms")
        )  # fmt: skip
    for symbol in law.inputs if law.falls_in is None else law.falls_in:
        more = STEP * inputs[symbol]
        if not domain_of(symbol).holds(more).all():
            continue
        rising = law_losses(laws, {**inputs, symbol: more}) >= losses
        if rising.any():
            share = f"{rising.any(axis=1).mean():.0%} of the prior's draws"
            problems.append(
                Problem(name, f"its loss does not fall in {symbol} for {share}",
                        "the default is a law that falls in each of its inputs",
                        f"check the sign of the exponent, or leave {symbol} out of falls_in")
            )  # fmt: skip
    return problems
