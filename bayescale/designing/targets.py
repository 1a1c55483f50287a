"""What a design is asked to narrow: a loss, an optimum or a parameter, as text and as draws."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.splitting import Terms, best_splits
from bayescale.allocation.terms import require_law_of_two
from bayescale.contraction import Scale, quantiles, scale_of
from bayescale.errors import InputError, Problem, shown
from bayescale.mixture import law_points
from bayescale.posterior import Posterior
from bayescale.prediction import checked_points, mean_loss
from bayescale.runs import ROLES
from bayescale.runs.cells import NotANumberError, parse_number
from bayescale.runs.roles import nearest

Floats = NDArray[np.float64]
Kind = Literal["loss", "optimum", "parameter"]

OPTIMA = ("N_opt", "D_opt", "tokens_per_parameter")
EXAMPLES = "'tokens_per_parameter at 1e25', 'loss at N=70e9,D=1.4e12' or 'alpha'"


@dataclass(frozen=True)
class Target:
    """A quantity, and where it is asked: a mean loss at a point, an optimum for a budget, a parameter.

    Parameters
    ----------
    kind
        ``"loss"``, ``"optimum"`` or ``"parameter"``.
    name
        ``"loss"``, one of `OPTIMA`, or the name of the parameter.
    at
        Symbol to value: the inputs of the loss, C of the optimum; empty for a parameter.
    """

    kind: Kind
    name: str
    at: Mapping[str, float]

    @classmethod
    def read(cls, text: Any) -> Target:
        """Read a target such as ``"N_opt at 1e25"``.

        Raises
        ------
        InputError
            It cannot be read.

        Examples
        --------
        >>> Target.read("tokens_per_parameter at 1e25")
        Target(kind='optimum', name='tokens_per_parameter', at={'C': 1e+25})
        """
        if not isinstance(text, str) or not text.strip():
            raise InputError(Problem("target", f"it is {shown(text)}", remedy=f"write {EXAMPLES}"))
        name, *places = (
            part.strip() for part in re.split(r"\s+at(?:\s+|$)", text.strip(), maxsplit=1)
        )
        place = "".join(places)
        if name == "loss":
            return cls("loss", name, _inputs(text, place))
        if name in OPTIMA:
            return cls("optimum", name, {"C": _number(text, place.removeprefix("C="))})
        if place:
            raise InputError(
                Problem("target", f"{name!r} is no loss and no optimum{nearest(name, ['loss', *OPTIMA])}",
                        "only these are asked at a place", f"write {EXAMPLES}")
            )  # fmt: skip
        return cls("parameter", name, {})

    def parts(self, fit: Any) -> tuple[tuple[Posterior, float], ...]:
        """Return the posteriors that draws come from: those of forecasts for a loss, else of the law."""
        found: tuple[tuple[Posterior, float], ...] = (
            fit.forecasting_parts if self.kind == "loss" else fit.parts
        )
        return found

    def check(self, fit: Any) -> None:
        """Raise `InputError` if the fit cannot answer it."""
        if self.kind == "loss":
            if missing := [s for s in fit.inputs if s not in self.at]:
                raise InputError(
                    Problem("target", f"{' and '.join(missing)} of the loss is missing",
                            f"the law {fit.name!r} needs {', '.join(fit.inputs)}",
                            f"write 'loss at {','.join(f'{s}=...' for s in fit.inputs)}'")
                )  # fmt: skip
            checked_points(fit, self.at)
        for part, _ in fit.parts:
            if self.kind == "optimum":
                require_law_of_two(part, Terms())
            known = list(_parameters(part))
            if self.kind == "parameter" and self.name not in known:
                choices = ["loss", *OPTIMA, *known]
                raise InputError(
                    Problem("target", f"{self.name!r} is not known{nearest(self.name, choices)}",
                            f"the {part.name} law has {', '.join(known)}", f"write {EXAMPLES}")
                )  # fmt: skip

    def joint(
        self, part: Posterior, points: Mapping[str, Floats], factor: float, seed: int
    ) -> tuple[Floats, Floats]:
        """Return draws of the target, shape (draws,), and of the log losses at points that go with them.

        Parameters
        ----------
        part
            A fit of one law.
        points
            Symbol to values, each of shape (points,).
        factor
            k of C = k N D.
        seed
            Seed of a drift beyond the runs, which is the same for all points.
        """
        if self.kind != "loss":
            means = np.log(mean_loss(part, law_points(part, points), seed))
            return self._of_law(part, factor), means
        both = {s: np.append(values, self.at[s]) for s, values in points.items()}
        losses = mean_loss(part, law_points(part, both), seed)
        return losses[:, -1], np.log(losses[:, :-1])

    def _of_law(self, part: Posterior, factor: float) -> Floats:
        if self.kind == "parameter":
            return np.ravel(_parameters(part)[self.name])
        best = best_splits(part.flat_law(), [self.at["C"]], Terms(factor))
        found = {"N_opt": best.N, "D_opt": best.D, "tokens_per_parameter": best.D / best.N}
        return found[self.name][:, 0]

    def scale(self, draws: Floats) -> Scale:
        """Return the scale on which variances are taken: the logarithm of losses and optima."""
        return "log" if self.kind != "parameter" else scale_of(quantiles(draws))

    def __str__(self) -> str:
        if not self.at:
            return self.name
        if self.kind == "optimum":
            return f"{self.name} at {self.at['C']:g} FLOPs"
        return f"{self.name} at " + ", ".join(f"{s} = {v:g}" for s, v in self.at.items())


def _parameters(part: Posterior) -> dict[str, Any]:
    """Parameters of the law, and what follows from them; the noise's are of no use to a plan."""
    names = {p.name for p in part.spec.law.parameters()} | {"a", "b"}
    return {n: v for n, v in {**part.parameters, **part.derived}.items() if n in names}


def _number(text: str, value: str) -> float:
    try:
        number = parse_number(value)
    except NotANumberError as error:
        raise InputError(
            Problem("target", f"{text!r}: {error}", remedy=f"write {EXAMPLES}")
        ) from None
    if not (np.isfinite(number) and number > 0):
        raise InputError(
            Problem("target", f"{text!r}: {value} is not a finite number above 0",
                    remedy=f"write {EXAMPLES}")
        )  # fmt: skip
    return number


def _inputs(text: str, place: str) -> dict[str, float]:
    """Read ``N=70e9,D=1.4e12``; roles, such as params, may stand for symbols."""
    found: dict[str, float] = {}
    for item in place.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        symbol = ROLES[name].symbol if name in ROLES else name
        if not equals or not symbol or symbol in found:
            raise InputError(
                Problem("target", f"{text!r} does not say where the loss is asked",
                        remedy="write 'loss at N=70e9,D=1.4e12'")
            )  # fmt: skip
        found[symbol] = _number(text, value)
    return found
