"""Posteriors, mixtures and the groups of pooled fits as trees of arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.effects import Effects, label_of
from bayescale.laws import LAWS, Law
from bayescale.mixture import Mixture
from bayescale.posterior import Posterior
from bayescale.storage.files import save_tree
from bayescale.storage.formats import (
    FORECASTER,
    GROUP,
    LAW,
    MIXTURE_FORMAT,
    POOLED,
    POOLED_FORMAT,
    SAMPLE_AXES,
    STATS,
)

if TYPE_CHECKING:
    import xarray


def save(posterior: Posterior | Mixture, path: str | Path) -> Path:
    """Write a posterior or a mixture; see `Posterior.save`."""
    return save_tree(to_tree(posterior), path)


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


def _class_name(law: type[Law]) -> str:
    return law.name if LAWS.get(law.name) is law else f"{law.__module__}:{law.__qualname__}"


def _saved_effects(effects: Effects | None) -> str | dict[str, str] | None:
    """The label, as formats below 7 have it, unless scatter is correlated along something."""
    return asdict(effects) if effects is not None and effects.along else label_of(effects)
