"""Save and load posteriors and mixtures as netCDF: atomically, and without anything that can run code."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale import priors as prior_types
from bayescale.cache import default_mode
from bayescale.drift import DampedTrend
from bayescale.effects import Effects, label_of
from bayescale.errors import InputError, Problem
from bayescale.laws import LAWS, Law, get_law
from bayescale.mixture import Mixture
from bayescale.model import model_spec
from bayescale.noise import get_noise
from bayescale.posterior import Posterior
from bayescale.priors import Prior
from bayescale.runs import Runs
from bayescale.runs.roles import nearest

if TYPE_CHECKING:
    import xarray

# 1 has no drift, 2 a random walk of log loss, 3 damped trends and forecasters, 4 effects, 6 responses that
# are no losses, 7 effects along a run, 8 drifts whose slope is off at the largest run, 9 drifts of several
# kinds
FORMAT = 9
MIXTURE_FORMAT = 5  # of a file that holds a mixture; older versions read none
SAMPLE_AXES = ("chain", "draw")
STATS = "sample_stats"
FORECASTER = "forecaster"  # groups of this name, with a number, hold other posteriors;
LAW, GROUP = "law", "group"  # of these, the posteriors of a mixture and of a pooled fit
POOLED, POOLED_FORMAT = "bayescale_pooled", 1
NEW = "new"  # the name of the group of a pooled fit that was not seen


def save(posterior: Posterior | Mixture, path: str | Path) -> Path:
    """Write a posterior or a mixture; see `Posterior.save`."""
    return save_tree(to_tree(posterior), path)


def save_tree(tree: xarray.DataTree, path: str | Path) -> Path:
    """Write a tree, the whole or nothing; raises `InputError` where it cannot be written."""
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(
            Problem(str(path), f"there is no folder {str(path.parent)!r}", remedy="make it first")
        )
    try:
        _write(tree, path)
    except OSError as error:
        raise InputError(
            Problem(str(path), f"it cannot be written: {error.strerror or error}",
                    remedy="give the name of a file, in a folder that can be written to")
        ) from None  # fmt: skip
    return path


def _write(tree: xarray.DataTree, path: Path) -> None:
    """Write beside the file, then put the whole in its place."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        tree.to_netcdf(part, engine="h5netcdf")
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(part, default_mode())
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


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


def read_tree[T](path: str | Path, read: Callable[[xarray.DataTree], T]) -> T:
    """Return what a function reads from a saved tree; raises `InputError` where it cannot."""
    import xarray

    if not Path(path).is_file():
        raise InputError(
            Problem(str(path), "there is no such file", remedy="save a fit with -o FIT.nc first")
        )
    try:
        with xarray.open_datatree(path, engine="h5netcdf") as tree:
            return read(tree.load())
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise InputError(
            Problem(str(path), f"it is not a bayescale fit that can be read ({error})",
                    remedy="give a file that  bayescale fit ... -o FIT.nc  wrote")
        ) from None  # fmt: skip


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


def _check_format(history: Mapping[str, Any], latest: int, source: str) -> None:
    """Raise if a later version wrote the file."""
    if history["format"] > latest:
        raise InputError(
            Problem(source, f"its format is {history['format']} and this version reads up to {latest}",
                    remedy="update bayescale")
        )  # fmt: skip


def pooled_history(tree: xarray.DataTree, source: str) -> dict[str, Any]:
    """Return what a pooled fit says of itself; raises if a later version wrote it, or if it is none."""
    if POOLED not in tree.attrs:
        raise InputError(
            Problem(source, "it is a fit of one set of runs, and not a pooled one",
                    remedy="read it with load")
        )  # fmt: skip
    history = json.loads(tree.attrs[POOLED])
    _check_format(history, POOLED_FORMAT, source)
    return history


def groups_tree(
    posteriors: Sequence[Posterior], history: Mapping[str, Any], others: Mapping[str, Any]
) -> xarray.DataTree:
    """Return the posteriors of a pooled fit as one tree, the group not seen last.

    They have the sampler's statistics in common, which the first one holds.
    """
    import xarray

    root = json.dumps({"format": POOLED_FORMAT, **history}, default=_number)
    sections: dict[str, Any] = {"": xarray.Dataset(attrs={POOLED: root})}
    for name, arrays in others.items():
        sections[name] = _dataset(arrays)
    for i, posterior in enumerate(posteriors):
        mine = _with_forecasters(posterior)
        for name, dataset in mine.items():
            if i == 0 or not name.endswith(STATS):
                sections[f"{GROUP}_{i}/{name}".rstrip("/")] = dataset
    return xarray.DataTree.from_dict(sections)


def group_of(
    tree: xarray.DataTree, place: int, source: str, law: type[Law] | str | None
) -> Posterior:
    """Return the posterior that `groups_tree` put at this place."""
    import xarray

    first, mine = (tree.children[f"{GROUP}_{i}"].to_dict(relative=True) for i in (0, place))
    shared = {name: node for name, node in first.items() if name.endswith(STATS)}
    return from_tree(xarray.DataTree.from_dict({**shared, **mine}), source, law)


def to_tree(posterior: Posterior | Mixture) -> xarray.DataTree:
    """Return the posterior as a DataTree of arrays, its history as JSON text in the attributes."""
    import xarray

    if isinstance(posterior, Posterior):
        return xarray.DataTree.from_dict(_with_forecasters(posterior))
    history = {
        "format": MIXTURE_FORMAT,
        "weights": list(posterior.weights),
        "provenance": dict(posterior.provenance),
    }
    sections = {"": xarray.Dataset(attrs={"bayescale": json.dumps(history, default=_number)})}
    for i, part in enumerate(posterior.posteriors):
        sections |= _below(f"{LAW}_{i}", _with_forecasters(part))
    return xarray.DataTree.from_dict(sections)


def _with_forecasters(posterior: Posterior) -> dict[str, Any]:
    sections = _sections(posterior)
    if posterior.make_forecasters is not None:
        for i, model in enumerate(posterior.forecasters):
            sections |= _below(f"{FORECASTER}_{i}", _sections(model))
    return sections


def _below(group: str, sections: dict[str, Any]) -> dict[str, Any]:
    """The sections as parts of a group."""
    return {f"{group}/{name}".rstrip("/"): section for name, section in sections.items()}


def _dataset(draws: Mapping[str, Any]) -> xarray.Dataset:
    import xarray

    return xarray.Dataset({name: (SAMPLE_AXES, np.asarray(v)) for name, v in draws.items()})


def _sections(posterior: Posterior) -> dict[str, Any]:
    import xarray

    runs = posterior.runs
    constant: dict[str, Any] = {symbol: ("run", values) for symbol, values in runs.inputs.items()}
    constant |= {f"label_{name}": ("run", _escaped(v)) for name, v in runs.labels.items()}
    if runs.loss_se is not None:
        constant["loss_se"] = ("run", runs.loss_se)
    if runs.items is not None:
        constant["items"] = ("run", runs.items)
    if runs.places:
        constant["place"] = ("run", np.asarray(runs.places, dtype=str))
    history = {
        "format": _format(posterior),
        "law": _class_name(posterior.spec.law),
        "noise": posterior.spec.noise.name,
        "priors": {
            name: {"type": type(prior).__name__, **asdict(prior)}
            for name, prior in posterior.spec.priors
        },
        "drift": None if posterior.spec.drift is None else asdict(posterior.spec.drift),
        "effects": _saved_effects(posterior.spec.effects),
        "reference": dict(posterior.reference),
        "runs": {
            "loss_unit": runs.loss_unit,
            **({} if runs.response == "loss" else {"response": runs.response}),
            "source": runs.source,
            "columns": dict(runs.columns),
            "where": runs.where,
            "n_left_out": runs.n_left_out,
        },
        "provenance": dict(posterior.provenance),
    }
    root = xarray.Dataset(attrs={"bayescale": json.dumps(history, default=_number)})
    return {
        "": root,
        "posterior": _dataset(posterior.parameters),
        "coordinates": _dataset(posterior.coordinates),
        STATS: _dataset(posterior.stats),
        "observed_data": xarray.Dataset({"loss": ("run", runs.loss)}),
        "constant_data": xarray.Dataset(constant),
    }


def _format(posterior: Posterior) -> int:
    """The oldest format that says all, so that older versions read what they can."""
    drifts = [model.spec.drift for model in posterior.forecasters]
    if any(drift is not None and drift.quieter for drift in drifts):
        return 9
    if any(drift is not None and drift.initial for drift in drifts):
        return 8
    if posterior.spec.effects is not None and posterior.spec.effects.along:
        return 7
    if posterior.runs.response != "loss":
        return 6
    if posterior.spec.effects is not None:
        return 4
    return 1 if posterior.drift_name == "none" else 3


def _number(value: Any) -> Any:
    """A NumPy or JAX number, such as a seed from ``np.arange``, as JSON knows it."""
    return np.asarray(value).item()


def _escaped(texts: np.ndarray) -> np.ndarray:
    """Labels as ASCII text, since HDF5 holds neither NUL nor half a surrogate pair."""
    return np.asarray([str(text).encode("unicode_escape").decode() for text in texts])


def _unescaped(texts: np.ndarray) -> np.ndarray:
    return np.asarray([str(text).encode().decode("unicode_escape") for text in texts])


def _class_name(law: type[Law]) -> str:
    return law.name if LAWS.get(law.name) is law else f"{law.__module__}:{law.__qualname__}"


def _read(tree: xarray.DataTree, source: str, law: type[Law] | str | None) -> Posterior | Mixture:
    history = json.loads(tree.attrs["bayescale"])
    if "weights" not in history:
        return from_tree(tree, source, law)
    _check_format(history, MIXTURE_FORMAT, source)
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
    _check_format(history, FORMAT, source)
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
    quieter = tuple((share, scale) for share, scale in saved.get("quieter", ()))
    return DampedTrend(**{"initial": 0.0, **saved, "quieter": quieter})


def _saved_effects(effects: Effects | None) -> str | dict[str, str] | None:
    """The label, as formats below 7 have it, unless scatter is correlated along something."""
    return asdict(effects) if effects is not None and effects.along else label_of(effects)


def _effects(history: dict[str, Any]) -> Effects | None:
    saved = history.get("effects")
    if saved is None:
        return None
    return Effects(**saved) if isinstance(saved, dict) else Effects(saved)


def _arrays(node: Any) -> dict[str, np.ndarray]:
    return {str(name): variable.to_numpy() for name, variable in node.data_vars.items()}


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
        )
    }
    return {name: known[values.pop("type")](**values) for name, values in saved.items()}
