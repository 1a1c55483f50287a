"""Drift of log loss from a law: its density, its walk beyond the runs, and forecasts with it."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

import bayescale
from bayescale import InputError, Runs
from bayescale.drift import DampedTrend, Span, get_drift, log_compute
from bayescale.inference.batch import BatchSettings, fit_chunk
from bayescale.laws import Chinchilla, Coupled
from bayescale.model import data_of, model_spec, prior_draws, span_of
from bayescale.noise import Gaussian, StudentT, StudentTTrend
from bayescale.storage import from_tree, load, to_tree
from conftest import simulate, synthetic_posterior

DRIFT = DampedTrend(scale=0.02, degrees=5.0, knots=4, reach=0.8, quieter=())
QUIET = replace(DRIFT, quieter=((0.3, 0.004), (0.1, 0.01)))  # 0.2 and 0.5 of the other

each_prior = pytest.mark.parametrize("drift", [DRIFT, QUIET], ids=["one kind", "three kinds"])


def twin(first, shocks, places, distances, reach=0.8):
    """The drift at some distances: the integral of its slope, to which each shock adds and fades."""

    def slope(x):
        since = [(s, x - p) for s, p in zip(shocks, places, strict=True) if x > p]
        return sum(s * np.exp(-d / reach) for s, d in [(first, x), *since])

    return np.array([quad(slope, 0, d, points=places, limit=200)[0] for d in distances])


def twin_prior(drift, w):
    """The density of increments: of one multivariate Student-t, or of three."""
    kinds = [(0.6, 1.0), (0.3, 0.2), (0.1, 0.5)] if drift.quieter else [(1.0, 1.0)]
    parts = [(q, stats.multivariate_t(np.zeros(5), r**2 * np.eye(5), df=5.0)) for q, r in kinds]
    return sum(q * part.pdf(w) for q, part in parts)


@each_prior
def test_the_log_density_is_that_of_an_independent_twin(drift):
    runs = Runs.read(simulate(n=20, seed=2))
    spec = model_spec(Chinchilla, Gaussian, drift=drift)
    plain = model_spec(Chinchilla, Gaussian)
    data = data_of(runs, ("N", "D"), drift)
    assert data_of(runs, ("N", "D")).basis.shape == (32, 0)
    generator = np.random.default_rng(0)
    truth = plain.unconstrain(prior_draws(plain, data.reference, 5, 1), data.reference)
    w = generator.standard_normal((5, 5))
    logs = np.log10(runs.N * runs.D)
    step = np.ptp(logs) / 4
    for u, increments in zip(truth, w, strict=True):
        first = -0.02 * np.sqrt(0.8 / 2) * increments[0]  # towards smaller runs
        shocks = 0.02 * np.sqrt(step) * increments[1:]
        path = twin(first, shocks, step * (np.arange(4) + 0.5), logs.max() - logs)
        prior = np.log(twin_prior(drift, increments))
        moved = data._replace(log_loss=data.log_loss - np.pad(path, (0, 12)))
        with jax.enable_x64(True):
            found = float(spec.log_density(np.append(u, increments), data))
            expected = float(plain.log_density(u, moved)) + prior
            without = float(plain.log_density(u, data)) + prior
        assert found == pytest.approx(expected, abs=1e-8 * abs(expected - without) + 1e-9)


def spread(drift, distances, count=40_000):
    """Variance of the drift of prior draws at some distances beyond the runs, and its path below them."""
    increments = drift.prior_draws(count, np.random.default_rng(1))
    where = np.concatenate([21.0 + np.asarray(distances), [17.0]])
    path = drift.path(increments, where, Span(18.0, 21.0), np.random.default_rng(2))
    return path.var(axis=0)[:-1], path


@pytest.mark.parametrize("initial", [0.0, 0.6, 1.0])
def test_the_drift_spreads_beyond_the_largest_run_as_its_equation_says(initial):
    distance = np.array([0.1, 0.3, 1.0, 4.0])
    found, path = spread(replace(DRIFT, initial=initial), distance)
    # tau^2 has mean s^2 nu / (nu - 2); the response to a shock of x decades ago is l (1 - e^(-x/l)).
    tau2, reach = 0.02**2 * 5 / 3, 0.8
    fade = np.exp(-distance / reach)
    walk = distance - 2 * reach * (1 - fade) + reach / 2 * (1 - fade**2)
    slope = initial**2 * reach / 2 * (1 - fade) ** 2
    np.testing.assert_allclose(found, tau2 * reach**2 * (walk + slope), rtol=0.12)
    both = np.corrcoef(path[:, 1], path[:, -1])[0, 1]
    assert both < -0.1 if initial else abs(both) < 0.03  # the slope goes on to both sides


def test_the_slope_is_as_variable_at_the_largest_run_as_elsewhere():
    """With r = 1 the process is stationary: a step far beyond the runs spreads as the first one."""
    _, path = spread(DRIFT, [0.0, 0.1, 6.0, 6.1])
    assert np.all(path[:, 0] == 0)
    first, far = (path[:, i + 1] - path[:, i] for i in (0, 2))
    assert first.std() == pytest.approx(far.std(), rel=0.1)


@each_prior
def test_the_prior_of_one_increment_is_its_margin(drift):
    """By quadrature over the others of a drift of two increments."""
    drift = replace(drift, knots=2, initial=0.0)
    prior = drift.coordinates[0].prior
    with jax.enable_x64(True):
        for w in (0.0, 0.1, 1.5):

            def together(v, w=w):
                return float(np.exp(drift.log_prior([w, v])))

            margin = 2 * quad(together, 0, 40, points=[0.1, 1.0], limit=200)[0]
            assert np.exp(float(prior.from_unbounded(w, {})[1])) == pytest.approx(margin, rel=1e-4)


def test_a_quiet_drift_is_nearly_none():
    """A drift far below the quiet scale leaves the quiet kind alone, one far above it the other."""
    still = {name: np.full(4000, 1e-4) for name in QUIET.names}
    moving = {name: np.full(4000, 1.0) for name in QUIET.names}
    generator = np.random.default_rng(5)
    assert np.quantile(QUIET.tau(still, generator), 0.95) < 0.01
    assert np.quantile(QUIET.tau(moving, generator), 0.05) > 0.01
    assert np.quantile(DRIFT.tau(still, generator), 0.05) > 0.008  # which has no such kind


def test_a_forecast_does_not_depend_on_what_else_is_forecast():
    increments = DRIFT.prior_draws(50, np.random.default_rng(1))
    span = Span(18.0, 21.0)
    near, far = np.array([21.5]), np.array([21.5, 24.0, 16.0])
    one, many = (DRIFT.path(increments, x, span, np.random.default_rng(2)) for x in (near, far))
    np.testing.assert_allclose(one[:, 0], many[:, 0], rtol=1e-12)


@each_prior
def test_tau_given_the_increments_has_the_joint_distribution(drift):
    generator = np.random.default_rng(3)
    kinds, shares = ([0.02, 0.004, 0.01], [0.6, 0.3, 0.1]) if drift.quieter else ([0.02], [1.0])
    typical = generator.choice(kinds, size=20_000, p=shares)
    tau = typical / np.sqrt(generator.chisquare(5.0, 20_000) / 5.0)
    w = (tau / 0.02) * generator.standard_normal((5, 20_000))
    drawn = drift.prior_draws(20_000, generator)
    for name, mine in zip(drift.names, w, strict=True):
        assert stats.ks_2samp(drawn[name], mine).pvalue > 1e-3 / 5
    size = np.sqrt(sum(drawn[name] ** 2 for name in drift.names))
    assert stats.ks_2samp(size, np.sqrt((w**2).sum(axis=0))).pvalue > 1e-3
    again = drift.tau(dict(zip(drift.names, w, strict=True)), generator)
    size = np.sqrt((w**2).sum(axis=0))
    assert stats.ks_2samp(tau, again).pvalue > 1e-3
    assert stats.ks_2samp(tau / size, again / size).pvalue > 1e-3


def test_inside_the_runs_the_path_is_the_basis():
    increments = DRIFT.prior_draws(3, np.random.default_rng(4))
    span = Span(18.0, 21.0)
    logs = np.array([18.0, 18.7, 20.1])
    path = DRIFT.path(increments, logs, span, np.random.default_rng(0))
    w = np.stack([increments[name] for name in DRIFT.names], axis=1)
    np.testing.assert_allclose(path, w @ DRIFT.basis(21.0 - logs, 3.0).T, rtol=1e-12)


def test_runs_of_one_budget_have_no_drift_among_them():
    table = simulate(n=20, seed=1)
    table["tokens"] = 1e20 / (6 * table["params"])
    runs = Runs.read(table)
    assert span_of(runs, ("N", "D")).decades == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(data_of(runs, ("N", "D"), DRIFT).basis, 0, atol=1e-12)


def test_compute_is_the_product_of_the_inputs():
    assert log_compute({"N": [1e8], "D": [1e10]}).tolist() == [18.0]
    assert log_compute({"N": [1e8], "D": [1e10], "U": [1e9]}).tolist() == [18.0]
    assert log_compute({"x": np.array([1e3, 1e4])}).tolist() == [3.0, 4.0]


@pytest.fixture(scope="module")
def drifting(runs):
    return bayescale.fit(runs, drift="damped-trend", seed=1)


@pytest.fixture(scope="module")
def law_alone(runs):
    return bayescale.fit(runs, drift="none", seed=1)


def test_a_fit_with_drift_is_sound_and_less_sure(drifting, law_alone):
    assert drifting.diagnostics.verdict != "failed", str(drifting.diagnostics)
    assert drifting.diagnostics.ess_bulk_min > 400
    assert drifting.forecasters == (drifting,)
    points = {"N": 1e11, "D": 2e12}
    wide, narrow = (bayescale.predict(f, **points).intervals[0] for f in (drifting, law_alone))
    assert wide.sd > 1.5 * narrow.sd
    both = drifting, law_alone
    wide, narrow = (bayescale.allocate(f, 1e24).intervals["loss"][0] for f in both)
    assert wide.sd > 1.5 * narrow.sd
    assert "damped-trend drift" in repr(drifting)
    assert 0 < drifting.summary()["drift"].median < 0.06


def test_by_default_forecasts_alone_have_the_drift(fit, law_alone):
    assert fit.summary() == law_alone.summary()
    assert fit.drift_name == "forecasts"
    assert law_alone.forecasters == (law_alone,)
    one, other = fit.forecasters
    assert (one.spec.law, other.spec.law) == (Chinchilla, Coupled)
    for model in (one, other):
        assert model.shape == (4, 500)
        assert model.spec.drift == DampedTrend()
        assert model.spec.noise is StudentTTrend
        assert model.diagnostics.verdict != "failed", str(model.diagnostics)
    points = {"N": 1e11, "D": 2e12}
    wide, narrow = (bayescale.predict(f, **points) for f in (fit, law_alone))
    assert wide.draws.shape == narrow.draws.shape == (4000, 1)
    assert wide.intervals[0].sd > 1.5 * narrow.intervals[0].sd
    assert "chinchilla and coupled laws with damped-trend drift" in repr(wide)
    assert "chinchilla law fitted to" in repr(narrow)
    assert wide.to_json()["model"] == "chinchilla and coupled laws with damped-trend drift"
    best, alone = (bayescale.allocate(f, 1e24) for f in (fit, law_alone))
    assert "the loss by chinchilla and coupled laws with damped-trend drift" in repr(best)
    assert "the loss by" not in repr(alone)
    best, alone = best.intervals, alone.intervals
    assert best["N"] == alone["N"]
    assert best["loss"][0].sd > 1.5 * alone["loss"][0].sd


def test_a_law_without_a_wider_one_forecasts_by_itself(runs):
    small = bayescale.fit(runs, law="coupled", draws=50, seed=3)
    (model,) = small.forecasters
    assert model.spec.law is Coupled
    assert model.shape == (4, 50)


def test_forecasters_are_saved(fit, tmp_path):
    again = load(fit.save(tmp_path / "fit.nc"))
    assert [m.spec for m in again.forecasters] == [m.spec for m in fit.forecasters]
    one, other = (bayescale.predict(f, N=1e11, D=2e12) for f in (fit, again))
    np.testing.assert_array_equal(one.draws, other.draws)


def test_save_and_load(drifting, tmp_path):
    again = load(drifting.save(tmp_path / "fit.nc"))
    assert again.spec == drifting.spec
    one, other = (bayescale.predict(f, N=1e11, D=2e12) for f in (drifting, again))
    np.testing.assert_array_equal(one.draws, other.draws)
    assert again.summary() == drifting.summary()


@pytest.mark.parametrize(
    ("drift", "version", "unsaid"),
    [
        (DampedTrend(initial=0.0, quieter=()), 3, ("initial", "quieter")),
        (DampedTrend(quieter=()), 8, ("quieter",)),
    ],
)
def test_drifts_of_earlier_versions_are_read(drifting, tmp_path, runs, drift, version, unsaid):
    """Some had no S(0), some no quieter kinds, and their files do not say so."""
    old = bayescale.fit(runs, drift=drift, draws=50, seed=1)
    tree = to_tree(old)
    history = json.loads(tree.attrs["bayescale"])
    assert history["format"] == version
    for name in unsaid:
        del history["drift"][name]
    tree.attrs["bayescale"] = json.dumps(history)
    again = from_tree(tree, "old", None)
    assert again.spec == old.spec
    assert json.loads(to_tree(drifting).attrs["bayescale"])["format"] == 9


def test_arviz_sees_the_drift(drifting):  # and the place of each run
    tree = drifting.to_arviz()
    likelihood = tree["log_likelihood"]["log_loss"].to_numpy()
    assert likelihood.shape == (4, 1000, len(drifting.runs))
    total = likelihood.sum(axis=-1)
    u = drifting.coordinates
    data = data_of(drifting.runs, ("N", "D"), drifting.spec.drift)
    with jax.enable_x64(True):
        one = {name: values[2, 7] for name, values in u.items()}
        expected = float(drifting.spec.log_likelihood(one, data))
    assert total[2, 7] == pytest.approx(expected, rel=1e-6)


def test_plots_of_a_fit_with_drift(drifting, tmp_path):
    from bayescale.plots import save_plots

    assert save_plots(drifting, tmp_path, 0.9)


def test_other_parts_do_without_drift(runs):
    assert synthetic_posterior(runs).drift_path(runs.inputs) == 0.0
    assert "drift" not in synthetic_posterior(runs).summary()


def test_simulated_runs_of_a_fit_drift_too(drifting):
    points = {"N": np.array([1e9, 1e11]), "D": np.array([2e10, 2e12])}
    made = bayescale.simulate(drifting, points, sets=4000, seed=3)
    drawn = bayescale.predict(drifting, points=points, seed=3, kind="law").draws
    np.testing.assert_allclose(np.sort(made.law_loss, axis=0), np.sort(drawn, axis=0), rtol=1e-12)


def test_unknown_drifts_are_refused(runs):
    with pytest.raises(InputError, match=r"drift: 'walk' is not a drift. Use forecasts, damped-tr"):
        bayescale.fit(runs, drift="walk")
    with pytest.raises(InputError, match=r"scale, degrees and reach must be above 0"):
        DampedTrend(scale=0.0)
    assert get_drift("none") is get_drift("forecasts") is None
    with pytest.raises(InputError, match=r"knots must be 1 or more, and initial 0 or more"):
        DampedTrend(initial=-1.0)
    with pytest.raises(InputError, match=r"below that of the drift, .* give both, or quieter=\(\)"):
        DampedTrend(scale=0.002)
    with pytest.raises(InputError, match=r"the probabilities add up to less than 1"):
        DampedTrend(quieter=((1.0, 0.006),))
    assert get_drift("damped-trend") == DampedTrend()


@pytest.mark.nightly
def test_forecasts_are_calibrated_where_losses_drift():
    """Runs and new runs from the prior: what is forecast 0.3 to 2 decades beyond is uniform."""
    spec = model_spec(Chinchilla, StudentT, drift=DampedTrend())
    assert spec.drift is not None
    generator = np.random.default_rng(11)
    N = 10 ** generator.uniform(7.5, 9.5, 32)
    D = N * 10 ** generator.uniform(0.4, 2.3, 32)
    new = {"N": np.array([3e9, 1e10, 3e10]), "D": np.array([3e11, 5e11, 1e12])}
    template = Runs(loss=np.full(32, 3.0), inputs={"N": N, "D": D})
    base, span = data_of(template, ("N", "D"), spec.drift), span_of(template, ("N", "D"))
    count = 200
    truths = prior_draws(spec, base.reference, count, seed=12)
    increments = {name: truths[name] for name in spec.drift.names}
    every = {"N": np.append(N, new["N"]), "D": np.append(D, new["D"])}
    with jax.enable_x64(True):
        law, noise = spec.build({name: v[:, None] for name, v in truths.items()}, base.reference)
        mean = np.log(np.asarray(law.loss(every)))
    noise = jax.tree.map(np.asarray, noise)
    mean = mean + spec.drift.path(increments, log_compute(every), span, generator)
    log_loss = mean + noise.scatter(generator, np.zeros_like(mean))
    data = [base._replace(log_loss=row[:32]) for row in log_loss]
    places = np.empty((count, 3))
    for start in range(0, count, 50):
        names = [f"replicate {i}" for i in range(start, start + 50)]
        fits = fit_chunk(spec, BatchSettings(sets=50), names, data[start : start + 50])
        for i, fit in enumerate(fits, start=start):
            with jax.enable_x64(True):
                drawn = jax.vmap(lambda u: spec.constrain(u, base.reference))(fit.u)
                law, noise = spec.build(
                    {name: v[:, None] for name, v in drawn.items()}, base.reference
                )
                mean = np.log(np.asarray(law.loss(new)))
            w = {name: np.asarray(drawn[name]) for name in spec.drift.names}
            mean = mean + spec.drift.path(w, log_compute(new), span, generator)
            noise = jax.tree.map(np.asarray, noise)
            forecast = mean + noise.scatter(generator, np.zeros_like(mean))
            places[i] = fit.weights @ (forecast < log_loss[i, 32:])
    for column in places.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3 / 3
    inside = ((places > 0.05) & (places < 0.95)).mean(axis=0)
    assert np.all((inside > 0.825) & (inside < 0.960)), inside


def test_kinds_are_as_likely_as_their_densities_say():
    drift = DampedTrend()
    sizes = np.array([0.05, 0.3, 1.0, 3.0])
    w = sizes[:, None] * np.random.default_rng(5).standard_normal((4, len(drift.names)))
    kinds = [(0.55, 1.0), (0.2, 0.4), (0.25, 0.15)]
    density = [
        share * stats.multivariate_t(shape=size**2 * np.eye(w.shape[1]), df=drift.degrees).pdf(w)
        for share, size in kinds
    ]
    found = drift.kind_probabilities(dict(zip(drift.names, w.T, strict=True)))
    np.testing.assert_allclose(found, density / np.sum(density, axis=0), rtol=1e-9)
    assert found[2, 0] > 0.9
    assert found[0, 3] > 0.9
