"""The scaling laws, one file each; `LAWS` lists them."""

from __future__ import annotations

import importlib
from typing import Any

from bayescale.errors import InputError, Problem
from bayescale.laws.base import ClosedFormOptimum, Law, Published, Rule, law_losses
from bayescale.laws.bnsl import Bnsl1, Bnsl2
from bayescale.laws.chinchilla import Chinchilla
from bayescale.laws.coupled import Coupled
from bayescale.laws.double_saturation import DoubleSaturation
from bayescale.laws.kaplan_single import KaplanC, KaplanD, KaplanN
from bayescale.laws.m1 import M1
from bayescale.laws.m3 import M3
from bayescale.laws.m4 import M4
from bayescale.laws.power import Power

LAWS: dict[str, type[Law]] = {
    law.name: law
    for law in (
        Chinchilla,
        Coupled,
        Power,
        KaplanN,
        KaplanD,
        KaplanC,
        M1,
        M3,
        M4,
        Bnsl1,
        Bnsl2,
        DoubleSaturation,
    )
}

__all__ = [
    "LAWS",
    "M1",
    "M3",
    "M4",
    "Bnsl1",
    "Bnsl2",
    "Chinchilla",
    "ClosedFormOptimum",
    "Coupled",
    "DoubleSaturation",
    "KaplanC",
    "KaplanD",
    "KaplanN",
    "Law",
    "Power",
    "Published",
    "Rule",
    "get_law",
    "law_losses",
]


def get_law(law: Any) -> type[Law]:
    """Return a law's class from its name, from ``"module:Class"``, or from the class itself.

    Raises
    ------
    InputError
        There is no such law.
    """
    if isinstance(law, type) and issubclass(law, Law):
        return law
    if law in LAWS:
        return LAWS[law]
    if isinstance(law, str) and ":" in law:
        module, _, name = law.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(
                Problem("law", f"{law!r} cannot be loaded: {error}", remedy="write module:Class")
            ) from None
        return get_law(found)
    raise InputError(
        Problem(
            "law", f"{law!r} is not a law", remedy=f"use one of {', '.join(LAWS)}, or module:Class"
        )
    )
