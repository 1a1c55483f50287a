"""Increments of a drift as departures from what the runs suggest: the same posterior, easier to sample."""

import jax
import numpy as np
import pytest

from bayescale.centred import TYPICAL_SIGMA, Centred, CentredData
from bayescale.drift import DampedTrend
from bayescale.laws import Chinchilla, Coupled
from bayescale.model import data_of, model_spec
from bayescale.noise import StudentTTrend


@pytest.fixture(params=[Chinchilla, Coupled], ids=lambda law: law.name)
def centred(request, runs):
    spec = model_spec(request.param, StudentTTrend, None, DampedTrend())
    data = data_of(runs, spec.law.inputs, spec.drift)
    size = len(spec.coordinates)
    start = spec.unconstrain(
        {c.name: np.asarray(c.prior.centre(data.reference)) for c in spec.coordinates},
        data.reference,
    )
    points = start + 0.3 * np.random.default_rng(0).standard_normal((5, size))
    return Centred(spec), CentredData.of(data), points


def increments(centred, data, v):
    _, _, coordinates = centred.quantities(v, data)
    return np.array([coordinates[name] for name in centred.model.drift.names])


def test_the_increments_that_residuals_suggest(centred, runs):
    """By least squares, every increment held near 0 by a pseudo-observation of its prior's sd."""
    model, data, points = centred
    basis, n = data.runs.basis[: len(runs)], len(runs)
    knots = basis.shape[1]
    rows = np.vstack([basis / TYPICAL_SIGMA, np.eye(knots)])
    with jax.enable_x64(True):
        for v in points:
            law, _, _ = model.quantities(v, data)
            mean = np.log(model.law(**law).loss({s: runs[s] for s in ("N", "D")}))
            outcome = np.concatenate([(np.log(runs.loss) - mean) / TYPICAL_SIGMA, np.zeros(knots)])
            suggested, *_ = np.linalg.lstsq(rows, outcome, rcond=None)
            np.testing.assert_allclose(
                increments(model, data, v), v[-knots:] + suggested, rtol=1e-8, atol=1e-8
            )
    assert not data.projection[:, n:].any()


def test_the_density_is_the_models_and_the_map_keeps_volume(centred):
    model, data, points = centred
    knots = len(model.model.drift.names)

    def own(v):
        _, _, coordinates = model.quantities(v, data)
        moved = [coordinates[name] for name in model.model.drift.names]
        return jax.numpy.concatenate([v[:-knots], jax.numpy.stack(moved)])

    with jax.enable_x64(True):
        for v in points:
            expected = model.model.log_density(own(v), data.runs)
            assert float(model.log_density(v, data)) == pytest.approx(float(expected), rel=1e-12)
            sign, log_volume = np.linalg.slogdet(np.asarray(jax.jacfwd(own)(v)))
            assert (sign, log_volume) == (1.0, pytest.approx(0.0, abs=1e-9))


def test_rows_that_do_not_count_suggest_nothing(runs):
    data = data_of(runs, ("N", "D"), DampedTrend())
    weight = data.weight.copy()
    weight[3] = 0.0
    left = CentredData.of(data._replace(weight=weight))
    assert not left.projection[:, 3].any()
    assert left.projection[:, 4].any()
