"""Designs of further runs: the formula, what is chosen, what it costs, and what is refused."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale
from bayescale import FailedFitError, InputError, Mixture, Runs, design
from bayescale.cli.main import app
from bayescale.conditioning import LinearGaussian
from bayescale.designing.before_data import Typical
from bayescale.designing.candidates import AROUND, FURTHER, allowed_values
from bayescale.designing.search import LITTLE, best_runs
from bayescale.designing.targets import Target
from bayescale.plots import plot_design, save_plot
from conftest import TRUTH, synthetic_posterior

SIGMA = 0.3
FEATURES = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0], [1.0, -2.0], [2.0, 0.5]])
PRIOR = np.array([[1.0, 0.3], [0.3, 0.5]])
ASKED = np.array([0.5, 2.0])


def exact(chosen):
    """Variance of a linear answer after observations, by the precision matrix of the unknowns."""
    X = FEATURES[list(chosen)]
    after = np.linalg.inv(np.linalg.inv(PRIOR) + X.T @ X / SIGMA**2)
    return ASKED @ after @ ASKED


@pytest.fixture(scope="module")
def linear():
    own = np.full(len(FEATURES), SIGMA**2)
    K = FEATURES @ PRIOR @ FEATURES.T
    return LinearGaussian(ASKED @ PRIOR @ ASKED, FEATURES @ PRIOR @ ASKED, K, own)


@pytest.mark.parametrize("chosen", [[], [0], [2, 3], [0, 1, 2, 3, 4], [1, 1]])
def test_variances_are_those_of_the_conjugate_update(linear, chosen):
    assert linear.after(chosen) == pytest.approx(exact(chosen), rel=1e-10)
    for i, found in enumerate(linear.after_each(chosen)):
        assert found == pytest.approx(exact([*chosen, i]), rel=1e-10)


def test_covariances_of_draws_give_the_same():
    draws = np.random.default_rng(0).multivariate_normal([0, 0], PRIOR, 40_000)
    own = np.full(len(FEATURES), SIGMA**2)
    found = LinearGaussian.of(draws @ ASKED, draws @ FEATURES.T, own)
    # The ratio of two sample variances of 40,000 draws has a standard error below 1%.
    assert found.after([2, 3]) == pytest.approx(exact([2, 3]), rel=0.04)


def test_the_geometric_mean_over_truths(linear):
    other = replace(linear, variance=4 * linear.variance, c=2 * linear.c)
    pairs = [(getattr(linear, name), getattr(other, name)) for name in ("variance", "c", "K")]
    both = Typical(LinearGaussian(*map(np.array, pairs), linear.own))
    assert both.after([1]) == pytest.approx(np.sqrt(linear.after([1]) * other.after([1])))
    assert both.after_each([1])[2] == pytest.approx(both.after([1, 2]))


def test_the_search_finds_what_trying_all_finds():
    """Small problems with a tight budget, the hardest for exchanges, all subsets tried."""
    excess = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        L, t = generator.standard_normal((9, 4)), generator.standard_normal(4)
        joint = LinearGaussian(t @ t, L @ t, L @ L.T, np.full(9, 0.1))
        cost, budget, most = generator.uniform(1, 10, 9), 14.0, 4
        subsets = [s for k in range(1, 5) for s in combinations(range(9), k)]
        least = min(joint.after(s) for s in subsets if cost[list(s)].sum() <= budget)
        chosen = best_runs(joint, cost, budget, most)
        assert len(set(chosen)) == len(chosen) <= most
        assert cost[chosen].sum() <= budget
        excess.append(np.sqrt(joint.after(chosen) / least))
    assert np.mean(np.array(excess) < 1 + LITTLE + 1e-9) > 0.8
    assert np.median(excess) < 1.001


def test_cheap_runs_come_first_and_useless_ones_stay_out():
    own, c = np.full(3, 0.1), np.array([0.7, 0.69, 0.0])
    K = np.eye(3)
    joint = LinearGaussian(1.0, c, K, own)
    assert best_runs(joint, np.array([1.0, 10.0, 0.1]), 11.2, 3) == [0, 1]
    with pytest.raises(InputError, match="no allowed run would tell anything"):
        best_runs(replace(joint, c=0 * c), np.ones(3), 3.0, 3)


# --- with fits ---


@pytest.fixture(scope="module")
def collinear():
    N = np.geomspace(3e7, 3e9, 48)
    D = 20 * N
    mean = TRUTH["E"] + TRUTH["A"] * N ** -TRUTH["alpha"] + TRUTH["B"] * D ** -TRUTH["beta"]
    loss = mean * np.exp(0.005 * np.random.default_rng(0).standard_normal(48))
    runs = Runs.read({"params": N, "tokens": D, "loss": loss})
    return bayescale.fit(runs, drift="none", allow=["collinear"], seed=0)


@pytest.fixture(scope="module")
def found(collinear):
    return design(collinear, "tokens_per_parameter at 1e22", 1e20)


def test_where_all_runs_have_20_tokens_per_parameter_others_are_chosen(collinear, found):
    ratio = found.points["D"] / found.points["N"]
    assert ratio.min() <= 5
    assert ratio.max() >= 100
    assert found.ratio < 0.5
    only = design(collinear, "tokens_per_parameter at 1e22", 1e20, ratios=20)
    assert only.ratio > 1.5 * found.ratio


def test_the_budget_is_kept(found):
    np.testing.assert_allclose(found.C, 6 * found.points["N"] * found.points["D"])
    assert found.C.sum() <= 1e20
    assert found.share.sum() == pytest.approx(found.C.sum() / 1e20)
    assert np.all(found.candidate_C <= 1e20 * (1 + 1e-9))
    assert len(found) <= 8
    assert np.all(np.diff(found.sd_after) < 0)


def test_only_allowed_runs_are_chosen(collinear):
    few = design(collinear, "alpha", 1e20, params=["1e8", "3e8:1e9"], tokens=[2e9, 2e10], runs=3)
    assert set(few.candidates["N"]) == {1e8, 5e8, 1e9}
    assert set(few.candidates["D"]) == {2e9, 2e10}
    assert len(few) <= 3
    own = design(collinear, "alpha", 1e20)
    ratios = own.candidates["D"] / own.candidates["N"]
    low, high = min(20 / FURTHER, 20 / AROUND), max(20 * FURTHER, 20 * AROUND)
    assert low * 0.999 <= ratios.min() <= ratios.max() <= high * 1.001


def test_the_expected_width_agrees_with_reweighting(found):
    """Two ways to the same figure; outcomes by hundreds leave some percent of Monte Carlo error."""
    assert found.reweighted.ess > 30
    assert found.reweighted.sd == pytest.approx(float(found.sd_after[-1]), rel=0.3)


@pytest.mark.nightly
def test_the_expected_width_agrees_with_refits(collinear, found):
    checked = design(collinear, "tokens_per_parameter at 1e22", 1e20, refits=40)
    assert checked.refitted.outcomes == 40
    assert checked.refitted.sd == pytest.approx(float(found.sd_after[-1]), rel=0.3)


def test_the_interval_after_is_narrower_about_the_same_median(found):
    assert found.after.median == pytest.approx(found.before.median, rel=1e-6)
    logs = [np.log(i.upper / i.lower) for i in (found.before, found.after)]
    assert logs[1] / logs[0] == pytest.approx(found.ratio, rel=1e-6)


def test_the_interval_now_is_that_of_predict_and_of_allocate(synthetic):
    asked = design(synthetic, "loss at params=1e10, tokens=2e11", 1e20, runs=2)
    told = bayescale.predict(synthetic, N=1e10, D=2e11, kind="law").intervals[0]
    assert asked.before.median == pytest.approx(told.median, rel=1e-9)
    assert asked.before.upper == pytest.approx(told.upper, rel=1e-9)
    alpha = design(synthetic, "alpha", 1e20, runs=2)
    assert alpha.before.median == pytest.approx(np.median(synthetic.law.alpha))
    split = design(synthetic, "N_opt at 1e22", 1e20, runs=2)
    best = bayescale.allocate(synthetic, 1e22).intervals["N"][0]
    assert split.before == best


@pytest.mark.nightly
def test_a_loss_is_that_of_the_models_of_forecasts(fit):
    asked = design(fit, "loss at N=1e10,D=2e11", 1e22)
    told = bayescale.predict(fit, N=1e10, D=2e11, kind="law").intervals[0]
    # The drift beyond the runs is drawn anew with the candidates: equal to within Monte Carlo error.
    assert asked.before.median == pytest.approx(told.median, abs=told.sd / 10)
    assert asked.before.sd == pytest.approx(told.sd, rel=0.1)
    assert len(asked.laws) == 2
    assert asked.ratio < 0.97
    assert asked.reweighted.sd == pytest.approx(float(asked.sd_after[-1]), rel=0.3)


def test_laws_of_a_mixture_count(runs):
    """Two laws that are each sure and disagree: what is unknown is which of them holds."""
    one = synthetic_posterior(runs)
    two = replace(one, law=replace(one.law, alpha=one.law.alpha * 1.3))
    mixture = Mixture((one, two), (0.5, 0.5))
    apart = np.log(np.median(two.law.alpha) / np.median(one.law.alpha)) / 2
    both, alone = design(mixture, "alpha", 1e20, runs=2), design(one, "alpha", 1e20, runs=2)
    sd = both.sd_before if both.scale == "log" else both.sd_before / both.before.median
    assert sd > alone.sd_before
    assert sd == pytest.approx(apart, rel=0.25)
    assert both.ratio < 0.5  # runs tell them apart
    assert sum(both.laws.values()) == pytest.approx(1)


def test_before_any_runs():
    first = design(
        "chinchilla", "tokens_per_parameter at 1e22", 1e20, params="1e8:1e9", ratios="5:200", runs=5
    )
    assert first.runs is None
    assert 1 < len(first) <= 5
    assert first.C.sum() <= 1e20
    assert first.ratio < 0.8
    ratios = first.points["D"] / first.points["N"]
    assert ratios.max() / ratios.min() >= 10
    assert "before any runs" in repr(first)
    assert first.to_json()["refitted"] is None


def test_a_law_of_compute(runs):
    posterior = synthetic_posterior(runs.with_x("C"), law="power")
    found = design(posterior, "loss at x=1e23", 1e21, runs=3)
    assert list(found.points) == ["x"]
    np.testing.assert_array_equal(found.points["x"], found.C)
    axes = plot_design(found)
    assert axes[0].get_xlabel() == "training FLOPs C"
    with pytest.raises(InputError, match=r"needs a law of N and D|allocation"):
        design(posterior, "N_opt at 1e23", 1e21)
    with pytest.raises(InputError, match="no sizes and token counts"):
        design(posterior, "loss at x=1e23", 1e21, params=1e9)
    other = synthetic_posterior(runs.with_x("N"), law="power")
    with pytest.raises(InputError, match="what a run costs follows from N and D"):
        design(other, "loss at x=1e23", 1e21)


def test_results_in_every_form(found, tmp_path):
    said = json.loads(json.dumps(found.to_json()))
    assert said["cost"] == pytest.approx(found.C.sum())
    assert [run["N"] for run in said["runs"]] == found.points["N"].tolist()
    assert len(found.to_frame()) == len(found)
    assert found.table().render("markdown").count("\n") > len(found)
    assert {p.name for p in save_plot(found, tmp_path)} == {"design.png", "design.pdf"}


def test_the_figure_shows_the_runs_where_they_sit(found):
    left, right = plot_design(found)
    places = [c.get_offsets() for c in left.collections if len(c.get_offsets()) == len(found)]
    wanted = np.column_stack([found.points["N"], found.points["D"]])
    assert any(np.allclose(place, wanted) for place in places)
    shown = right.get_lines()[0].get_ydata()
    np.testing.assert_allclose(shown, 100 * found.sd_after / found.sd_before)


def test_what_is_said_of_the_figures(found):
    assert "little-gain" not in [v.code for v in found.verdicts]
    useless = replace(found, sd_after=found.sd_after * 0 + found.sd_before * 0.99)
    assert "little-gain" in [v.code for v in useless.verdicts]
    bent = replace(found, reweighted=replace(found.reweighted, sd=3 * float(found.sd_after[-1])))
    assert "not-linear" in [v.code for v in bent.verdicts]
    unknown = replace(found, reweighted=replace(found.reweighted, sd=float("nan")))
    assert [v.code for v in unknown.verdicts] == ["not-checked"]


# --- what is refused ---


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("beto", "did you mean 'beta'"),
        ("alpha at 1e25", "no loss and no optimum"),
        ("loss", "does not say where the loss is asked"),
        ("loss at N=1e9", "D of the loss is missing"),
        ("loss at N=1e9,D=1e10,U=3", "has no input U"),
        ("N_opt at lots", "is not a number"),
        ("N_opt at -1", "not a finite number above 0"),
        ("", "write 'tokens_per_parameter at 1e25'"),
        (3, "it is 3"),
    ],
)
def test_targets_that_cannot_be_read(synthetic, target, match):
    with pytest.raises(InputError, match=f"(?i){match}"):
        design(synthetic, target, 1e20)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"budget": 1e10}, r"the cheapest allowed run costs .* no run can be made"),
        ({"budget": 0}, "budget: it is 0"),
        ({"tokens": 1e10, "ratios": 20}, "both are given"),
        ({"params": "1e9:1e8"}, "is no range"),
        ({"params": "many"}, "params: .*is not a number"),
        ({"params": "3e8:4e8"}, "holds no value"),
        ({"params": np.geomspace(1e7, 1e8, 300), "ratios": np.geomspace(1, 9, 30)}, "2000 can be"),
        ({"runs": 0}, "runs: it is 0"),
        ({"refits": -1}, "refits: it is -1"),
        ({"at": {"U": 1e9}}, "U is no input"),
        ({"at": {"N": 1e9}}, "N is chosen by the design"),
        ({"level": 2.0}, "level"),
    ],
)
def test_options_that_cannot_be_used(synthetic, options, match):
    with pytest.raises(InputError, match=match):
        design(synthetic, "alpha", **{"budget": 1e20, **options})


def test_sources_that_cannot_be_used(synthetic, runs):
    with pytest.raises(InputError, match="a point without uncertainty"):
        design(bayescale.published("hoffmann-2022"), "alpha", 1e20)
    with pytest.raises(InputError, match="neither a fit nor a law"):
        design(3, "alpha", 1e20)
    with pytest.raises(InputError, match="allowed sizes and token counts are not given"):
        design("chinchilla", "alpha", 1e20)
    with pytest.raises(InputError, match="a first design chooses N and D"):
        design("power", "alpha", 1e20)
    with pytest.raises(InputError, match="there is no fit yet"):
        design("chinchilla", "alpha", 1e20, params=[1e8, 1e9], ratios=[5, 50], refits=3)
    with pytest.raises(InputError, match="several laws"):
        design(Mixture((synthetic,), (1.0,)), "alpha", 1e20, refits=3)
    failed = synthetic_posterior(runs, diverging=np.ones((4, 250), bool))
    with pytest.raises(FailedFitError, match="the sampling of this fit failed"):
        design(failed, "alpha", 1e20)
    assert len(design(failed, "alpha", 1e20, allow_failed=True, runs=1)) == 1


def test_allowed_values():
    assert allowed_values("params", None) is None
    assert allowed_values("params", "1e8:1e9").tolist() == [1e8, 2e8, 5e8, 1e9]
    assert allowed_values("params", [3e9, "1e8:2e8"]).tolist() == [1e8, 2e8, 3e9]
    assert allowed_values("params", 7).tolist() == [7]


def test_targets_in_words():
    assert str(Target.read("loss at N=70e9,D=1.4e12")) == "loss at N = 7e+10, D = 1.4e+12"
    assert Target.read(" N_opt  at  C=1e25 ").at == {"C": 1e25}


# --- the command ---


def test_the_command(collinear, found, tmp_path):
    path = collinear.save(tmp_path / "fit.nc")
    options = ["design", str(path), "--target", "tokens_per_parameter at 1e22", "--budget", "1e20"]
    done = CliRunner().invoke(app, [*options, "--json", "--plots", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [run["N"] for run in said["runs"]] == found.points["N"].tolist()
    assert (tmp_path / "figures" / "design.png").stat().st_size > 0
    words = CliRunner().invoke(app, [*options, "--params", "1e8:1e9", "--ratios", "5,200"])
    assert "Runs that narrow tokens_per_parameter" in words.stdout
    both = CliRunner().invoke(app, [*options, "--budget", "1e20,1e21"])
    assert isinstance(both.exception, InputError)
    first = ["design", "chinchilla", "--target", "alpha", "--budget", "1e19", "--runs", "2"]
    prior = CliRunner().invoke(app, [*first, "--params", "1e8,1e9", "--ratios", "2,100", "--json"])
    assert json.loads(prior.stdout)["basis"] == "before any runs"
