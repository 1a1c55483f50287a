"""Rows that share the value of a label or of an input: groups, clusters, rows of one run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.runs.catalogue import LABEL_ROLES
from bayescale.runs.table import Runs
from bayescale.tables import number


def sharing(
    runs: Runs, by: str, where: str = "by", blank_alone: bool = False
) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the values of a label or an input, in the order of their first rows, and who has which.

    Parameters
    ----------
    runs
        The runs.
    by
        A label (``group``, ``seed``, ``run_id``) or an input (``N``, ``D``, ``C``, ...). Inputs are
        compared to six digits, since a budget that was worked out from N and D is rounded.
    where
        What to call `by` in messages.
    blank_alone
        A row whose label is blank shares it with no other, and goes by its place in the table.

    Returns
    -------
    values
        As text.
    codes
        Index of the value of each row, shape (runs,).

    Raises
    ------
    InputError
        The runs have no such label or input.
    """
    inputs = [*runs.inputs, *(["C"] if {"N", "D"} <= set(runs.inputs) else [])]
    if by in runs.labels:
        values = runs.labels[by].tolist()
    elif by in inputs:
        values = [number(value) for value in runs[by].tolist()]
    else:
        there = dict.fromkeys([*runs.labels, *inputs])
        raise InputError(
            Problem(where, f"the runs have no label or input {by!r}",
                    remedy=f"use one of {', '.join(there)}, or name a column as a label with "
                    f"--columns group=COLUMN ({', '.join(LABEL_ROLES)} are labels)")
        )  # fmt: skip
    if blank_alone:
        places = runs.places or [f"row {i}" for i in range(len(runs))]
        values = [value or f"({place})" for value, place in zip(values, places, strict=True)]
    names = tuple(dict.fromkeys(values))
    index = {name: i for i, name in enumerate(names)}
    return names, np.array([index[value] for value in values], dtype=np.intp)
