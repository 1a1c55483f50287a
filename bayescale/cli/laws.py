"""``bayescale laws``: every law, its equation, inputs, source and published fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli.options import Json
from bayescale.cli.output import emit, emit_json
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.laws import Law

NAME = "laws"
EXAMPLE = "Example:  bayescale laws chinchilla"


def run(
    name: Annotated[
        str | None, typer.Argument(help="Show one law: parameters, priors, fits.")
    ] = None,
    json: Json = False,
) -> None:
    """List the laws, or show one with its parameters, priors and published fits."""
    from bayescale.laws import LAWS

    if name is not None and name not in LAWS:
        raise InputError(
            Problem("laws", f"{name!r} is not a law", remedy=f"use one of {', '.join(LAWS)}")
        )
    chosen = list(LAWS.values()) if name is None else [LAWS[name]]
    if json:
        emit_json([law_json(law) for law in chosen])
    elif name is None:
        emit("\n\n".join(_short(law) for law in chosen))
    else:
        emit(_long(chosen[0]))


def law_json(law: type[Law]) -> dict[str, Any]:
    """A law as plain data."""
    return {
        "name": law.name,
        "title": law.title,
        "equation": law.equation,
        "inputs": list(law.inputs),
        "response": law.response,
        "source": law.source,
        "traps": list(law.traps),
        "parameters": [
            {"name": p.name, "symbol": p.symbol, "unit": p.unit, "meaning": p.meaning}
            for p in law.parameters()
        ],
        "coordinates": [
            {
                "name": c.name,
                "prior": str(c.prior),
                "in_forecasts": str(c.in_forecasts or c.prior),
                "unit": c.unit,
                "meaning": c.meaning,
            }
            for c in law.coordinates
        ],
        "published": [
            {"key": p.key, "source": p.source, "values": dict(p.values)} for p in law.published
        ],
    }


def _short(law: type[Law]) -> str:
    inputs = ", ".join(law.inputs)
    lines = [f"{law.name}: {law.title}", law.equation, f"inputs: {inputs}", f"source: {law.source}"]
    if law.response != "loss":
        lines.insert(3, f"response: {law.response}")
    return "\n  ".join(lines)


def _long(law: type[Law]) -> str:
    from bayescale.runs.catalogue import SYMBOL_TO_ROLE, meaning_of

    def column(symbol: str) -> str:
        role = SYMBOL_TO_ROLE.get(symbol)
        return symbol if role is None else f"{symbol} ({role})"

    lines = [_short(law), "", "columns"]
    lines += [f"  {column(symbol):<24} {meaning_of(symbol)}" for symbol in law.inputs]
    lines += ["", "parameters"]
    lines += [
        f"  {p.name:<8} {p.meaning}" + (f" ({p.unit})" if p.unit else "") for p in law.parameters()
    ]
    lines += ["", "priors, on"]
    for c in law.coordinates:
        lines += [f"  {c.name:<8} {c.prior}   {c.meaning}"]
        lines += [f"           in forecasts {c.in_forecasts}"] if c.in_forecasts else []
    if law.published:
        lines += ["", "published fits"]
    for fit in law.published:
        values = ", ".join(f"{name} {value:.6g}" for name, value in fit.values.items())
        lines += [f"  {fit.key}: {values}", f"    {fit.source}"]
    if law.traps:
        lines += ["", "often mistaken", *(f"  {trap}" for trap in law.traps)]
    return "\n".join(lines)
