"""Noise: NumPy's scatter and the density are one distribution, and scipy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, erfcx, gammaln

import bayescale
from bayescale.errors import InputError
from bayescale.noise import (
    NOISES,
    Gaussian,
    Laplace,
    Noise,
    OneSided,
    StudentT,
    StudentTTrend,
    get_noise,
    log_gamma_ratio,
)
from bayescale.noise.one_sided import log_far_tail
from conftest import TRUTH, simulate

TWINS = {  # noise and scale -> the distribution in scipy
    "student-t": lambda noise, scale: stats.t(noise.nu, scale=scale),
    "student-t-trend": lambda noise, scale: stats.t(noise.nu, scale=scale),
    "gaussian": lambda noise, scale: stats.norm(scale=scale),
    "laplace": lambda noise, scale: stats.laplace(scale=scale),
    "one-sided": lambda noise, scale: stats.exponnorm(noise.excess / scale, scale=scale),
}
EXAMPLES = [
    StudentT(sigma=0.006, nu=2.2),
    StudentT(0.02, 40.0),
    StudentTTrend(0.006, 4.0, 0.3),
    Gaussian(0.006),
    Laplace(0.006),
    OneSided(0.006, 0.01),
]
VALUES = {"sigma": 0.01, "nu": 4.0, "trend": -0.2, "excess": 0.02, "rho": 0.01}
SE = np.array([0.0, 0.001, 0.008, 0.05])

every_example = pytest.mark.parametrize("noise", EXAMPLES, ids=repr)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def twin(noise, se):
    return TWINS[noise.name](noise, np.sqrt(noise.sigma**2 + se**2))


def assert_shares(draws, distribution):
    """The share of draws below each quantile, within 4 binomial standard errors."""
    for mass in (0.005, 0.1, 0.5, 0.8, 0.995):
        share = np.mean(draws < distribution.ppf(mass), axis=0)
        assert (np.abs(share - mass) < 4 * np.sqrt(mass * (1 - mass) / len(draws))).all(), mass


OF_LOSSES = {name: noise for name, noise in NOISES.items() if not noise.counts}


def test_every_noise_is_tried():
    assert {type(noise) for noise in EXAMPLES} == set(OF_LOSSES.values())


@every_example
def test_density_is_scipys(noise):
    residual = np.linspace(-0.3, 0.3, 41)[:, None]
    density = noise.log_density(residual, SE)
    np.testing.assert_allclose(density, twin(noise, SE).logpdf(residual), rtol=1e-12, atol=1e-12)


EXTREMES = [StudentT(1e-4, 2.0), StudentT(0.5, 1e6), OneSided(0.05, 1e-5), OneSided(1e-4, 0.5)]


@pytest.mark.parametrize("noise", [*EXAMPLES, *EXTREMES], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_density_is_finite_far_out(noise, dtype):
    with jax.enable_x64(dtype == np.float64):
        noise, se = jax.tree.map(lambda value: jnp.asarray(value, dtype), (noise, SE))
        function = jax.jit(
            jax.value_and_grad(lambda n, r, se: n.log_density(r, se).sum(), argnums=(0, 1))
        )
        for residual in (0.0, 1e-12, 1e-3, 1.0, 20.0, -20.0):
            found = jax.tree.leaves(function(noise, dtype(residual), se))
            assert all(leaf.dtype == dtype and np.isfinite(leaf) for leaf in found), residual


@pytest.mark.parametrize("first", [1.0, 1.25, 1.5, 2.0, 2.7, 9.3])
def test_log_gamma_ratio_is_scipys(first):
    # Two large log-gammas lose digits to each other; from small arguments the recurrence
    # Gamma(x + 1) = x Gamma(x) leads on without that. The logarithm is zero near 1.23.
    steps = np.unique(np.geomspace(1, 1e6, 60).astype(int) - 1)
    factors = np.log1p(0.5 / (first + np.arange(steps[-1])))
    expected = gammaln(first + 0.5) - gammaln(first)
    expected = expected + np.array([np.sum(factors[:n]) for n in steps])
    found = jax.jit(log_gamma_ratio)(first + steps)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=5e-15)
    slope = jax.vmap(jax.grad(log_gamma_ratio))(first + steps)
    expected = digamma(first + steps + 0.5) - digamma(first + steps)
    np.testing.assert_allclose(slope, expected, rtol=1e-13, atol=1e-14)


@every_example
def test_scatter_is_scipys(noise):
    draws = noise.scatter(np.random.default_rng(0), np.broadcast_to(SE, (40_000, 4)))
    assert draws.shape == (40_000, 4)
    assert draws.dtype == np.float64
    assert_shares(draws, twin(noise, SE))


@pytest.mark.parametrize("noise", OF_LOSSES.values(), ids=OF_LOSSES)
def test_scatter_of_posterior_draws(noise):
    # Fields of shape (draws, 1) and known errors of shape (runs,).
    fields = {name: np.full((40_000, 1), value) for name, value in VALUES.items()}
    drawn = noise(**{p.name: fields[p.name] for p in noise.parameters()})
    scatter = drawn.scatter(np.random.default_rng(1), SE)
    assert scatter.shape == (40_000, 4)
    one = noise(**{p.name: float(fields[p.name][0, 0]) for p in noise.parameters()})
    assert_shares(scatter, twin(one, SE))


@every_example
def test_scatter_is_of_one_run_and_repeats_with_its_seed(noise):
    first, second = (noise.scatter(np.random.default_rng(3), 0.0) for _ in range(2))
    assert np.shape(first) == ()
    assert first == second


@every_example
def test_known_errors_enter_the_scale(noise):
    known = 10 * noise.sigma
    draws = noise.scatter(np.random.default_rng(5), np.full(40_000, known))
    if type(noise) is OneSided:  # the excess keeps its own scale
        assert_shares(draws, twin(noise, known))
    else:
        assert_shares(draws / np.sqrt(101), twin(noise, 0.0))


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_declarations(noise):
    assert ".. math::" in noise.__doc__
    assert noise.counts or noise.equation in noise.__doc__.replace(r"\left", "").replace(
        r"\right", ""
    ).replace(r"\ ", " ")
    names = [p.name for p in noise.parameters()]
    assert names == [c.name for c in noise.coordinates]
    made = noise.from_coordinates({"alpha": 1.0, **VALUES})
    assert [getattr(made, name) for name in names] == [VALUES[n] for n in names]


def test_the_scale_changes_with_the_distance_below_the_largest_run():
    noise, below = StudentTTrend(0.006, 4.0, 0.5), np.array([0.0, 1.0, 2.5])
    residual = np.linspace(-0.1, 0.1, 21)[:, None]
    scale = np.sqrt((0.006 * np.exp(0.5 * below)) ** 2 + 0.004**2)
    there = stats.t(4.0, scale=scale)
    found = noise.log_density(residual, 0.004, below)
    np.testing.assert_allclose(found, there.logpdf(residual), rtol=1e-12)
    known = np.full((40_000, 3), 0.004)
    assert_shares(noise.scatter(np.random.default_rng(2), known, below), there)


@every_example
def test_only_a_trend_looks_at_the_distance(noise):
    densities = [float(noise.log_density(0.01, 0.0, below)) for below in (0.0, 2.0)]
    assert (densities[0] == densities[1]) == (type(noise) is not StudentTTrend)


def test_the_far_tail_of_a_normal_is_scipys():
    x = -np.geomspace(8, 1e6, 60)
    scaled = erfcx(-x / np.sqrt(2))
    np.testing.assert_allclose(log_far_tail(x), np.log(scaled / 2), rtol=1e-13)
    slope = jax.vmap(jax.grad(log_far_tail))(x)
    expected = x + np.sqrt(2 / np.pi) / scaled  # loses digits to its own difference
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-15 * 1e6)
    with jax.enable_x64(False):
        rough = log_far_tail(jnp.asarray(x, np.float32))
    np.testing.assert_allclose(rough, np.log(scaled / 2), rtol=1e-6)


@pytest.mark.parametrize("ratio", [1e-6, 1e-3, 0.1, 1.0, 10.0, 1e3])
def test_one_sided_scatter_in_32_bits(ratio):
    """From hardly any excess to hardly any scatter, within 8 sd or 8 means."""
    sigma, excess = 0.01, 0.01 * ratio
    r = np.concatenate([np.linspace(-8 * sigma, 8 * sigma, 81), np.linspace(0, 8 * excess, 81)])
    expected = OneSided(sigma, excess).log_density(r, 0.0)
    with jax.enable_x64(False):
        found = OneSided(sigma, excess).log_density(r.astype("f4"), 0.0)
        assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-4)
    limit = stats.norm(scale=sigma) if ratio == 1e-6 else stats.expon(scale=excess)
    if ratio == 1e-6:
        np.testing.assert_allclose(expected, limit.logpdf(r), atol=1e-4)
    if ratio == 1e3:
        inside = r > 8 * sigma
        np.testing.assert_allclose(expected[inside], limit.logpdf(r[inside]), atol=1e-5)


def test_found_by_name_or_class():
    for name, noise in NOISES.items():
        assert get_noise(name) is noise is get_noise(noise)
    assert issubclass(get_noise("gaussian"), Noise)
    message = r"noise: 'normal' is not a noise model. Use one of student-t, student-t-trend, gauss"
    with pytest.raises(InputError, match=message):
        get_noise("normal")


def undertuned(seed):
    """200 runs, 30% of them undertuned: six of ten in the larger half, none in the smaller."""
    generator = np.random.default_rng([seed, 1])  # not the stream that made N
    table = simulate(n=200, sigma=0.003, seed=seed)
    some = (table["params"] > 10**8.5) & (generator.uniform(size=200) < 0.6)
    table["loss"] = table["loss"] * np.exp(0.02 * generator.standard_exponential(200) * some)
    return table


@pytest.mark.nightly
def test_the_law_of_tuned_runs_is_recovered():
    """A symmetric scatter takes what large undertuned runs lose for a property of the law."""
    tables = [undertuned(seed) for seed in range(200)]
    table = {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}
    table["study"] = np.repeat(np.arange(200), 200)
    shares, shifts = {}, {}
    for noise in ("one-sided", "student-t"):
        frame = bayescale.fit_many(table, "study", noise=noise, sets=50).to_frame()
        assert (frame["status"] == "ok").mean() > 0.9
        for name in ("alpha", "E"):
            lower, upper = frame[f"{name}_lower"], frame[f"{name}_upper"]
            error = (frame[f"{name}_median"] - TRUTH[name]) / frame[f"{name}_sd"]
            shares[noise, name] = ((lower < TRUTH[name]) & (TRUTH[name] < upper)).mean()
            shifts[noise, name] = error.mean()
    print(f"coverage {shares}, error in posterior sd {shifts}")
    for name in ("alpha", "E"):
        assert 0.84 < shares["one-sided", name] < 0.97, shares
        assert abs(shifts["one-sided", name]) < 0.6, shifts
        assert shifts["student-t", name] > 0.7, shifts
    assert shares["student-t", "alpha"] < shares["one-sided", "alpha"] - 0.03, shares
    assert shares["student-t", "E"] < 0.6, shares
