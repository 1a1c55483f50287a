"""Which laws can be compared on which runs: everything that is refused before a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bayescale.backtesting import log_size, rolling_origins
from bayescale.comparison.compared import Floats, Score
from bayescale.comparison.cross_validation import RUN, clusters_of, dependence
from bayescale.effects import Effects, label_of
from bayescale.errors import InputError, Problem
from bayescale.fitting import runs_for
from bayescale.laws import LAWS, Law, get_law
from bayescale.model import model_spec
from bayescale.noise import Noise
from bayescale.priors import Prior
from bayescale.runs import Runs

MOST_LAWS = 11  # among more, the best is best by chance

Laws = Sequence[str | type[Law]]


@dataclass(frozen=True, eq=False)
class Task:
    """What all laws share.

    Parameters
    ----------
    runs
        The runs.
    log_sizes, cuts
        What they are ordered by, and how many are fitted at each origin; no cuts without backtests.
    inputs
        The inputs of all laws.
    leave_out, dependent
        As in `Comparison`.
    """

    runs: Runs
    log_sizes: Floats
    cuts: tuple[int, ...]
    inputs: tuple[str, ...]
    leave_out: str | None
    dependent: str

    @property
    def n_held_out(self) -> int:
        """Number of runs that are forecast."""
        return len(self.runs) - min(self.cuts, default=len(self.runs))


def chosen_laws(laws: Laws | None, runs: Runs, x: str | None) -> list[type[Law]]:
    """The laws, no more than can be told apart."""
    if laws is None:
        classes = [law for law in LAWS.values() if law.usual and _has_inputs(runs, law, x)]
        remedy = "name columns for another law, such as x='N' (--x params) for power"
    else:
        classes = [get_law(law) for law in ([laws] if isinstance(laws, str) else laws)]
        remedy = "name two or more, such as chinchilla and coupled"
    names = [law.name for law in classes]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(Problem("laws", f"{twice[0]!r} stands twice", remedy="name each law once"))
    if len(names) < 2:
        shown = " and ".join(names) or "none"
        raise InputError(
            Problem("laws", f"there is {shown}", "a comparison is of two or more", remedy)
        )
    if len(names) > MOST_LAWS:
        raise InputError(
            Problem("laws", f"there are {len(names)}",
                    f"among more than {MOST_LAWS} the best is best by chance",
                    f"name {MOST_LAWS} or fewer, those that you have reasons for")
        )  # fmt: skip
    if laws is not None:
        for law in classes:
            if len(law.parameters()) > len(runs):
                raise InputError(
                    Problem("laws", f"{law.name} has {len(law.parameters())} parameters for {len(runs)} "
                            "runs", "these runs cannot compare it with others",
                            "leave it out, or give more runs")
                )  # fmt: skip
    return classes


def _has_inputs(runs: Runs, law: type[Law], x: str | None) -> bool:
    try:
        runs_for(runs, law, x)
    except InputError:
        return False
    return True


def priors_of(
    laws: Sequence[type[Law]],
    noise: type[Noise],
    priors: Mapping[str, Prior] | None,
    effects: str | Effects | None = None,
) -> dict[type[Law], dict[str, Prior]]:
    """The priors for each law, of those coordinates that it has."""
    models = {law: model_spec(law, noise, effects=effects) for law in laws}
    names = {law: {c.name for c in model.beliefs} for law, model in models.items()}
    unknown = [name for name in priors or {} if not any(name in known for known in names.values())]
    if unknown:
        every = sorted(set().union(*names.values()))
        raise InputError(
            Problem("priors", f"{unknown[0]!r} is not a coordinate of any of the laws",
                    remedy=f"coordinates are {', '.join(every)}")
        )  # fmt: skip
    return {
        law: {name: prior for name, prior in (priors or {}).items() if name in known}
        for law, known in names.items()
    }


def task_of(
    runs: Runs,
    laws: Sequence[type[Law]],
    score: Score,
    leave_out: str | None,
    fractions: Sequence[float],
    x: str | None,
    effects: str | Effects | None = None,
) -> Task:
    """Check that these runs can compare the laws; rows that share a shift are left out together."""
    shared = label_of(effects)
    if shared is not None and leave_out not in (None, shared):
        raise InputError(
            Problem("leave_out", f"it is {leave_out!r}, and rows of one {shared} share a shift",
                    "what is left in would know the shift of what is left out",
                    f"leave out by {shared!r}, or nothing")
        )  # fmt: skip
    leave_out = leave_out or shared
    if any(law.inputs == ("x",) for law in laws):
        one = next(law for law in laws if law.inputs == ("x",))
        runs = runs_for(runs, one, x) if _has_inputs(runs, one, x) else runs
    inputs = tuple(dict.fromkeys(s for law in laws for s in law.inputs if s in runs.inputs))
    if not inputs:
        runs_for(runs, laws[0], x)  # raises, naming the missing column
    dependent = dependence(runs, inputs)
    if leave_out is not None:
        clusters_of(runs, leave_out, inputs)
    alone = leave_out == RUN or (leave_out is None and score == "loo")
    if dependent and alone:
        raise InputError(
            Problem("leave_out" if leave_out else "score", f"{dependent}, and each is left out alone",
                    "what is left in knows what is left out",
                    "leave out together what belongs together: leave_out='run_id', 'group' or 'point' "
                    "(--leave-out)")
        )  # fmt: skip
    both = {"N", "D"} <= set(runs.inputs)
    log_sizes = log_size(runs, ("N", "D") if both else inputs)
    cuts: list[int] = []
    if score == "forecasts":
        try:
            _, cuts = rolling_origins(log_sizes, fractions)
        except InputError as error:
            (problem,) = error.problems
            loo = ", or rank by score='loo' (--score loo)" * ("compute budget" in problem.what)
            raise InputError(replace(problem, remedy=problem.remedy + loo)) from None
        held_out = len(runs) - cuts[0]
        if held_out < len(laws):
            raise InputError(
                Problem("runs", f"{held_out} larger runs are held out for {len(laws)} laws",
                        "they cannot tell the laws apart",
                        "give more runs, name fewer laws, or fit a smaller share of the runs "
                        "(--fractions)")
            )  # fmt: skip
    return Task(runs, log_sizes, tuple(cuts), inputs, leave_out, dependent)
