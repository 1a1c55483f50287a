"""Posteriors, mixtures and the groups of pooled fits, from trees of arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale import priors as prior_types
from bayescale.drift import DampedTrend
from bayescale.effects import Effects
from bayescale.errors import InputError, Problem
from bayescale.laws import LAWS, Law, get_law
from bayescale.mixture import Mixture
from bayescale.model import model_spec
from bayescale.noise import get_noise
from bayescale.posterior import Posterior
from bayescale.priors import Prior
from bayescale.runs import Runs
from bayescale.runs.roles import nearest
from bayescale.storage.files import read_tree
from bayescale.storage.formats import (
    FORECASTER,
    FORMAT,
    GROUP,
    LAW,
    MIXTURE_FORMAT,
    NEW,
    POOLED,
    POOLED_FORMAT,
    STATS,
    check_format,
)

if TYPE_CHECKING:
    import xarray


def load(
    path: str | Path, law: type[Law] | str | None = None, group: str | None = None
) -> Posterior | Mixture:
    """Read what `Posterior.save` or `Mixture.save` wrote, or a group of what `PooledFit.save` wrote.

    Parameters
    ----------
    path
        The netCDF file. Read files of people you trust only: HDF5 readers are not safe against
        hostile files.
    law
        The law's class, or ``"module:Class"``, if it is not one of the package's own: a file never
        decides what code is loaded.
    group
        Of a pooled fit, the name of the group, or ``"new"`` for one that was not seen.

    Returns
    -------
    Posterior or Mixture
        As it was saved, draws and runs bit for bit.

    Raises
    ------
    InputError
        No such file, not a posterior, a law that the package does not have, or a group that a pooled
        fit does not have.
    """
    return read_tree(path, lambda tree: _chosen(tree, str(path), law, group))


def _chosen(
    tree: xarray.DataTree, source: str, law: type[Law] | str | None, group: str | None
) -> Posterior | Mixture:
    pooled = POOLED in tree.attrs
    if group is None and not pooled:
        return _read(tree, source, law)
    if not pooled:
        raise InputError(
            Problem(source, f"it is a fit of one set of runs, and has no group {group!r}",
                    remedy="leave out the group")
        )  # fmt: skip
    names = pooled_history(tree, source)["groups"]
    known = ", ".join(map(repr, [*names, NEW]))
    if group is None:
        raise InputError(
            Problem(source, "it is a pooled fit, with a posterior for each group",
                    remedy=f"choose one with --group (group=...): {known}")
        )  # fmt: skip
    if group not in (*names, NEW):
        raise InputError(
            Problem(source, f"it has no group {group!r}{nearest(group, [*names, NEW])}",
                    remedy=f"groups are {known}")
        )  # fmt: skip
    place = len(names) if group == NEW else names.index(group)
    return group_of(tree, place, source, law)


def pooled_history(tree: xarray.DataTree, source: str) -> dict[str, Any]:
    """Return what a pooled fit says of itself; raises if a later version wrote it, or if it is none."""
    if POOLED not in tree.attrs:
        raise InputError(
            Problem(source, "it is a fit of one set of runs, and not a pooled one",
                    remedy="read it with load")
        )  # fmt: skip
    history = json.loads(tree.attrs[POOLED])
    check_format(history, POOLED_FORMAT, source)
    return history


def group_of(
    tree: xarray.DataTree, place: int, source: str, law: type[Law] | str | None
) -> Posterior:
    """Return the posterior that `groups_tree` put at this place."""
    import xarray

    first, mine = (tree.children[f"{GROUP}_{i}"].to_dict(relative=True) for i in (0, place))
    shared = {name: node for name, node in first.items() if name.endswith(STATS)}
    return from_tree(xarray.DataTree.from_dict({**shared, **mine}), source, law)


def _read(tree: xarray.DataTree, source: str, law: type[Law] | str | None) -> Posterior | Mixture:
    history = json.loads(tree.attrs["bayescale"])
    if "weights" not in history:
        return from_tree(tree, source, law)
    check_format(history, MIXTURE_FORMAT, source)
    posteriors = _numbered(tree, source, LAW, None if law is None else get_law(law))
    return Mixture(posteriors, tuple(history["weights"]), history["provenance"])


def _numbered(
    tree: xarray.DataTree, source: str, group: str, law: type[Law] | None
) -> tuple[Posterior, ...]:
    """The posteriors in the groups of a name, in order; a law from elsewhere is that of its own ones."""
    found: list[Posterior] = []
    while (child := tree.children.get(f"{group}_{len(found)}")) is not None:
        saved = json.loads(child.attrs["bayescale"])["law"]
        mine = law is not None and saved in _names(law)
        found.append(from_tree(child, source, law if mine else None))
    return tuple(found)


def _names(law: type[Law]) -> tuple[str, str]:
    """What a law may be called in a file."""
    return law.name, f"{law.__module__}:{law.__qualname__}"


def from_tree(tree: xarray.DataTree, source: str, law: type[Law] | str | None) -> Posterior:
    """Return the posterior that `to_tree` made this tree from."""
    history = json.loads(tree.attrs["bayescale"])
    check_format(history, FORMAT, source)
    if history["format"] == 2:
        raise InputError(
            Problem(source, "its drift is a random walk of log loss, which this version has not",
                    "forecasts from a drifting slope are truer", "fit the runs again")
        )  # fmt: skip
    law_class = _trusted_law(history["law"], source, law)
    noise_class = get_noise(history["noise"])
    group = {name: _arrays(tree[name]) for name in tree.children if not name.startswith(FORECASTER)}
    parameters, constant = group["posterior"], group["constant_data"]
    runs = Runs(
        loss=group["observed_data"]["loss"],
        inputs={
            name: values
            for name, values in constant.items()
            if name not in ("loss_se", "place", "items") and not name.startswith("label_")
        },
        loss_se=constant.get("loss_se"),
        items=constant.get("items"),
        labels={
            name.removeprefix("label_"): _unescaped(values)
            for name, values in constant.items()
            if name.startswith("label_")
        },
        places=tuple(map(str, constant.get("place", ()))),
        **history["runs"],
    )
    return Posterior(
        law=law_class(**{p.name: parameters[p.name] for p in law_class.parameters()}),
        noise=noise_class(**{p.name: parameters[p.name] for p in noise_class.parameters()}),
        coordinates=group["coordinates"],
        stats=group[STATS],
        spec=model_spec(
            law_class,
            noise_class,
            _priors(history["priors"]),
            _drift(history),
            _effects(history),
        ),
        runs=runs,
        reference=history["reference"],
        provenance=history["provenance"],
        make_forecasters=_forecasters(tree, source, law_class),
    )


def _forecasters(
    tree: xarray.DataTree, source: str, law: type[Law]
) -> Callable[[], tuple[Posterior, ...]] | None:
    """What gives the saved forecasters; a law from elsewhere may be theirs too."""
    found = _numbered(tree, source, FORECASTER, law)
    return (lambda: found) if found else None


def _drift(history: dict[str, Any]) -> DampedTrend | None:
    saved = history.get("drift")
    if saved is None:
        return None
    unsaid = {"initial": 0.0, "quieter": ()}  # what drifts of earlier formats were
    return DampedTrend(**{k: _tuples(v) for k, v in {**unsaid, **saved}.items()})


def _effects(history: dict[str, Any]) -> Effects | None:
    saved = history.get("effects")
    if saved is None:
        return None
    return Effects(**saved) if isinstance(saved, dict) else Effects(saved)


def _arrays(node: Any) -> dict[str, np.ndarray]:
    return {str(name): variable.to_numpy() for name, variable in node.data_vars.items()}


def _unescaped(texts: np.ndarray) -> np.ndarray:
    return np.asarray([str(text).encode().decode("unicode_escape") for text in texts])


def _trusted_law(saved: str, source: str, given: type[Law] | str | None) -> type[Law]:
    if given is not None:
        law = get_law(given)
        if saved not in _names(law):
            raise InputError(Problem(source, f"it is a fit of {saved!r}, not of {law.name!r}"))
        return law
    if saved in LAWS:
        return LAWS[saved]
    raise InputError(
        Problem(source, f"it is a fit of the law {saved!r}, which is not one of the package's",
                "a file does not decide what code is loaded",
                f"give the law: --law {saved} (law=...)")
    )  # fmt: skip


def _priors(saved: dict[str, dict[str, Any]]) -> dict[str, Prior]:
    known = {
        cls.__name__: cls
        for cls in (
            prior_types.LogNormal,
            prior_types.Beta,
            prior_types.ShiftedGamma,
            prior_types.Normal,
            prior_types.StudentT,
            prior_types.StudentTMixture,
        )
    }
    return {
        name: known[values["type"]](**{k: _tuples(v) for k, v in values.items() if k != "type"})
        for name, values in saved.items()
    }


def _tuples(value: Any) -> Any:
    """A value with tuples where JSON has lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
