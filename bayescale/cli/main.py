"""The application, and what becomes of errors: one message, and an exit code that says the kind.

Exit codes: 0 done, 1 a fault of bayescale, 2 bad input, 3 warnings under ``--strict``, 4 the sampling
failed, 130 interrupted.
"""

from __future__ import annotations

import gc
import sys

import typer

from bayescale.cli import (
    allocate,
    backtest,
    bootstrap,
    calibrate,
    compare,
    demo,
    describe,
    design,
    fit,
    identify,
    influence,
    isoflop,
    laws,
    monitor,
    outliers,
    predict,
    region,
    simulate,
    speedup,
    sweep,
    what_if,
)
from bayescale.cli.output import clean
from bayescale.errors import BayescaleError, FailedFitError

app = typer.Typer(
    name="bayescale",
    help="Bayesian scaling laws: from a table of training runs to intervals for loss and allocation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    demo, describe, fit, predict, allocate, region, what_if, speedup, design, isoflop, monitor, identify,
    outliers, backtest, compare, calibrate, sweep, bootstrap, influence, simulate, laws,
)  # fmt: skip
for command in COMMANDS:
    app.command(name=command.NAME, epilog=command.EXAMPLE)(command.run)


def main() -> None:
    """Run the command line, and leave with the exit code of what happened."""
    gc.set_threshold(100_000)  # imports and tracing make many objects and little garbage
    try:
        app()
    except BayescaleError as error:
        print(f"bayescale: {clean(str(error))}", file=sys.stderr)
        sys.exit(4 if isinstance(error, FailedFitError) else 2)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        print("bayescale: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        gc.freeze()  # the last collection would look at every object of JAX for half a second
