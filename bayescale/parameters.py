"""Parameters and coordinates, declared once as data: meaning, unit, and for coordinates the prior.

A *parameter* is a field of a law or of a noise model, in the paper's units. A *coordinate* is what
the prior is put on and the sampler moves in: quantities that people have beliefs about. A bijection,
which the law gives, turns the second into the first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from bayescale.priors import Prior

# Values of a parameter: one number, or an array of draws of any shape.
Values = Float[Array | np.ndarray | float, " ..."]


@dataclass(frozen=True)
class Parameter:
    """Meaning and unit of a parameter; `symbol` is its LaTeX."""

    name: str
    symbol: str
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Coordinate:
    """A quantity that is sampled: its name, prior, meaning and unit; `symbol` is its LaTeX.

    Of one that is `minor`, few designs tell anything and little depends on it: that runs leave it at its
    prior is a note, not a warning. `in_forecasts` is its prior in the models that forecasts come from,
    where that is another one: a parameter is for the runs to tell, a forecast should use what is known.
    """

    name: str
    prior: Prior
    symbol: str
    meaning: str
    unit: str = ""
    minor: bool = False
    in_forecasts: Prior | None = None


def parameter(symbol: str, meaning: str, unit: str = "") -> Any:
    """Declare a field of a law or a noise model, beside its annotation."""
    return eqx.field(metadata={"symbol": symbol, "meaning": meaning, "unit": unit})


def parameters(cls: type) -> tuple[Parameter, ...]:
    """The parameters that a class declares, in order."""
    return tuple(Parameter(f.name, **f.metadata) for f in fields(cls) if "symbol" in f.metadata)
