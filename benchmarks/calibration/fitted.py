"""What both tables of coverage share: fits of studies in chunks, counts of ranks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from truths import Truth

from bayescale.calibration.replicates import SETS
from bayescale.inference.batch import BatchSettings, fit_chunk
from bayescale.inference.batch_fit import BatchFit
from bayescale.laws import get_law
from bayescale.model import Data, ModelSpec, data_of, model_spec
from bayescale.noise import get_noise

LEVELS = (0.5, 0.8, 0.9, 0.95)


def model_of(truth: Truth) -> ModelSpec:
    """The model of the parameters, as `bayescale.fit` has it by default."""
    options = {"law": "chinchilla", "noise": "student-t", "drift": None, **truth.options}
    return model_spec(
        get_law(options["law"]),
        get_noise(options["noise"]),
        drift=options["drift"],
        effects=options.get("effects"),
    )


def chunks(spec: ModelSpec, made, seed: int) -> Iterator[tuple[int, list[Data], list[BatchFit]]]:
    """Fit the studies; the place of the first of each chunk, its data and its posteriors."""
    settings = BatchSettings(seed=seed, sets=SETS)
    for start in range(0, len(made), SETS):
        some = made[start : start + SETS]
        data = [data_of(study.runs, spec.law.inputs, spec.drift, spec.effects) for study in some]
        called = [f"study {start + i}" for i in range(len(some))]
        yield start, data, fit_chunk(spec, settings, called, data)


def coverage(ranks: np.ndarray) -> dict[float, float]:
    kept = ranks[np.isfinite(ranks)]
    return {level: float(np.mean(np.abs(kept - 0.5) < level / 2)) for level in LEVELS}


def table(found: dict[str, list[tuple[str, np.ndarray]]], cell) -> list[str]:
    heads = [name for name, _ in next(iter(found.values()))]
    lines = ["| truth | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, columns in found.items():
        cells = [cell(r) if np.isfinite(r).any() else "" for _, r in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def every_level(ranks: np.ndarray) -> str:
    return " / ".join(f"{100 * share:.0f}" for share in coverage(ranks).values())
