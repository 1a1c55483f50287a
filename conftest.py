"""Fixtures: one real fit a session, a synthetic posterior where only plumbing is tested."""

import os
from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

TRUTH = {"E": 1.8, "A": 480.0, "B": 2000.0, "alpha": 0.35, "beta": 0.365}


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory):
    """Compiled programs of the session, apart from the user's."""
    folder = tmp_path_factory.mktemp("cache", numbered=True)
    folder.chmod(0o700)
    os.environ["BAYESCALE_CACHE"] = str(folder)
    os.environ["BAYESCALE_FAST"] = "1"  # fewer draws in notebooks
    return folder


def find_data() -> Path | None:
    candidates = [os.environ.get("BAYESCALE_DATA"), Path(__file__).parent / "../shared/data"]
    return next((Path(c) for c in candidates if c and Path(c).is_dir()), None)


@pytest.fixture(scope="session")
def public_data():
    folder = find_data()
    if folder is None:
        pytest.skip("the public tables of runs are not here; set BAYESCALE_DATA to their folder")
    return folder


def simulate(n=48, sigma=0.006, seed=3, truth=TRUTH, nu=None):
    """Runs from the Chinchilla law on a spread design, with Gaussian or Student-t scatter."""
    generator = np.random.default_rng(seed)
    N = 10 ** generator.uniform(7.5, 9.5, n)
    D = N * 10 ** generator.uniform(0.4, 2.3, n)
    mean = truth["E"] + truth["A"] * N ** -truth["alpha"] + truth["B"] * D ** -truth["beta"]
    scatter = generator.standard_normal(n) if nu is None else generator.standard_t(nu, n)
    return {"params": N, "tokens": D, "loss": mean * np.exp(sigma * scatter)}


@pytest.fixture(scope="session")
def table():
    return simulate()


@pytest.fixture(scope="session")
def runs(table):
    from bayescale import Runs

    return Runs.read(table)


@pytest.fixture(scope="session")
def csv(table, tmp_path_factory):
    """The simulated runs as a file with odd column names."""
    import pandas

    path = tmp_path_factory.mktemp("runs") / "my runs.csv"
    frame = pandas.DataFrame(table).rename(
        columns={"params": "size", "tokens": "seen", "loss": "ppl"}
    )
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def fit(runs):
    """The one real fit that tests of plumbing share."""
    import bayescale

    return bayescale.fit(runs, seed=1)


@pytest.fixture(scope="session")
def chinchilla_runs(public_data):
    from bayescale import Runs

    return Runs.read(public_data / "chinchilla.csv", where="epoch_dropped == 0")


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla_runs):
    import bayescale

    return bayescale.fit(chinchilla_runs, seed=0)


@pytest.fixture
def synthetic(runs):
    """A posterior without sampling: draws about the truth, and healthy statistics."""
    return synthetic_posterior(runs)


def synthetic_posterior(runs, chains=4, draws=250, law="chinchilla", noise="student-t", **stats):
    import jax

    from bayescale.laws import get_law
    from bayescale.model import model_spec, reference_of
    from bayescale.noise import get_noise
    from bayescale.posterior import Posterior

    spec = model_spec(get_law(law), get_noise(noise))
    reference = reference_of(runs, spec.law.inputs)
    generator = np.random.default_rng(0)
    shape = (chains, draws)
    coordinates = {}
    for c in spec.coordinates:
        centre = c.prior.quantile(0.5, reference)
        coordinates[c.name] = centre * np.exp(0.02 * generator.standard_normal(shape))
    with jax.enable_x64(True):
        built = jax.tree.map(np.asarray, spec.build(coordinates, reference))
    healthy = {
        "diverging": np.zeros(shape, bool),
        "energy": generator.standard_normal(shape),
        "num_steps": np.full(shape, 7),
        "accept_prob": np.full(shape, 0.8),
        "potential": generator.standard_normal(shape),
        "step_size": np.full(shape, 0.8),
        "reached_max_treedepth": np.zeros(shape, bool),
    }
    provenance = {"allowed": [], "seed": 0, "seconds": {"total": 1.0, "sampling": 0.5}}
    return Posterior(*built, coordinates, healthy | stats, spec, runs, reference, provenance)


def monte_carlo(draws):
    """Mean, its Monte Carlo error, sd and its error, gated by 400 effective draws."""
    from arviz_stats.base import array_stats

    draws = np.asarray(draws)
    ess = float(array_stats.ess(draws, method="mean", chain_axis=0, draw_axis=1))
    assert ess > 400
    sd = draws.std()
    kurtosis = np.mean((draws - draws.mean()) ** 4) / sd**4
    return draws.mean(), sd / np.sqrt(ess), sd, sd * np.sqrt((kurtosis - 1) / (4 * ess))
