"""Counts of wrong items: their probability, draws, fits, and what is refused."""

import arviz_base
import jax
import numpy as np
import pytest
from scipy import stats

import bayescale
from bayescale import InputError, Runs
from bayescale.calibration import calibrate_prior
from bayescale.noise import BetaBinomial

X = np.geomspace(1.0, 3e3, 24)
TRUTH = {"E": 0.08, "c": 0.62, "alpha": 0.42}
ITEMS = 400


def rates(rho=0.004, items=ITEMS, seed=0):
    """Error rates of 24 rows, scattered as SciPy's beta-binomial says."""
    p = TRUTH["E"] + TRUTH["c"] * X ** -TRUTH["alpha"]
    size = (1 - rho) / rho
    generator = np.random.default_rng(seed)
    wrong = stats.betabinom.rvs(items, p * size, (1 - p) * size, random_state=generator)
    return {"x": X, "error": wrong / items, "items": np.full(len(X), items)}


@pytest.fixture(scope="module")
def fitted():
    return bayescale.fit(rates(), law="power", noise="beta-binomial", seed=0)


@pytest.mark.parametrize("rho", [1e-6, 0.003, 0.2])
@pytest.mark.parametrize("p", [0.002, 0.3, 0.97])
def test_the_probability_is_scipys(rho, p):
    items = np.array([1, 7, 400, 14_000])
    for share in (0.0, 0.1, 1.0):
        wrong = np.round(share * items)
        with jax.enable_x64(True):
            log_loss = np.log(np.maximum(wrong / items, 1e-12))
            found = BetaBinomial(rho).likelihood(log_loss, np.log(p), items.astype(float))
        size = (1 - rho) / rho
        expected = stats.betabinom.logpmf(wrong, items, p * size, (1 - p) * size)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6)


def test_draws_are_scipys():
    rho, p, items = 0.02, 0.3, 40
    log_rates = BetaBinomial(rho).observed(
        np.random.default_rng(0), np.full(40_000, np.log(p)), items
    )
    counts = np.bincount(np.round(np.exp(log_rates) * items).astype(int), minlength=items + 1)
    size = (1 - rho) / rho
    expected = 40_000 * stats.betabinom.pmf(np.arange(items + 1), items, p * size, (1 - p) * size)
    often = expected > 20
    squares = (counts - expected)[often] ** 2 / expected[often]
    assert stats.chi2.sf(squares.sum(), often.sum() - 1) > 1e-4


def test_a_law_is_recovered_from_counts(fitted):
    assert fitted.diagnostics.verdict == "ok"
    for name, truth in TRUTH.items():
        draws = getattr(fitted.law, name)
        assert abs(draws.mean() - truth) < 4 * draws.std()
    assert fitted.noise.rho.mean() < 0.05
    assert fitted.runs.loss_unit == "error rate"
    assert "noise on log error rate, " in fitted.table().caption


def test_forecasts_are_error_rates_of_as_many_items(fitted):
    run = bayescale.predict(fitted, x=1e4)
    law = bayescale.predict(fitted, x=1e4, kind="law")
    assert 0 < run.intervals[0].lower < run.intervals[0].upper < 1
    assert (np.round(run.draws * ITEMS, 6) % 1 == 0).all()
    assert run.intervals[0].sd > law.intervals[0].sd


def test_files_and_arviz(fitted, tmp_path):
    back = bayescale.load(fitted.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(back.runs.items, fitted.runs.items)
    assert back.runs.response == "error"
    assert back.forecasters[0].spec.noise is BetaBinomial
    tree = back.to_arviz()
    assert isinstance(arviz_base.convert_to_datatree(tree), type(tree))
    density = np.asarray(tree["log_likelihood"]["log_loss"])
    assert density.shape == (*fitted.shape, len(X))
    assert (density < 0).all()


def test_rows_without_errors_are_kept():
    table = rates(items=20, seed=3)
    assert (table["error"] == 0).any()
    posterior = bayescale.fit(table, law="power", noise="beta-binomial", drift="none", seed=0)
    assert len(posterior.runs) == len(X)
    assert np.isfinite(posterior.law.E).all()


def test_accuracy_is_one_less_the_error():
    table = rates()
    accuracy = {"x": table["x"], "accuracy": 1 - table["error"], "items": table["items"]}
    found = Runs.read(accuracy)
    np.testing.assert_allclose(found.loss, table["error"], atol=1e-12)
    binomial = np.sqrt(table["error"] * (1 - table["error"]) / ITEMS)
    np.testing.assert_allclose(found.loss_se, binomial, atol=1e-12)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"x": X, "error": rates()["error"]}, {"noise": "beta-binomial"}, "do not say of how many"),
        (rates() | {"error": rates()["error"] + 0.3 / ITEMS}, {"noise": "beta-binomial"},
         "a count is a whole number"),
        (rates(items=20, seed=3), {}, "the error rate is 0"),
        (rates() | {"error": np.full(len(X), 1.2)}, {}, "must be between 0 and 1"),
        (rates() | {"items": np.zeros(len(X))}, {}, "must be 1 or more"),
        (rates(), {"noise": "beta-binomial", "effects": "x"}, "beta-binomial"),
    ],
)  # fmt: skip
def test_bad_requests(table, options, message):
    with pytest.raises(InputError, match=message):
        bayescale.fit(table, law="power", **options)


@pytest.mark.nightly
def test_fits_of_counts_are_calibrated():
    runs = Runs.read(rates())
    result = calibrate_prior(runs, "power", "beta-binomial", replicates=500, seed=4)
    print(result)
    assert all(result.passed.values()), result
