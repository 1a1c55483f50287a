"""Allocations: the optimum of each draw, in closed form, by search and by brute force."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from bayescale import FailedFitError, InputError, Runs, allocate, predict
from bayescale.allocation.terms import NOT_IDENTIFIED
from bayescale.laws import Chinchilla
from bayescale.units import FLOPS_PER_PARAMETER_TOKEN
from conftest import simulate, synthetic_posterior

GOPHER = 5.76e23  # FLOPs; the budget of Chinchilla and of Gopher
BUDGETS = np.array([1e19, GOPHER, 1e26])
NAMES = ["N", "D", "tokens_per_parameter", "loss"]
FORMULAS = {  # the papers' equations once more, in plain NumPy
    "chinchilla": lambda E, A, B, alpha, beta, N, D: E + A / N**alpha + B / D**beta,
    "coupled": lambda E, A, B, alpha, beta, k, N, D: E + (A / N**alpha + B / D**beta) ** k,
}

every_law = pytest.mark.parametrize("law", FORMULAS)


@pytest.fixture(scope="module")
def posteriors(runs):
    return {law: synthetic_posterior(runs, law=law) for law in FORMULAS}


@pytest.fixture(scope="module")
def posterior(posteriors):
    return posteriors["chinchilla"]


def of_constants(posterior, key):
    """A posterior of one draw, repeated: a published fit."""
    law = Chinchilla.from_published(key)
    repeated = {p.name: np.full(posterior.shape, getattr(law, p.name)) for p in law.parameters()}
    return replace(posterior, law=Chinchilla(**repeated))


def formula(posterior):
    """The loss of every draw at N and D of shape (draws, points)."""
    law = posterior.flat_law()
    fields = {p.name: getattr(law, p.name)[:, None] for p in law.parameters()}
    return lambda N, D: FORMULAS[law.name](**fields, N=N, D=D)


def with_flops(factor, jitter=0.0):
    """A posterior for runs with a column of FLOPs, `factor` N D."""
    table = simulate(n=30)
    product = np.asarray(table["params"]) * np.asarray(table["tokens"])
    spread = np.exp(jitter * np.resize([-1, 1], 30))
    return synthetic_posterior(Runs.read(table | {"flops": factor * product * spread}))


# --- the optimum ---


@every_law
def test_closed_form_is_the_search(posteriors, law):
    closed = allocate(posteriors[law], BUDGETS)
    searched = allocate(posteriors[law], BUDGETS, numeric=True)
    assert (closed.method, searched.method) == ("closed form", "numeric")
    for name in NAMES:
        np.testing.assert_allclose(searched.draws[name], closed.draws[name], rtol=1e-5)
    np.testing.assert_allclose(searched.draws["loss"], closed.draws["loss"], rtol=1e-12)


@every_law
def test_closed_form_is_brute_force(posteriors, law):
    posterior = posteriors[law]
    draws, flat = allocate(posterior, BUDGETS).draws, posterior.flat_law()
    for i in range(0, 1000, 100):
        fields = {p.name: float(getattr(flat, p.name)[i]) for p in flat.parameters()}
        for j, budget in enumerate(BUDGETS):

            def loss(log_n, product=budget / 6, fields=fields):
                N = np.exp(log_n)
                return FORMULAS[law](**fields, N=N, D=product / N)

            best = minimize_scalar(
                loss, bounds=np.log([1e6, 1e15]), method="bounded", options={"xatol": 1e-9}
            )
            assert np.exp(best.x) == pytest.approx(draws["N"][i, j], rel=1e-5)
            assert best.fun == pytest.approx(draws["loss"][i, j], rel=1e-12)


@every_law
@pytest.mark.parametrize("numeric", [False, True])
def test_the_budget_is_spent(posteriors, law, numeric):
    draws = allocate(posteriors[law], BUDGETS, numeric=numeric).draws
    assert all(draws[name].shape == (1000, 3) for name in NAMES)
    assert all(draws[name].dtype == np.float64 for name in NAMES)
    np.testing.assert_allclose(6 * draws["N"] * draws["D"], np.tile(BUDGETS, (1000, 1)), rtol=1e-12)
    np.testing.assert_array_equal(draws["tokens_per_parameter"], draws["D"] / draws["N"])


@every_law
def test_neighbours_are_worse(posteriors, law):
    draws, loss = allocate(posteriors[law], BUDGETS).draws, formula(posteriors[law])
    np.testing.assert_allclose(loss(draws["N"], draws["D"]), draws["loss"], rtol=1e-12)
    for factor in (0.3, 0.95, 1.05, 3.0):
        assert (loss(draws["N"] * factor, draws["D"] / factor) > draws["loss"]).all()


@every_law
def test_the_exponents_are_those_of_the_posterior(posteriors, law):
    posterior = posteriors[law]
    draws = allocate(posterior, [1e22, 1e24]).draws
    for name, symbol in (("N", "a"), ("D", "b")):
        slope = np.log10(draws[name][:, 1] / draws[name][:, 0]) / 2
        np.testing.assert_allclose(slope, posterior.derived[symbol].ravel(), rtol=1e-12)


def test_the_loss_is_the_law_there(posterior):
    allocation = allocate(posterior, GOPHER)
    best = allocation.intervals["loss"][0]
    at_median = {name: allocation.intervals[name][0].median for name in ("N", "D")}
    there = predict(posterior, **at_median, kind="law").intervals[0]
    # The draws' own optima differ from the median one; the loss is flat about them.
    assert there.median == pytest.approx(best.median, rel=1e-3)
    assert allocation.decades_beyond == predict(posterior, **at_median).decades_beyond


@pytest.mark.parametrize(
    ("key", "n", "d", "ratio"),
    [  # Besiroglu et al. 2024, arXiv:2404.10102; Hoffmann et al. 2022, TeX source, unrounded
        ("besiroglu-2024", 72.3e9, 1.33e12, 18),
        ("hoffmann-2022", 40.4e9, 2.38e12, 59),
    ],
)
@pytest.mark.parametrize("numeric", [False, True])
def test_published_constants(posterior, key, n, d, ratio, numeric):
    allocation = allocate(of_constants(posterior, key), GOPHER, numeric=numeric)
    N, D, tokens_per_parameter, _ = (allocation.intervals[name][0] for name in NAMES)
    assert round(tokens_per_parameter.median) == ratio
    assert tokens_per_parameter.upper == pytest.approx(tokens_per_parameter.lower, rel=1e-12)
    assert N.median == pytest.approx(n, abs=0.1e9)
    assert D.median == pytest.approx(d, abs=0.01e12)


# --- compute ---


def test_flops_per_parameter_token(posterior):
    assert allocate(posterior, GOPHER).flops_per_parameter_token == FLOPS_PER_PARAMETER_TOKEN == 6
    eight = allocate(posterior, 8 / 6 * GOPHER, flops_per_parameter_token=8)
    assert eight.flops_per_parameter_token == 8
    six = allocate(posterior, GOPHER)
    for name in NAMES:
        np.testing.assert_allclose(eight.draws[name], six.draws[name], rtol=1e-12)


def test_flops_per_parameter_token_of_the_runs():
    for posterior in (with_flops(7.5), with_flops(7.5, jitter=0.2)):
        allocation = allocate(posterior, GOPHER)
        assert allocation.flops_per_parameter_token == pytest.approx(7.5, rel=1e-12)
        product = allocation.draws["N"] * allocation.draws["D"]
        np.testing.assert_allclose(7.5 * product, GOPHER, rtol=1e-12)
        assert "C = 7.5 N D" in repr(allocation)
    assert allocate(with_flops(6.0), GOPHER).flops_per_parameter_token == 6
    assert (
        allocate(with_flops(7.5), 1e20, flops_per_parameter_token=6).flops_per_parameter_token == 6
    )


@pytest.mark.parametrize(
    "budget",
    [1e26, 10**26, "1e26", "1E+26", Decimal("1e26"), [10**26], ["1e26"], np.array([[1e26]])],
    ids=repr,
)
def test_spellings_of_a_budget(posterior, budget):
    allocation = allocate(posterior, budget)
    assert allocation.C.tolist() == [1e26]
    assert allocation.intervals == allocate(posterior, np.float64(1e26)).intervals


def test_budgets_keep_their_order(posterior):
    together = allocate(posterior, BUDGETS[::-1])
    assert len(together) == 3
    assert together.C.tolist() == BUDGETS[::-1].tolist()
    for i, budget in enumerate(together.C):
        alone = allocate(posterior, budget)
        for name in NAMES:
            np.testing.assert_allclose(
                together.draws[name][:, i], alone.draws[name][:, 0], rtol=1e-13
            )
    assert (np.diff([i.median for i in together.intervals["loss"]]) > 0).all()


# --- results ---


def test_to_json(posterior):
    allocation = allocate(posterior, BUDGETS, level=0.8)
    data = allocation.to_json()
    assert json.loads(json.dumps(data)) == data
    numbers = ["median", "lower", "upper", "mean", "sd"]
    assert data == {
        "level": 0.8,
        "flops_per_parameter_token": 6.0,
        "method": "closed form",
        "loss_model": "chinchilla law",
        "laws": {"chinchilla": 1.0},
        "budgets": [
            {
                "C": BUDGETS[i],
                **{
                    name: {n: getattr(allocation.intervals[name][i], n) for n in numbers}
                    for name in NAMES
                },
                "decades_beyond": allocation.decades_beyond[i],
                "at_limit": 0.0,
            }
            for i in range(3)
        ],
    }
    assert list(data["budgets"][0]) == ["C", *NAMES, "decades_beyond", "at_limit"]
    assert list(data["budgets"][0]["N"]) == numbers


def test_intervals_are_of_the_draws(posterior):
    allocation = allocate(posterior, BUDGETS, level=0.5)
    for name in NAMES:
        ends = np.quantile(allocation.draws[name], [0.25, 0.5, 0.75], axis=0).T
        found = [[i.lower, i.median, i.upper] for i in allocation.intervals[name]]
        np.testing.assert_allclose(found, ends, rtol=1e-14)
    assert (np.diff(allocation.decades_beyond[1:]) > 0).all()


def test_to_frame(posterior):
    frame = allocate(posterior, BUDGETS).to_frame()
    assert frame["C"].tolist() == BUDGETS.tolist()
    assert {"N_median", "D_lower", "tokens_per_parameter_upper", "loss_sd"} < set(frame.columns)


def test_table(posterior):
    allocation = allocate(posterior, [GOPHER, 1e26], level=0.8)
    table = allocation.table()
    assert table.caption == (
        "Compute-optimal allocation with C = 6 N D, chinchilla law fitted to 48 runs: median and 80% "
        "interval, and decades beyond the runs."
    )
    assert repr(allocation) == f"{table.caption}\n{table.text()}"
    _, *rows = table.text().splitlines()
    assert [row.split()[0] for row in rows] == ["5.76e23", "1e26"]
    for i, row in enumerate(rows):
        assert all(str(allocation.intervals[name][i]) in row for name in NAMES)
        assert row.endswith(f"{allocation.decades_beyond[i]:.1f}")
    assert r"5.76 \times 10^{23}" in table.latex()


# --- refusals ---


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (0, "C: it is 0; it must be finite and above 0"),
        (-1e20, "C: it is -1e[+]20; it must be finite and above 0"),
        (np.nan, "C: it is nan; it must be finite"),
        ([1e20, np.inf], "C: it is inf at index 1; it must be finite"),
        ("1e26 FLOPs", "C: it is '1e26 FLOPs'; it must be a number .* Write plain numbers"),
        (None, "C, target_loss, target_error: none is given"),
        (10**400, "C: it is 1000.*; it must be a number"),
    ],
)
def test_bad_budgets_are_refused(posterior, budget, message):
    with pytest.raises(InputError, match=message):
        allocate(posterior, budget)


@pytest.mark.parametrize("factor", [0, 0.0, -6, np.nan, np.inf])
def test_bad_factors_are_refused(posterior, factor):
    with pytest.raises(InputError, match=r"flops_per_parameter_token: it is .*above 0"):
        allocate(posterior, GOPHER, flops_per_parameter_token=factor)


def test_a_level_is_a_mass(posterior):
    with pytest.raises(InputError, match=r"the level is 90; .* Write 0.9 for 90%"):
        allocate(posterior, GOPHER, level=90)


def test_a_law_of_one_variable_has_no_optimum(runs):
    power = synthetic_posterior(runs.with_x("N"), law="power")
    message = "law: the law 'power' is one of x; an allocation needs a law of N and D. Fit one"
    with pytest.raises(InputError, match=message):
        allocate(power, GOPHER)


def test_a_failed_fit_is_refused(runs, posterior):
    failed = synthetic_posterior(runs, diverging=np.ones((4, 250), bool))
    with pytest.raises(FailedFitError, match=r"1000 of 1000 transitions.*\n.*allow_failed=True"):
        allocate(failed, GOPHER)
    allowed = allocate(failed, GOPHER, allow_failed=True)
    assert allowed.intervals == allocate(posterior, GOPHER).intervals


@pytest.mark.parametrize("check", NOT_IDENTIFIED)
def test_a_design_without_an_optimum_is_refused(posterior, check):
    lifted = replace(posterior, provenance={"allowed": ["duplicate-rows", check]})
    with pytest.raises(InputError, match=f"the fit lifted the check '{check}'; such runs do not"):
        allocate(lifted, GOPHER)
    allowed = allocate(lifted, GOPHER, allow_failed=True)
    assert allowed.intervals == allocate(posterior, GOPHER).intervals


def test_other_lifted_checks_do_not_matter(posterior):
    assert "collinear" in NOT_IDENTIFIED
    lifted = replace(posterior, provenance={"allowed": ["duplicate-rows", "several-rows-per-run"]})
    assert len(allocate(lifted, GOPHER)) == 1
    assert len(allocate(replace(posterior, provenance={}), GOPHER)) == 1
