"""Splits under constraints: published examples, brute force, and terms that cannot be kept."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from law_designs import reference
from scipy.optimize import brentq, minimize_scalar

import bayescale
from bayescale import InputError
from bayescale.allocation.allocating import _for_budgets
from bayescale.allocation.splitting import Terms, best_splits, cheapest_splits, reaching
from bayescale.laws import LAWS, Chinchilla
from bayescale.model import ModelSpec, prior_draws
from bayescale.noise import Gaussian
from conftest import synthetic_posterior

SARDANA = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.336, "beta": 0.283}
FIVE = ("chinchilla", "coupled", "bounded", "pearce-song", "kaplan-joint")


def fixed(**values):
    return Chinchilla(**{name: np.array([value]) for name, value in values.items()})


def drawn(name, count):
    law = LAWS[name]
    draws = prior_draws(ModelSpec(law, Gaussian), reference(law), count, seed=4)
    with jax.enable_x64(True):
        built = jax.vmap(lambda c: law.from_coordinates(c, reference(law)))(
            {c.name: draws[c.name] for c in law.coordinates}
        )
        return jax.tree.map(np.asarray, built)


@pytest.mark.parametrize(
    ("size", "inference", "best", "data", "saved"),
    [  # Sardana et al. 2023, arXiv:2401.00448: a model, the tokens it is run on, and what costs least
        (13e9, 2e12, 7e9, None, 0.17),
        (30e9, 1e13, 13.6e9, 2.84, 0.28),
        (70e9, 10e12, 41.6e9, None, 0.12),
        (7e9, 1e11, 6e9, 1.18, None),
    ],
)
def test_published_examples_of_inference(size, inference, best, data, saved):
    A, B, a, b = (SARDANA[name] for name in ("A", "B", "alpha", "beta"))
    tokens = (a * A / (b * B) * size**-a) ** (-1 / b)  # a A N^-a = b B D^-b at the optimum
    loss = SARDANA["E"] + A * size**-a + B * tokens**-b
    N, D, cost = cheapest_splits(fixed(**SARDANA), [loss], Terms(inference_tokens=inference))
    assert N[0, 0] == pytest.approx(best, rel=0.01)
    if data is not None:
        assert D[0, 0] / tokens == pytest.approx(data, abs=0.005)
    if saved is not None:
        spent = 6 * size * tokens + 2 * size * inference
        assert 1 - cost[0, 0] / spent == pytest.approx(saved, abs=0.006)


@pytest.mark.parametrize("name", FIVE)
def test_splits_agree_with_a_fine_grid(name):
    """1,000 draws: the grid's best point bounds the loss, and its neighbours bound N."""
    laws, budget, T = drawn(name, 1000), 3e21, 2e11
    terms = Terms(inference_tokens=T)
    N, D, loss, inside = best_splits(laws, [budget], terms)
    low, high = np.log(1.0), np.log(budget / (6 + 2 * T))
    log_n = np.linspace(low, high, 20_001)[:-1]
    tokens = (budget / np.exp(log_n) - 2 * T) / 6
    with jax.enable_x64(True):
        every = jax.jit(jax.vmap(lambda law: law.loss({"N": np.exp(log_n), "D": tokens})))
        grid = np.concatenate(
            [np.asarray(every(jax.tree.map(lambda f, i=i: f[i : i + 100], laws)))
             for i in range(0, 1000, 100)]
        )  # fmt: skip
    best, step = grid.argmin(axis=1), log_n[1] - log_n[0]
    assert (loss[:, 0] <= grid.min(axis=1) * (1 + 1e-12)).all()
    np.testing.assert_allclose(loss[:, 0], grid.min(axis=1), rtol=1e-6)
    away = np.abs(np.log(N[:, 0]) - log_n[best])
    assert (away[inside[:, 0]] < 1.5 * step).all()
    np.testing.assert_allclose(N[:, 0] * (6 * D[:, 0] + 2 * T), budget, rtol=1e-9)


@pytest.mark.parametrize("name", ["chinchilla", "coupled", "kaplan-joint", "bounded"])
def test_the_search_finds_the_closed_form(name):
    laws, budgets = drawn(name, 1000), np.geomspace(1e18, 1e26, 5)
    closed_form = best_splits(laws, budgets, Terms())
    search = best_splits(laws, budgets, Terms(), numeric=True)
    assert search.inside.all()
    for closed, searched in zip(closed_form, search, strict=True):
        np.testing.assert_allclose(searched, closed, rtol=1e-6)


@pytest.mark.parametrize("name", FIVE)
def test_the_cheapest_way_is_scipys(name):
    laws, T = drawn(name, 6), 5e11
    at_point = np.asarray(
        [
            float(jax.tree.map(lambda f, i=i: f[i], laws).loss({"N": 1e9, "D": 3e10}))
            for i in range(6)
        ]
    )
    for i in range(6):
        law = jax.tree.map(lambda f, i=i: f[i : i + 1], laws)
        one = jax.tree.map(lambda f, i=i: f[i], laws)

        def log_cost(log_n, one=one, target=at_point[i]):
            def short(log_d):
                return target - float(one.loss({"N": np.exp(log_n), "D": np.exp(log_d)}))

            with jax.enable_x64(True):
                if short(90.0) < 0:
                    return np.inf
                tokens = np.exp(brentq(short, -20.0, 90.0, xtol=1e-13))
            return np.log(np.exp(log_n) * (6 * tokens + 2 * T))

        grid = np.linspace(np.log(1e9) - 4, np.log(1e9) + 6, 41)
        costs = [log_cost(x) for x in grid]
        best = int(np.argmin(costs))
        expected = minimize_scalar(
            log_cost, bounds=(grid[max(best - 1, 0)], grid[min(best + 1, 40)]), method="bounded",
            options={"xatol": 1e-9},
        )  # fmt: skip
        N, D, cost = cheapest_splits(law, [at_point[i]], Terms(inference_tokens=T))
        assert np.log(cost[0, 0]) <= expected.fun + 1e-9
        assert np.log(cost[0, 0]) == pytest.approx(expected.fun, abs=1e-6)
        assert cost[0, 0] == pytest.approx(N[0, 0] * (6 * D[0, 0] + 2 * T), rel=1e-12)


@pytest.mark.parametrize("name", FIVE)
def test_a_target_undoes_a_budget(name):
    """1,000 draws: the least compute for the lowest loss of a budget, which a grid confirms, is it."""
    laws, T = drawn(name, 1000), 2e11
    for terms in (Terms(), Terms(inference_tokens=T)):
        best = best_splits(laws, [3e21], terms)
        assert best.inside.mean() > 0.9
        N, D, cost = (found[best.inside] for found in reaching(laws, best.loss, terms))
        np.testing.assert_allclose(cost, 3e21, rtol=1e-6)
        np.testing.assert_allclose(N, best.N[best.inside], rtol=1e-4)
        np.testing.assert_allclose(N * (6 * D + 2 * terms.inference_tokens), cost, rtol=1e-9)


def test_limits_bind():
    law = fixed(**SARDANA)
    free, _, _, inside = best_splits(law, [1e24], Terms())
    assert inside.all()
    N, D, _, inside = best_splits(law, [1e24], Terms(max_params=1e9))
    assert (N[0, 0], inside[0, 0]) == (pytest.approx(1e9), False)
    assert pytest.approx(1e24 / 6e9) == D[0, 0]
    N, D, _, _ = best_splits(law, [1e24], Terms(max_tokens=1e12))
    assert pytest.approx(1e12) == D[0, 0]
    assert free[0, 0] < N[0, 0] == pytest.approx(1e24 / 6e12)
    N, D, _, _ = best_splits(law, [1e24], Terms(max_params=1e9, max_tokens=1e12))
    assert (N[0, 0], D[0, 0]) == (pytest.approx(1e9), pytest.approx(1e12))  # the rest is not spent
    sizes = (1e9, 7e9, 7e10)
    N, _, loss, _ = best_splits(law, [1e21, 1e24], Terms(sizes=sizes))
    each = np.array([best_splits(law, [1e21, 1e24], Terms(params=size))[2][0] for size in sizes])
    np.testing.assert_allclose(loss[0], each.min(axis=0))
    assert N[0].tolist() == [sizes[i] for i in each.argmin(axis=0)]


# --- the function ---


@pytest.fixture(scope="module")
def posterior(runs):
    return synthetic_posterior(runs)


def test_tokens_of_inference_make_models_smaller(posterior):
    plain = bayescale.allocate(posterior, 1e22)
    served = bayescale.allocate(posterior, 1e22, inference_tokens=1e12)
    assert served.intervals["N"][0].median < plain.intervals["N"][0].median
    spent = served.draws["N"] * (6 * served.draws["D"] + 2e12)
    np.testing.assert_allclose(spent, 1e22, rtol=1e-9)
    assert "N (6 D + 2 T) (T = 1e12)" in served.table().caption
    assert served.to_json()["terms"] == {"inference_tokens": 1e12}


def test_draws_at_a_limit_are_told(posterior):
    middle = float(np.median(bayescale.allocate(posterior, 1e22).draws["N"]))
    found = bayescale.allocate(posterior, [1e20, 1e22], max_params=middle)
    assert found.at_limit == pytest.approx([0.0, 0.5], abs=0.01)
    assert found.to_json()["budgets"][1]["at_limit"] == found.at_limit[1]
    assert found.table().columns[-1].plain == "at a limit"


def test_a_law_that_has_no_best_split():
    """Its tokens are worth so little that the budget goes into size to the last."""
    poor = SimpleNamespace(
        parts=[(SimpleNamespace(flat_law=lambda: fixed(**{**SARDANA, "B": 1e-9})), 1.0)]
    )
    with pytest.raises(
        InputError, match=r"no split of 1e\+?22 FLOPs is best in 100% .* more param"
    ):
        _for_budgets(poor, np.array([1e22]), Terms(), numeric=True, allow_failed=False)


def test_the_cheapest_way_to_a_loss(posterior):
    best = bayescale.allocate(posterior, 1e23)
    target = best.intervals["loss"][0].median
    found = bayescale.allocate(posterior, target_loss=[target, target * 1.1])
    assert found.intervals["C"][0].median == pytest.approx(1e23, rel=0.05)
    assert found.intervals["C"][1].median < 1e23
    assert min(found.reached) > 0.99
    assert found.table().columns[-1].plain == "reached"
    said = found.to_json()["budgets"][0]
    assert said["target_loss"] == target
    assert {"C", "N", "D", "reached"} <= set(said)
    assert "Cheapest way to a loss" in repr(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "C, target_loss, target_error: none is given"),
        ({"C": 1e22, "target_loss": 2.0}, "C and target_loss are given"),
        ({"C": 1e22, "params": 1e9, "sizes": [1e9]}, "params, sizes: both are given"),
        ({"C": 1e22, "params": 1e10, "max_params": 1e9}, "the terms contradict each other"),
        ({"C": 1e22, "sizes": [1e10], "max_params": 1e9}, "no size allowed is below 1e10"),
        ({"C": 1e9, "params": 1e9}, "train no model that the terms allow"),
        (
            {"C": 1e22, "params": 1e10, "inference_tokens": 1e13},
            "train no model that the terms allow",
        ),
        ({"target_loss": 0.1}, "0.1 is out of reach in 100% of the draws"),
        ({"C": 1e22, "at": {"experts": 4}}, "has no other input experts"),
        ({"C": 1e22, "max_params": -1}, "max_params: it is -1"),
    ],
)
def test_terms_that_cannot_be_kept(posterior, options, message):
    with pytest.raises(InputError, match=message):
        bayescale.allocate(posterior, **options)


def test_other_inputs_are_given(runs):
    fit = bayescale.published("krajewski-2024")
    with pytest.raises(InputError, match=r"needs G \(granularity .*--at granularity="):
        bayescale.allocate(fit, 1e22)
    fine = bayescale.allocate(fit, 1e22, at={"G": 16})
    coarse = bayescale.allocate(fit, 1e22, at={"G": 1})
    assert fine.intervals["loss"][0].median < coarse.intervals["loss"][0].median
