"""Maximum likelihood against published point fits, and against SciPy."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from bayescale import point_estimate


def test_laplace_maximum_reproduces_besiroglu_et_al(chinchilla_runs):
    law = point_estimate(chinchilla_runs, noise="laplace").law
    published = {"A": 6.17796, "B": 7.64273, "E": 0.59711}  # logs, from the authors' notebook
    for name, value in published.items():
        assert abs(np.log(getattr(law, name)) - value) < 5e-5, name
    assert abs(law.alpha - 0.34781) < 5e-5
    assert abs(law.beta - 0.36585) < 5e-5


def test_gaussian_maximum_is_least_squares_of_log_loss(runs):
    estimate = point_estimate(runs, noise="gaussian")
    law = estimate.law

    def residuals(p):
        E, A, B = np.exp(p[:3])
        return np.log(runs.loss) - np.log(E + A * runs.N ** -p[3] + B * runs.D ** -p[4])

    start = [np.log(law.E), np.log(law.A), np.log(law.B), law.alpha, law.beta]
    best = least_squares(residuals, np.add(start, 0.02), x_scale="jac", xtol=1e-14, ftol=1e-14)
    assert np.isclose((residuals(start) ** 2).sum(), 2 * best.cost, rtol=1e-6)
    assert np.isclose(estimate.noise.sigma, np.sqrt(2 * best.cost / len(runs)), rtol=1e-4)


def test_least_absolute_deviations_cannot_be_improved(runs):
    law = point_estimate(runs, noise="laplace").law
    values = np.array([law.E, law.A, law.B, law.alpha, law.beta])

    def total(p):
        return np.abs(
            np.log(runs.loss) - np.log(p[0] + p[1] * runs.N ** -p[3] + p[2] * runs.D ** -p[4])
        ).sum()

    least = total(values)
    generator = np.random.default_rng(0)
    for size in (1e-2, 1e-3, 1e-4, 1e-5):
        for _ in range(200):
            assert total(values * (1 + size * generator.standard_normal(5))) >= least - 1e-9


def test_the_estimate_says_that_it_is_a_point(runs):
    estimate = point_estimate(runs, noise="student-t")
    assert "a point, without uncertainty" in repr(estimate)
    assert estimate.to_json()["n_runs"] == len(runs)
    assert estimate.to_json()["parameters"]["alpha"] == pytest.approx(estimate.law.alpha)
