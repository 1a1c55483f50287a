"""Scatter that is correlated along a run: its density, what follows from it, and what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import Effects, InputError, Runs
from bayescale.calibration.prior import from_prior
from bayescale.calibration.replicates import batch_settings, calibration_of
from bayescale.effects import renewed
from bayescale.laws import Chinchilla
from bayescale.model import data_of, model_spec, prior_draws
from bayescale.noise import Gaussian, StudentT, StudentTTrend
from bayescale.ornstein_uhlenbeck import columns_of, drawn
from conftest import TRUTH

ALONG = Effects("run_id", along="D")
NOISES = [Gaussian(0.006), StudentT(0.006, 3.1), StudentTTrend(0.006, 40.0, 0.4)]
SCALES = [(0.004, 0.01, 0.2), (0.3, 0.002, 30.0), (1e-6, 0.05, 0.004), (0.01, 1e-9, 1.0)]


def curves(runs=12, rows=60, sigma=0.0015, omega=0.004, kappa=0.006, length=0.3, seed=0):
    """Checkpoints of some runs, evenly spaced in tokens; scatter wanders along each of them."""
    generator = np.random.default_rng(seed)
    N = np.repeat(np.geomspace(3e7, 1e10, runs), rows)
    ratio = np.repeat(10 ** generator.uniform(1.2, 2.3, runs), rows)
    D = N * ratio * np.tile(np.linspace(1 / rows, 1, rows), runs)
    mean = TRUTH["E"] + TRUTH["A"] * N ** -TRUTH["alpha"] + TRUTH["B"] * D ** -TRUTH["beta"]
    t = np.log10(np.linspace(1 / rows, 1, rows))
    covariance = omega**2 + kappa**2 * np.exp(-np.abs(t[:, None] - t) / length)
    wander = np.linalg.cholesky(covariance) @ generator.standard_normal((rows, runs))
    loss = mean * np.exp(wander.T.ravel() + sigma * generator.standard_normal(len(N)))
    return {
        "params": N, "tokens": D, "loss": loss,
        "run_id": np.repeat([f"r{i}" for i in range(runs)], rows),
    }  # fmt: skip


def some_rows(seed=3):
    """23 rows of five runs and of none, in no order, two of them at one place; known errors."""
    generator = np.random.default_rng(seed)
    labels = np.array(["a"] * 8 + ["b"] * 6 + ["c"] * 4 + ["d"] * 2 + ["e", "", ""])
    place = 10 ** generator.uniform(0, 2, 23)
    place[1] = place[0]
    mixed = generator.permutation(23)
    table = {
        "params": 10 ** generator.uniform(7, 9, 23), "tokens": 1e9 * place[mixed],
        "loss": generator.uniform(2, 4, 23), "run_id": labels[mixed],
    }  # fmt: skip
    return table | {"loss_se": 0.003 * generator.uniform(size=23) * table["loss"]}


def by_hand(noise, scales, t, residual, se, below):
    """The log density of the rows of one group, from the whole matrix, by SciPy."""
    omega, kappa, length = scales
    sigma = noise.sigma * np.exp(getattr(noise, "trend", 0.0) * below)
    scale = np.diag(sigma**2 + se**2) + omega**2
    scale = scale + kappa**2 * np.exp(-np.abs(t[:, None] - t) / length)
    zero = np.zeros(len(t))
    if isinstance(noise, Gaussian):
        return stats.multivariate_normal(zero, scale).logpdf(residual)
    return stats.multivariate_t(zero, scale, df=noise.nu).logpdf(residual)


class Seen:
    """Some rows, as a density sees them."""

    def __init__(self, seed=1):
        self.runs = Runs.read(some_rows())
        generator = np.random.default_rng(seed)
        self.residual = 0.02 * generator.standard_normal(23)
        self.below, self.se = generator.uniform(0, 2, 23), self.runs.relative_se
        self.t, self.group = np.log10(self.runs.D), ALONG.groups(self.runs)[1]
        self.columns = ALONG.columns(self.runs)

    def density(self, noise, scales, weight=None, bits=64, columns=None):
        one = dict(zip(ALONG.names, scales, strict=True))
        rows = (self.residual, self.se, self.below, np.ones(23) if weight is None else weight)
        columns = self.columns if columns is None else columns
        with jax.enable_x64(bits == 64):
            kind = np.float64 if bits == 64 else np.float32
            noise, one, rows, columns = jax.tree.map(kind, (noise, one, rows, columns))
            return np.asarray(ALONG.log_densities(noise, one, *rows, columns))

    def expected(self, noise, scales, there=None):
        rows = self.t, self.residual, self.se, self.below
        there = np.ones(23, bool) if there is None else there
        return [
            by_hand(noise, scales, *(v[(self.group == g) & there] for v in rows))
            if np.any((self.group == g) & there) else 0.0
            for g in range(7)
        ]  # fmt: skip


@pytest.mark.parametrize("noise", NOISES, ids=repr)
@pytest.mark.parametrize("scales", SCALES)
def test_the_density_is_that_of_the_whole_matrix(noise, scales):
    seen = Seen()
    found = seen.density(noise, scales)
    np.testing.assert_allclose(found[:7], seen.expected(noise, scales), rtol=1e-8)
    np.testing.assert_array_equal(found[7:], 0)


@pytest.mark.parametrize("scales", SCALES)
def test_in_32_bits_too(scales):
    seen = Seen()
    found = seen.density(StudentT(0.006, 3.1), scales, bits=32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:7], seen.expected(NOISES[1], scales), rtol=2e-4, atol=2e-4)


def test_the_order_of_the_rows_does_not_matter():
    seen, mixed = Seen(), np.random.default_rng(0).permutation(23)
    found = seen.density(NOISES[1], SCALES[0])
    seen.runs = seen.runs.take(mixed)
    for name in ("residual", "se", "below"):
        setattr(seen, name, getattr(seen, name)[mixed])
    again = seen.density(NOISES[1], SCALES[0], columns=ALONG.columns(seen.runs))
    assert not np.allclose(found, again)  # groups have other numbers
    np.testing.assert_allclose(np.sort(again), np.sort(found), rtol=1e-10)


def test_rows_that_are_not_there_are_no_row_before_another():
    seen = Seen()
    for noise in NOISES:
        for seed in range(3):
            there = np.random.default_rng(seed).uniform(size=23) < 0.6
            found = seen.density(noise, SCALES[0], weight=there.astype(float))
            np.testing.assert_allclose(found[:7], seen.expected(noise, SCALES[0], there), rtol=1e-8)
    twice = seen.density(NOISES[0], SCALES[0], weight=np.where(seen.group == 2, 3.0, 1.0))
    np.testing.assert_allclose(
        twice[:7] / seen.expected(NOISES[0], SCALES[0]), 1 + 2 * (np.arange(7) == 2)
    )


def test_without_wander_the_density_is_that_of_plain_effects():
    seen, plain = Seen(), Effects("run_id")
    one = {"omega": 0.004}
    for noise in NOISES:
        with jax.enable_x64(True):
            expected = plain.log_densities(
                noise,
                one,
                seen.residual,
                seen.se,
                seen.below,
                np.ones(23),
                plain.columns(seen.runs),
            )
        np.testing.assert_allclose(seen.density(noise, (0.004, 0.0, 0.3)), expected, rtol=1e-10)
        # So short that no two rows go together: scatter of each row alone. So long that all of a group do.
        seen.t = seen.t + 1e-3 * np.arange(23)  # no two at one place
        seen.columns = columns_of(seen.group, seen.t)
        short = seen.density(noise, (0.004, 0.003, 1e-6))
        seen.se = np.hypot(seen.se, 0.003)
        np.testing.assert_allclose(short, seen.density(noise, (0.004, 0.0, 0.3)), rtol=1e-10)
        seen.se = seen.runs.relative_se
        long = seen.density(noise, (0.004, 0.003, 1e9))
        np.testing.assert_allclose(long, seen.density(noise, (0.005, 0.0, 0.3)), rtol=1e-6)


def test_slopes_are_those_of_differences():
    seen, noise = Seen(), NOISES[1]

    def total(values):
        one = dict(zip(ALONG.names, jnp.exp(values[:3]), strict=True))
        rows = values[3:], seen.se, seen.below, np.ones(23)
        return ALONG.log_densities(noise, one, *rows, seen.columns).sum()

    with jax.enable_x64(True):
        at, both = (
            np.concatenate([np.log(SCALES[0]), seen.residual]),
            jax.jit(jax.value_and_grad(total)),
        )
        slope = both(at)[1]
        steps = 1e-5 * np.eye(26) * np.where(np.arange(26) < 3, 1.0, 0.01)
        found = [(both(at + h)[0] - both(at - h)[0]) / (2 * h.sum()) for h in steps]
    np.testing.assert_allclose(found, slope, rtol=1e-5, atol=1e-5)


def test_some_of_the_rows_and_tables_together():
    """What searches of batches and replicates of a fit do to the columns."""
    seen = Seen()
    rows = np.random.default_rng(2).permutation(23)[:14]
    taken = renewed(seen.columns[rows])
    there = np.isin(np.arange(23), rows)
    whole = seen.density(NOISES[1], SCALES[0], weight=there.astype(float)).sum()
    with jax.enable_x64(True):
        part = ALONG.log_densities(
            NOISES[1], dict(zip(ALONG.names, SCALES[0], strict=True)), seen.residual[rows],
            seen.se[rows], seen.below[rows], np.ones(14), taken,
        )  # fmt: skip
    assert np.asarray(part).sum() == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("noise", [Gaussian(0.006), StudentT(0.006, 6.0)], ids=repr)
def test_scatter_has_the_covariance_of_the_density(noise):
    seen, count = Seen(), 40_000
    scales = dict(zip(ALONG.names, (0.004, 0.01, 0.2), strict=True))
    drawn_scales = {name: np.full((count, 1), value) for name, value in scales.items()}
    fields = jax.tree.map(lambda value: np.full((count, 1), value), noise)
    found = ALONG.scatter(
        fields, drawn_scales, np.random.default_rng(0), seen.se, seen.below, seen.columns
    )
    same = seen.group[:, None] == seen.group
    distance = np.abs(seen.t[:, None] - seen.t)
    expected = same * (0.004**2 + 0.01**2 * np.exp(-distance / 0.2))
    expected += np.diag(noise.sigma**2 + seen.se**2)
    heavier = 6 / 4 if isinstance(noise, StudentT) else 1.0
    np.testing.assert_allclose(
        np.cov(found, rowvar=False) / heavier, expected, atol=0.06 * expected.max()
    )


def test_the_process_is_drawn_along_each_run():
    group, place = np.array([0, 1, 0, 0, 1, 2]), np.array([0.3, 1.0, 0.0, 0.3, 0.0, 5.0])
    found = drawn(np.random.default_rng(1), columns_of(group, place), np.full((100_000, 1), 0.5))
    same, distance = group[:, None] == group, np.abs(place[:, None] - place)
    np.testing.assert_allclose(
        np.cov(found, rowvar=False), same * np.exp(-distance / 0.5), atol=0.02
    )


# Fits. ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return bayescale.fit(
        curves(rows=10), noise="gaussian", effects=ALONG, drift="none", draws=500, seed=1
    )


def test_a_fit_along_runs(fitted):
    assert fitted.diagnostics.verdict != "failed"
    assert list(fitted.parameters)[-4:] == ["sigma", *ALONG.names]
    summary = fitted.summary(level=0.99)
    for name, truth in {"sigma": 0.0015, "kappa": 0.006, "length": 0.3, "alpha": 0.35}.items():
        assert summary[name].lower < truth < summary[name].upper, name
    text = repr(fitted)
    assert "120 rows in 12 groups by run_id, correlated along D" in text
    assert "decades of D" in text


def test_it_comes_back(fitted, tmp_path):
    back = bayescale.load(fitted.save(tmp_path / "fit.nc"))
    assert back.spec == fitted.spec
    assert back.spec.effects == ALONG
    assert repr(back) == repr(fitted)


def test_a_new_run_has_all_of_the_scatter(fitted):
    points = {"N": [1e10], "D": [1e12]}
    run, law = (bayescale.predict(fitted, points=points, kind=k).draws for k in ("run", "law"))
    scales = [fitted.coordinates[name] for name in ("sigma", "omega", "kappa")]
    expected = np.sqrt(sum(scale**2 for scale in scales)).ravel()
    assert stats.kstest(np.log(run / law).ravel() / expected, "norm").pvalue > 1e-3


def test_simulated_rows_go_together_along_their_run(fitted):
    made = bayescale.simulate(fitted, fitted.runs, sets=500, seed=1)
    scatter = np.log(made.loss / made.law_loss).reshape(500, 12, 10)
    sigma, kappa, length = (np.median(fitted.coordinates[n]) for n in ("sigma", "kappa", "length"))
    steps = np.diff(scatter, axis=2).std(axis=(0, 1))
    gaps = np.diff(np.log10(np.linspace(1 / 10, 1, 10)))
    expected = np.sqrt(2 * sigma**2 + 2 * kappa**2 * (1 - np.exp(-gaps / length)))
    np.testing.assert_allclose(steps, expected, rtol=0.12)
    apart = bayescale.simulate(fitted, fitted.runs.inputs, sets=200, seed=1)
    scatter = np.log(apart.loss / apart.law_loss).reshape(200, 12, 10)
    assert np.diff(scatter, axis=2).std() > 1.3 * kappa


def test_arviz_has_its_density(fitted):
    tree = fitted.to_arviz()
    likelihood = tree["log_likelihood"]["log_loss"]
    assert likelihood.dims == ("chain", "draw", "run_id")
    data = data_of(fitted.runs, ("N", "D"), None, ALONG)
    one = {name: float(values[2, 7]) for name, values in fitted.coordinates.items()}
    with jax.enable_x64(True):
        expected = float(fitted.spec.log_likelihood(one, data))
    assert float(likelihood.sum("run_id")[2, 7]) == pytest.approx(expected, rel=1e-9)
    assert set(ALONG.names) <= set(tree["prior"].data_vars)


def test_rows_of_a_padded_table_and_of_weight_0():
    runs = Runs.read(curves(runs=8, rows=5))
    spec = model_spec(Chinchilla, StudentT, effects=ALONG)
    data = data_of(runs, ("N", "D"), None, ALONG)
    assert data.group.shape == (64, 3)
    keep = np.arange(40) % 3 != 0
    fewer = data_of(runs.take(keep), ("N", "D"), None, ALONG)._replace(reference=data.reference)
    weight = np.pad(keep.astype(float), (0, 24))
    draws = prior_draws(spec, data.reference, 3, seed=3)
    with jax.enable_x64(True):
        density = jax.jit(spec.log_likelihood)
        for i in range(3):
            point = {name: float(values[i]) for name, values in draws.items()}
            found = density(point, data._replace(weight=weight))
            assert found == pytest.approx(float(density(point, fewer)), rel=1e-9)


def test_what_cannot_be():
    table = curves(runs=8, rows=4)
    with pytest.raises(InputError, match="effects: the noise is laplace"):
        bayescale.fit(table, noise="laplace", effects=ALONG)
    with pytest.raises(InputError, match=r"along: the runs have no input 'lr'.*Use one of N, D, C"):
        bayescale.fit(table, effects=Effects("run_id", along="lr"))
    with pytest.raises(InputError, match="leave_out: it is 'point', and rows of one run_id share"):
        bayescale.compare(table, effects=ALONG, leave_out="point")


def test_the_command(tmp_path):
    from bayescale.cli.main import app

    path, saved = tmp_path / "runs.csv", tmp_path / "fit.nc"
    pandas.DataFrame(curves(rows=10)).to_csv(path, index=False)
    refused = CliRunner().invoke(app, ["fit", str(path), "--along", "D"])
    assert isinstance(refused.exception, InputError)
    assert "--effects run_id" in str(refused.exception)
    done = CliRunner().invoke(
        app,
        ["fit", str(path), "--effects", "run_id", "--along", "D", "--noise", "gaussian", "--drift",
         "none", "--draws", "500", "--json", "-o", str(saved)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["effects"], said["along"]) == ("run_id", "D")
    assert set(ALONG.names) <= set(said["parameters"])
    assert bayescale.load(saved).spec.effects == ALONG


# Is it right? --------------------------------------------------------------------------------------------


def test_rows_that_go_together_are_named():
    """By a fit whose effects are one shift for each run."""
    posterior = bayescale.fit(
        curves(rows=10), noise="gaussian", effects="run_id", drift="none", draws=100, chains=2
    )
    found = next(v for v in posterior.verdicts if v.code == "correlated-rows")
    assert "--effects run_id --along D" in found.advice


@pytest.mark.nightly
def test_whatever_takes_effects_takes_them_along_runs():
    table = curves(rows=6)
    fit = bayescale.fit(table, effects=ALONG, draws=200)
    assert [m.spec.effects for m in fit.forecasters] == [ALONG] * 2
    assert len(bayescale.predict(fit, N=1e10, D=1e12).intervals) == 1
    assert fit.settings["effects"] == ALONG
    sampled = bayescale.bootstrap(table, effects=ALONG, samples=20)
    assert (sampled.clusters, sampled.n_clusters) == ("run_id", 12)
    assert 0.4 < sampled.widths["alpha"] < 2
    for by in ("run_id", "D"):  # rows of D are left out from within runs
        moved = bayescale.influence(table, effects=ALONG, by=by, method="laplace-is")
        assert {"omega", "kappa", "length"} <= set(moved.intervals)
    done = bayescale.backtest(table, effects=ALONG, fractions=[0.7])
    assert done.origins[0].status in ("ok", "warn")
    found = bayescale.compare(table, ["chinchilla", "coupled"], effects=ALONG, score="loo")
    assert len(found.laws) == 2


@pytest.mark.nightly
@pytest.mark.parametrize("noise", ["gaussian", "student-t"])
def test_simulation_based_calibration(noise):
    """Truths drawn from the prior are where the posteriors of batches say."""
    generator = np.random.default_rng(7)
    N, share = (
        np.repeat(10 ** generator.uniform(7.5, 9.5, 8), 8),
        np.tile(np.linspace(0.125, 1, 8), 8),
    )
    runs = Runs(
        np.full(64, 3.0),
        {"N": N, "D": N * np.repeat(10 ** generator.uniform(0.8, 2.3, 8), 8) * share},
        labels={"run_id": np.repeat([f"r{i}" for i in range(8)], 8)},
    )
    spec = model_spec(
        Chinchilla, {"gaussian": Gaussian, "student-t": StudentT}[noise], effects=ALONG
    )
    made = from_prior(spec, data_of(runs, ("N", "D"), None, ALONG), 500, seed=9)
    settings = batch_settings("auto", 0)
    found = calibration_of("prior", made, settings, len(runs), 1e-3, None)
    print(found)
    assert all(found.passed.values()), found
    assert found.dropped <= 0.08 * found.replicates


@pytest.mark.nightly
def test_three_hundred_studies_of_twelve_curves_of_sixty_checkpoints():
    """Intervals of alpha: too narrow where rows count as independent but for a shift of their run."""
    studies = [curves(seed=seed) for seed in range(300)]
    table = {name: np.concatenate([one[name] for one in studies]) for name in studies[0]}
    table["study"] = np.repeat(np.arange(300), len(studies[0]["loss"]))
    shares = {}
    for name, effects in (("plain", "run_id"), ("along", ALONG)):
        many = bayescale.fit_many(table, "study", noise="gaussian", effects=effects, sets=50)
        frame = many.to_frame()
        frame = frame[frame["status"].isin(["ok", "warn"])]
        assert len(frame) >= 290
        truths = {"alpha": TRUTH["alpha"], "beta": TRUTH["beta"], "E": TRUTH["E"]}
        truths |= {} if name == "plain" else {"sigma": 0.0015, "kappa": 0.006}
        shares[name] = {
            q: np.mean((frame[f"{q}_lower"] < truth) & (truth < frame[f"{q}_upper"]))
            for q, truth in truths.items()
        }
    print(f"coverage of 90% intervals, 300 studies: {shares}")
    assert shares["plain"]["alpha"] < 0.7, shares
    low, high = stats.binom(300, 0.9).ppf([5e-4, 1 - 5e-4]) / 300
    assert all(low <= share <= high for share in shares["along"].values()), shares
