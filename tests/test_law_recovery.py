"""Every law finds the parameters that made its runs, and its ranks are uniform over its prior."""

import jax
import numpy as np
import pytest
from law_designs import reference, runs, scattered

import bayescale
from bayescale.calibration import calibrate_prior
from bayescale.laws import LAWS, law_losses
from bayescale.model import ModelSpec, prior_draws
from bayescale.noise import Gaussian

SIGMA = 0.003
LARGEST = 1e36  # of what 32 bits hold, with room for its slope
OTHERS = {name: law for name, law in LAWS.items() if not law.usual}  # the usual: test_fit


every_other = pytest.mark.parametrize("law", OTHERS.values(), ids=OTHERS)
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def typical_law(law):
    """The law at the medians of its prior; fields of shape (1,)."""
    with jax.enable_x64(True):
        draws = prior_draws(ModelSpec(law, Gaussian), reference(law), 2000, seed=3)
        middle = {c.name: np.median(draws[c.name], keepdims=True) for c in law.coordinates}
        return jax.tree.map(np.asarray, law.from_coordinates(middle, reference(law)))


def simulated(law, count=120):
    """Runs of a typical law, and its parameters."""
    truth, points = typical_law(law), scattered(law, count)
    noise = SIGMA * np.random.default_rng(11).standard_normal(count)
    return runs(law, points, law_losses(truth, points)[0] * np.exp(noise)), truth


@pytest.mark.nightly
@every_other
def test_parameters_are_recovered(law, tmp_path):
    table, truth = simulated(law)
    posterior = bayescale.fit(table, law=law, noise="gaussian", drift="none", draws=2000, seed=0)
    print(posterior.diagnostics)
    assert posterior.diagnostics.verdict != "failed"
    found = posterior.diagnostics
    assert min(found.ess_bulk_min, found.ess_tail_min) >= 400
    with jax.enable_x64(True):
        at_truth = {
            name: float(np.squeeze(value))
            for name, value in truth.to_coordinates(posterior.reference).items()
        }
    for name, value in at_truth.items():
        draws = np.sort(posterior.coordinates[name].ravel())
        below = np.searchsorted(draws, value) / len(draws)
        # Four standard normal deviations, with room for the error of the share.
        assert below + 1 / found.ess_tail_min > 3e-5, name
        assert 1 - below + 1 / found.ess_tail_min > 3e-5, name
    losses = law_losses(posterior.flat_law(), {s: table[s] for s in law.inputs})
    fitted = np.log(np.median(losses, axis=0))
    assert np.std(table.log_loss - fitted) < 1.3 * SIGMA
    back = bayescale.load(posterior.save(tmp_path / "fit.nc"))
    for p in law.parameters():
        np.testing.assert_array_equal(getattr(back.law, p.name), getattr(posterior.law, p.name))
    assert back.runs.response == table.response


@pytest.mark.nightly
@every_other
def test_intervals_are_calibrated(law):
    table, _ = simulated(law, 48)
    result = calibrate_prior(table, law, "gaussian", replicates=200, seed=5)
    print(result)
    assert all(result.passed.values()), result
    assert result.dropped <= 0.05 * result.replicates


@every_law
def test_densities_in_32_bits_are_those_in_64(law):
    """Losses and their slopes, at draws of the prior; a sampler on an accelerator sees no more."""
    points = {s: column[:24] for s, column in scattered(law, 24).items()}
    draws = prior_draws(ModelSpec(law, Gaussian), reference(law), 20, seed=2)
    numbers = np.stack([draws[c.name] for c in law.coordinates], axis=1)
    with jax.enable_x64(True):  # draws whose parameters are themselves too large for 32 bits
        built = jax.vmap(lambda c: law.from_coordinates(c, reference(law)))(
            {c.name: draws[c.name] for c in law.coordinates}
        )
        sizes = np.abs([np.asarray(getattr(built, p.name)) for p in law.parameters()])
    fits = (sizes < LARGEST).all(axis=0)
    assert fits.mean() >= 0.9
    numbers = numbers[fits]

    def log_loss(point, x, constants):
        named = dict(zip([c.name for c in law.coordinates], point, strict=True))
        return jax.numpy.log(law.from_coordinates(named, constants).loss(x))

    both = []
    for bits, dtype in ((False, np.float32), (True, np.float64)):
        with jax.enable_x64(bits):
            cast = {s: column.astype(dtype) for s, column in points.items()}
            constants = {name: dtype(value) for name, value in reference(law).items()}
            function = jax.jit(
                jax.vmap(
                    lambda p, x=cast, c=constants: (
                        log_loss(p, x, c),
                        jax.jacfwd(log_loss)(p, x, c),
                    )
                )
            )
            both.append([np.asarray(a, dtype=np.float64) for a in function(numbers.astype(dtype))])
    (low, low_slope), (high, high_slope) = both
    assert np.isfinite(low).all()
    assert np.isfinite(low_slope).all()
    np.testing.assert_allclose(low, high, atol=2e-4)
    size = np.abs(high_slope).max(axis=1, keepdims=True)
    assert (np.abs(low_slope - high_slope) < 0.02 * size + 1e-3).all()
