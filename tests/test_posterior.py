"""Posteriors: summaries, provenance, files that keep every bit, and what ArviZ is given."""

import importlib.metadata
import json
import os
import pickle
import shutil
import stat
import sys
from dataclasses import asdict, replace
from datetime import datetime

import arviz
import h5py
import numpy as np
import pytest
import xarray
from scipy import stats

import bayescale
from bayescale import FailedFitError, InputError, Runs, load, predict
from bayescale.convergence import TAIL
from bayescale.diagnostics import convergence
from bayescale.laws import LAWS
from bayescale.model import model_spec
from bayescale.noise import NOISES
from bayescale.priors import Beta, LogNormal, ShiftedGamma, StudentT, StudentTMixture
from bayescale.storage import FORMAT
from conftest import simulate, synthetic_posterior

LABELS = ["a,b", 'ü "日本語" ✓', "", "two\nlines", "back\\slash \\x41", "nul\0inside", "half\udc80"]
STUDENT_T = ["E", "A", "B", "alpha", "beta", "sigma", "nu"]


def labelled_runs():
    """Runs with everything that a table may have."""
    table = simulate(n=14)
    product = np.asarray(table["params"]) * np.asarray(table["tokens"])
    table |= {
        "flops": 7 * product,
        "unique_tokens": np.asarray(table["tokens"]) / 3,
        "loss_se": 0.001 * np.asarray(table["loss"]),
        "corpus": LABELS * 2,
        "seed": list(range(14)),
        "run_id": [f"run {i}" for i in range(14)],
    }
    return Runs.read(table, where="seed != 3", loss_unit="bits/byte")


@pytest.fixture(scope="module")
def saved(runs, tmp_path_factory):
    """A fit on disk."""
    return synthetic_posterior(runs).save(tmp_path_factory.mktemp("saved") / "fit.nc")


@pytest.fixture(scope="module")
def tree(fit):
    return fit.to_arviz(seed=5)


def assert_same_bits(one, other):
    assert set(one) == set(other)
    for name, values in one.items():
        assert values.dtype == other[name].dtype, name
        assert values.shape == other[name].shape, name
        assert values.tobytes() == other[name].tobytes(), name


def assert_same(one, other):
    """Every field of two posteriors, floating-point numbers bit for bit."""
    assert type(one.law) is type(other.law)
    assert type(one.noise) is type(other.noise)
    assert one.spec == other.spec
    assert dict(one.reference) == dict(other.reference)
    assert one.provenance == other.provenance
    for field in ("parameters", "coordinates", "stats"):
        assert_same_bits(getattr(one, field), getattr(other, field))
    a, b = one.runs, other.runs
    assert_same_bits({"loss": a.loss, **a.inputs}, {"loss": b.loss, **b.inputs})
    assert (a.loss_se is None) == (b.loss_se is None)
    assert a.loss_se is None or a.loss_se.tobytes() == b.loss_se.tobytes()
    assert {k: v.tolist() for k, v in a.labels.items()} == {
        k: v.tolist() for k, v in b.labels.items()
    }
    for field in ("places", "loss_unit", "source", "columns", "where", "n_left_out", "data_hash"):
        assert getattr(a, field) == getattr(b, field), field


def rewrite(saved, path, edit=lambda history: history, drop=None):
    """A copy of a saved fit with another history, or without a group."""
    shutil.copy(saved, path)
    with h5py.File(path, "r+") as file:
        history = edit(json.loads(file.attrs["bayescale"]))
        file.attrs["bayescale"] = history if isinstance(history, str) else json.dumps(history)
        if drop:
            del file[drop]
    return path


# --- what a posterior says ---


def test_parameters_and_what_follows_from_them(synthetic):
    assert list(synthetic.parameters) == STUDENT_T
    assert all(
        draws.shape == synthetic.shape == (4, 250) for draws in synthetic.parameters.values()
    )
    assert synthetic.parameters["alpha"] is synthetic.law.alpha
    a, b = synthetic.derived["a"], synthetic.derived["b"]
    np.testing.assert_allclose(a + b, 1, rtol=1e-15)
    np.testing.assert_allclose(a, synthetic.law.beta / (synthetic.law.alpha + synthetic.law.beta))
    assert synthetic.flat_law().beta.tolist() == synthetic.law.beta.ravel().tolist()
    assert synthetic.flat_noise().nu.shape == (1000,)


def test_a_law_without_an_optimum_has_no_allocation_exponents(runs):
    posterior = synthetic_posterior(runs.with_x("N"), law="power")
    assert posterior.derived == {}
    assert list(posterior.summary()) == ["E", "c", "alpha", "sigma", "nu"]


def test_summary(synthetic):
    summary = synthetic.summary(level=0.5)
    assert list(summary) == [*STUDENT_T, "a", "b"]
    draws = synthetic.law.alpha
    expected = [*np.quantile(draws, [0.5, 0.25, 0.75]), draws.mean(), draws.std(ddof=1)]
    assert list(asdict(summary["alpha"]).values()) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(InputError, match=r"the level is 90.*Write 0.9 for 90%"):
        synthetic.summary(level=90)


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_table(synthetic, form):
    table = synthetic.table(level=0.8)
    assert table.caption == (
        "Posterior of the Chinchilla law with student-t noise on log loss, 48 runs: median and 80% "
        "interval."
    )
    text, alpha = table.render(form), synthetic.summary(0.8)["alpha"]
    cells = {
        "text": ("alpha ", str(alpha), "nats/token"),
        "markdown": ("| alpha |", alpha.offsets(), "nats/token"),
        "latex": (r"$\alpha$ &", f"${alpha.latex()}$", "nats/token", r"80\%"),
    }[form]
    assert all(cell in text for cell in cells)
    rows = {"text": -1, "markdown": -4, "latex": -10}[form]
    assert len(text.splitlines()) + rows == len(table.rows) == 9


def test_the_unit_of_the_loss_is_that_of_the_runs():
    table = synthetic_posterior(labelled_runs()).table().text()
    assert "bits/byte" in table
    assert "nats" not in table


def test_printing_shows_medians_and_verdict(synthetic, runs):
    text = repr(synthetic)
    for name, interval in synthetic.summary().items():
        assert f"\n{name} " in text
        assert str(interval) in text
    assert "\nsampling ok: R-hat at most 1.0" in text
    failed = synthetic_posterior(runs, diverging=np.ones((4, 250), bool))
    assert "\nsampling failed: " in repr(failed)
    assert "1000 of 1000 transitions diverged" in repr(failed)


def test_prior(runs):
    spec = model_spec(LAWS["chinchilla"], NOISES["gaussian"], {"beta": LogNormal(0.5, 0.01)})
    posterior = replace(synthetic_posterior(runs), spec=spec)
    law, noise = posterior.prior(count=20_000, seed=4)
    assert {v.shape for v in (law.E, law.A, law.B, noise.sigma)} == {(20_000,)}
    for draws, prior in ((law.alpha, LAWS["chinchilla"].coordinates[3].prior), (law.beta, None)):
        prior = prior or LogNormal(0.5, 0.01)
        for mass in (0.05, 0.5, 0.95):
            share = np.mean(draws < prior.quantile(mass, posterior.reference))
            assert abs(share - mass) < 4 * np.sqrt(mass * (1 - mass) / 20_000)
    again, other = posterior.prior(20_000, seed=4)[0], posterior.prior(20_000, seed=5)[0]
    assert law.A.tobytes() == again.A.tobytes() != other.A.tobytes()


def test_require_sound(synthetic, runs):
    synthetic.require_sound()
    warned = synthetic_posterior(runs, diverging=np.arange(1000).reshape(4, 250) == 0)
    warned.require_sound()
    failed = synthetic_posterior(runs, diverging=np.ones((4, 250), bool))
    failed.require_sound(allow_failed=True)
    with pytest.raises(FailedFitError, match=r"(?s)sampling of this fit failed.*failed: divergen"):
        failed.require_sound()
    with pytest.raises(FailedFitError, match=r"--allow failed-sampling \(allow_failed=True\)"):
        failed.require_sound()


def test_provenance_of_a_fit(fit, runs):
    made = fit.provenance
    for package in ("bayescale", "jax", "jaxlib", "numpyro", "numpy"):
        assert made[package] == importlib.metadata.version(package)
    assert made["python"] == ".".join(map(str, sys.version_info[:3]))
    assert made["seed"] == 1
    assert [made[name] for name in ("chains", "draws", "warmup")] == [4, 1000, 200]
    assert fit.shape == (4, 1000)
    assert made["data_hash"] == runs.data_hash
    assert made["allowed"] == []
    assert made["precision"] == 64
    assert made["attempts"] in (1, 2, 3)
    assert 0 < made["seconds"]["sampling"] < made["seconds"]["total"]
    assert datetime.fromisoformat(made["created"]).tzinfo is not None
    assert json.loads(json.dumps(made)) == made


# --- files ---


@pytest.mark.parametrize(
    ("law", "noise"),
    [
        ("chinchilla", "gaussian"),
        ("coupled", "student-t"),
        ("power", "laplace"),
        ("chinchilla", "student-t-trend"),
        ("chinchilla", "one-sided"),
    ],
)
def test_every_law_and_noise_comes_back(runs, law, noise, tmp_path):
    posterior = synthetic_posterior(runs.with_x("D"), law=law, noise=noise)
    assert posterior.save(tmp_path / "fit.nc") == tmp_path / "fit.nc"
    back = load(str(tmp_path / "fit.nc"))
    assert_same(posterior, back)
    assert repr(back) == repr(posterior)


def test_every_law_and_noise_is_tried():
    (mark,) = test_every_law_and_noise_comes_back.pytestmark
    usual = {name for name, law in LAWS.items() if law.usual}  # others: test_law_recovery
    of_losses = {name for name, noise in NOISES.items() if not noise.counts}  # others: test_counts
    assert [set(names) for names in zip(*mark.args[1], strict=True)] == [usual, of_losses]


def test_a_fit_comes_back(fit, tmp_path):
    back = load(fit.save(tmp_path / "fit.nc"))
    assert_same(fit, back)
    assert back.diagnostics == fit.diagnostics
    assert predict(back, N=1e10, D=1e12).intervals == predict(fit, N=1e10, D=1e12).intervals


@pytest.mark.parametrize(
    "trend", [StudentT(3.0, scale=0.2), StudentTMixture(3.0, ((0.6, 0.2), (0.4, 0.05)))], ids=str
)
def test_runs_with_everything_come_back(tmp_path, trend):
    priors = {
        "alpha": LogNormal(0.3, 0.1, low=0.1, high=0.9),
        "L_opt": LogNormal(1.1, 0.2, relative_to="low_loss"),
        "share_E": Beta(2, 3),
        "nu": ShiftedGamma(3.0, 0.2, shift=1.0),
        "trend": trend,
    }
    spec = model_spec(LAWS["chinchilla"], NOISES["student-t-trend"], priors)
    posterior = synthetic_posterior(labelled_runs(), noise="student-t-trend")
    posterior = replace(posterior, spec=spec)
    back = load(posterior.save(tmp_path / "a fit, über.nc"))
    assert_same(posterior, back)
    assert dict(back.spec.priors) == priors
    assert back.runs.labels["group"].tolist()[4:7] == [LABELS[5], LABELS[6], LABELS[0]]
    assert list(back.runs.inputs) == ["N", "D", "C", "U"]
    assert back.runs.n_left_out == 1
    assert back.runs.flops_per_parameter_token == pytest.approx(7)


def test_draws_that_are_not_finite_come_back(runs, tmp_path):
    energy = np.linspace(0, 1, 1000).reshape(4, 250)
    energy[0, :4] = [np.nan, np.inf, -np.inf, -0.0]
    posterior = synthetic_posterior(runs, energy=energy)
    back = load(posterior.save(tmp_path / "fit.nc"))
    assert_same(posterior, back)
    assert back.diagnostics.verdict == "failed"


def test_runs_made_by_hand_are_saved(runs, tmp_path):
    posterior = synthetic_posterior(Runs(loss=runs.loss, inputs=dict(runs.inputs)))
    assert load(posterior.save(tmp_path / "fit.nc")).runs.places == ()


def test_numbers_of_numpy_are_saved(synthetic, tmp_path):
    made = {"seed": np.int64(3), "seconds": {"total": np.float32(0.5)}}
    spec = model_spec(LAWS["chinchilla"], NOISES["student-t"], {"share_E": Beta(np.int64(4), 2)})
    posterior = replace(synthetic, provenance=made, spec=spec)
    back = load(posterior.save(tmp_path / "fit.nc"))
    assert back.provenance == {"seed": 3, "seconds": {"total": 0.5}}
    assert back.spec == posterior.spec


def test_saving_and_loading_never_pickle(synthetic, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("pickle was called")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert_same(synthetic, load(synthetic.save(tmp_path / "fit.nc")))


def test_a_fit_is_overwritten(synthetic, tmp_path):
    path = synthetic.save(tmp_path / "fit.nc")
    load(path)
    other = replace(synthetic, provenance={"seed": 77})
    assert load(other.save(path)).provenance == {"seed": 77}
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (KeyboardInterrupt("killed"), KeyboardInterrupt, "killed"),
        (MemoryError("no memory"), MemoryError, "no memory"),
        (
            OSError(28, "No space left on device"),
            InputError,
            r"fit.nc: it cannot be written: No space",
        ),
    ],
    ids=["killed", "memory", "disk full"],
)
def test_a_write_that_stops_leaves_the_old_file(
    synthetic, tmp_path, monkeypatch, error, raised, message
):
    path = synthetic.save(tmp_path / "fit.nc")
    before = path.read_bytes()

    def stop(tree, target, **settings):
        with open(target, "wb") as file:
            file.write(b"half a file")
        raise error

    monkeypatch.setattr(xarray.DataTree, "to_netcdf", stop)
    with pytest.raises(raised, match=message):
        synthetic.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_permissions_follow_the_umask(synthetic, tmp_path, mask, mode):
    old = os.umask(mask)
    try:
        path = synthetic.save(tmp_path / "fit.nc")
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert os.umask(mask) == mask
    finally:
        os.umask(old)


def test_places_that_cannot_be_written(synthetic, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"there is no folder '.*missing'. Make it first"):
        synthetic.save(tmp_path / "missing" / "fit.nc")
    with pytest.raises(InputError, match=r"it cannot be written: Is a directory. Give the name"):
        synthetic.save(tmp_path)

    def refuse(**settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(InputError, match=r"fit.nc: it cannot be written: Permission denied"):
        synthetic.save(tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda h: h | {"format": 99},
            f"format is 99 and this version reads up to {FORMAT}. Update",
        ),
        (lambda h: h | {"format": 2}, "a random walk of log loss, which this version has not"),
        (lambda h: h | {"law": "mystery"}, "law 'mystery', which is not one of the package's"),
        (lambda h: h | {"law": "antigravity:Law"}, "a file does not decide what code is loaded"),
        (lambda h: h | {"noise": "cauchy"}, "'cauchy' is not a noise model"),
        (lambda h: h | {"priors": {"alpha": {"type": "Flat"}}}, "not a bayescale fit that can"),
        (lambda h: h | {"priors": ["alpha"]}, "not a bayescale fit that can be read"),
        (lambda h: h | {"runs": {"colour": "red"}}, "not a bayescale fit that can be read"),
        (lambda h: [], "not a bayescale fit that can be read"),
        (lambda h: "{", "not a bayescale fit that can be read"),
    ],
    ids=["newer", "older", "law", "module", "noise", "prior", "priors", "runs", "list", "text"],
)
def test_files_of_another_history(saved, tmp_path, edit, message):
    path = rewrite(saved, tmp_path / "odd.nc", edit)
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    assert "antigravity" not in sys.modules


def test_an_intact_copy_is_read(saved, tmp_path):
    assert_same(load(saved), load(rewrite(saved, tmp_path / "copy.nc")))


@pytest.mark.parametrize("group", ["posterior", "sample_stats", "observed_data", "constant_data"])
def test_files_without_a_group(saved, tmp_path, group):
    path = rewrite(saved, tmp_path / "part.nc", drop=group)
    with pytest.raises(InputError, match=f"not a bayescale fit that can be read .*{group}"):
        load(path)


def test_files_that_are_something_else(saved, tmp_path):
    with pytest.raises(InputError, match=r"none.nc: there is no such file. Save a fit with -o"):
        load(tmp_path / "none.nc")
    with pytest.raises(InputError, match="there is no such file"):
        load(tmp_path)
    text, cut, foreign = (tmp_path / name for name in ("text.nc", "cut.nc", "foreign.nc"))
    text.write_text("N,D,loss\n1e8,1e9,3.1\n")
    cut.write_bytes(saved.read_bytes()[:9000])
    xarray.Dataset({"a": ("x", [1.0])}).to_netcdf(foreign, engine="h5netcdf")
    for path in (text, cut, foreign):
        with pytest.raises(InputError, match=rf"{path.name}: it is not a bayescale fit that can"):
            load(path)


# --- ArviZ ---


def test_groups_and_dimensions(fit, tree):
    assert set(tree.children) == {
        "posterior",
        "prior",
        "posterior_predictive",
        "prior_predictive",
        "log_likelihood",
        "log_prior",
        "sample_stats",
        "observed_data",
        "constant_data",
    }
    assert list(tree["posterior"].data_vars) == [*STUDENT_T, "a", "b"]
    assert list(tree["prior"].data_vars) == STUDENT_T
    for group in ("posterior_predictive", "log_likelihood"):
        assert dict(tree[group]["log_loss"].sizes) == {"chain": 4, "draw": 1000, "run": 48}
    assert dict(tree["prior_predictive"]["log_loss"].sizes) == {"chain": 1, "draw": 4000, "run": 48}
    assert set(tree["sample_stats"].data_vars) == {
        "acceptance_rate",
        "diverging",
        "energy",
        "lp",
        "n_steps",
        "reached_max_treedepth",
        "step_size",
    }
    np.testing.assert_array_equal(tree["sample_stats"]["n_steps"], fit.stats["num_steps"])
    np.testing.assert_array_equal(tree["observed_data"]["log_loss"], np.log(fit.runs.loss))
    assert list(tree["constant_data"].data_vars) == ["N", "D"]
    assert tree["constant_data"]["N"].dims == ("run",)
    np.testing.assert_array_equal(tree["constant_data"]["N"], fit.runs.N)
    np.testing.assert_array_equal(tree["prior"]["alpha"][0], fit.prior(seed=5)[0].alpha)


def test_arviz_summarises_the_same_draws(fit, tree):
    theirs, ours = arviz.summary(tree, round_to="none"), fit.summary()
    assert list(theirs.index) == list(ours)
    np.testing.assert_allclose(theirs["mean"], [i.mean for i in ours.values()], rtol=1e-12)
    np.testing.assert_allclose(theirs["sd"], [i.sd for i in ours.values()], rtol=1e-12)
    sizes = convergence({**fit.parameters, **fit.derived})
    np.testing.assert_allclose(theirs["ess_bulk"], list(sizes.ess_bulk.values()), rtol=1e-12)
    for method, settings in (("bulk", {}), ("tail", {"prob": TAIL})):
        ess = arviz.ess(tree, method=method, **settings)
        assert min(float(value) for value in ess.data_vars.values()) > 400


def test_log_likelihood_is_scipys(fit, tree):
    law, noise = fit.flat_law(), fit.flat_noise()
    E, A, B, alpha, beta = (getattr(law, n)[:, None] for n in ("E", "A", "B", "alpha", "beta"))
    mean = np.log(E + A / fit.runs.N**alpha + B / fit.runs.D**beta)
    density = stats.t(noise.nu[:, None], mean, noise.sigma[:, None])
    ours = tree["log_likelihood"]["log_loss"].to_numpy().reshape(-1, 48)
    np.testing.assert_allclose(ours, density.logpdf(np.log(fit.runs.loss)), rtol=1e-9, atol=1e-9)
    # The replicates are of the same distribution: the shares below its quantiles are the masses.
    replicates = tree["posterior_predictive"]["log_loss"].to_numpy().reshape(-1, 48)
    masses = density.cdf(replicates)
    for mass in (0.01, 0.1, 0.5, 0.9, 0.99):
        error = np.sqrt(mass * (1 - mass) / masses.size)
        assert abs(np.mean(masses < mass) - mass) < 4 * error, mass


def test_known_errors_enter_the_log_likelihood():
    posterior = synthetic_posterior(labelled_runs(), noise="gaussian")
    runs, law, noise = posterior.runs, posterior.flat_law(), posterior.flat_noise()
    E, A, B, alpha, beta = (getattr(law, n)[:, None] for n in ("E", "A", "B", "alpha", "beta"))
    scale = np.hypot(noise.sigma[:, None], runs.loss_se / runs.loss)
    density = stats.norm(np.log(E + A / runs.N**alpha + B / runs.D**beta), scale)
    ours = posterior.to_arviz()["log_likelihood"]["log_loss"].to_numpy().reshape(-1, len(runs))
    np.testing.assert_allclose(ours, density.logpdf(np.log(runs.loss)), rtol=1e-9, atol=1e-9)


# One run at the edge of the design, with the least data, has a Pareto k of 0.70, just above the limit.
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto distribution:UserWarning")
def test_leave_one_out(fit, tree):
    loo = arviz.loo(tree, pointwise=True)
    assert np.isfinite(loo.elpd_i).all()
    assert np.sort(loo.pareto_k)[-2] < 0.6 < loo.good_k
    assert loo.pareto_k.max() < 0.75
    likelihood = tree["log_likelihood"]["log_loss"].to_numpy().reshape(-1, 48)
    in_sample = np.log(np.exp(likelihood).mean(axis=0)).sum()
    assert pytest.approx(in_sample - loo.p, abs=1e-6) == loo.elpd
    assert 4 < loo.p < 9, "about one for each of the 7 parameters"


def test_arviz_sees_saturated_trees(runs):
    saturated = np.zeros((4, 250), bool)
    saturated[:, :60] = True
    tree = synthetic_posterior(runs, reached_max_treedepth=saturated).to_arviz()
    _, found = arviz.diagnose(tree, show_diagnostics=False, return_diagnostics=True)
    assert found["treedepth"]["n_max"] == 240
    assert len(found["bfmi"]["bfmi_values"]) == 4


def test_the_seed_is_of_the_replicates(fit, tree):
    first, again, other = (
        t["posterior_predictive"]["log_loss"].to_numpy()
        for t in (tree, fit.to_arviz(seed=5), fit.to_arviz(seed=6))
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_a_law_of_one_variable_goes_to_arviz(runs):
    tree = synthetic_posterior(runs.with_x("N"), law="power", noise="laplace").to_arviz()
    assert list(tree["posterior"].data_vars) == ["E", "c", "alpha", "sigma"]
    np.testing.assert_array_equal(tree["constant_data"]["x"], runs.N)


def test_arviz_plots(tree):
    arviz.plot_dist(tree, var_names=["alpha"], backend="none")


def test_load_is_public():
    assert bayescale.load is load
