"""A run under way: what curves teach, the updated forecast, alarms, and what is said of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import InputError, Runs, monitor
from bayescale.cli.main import app
from bayescale.laws import Chinchilla
from bayescale.monitoring import alarms
from bayescale.monitoring.alarms import BROKEN, BROKEN_SD, FINE, STUDIES, Belief, detection
from bayescale.monitoring.curve_model import CurveModel, NewCurve
from bayescale.noise import get_noise
from bayescale.plots import plot_monitoring, save_plot
from conftest import TRUTH, simulate, synthetic_posterior

SHARES = np.arange(1, 10) / 10
TAU, ETA, SCATTER = 0.008, 0.002, 0.01
N, D_FINAL = 2e9, 8e10


def known(law=TRUTH, sigma=SCATTER):
    """A posterior without uncertainty of its law: forecasts are normal in log loss."""
    posterior = synthetic_posterior(Runs.read(simulate(n=20)), noise="gaussian")
    fields = {name: np.full(posterior.shape, value) for name, value in law.items()}
    noise = get_noise("gaussian")(sigma=np.full(posterior.shape, sigma))
    return replace(posterior, law=Chinchilla(**fields), noise=noise)


def log_law(size, tokens):
    t = TRUTH
    return np.log(t["E"] + t["A"] * size ** -t["alpha"] + t["B"] * tokens ** -t["beta"])


def structure(shares, tau=TAU, eta=ETA):
    """Covariance of what runs gather on the way, and of the noise of checkpoints and end."""
    u = -np.log(shares)
    return tau**2 * np.minimum.outer(u, u) + eta**2 * (1 + np.eye(len(u)))


def annealing(shares):
    """What the learning rate leaves to come down: alike in all runs."""
    return 0.04 * (1 - shares) ** 0.5


def runs_under_way(count, generator, excess=0.0, shares=SHARES):
    """Log losses (runs, shares) of runs of N and D_FINAL, and their final log losses."""
    final = log_law(N, D_FINAL) + excess + SCATTER * generator.standard_normal(count)
    drop = log_law(N, shares * D_FINAL) - log_law(N, D_FINAL) + annealing(shares)
    apart = generator.multivariate_normal(np.zeros(len(shares)), structure(shares), count)
    return final[:, None] + drop + apart, final


def table_of(count=10, seed=0, decades=1.0):
    """Checkpoints of finished runs of several sizes."""
    generator = np.random.default_rng(seed)
    shares = np.append(SHARES, 1.0)
    rows = []
    for i in range(count):
        size = N / 10 ** (decades * i / count)
        tokens = 20 * size
        final = log_law(size, tokens) + SCATTER * generator.standard_normal()
        apart = generator.multivariate_normal(np.zeros(9), structure(SHARES))
        left = np.append(annealing(SHARES) + apart, 0.0)
        log_loss = final + log_law(size, shares * tokens) - log_law(size, tokens) + left
        rows += [
            {"run_id": f"r{i}", "params": size, "tokens": t * tokens, "loss": np.exp(x)}
            for t, x in zip(shares, log_loss, strict=True)
        ]
    return {name: [row[name] for row in rows] for name in rows[0]}


def curve_of(seed=1, excess=0.0, until=0.5):
    log_loss, _ = runs_under_way(1, np.random.default_rng(seed), excess)
    seen = until + 1e-9 >= SHARES
    return {"tokens": SHARES[seen] * D_FINAL, "loss": np.exp(log_loss[0, seen])}


@pytest.fixture(scope="module", autouse=True)
def few_studies():
    """Simulated runs enough for tests of plumbing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alarms, "STUDIES", 300)
        yield


# --- what curves teach ---


def learned(count, seed, shares=SHARES):
    generator = np.random.default_rng(seed)
    y = generator.multivariate_normal(annealing(shares), structure(shares), count)
    return CurveModel.learn(shares, y, generator.uniform(19.5, 21.0, count))


def test_a_new_curve_is_what_the_evidence_says_of_one_more_run():
    """Two candidates for the next run: their evidence differs as their predictive densities do."""
    model = learned(6, 0)
    generator = np.random.default_rng(1)
    one, other = annealing(SHARES) + 0.02 * generator.standard_normal((2, len(SHARES)))
    z = 22.0

    def evidence(curve):
        return replace(model, y=np.vstack([model.y, curve]), z=np.append(model.z, z)).log_evidence

    new = model.of_a_run(z)
    density = stats.multivariate_t(new.location, new.scale, df=new.dof).logpdf
    expected = density(one) - density(other)
    assert evidence(one) - evidence(other) == pytest.approx(expected, abs=1e-8)


def test_the_scales_are_found():
    model = learned(60, 3)
    tau, eta, _, _ = model.scales
    assert tau == pytest.approx(TAU, rel=0.2)
    assert eta == pytest.approx(ETA, rel=0.2)
    new = model.of_a_run(20.0)
    np.testing.assert_allclose(new.location, annealing(SHARES), atol=5 * TAU / np.sqrt(60))
    ratio = np.diag(new.scale) / np.diag(structure(SHARES))
    assert np.all((ratio > 0.6) & (ratio < 1.7))


def test_runs_far_from_the_size_of_the_others_are_less_certain():
    model = learned(8, 4)
    near, far = model.of_a_run(20.0), model.of_a_run(24.0)
    assert np.all(np.diag(far.scale) > np.diag(near.scale))


def test_likelihoods_are_those_of_scipy():
    new = learned(6, 5).of_a_run(20.0)
    seen = np.random.default_rng(2).normal(1.0, 0.02, (3, len(SHARES))) + new.location
    final = np.linspace(0.9, 1.1, 5)
    found = new.log_likelihood(seen, final)
    for k in (1, 4, 9):
        there = stats.multivariate_t(new.location[:k], new.scale[:k, :k], df=new.dof)
        expected = np.array([[there.logpdf(s[:k] - x) for x in final] for s in seen])
        got = found[:, k - 1]
        np.testing.assert_allclose(got - got[:, :1], expected - expected[:, :1], atol=1e-9)


# --- the updated forecast, and alarms ---


def forecast_draws(count=4000, seed=9):
    return SCATTER * np.random.default_rng(seed).standard_normal(count) + log_law(N, D_FINAL)


def coverage(studies, runs, points=(1, 4, 7)):
    """How many of the final losses the updated 90% intervals held, with curves learned anew."""
    draws, held = forecast_draws(), np.zeros(len(points))
    belief = Belief.of(draws, 0.9, 1001)
    drop = log_law(N, SHARES * D_FINAL) - log_law(N, D_FINAL)
    for seed in range(studies):
        new = learned(runs, seed).of_a_run(20.2)
        log_loss, final = runs_under_way(1, np.random.default_rng([seed, 7]))
        masses = belief.given(new, log_loss - drop)[0]
        for j, point in enumerate(points):
            lower, upper = np.quantile(belief.draws(masses[point]), [0.05, 0.95])
            held[j] += lower <= final[0] <= upper
    return held / studies


def test_updated_intervals_hold_the_final_loss():
    studies = 100
    error = np.sqrt(0.09 / studies)
    assert np.all(np.abs(coverage(studies, runs=6) - 0.9) < 3.3 * error)


@pytest.mark.nightly
@pytest.mark.parametrize("runs", [4, 12, 30])
def test_updated_intervals_hold_the_final_loss_in_many_studies(runs):
    # The belief in broken runs, of which there are none here, makes intervals slightly wide.
    studies = 1000
    error = np.sqrt(0.09 / studies)
    found = coverage(studies, runs)
    assert np.all(found > 0.9 - 3.3 * error)
    assert np.all(found < 0.92 + 3.3 * error)


def test_the_rate_of_false_alarms_and_the_power_are_those_of_another_simulation(monkeypatch):
    """Runs by scipy; probabilities of a bad end by a sum over a plain grid and the exact density."""
    few = SHARES[::3]
    scale = structure(few, tau=0.004, eta=0.002)
    new = NewCurve(few, annealing(few), scale, dof=9.0)
    draws = forecast_draws(20_000)
    monkeypatch.setattr(alarms, "STUDIES", STUDIES)
    found = detection(draws, new, 0.5, 0.05, 0.02, seed=0)
    assert found.threshold > 0.5
    assert found.rate == pytest.approx(0.05, abs=0.002)

    centre = log_law(N, D_FINAL)
    half = stats.norm.ppf(0.75)
    upper = centre + half * SCATTER
    ell = np.linspace(centre - 0.3, centre + 0.3, 1501)
    # A coarse smoothing of draws widens the forecast's density a little: 250 kernels by Scott's rule.
    width = SCATTER * np.hypot(1, 250**-0.2)
    wrong = np.hypot(BROKEN_SD, 2 * half * SCATTER)
    prior = (1 - BROKEN) * stats.norm.pdf(ell, centre, width)
    prior += BROKEN * stats.norm.pdf(ell, centre, wrong)

    def ever_called(ends, seed):
        curves = stats.multivariate_t(new.location, scale, df=9.0).rvs(
            len(ends), random_state=np.random.default_rng(seed)
        )
        called = np.zeros((len(ends), len(few)), bool)
        for k in range(1, len(few) + 1):
            there = stats.multivariate_t(new.location[:k], scale[:k, :k], df=9.0)
            for i, (end, curve) in enumerate(zip(ends, curves, strict=True)):
                mass = prior * np.exp(there.logpdf((curve[:k] + end)[None] - ell[:, None]))
                called[i, k - 1] = mass[ell > upper].sum() > found.threshold * mass.sum()
        return np.maximum.accumulate(called, axis=1).mean(axis=0)

    studies = 1200
    ends = centre + SCATTER * stats.truncnorm(-half, half).rvs(
        studies, random_state=np.random.default_rng(5)
    )
    error = np.sqrt(0.05 * 0.95 * (1 / studies + 1 / STUDIES))
    assert abs(ever_called(ends, 3)[-1] - 0.05) < 3.3 * error
    power = ever_called(np.full(400, upper + np.log(1.02)), 4)
    error = np.sqrt(found.called * (1 - found.called) * (1 / 400 + 1 / STUDIES))
    assert np.all(np.abs(power - found.called) < 3.3 * error)


def test_informative_curves_are_called_where_it_is_likely_and_not_before():
    new = NewCurve(SHARES, annealing(SHARES), structure(SHARES, 0.003, 0.001), dof=20.0)
    found = detection(forecast_draws(), new, 0.9, 0.2, 0.02, seed=0)
    assert found.threshold == 0.5
    assert found.rate < 0.2
    assert found.earliest() <= found.earliest(0.9) < 0.5
    worse = detection(forecast_draws(), new, 0.9, 0.2, 0.0005, seed=0)
    assert not worse.called[0] > found.called[0]


def test_a_belief_is_the_forecast_and_what_it_does_not_know():
    draws = forecast_draws()
    belief = Belief.of(draws, 0.9, FINE)
    mass = np.exp(belief.log_mass)
    assert mass.sum() == pytest.approx(1)
    assert (belief.lower, belief.upper) == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))
    far = abs(belief.values - log_law(N, D_FINAL)) > 0.08
    wrong = stats.norm(0, np.hypot(BROKEN_SD, belief.upper - belief.lower))
    assert mass[far].sum() == pytest.approx(BROKEN * 2 * wrong.sf(0.08), rel=0.02)
    np.testing.assert_allclose(belief.inside(mass) + belief.above(mass), 1 - 0.05, atol=0.03)


# --- a run ---


@pytest.fixture(scope="module")
def posterior():
    return known()


@pytest.fixture(scope="module")
def good(posterior):
    return monitor(posterior, curve_of(), N, D_FINAL, curves=table_of())


@pytest.fixture(scope="module")
def bad(posterior):
    return monitor(posterior, curve_of(excess=0.06), N, D_FINAL, curves=table_of())


def test_a_good_run_is_let_be_and_a_bad_one_is_called(good, bad):
    assert not good.is_off
    assert np.isnan(good.called_at)
    assert good.inside > 0.8
    assert bad.is_off
    assert bad.called_at <= 0.5
    assert bad.inside < 0.05
    assert [v.code for v in bad.verdicts] == ["off-forecast"]
    end = np.exp(log_law(N, D_FINAL) + 0.06)
    assert bad.final.median == pytest.approx(end, rel=0.03)


def test_the_final_loss_is_known_better_with_every_checkpoint(good):
    widths = [u.final.upper - u.final.lower for u in good.updates]
    assert widths[-1] < 0.75 * (good.forecast.upper - good.forecast.lower)
    assert widths[-1] < widths[0]
    assert [u.share for u in good.updates] == pytest.approx(list(np.arange(2, 11) / 20))
    assert good.detection.shares.tolist() == good.shares.tolist()
    assert len(good.expected) == len(good.shares)


def test_the_last_checkpoint_is_judged_wherever_it_lies(posterior):
    curve = curve_of()
    curve["tokens"][-1] = 0.523 * D_FINAL
    found = monitor(posterior, curve, N, D_FINAL, curves=table_of())
    assert found.last.share == pytest.approx(0.523)
    assert found.last.loss == pytest.approx(curve["loss"][-1])


def test_a_spike_counts_for_little(posterior):
    shares = np.arange(10, 101) / 200
    left = annealing(shares) + log_law(N, shares * D_FINAL)
    spiked = left.copy()
    spiked[-9] += 0.5
    results = [
        monitor(posterior, {"tokens": shares * D_FINAL, "loss": np.exp(x)}, N, D_FINAL,
                curves=table_of())
        for x in (left, spiked)
    ]  # fmt: skip
    assert results[1].final.median == pytest.approx(results[0].final.median, rel=2e-4)


def test_steps_are_shares_too(posterior, good):
    table = curve_of()
    steps = {"step": table["tokens"] / D_FINAL * 5000, "loss": table["loss"]}
    found = monitor(posterior, steps, N, D_FINAL, steps=5000, curves=table_of())
    assert found.to_json() == good.to_json()


def test_earlier_runs_are_tried_each_without_its_own_curve(good):
    assert [c.runs for c in good.checks] == [10, 10, 10]
    assert all(c.held >= 6 for c in good.checks)
    assert good.false_alarms[1] <= 10
    assert good.false_alarms[0] <= 2


def test_without_curves_only_the_end_is_judged(posterior):
    early = monitor(posterior, curve_of(), N, D_FINAL)
    assert early.updates == ()
    assert early.final == early.forecast
    (verdict,) = early.verdicts
    assert verdict.code == "no-curves"
    assert "50%" in verdict.sentence
    with pytest.raises(InputError, match="nothing to plot"):
        plot_monitoring(early)
    for excess, inside in ((0.0, 1.0), (0.06, 0.0)):
        done = {
            "tokens": [0.5 * D_FINAL, D_FINAL],
            "loss": [3.0, np.exp(log_law(N, D_FINAL) + excess)],
        }
        end = monitor(posterior, done, N, D_FINAL)
        assert end.inside == inside
        assert end.is_off == (inside == 0)


def test_a_finished_run_has_its_end(posterior):
    table = table_of(1, seed=8, decades=0)
    table = {k: table[k] for k in ("tokens", "loss")}
    found = monitor(posterior, table, N, 20 * N, curves=table_of())
    assert found.final.is_point
    assert found.final.median == table["loss"][-1]


def test_what_is_left_out_and_what_lies_beyond_is_said(posterior):
    table = table_of(6)
    cut = [
        not (r == "r5" and t > 4e9) for r, t in zip(table["run_id"], table["tokens"], strict=True)
    ]
    table = {k: [x for x, kept in zip(v, cut, strict=True) if kept] for k, v in table.items()}
    D_final = [20 * x for x in table["params"]]
    far = {"tokens": [1e11, 2e11, 3e11], "loss": [2.35, 2.3, 2.28]}
    found = monitor(posterior, far, 2e10, 1e12, curves=table | {"D_final": D_final})
    assert found.earlier == 5
    codes = {v.code: v.sentence for v in found.verdicts}
    assert {"few-curves", "beyond-the-curves", "left-out"} <= set(codes)
    assert "r5: it ends at" in codes["left-out"]
    soon = monitor(posterior, {"tokens": [1e9], "loss": [4.0]}, N, D_FINAL, curves=table_of())
    assert soon.updates == ()
    assert "too-early" in [v.code for v in soon.verdicts]


def test_the_state_is_plain_data(bad):
    said = json.loads(json.dumps(bad.to_json()))
    assert said["off"]
    assert said["n_curves"] == 10
    assert said["checkpoints"][-1]["final"]["median"] == bad.final.median
    assert said["detection"]["rate"] <= said["detection"]["false_alarm"]
    assert list(bad.to_frame()["share"]) == [u.share for u in bad.updates]
    for text in ("At 5% false alarms", "called", "Earlier runs, each without its own curve"):
        assert text in repr(bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"N": -1}, "above 0"),
        ({"D_final": 1e9}, "lies beyond the end"),
        ({"false_alarm": 5}, "between 0 and 1"),
        ({"excess": 0}, "between 0 and 1"),
        ({"curve": {"step": [1, 2], "loss": [3, 2]}}, "say how many steps|Say how many steps"),
        ({"curve": {"loss": [3, 2]}}, "no column holds tokens"),
        ({"curve": {"tokens": [1e9, 1e9], "loss": [3, 2]}}, "two rows at 1e"),
        ({"curves": table_of(2)}, "2 earlier runs have a curve"),
        ({"curves": {k: v for k, v in table_of().items() if k != "run_id"}}, "which run"),
        ({"curves": table_of() | {"run_id": ["a"] * 100}}, "several N"),
        ({"fit": bayescale.published("besiroglu-2024")}, "published fit"),
    ],
)
def test_what_cannot_be_used_is_refused(posterior, options, message):
    given = {"fit": posterior, "curve": curve_of(), "N": N, "D_final": D_FINAL} | options
    with pytest.raises(InputError, match=message):
        monitor(**given)


def test_a_law_of_other_inputs_is_refused(runs):
    with pytest.raises(InputError, match="a curve is one of tokens"):
        monitor(synthetic_posterior(runs.with_x("C"), law="power"), curve_of(), N, D_FINAL)


def test_the_figure(bad, tmp_path):
    from matplotlib import pyplot

    left, right = plot_monitoring(bad)
    run = next(x for x in left.get_lines() if x.get_label() == "the run")
    np.testing.assert_allclose(run.get_ydata(), bad.curve.loss)
    labels = [t.get_text() for t in right.get_legend().get_texts()]
    assert "called" in labels
    assert any("a bad run, +2%" in label for label in labels)
    assert {p.name for p in save_plot(bad, tmp_path)} == {"monitoring.png", "monitoring.pdf"}
    pyplot.close("all")


def test_the_command(posterior, bad, tmp_path):
    import pandas

    path = posterior.save(tmp_path / "fit.nc")
    pandas.DataFrame(curve_of(excess=0.06)).to_csv(tmp_path / "run.csv", index=False)
    pandas.DataFrame(table_of()).rename(columns={"run_id": "trial"}).to_csv(
        tmp_path / "earlier.csv", index=False
    )
    words = ["monitor", str(path), str(tmp_path / "run.csv"), "--params", str(N)]
    words += ["--tokens", str(D_FINAL), "--curves", str(tmp_path / "earlier.csv")]
    words += ["--curves-columns", "run_id=trial"]
    done = CliRunner().invoke(app, [*words, "--json", "--plots", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["off"]
    assert said["final"]["median"] == pytest.approx(bad.final.median, rel=1e-3)
    assert (tmp_path / "figures" / "monitoring.png").stat().st_size > 0


# --- public runs ---


def test_real_curves_foretell_their_ends(public_data):
    """Gemstones at constant learning rate, by the published law; one run is held out."""
    where = "group == 'main' and schedule == 'constant_lr'"
    law = {"E": 2.1431220979, "A": np.exp(5.3613398367), "B": np.exp(15.415994531),
           "alpha": 0.2928686863, "beta": 0.712872206}  # fmt: skip
    columns = {"run_id": "run", "group": None}
    D_final = 350119526400.0
    name, final = "PyGemma-1792x18", 2.6099224
    curve = Runs.read(
        public_data / "gemstones.csv", columns, f"{where} and run == '{name}' and tokens < 2e11"
    )
    found = monitor(
        known(law, 0.02), curve, curve.N[0], D_final, curves=public_data / "gemstones.csv",
        curves_columns=columns, curves_where=f"{where} and run != '{name}'",
    )  # fmt: skip
    assert found.final.median == pytest.approx(final, rel=0.005)
    assert found.final.upper - found.final.lower < 0.03
    assert found.earlier == 21
    assert min(c.held for c in found.checks) >= stats.binom.ppf(0.01, 21, 0.9)
    assert found.false_alarms[0] <= stats.binom.ppf(0.99, found.false_alarms[1], 0.05)
