"""Budgets in FLOPs, hours or money, and the terms of a split: options, and how their text is read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli.options import (
    by_symbol,
    parse_names,
    parse_number,
    parse_numbers,
    parse_values,
)
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.allocation import Architecture, Cost

PER_DECADE, MOST = 2, 1000  # budgets of a range in a decade, and at most

Hours = Annotated[
    list[str] | None,
    typer.Option(metavar="H,...", help="Budgets in device-hours, in place of FLOPs."),
]
Money = Annotated[
    list[str] | None, typer.Option(metavar="M,...", help="Budgets in money, in place of FLOPs.")
]
PeakFlops = Annotated[
    str | None, typer.Option(metavar="P", help="FLOPs of a device in a second: hours are shown.")
]
Utilisation = Annotated[
    float | None, typer.Option(help="Share of them that training uses.  [default: 0.4]")
]
Price = Annotated[float | None, typer.Option(help="Of a device for an hour: money is shown.")]
Currency = Annotated[str | None, typer.Option(help="What the price is in.  [default: USD]")]
InferenceTokens = Annotated[
    str | None,
    typer.Option(metavar="T", help="Tokens that the model is run on; 2 N T of the budget."),
]
MaxParams = Annotated[str | None, typer.Option(metavar="N", help="Most parameters.")]
MaxTokens = Annotated[str | None, typer.Option(metavar="D", help="Most training tokens.")]
Sizes = Annotated[list[str] | None, typer.Option(metavar="N,...", help="The sizes that there are.")]
FlopsPerParameterToken = Annotated[
    str | None,
    typer.Option(metavar="K", help="k of C = k N D; by default 6, or what the runs' FLOPs say."),
]
Shape = Annotated[
    list[str] | None,
    typer.Option(
        "--architecture",
        metavar="NAME=NUMBER,...",
        help="Shape of the model, whose FLOPs give k: layers=32,d_model=4096,heads=32,d_ff=14336,"
        "vocabulary=128256,sequence_length=8192; also kv_heads, head_size, gated=1, tied=1, causal=1.",
    ),
]


def parse_cost(
    peak_flops: str | None, utilisation: float | None, price: float | None, currency: str | None
) -> Cost | None:
    """Return the model of cost that the options give; None if there is none."""
    given = {"--utilisation": utilisation, "--price": price, "--currency": currency}
    unused = next((option for option, value in given.items() if value is not None), None)
    if peak_flops is None:
        if unused is None:
            return None
        raise InputError(
            Problem(unused, "it is given without --peak-flops", "hours follow from both",
                    "write --peak-flops 989e12, say")
        )  # fmt: skip
    if currency is not None and price is None:
        raise InputError(
            Problem("--currency", "it is given without --price", remedy="write --price 2, say")
        )
    from bayescale.allocation import Cost

    model: dict[str, Any] = {
        "utilisation": utilisation, "price": price, "currency": currency,
    }  # fmt: skip
    peak = parse_number("--peak-flops", peak_flops)
    return Cost(peak or 0.0, **{name: value for name, value in model.items() if value is not None})


def parse_budgets(
    flops: list[str] | None,
    hours: list[str] | None,
    money: list[str] | None,
    cost: Cost | None,
    **others: list[str] | None,
) -> list[float] | None:
    """Return budgets in FLOPs; None if `others`, such as losses to reach, stand in their place."""
    given: dict[str, list[str] | None] = {
        "--flops": flops, "--hours": hours, "--money": money,
        **{f"--{name.replace('_', '-')}": value for name, value in others.items()},
    }  # fmt: skip
    chosen = [option for option, value in given.items() if value]
    if len(chosen) != 1:
        where, what = (
            ", ".join(chosen or given),
            "all are given" if len(chosen) > 2 else "both are given",
        )
        raise InputError(
            Problem(where, what if chosen else "none is given", "a budget is given in one way",
                    "write --flops 5.76e23, say")
        )  # fmt: skip
    option = chosen[0]
    if option not in ("--flops", "--hours", "--money"):
        return None
    values = parse_ranges(option, given[option] or [])
    if option == "--flops":
        return values
    if cost is None or (option == "--money" and not cost.price):
        needed = "--peak-flops" if cost is None else "--price"
        raise InputError(
            Problem(option, f"it is given without {needed}", "FLOPs follow from both",
                    f"write {needed} {'989e12' if cost is None else '2'}, say")
        )  # fmt: skip
    found = cost.flops_of_hours(values) if option == "--hours" else cost.flops(values)
    return [float(value) for value in found]


def parse_ranges(option: str, items: list[str]) -> list[float]:
    """Read numbers and ranges: ``1e20:1e26`` is evenly spaced in the logarithm, ``1e20:1e26:40`` 40 of it."""
    found: list[float] = []
    for item in parse_names(items):
        parts = parse_numbers(option, item.split(":")) or []
        found += parts if ":" not in item else _spaced(option, item, parts)
    if not found:
        raise InputError(Problem(option, "it holds no number", remedy=f"write {option} 1e24"))
    return found


def _spaced(option: str, item: str, parts: list[float]) -> list[float]:
    if len(parts) != item.count(":") + 1 or len(parts) > 3 or not 0 < parts[0] < parts[1]:
        raise InputError(
            Problem(option, f"{item!r} is no range", "its ends are above 0, the lower one first",
                    "write 1e20:1e26, or 1e20:1e26:40 for 40 budgets")
        )  # fmt: skip
    low, high = parts[:2]
    decades = math.log10(high / low)
    count = parts[2] if len(parts) == 3 else max(round(PER_DECADE * decades), 1) + 1
    if count != int(count) or not 2 <= count <= MOST:
        raise InputError(
            Problem(option, f"{item!r} is of {count:g} budgets", f"it is a whole number, 2 to {MOST}")
        )  # fmt: skip
    return log_spaced(low, high, int(count))


def log_spaced(low: float, high: float, count: int = 97) -> list[float]:
    """Return numbers evenly spaced in the logarithm, to few digits between the ends."""
    step = math.log10(high / low) / (count - 1)
    digits = 3 + max(0, math.floor(-math.log10(step)))
    inner = [float(f"{low * 10 ** (step * i):.{digits}g}") for i in range(1, count - 1)]
    return [low, *inner, high]


def parse_architecture(items: list[str] | None) -> Architecture | None:
    """Read the shape of a model; None if there is none."""
    values = parse_values("--architecture", items)
    if values is None:
        return None
    from bayescale.allocation import Architecture

    return Architecture.of(values)


def parse_terms(
    inference_tokens: str | None,
    max_params: str | None,
    max_tokens: str | None,
    sizes: list[str] | None,
    at: list[str] | None,
    flops_per_parameter_token: str | None,
    shape: list[str] | None,
) -> dict[str, Any]:
    """Return the terms of a split, as `bayescale.allocate` and `bayescale.region` take them."""
    k = parse_number("--flops-per-parameter-token", flops_per_parameter_token)
    architecture = parse_architecture(shape)
    if architecture is not None:
        if k is not None:
            raise InputError(
                Problem("--flops-per-parameter-token, --architecture", "both are given",
                        "the one follows from the other", "give one of them")
            )  # fmt: skip
        k = architecture.flops_per_parameter_token()
    return {
        "inference_tokens": parse_number("--inference-tokens", inference_tokens) or 0.0,
        "max_params": parse_number("--max-params", max_params),
        "max_tokens": parse_number("--max-tokens", max_tokens),
        "sizes": parse_numbers("--sizes", sizes) or (),
        "at": by_symbol(parse_values("--at", at)),
        "flops_per_parameter_token": k,
    }
