"""Bootstrap and influence: sweeps over one table whose runs count differently."""

import json
import sys

import jax
import numpy as np
import pytest

import bayescale
from bayescale import FailedFitError, InputError, Runs, bootstrap, influence
from bayescale.laws import Chinchilla
from bayescale.model import data_of, model_spec
from bayescale.noise import StudentT
from bayescale.sweep.reweighted import Clusters, LeftOut, Resampled, ReweightedSets
from bayescale.sweep.sources import Checks
from conftest import simulate


@pytest.fixture(scope="module")
def labelled():
    table = simulate(n=40, seed=5)
    return Runs.read({**table, "group": [f"lab {i % 8}" for i in range(40)]})


def test_samples_draw_clusters_with_replacement(labelled):
    clusters = Clusters.of(labelled, "group")
    counts = Resampled(clusters, samples=400, seed=1)
    assert counts.of(0).tolist() == [1] * 40
    drawn = np.stack([counts.of(i) for i in range(1, 401)])
    assert np.all(drawn.sum(axis=1) == 40)
    for lab in range(8):  # the runs of a cluster come together
        assert np.all(drawn[:, lab::8] == drawn[:, [lab]])
    # Each cluster is drawn Binomial(8, 1/8) times.
    error = np.sqrt(7 / 8 / 400)
    assert np.all(np.abs(drawn[:, :8].mean(axis=0) - 1) < 4 * error)
    more = Resampled(clusters, samples=900, seed=1)
    assert np.array_equal(more.of(7), counts.of(7))


def test_counts_are_repeated_runs(labelled):
    spec = model_spec(Chinchilla, StudentT)
    source = ReweightedSets(labelled, Checks(spec), Resampled(Clusters.of(labelled, None), 3, 0))
    data, counts = source.prepare(2).data, source.counts.of(2)
    repeated = labelled.take(np.repeat(np.arange(40), counts))
    written = data_of(repeated, ("N", "D"))._replace(reference=data.reference)
    u = np.random.default_rng(0).normal(size=7)
    with jax.enable_x64(True):
        coordinates = spec.constrain(u, data.reference)
        values = [float(spec.log_likelihood(coordinates, d)) for d in (data, written)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert source.whole.data.reference == data.reference


def test_each_cluster_is_left_out_once(labelled):
    counts = LeftOut(Clusters.of(labelled, "group"))
    without = np.stack([counts.of(i) for i in range(1, len(counts.names))])
    assert counts.of(0).tolist() == [1] * 40
    assert without.sum(axis=0).tolist() == [7] * 40
    assert counts.names[1] == "without group lab 0"


@pytest.fixture(scope="module")
def bootstrapped(labelled):
    return bootstrap(
        labelled, noise="gaussian", samples=60, flops=1e23, seed=2, method="laplace-is"
    )


def test_a_right_model_is_as_sure_as_its_bootstrap(bootstrapped):
    # The width from 60 samples is good to a seventh; the prior narrows what the runs leave open.
    widths = bootstrapped.widths
    assert 0.5 < widths["loss_opt_1"] < 1.5
    assert 0.5 < widths["alpha"] < 1.5
    bagged, posterior = (bootstrapped.intervals[k]["alpha"] for k in ("bagged", "posterior"))
    assert bagged.sd > 1.1 * posterior.sd
    assert bootstrapped.samples + bootstrapped.lost == 60
    assert "optimal D/N at 1e23" in repr(bootstrapped)
    frame = bootstrapped.to_frame().set_index("quantity")
    assert frame.loc["alpha", "bagged_median"] == bagged.median


def test_errors_that_runs_share_show_in_the_bootstrap_of_clusters():
    generator = np.random.default_rng(3)
    table = simulate(n=60, sigma=0.002, seed=7)
    labs = np.arange(60) % 6
    order = np.argsort(
        table["params"]
    )  # labs differ in scale, so that a shared error tilts the law
    shared = np.empty(60)
    shared[order] = np.repeat(0.03 * generator.standard_normal(6), 10)
    lab = np.empty(60, int)
    lab[order] = np.repeat(labs[:6], 10)
    table = {**table, "loss": table["loss"] * np.exp(shared), "group": [f"lab {i}" for i in lab]}
    settings = {"noise": "gaussian", "samples": 60, "method": "laplace-is"}
    found = bootstrap(Runs.read(table), clusters="group", **settings)
    alone = bootstrap(Runs.read(table), **settings)
    assert found.widths["E"] > 1.5 * alone.widths["E"]
    (verdict,) = [v for v in found.verdicts if v.code == "bootstrap-wider"]
    assert "times as far as its posterior allows" in verdict.sentence
    assert "6 clusters by group drawn with replacement" in repr(found)


def test_an_odd_run_is_the_most_influential():
    table = simulate(n=40, seed=5)
    odd = int(np.argmax(table["params"] * table["tokens"]))
    table["loss"][odd] *= 1.05
    runs = Runs.read(table)
    found = influence(runs, noise="gaussian", points={"N": 1e11, "D": 2e12})
    first = found.left_out[0]
    assert first.rows == (odd,)
    assert abs(first.shifts["loss_1"]) > 1
    others = runs.take(np.arange(40) != odd)
    without = bayescale.fit(others, noise="gaussian", drift="none", seed=0)
    exact = bayescale.predict(without, N=1e11, D=2e12, kind="law").intervals[0]
    # The medians agree but for Monte Carlo error and a prior that refers to 39 runs instead of 40.
    assert first.intervals["loss_1"].median == pytest.approx(exact.median, abs=0.3 * exact.sd)
    assert len(found.to_frame()) == 40
    assert "moves most" in repr(found)
    assert len(found.table(3).rows) == 3


def test_what_cannot_be_spared_comes_first():
    table = simulate(n=24, seed=1)
    table["params"][:20] = 1e8
    table["params"][20:] = 1e9
    mean = 1.8 + 480 * table["params"] ** -0.35 + 2000 * table["tokens"] ** -0.365
    table["loss"] = mean * np.exp(0.005 * np.random.default_rng(0).standard_normal(24))
    found = influence(Runs.read(table), by="N", method="laplace-is")
    first = found.left_out[0]
    assert first.status == "rejected"
    assert np.isnan(first.shifts["alpha"])
    assert "nothing can be fitted" in repr(found)


def test_bad_requests(labelled):
    with pytest.raises(InputError, match=r"samples: it is 1. Give 2 or more"):
        bootstrap(labelled, samples=1)
    with pytest.raises(
        InputError, match=r"by: the runs have no label or input 'labs'. Use one of g"
    ):
        influence(labelled, by="labs")
    same = Runs.read({**simulate(n=20), "group": ["a"] * 20})
    with pytest.raises(InputError, match=r"by: all runs have the same group"):
        bootstrap(same, clusters="group")
    with pytest.raises(InputError, match=r"method: 'vi' is not a method"):
        influence(labelled, method="vi")
    exact = simulate(n=24, sigma=0.0, seed=1)
    with pytest.raises(FailedFitError, match=r"the posterior of all runs: Pareto k is 1"):
        influence(Runs.read(exact), by="N", method="laplace-is")


@pytest.mark.parametrize("command", ["bootstrap", "influence"])
def test_commands(command, monkeypatch, capsys):
    from bayescale.cli.main import main

    extra = {"bootstrap": ["--samples", "10", "--clusters", "N"], "influence": ["--by", "N"]}[
        command
    ]
    words = ["bayescale", command, "byte-sweep", "--flops", "1e14", *extra]
    words += ["--method", "laplace-is"]
    outs = []
    for last in (["--json"], ["--table", "latex"], []):
        monkeypatch.setattr(sys, "argv", [*words, *last])
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code
        outs.append(capsys.readouterr().out)
    result = json.loads(outs[0])
    assert result["quantities"]["loss_opt_1"]["label"] == "optimal loss at 1e14"
    assert outs[1].startswith(r"\begin{table}")
    assert "1e14" in outs[2]
