"""The density of the model against one in NumPy and SciPy, and against a model in NumPyro."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer.util import log_density
from scipy import stats

from bayescale.errors import InputError
from bayescale.laws import LAWS, Chinchilla, Power
from bayescale.model import ModelSpec, data_of, model_spec, prior_draws, reference_of, size_class
from bayescale.noise import NOISES, Gaussian, StudentT
from bayescale.priors import Beta, LogNormal, ShiftedGamma
from bayescale.runs import Runs

RUNS = Runs.read(
    {
        "N": [2e7, 5e7, 5e7, 2e8, 2e8, 9e8, 9e8],
        "D": [2e9, 1e9, 8e9, 2e9, 1.6e10, 9e9, 3e10],
        "x": [1.0, 3.0, 9.0, 27.0, 81.0, 243.0, 729.0],
        "loss": [3.96, 3.71, 3.42, 3.31, 2.94, 2.71, 2.60],
        "loss_se": [0.0, 0.01, 0.02, 0.0, 0.05, 0.0, 0.001],
    }
)
LOW_LOSS = reference_of(RUNS, ("N", "D"))["low_loss"]
POINTS = 100
USUAL = {law.name: law for law in LAWS.values() if law.usual}
OF_LOSSES = [noise for noise in NOISES.values() if not noise.counts]
BOTH = list(itertools.product(USUAL.values(), OF_LOSSES))

every_model = pytest.mark.parametrize(
    ("law", "noise"), BOTH, ids=[f"{law.name}-{noise.name}" for law, noise in BOTH]
)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def truncated(distribution, low, high):
    """Log density of a distribution of scipy inside (low, high), normalised there."""
    mass = distribution.cdf(high) - distribution.cdf(low)
    return lambda x: np.where(
        (x > low) & (x < high), distribution.logpdf(x) - np.log(mass), -np.inf
    )


def lognormal(median, sd_log):
    return stats.lognorm(sd_log, scale=median)


# Log densities of the default priors, as they were chosen, and not as the package declares them.
OPTIMUM_PRIORS = {
    "L_opt": lognormal(LOW_LOSS, 0.15).logpdf,
    "share_E": stats.beta(4, 1.7).logpdf,
    "M_opt": lognormal(15, 0.9).logpdf,
}
LAW_PRIORS = {
    "chinchilla": OPTIMUM_PRIORS
    | {
        "alpha": truncated(lognormal(0.30, 0.40), 0.05, 1.2),
        "beta": truncated(lognormal(0.36, 0.50), 0.05, 1.2),
    },
    "coupled": OPTIMUM_PRIORS
    | {
        "k_alpha": truncated(lognormal(0.30, 0.40), 0.05, 1.2),
        "k_beta": truncated(lognormal(0.36, 0.50), 0.05, 1.2),
        "k": truncated(lognormal(0.6, 0.5), 0.15, 1.5),
    },
    "power": {
        "L_ref": lognormal(reference_of(RUNS, ("x",))["low_loss"], 0.3).logpdf,
        "share_E": stats.uniform().logpdf,
        "alpha": truncated(lognormal(0.25, 0.8), 0.005, 3.0),
    },
}
NOISE_PRIORS = {
    "student-t": {
        "sigma": lognormal(0.006, 0.8).logpdf,
        "nu": stats.gamma(2, loc=2, scale=10).logpdf,
    },
    "student-t-trend": {
        "sigma": lognormal(0.006, 0.8).logpdf,
        "nu": stats.gamma(2, loc=2, scale=10).logpdf,
        "trend": stats.t(4, scale=0.3).logpdf,
    },
    "gaussian": {"sigma": lognormal(0.006, 0.8).logpdf},
    "laplace": {"sigma": lognormal(0.006, 0.8).logpdf},
    "one-sided": {
        "sigma": lognormal(0.006, 0.8).logpdf,
        "excess": lognormal(0.006, 1.2).logpdf,
    },
}


def sum_of_powers(c, alpha, beta, total):
    """S at the runs, by its ratio to S at the optimum of the reference budget."""
    centre = np.exp(np.log(RUNS.N * RUNS.D).mean())
    share = beta / (alpha + beta)
    n, d = np.sqrt(centre / c["M_opt"]), np.sqrt(centre * c["M_opt"])
    return total * (share * (n / RUNS.N) ** alpha + (1 - share) * (d / RUNS.D) ** beta)


def chinchilla(c):
    E = c["share_E"] * c["L_opt"]
    return E + sum_of_powers(c, c["alpha"], c["beta"], c["L_opt"] - E)


def coupled(c):
    E, k = c["share_E"] * c["L_opt"], c["k"]
    inner = sum_of_powers(c, c["k_alpha"] / k, c["k_beta"] / k, 1.0)
    return E + (c["L_opt"] - E) * inner**k


def power(c):
    E, centre = c["share_E"] * c["L_ref"], 27.0
    return E + (c["L_ref"] - E) * (centre / RUNS["x"]) ** c["alpha"]


LOSSES = {"chinchilla": chinchilla, "coupled": coupled, "power": power}
SCATTERS = {
    "student-t": lambda c, scale: stats.t(c["nu"], scale=scale),
    "student-t-trend": lambda c, scale: stats.t(c["nu"], scale=scale),
    "gaussian": lambda c, scale: stats.norm(scale=scale),
    "laplace": lambda c, scale: stats.gennorm(1, scale=scale),  # stats.laplace underflows
    "one-sided": lambda c, scale: stats.exponnorm(c["excess"] / scale, scale=scale),
}


def twin(law, noise, coordinates):
    """Log density of the model, in NumPy and SciPy; coordinates of shape (points,)."""
    priors = LAW_PRIORS[law.name] | NOISE_PRIORS[noise.name]
    assert priors.keys() == coordinates.keys()
    c = {name: values[:, None] for name, values in coordinates.items()}
    logs = np.log10(RUNS["x"] if law.inputs == ("x",) else RUNS.N * RUNS.D)
    sigma = c["sigma"] * np.exp(c.get("trend", 0.0) * (logs.max() - logs))
    scale = np.sqrt(sigma**2 + (RUNS.loss_se / RUNS.loss) ** 2)
    residual = np.log(RUNS.loss) - np.log(LOSSES[law.name](c))
    prior = sum(priors[name](values) for name, values in coordinates.items())
    return prior + SCATTERS[noise.name](c, scale).logpdf(residual).sum(axis=1)


def points(spec, law):
    """Random points: draws of the default priors, whatever priors are in force."""
    reference = reference_of(RUNS, law.inputs)
    return prior_draws(ModelSpec(spec.law, spec.noise), reference, POINTS, seed=2)


@functools.lru_cache
def compiled(spec):
    """Of unbounded vectors: log density, coordinates, and the logarithm of the map's slope."""

    def one(u, data):
        slope = jnp.stack(list(jax.jacfwd(spec.constrain)(u, data.reference).values()))
        volume = jnp.linalg.slogdet(slope).logabsdet
        return spec.log_density(u, data), spec.constrain(u, data.reference), volume

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def density(spec, coordinates, data):
    """Log density of coordinates, and not of their unbounded values."""
    found, there, volume = compiled(spec)(spec.unconstrain(coordinates, data.reference), data)
    assert there.keys() == coordinates.keys()
    for name, values in coordinates.items():
        np.testing.assert_allclose(there[name], values, rtol=1e-14, err_msg=name)
    return np.asarray(found - volume)


@every_model
def test_density_is_the_twins(law, noise):
    spec = model_spec(law, noise)
    coordinates = points(spec, law)
    found = density(spec, coordinates, data_of(RUNS, law.inputs))
    np.testing.assert_allclose(found, twin(law, noise, coordinates), rtol=1e-10, atol=1e-10)


def plain_model(N, D, log_loss, relative_se, low_loss):
    """The Chinchilla law with Student-t scatter, as one would write it in NumPyro."""

    def bounded(median, sd_log):
        ends = {"low": np.log(0.05), "high": np.log(1.2)}
        normal = dist.TruncatedNormal(np.log(median), sd_log, **ends)
        return dist.TransformedDistribution(normal, dist.transforms.ExpTransform())

    L_opt = numpyro.sample("L_opt", dist.LogNormal(np.log(low_loss), 0.15))
    share_E = numpyro.sample("share_E", dist.Beta(4, 1.7))
    M_opt = numpyro.sample("M_opt", dist.LogNormal(np.log(15), 0.9))
    alpha = numpyro.sample("alpha", bounded(0.30, 0.40))
    beta = numpyro.sample("beta", bounded(0.36, 0.50))
    sigma = numpyro.sample("sigma", dist.LogNormal(np.log(0.006), 0.8))
    shift = dist.transforms.AffineTransform(2.0, 1.0)
    nu = numpyro.sample("nu", dist.TransformedDistribution(dist.Gamma(2.0, 0.1), shift))

    # At the geometric centre of N D, the optimum has D/N of M_opt, and equal alpha l_N and beta l_D.
    centre = jnp.exp((jnp.log(N) + jnp.log(D)).mean())
    n, d = jnp.sqrt(centre / M_opt), jnp.sqrt(centre * M_opt)
    E = L_opt * share_E
    A = (L_opt - E) * beta / (alpha + beta) * n**alpha
    B = (L_opt - E) * alpha / (alpha + beta) * d**beta
    loss = E + A / N**alpha + B / D**beta
    scale = jnp.hypot(sigma, relative_se)
    with numpyro.plate("runs", len(log_loss)):
        numpyro.sample("log_loss", dist.StudentT(nu, jnp.log(loss), scale), obs=log_loss)


def test_density_is_that_of_a_plain_numpyro_model():
    spec = model_spec(Chinchilla, StudentT)
    coordinates = points(spec, Chinchilla)
    data = RUNS.N, RUNS.D, np.log(RUNS.loss), RUNS.loss_se / RUNS.loss, LOW_LOSS
    assert RUNS.loss_se.any()
    plain = jax.jit(jax.vmap(lambda c: log_density(plain_model, data, {}, c)[0]))(coordinates)
    found = density(spec, coordinates, data_of(RUNS, ("N", "D")))
    np.testing.assert_allclose(found, plain, rtol=1e-10, atol=1e-10)


def padded(data, rows, junk):
    """The data with rows of weight 0 appended."""

    def grow(column, value):
        return np.concatenate([column, np.full(rows, value)])

    return data._replace(
        inputs={symbol: grow(column, junk) for symbol, column in data.inputs.items()},
        log_loss=grow(data.log_loss, junk),
        relative_se=grow(data.relative_se, junk),
        weight=grow(data.weight, 0.0),
    )


@pytest.mark.parametrize("law", USUAL.values(), ids=USUAL)
def test_padding_does_not_count(law):
    spec = model_spec(law, StudentT)
    data, coordinates = data_of(RUNS, law.inputs), points(spec, law)
    assert data.weight.tolist() == [1.0] * 7 + [0.0] * 9
    once = density(spec, coordinates, data)
    for rows, junk in [(16, 1.0), (16, 123.0)]:
        again = density(spec, coordinates, padded(data, rows, junk))
        np.testing.assert_allclose(again, once, rtol=1e-13, atol=1e-12)


def test_padding_does_not_enter_the_gradient():
    spec = model_spec(Chinchilla, StudentT)
    data = data_of(RUNS, ("N", "D"))
    u = spec.unconstrain(points(spec, Chinchilla), data.reference)
    gradient = jax.jit(jax.vmap(jax.grad(spec.log_density), in_axes=(0, None)))
    once, again = gradient(u, data), gradient(u, padded(data, 16, 123.0))
    assert np.isfinite(once).all()
    np.testing.assert_allclose(again, once, rtol=1e-9, atol=1e-9)


def test_a_run_of_weight_zero_is_a_run_left_out():
    spec = model_spec(Chinchilla, Gaussian)
    data, coordinates = data_of(RUNS, ("N", "D")), points(spec, Chinchilla)
    weight = data.weight.copy()
    weight[[1, 4]] = 0.0
    without = data_of(RUNS.take([0, 2, 3, 5, 6]), ("N", "D"))._replace(reference=data.reference)
    np.testing.assert_allclose(
        density(spec, coordinates, data._replace(weight=weight)),
        density(spec, coordinates, without),
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("name", "prior", "default", "chosen"),
    [
        ("alpha", LogNormal(0.5, 0.1), LAW_PRIORS["chinchilla"]["alpha"], lognormal(0.5, 0.1)),
        ("share_E", Beta(2, 3), LAW_PRIORS["chinchilla"]["share_E"], stats.beta(2, 3)),
        ("nu", ShiftedGamma(3, 0.2, 1), NOISE_PRIORS["student-t"]["nu"], stats.gamma(3, 1, 5)),
    ],
)
def test_an_override_changes_its_term_only(name, prior, default, chosen):
    spec, other = model_spec(Chinchilla, StudentT), model_spec(Chinchilla, StudentT, {name: prior})
    data, coordinates = data_of(RUNS, ("N", "D")), points(spec, Chinchilla)
    change = density(other, coordinates, data) - density(spec, coordinates, data)
    x = coordinates[name]
    np.testing.assert_allclose(change, chosen.logpdf(x) - default(x), rtol=1e-7, atol=1e-7)
    in_force = {c.name: c.prior for c in other.coordinates}
    assert in_force == {c.name: c.prior for c in spec.coordinates} | {name: prior}


def test_specs_are_values():
    priors = {"beta": LogNormal(0.4, 0.2), "alpha": LogNormal(0.5, 0.1)}
    one = model_spec(Chinchilla, StudentT, priors)
    other = model_spec(Chinchilla, StudentT, dict(reversed(priors.items())))
    assert one == other
    assert hash(one) == hash(other)
    assert one != model_spec(Chinchilla, StudentT)
    assert [c.name for c in one.coordinates][-2:] == ["sigma", "nu"]


@every_model
def test_unbounded_vectors_are_in_the_order_of_the_coordinates(law, noise):
    spec, reference = model_spec(law, noise), reference_of(RUNS, law.inputs)
    many = points(spec, law)
    u = spec.unconstrain(many, reference)
    assert u.shape == (POINTS, len(spec.coordinates))
    for i, c in enumerate(spec.coordinates):
        moved = spec.constrain(u[0] + np.eye(len(u[0]))[i], reference)
        for name, values in many.items():
            assert np.isclose(moved[name], values[0], rtol=1e-12) == (name != c.name)


def test_bad_priors_are_refused():
    message = r"priors: 'k' is not a coordinate of chinchilla with gaussian noise. Coordinates are "
    with pytest.raises(InputError, match=message + "L_opt, share_E, M_opt, alpha, beta, sigma"):
        model_spec(Chinchilla, Gaussian, {"k": LogNormal(0.6, 0.5)})
    with pytest.raises(InputError, match=r"prior of 'alpha' is 0.3. Give a bayescale.priors.Prior"):
        model_spec(Chinchilla, Gaussian, {"alpha": 0.3})


@pytest.mark.parametrize(
    ("n", "size"),
    [(1, 16), (16, 16), (17, 32), (245, 256), (256, 256), (131_072, 131_072), (131_073, 131_073)],
)
def test_size_class(n, size):
    assert size_class(n) == size


def test_data_keep_the_runs():
    data = data_of(RUNS, ("D", "N"))
    assert list(data.inputs) == ["D", "N"]
    np.testing.assert_array_equal(data.inputs["N"][:7], RUNS.N)
    np.testing.assert_array_equal(np.exp(data.log_loss[:7]).round(12), RUNS.loss)
    np.testing.assert_allclose(data.relative_se[:7] * RUNS.loss, RUNS.loss_se)
    arrays = [*data.inputs.values(), data.log_loss, data.relative_se, data.weight]
    assert all(a.shape == (16,) and a.dtype == np.float64 and np.isfinite(a).all() for a in arrays)
    assert data.reference.keys() == {"N", "D", "low_loss"}


def test_reference_is_the_geometric_centre_and_the_low_losses_near_it():
    N, D = np.array([1.0, 10.0, 10.0, 10.0, 100.0]), np.array([1.0, 1.0, 2.0, 0.5, 1.0])
    runs = Runs.read({"N": N, "D": D, "loss": [4.0, 3.0, 2.9, 3.2, 2.0]})
    reference = reference_of(runs, ("N", "D"))
    assert reference["N"] == pytest.approx(10.0)
    assert reference["D"] == pytest.approx(1.0)
    # The three runs of products 10, 20 and 5 are within a factor of 3 of 10.
    assert reference["low_loss"] == pytest.approx(2.9 + 0.2 * (3.0 - 2.9))
    assert reference_of(runs, ("D",)).keys() == {"D", "low_loss"}


def test_reference_takes_the_three_nearest_runs_where_the_centre_is_empty():
    runs = Runs.read({"x": [1e-6, 1e-5, 2e5, 1e6], "loss": [5.0, 4.0, 3.0, 2.0]})
    assert reference_of(runs, ("x",))["low_loss"] == pytest.approx(2.0 + 0.2 * 1.0)
    one = Runs.read({"x": [2.0], "loss": [3.0]})
    assert reference_of(one, ("x",)) == pytest.approx({"x": 2.0, "low_loss": 3.0})


def test_prior_draws_repeat_with_their_seed():
    spec, reference = model_spec(Power, Gaussian), reference_of(RUNS, ("x",))
    first, second, other = (prior_draws(spec, reference, 9, seed) for seed in (0, 0, 1))
    assert list(first) == ["L_ref", "share_E", "alpha", "sigma"]
    assert all(draws.shape == (9,) for draws in first.values())
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)
