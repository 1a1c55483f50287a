"""Priors: the quantiles, which NumPy draws by, against the densities, which NUTS moves in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayescale.errors import InputError
from bayescale.noise import NOISES
from bayescale.parameters import Coordinate
from bayescale.priors import Beta, LogNormal, ShiftedGamma

REFERENCE = {"low_loss": 2.5}
PRIORS = [
    LogNormal(15.0, 0.9),
    LogNormal(1.0, 0.15, relative_to="low_loss"),
    LogNormal(0.36, 0.50, low=0.05, high=1.2),
    LogNormal(0.25, 0.8, low=0.2, high=0.3),
    LogNormal(0.9, 0.3, low=2.0, high=2.6, relative_to="low_loss"),
    Beta(4, 1.7),
    Beta(1, 1),
    ShiftedGamma(2.0, 0.1, shift=2.0),
    ShiftedGamma(3.0, 2.0, shift=0.0),
]
MASSES = np.array([1e-6, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1 - 1e-6])

every_prior = pytest.mark.parametrize("prior", PRIORS, ids=str)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


@every_prior
def test_the_density_has_the_mass_between_quantiles(prior):
    density = jax.jit(lambda x: jnp.exp(prior.distribution(REFERENCE).log_prob(x)))
    ends = prior.quantile(MASSES, REFERENCE)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    half = np.diff(ends)[:, None] / 2
    mass = (half * weights * density(ends[:-1, None] + half * (1 + nodes))).sum(axis=1)
    np.testing.assert_allclose(mass, np.diff(MASSES), rtol=1e-8)


@every_prior
def test_all_quantiles_are_in_the_support(prior):
    low, *inner, high = prior.quantile(np.linspace(0, 1, 101), REFERENCE)
    support = prior.distribution(REFERENCE).support
    assert np.all(support(jnp.asarray(inner)))
    assert not support(low * (1 - 1e-9) - 1e-9)
    assert high == np.inf or not support(high * (1 + 1e-9))


@every_prior
def test_samples_are_of_the_same_distribution(prior):
    draws = prior.distribution(REFERENCE).sample(jax.random.key(0), (20_000,))
    for mass in (0.01, 0.1, 0.5, 0.9, 0.99):
        share = np.mean(draws < prior.quantile(mass, REFERENCE))
        assert abs(share - mass) < 4 * np.sqrt(mass * (1 - mass) / 20_000), mass


@every_prior
def test_the_centre_is_where_a_search_can_start(prior):
    centre = prior.centre(REFERENCE)
    low, high = prior.quantile([0.02, 0.98], REFERENCE)
    assert low < centre < high
    assert np.isfinite(prior.distribution(REFERENCE).log_prob(centre))


@every_prior
def test_priors_are_data(prior):
    again = eval(repr(prior), {type(prior).__name__: type(prior)})
    assert again == prior
    assert hash(again) == hash(prior)


def test_centres():
    assert LogNormal(0.3, 0.4).centre({}) == 0.3
    assert LogNormal(0.3, 0.4, low=0.05, high=1.2).centre({}) == 0.3
    assert LogNormal(2.0, 0.4, relative_to="low_loss").centre(REFERENCE) == 5.0
    assert Beta(3, 1).centre({}) == 0.75
    assert ShiftedGamma(2.0, 0.1, shift=2.0).centre({}) == 22.0


def test_quantiles_against_scipy():
    np.testing.assert_allclose(
        LogNormal(15.0, 0.9).quantile(MASSES, {}), stats.lognorm(0.9, scale=15).ppf(MASSES)
    )
    within = stats.norm(np.log(0.36), 0.5).cdf(np.log([0.05, 1.2]))
    np.testing.assert_allclose(
        LogNormal(0.36, 0.5, low=0.05, high=1.2).quantile(MASSES, {}),
        stats.lognorm(0.5, scale=0.36).ppf(within[0] + MASSES * np.diff(within)),
    )
    np.testing.assert_allclose(Beta(4, 1.7).quantile(MASSES, {}), stats.beta(4, 1.7).ppf(MASSES))
    np.testing.assert_allclose(
        ShiftedGamma(2, 0.1, shift=2).quantile(MASSES, {}), stats.gamma(2, 2, 10).ppf(MASSES)
    )


def test_relative_to_multiplies_the_median():
    prior, plain = LogNormal(0.8, 0.15, relative_to="low_loss"), LogNormal(2.0, 0.15)
    np.testing.assert_allclose(prior.quantile(MASSES, REFERENCE), plain.quantile(MASSES, {}))
    x = plain.quantile(MASSES, {})
    np.testing.assert_allclose(
        prior.distribution(REFERENCE).log_prob(x), plain.distribution({}).log_prob(x), rtol=1e-12
    )


@every_prior
def test_a_new_reference_needs_no_new_compilation(prior):
    traces = []

    @jax.jit
    def log_prob(x, reference):
        traces.append(1)
        return prior.distribution(reference).log_prob(x)

    for low_loss in (2.4, 2.5):
        reference = {"low_loss": np.float64(low_loss)}
        x = np.float64(prior.quantile(0.4, reference))
        direct = prior.distribution(reference).log_prob(x)
        np.testing.assert_allclose(log_prob(x, reference), direct, rtol=1e-12, atol=1e-14)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (LogNormal(15, 0.9), "LogNormal(median 15, sd of log 0.9)"),
        (
            LogNormal(0.25, 0.8, low=0.005, high=3),
            "LogNormal(median 0.25, sd of log 0.8) in (0.005, 3)",
        ),
        (
            LogNormal(1, 0.15, relative_to="low_loss"),
            "LogNormal(median low_loss, sd of log 0.15)",
        ),
        (
            LogNormal(0.8, 0.15, relative_to="low_loss"),
            "LogNormal(median 0.8 x low_loss, sd of log 0.15)",
        ),
        (Beta(4, 1.7), "Beta(4, 1.7)"),
        (ShiftedGamma(2, 0.1, shift=2), "2 + Gamma(2, 0.1)"),
    ],
)
def test_text(prior, text):
    assert str(prior) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogNormal(0.0, 0.4), r"median=0.0.*median and sd_log must be finite and above 0"),
        (lambda: LogNormal(0.3, -1), r"sd_log=-1.*median and sd_log must be finite and above 0"),
        (lambda: LogNormal(np.nan, 0.4), r"median=nan.*must be finite and above 0"),
        (lambda: LogNormal(0.3, np.inf), r"sd_log=inf.*must be finite and above 0"),
        (lambda: LogNormal(0.3, 0.4, low=0.1), r"low=0.1, high=None.*give both low and high"),
        (lambda: LogNormal(0.3, 0.4, high=0.1), r"low=None, high=0.1.*give both low and high"),
        (lambda: LogNormal(0.3, 0.4, low=1.2, high=0.05), r"0 < low < high must hold"),
        (lambda: LogNormal(0.3, 0.4, low=0, high=1), r"low=0, high=1.*0 < low < high must hold"),
        (lambda: LogNormal(0.3, 0.4, low=0.1, high=np.inf), r"high=inf.*high be finite"),
        (lambda: LogNormal(0.3, 0.4, low=0.5, high=1.2), r"median must lie between low and high"),
        (lambda: Beta(0, 1), r"Beta\(a=0, b=1\): a and b must be finite and above 0"),
        (lambda: Beta(1, np.nan), r"b=nan.*a and b must be finite and above 0"),
        (lambda: ShiftedGamma(-2, 0.1, 2), r"shape=-2.*shape and rate must be finite and above 0"),
        (lambda: ShiftedGamma(2, 0, 2), r"rate=0.*shape and rate must be finite and above 0"),
        (lambda: ShiftedGamma(2, 0.1, -1), r"shift=-1.*shift must be finite, and 0 or more"),
    ],
)
def test_invalid_arguments_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_every_prior_class_of_the_noise_models_is_tried():
    declared = [c for noise in NOISES.values() for c in noise.coordinates]
    assert all(isinstance(c, Coordinate) for c in declared)
    assert {type(c.prior) for c in declared} <= {type(prior) for prior in PRIORS}
