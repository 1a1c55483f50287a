"""Simulation-based calibration: truths drawn from the prior are where the posteriors say.

The ranks of the truths among the draws are uniform if and only if the sampler is right (Talts et al.,
arXiv:1804.06788). The log likelihood is ranked too, since a sampler that ignored the data would pass
on the parameters alone (Modrak et al., doi 10.1214/23-BA1404). Six faults are planted, to see that they
are found.
"""

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

from bayescale import Runs
from bayescale.calibration import bands, calibrate_prior
from bayescale.calibration.prior import from_prior
from bayescale.calibration.quantities import names
from bayescale.calibration.replicates import batch_settings, fit_all, rank_all
from bayescale.diagnostics import convergence
from bayescale.drift import DampedTrend
from bayescale.inference.batch_fit import BatchFit
from bayescale.inference.engine import draw_posterior, search, search_request
from bayescale.inference.nuts import Sampler
from bayescale.inference.programs import programs
from bayescale.laws import Chinchilla, get_law
from bayescale.model import ModelSpec, data_of, model_spec
from bayescale.noise import StudentT
from bayescale.priors import LogNormal

REPLICATES = 500
FALSE_ALARM = 1e-3  # of a whole test: all its quantities together
MOST_DROPPED = 0.05
SPEC = model_spec(Chinchilla, StudentT)


def design(inputs=("N", "D"), count=32):
    """Runs spread over two decades of N and of D/N; their losses matter as the prior's reference only."""
    generator = np.random.default_rng(7)
    N = 10 ** generator.uniform(7.5, 9.5, count)
    columns = {"N": N, "D": N * 10 ** generator.uniform(0.4, 2.3, count)}
    return Runs(np.full(count, 3.0), columns if inputs == ("N", "D") else dict.fromkeys(inputs, N))


def made(spec, count, seed=8):
    runs = design(spec.law.inputs)
    return from_prior(spec, data_of(runs, spec.law.inputs, spec.drift), count, seed)


def p_values(ranks, spec):
    return dict(zip(names(spec), map(bands.p_value, ranks.T), strict=True))


def failing(ranks, spec=SPEC):
    """The quantities whose ranks are not uniform, all of them tested together."""
    found = p_values(ranks, spec)
    return {name for name, p in found.items() if p <= FALSE_ALARM / len(found)}


def check(ranks, spec=SPEC):
    kept = np.isfinite(ranks).all(axis=1)
    print(f"{(~kept).sum()} of {len(kept)} replicates dropped")
    assert (~kept).sum() <= MOST_DROPPED * len(kept)
    assert not failing(ranks[kept], spec), p_values(ranks[kept], spec)


@pytest.fixture(scope="module")
def replicates():
    return made(SPEC, REPLICATES)


@pytest.fixture(scope="module")
def fits(replicates):
    return fit_all(SPEC, batch_settings("auto", 0), replicates)


def ranked(replicates, fits):
    return rank_all(replicates, fits, batch_settings("auto", 0).sets)[0]


def test_the_default_model_is_calibrated(replicates, fits):
    check(ranked(replicates, fits))


# Faults of the draws, planted in the same fits. ----------------------------------------------------------


def place(name):
    return [c.name for c in SPEC.coordinates].index(name)


def moments(fit):
    centre = fit.weights @ fit.u
    return centre, np.sqrt(fit.weights @ (fit.u - centre) ** 2)


def too_narrow(fit):
    centre, _ = moments(fit)
    return centre + 0.8 * (fit.u - centre)


def biased(fit):
    u = fit.u.copy()
    u[:, place("alpha")] += 0.3 * moments(fit)[1][place("alpha")]
    return u


def swapped(fit):
    u, (a, b) = fit.u.copy(), (place("alpha"), place("beta"))
    u[:, [a, b]] = u[:, [b, a]]
    return u


@pytest.mark.parametrize("fault", [too_narrow, biased, swapped])
def test_faults_of_the_draws_are_found(replicates, fits, fault):
    wrong = [replace(fit, u=fault(fit)) if fit.found else fit for fit in fits]
    ranks = ranked(replicates, wrong)
    assert failing(ranks[np.isfinite(ranks).all(axis=1)])


# Faults of the density that is sampled. ------------------------------------------------------------------


# For priors to be left out, every coordinate needs bounds or runs that bound it: nu has neither.
BOUNDED = model_spec(Chinchilla, StudentT, {"nu": LogNormal(6.0, 0.5, low=2.5, high=60.0)})


def slope(c, u, data):
    """Log of the derivative of a coordinate with respect to its unbounded value."""
    return jax.numpy.log(jax.grad(lambda v: c.prior.from_unbounded(v, data.reference)[0])(u))


@dataclass(frozen=True)
class PriorIgnored(ModelSpec):
    """All values of every coordinate are as likely."""

    def log_density(self, u, data):
        likelihood = self.log_likelihood(self.constrain(u, data.reference), data)
        return likelihood + sum(slope(c, u[i], data) for i, c in enumerate(self.beliefs))


@dataclass(frozen=True)
class LikelihoodIgnored(ModelSpec):
    def log_density(self, u, data):
        every = enumerate(self.beliefs)
        return sum(c.prior.from_unbounded(u[i], data.reference)[1] for i, c in every)


@dataclass(frozen=True)
class WrongJacobian(ModelSpec):
    """The derivative of the map of nu is left out."""

    def log_density(self, u, data):
        i = len(self.beliefs) - 1
        return super().log_density(u, data) - slope(self.beliefs[i], u[i], data)


@pytest.mark.parametrize(
    ("fault", "spec", "caught"),
    [
        (ModelSpec, SPEC, None),
        (PriorIgnored, BOUNDED, "nu"),
        # The prior's own draws: nothing else can tell.
        (LikelihoodIgnored, SPEC, "log_likelihood"),
        (WrongJacobian, SPEC, "nu"),
    ],
)
def test_faults_of_the_density_are_found(replicates, fault, spec, caught):
    """By importance sampling alone, which spares compiling the chains of each fault."""
    mine = replicates if spec is SPEC else made(spec, REPLICATES)
    wrong = fault(spec.law, spec.noise, spec.priors)
    ranks = ranked(mine, fit_all(wrong, batch_settings("laplace-is", 0), mine))
    kept = np.isfinite(ranks).all(axis=1)
    assert kept.sum() > REPLICATES / 2
    found = failing(ranks[kept], spec)
    assert (caught in found) if caught else not found
    if fault is LikelihoodIgnored:
        assert found == {caught}


# Other models, and other samplers. -----------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("law", "noise", "drift", "count"),
    [
        ("chinchilla", "student-t", None, 2000),
        ("coupled", "student-t", None, 2000),
        ("power", "student-t", None, 2000),
        ("chinchilla", "student-t-trend", DampedTrend(), 2000),
        ("coupled", "student-t-trend", DampedTrend(), 2000),
    ],
)
def test_every_model_is_calibrated(law, noise, drift, count):
    law = get_law(law)
    runs = design(law.inputs)
    result = calibrate_prior(runs, law, noise, drift=drift, replicates=count, seed=9)
    print(result)
    assert all(result.passed.values()), result
    assert result.dropped <= MOST_DROPPED * result.replicates


@pytest.mark.nightly
def test_single_fits_are_calibrated(replicates):
    found = []
    with jax.enable_x64(True):
        for i, one in enumerate(replicates.data[:200]):
            out, _ = draw_posterior(SPEC, Sampler(draws=250), one, chains=4, seed=i)
            u = out["unbounded"].reshape(-1, len(SPEC.coordinates))
            mixing = convergence({str(k): out["unbounded"][..., k] for k in range(u.shape[1])})
            equal = np.full(len(u), 1 / len(u))
            found.append(BatchFit("nuts", u, equal, np.nan, mixing.ess_bulk_min, mixing, 0))
    few = replace(replicates, truths=replicates.truths[:200], data=replicates.data[:200])
    ranks = ranked(few, found)
    assert not failing(ranks), p_values(ranks, SPEC)


def test_a_plain_laplace_approximation_is_not(replicates):
    places = []
    with jax.enable_x64(True):
        (program,) = programs(search_request(SPEC, replicates.data[0]))
        for i in range(200):
            minima, _ = search(SPEC, program, replicates.data[i], seed=i)
            mode, scale = (array[0] for array in minima.whitening())
            sd = np.sqrt((scale**2).sum(axis=1))
            places.append(stats.norm.cdf((replicates.truths[i] - mode) / sd))
    found = [bands.p_value(column) for column in np.array(places).T]
    assert min(found) <= FALSE_ALARM / len(found)


@pytest.mark.nightly
def test_intervals_cover_a_law_that_is_right(monkeypatch):
    """Promised at 50, 80, 90 and 95%: within the exact 99.9% band of a binomial; the truth stays."""
    folder = Path(__file__).parents[1] / "benchmarks" / "calibration"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("coverage_benchmark", folder / "run.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = benchmark.own(benchmark.TRUTHS["well-specified"], 1000)
    for name in benchmark.OWN:
        kept = np.isfinite(found[name])
        assert kept.sum() >= (1 - MOST_DROPPED) * len(kept)
        for level, share in benchmark.coverage(found[name]).items():
            low, high = stats.binom(kept.sum(), level).interval(0.999)
            assert low <= share * kept.sum() <= high, (name, level, share)
    clustered = benchmark.own(benchmark.TRUTHS["clustered"], 100)
    assert benchmark.coverage(clustered["alpha"])[0.9] < 0.6  # what effects of runs are for
