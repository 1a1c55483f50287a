"""Comparisons of laws: weights, cross-validation, what ranks them, and what is refused."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize
from typer.testing import CliRunner

import bayescale
from bayescale import FailedFitError, InputError, Runs, compare
from bayescale.cli.main import app
from bayescale.comparison.compared import ComparedLaw, difference
from bayescale.comparison.cross_validation import (
    Elpd,
    clusters_of,
    dependence,
    leave_groups_out,
    log_predictive,
    psis_loo,
)
from bayescale.comparison.stacking import forecast_weights, stacking_weights
from bayescale.fitting import prepare
from bayescale.inference.batch_fit import BatchFit
from bayescale.inference.engine import draw_posterior
from bayescale.inference.nuts import Sampler
from bayescale.laws import Chinchilla
from bayescale.plots import plot_comparison, save_plot
from bayescale.priors import LogNormal

PLAIN = {"noise": "gaussian", "drift": "none"}  # what compiles fastest


def coupled_runs(n=32, sigma=0.002, seed=0):
    """Runs from the coupled law with an outer exponent far from 1; some share a group."""
    generator = np.random.default_rng(seed)
    N = 10 ** generator.uniform(6.5, 9.0, n)
    D = N * 10 ** generator.uniform(0.3, 2.3, n)
    loss = 0.5 + (900 * N**-0.5 + 9000 * D**-0.55) ** 0.3
    return {
        "params": N,
        "tokens": D,
        "loss": loss * np.exp(sigma * generator.standard_normal(n)),
        "group": [f"g{i % 5}" for i in range(n)],
    }


@pytest.fixture(scope="module")
def varied():
    return Runs.read(coupled_runs())


@pytest.fixture(scope="module")
def result(varied):
    return compare(varied, ["chinchilla", "coupled"], fractions=[0.6, 0.75], seed=1, **PLAIN)


# --- weights ---


@pytest.mark.parametrize("seed", range(3))
def test_stacking_is_what_an_optimiser_finds(seed):
    generator = np.random.default_rng(seed)
    logs = generator.normal(size=(4, 60)) + generator.normal(size=(4, 1))

    def score(free):
        w = np.exp([*free, 0.0])
        return -np.log(w / w.sum() @ np.exp(logs)).mean()

    starts = 2 * generator.normal(size=(4, 3))
    options = {"method": "Nelder-Mead", "options": {"maxiter": 4000}}
    best = min((minimize(score, s, **options) for s in starts), key=lambda found: found.fun)
    w = stacking_weights(logs)
    assert w.sum() == pytest.approx(1)
    assert -np.log(w @ np.exp(logs)).mean() <= best.fun + 1e-9
    expected = np.exp([*best.x, 0.0])
    np.testing.assert_allclose(w, expected / expected.sum(), atol=2e-3)


def test_a_forecaster_that_is_never_best_gets_nothing():
    logs = np.random.default_rng(0).normal(size=(2, 50))
    never = logs.min(axis=0, keepdims=True) - 0.1
    assert stacking_weights(np.concatenate([logs, never]))[2] < 1e-6


def test_forecasts_from_one_origin_count_as_one_outcome():
    generator = np.random.default_rng(1)
    origins = [generator.normal(size=(3, n)) for n in (4, 9)]
    w = forecast_weights(origins)
    expected = np.exp(origins[0].mean(axis=1)) * np.exp(origins[1].mean(axis=1))
    np.testing.assert_allclose(w, expected / expected.sum())
    np.testing.assert_allclose(forecast_weights([np.repeat(o, 7, axis=1) for o in origins]), w)
    np.testing.assert_allclose(forecast_weights([np.zeros((3, 5))]), 1 / 3)
    assert forecast_weights([*origins, np.array([[0.0], [0.0], [-30.0]])])[2] < 1e-9


@pytest.mark.parametrize("weigh", [stacking_weights, lambda logs: forecast_weights([logs])])
@pytest.mark.parametrize(
    ("logs", "said"),
    [
        (np.zeros((2, 0)), "shape is"),
        (np.zeros(3), "shape is"),
        (np.array([[0.0, -np.inf], [0.0, -np.inf]]), "no finite density"),
        (np.array([[0.0, np.nan], [0.0, 1.0]]), "no finite density"),
    ],
)
def test_densities_that_say_nothing_are_refused(weigh, logs, said):
    with pytest.raises(InputError, match=said):
        weigh(logs)


# --- cross-validation ---


def refitted(runs, law, codes):
    """Log density of each run given the runs of other groups, by NUTS and NumPy."""
    spec, table, data, _ = prepare(runs, law, "gaussian")
    found = np.empty(len(table))
    for code in np.unique(codes):
        weight = np.zeros_like(data.weight)
        weight[: len(table)] = codes != code
        with jax.enable_x64(True):
            out, _ = draw_posterior(spec, Sampler(1000, 200), data._replace(weight=weight), 4, 7)
        law_there = {k: np.asarray(v).reshape(-1, 1) for k, v in out["law"].items()}
        sigma = np.asarray(out["noise"]["sigma"]).reshape(-1, 1)
        mean = (
            law_there["E"]
            + law_there["A"] * table.N ** -law_there["alpha"]
            + law_there["B"] * table.D ** -law_there["beta"]
        )
        density = stats.norm.pdf(np.log(table.loss), np.log(mean), sigma).mean(axis=0)
        found[codes == code] = np.log(density)[codes == code]
    return found


def test_cross_validation_is_that_of_exact_refits(varied):
    few = varied.take(np.arange(20))
    codes = np.unique(few.labels["group"], return_inverse=True)[1]
    exact = refitted(few, "chinchilla", np.arange(len(few)))
    loo = psis_loo(bayescale.fit(few, **PLAIN, seed=3))
    for limit, least, tolerance in ((0.5, 10, 0.15), (loo.good_k, 14, 0.3)):
        good = loo.pareto_k < limit
        assert good.sum() >= least
        np.testing.assert_allclose(loo.pointwise[good], exact[good], atol=tolerance)
    alone = leave_groups_out(few, "chinchilla", "gaussian", "run")
    np.testing.assert_allclose(alone.pointwise, exact, atol=0.25)
    assert alone.elpd == pytest.approx(exact.sum(), abs=0.8)
    assert (alone.unreliable, len(alone.pareto_k)) == (0, 0)
    groups = leave_groups_out(few, "chinchilla", "gaussian", "group")
    expected = np.bincount(codes, weights=refitted(few, "chinchilla", codes))
    np.testing.assert_allclose(np.sort(groups.pointwise), np.sort(expected), atol=0.5)


def test_differences_are_those_of_arviz(result):
    import warnings

    from arviz_stats import compare as arviz_compare

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trees = {one.law: one.posterior.to_arviz() for one in result.laws}
        theirs = arviz_compare(trees, round_to=6)
    n = len(result.runs)
    for one in result.laws:
        row = theirs.loc[one.law]
        assert one.elpd.elpd == pytest.approx(row["elpd"])
        assert one.elpd.se == pytest.approx(row["se"])
        assert one.difference("loo").value == pytest.approx(row["elpd_diff"])
        # Its error of a difference divides by n, where that of elpd divides by n - 1.
        assert one.difference("loo").se == pytest.approx(row["dse"] * np.sqrt(n / (n - 1)))
        assert one.weight("loo") == pytest.approx(row["weight"], abs=0.01)


# --- the whole ---


def test_runs_of_the_coupled_law_are_attributed_to_it(result):
    assert [one.law for one in result.laws] == ["coupled", "chinchilla"]
    best, other = result.laws
    assert best.weight("forecasts") > 0.85  # two origins: as much as two independent runs say
    assert best.weight("loo") > 0.9
    assert other.difference("loo").clear
    assert other.difference("loo").value < -10
    assert best.difference("forecasts").value == 0
    assert sum(result.mixture.weights) == pytest.approx(1)
    assert result.mixture.laws["coupled"] == best.weight("forecasts")


def test_scores_are_those_of_backtests(result, varied):
    for one in result.laws:
        expected = bayescale.backtest(
            varied, one.law, fractions=[0.6, 0.75], seed=1, wider=False, **PLAIN
        )
        densities = [origin.log_density for origin in expected.origins]
        assert one.log_score == pytest.approx(np.concatenate(densities).mean())
        assert one.forecasts.coverage == expected.coverage
    logs = [np.array(each) for each in zip(*(o.log_densities for o in result.laws), strict=True)]
    weights = [one.weight("forecasts") for one in result.laws]
    np.testing.assert_allclose(weights, forecast_weights(logs))
    apart = np.concatenate(logs, axis=1)
    assert result.laws[1].difference("forecasts").value == pytest.approx(
        (apart[1] - apart[0]).mean()
    )


def test_log_density_is_that_of_the_draws(result):
    origin = result["coupled"].backtest.origins[0]
    draws = np.log(origin.prediction.draws)
    pairs = zip(draws.T, np.log(origin.loss), strict=True)
    smooth = [stats.gaussian_kde(column)(y)[0] for column, y in pairs]
    inside = np.abs(origin.pit - 0.5) < 0.45  # where the kernel estimate is good
    assert inside.sum() >= 5
    np.testing.assert_allclose(origin.log_density[inside], np.log(smooth)[inside], atol=0.15)
    y = np.log(origin.loss)
    pairs = np.abs(draws[:1500, None] - draws[None, 1500:3000]).mean(axis=(0, 1))
    np.testing.assert_allclose(origin.crps, np.abs(draws - y).mean(axis=0) - pairs / 2, atol=3e-4)


def test_each_law_forecasts_alone(runs):
    posterior = bayescale.fit(runs, wider=False, seed=0)
    assert [model.name for model in posterior.forecasters] == ["chinchilla"]
    assert posterior.forecasters[0].spec.drift is not None


def test_a_law_that_cannot_be_fitted_is_a_row(result, varied):
    found = compare(varied, ["power", "chinchilla"], fractions=[0.75], **PLAIN)
    good, bad = found.laws
    assert (good.law, good.weight("forecasts")) == ("chinchilla", 1.0)
    assert (bad.law, bad.status) == ("power", "rejected")
    assert "x" in bad.reason
    assert bad.marks(0.9) == ("not-compared",)
    assert found.mixture.laws == {"chinchilla": 1.0}
    assert found.mixture.provenance["left_out"] == {"power": bad.reason}
    assert "not-compared" in [v.code for v in found.verdicts]
    assert "rejected" in found.table().text()
    assert repr(found).count(bad.reason) == 1


def test_no_law_at_all_says_why_of_each(varied):
    with pytest.raises(InputError, match="(?s)chinchilla: .*'nonsense'.*coupled: "):
        compare(varied, ["chinchilla", "coupled"], fractions=[0.75], allow=["nonsense"], **PLAIN)


def test_runs_too_few_for_any_score_say_so(varied):
    few = varied.take(range(5))
    said = "(?s)no law can be compared by forecasts of larger.*chinchilla: .*tied: .*--score loo"
    with pytest.raises(InputError, match=said) as error:
        compare(few, ["chinchilla", "tied"], fractions=[0.5], **PLAIN)
    assert str(error.value).count("chinchilla: ") == 1
    # Once for each law: the option and the argument that lift the check.
    assert str(error.value).count("few-points") <= 4


def test_only_origins_of_all_laws_count(result):
    from bayescale.comparison.comparing import _on_shared_origins, _weighed

    best, other = result.laws
    first, second = other.backtest.origins
    lost = replace(first, prediction=None, reason="no mode", log_density=np.zeros(0))
    partly = replace(other, backtest=replace(other.backtest, origins=(lost, second)))
    shared = _weighed(_on_shared_origins([best, partly]))
    assert [one.shared for one in shared] == [(1,), (1,)]
    np.testing.assert_array_equal(shared[0].log_densities[0], best.log_densities[1])
    never = replace(other, backtest=replace(other.backtest, origins=(lost, lost)))
    one, none = _weighed(_on_shared_origins([best, never]))
    assert (one.weight("forecasts"), one.shared) == (1.0, (0, 1))
    assert np.isnan(none.weight("forecasts"))
    assert "no mode" in none.reason


def with_elpd(result, apart, k=0.1, n=200):
    """The comparison as it would be if the second law's elpd were apart by this, with this se."""
    value, se = apart
    wave = np.where(np.arange(n) % 2, 1.0, -1.0) * se / np.sqrt(n)
    points = np.full(n, 2.0), 2.0 + value / n + wave
    laws = [
        replace(
            one,
            elpd=Elpd(mine, 5.0, np.full(n, k), 0.7),
            differences={**one.differences, "loo": difference(mine, points[0])},
        )
        for one, mine in zip(result.laws, points, strict=True)
    ]
    return replace(result, laws=tuple(laws))


@pytest.mark.parametrize(
    ("apart", "tied"),
    [((-20.0, 2.0), False), ((-3.9, 0.1), True), ((-20.0, 12.0), True), ((-4.1, 1.0), False)],
)
def test_small_and_unclear_differences_are_marked(result, apart, tied):
    made = with_elpd(result, apart)
    assert made.laws[1].difference("loo").se == pytest.approx(apart[1], rel=0.01)
    assert ("loo-tied" in made.laws[1].marks(0.9)) is tied
    assert ("loo-tied" in [v.code for v in made.verdicts]) is tied
    assert "loo-tied" not in made.laws[0].marks(0.9)


def test_few_runs_and_high_pareto_k_are_marked(result):
    codes = [v.code for v in with_elpd(result, (-20.0, 2.0)).verdicts]
    assert not {"few-runs", "pareto-k"} & set(codes)
    assert "few-runs" in [v.code for v in with_elpd(result, (-20.0, 2.0), n=99).verdicts]
    bad = with_elpd(result, (-20.0, 2.0), k=0.71)
    assert "pareto-k" in bad.laws[0].marks(0.9)
    assert "coupled (200)" in next(str(v) for v in bad.verdicts if v.code == "pareto-k")


def test_runs_that_belong_together_are_not_left_out_alone(monkeypatch):
    from bayescale.comparison import comparing

    rows = {name: [*column[:31], column[0]] for name, column in coupled_runs().items()}
    rows["loss"][31] *= 1.002
    repeated = Runs.read(rows)
    found = compare(repeated, ["chinchilla", "coupled"], fractions=[0.75], **PLAIN)
    assert all(one.elpd is None for one in found.laws)
    verdict = next(v for v in found.verdicts if v.code == "dependent-runs")
    assert verdict.sentence.startswith("1 point has several runs")
    with pytest.raises(InputError, match="1 point has several runs.*--leave-out"):
        compare(repeated, ["chinchilla", "coupled"], score="loo", **PLAIN)
    with pytest.raises(InputError, match="leave_out: 1 point has several runs"):
        compare(repeated, ["chinchilla", "coupled"], leave_out="run", **PLAIN)
    asked = []

    def instead(runs, law, noise, leave_out, inputs, **options):
        asked.append((law.name, leave_out, inputs))
        return Elpd(np.full(31, 2.0 + (law.name == "coupled")), np.nan, np.empty(0), np.nan)

    monkeypatch.setattr(comparing, "leave_groups_out", instead)
    left = compare(repeated, ["chinchilla", "coupled"], score="loo", leave_out="point", **PLAIN)
    assert asked == [(law, "point", ("N", "D")) for law in ("chinchilla", "coupled")]
    assert left.laws[0].law == "coupled"
    assert left.laws[0].backtest is None
    assert left.mixture.laws["coupled"] == left.laws[0].weight("loo")
    assert "dependent-runs" not in [v.code for v in left.verdicts]
    assert left.to_json()["questions"]["loo"].endswith("a run at another point like these?")


def test_what_belongs_together_is_left_out_together(varied):
    rows = {name: [*column[:31], column[0]] for name, column in coupled_runs().items()}
    repeated = Runs.read({**rows, "run_id": ["a", *map(str, range(30)), "a"]})
    assert dependence(repeated, ("N", "D")) == "1 run has several rows"
    assert dependence(varied, ("N", "D")) == ""
    points = clusters_of(repeated, "point", ("N", "D"))
    assert len(points.names) == 31
    assert points.codes[0] == points.codes[31]
    assert len(clusters_of(repeated, "run", ("N", "D")).names) == 32
    assert len(clusters_of(repeated, "run_id", ("N", "D")).names) == 31


def a_law(number):
    return type(f"Law{number}", (Chinchilla,), {"name": f"law-{number}"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"laws": ["chinchilla"]}, "there is chinchilla; a comparison is of two or more"),
        ({"laws": ["coupled", "chinchilla", "coupled"]}, "'coupled' stands twice"),
        ({"laws": ["chinchilla", "nonsense"]}, "'nonsense' is not a law"),
        ({"laws": [a_law(i) for i in range(12)]}, "there are 12; among more than 11"),
        ({"score": "aic"}, "'aic' is not a score"),
        ({"leave_out": "colour"}, "no label or input 'colour'"),
        ({"fractions": [1.5]}, "above 0 and below 1"),
        ({"priors": {"zeta": LogNormal(1.0, 0.1)}}, "'zeta' is not a coordinate of any of the laws"),
        ({"level": 2.0}, "the level is 2"),
        ({"noise": "cauchy"}, "'cauchy' is not a noise"),
    ],
)  # fmt: skip
def test_bad_requests(varied, options, said):
    with pytest.raises(InputError, match=said):
        compare(varied, **{**PLAIN, **options})


def test_more_laws_than_the_runs_can_compare():
    few = Runs.read(coupled_runs(5))
    with pytest.raises(InputError, match="coupled has 6 parameters for 5 runs"):
        compare(few, ["chinchilla", "coupled"])
    rows = coupled_runs(24)
    rows["tokens"][:23] = 1e16 / (6 * rows["params"][:23])
    rows["tokens"][23] = 1e17 / rows["params"][23]
    with pytest.raises(InputError, match="1 larger runs are held out for 2 laws"):
        compare(Runs.read(rows), ["chinchilla", "coupled"])
    rows["tokens"] = 1e16 / (6 * rows["params"])
    with pytest.raises(InputError, match="one compute budget.*score='loo'"):
        compare(Runs.read(rows), ["chinchilla", "coupled"])


def test_laws_by_default_are_those_that_fit_the_columns(varied, monkeypatch):
    from bayescale.comparison import comparing

    def instead(task, law, *rest):
        return ComparedLaw(law.name, "failed", "not tried")

    monkeypatch.setattr(comparing, "_compared", instead)
    with pytest.raises(FailedFitError) as found:
        compare(varied)
    assert str(found.value).count("not tried") == 2
    with pytest.raises(FailedFitError, match="power: not tried"):
        compare(varied, x="C")


def test_priors_go_to_the_laws_that_have_them():
    from bayescale.comparison.task import priors_of
    from bayescale.laws import Coupled
    from bayescale.noise import Gaussian

    given = {"k": LogNormal(0.5, 0.1), "L_opt": LogNormal(2.0, 0.1)}
    found = priors_of([Chinchilla, Coupled], Gaussian, given)
    assert found[Chinchilla] == {"L_opt": given["L_opt"]}
    assert found[Coupled] == given


# --- results ---


def test_tables_and_json(result):
    data = result.to_json()
    assert json.loads(json.dumps(data))["laws"][0]["law"] == "coupled"
    assert data["n_held_out"] == 32 - min(len(o.fitted) for o in result.laws[0].backtest.origins)
    assert data["questions"] == {
        "forecasts": "how well does the law foresee larger runs?",
        "loo": "how well does the law foresee another run like these?",
    }
    frame = result.to_frame()
    assert list(frame["law"]) == ["coupled", "chinchilla"]
    assert frame["weight"].sum() == pytest.approx(1)
    latex = result.table().latex()
    assert "coupled &" in latex
    assert r"90\%" in latex
    assert "coupled" in repr(result)
    assert len(result) == 2


def test_the_figure(result, tmp_path):
    from matplotlib import pyplot

    weights, differences = plot_comparison(result)
    drawn = [bar.get_width() for bar in weights.patches]
    expected = [one.weight(score) for score in ("forecasts", "loo") for one in result.laws]
    np.testing.assert_allclose(drawn, expected)
    forecasts = differences.lines[0].get_xdata()
    np.testing.assert_allclose(
        forecasts, [one.difference("forecasts").value for one in result.laws]
    )
    names = {p.name for p in save_plot(result, tmp_path)}
    assert names == {"comparison.png", "comparison.pdf"}
    pyplot.close("all")
    lost = tuple(replace(one, weights={}) for one in result.laws)
    with pytest.raises(InputError, match="nothing to plot"):
        plot_comparison(replace(result, laws=lost))
    with pytest.raises(FailedFitError, match="no law could be compared"):
        _ = replace(result, laws=lost).mixture


def test_the_command(tmp_path):
    import pandas

    path = tmp_path / "runs.csv"
    pandas.DataFrame(coupled_runs()).to_csv(path, index=False)
    out = tmp_path / "mixture.nc"
    options = ["compare", str(path), "--laws", "chinchilla,coupled", "--noise", "gaussian",
               "--drift", "none", "--fractions", ".75"]  # fmt: skip
    done = CliRunner().invoke(
        app, [*options, "--json", "-o", str(out), "--plots", str(tmp_path / "figures")]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["laws"][0]["law"] == "coupled"
    assert said["path"] == str(out)
    assert (tmp_path / "figures" / "comparison.png").stat().st_size > 0
    done = CliRunner().invoke(
        app, ["predict", str(out), "--params", "1e10", "--tokens", "1e12", "--json"]
    )
    weights = {one["law"]: one["weight"] for one in said["laws"]}
    assert json.loads(done.stdout)["laws"] == pytest.approx(weights)
    shown = CliRunner().invoke(app, [*options, "--table", "markdown"]).stdout
    assert "| 1 | coupled |" in shown
    refused = CliRunner().invoke(app, [*options[:2], "--laws", "chinchilla"])
    assert refused.exit_code != 0
    assert "two or more" in str(refused.exception)


def test_rows_that_share_a_shift_are_foreseen_together(varied):
    """A group that is left out is one multivariate normal outcome, given each draw."""
    spec, _, data, _ = prepare(varied, "chinchilla", "gaussian", effects="group", allow=[])
    held = varied.labels["group"] == "g2"
    own = data._replace(weight=np.pad(held.astype(float), (0, len(data.weight) - len(held))))
    generator, weights = np.random.default_rng(0), np.array([0.3, 0.7])
    u = generator.normal(scale=0.1, size=(2, len(spec.coordinates))) - [0, 0, 0, 1, 1, 5, 4]
    u[:, 0] += np.log(data.reference["low_loss"])
    found = BatchFit("nuts", u, weights, np.nan, 2.0, None, 0)
    density = 0.0
    for weight, vector in zip(weights, u, strict=True):
        with jax.enable_x64(True):
            c = spec.constrain(vector, data.reference)
            law, noise = spec.build(c, data.reference)
            mean = np.log(law.loss({s: varied[s][held] for s in ("N", "D")}))
        scale = float(noise.sigma) ** 2 * np.eye(held.sum()) + float(c["omega"]) ** 2
        apart = np.log(varied.loss[held]) - np.asarray(mean)
        density += weight * stats.multivariate_normal(np.zeros(held.sum()), scale).pdf(apart)
    assert log_predictive(spec, found, own).sum() == pytest.approx(np.log(density), rel=1e-8)


def test_rows_that_share_a_shift_are_left_out_together(varied, monkeypatch):
    from bayescale.comparison import comparing

    with pytest.raises(InputError, match="rows of one group share a shift"):
        compare(varied, effects="group", leave_out="run", **PLAIN)
    asked = []
    monkeypatch.setattr(
        comparing, "leave_groups_out", lambda *rest, **options: asked.append((rest[3], options))
    )
    found = compare(varied, ["chinchilla", "coupled"], effects="group", fractions=[0.75], **PLAIN)
    assert [(label, options["effects"]) for label, options in asked] == [("group", "group")] * 2
    assert found.leave_out == "group"
