"""Jumps between modes: densities by SciPy, and the masses of two modes by quadrature."""

from typing import ClassVar

import jax
import numpy as np
import pytest
from scipy import stats

import bayescale
from bayescale import Runs
from bayescale.inference.batch import BatchSettings, fit_chunk
from bayescale.inference.jumping import (
    COMPONENTS,
    DEGREES,
    KEPT,
    LEAST_EFFECTIVE,
    Jumps,
    _effective,
    _tempered,
    fit_mixtures,
    fitted,
    make_jumps,
    weighted,
)
from bayescale.laws.base import Law
from bayescale.model import data_of, model_spec
from bayescale.noise import Gaussian
from bayescale.parameters import Coordinate, Values, parameter
from bayescale.priors import Normal
from conftest import monte_carlo

CENTRES, SDS, SHARES = (
    np.array([[-4.0, 0.0], [5.0, 2.0]]),
    np.array([0.5, 1.0]),
    np.array([0.3, 0.7]),
)


class TwoFaced(Law):
    r"""A law with two modes: m and -m are the same law, and only the prior tells them apart.

    .. math:: L = 2 + m^2 x^{-1/2}

    References
    ----------
    Made up for these tests.
    """

    name: ClassVar = "two-faced"
    title: ClassVar = "law with two modes"
    equation: ClassVar = r"L = 2 + m^2 x^{-1/2}"
    source: ClassVar = "none"
    inputs: ClassVar = ("x",)
    searches: ClassVar = 4

    m: Values = parameter("m", "root of the scale")

    coordinates: ClassVar = (Coordinate("m", Normal(0.5, 1.0), "m", "root of the scale"),)

    def loss(self, x):
        return 2.0 + self.m**2 * x["x"] ** -0.5

    @classmethod
    def from_coordinates(cls, coordinates, reference):
        return cls(m=coordinates["m"])

    def to_coordinates(self, reference):
        return {"m": self.m}


def log_target(u):
    """Two normals far from each other."""
    parts = [
        np.log(share) + stats.multivariate_normal(c, sd**2 * np.eye(2)).logpdf(u)
        for share, c, sd in zip(SHARES, CENTRES, SDS, strict=True)
    ]
    return np.logaddexp(*parts)


def density(u):
    return np.stack([log_target(mine) for mine in u])


@pytest.fixture(scope="module")
def mixture():
    """Fitted to what chains found that know the modes, and not their masses."""
    generator = np.random.default_rng(0)
    found = np.concatenate(
        [c + sd * generator.standard_normal((500, 2)) for c, sd in zip(CENTRES, SDS, strict=True)]
    )
    (mixture,) = fit_mixtures(density, [found], [generator])
    return mixture


def test_the_density_of_a_mixture_is_that_of_its_student_t_components(mixture):
    u = mixture.draw(50, np.random.default_rng(1))
    twin = np.sum(
        [
            share * stats.multivariate_t(centre, root @ root.T, df=DEGREES).pdf(u)
            for share, centre, root in zip(
                mixture.shares, mixture.centres, mixture.roots, strict=True
            )
        ],
        axis=0,
    )
    found = mixture.log_density(u)
    np.testing.assert_allclose(found - found[0], np.log(twin / twin[0]), atol=1e-9)
    with jax.enable_x64(True):
        one = jax.jit(jax.vmap(mixture.log_density_of_one))(u)
    np.testing.assert_allclose(one, found, atol=1e-9)


def test_the_mixture_comes_near_the_posterior(mixture):
    _, log_weights = weighted(density, [mixture], [np.random.default_rng(2)], 4000)
    assert _effective(log_weights[0]) > 0.8 * 4000
    left = mixture.centres[:, 0] < 0
    # Half of what chains found is on the left, and a part of the mixture stays as they found it.
    assert mixture.shares[left].sum() == pytest.approx(KEPT / 2 + (1 - KEPT) * SHARES[0], abs=0.02)
    spread = np.einsum("k,kij,klj->il", mixture.shares, mixture.roots, mixture.roots)
    map_ = mixture.whitening()
    np.testing.assert_allclose(map_.scale @ map_.scale.T, spread)
    assert spread[0, 0] < 1.5  # within the modes, which are 9 apart


def test_a_chain_in_a_mode_of_no_mass_leaves_it():
    """Two of four chains found a mode with 1e-9 of the mass; a mixture of the masses alone forgets it."""
    away = np.array([0.0, 9.0])

    def with_another(u):
        parts = [log_target(mine) for mine in u]
        little = [stats.multivariate_normal(away).logpdf(mine) + np.log(1e-9) for mine in u]
        return np.logaddexp(parts, little)

    generator = np.random.default_rng(9)
    found = np.concatenate([c + generator.standard_normal((500, 2)) for c in (*CENTRES, away)])
    (mixture,) = fit_mixtures(with_another, [found], [generator])
    near = np.linalg.norm(mixture.centres - away, axis=1) < 3
    assert KEPT / 6 < mixture.shares[near].sum() < KEPT / 2
    u, log_weights = weighted(with_another, [mixture], [generator], 2000)
    twice = np.stack([away, away])
    there = with_another(twice[None])[0, 0] - mixture.log_density(twice)[0]
    better = log_weights[0] > there + np.log(1e6)
    assert better.mean() > 0.6
    assert (u[0][better][:, 1] < 6).all()


def test_weights_are_tempered_until_enough_draws_are_effective():
    log_weights = 10 * np.random.default_rng(3).standard_normal(40_000)
    assert _effective(log_weights) < 10
    found = _tempered(log_weights)
    assert LEAST_EFFECTIVE <= _effective(found) < 3 * LEAST_EFFECTIVE
    np.testing.assert_allclose(found / found[0], log_weights / log_weights[0])
    np.testing.assert_array_equal(_tempered(0.1 * log_weights), 0.1 * log_weights)


def test_points_without_density_have_no_weight(mixture):
    """Far out a density may underflow, or be no number at all; neither stops the fit of a mixture."""

    def broken(u):
        found = density(u)
        found[:, ::3], found[:, 1::3] = -1.7e308, np.nan
        return found

    streams = [np.random.default_rng(8)]
    _, log_weights = weighted(broken, [mixture], streams, 300)
    assert np.isneginf(log_weights[0].reshape(-1, 3)[:, :2]).all()
    assert np.isfinite(log_weights[0, 2::3]).all()
    (again,) = fit_mixtures(broken, [mixture.draw(500, streams[0])], streams)
    assert np.isfinite(again.log_density(CENTRES)).all()
    nothing = np.full((1, 300), -1.7e308)
    (kept,) = fit_mixtures(
        lambda u: np.broadcast_to(nothing[:, :1], u.shape[:2]), [CENTRES], streams
    )
    assert np.isfinite(kept.log_density(CENTRES)).all()


def test_few_different_points_make_a_mixture_all_the_same():
    u = np.random.default_rng(4).standard_normal((3, 2))
    found = fitted(u, np.zeros(3), np.random.default_rng(5))
    assert found.shares.shape == (COMPONENTS,)
    assert found.shares.sum() == pytest.approx(1)
    assert np.isfinite(found.log_density(u)).all()


def test_a_chain_that_only_jumps_has_the_masses_of_the_modes(mixture):
    generator = np.random.default_rng(6)
    jumps = make_jumps(density, [mixture], [mixture.whitening()], [generator], 4, 2000)
    mode, scale = mixture.whitening()
    back = mode + jumps.proposals[0] @ scale.T
    there = log_target(back.reshape(-1, 2)).reshape(jumps.log_weights[0].shape)
    parts = mixture.log_density(back.reshape(-1, 2)).reshape(there.shape)
    np.testing.assert_allclose(jumps.log_weights[0], there - parts, atol=1e-8)

    def chain(c):
        def one(u, tried):
            at = Jumps(*tried, mixture).taken(u, tried_density(u))
            u = jax.numpy.where(at < 0, u, mode + scale @ tried[0][at])
            return u, u[0] < 0

        arrays = tuple(np.asarray(a[0, c]) for a in jumps[:3])
        return np.asarray(jax.lax.scan(one, jax.numpy.asarray(CENTRES[c % 2]), arrays)[1])

    def tried_density(u):
        normal = jax.scipy.stats.norm.logpdf
        parts = [
            np.log(share) + normal(u, c, sd).sum()
            for share, c, sd in zip(SHARES, CENTRES, SDS, strict=True)
        ]
        return jax.numpy.logaddexp(*parts)

    with jax.enable_x64(True):
        left = np.stack([chain(c) for c in range(4)]).astype(float)
    mean, error, *_ = monte_carlo(left)
    assert abs(mean - SHARES[0]) < 4 * error


SIGMA = 0.01


@pytest.fixture(scope="module")
def two_faced():
    """Runs, and the mass of the posterior below 0 by quadrature."""
    x = np.geomspace(1, 100, 24)
    scatter = np.exp(SIGMA * np.random.default_rng(7).standard_normal(24))
    runs = Runs.read({"x": x, "loss": (2 + 1.5**2 * x**-0.5) * scatter})
    spec = model_spec(TwoFaced, Gaussian)
    data = data_of(runs, ("x",))
    log_loss, prior = np.log(runs.loss), Gaussian.coordinates[0].prior
    sigma = np.geomspace(0.004, 0.03, 400)
    believed = stats.lognorm(prior.sd_log, scale=prior.median).pdf(sigma) * sigma

    def mass(low, high):
        m = np.linspace(low, high, 2001)
        residual = log_loss - np.log(2 + m[:, None] ** 2 * x**-0.5)
        fit = -0.5 * (residual**2).sum(axis=1)[:, None] / sigma**2 - 24 * np.log(sigma / SIGMA)
        given = np.exp(fit) * believed
        return (stats.norm(0.5, 1).pdf(m) * np.trapezoid(given, np.log(sigma), axis=1)).sum()

    below, above = mass(-1.7, -1.3), mass(1.3, 1.7)
    return runs, spec, data, below / (below + above)


def test_a_fit_of_two_modes_has_their_masses(two_faced):
    runs, _, _, below = two_faced
    assert 0.1 < below < 0.3
    fit = bayescale.fit(runs, law=TwoFaced, noise="gaussian", drift="none", seed=0)
    assert fit.provenance["jumping"]
    assert fit.diagnostics.verdict != "failed", str(fit.diagnostics)
    mean, error, *_ = monte_carlo(np.asarray(fit.law.m) < 0)
    assert abs(mean - below) < 4 * error
    np.testing.assert_allclose(np.abs(fit.law.m), 1.5, atol=0.1)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_batch_of_two_modes_has_their_masses(two_faced, bits):
    _, spec, data, below = two_faced
    settings = BatchSettings(sets=2, bits=bits)
    one, other = fit_chunk(spec, settings, ["one", "other"], [data, data])
    for fit in (one, other):
        assert fit.method == "jumping"
        assert fit.divergences == 0
        mean, error, *_ = monte_carlo(fit.u[:, 0].reshape(4, -1) * 1.0 + 0.5 < 0)
        assert abs(mean - below) < 4 * error
    (alone,) = fit_chunk(spec, settings, ["other"], [data])
    np.testing.assert_array_equal(alone.u, other.u)
