"""Options that several commands share, and how their text is read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.effects import Effects
    from bayescale.runs import Runs


class TableForm(StrEnum):
    """How a table for a paper is written."""

    markdown = "markdown"
    latex = "latex"


RunsArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUNS",
        help="Table of runs (CSV, TSV, Parquet, JSON, JSONL), or the data set byte-sweep.",
    ),
]
FitArgument = Annotated[
    Path, typer.Argument(metavar="FIT", help="A fit that  bayescale fit -o FIT.nc  wrote.")
]
FitOrPublished = Annotated[
    Path,
    typer.Argument(
        metavar="FIT",
        help="A fit that  bayescale fit -o FIT.nc  wrote, or a published one, such as hoffmann-2022.",
    ),
]
CompareTo = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY,...", help="Published fits to set beside the answer: hoffmann-2022, ..."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE=COLUMN,...",
        help="Which column holds what, e.g. params=N,tokens=D,loss=val_loss. Roles: params, tokens, "
        "flops, unique_tokens, x, loss, loss_se, group, seed, run_id, and those of the law (bayescale "
        "laws NAME). ROLE= leaves the role out.",
    ),
]
Where = Annotated[
    str | None, typer.Option(metavar="EXPRESSION", help='Rows to keep, e.g. "epoch_dropped == 0".')
]
LOSS_UNIT = "nats/token"
LossUnit = Annotated[
    str, typer.Option(help="Unit of the losses: nats/token, bits/token, nats/byte, bits/byte.")
]
Level = Annotated[float, typer.Option(help="Mass of the intervals, between 0 and 1.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")
]
TableOption = Annotated[
    TableForm | None, typer.Option("--table", help="Print the table as it goes into a paper.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no verdicts.")]
LawName = Annotated[str, typer.Option(help="Name of a law (bayescale laws), or module:Class.")]
NoiseName = Annotated[
    str, typer.Option(help="student-t, student-t-trend, gaussian, laplace or one-sided.")
]
DriftName = Annotated[
    str,
    typer.Option(
        help="May log loss drift from the law with compute: forecasts (only in these), "
        "damped-trend (parameters allow for it too), none."
    ),
]
EffectsName = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL",
        help="Rows that share this label (run_id, group, seed) or input (N, D, C) share a shift of "
        "log loss: checkpoints of one run, for instance.",
    ),
]
AlongName = Annotated[
    str | None,
    typer.Option(
        metavar="INPUT",
        help="With --effects: what the rows of a run lie along (D, C, step, x). Scatter of rows that "
        "lie close to each other is correlated, as that of dense checkpoints is.",
    ),
]
OneVariable = Annotated[
    str | None,
    typer.Option(help="For a law of one variable: params, tokens, flops or unique_tokens."),
]
AllowChecks = Annotated[
    list[str] | None,
    typer.Option(metavar="CHECK", help="Lift a check of the design by its name."),
]
MethodName = Annotated[
    Literal["auto", "laplace-is", "nuts"],
    typer.Option(
        help="How posteriors are drawn; auto: by NUTS where importance sampling will not do."
    ),
]
Plot = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write the figure here, as PNG and PDF.")
]
Params = Annotated[
    list[str] | None, typer.Option(metavar="N,...", help="Parameters of runs to predict.")
]
Tokens = Annotated[
    list[str] | None, typer.Option(metavar="D,...", help="Training tokens of runs to predict.")
]
Flops = Annotated[
    list[str] | None, typer.Option(metavar="C,...", help="Budgets to split between N and D.")
]
Tolerance = Annotated[
    float, typer.Option(help="Loss above the best that still counts as among the best.")
]
At = Annotated[
    list[str] | None,
    typer.Option(metavar="ROLE=NUMBER,...", help="Other inputs of the law, such as experts=16."),
]
Through = Annotated[
    Path | None,
    typer.Option(
        metavar="ERRORFIT", help="A fit of error-sigmoid or error-exponential, on this loss."
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(metavar="ROLE=NUMBER,...", help="Other inputs of its law, such as chance=0.25."),
]
Seed = Annotated[int, typer.Option(help="Seed: the same seed gives the same numbers.")]
ExecutorName = Annotated[
    str, typer.Option(help="local (threads of this process) or ray (a Ray cluster).")
]
LawClass = Annotated[
    str | None,
    typer.Option(
        "--law", metavar="MODULE:CLASS", help="The law, if it is not one of the package's."
    ),
]
GroupName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Group of a pooled fit; new: one that was not seen."),
]
AllowFailed = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="CHECK", help="failed-sampling: answer from a fit that failed."
    ),
]


def parse_effects(label: str | None, along: str | None) -> Effects | None:
    """Read who shares a shift, and along what the rest of their scatter is correlated."""
    from bayescale.effects import Effects

    if label is None and along is not None:
        raise InputError(
            Problem("--along", f"it is {along!r}, without --effects",
                    "it says along what the rows of one run lie",
                    "say which rows are of one run: --effects run_id")
        )  # fmt: skip
    return None if label in (None, "none") else Effects(str(label), along)


def parse_columns(text: str | None) -> dict[str, str] | None:
    """Read ``ROLE=COLUMN,ROLE=COLUMN``."""
    if text is None:
        return None
    pairs = {}
    for item in text.split(","):
        role, equals, column = item.partition("=")
        if not equals or role.strip() in pairs:
            what = (
                f"the role {role.strip()!r} stands twice"
                if equals
                else f"{item!r} is not ROLE=COLUMN"
            )
            raise InputError(
                Problem("--columns", what, remedy="write params=N,tokens=D,loss=val_loss")
            )
        pairs[role.strip()] = column.strip()
    return pairs


def parse_names(items: list[str] | None) -> list[str]:
    """Read names that are given one by one or with commas."""
    return [name.strip() for item in items or [] for name in item.split(",") if name.strip()]


def parse_numbers(option: str, items: list[str] | None) -> list[float] | None:
    """Read numbers that are given one by one or with commas."""
    from bayescale.runs.cells import NotANumberError, parse_number

    if not items:
        return None
    numbers = []
    for text in parse_names(items):
        try:
            numbers.append(parse_number(text))
        except NotANumberError as error:
            raise InputError(Problem(option, str(error), remedy=error.remedy)) from None
    return numbers


def parse_points(
    params: list[str] | None, tokens: list[str] | None
) -> dict[str, list[float]] | None:
    """Read the points at which losses are wanted; None if there are none."""
    given = {"N": parse_numbers("--params", params), "D": parse_numbers("--tokens", tokens)}
    points = {symbol: values for symbol, values in given.items() if values is not None}
    lengths = {symbol: len(values) for symbol, values in points.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            Problem("--params, --tokens", f"they give {lengths['N']} and {lengths['D']} values",
                    remedy="give as many of the one as of the other")
        )  # fmt: skip
    return points or None


def parse_values(option: str, items: list[str] | None) -> dict[str, float] | None:
    """Read ``NAME=NUMBER`` that are given one by one or with commas."""
    if not items:
        return None
    values: dict[str, float] = {}
    for item in parse_names(items):
        name, equals, number = (part.strip() for part in item.partition("="))
        if not equals or not name or name in values:
            what = f"{name!r} stands twice" if name in values else f"{item!r} is not NAME=NUMBER"
            raise InputError(Problem(option, what, remedy="write NAME=NUMBER,NAME=NUMBER"))
        values[name] = (parse_numbers(option, [number]) or [0.0])[0]
    return values


def parse_number(option: str, text: str | None) -> float | None:
    """Read one number; None if there is none."""
    numbers = parse_numbers(option, [text] if text else None)
    if numbers is not None and len(numbers) != 1:
        raise InputError(Problem(option, f"{len(numbers)} numbers are given", remedy="give one"))
    return None if numbers is None else numbers[0]


def by_symbol(values: dict[str, float] | None) -> dict[str, float]:
    """Return inputs by their symbols, from the names of their roles or from symbols."""
    from bayescale.runs import ROLES

    return {ROLES[name].symbol if name in ROLES else name: v for name, v in (values or {}).items()}


def parse_failed(items: list[str] | None) -> bool:
    """Whether answers from a failed fit are allowed."""
    names = parse_names(items)
    unknown = [name for name in names if name != "failed-sampling"]
    if unknown:
        raise InputError(
            Problem("--allow", f"{unknown[0]!r} is not a check here", remedy="use failed-sampling")
        )
    return bool(names)


def read_runs(
    source: str, columns: str | None, where: str | None, loss_unit: str, law: str | None = None
) -> Runs:
    """Read a data set by its name, or a table: of the response that a law explains."""
    from bayescale.datasets import is_dataset, load_dataset
    from bayescale.runs import Runs

    if is_dataset(source):
        if columns or where or loss_unit != LOSS_UNIT:
            remedy = "leave out --columns, --where and --loss-unit, which are for files"
            raise InputError(Problem(source, "it is a data set of the package", remedy=remedy))
        return load_dataset(source)
    response = None
    if law is not None:
        from bayescale.laws import get_law

        response = get_law(law).wanted_response()
    return Runs.read(source, parse_columns(columns), where, loss_unit, response)
