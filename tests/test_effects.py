"""Effects: rows that share a shift; their density, what follows from it, and what is refused."""

import json
import warnings

import jax
import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import DesignError, InputError, Runs
from bayescale.effects import Effects
from bayescale.fitting import forecast_priors
from bayescale.laws import Chinchilla, Coupled
from bayescale.model import data_of, model_spec, prior_draws
from bayescale.noise import Gaussian, StudentT, StudentTTrend
from bayescale.noise.symmetric import log_gamma
from bayescale.priors import LogNormal
from conftest import TRUTH, monte_carlo, simulate

TRUTH_ORDER = ("E", "A", "B", "alpha", "beta")
SHIFT = {"sigma": 0.004, "omega": 0.02}


def checkpoints(runs=12, rows=12, sigma=0.004, omega=0.02, seed=0):
    """Rows of some runs at several numbers of tokens; those of one run share a Gaussian shift."""
    generator = np.random.default_rng(seed)
    N = np.repeat(np.geomspace(3e7, 1e10, runs), rows)
    ratio = np.repeat(10 ** generator.uniform(1.2, 2.3, runs), rows)
    D = N * ratio * np.tile(np.geomspace(0.1, 1, rows), runs)
    mean = TRUTH["E"] + TRUTH["A"] * N ** -TRUTH["alpha"] + TRUTH["B"] * D ** -TRUTH["beta"]
    shift = np.repeat(omega * generator.standard_normal(runs), rows)
    loss = mean * np.exp(shift + sigma * generator.standard_normal(len(N)))
    return {
        "params": N, "tokens": D, "loss": loss,
        "run_id": np.repeat([f"r{i}" for i in range(runs)], rows),
    }  # fmt: skip


def uneven(seed=5):
    """21 rows in groups of 1 to 6, with known errors and blank labels, not in order."""
    table = simulate(n=21, seed=seed)
    labels = ["a"] * 6 + ["b"] * 5 + ["c"] * 4 + ["d"] * 2 + ["e", "f"] + ["", ""]
    generator = np.random.default_rng(seed)
    table["run_id"] = np.array(labels)[generator.permutation(21)]
    return table | {"loss_se": 0.002 * generator.uniform(size=21) * table["loss"]}


def pad(values):
    """The values with 11 zeros behind."""
    return np.pad(np.asarray(values, dtype=float), (0, 11))


def twin(noise, omega, residual, se, below):
    """The log density of one group, from SciPy."""
    sigma = noise.sigma * np.exp(getattr(noise, "trend", 0.0) * below)
    scale = np.diag(sigma**2 + se**2) + omega**2
    zero = np.zeros(len(residual))
    if isinstance(noise, Gaussian):
        return stats.multivariate_normal(zero, scale).logpdf(residual)
    return stats.multivariate_t(zero, scale, df=noise.nu).logpdf(residual)


@pytest.mark.parametrize(
    "noise", [Gaussian(0.006), StudentT(0.006, 3.1), StudentTTrend(0.006, 40.0, 0.4)], ids=repr
)
def test_the_density_of_a_group_is_scipys(noise):
    runs = Runs.read(uneven())
    effects = Effects("run_id")
    names, group = effects.groups(runs)
    assert len(names) == 8
    assert sum(name.startswith("(row ") for name in names) == 2
    generator = np.random.default_rng(1)
    below, se = generator.uniform(0, 2, 21), runs.relative_se
    residual = 0.02 * generator.standard_normal(21)
    for omega in (1e-6, 0.004, 0.3):
        with jax.enable_x64(True):
            found = effects.log_densities(
                noise, {"omega": omega}, pad(residual), pad(se), pad(below), pad(np.ones(21)),
                pad(group)[:, None],
            )  # fmt: skip
        expected = [
            twin(noise, omega, *(v[group == g] for v in (residual, se, below))) for g in range(8)
        ]
        np.testing.assert_allclose(found[:8], expected, rtol=1e-9)
        np.testing.assert_array_equal(found[8:], 0)


def test_the_log_gamma_function_is_scipys():
    from scipy.special import digamma, gammaln

    x = np.concatenate([np.linspace(1, 4, 40), np.geomspace(4, 1e6, 40)])
    with jax.enable_x64(True):
        np.testing.assert_allclose(log_gamma(x), gammaln(x), rtol=3e-14, atol=3e-14)
        slope = jax.vmap(jax.grad(log_gamma))(x)
    np.testing.assert_allclose(slope, digamma(x), rtol=1e-12, atol=1e-13)


def test_a_group_of_one_row_has_the_scatter_of_a_new_run():
    noise, effects = StudentT(0.006, 3.0), Effects("run_id")
    residual, se = np.array([0.01, -0.03, 0.0]), np.array([0.0, 0.004, 0.001])
    with jax.enable_x64(True):
        alone = effects.log_densities(
            noise, {"omega": 0.02}, residual, se, np.zeros(3), np.ones(3), effects.apart(3)
        )
        np.testing.assert_allclose(alone, noise.log_density(residual, np.hypot(se, 0.02)))


def at_some_point(spec, data):
    draws = prior_draws(spec, data.reference, 3, seed=3)
    return [{name: float(values[i]) for name, values in draws.items()} for i in range(3)]


def test_rows_that_are_not_there_and_groups_that_count_twice():
    runs = Runs.read(uneven())
    spec = model_spec(Chinchilla, StudentT, effects="run_id")
    data = data_of(runs, ("N", "D"), None, spec.effects)
    _, group = spec.effects.groups(runs)
    keep = np.arange(21) % 4 != 0
    twice = np.where(group == group[1], 2.0, 1.0)
    repeated = np.concatenate([np.arange(21), np.flatnonzero(group == group[1])])
    table = runs.take(repeated)
    labels = table.labels["run_id"].copy()
    labels[21:] = "z"
    table.labels["run_id"][:] = labels
    again, fewer = (
        data_of(table, ("N", "D"), None, spec.effects)._replace(reference=data.reference)
        for table in (table, runs.take(keep))
    )
    with jax.enable_x64(True):
        for point in at_some_point(spec, data):
            found = spec.log_likelihood(point, data._replace(weight=pad(keep)))
            assert found == pytest.approx(float(spec.log_likelihood(point, fewer)), rel=1e-10)
            found = spec.log_likelihood(point, data._replace(weight=pad(twice)))
            assert found == pytest.approx(float(spec.log_likelihood(point, again)), rel=1e-10)


@pytest.fixture(scope="module")
def shared():
    return bayescale.fit(
        checkpoints(), noise="gaussian", effects="run_id", drift="none", draws=500, seed=1
    )


def test_a_fit_with_effects(shared):
    assert shared.diagnostics.divergences == 0
    assert "correlated-rows" not in [v.code for v in shared.verdicts]
    assert list(shared.parameters) == [*TRUTH_ORDER, "sigma", "omega"]
    summary = shared.summary()
    assert summary["sigma"].lower < SHIFT["sigma"] < summary["sigma"].upper
    assert summary["omega"].lower < 1.3 * SHIFT["omega"]
    assert summary["omega"].upper > 0.7 * SHIFT["omega"]
    assert "144 rows in 12 groups by run_id" in repr(shared)
    assert "scale of the shift of log loss that rows of one run_id share" in repr(shared)


def test_a_new_run_has_a_shift_of_its_own(shared):
    points = {"N": [1e10], "D": [1e12]}
    run, law = (bayescale.predict(shared, points=points, kind=k).draws for k in ("run", "law"))
    scatter = np.log(run / law).ravel()
    expected = np.hypot(shared.coordinates["sigma"], shared.coordinates["omega"]).ravel()
    assert stats.kstest(scatter / expected, "norm").pvalue > 1e-3


def test_simulated_rows_of_a_group_share_a_shift(shared):
    made = bayescale.simulate(shared, shared.runs, sets=400, seed=1)
    scatter = np.log(made.loss / made.law_loss).reshape(400, 12, 12)
    between, within = scatter.mean(axis=2).std(axis=1), scatter.std(axis=2, ddof=1)
    sigma, omega = (np.median(shared.coordinates[n]) for n in ("sigma", "omega"))
    assert np.sqrt((within**2).mean()) == pytest.approx(sigma, rel=0.05)
    assert np.sqrt((between**2).mean()) == pytest.approx(omega, rel=0.2)
    apart = bayescale.simulate(shared, shared.runs.inputs, sets=400, seed=1)
    scatter = np.log(apart.loss / apart.law_loss).reshape(400, 12, 12)
    assert np.sqrt((scatter.std(axis=2) ** 2).mean()) > 0.8 * omega


@pytest.mark.parametrize("noise", [Gaussian, StudentT, StudentTTrend])
def test_scatter_and_density_of_a_group_are_one_distribution(noise):
    """By importance weights: the mean of density over density is 1."""
    values = {"sigma": 0.01, "nu": 6.0, "trend": 0.3}
    one = noise(**{p.name: values[p.name] for p in noise.parameters()})
    fields = jax.tree.map(lambda value: np.full((20_000, 1), value), one)
    effects, generator = Effects("group"), np.random.default_rng(0)
    group, below = np.array([0, 1, 0, 0]), np.array([0.0, 1.0, 2.0, 0.5])
    drawn = effects.scatter(
        fields,
        {"omega": np.full((20_000, 1), 0.02)},
        generator,
        np.zeros(4),
        below,
        group[:, None],
    )
    expected = np.diag((one.sigma * np.exp(getattr(one, "trend", 0.0) * below)) ** 2)
    expected += 0.02**2 * (group[:, None] == group)
    heavier = {"gaussian": 1.0}.get(noise.name, 6 / 4)
    found = np.cov(drawn, rowvar=False)
    np.testing.assert_allclose(found / heavier, expected, atol=0.06 * expected.max())
    mine = drawn[:, [0, 2, 3]]
    wide = 1.5 * expected[np.ix_([0, 2, 3], [0, 2, 3])]
    proposal = stats.multivariate_t(np.zeros(3), wide, df=4)
    with jax.enable_x64(True):
        density = jax.vmap(
            lambda r: effects.log_densities(
                one, {"omega": 0.02}, r, np.zeros(3), below[[0, 2, 3]], np.ones(3), np.zeros((3, 1))
            )[0]
        )
        there = np.asarray(density(mine))
    weights = np.exp(proposal.logpdf(mine) - there)
    assert abs(weights.mean() - 1) < 4 * weights.std() / np.sqrt(len(weights))


def test_arviz_leaves_out_groups(shared):
    import arviz as az

    tree = shared.to_arviz()
    likelihood = tree["log_likelihood"]["log_loss"]
    assert likelihood.dims == ("chain", "draw", "run_id")
    assert likelihood.shape == (4, 500, 12)
    assert list(likelihood["run_id"].values[:2]) == ["r0", "r1"]
    data = data_of(shared.runs, ("N", "D"), None, shared.spec.effects)
    one = {name: float(values[2, 7]) for name, values in shared.coordinates.items()}
    with jax.enable_x64(True):
        expected = float(shared.spec.log_likelihood(one, data))
    assert float(likelihood.sum("run_id")[2, 7]) == pytest.approx(expected, rel=1e-9)
    assert tree["posterior_predictive"]["log_loss"].dims == ("chain", "draw", "run")
    assert {"sigma", "omega"} <= set(tree["prior"].data_vars)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one group's Pareto k is above the limit
        assert az.loo(tree).n_data_points == 12


def test_a_fit_with_effects_comes_back(shared, tmp_path):
    back = bayescale.load(shared.save(tmp_path / "fit.nc"))
    assert back.spec == shared.spec
    assert repr(back) == repr(shared)
    one, other = (bayescale.predict(f, N=1e10, D=1e12).draws for f in (shared, back))
    np.testing.assert_array_equal(one, other)


def test_few_groups_are_named():
    from bayescale.diagnostics import design_verdicts

    spec = model_spec(Chinchilla, Gaussian, effects="run_id")
    few, many = (Runs.read(checkpoints(runs=n)) for n in (5, 12))
    said = next(v for v in design_verdicts(spec, few) if v.code == "few-groups")
    assert "the 60 rows are 5 groups by run_id" in said.sentence
    assert "few-groups" not in [v.code for v in design_verdicts(spec, many)]


def test_what_cannot_be():
    table = checkpoints(runs=6, rows=3)
    with pytest.raises(DesignError, match="6 runs have several rows.*--effects run_id"):
        bayescale.fit(table)
    with pytest.raises(InputError, match="effects: the noise is laplace.*--noise student-t or"):
        bayescale.fit(table, noise="laplace", effects="run_id")
    with pytest.raises(InputError, match="clusters: by D, rows of run_id r0 are drawn apart"):
        bayescale.bootstrap(table, effects="run_id", clusters="D")
    with pytest.raises(InputError, match="no label or input 'lab'. Use one of run_id, N, D, C"):
        bayescale.fit(table, effects="lab")


def test_sizes_and_budgets_are_labels_too():
    table = simulate(n=8)
    runs = Runs.read({**table, "tokens": np.array([1e19, 3e19] * 4) / (6 * table["params"])})
    names, group = Effects("C").groups(runs)
    assert names == ("1e19", "3e19")
    assert group.tolist() == [0, 1] * 4


def as_table(count, **options):
    """Studies of runs with checkpoints as one table, told apart by a column."""
    tables = [checkpoints(seed=seed, **options) for seed in range(count)]
    table = {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}
    return table | {"study": np.repeat(np.arange(count), len(tables[0]["loss"]))}


def covered(frame, **truth):
    """In what share of studies the 90% intervals hold each truth."""
    return {
        name: np.mean((frame[f"{name}_lower"] < value) & (value < frame[f"{name}_upper"]))
        for name, value in truth.items()
    }


def test_intervals_of_studies_with_checkpoints_cover():
    table = as_table(60, rows=5, sigma=0.0015, omega=0.006)
    many = bayescale.fit_many(
        table, "study", noise="gaussian", effects="run_id", method="laplace-is", sets=60
    ).to_frame()
    assert "rejected" not in set(many["status"])
    found = covered(many, alpha=0.35, beta=0.365, sigma=0.0015)
    low, high = stats.binom(60, 0.9).ppf([5e-4, 1 - 5e-4]) / 60
    assert all(low <= share <= high for share in found.values()), found


@pytest.mark.nightly
def test_five_hundred_studies_of_twelve_runs_with_twelve_checkpoints():
    """Without effects the intervals of alpha hold in well below half of the studies."""
    table = as_table(500, sigma=0.0015, omega=0.006)
    options = {"noise": "gaussian", "allow": "several-rows-per-run", "sets": 50}
    shares = {}
    for effects in ("run_id", None):
        frame = bayescale.fit_many(table, "study", effects=effects, **options).to_frame()
        assert set(frame["status"]) <= {"ok", "warn", "failed"}
        assert (frame["status"] == "failed").mean() < 0.02
        frame = frame[frame["status"] != "failed"]
        shares[effects] = covered(frame, alpha=0.35, beta=0.365)
    print(f"coverage of 90% intervals, 500 studies: {shares}")
    assert 0.854 <= shares["run_id"]["alpha"] <= 0.942, shares
    assert shares[None]["alpha"] < 0.55, shares


@pytest.mark.nightly
def test_the_posterior_is_that_of_sampled_shifts():
    """An explicit NumPyro model with a shift for each run, sampled by NumPyro's own NUTS."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    runs = Runs.read(checkpoints(sigma=0.0015, omega=0.006, seed=4))
    fit = bayescale.fit(runs, noise="gaussian", effects="run_id", drift="none", draws=4000)
    spec = model_spec(Chinchilla, Gaussian)
    data = data_of(runs, ("N", "D"))
    group = np.repeat(np.arange(12), 12)

    def model():
        u = numpyro.sample("u", dist.Normal().expand([6]).to_event(1))
        density, coordinates = 0.0, {}
        for i, c in enumerate(spec.coordinates):
            coordinates[c.name], prior = c.prior.from_unbounded(u[i], data.reference)
            density = density + prior + 0.5 * u[i] ** 2
        numpyro.factor("prior", density)
        omega = numpyro.sample("omega", dist.LogNormal(jnp.log(0.006), 1.2))
        shift = numpyro.sample("shift", dist.Normal().expand([12]).to_event(1))
        law, noise = spec.build(coordinates, data.reference)
        mean = jnp.log(law.loss({s: runs[s] for s in ("N", "D")})) + omega * shift[group]
        numpyro.sample("y", dist.Normal(mean, noise.sigma), obs=np.log(runs.loss))
        for name in ("alpha", "beta", "E"):
            numpyro.deterministic(name, getattr(law, name))
        numpyro.deterministic("sigma", noise.sigma)

    with jax.enable_x64(True):
        sampler = MCMC(
            NUTS(model, dense_mass=True, target_accept_prob=0.95),
            num_warmup=2000, num_samples=4000, num_chains=2, chain_method="sequential",
            progress_bar=False,
        )  # fmt: skip
        sampler.run(jax.random.key(0))
        found = sampler.get_samples(group_by_chain=True)
    for name in ("alpha", "beta", "E", "sigma", "omega"):
        a, a_error, a_sd, a_sd_error = monte_carlo(fit.parameters[name])
        b, b_error, b_sd, b_sd_error = monte_carlo(np.asarray(found[name]))
        assert abs(a - b) < 4 * np.hypot(a_error, b_error), name
        assert abs(a_sd - b_sd) < 4 * np.hypot(a_sd_error, b_sd_error), name


@pytest.mark.nightly
def test_forecasts_resamples_and_backtests_with_effects():
    table = checkpoints(rows=6, sigma=0.0015, omega=0.006)
    fit = bayescale.fit(table, effects="run_id", draws=200)
    assert [m.spec.effects for m in fit.forecasters] == [Effects("run_id")] * 2
    assert [m.spec.noise for m in fit.forecasters] == [StudentTTrend] * 2
    assert len(bayescale.predict(fit, N=1e10, D=1e12).intervals) == 1
    sampled = bayescale.bootstrap(table, effects="run_id", samples=20)
    assert (sampled.clusters, sampled.n_clusters) == ("run_id", 12)
    assert 0.4 < sampled.widths["alpha"] < 2
    moved = bayescale.influence(table, effects="run_id", by="run_id")
    assert len(moved) == 12
    assert "omega" in moved.intervals
    done = bayescale.backtest(table, effects="run_id", fractions=[0.7])
    assert done.origins[0].status in ("ok", "warn")


def test_the_command(tmp_path):
    import pandas

    from bayescale.cli.main import app

    path, saved = tmp_path / "runs.csv", tmp_path / "fit.nc"
    pandas.DataFrame(checkpoints()).to_csv(path, index=False)
    options = ["--noise", "gaussian", "--drift", "none", "--draws", "500", "--json"]
    refused = CliRunner().invoke(app, ["fit", str(path), *options])
    assert isinstance(refused.exception, DesignError)
    options += ["--effects", "run_id", "-o", str(saved)]
    done = CliRunner().invoke(app, ["fit", str(path), *options])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["effects"] == "run_id"
    assert said["parameters"]["omega"]["median"] > said["parameters"]["sigma"]["median"]
    done = CliRunner().invoke(app, ["simulate", "--fit", str(saved), "--params", "1e9", "--tokens",
                                    "2e10"])  # fmt: skip
    assert done.exit_code == 0, done.output


def test_a_prior_of_the_shifts_is_that_of_the_forecasts_too():
    priors = {"omega": LogNormal(0.01, 0.3), "alpha": LogNormal(0.3, 0.1)}
    spec = model_spec(Chinchilla, StudentT, priors, effects="run_id")
    own = forecast_priors(spec, Chinchilla, StudentTTrend)
    assert own == priors | {"beta": LogNormal(0.36, 0.35, low=0.05, high=1.2)}
    assert forecast_priors(spec, Coupled, StudentTTrend)["omega"] == priors["omega"]
