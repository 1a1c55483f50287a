"""Posterior SBC of a fit: what is fitted, what is ranked, what is said, and the command."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import InputError
from bayescale.calibration import bands
from bayescale.calibration.posterior import from_posterior
from bayescale.calibration.quantities import Answers, names, rank
from bayescale.cli.main import app, main
from bayescale.drift import DampedTrend
from bayescale.effects import Effects
from bayescale.inference.batch_fit import BatchFit
from bayescale.model import data_of, prior_draws
from bayescale.plots import plot_calibration
from conftest import synthetic_posterior


@pytest.fixture(scope="module")
def result(fit):
    return bayescale.calibrate(fit, replicates=100, seed=3)


def test_the_fit_of_the_tests_is_calibrated(result, fit):
    assert set(result.ranks) == set(names(fit.spec))
    assert all(result.passed.values()), result
    assert result.dropped == 0
    assert result.verdicts == ()
    assert "the runs and each replicate" in repr(result)


def test_runs_and_replicate_are_fitted_together_under_the_prior_of_the_runs(fit):
    made = from_posterior(fit, 3, seed=0)
    own = data_of(fit.runs, fit.spec.law.inputs)
    count = len(fit.runs)
    with jax.enable_x64(True):
        for truth, both in zip(made.truths, made.data, strict=True):
            assert both.weight.sum() == 2 * count
            assert {k: float(v) for k, v in both.reference.items()} == dict(fit.reference)
            copy = np.concatenate([both.log_loss[count : 2 * count], own.log_loss[count:]])
            c = fit.spec.constrain(truth, own.reference)
            expected = fit.spec.log_density(truth, own) + fit.spec.log_likelihood(
                c, own._replace(log_loss=copy)
            )
            found = fit.spec.log_density(truth, both)
            assert float(found) == pytest.approx(float(expected), rel=1e-10)
            assert not np.allclose(copy[:count], own.log_loss[:count], atol=1e-6)


def test_a_replicate_has_groups_of_its_own(runs):
    """Given the truth, the shifts of a replicate say nothing of those of the runs."""
    runs = replace(runs, labels={"group": np.array([f"lab {i % 8}" for i in range(len(runs))])})
    posterior = synthetic_posterior(runs)
    spec = replace(posterior.spec, effects=Effects("group"))
    omega = np.full(posterior.shape, 0.05)
    coordinates = {**posterior.coordinates, "omega": omega}
    posterior = replace(posterior, spec=spec, coordinates=coordinates)
    made = from_posterior(posterior, 200, seed=0)
    own, count = data_of(runs, spec.law.inputs, None, spec.effects), len(runs)
    with jax.enable_x64(True):
        for truth, both in zip(made.truths[:3], made.data[:3], strict=True):
            copy = np.concatenate([both.log_loss[count : 2 * count], own.log_loss[count:]])
            c = spec.constrain(truth, own.reference)
            expected = spec.log_density(truth, own) + spec.log_likelihood(
                c, own._replace(log_loss=copy)
            )
            assert float(spec.log_density(truth, both)) == pytest.approx(float(expected), rel=1e-10)
        values = spec.constrain(made.truths.T[..., None], own.reference)
        mean = np.log(spec.build(values, own.reference)[0].loss(own.inputs))[:, :count]
    residual = np.array([both.log_loss[count : 2 * count] for both in made.data]) - mean
    group = own.group[:count, 0]
    first, second = np.flatnonzero(group == 0)[:2]
    other = np.flatnonzero(group == 1)[0]
    shared = stats.spearmanr(residual[:, first], residual[:, second])
    apart = stats.spearmanr(residual[:, first], residual[:, other])
    assert shared.statistic > 0.6
    assert apart.pvalue > 1e-3


def test_replicates_scatter_about_the_truth_they_come_from(runs):
    """Under drift and a trend of scatter: residuals in units of their own scale are Student-t."""
    posterior = synthetic_posterior(runs, noise="student-t-trend")
    spec = replace(posterior.spec, drift=DampedTrend())
    shape = (4, 250)
    drawn = prior_draws(spec, posterior.reference, 1000, 0)
    coordinates = {k: drawn[k].reshape(shape) for k in (*spec.drift.names, "trend")}
    posterior = replace(posterior, spec=spec, coordinates={**posterior.coordinates, **coordinates})
    made = from_posterior(posterior, 400, seed=0)
    data, count = data_of(runs, spec.law.inputs, spec.drift), len(runs)
    values = {
        c.name: np.asarray(c.prior.from_unbounded(u, posterior.reference)[0])[:, None]
        for c, u in zip(spec.coordinates, made.truths.T, strict=True)
    }
    law, noise = spec.build(values, posterior.reference)
    drift = np.hstack([values[name] for name in spec.drift.names]) @ data.basis.T
    observed = np.array([both.log_loss[count : 2 * count] for both in made.data])
    residual = observed - np.log(law.loss(data.inputs))[:, :count] - drift[:, :count]
    scale = noise.sigma * np.exp(noise.trend * data.below[:count])
    inside = np.abs(residual / scale) < np.sqrt(1.5)
    expected = 1 - 2 * stats.t.sf(np.sqrt(1.5), noise.nu).mean()
    assert abs(inside.mean() - expected) < 4 * np.sqrt(0.25 / inside.size)


def test_draws_that_do_not_belong_to_the_runs_are_found(fit):
    drawn = np.asarray(fit.coordinates["alpha"])
    moved = {**fit.coordinates, "alpha": drawn + 1.5 * drawn.std()}
    found = bayescale.calibrate(replace(fit, coordinates=moved), replicates=100, seed=3)
    assert not found.passed["alpha"]
    said = {v.code for v in found.verdicts}
    assert said == {"not-calibrated"}
    assert any(v.sentence.startswith("alpha: draws lie too low") for v in found.verdicts)


def test_a_rank_is_uniform_however_few_the_draws():
    generator = np.random.default_rng(0)
    fit = BatchFit("nuts", np.zeros((3, 1)), np.full(3, 1 / 3), np.nan, 3.0, None, 0)
    values = generator.standard_normal((2000, 4))
    found = [rank(v[:1], v[None, 1:], fit, generator)[0] for v in values]
    assert bands.p_value(found) > 1e-3
    # Draws that are all equal to the truth say nothing: the rank is any number.
    same = [rank(np.ones(1), np.ones((1, 3)), fit, generator)[0] for _ in range(500)]
    assert bands.p_value(same) > 1e-3


def test_losses_are_asked_for_at_10_and_100_times_the_largest_compute(fit, runs):
    answers = Answers.beyond({"N": runs.N, "D": runs.D})
    product = answers.points["N"] * answers.points["D"]
    np.testing.assert_allclose(product, (runs.N * runs.D).max() * np.array([10, 100]))
    ratio = answers.points["D"] / answers.points["N"]
    np.testing.assert_allclose(ratio, np.exp(np.mean(np.log(runs.D / runs.N))))
    assert answers.product == pytest.approx(10 * (runs.N * runs.D).max())
    one = Answers.beyond({"x": [1.0, 100.0]})
    np.testing.assert_allclose(one.points["x"], [1e3, 1e4])


def with_ranks(result, change, dropped=0):
    return replace(
        result, ranks={**result.ranks, "alpha": change(result.ranks["alpha"])}, dropped=dropped
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: np.clip(0.5 + 1.8 * (r - 0.5), 1e-3, 1 - 1e-3), "intervals are too narrow"),
        (lambda r: 0.5 + 0.4 * (r - 0.5), "intervals are too wide"),
        (lambda r: np.sqrt(r) ** 0.7 * 0.2 + 0.8, "draws lie too low"),
        (lambda r: 0.3 * r, "draws lie too high"),
    ],
)
def test_what_is_wrong_is_said(result, change, said):
    wrong = with_ranks(result, change)
    (verdict,) = wrong.verdicts
    assert (verdict.code, verdict.severity) == ("not-calibrated", "warn")
    assert verdict.sentence.startswith(f"alpha: {said}")
    assert [name for name, good in wrong.passed.items() if not good] == ["alpha"]
    assert "NO" in repr(wrong)


def test_many_dropped_replicates_are_told(result):
    few = {name: ranks[:90] for name, ranks in result.ranks.items()}
    (verdict,) = replace(result, ranks=few, dropped=10).verdicts
    assert verdict.code == "replicates-dropped"
    assert "10 of 100" in verdict.sentence
    none = replace(result, ranks={name: r[:0] for name, r in result.ranks.items()}, dropped=100)
    assert not any(none.passed.values())
    assert "replicates-dropped" in {v.code for v in none.verdicts}
    with pytest.raises(InputError, match="nothing to plot"):
        plot_calibration(none)


def test_coverage_is_the_share_of_central_ranks(result):
    ranks = result.ranks["nu"]
    assert result.coverage["nu"][0.9] == np.mean((ranks > 0.05) & (ranks < 0.95))
    row = result.to_frame().set_index("quantity").loc["nu"]
    assert row["coverage_0.9"] == result.coverage["nu"][0.9]
    assert result.to_json()["quantities"]["nu"]["ranks"] == ranks.tolist()


def test_the_figure_marks_what_fails(result):
    from matplotlib import pyplot

    axes = plot_calibration(with_ranks(result, lambda r: 0.3 * r))
    titles = [ax.get_title(loc="left") for ax in axes]
    assert [t for t in titles if t.endswith(": fails")] == ["alpha: fails"]
    x, y = axes[0].lines[1].get_data()
    ranks = np.sort(result.ranks["E"])
    np.testing.assert_allclose(x[1:-1], ranks)
    np.testing.assert_allclose(y[1:-1], np.arange(1, 101) / 100 - ranks)
    pyplot.close("all")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replicates": 19}, "Give 20 or more"),
        ({"false_alarm": 0.0}, "1e-06 to 0.5"),
        ({"method": "vi"}, "auto, laplace-is, nuts"),
    ],
)
def test_options_that_cannot_be_used(fit, options, said):
    with pytest.raises(InputError, match=said):
        bayescale.calibrate(fit, **options)


@pytest.fixture(scope="module")
def saved(fit, tmp_path_factory):
    return str(fit.save(tmp_path_factory.mktemp("fits") / "fit.nc"))


def test_the_command(result, saved, tmp_path):
    words = ["calibrate", saved, "--replicates", "100", "--seed", "3"]
    done = CliRunner().invoke(app, [*words, "--json", "--strict", "--plots", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(json.dumps(result.to_json()))
    assert (tmp_path / "calibration.png").stat().st_size > 0
    assert "| alpha" in CliRunner().invoke(app, [*words, "--table", "markdown"]).stdout


def test_exit_codes_of_the_command(result, saved, monkeypatch, capsys):
    wrong = with_ranks(result, lambda r: 0.3 * r)
    monkeypatch.setattr("bayescale.calibration.calibrate", lambda *_, **__: wrong)
    for words, code in (([], 0), (["--strict"], 3), (["--forecaster", "3"], 2)):
        monkeypatch.setattr("sys.argv", ["bayescale", "calibrate", saved, *words])
        with pytest.raises(SystemExit) as left:
            main()
        assert (left.value.code or 0) == code
        said = capsys.readouterr().err
        assert ("Give 1 to 2" if code == 2 else "not-calibrated") in said
