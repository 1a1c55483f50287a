"""Priors: quantiles, which NumPy draws by, against densities of u, which NUTS moves in, and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayescale.errors import InputError
from bayescale.noise import NOISES
from bayescale.parameters import Coordinate
from bayescale.priors import Beta, LogNormal, ShiftedGamma, StudentT, StudentTMixture

REFERENCE = {"low_loss": 2.5}


class TwoTs:
    """Student-t of scale 0.1 with probability 0.4, else of scale 1."""

    parts = (0.6, stats.t(4)), (0.4, stats.t(4, scale=0.1))

    def cdf(self, x):
        return sum(share * part.cdf(x) for share, part in self.parts)

    def logpdf(self, x):
        return np.log(sum(share * part.pdf(x) for share, part in self.parts))


TWINS = {  # prior -> the distribution in SciPy that it is, or that it is a part of
    LogNormal(15.0, 0.9): stats.lognorm(0.9, scale=15.0),
    LogNormal(1.0, 0.15, relative_to="low_loss"): stats.lognorm(0.15, scale=2.5),
    LogNormal(0.36, 0.50, low=0.05, high=1.2): stats.lognorm(0.50, scale=0.36),
    LogNormal(0.25, 0.8, low=0.2, high=0.3): stats.lognorm(0.8, scale=0.25),
    LogNormal(0.9, 0.3, low=2.0, high=2.6, relative_to="low_loss"): stats.lognorm(0.3, scale=2.25),
    Beta(4, 1.7): stats.beta(4, 1.7),
    Beta(1, 1): stats.uniform(),
    ShiftedGamma(2.0, 0.1, shift=2.0): stats.gamma(2, 2, 10),
    ShiftedGamma(3.0, 2.0, shift=0.0): stats.gamma(3, 0, 0.5),
    StudentT(4.0): stats.t(4),
    StudentT(4.0, scale=0.3): stats.t(4, scale=0.3),
    StudentTMixture(4.0, ((0.6, 1.0), (0.4, 0.1))): TwoTs(),
}
PRIORS = list(TWINS)
MASSES = np.array([1e-6, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1 - 1e-6])

every_prior = pytest.mark.parametrize("prior", PRIORS, ids=str)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def log_density(prior, u):
    """Of unbounded values, an array of any shape."""
    return np.asarray(jax.jit(lambda u: prior.from_unbounded(u, REFERENCE)[1])(u))


def values(prior, u):
    return np.asarray(jax.jit(lambda u: prior.from_unbounded(u, REFERENCE)[0])(u))


def ends(prior):
    """Where the support ends."""
    if isinstance(prior, LogNormal):
        return prior.low or 0.0, prior.high or np.inf
    if isinstance(prior, StudentT | StudentTMixture):
        return -np.inf, np.inf
    return (0.0, 1.0) if isinstance(prior, Beta) else (prior.shift, np.inf)


@every_prior
def test_the_density_has_the_mass_between_quantiles(prior):
    places = prior.to_unbounded(prior.quantile(MASSES, REFERENCE), REFERENCE)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    half = np.diff(places)[:, None] / 2
    density = np.exp(log_density(prior, places[:-1, None] + half * (1 + nodes)))
    np.testing.assert_allclose((half * weights * density).sum(axis=1), np.diff(MASSES), rtol=1e-8)


@every_prior
def test_the_density_is_scipys_times_the_slope(prior):
    u = prior.to_unbounded(prior.quantile(MASSES, REFERENCE), REFERENCE)
    slope = jax.vmap(jax.jacfwd(lambda u: prior.from_unbounded(u, REFERENCE)[0]))(u)
    twin, x = TWINS[prior], values(prior, u)
    inside = twin.cdf(ends(prior)[1]) - twin.cdf(ends(prior)[0])
    expected = twin.logpdf(x) - np.log(inside) + np.log(slope)
    np.testing.assert_allclose(log_density(prior, u), expected, rtol=1e-11, atol=1e-11)


@every_prior
def test_to_unbounded_inverts_from_unbounded(prior):
    x = prior.quantile(np.sort([*MASSES, 1e-9, 0.3]), REFERENCE)
    u = prior.to_unbounded(x, REFERENCE)
    assert (np.diff(u) > 0).all()
    np.testing.assert_allclose(values(prior, u), x, rtol=1e-14)
    u = np.linspace(-6, 6, 49)
    np.testing.assert_allclose(prior.to_unbounded(values(prior, u), REFERENCE), u, atol=1e-11)


@every_prior
def test_all_quantiles_are_in_the_support(prior):
    low, *inner, high = prior.quantile(np.linspace(0, 1, 101), REFERENCE)
    np.testing.assert_allclose([low, high], ends(prior), rtol=1e-14, atol=0)
    assert np.isfinite(prior.to_unbounded(inner, REFERENCE)).all()
    with np.errstate(divide="ignore", invalid="ignore"):
        assert not np.isfinite(prior.to_unbounded(low * (1 + 1e-9 * (low < 0)) - 1e-9, REFERENCE))
        assert not np.isfinite(prior.to_unbounded(high * (1 + 1e-9), REFERENCE))


@every_prior
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_density_is_finite_far_out(prior, dtype):
    with jax.enable_x64(dtype == np.float64):
        u = jnp.linspace(-50, 50, 401, dtype=dtype)
        one = jax.value_and_grad(lambda u: prior.from_unbounded(u, REFERENCE)[::-1], has_aux=True)
        (density, x), gradient = jax.jit(jax.vmap(one))(u)
        low, high = ends(prior)
        assert density.dtype == gradient.dtype == x.dtype == dtype
        assert np.isfinite(density).all()
        assert np.isfinite(gradient).all()
        assert np.isfinite(x).all()
        assert ((x >= dtype(low) * (1 - 1e-6)) & (x <= dtype(high) * (1 + 1e-6))).all()
        assert (np.diff(x) >= 0).all()


@every_prior
def test_the_gradient_is_the_slope_of_the_density(prior):
    u, step = np.linspace(-8, 5, 53), 1e-4
    gradient = jax.vmap(jax.grad(lambda u: prior.from_unbounded(u, REFERENCE)[1]))(u)
    sides = [log_density(prior, u + k * step) for k in (-2, -1, 1, 2)]
    difference = np.dot([1, -8, 8, -1], sides) / (12 * step)
    np.testing.assert_allclose(gradient, difference, rtol=1e-8, atol=1e-8)


@every_prior
def test_the_centre_is_where_a_search_can_start(prior):
    centre = prior.centre(REFERENCE)
    low, high = prior.quantile([0.02, 0.98], REFERENCE)
    assert low < centre < high
    assert np.isfinite(log_density(prior, prior.to_unbounded(centre, REFERENCE)))


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
    u = plain.to_unbounded(plain.quantile(MASSES, {}), {})
    for ours, theirs in zip(
        prior.from_unbounded(u, REFERENCE), plain.from_unbounded(u, {}), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@every_prior
def test_a_new_reference_needs_no_new_compilation(prior):
    traces = []

    @jax.jit
    def from_unbounded(u, reference):
        traces.append(1)
        return prior.from_unbounded(u, reference)

    for low_loss in (2.4, 2.5):
        reference = {"low_loss": np.float64(low_loss)}
        u = np.float64(prior.to_unbounded(prior.quantile(0.4, reference), reference))
        direct = prior.from_unbounded(u, reference)
        np.testing.assert_allclose(from_unbounded(u, reference), direct, rtol=1e-12, atol=1e-14)
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


def test_bounds_far_above_the_centre_keep_their_digits():
    """As far above it as others are below: the mirror image has the same densities."""
    above = LogNormal(1.0, 0.1, low=2.3, high=3.0, relative_to="low_loss")
    below = LogNormal(1.0, 0.1, low=1 / 3.0, high=1 / 2.3, relative_to="low_loss")
    reference = {"low_loss": 1.0}
    u = np.linspace(-3, 3, 7)
    density = [np.asarray(p.from_unbounded(v, reference)[1]) for p, v in ((above, u), (below, -u))]
    assert np.isfinite(density[0]).all()
    np.testing.assert_allclose(density[0], density[1], rtol=1e-10)
    quantiles = above.quantile(MASSES, reference)
    np.testing.assert_allclose(quantiles, 1 / below.quantile(1 - MASSES, reference), rtol=1e-9)
