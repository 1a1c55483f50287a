"""Simulation-based calibration: truths drawn from the prior are where the posteriors say.

The ranks of the truths among the draws are uniform if and only if the sampler is right (Talts et al.,
arXiv:1804.06788). The log likelihood is ranked too, since a sampler that ignored the data would pass
on the parameters alone (Modrak et al., doi 10.1214/23-BA1404).
"""

import jax
import numpy as np
import pytest
from scipy import stats

from bayescale.inference.batch import BatchSettings, fit_chunk
from bayescale.inference.engine import draw_posterior, search, search_request
from bayescale.inference.nuts import Sampler
from bayescale.inference.programs import programs
from bayescale.laws import Chinchilla
from bayescale.model import Data, model_spec, prior_draws
from bayescale.noise import StudentT

REPLICATES = 200
FALSE_ALARM = 1e-3  # of a whole test: all its quantities together
SPEC = model_spec(Chinchilla, StudentT)
NAMES = [*(c.name for c in SPEC.coordinates), "log_likelihood"]


def simulated():
    """Truths in unbounded coordinates, and a data set of 32 runs for each."""
    generator = np.random.default_rng(7)
    N = 10 ** generator.uniform(7.5, 9.5, 32)
    D = N * 10 ** generator.uniform(0.4, 2.3, 32)
    reference = {"N": np.exp(np.log(N).mean()), "D": np.exp(np.log(D).mean()), "low_loss": 3.0}
    truths = prior_draws(SPEC, reference, REPLICATES, seed=8)
    with jax.enable_x64(True):
        law, noise = SPEC.build({name: v[:, None] for name, v in truths.items()}, reference)
        loss = np.asarray(law.loss({"N": N, "D": D}))
    noise = jax.tree.map(np.asarray, noise)
    log_loss = np.log(loss) + noise.scatter(generator, np.zeros_like(loss))
    data = [
        Data(
            {"N": N, "D": D},
            row,
            np.zeros(32),
            np.ones(32),
            {name: np.float64(value) for name, value in reference.items()},
            np.zeros(32),
            np.empty((32, 0)),
            np.empty((32, 0)),
        )
        for row in log_loss
    ]
    return SPEC.unconstrain(truths, reference), data


@pytest.fixture(scope="module")
def replicates():
    return simulated()


@jax.jit
def log_likelihood(u, data):
    return jax.vmap(lambda u: SPEC.log_likelihood(SPEC.constrain(u, data.reference), data))(u)


def place(truth, u, weights, data, generator):
    """Where the truth stands among draws, as prior mass below it: coordinates and log likelihood."""
    with jax.enable_x64(True):
        drawn = np.asarray(log_likelihood(u, data))
        true = float(log_likelihood(truth[None], data)[0])
    columns = np.column_stack([u, drawn])
    target = np.append(truth, true)
    below = weights @ (columns < target)
    equal = weights @ (columns == target)
    return below + generator.uniform() * equal


def worst_p_value(places):
    """Smallest p-value of the Kolmogorov test of uniformity, times the number of quantities."""
    return min(stats.kstest(column, "uniform").pvalue for column in places.T) * places.shape[1]


def check(places):
    assert worst_p_value(places) > FALSE_ALARM, dict(zip(NAMES, places.mean(0), strict=True))
    inside = ((places > 0.05) & (places < 0.95)).sum(axis=0)
    low, high = stats.binom(REPLICATES, 0.9).ppf([FALSE_ALARM / 20, 1 - FALSE_ALARM / 20])
    assert np.all((inside >= low) & (inside <= high)), dict(zip(NAMES, inside, strict=True))


@pytest.fixture(scope="module")
def batch(replicates):
    _, data = replicates
    settings, names = BatchSettings(sets=50), [f"replicate {i}" for i in range(REPLICATES)]
    fits = []
    for i in range(0, REPLICATES, 50):
        fits += fit_chunk(SPEC, settings, names[i : i + 50], data[i : i + 50])
    return fits


def test_the_batch_is_calibrated(replicates, batch):
    truths, data = replicates
    generator = np.random.default_rng(1)
    assert all(fit.found for fit in batch)
    check(
        np.array(
            [
                place(t, f.u, f.weights, d, generator)
                for t, f, d in zip(truths, batch, data, strict=True)
            ]
        )
    )


def test_the_check_finds_intervals_that_are_too_narrow(replicates, batch):
    truths, data = replicates
    generator = np.random.default_rng(1)
    narrow = []
    for t, f, d in zip(truths, batch, data, strict=True):
        centre = f.weights @ f.u
        narrow.append(place(t, centre + 0.7 * (f.u - centre), f.weights, d, generator))
    assert worst_p_value(np.array(narrow)[:, :-1]) < FALSE_ALARM


@pytest.mark.nightly
def test_single_fits_are_calibrated(replicates):
    truths, data = replicates
    generator = np.random.default_rng(2)
    places = []
    with jax.enable_x64(True):
        for i, (truth, one) in enumerate(zip(truths, data, strict=True)):
            out, _ = draw_posterior(SPEC, Sampler(draws=250), one, chains=4, seed=i)
            u = out["unbounded"].reshape(-1, len(truth))
            places.append(place(truth, u, np.full(len(u), 1 / len(u)), one, generator))
    check(np.array(places))


def test_a_plain_laplace_approximation_is_not(replicates):
    truths, data = replicates
    places = []
    with jax.enable_x64(True):
        (program,) = programs(search_request(SPEC, data[0]))
        for i, (truth, one) in enumerate(zip(truths, data, strict=True)):
            minima, _ = search(SPEC, program, one, seed=i)
            mode, scale = (array[0] for array in minima.whitening())
            sd = np.sqrt((scale**2).sum(axis=1))
            places.append(stats.norm.cdf((truth - mode) / sd))
    assert worst_p_value(np.array(places)) < FALSE_ALARM
