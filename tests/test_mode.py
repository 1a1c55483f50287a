"""The search for modes: against SciPy, JAX's own Hessian, and functions whose minima are known."""

import functools

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize, rosen, rosen_der

from bayescale import FailedFitError, Runs
from bayescale.datasets import load_dataset
from bayescale.drift import DampedTrend
from bayescale.inference.engine import APART, RIVAL, STARTS, chain_starts, search, search_request
from bayescale.inference.geometry import Whitening, negative_log_density, prior_points
from bayescale.inference.mode import (
    MANY,
    Minima,
    bound,
    curvature,
    evaluate_curvature,
    find_minima,
    joined,
    screen,
)
from bayescale.inference.programs import programs
from bayescale.laws import Bnsl2, Chinchilla, Coupled
from bayescale.model import data_of, model_spec
from bayescale.noise import StudentT, StudentTTrend
from conftest import simulate

SPECS = {law.name: model_spec(law, StudentT) for law in (Chinchilla, Coupled)}
FIELDS = ("u", "value", "gradient", "eigenvalues", "vectors", "converged")

both_laws = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


@functools.lru_cache
def data_sets():
    """Three of one size class: Gaussian scatter, heavy tails, and a real sweep's smaller runs."""
    sweep = load_dataset("byte-sweep")
    tables = [
        Runs.read(simulate()),
        Runs.read(simulate(n=60, sigma=0.005, seed=21, nu=3)),
        sweep.take(np.argsort(sweep.N * sweep.D)[:62]),
    ]
    return [data_of(runs, ("N", "D")) for runs in tables]


@functools.lru_cache
def compiled(spec, side_by_side=1):
    return jax.jit(functools.partial(evaluate_curvature, spec, side_by_side))


@functools.lru_cache
def derivatives(spec):
    """The function to minimise, its gradient and its Hessian, by JAX; compiled as one program."""
    function = negative_log_density(spec)
    every = jax.jit(
        lambda *at: (function(*at), jax.grad(function)(*at), jax.hessian(function)(*at))
    )
    return [lambda u, data, i=i: np.asarray(every(u, data)[i]) for i in range(3)]


def stack(datas):
    return jax.tree.map(lambda *arrays: np.stack(arrays), *datas)


def candidates(spec, data, seed=0, starts=STARTS):
    """Points of the prior, shape (starts, p + 1, p)."""
    size = len(spec.coordinates)
    mass = np.random.default_rng(seed).uniform(size=(starts * (size + 1), size))
    return prior_points(spec, data.reference, mass).reshape(starts, size + 1, size)


def minima_of(spec, datas, seed=0, starts=STARTS):
    evaluate = bound(compiled(spec), stack(datas))
    points = np.stack([candidates(spec, data, seed, starts) for data in datas])
    return find_minima(evaluate, screen(evaluate, points))


@functools.lru_cache
def found(spec):
    return minima_of(spec, data_sets())


def only(minima, i):
    return {name: getattr(minima, name)[i] for name in FIELDS}


def assert_same_bits(one, other):
    for name in FIELDS:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@both_laws
@pytest.mark.parametrize("i", range(3))
def test_the_lowest_minimum_is_the_one_that_scipy_finds(spec, i):
    minima, data = found(spec), data_sets()[i]
    value, gradient, hessian = (lambda u, f=f: f(u, data) for f in derivatives(spec))
    best, lowest = minima.u[i, minima.best[i]], minima.value[i].min()
    there = minimize(value, best, jac=gradient, method="BFGS")
    assert there.fun > lowest - 1e-9
    elsewhere = [
        minimize(value, start, jac=gradient, hess=hessian, method="trust-exact")
        for start in candidates(spec, data, seed=99)[:, 0]
    ]
    theirs = min(elsewhere, key=lambda result: result.fun)
    assert theirs.fun == pytest.approx(lowest, abs=1e-8)
    distance = theirs.x - best
    assert distance @ hessian(best) @ distance < 1e-6  # squared, in standard deviations


@both_laws
def test_gradient_and_curvature_are_those_of_jax(spec):
    minima = found(spec)
    assert minima.converged.all()
    assert minima.steps < 40
    for i, data in enumerate(data_sets()):
        for j in range(STARTS):
            u = minima.u[i, j]
            value, gradient, hessian = (f(u, data) for f in derivatives(spec))
            assert minima.value[i, j] == pytest.approx(value, rel=1e-12)
            assert gradient @ np.linalg.solve(hessian, gradient) / 2 < 1.1e-9
            left = minima.gradient[i, j] - gradient
            assert left @ np.linalg.solve(hessian, left) < 1e-12
            np.testing.assert_allclose(
                minima.eigenvalues[i, j], np.linalg.eigvalsh(hessian), rtol=1e-6
            )


@both_laws
def test_the_whitened_space_has_unit_curvature(spec):
    minima = found(spec)
    whitening = minima.whitening()
    assert whitening.scale.shape == (3, len(spec.coordinates), len(spec.coordinates))
    for i, data in enumerate(data_sets()):
        mode, scale = whitening.mode[i], whitening.scale[i]
        np.testing.assert_array_equal(mode, minima.u[i, np.argmin(minima.value[i])])
        curvature = scale.T @ derivatives(spec)[2](mode, data) @ scale
        np.testing.assert_allclose(curvature, np.eye(len(mode)), atol=1e-6)


@both_laws
def test_neighbours_do_not_matter_bit_for_bit(spec):
    minima = found(spec)
    for i, data in enumerate(data_sets()):
        assert_same_bits(only(minima, i), only(minima_of(spec, [data] * 3), (i + 1) % 3))


@pytest.mark.parametrize("rows", [slice(None), 5], ids=["all", "one"])
def test_a_data_set_of_nan_fails_alone(rows):
    spec = SPECS["chinchilla"]
    first, second, third = data_sets()
    log_loss = second.log_loss.copy()
    log_loss[rows] = np.nan
    broken = second._replace(log_loss=log_loss)
    minima = minima_of(spec, [first, broken, third])
    assert (minima.value[1] == np.inf).all()
    assert not minima.converged[1].any()
    for i in (0, 2):
        assert_same_bits(only(minima, i), only(found(spec), i))
    (program,) = programs(search_request(spec, broken))
    with pytest.raises(FailedFitError, match="no start of the search reached a finite posterior"):
        search(spec, program, broken, 0)


@pytest.mark.parametrize("side_by_side", [1, 4])
def test_points_are_evaluated_where_a_search_goes_on(side_by_side):
    spec, datas = SPECS["chinchilla"], data_sets()
    points = np.stack([candidates(spec, data)[:, 1] for data in datas])
    going = np.random.default_rng(1).uniform(size=(3, STARTS)) < 0.6
    found = bound(compiled(spec, side_by_side), stack(datas))(points, going)
    values, gradients, hessians = found
    assert 0 < going.sum() < going.size
    assert (values[~going] == np.inf).all()
    for i, data in enumerate(datas):
        for j in np.flatnonzero(going[i]):
            value, gradient, hessian = (f(points[i, j], data) for f in derivatives(spec))
            assert values[i, j] == pytest.approx(float(value), rel=1e-12)
            pairs = ((gradients[i, j], gradient), (hessians[i, j], hessian))
            assert all(np.abs(a - b).max() < 1e-9 * np.abs(b).max() for a, b in pairs)


def test_the_lowest_candidates_are_the_starts():
    points = np.random.default_rng(0).standard_normal((3, 4, 6, 2))
    values = (points**2).sum(-1)
    values[1, 2:] = np.nan
    values[2, 0] = np.inf
    parts = iter(np.moveaxis(values, -1, 0))
    starts = screen(lambda points, going: (next(parts), None, None), points)
    assert starts.shape == (3, 4, 2)
    for i in range(3):
        order = np.argsort(values[i].ravel())[:4]  # NaN comes last
        np.testing.assert_array_equal(starts[i], points[i].reshape(-1, 2)[order])


def test_prior_points_are_draws_of_the_prior_and_the_first_its_centre():
    spec, data = SPECS["chinchilla"], data_sets()[0]
    size = len(spec.coordinates)
    mass = np.random.default_rng(0).uniform(size=(2, 500, size))
    u = prior_points(spec, data.reference, mass)
    assert u.shape == mass.shape
    names = [c.name for c in spec.coordinates]
    normal = stats.norm(np.log(0.006), 0.8)  # of the logarithm of sigma, which is unbounded itself
    share = normal.cdf(u[:, 1:, names.index("sigma")])
    np.testing.assert_allclose(share, 1e-3 + 0.998 * mass[:, 1:, names.index("sigma")], rtol=1e-9)
    centre = spec.constrain(u[1, 0], data.reference)
    low_loss = data.reference["low_loss"]
    expected = (low_loss, 4 / 5.7, 15.0, 0.30, 0.36, 0.006, 22.0)
    assert centre == pytest.approx(dict(zip(names, expected, strict=True)))
    np.testing.assert_array_equal(u[0, 0], u[1, 0])


def test_hessians_of_many_coordinates_are_differences_and_agree_with_those_of_jax():
    """The coupled law with its drift and trend has more than so many; with 32 bits they stay exact."""
    spec = model_spec(Coupled, StudentTTrend, None, DampedTrend())
    assert len(spec.coordinates) > MANY
    data = data_of(Runs.read(simulate()), ("N", "D"), spec.drift)
    centre = spec.unconstrain(
        {c.name: np.asarray(c.prior.centre(data.reference)) for c in spec.coordinates},
        data.reference,
    )
    u = centre + 0.1 * np.random.default_rng(0).standard_normal(len(centre))
    exact = jax.jit(jax.hessian(negative_log_density(spec)))(u, data)
    value, gradient, hessian = jax.jit(curvature(spec))(u, data)
    assert float(value) == pytest.approx(float(negative_log_density(spec)(u, data)), rel=1e-12)
    np.testing.assert_allclose(gradient, jax.grad(negative_log_density(spec))(u, data), rtol=1e-9)
    size = np.sqrt(np.abs(np.outer(np.diag(exact), np.diag(exact))))
    assert (np.abs(hessian - exact) < 1e-6 * size + 1e-5).all()
    assert not np.array_equal(hessian, exact)
    with jax.enable_x64(False):
        narrow = jax.tree.map(lambda array: np.asarray(array, np.float32), data)
        rough = jax.jit(curvature(spec))(u.astype(np.float32), narrow)[2]
    assert (np.abs(rough - exact) < 2e-3 * size + 1e-2).all()


def plain(function, gradient):
    """NumPy functions of one point, as the search wants them; the Hessian by central differences."""

    def hessian(x):
        steps = 1e-5 * np.eye(len(x))
        return np.array([(gradient(x + s) - gradient(x - s)) / 2e-5 for s in steps])

    def evaluate(points, going):
        values = np.apply_along_axis(function, -1, points)
        gradients = np.apply_along_axis(gradient, -1, points)
        hessians = np.array([[hessian(x) for x in row] for row in points])
        return values, gradients, hessians

    return evaluate


def well(x):
    """Minima at (-1, 0) and (1, 0), and a saddle between them."""
    return (x[0] ** 2 - 1) ** 2 + 50 * x[1] ** 2


def well_slope(x):
    return np.array([4 * x[0] * (x[0] ** 2 - 1), 100 * x[1]])


def barrier(x):
    """Infinite outside of x > 0; its minimum is at 1."""
    return (x - np.log(x)).sum() if (x > 0).all() else np.inf


def barrier_slope(x):
    return 1 - 1 / x if (x > 0).all() else np.full_like(x, np.nan)


@pytest.mark.parametrize(
    ("function", "gradient", "start", "minimum"),
    [
        (rosen, rosen_der, [-1.2, 1.0], np.ones(2)),
        (well, well_slope, [1e-3, 0.4], [1.0, 0.0]),
        (well, well_slope, [-1e-3, -4.0], [-1.0, 0.0]),
        (well, well_slope, [30.0, 4.0], [1.0, 0.0]),
        (barrier, barrier_slope, [0.01, 50.0], np.ones(2)),
    ],
)
def test_minima_that_are_known(function, gradient, start, minimum):
    minima = find_minima(plain(function, gradient), np.array([[start]]))
    assert minima.converged.all()
    np.testing.assert_allclose(minima.u[0, 0], minimum, atol=1e-4)
    assert minima.value[0, 0] == pytest.approx(function(minima.u[0, 0]))
    assert (minima.eigenvalues > 0).all()


def test_a_descent_without_end_has_not_converged():
    minima = find_minima(plain(lambda x: -x.sum(), lambda x: -np.ones(2)), np.zeros((1, 1, 2)))
    assert not minima.converged.any()


def starts_of(spec, data, minima, chains):
    """Starts of chains, after their values and gradients were compared with JAX's."""
    whitening = jax.tree.map(lambda array: array[0], minima.whitening())
    starts = chain_starts(minima, whitening, chains)
    value, gradient, _ = derivatives(spec)
    assert len(starts) == chains
    for start in starts:
        u = whitening.mode + whitening.scale @ start.z
        assert start.value == pytest.approx(float(value(u, data)), rel=1e-10)
        np.testing.assert_allclose(start.gradient, gradient(u, data) @ whitening.scale, atol=1e-3)
    return starts


def test_chains_start_at_two_modes_where_there_are_two(chinchilla_runs):
    spec = SPECS["chinchilla"]
    runs = chinchilla_runs.take(np.arange(0, len(chinchilla_runs), 12))
    data = data_of(runs, ("N", "D"))
    assert len(runs) == 20
    starts = starts_of(spec, data, minima_of(spec, [data], starts=32), 4)
    first, second, *others = starts
    assert second.value - first.value == pytest.approx(0.456, abs=0.001)
    np.testing.assert_allclose(first.z, 0, atol=1e-9)
    assert np.linalg.norm(second.z) > 5
    assert all(np.array_equal(a.z, b.z) for a, b in zip(others, (first, second), strict=True))


def test_chains_start_at_the_mode_where_there_is_one():
    spec, data = SPECS["chinchilla"], data_sets()[0]
    starts = starts_of(spec, data, minima_of(spec, [data]), 3)
    assert all(np.array_equal(start.z, np.zeros(len(spec.coordinates))) for start in starts)


def test_rivals_are_near_in_density_and_apart_in_place():
    u = np.array([[3.0, 0.0], [0.0, 0.0], [0.0, 0.9 * APART], [0.0, 6.0], [9.0, 0.0], [0.0, 20.0]])
    value = np.array([1.0, 0.0, 0.1, RIVAL - 0.1, RIVAL + 0.1, np.inf])
    field = np.ones_like(u)
    minima = Minima(u[None], value[None], field[None], field[None], None, np.ones((1, 6), bool), 9)
    scale = np.diag([1.0, 2.0])
    starts = chain_starts(minima, Whitening(u[1], scale), 5)
    assert [start.value for start in starts] == [0.0, 1.0, RIVAL - 0.1, 0.0, 1.0]
    np.testing.assert_array_equal([s.z for s in starts[:3]], [[0, 0], [3, 0], [0, 3]])
    np.testing.assert_array_equal(starts[0].gradient, [1.0, 2.0])


def test_rounds_of_searches_are_joined_lowest_first():
    def minima(values):
        value = np.array([values])
        u = np.repeat(value[..., None], 2, axis=-1)
        vectors = np.broadcast_to(np.eye(2), (*value.shape, 2, 2))
        return Minima(u, value, u, u, vectors, np.isfinite(value), steps=len(values))

    rounds = [minima([5.0, np.inf]), minima([3.0, 5.0 + 1e-6, 9.0])]
    every = joined(rounds)
    np.testing.assert_array_equal(every.value, [[3.0, 5.0, 5.0 + 1e-6, 9.0, np.inf]])
    np.testing.assert_array_equal(every.u[0, :, 0], every.value[0])
    assert (every.best[0], every.steps) == (0, 3)
    np.testing.assert_array_equal(joined(rounds, 3).value, [[3.0, 5.0, 9.0]])  # no copies
    np.testing.assert_array_equal(joined(rounds, 4).value, [[3.0, 5.0, 9.0, np.inf]])
    assert joined(rounds[:1]) is rounds[0]


def test_laws_of_several_modes_are_searched_until_the_lowest_is_found():
    """One round of four starts misses it from one seed in five, by tens in log density."""
    truth = Bnsl2(a=1.5, b=30.0, c0=0.05, c1=0.9, d1=1e8, f1=0.2, c2=-0.6, d2=1e9, f2=0.2)
    generator = np.random.default_rng(0)
    x = np.exp(generator.uniform(np.log(3e7), np.log(3e9), 60))
    scatter = np.exp(0.003 * generator.standard_normal(60))
    runs = Runs.read({"x": x, "loss": np.asarray(truth.loss({"x": x})) * scatter})
    spec = model_spec(Bnsl2, StudentT)
    data = data_of(runs, ("x",), extremes=Bnsl2.extremes)
    (program,) = programs(search_request(spec, data))
    lowest = [search(spec, program, data, seed)[0].value.min() for seed in range(10)]
    assert np.ptp(lowest) < 1.0
