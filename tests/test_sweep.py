"""Many fits: right, the same wherever a set stands, and never spoiled by a bad neighbour."""

import json
import logging
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pandas
import pyarrow.parquet
import pytest

import bayescale
from bayescale import InputError, Runs, fit_many
from bayescale.inference.importance import importance_sample
from bayescale.laws import Chinchilla
from bayescale.sweep.directory import Directory
from bayescale.sweep.executors import Executor
from bayescale.sweep.pace import Estimate, Pace
from bayescale.sweep.quantities import STATISTICS, resample, summarise
from bayescale.sweep.work import ChunkResult
from conftest import simulate

QUICK = {"sets": 8}


def many_runs(count, n=20, seed=0):
    return {f"set {i}": simulate(n=n, seed=seed + i) for i in range(count)}


def as_table(sets):
    columns = {name: np.concatenate([s[name] for s in sets.values()]) for name in sets["set 0"]}
    labels = [name for name, one in sets.items() for _ in one["loss"]]
    return {"lab": labels, **columns}


@pytest.fixture(scope="module")
def fitted():
    return fit_many(as_table(many_runs(12)), "lab", draws=200, seed=3, **QUICK)


def rows(many):
    return {row["set"]: row for row in many.table.to_pylist()}


def numbers(row):
    return {name: value for name, value in row.items() if isinstance(value, float)}


def test_every_set_has_a_row_and_a_status(fitted):
    assert len(fitted) == 12
    assert sum(fitted.status.values()) == 12
    assert [row["lab"] for row in fitted.table.to_pylist()] == [f"set {i}" for i in range(12)]
    assert fitted.to_json()["status"] == dict(fitted.status)
    assert "12 fits of the chinchilla law with student-t noise" in repr(fitted)
    for row in fitted.table.to_pylist():
        assert row["method"] in ("laplace-is", "nuts")
        assert row["alpha_lower"] < row["alpha_median"] < row["alpha_upper"]
        assert row["ess"] >= 400
        assert row["n_runs"] == 20


@pytest.mark.parametrize("method", ["laplace-is", "nuts"])
def test_the_batch_agrees_with_a_single_fit(method, csv, runs):
    single = bayescale.fit(runs, seed=4, draws=2000)
    row = fit_many({"all": runs}, method=method, **QUICK).table.to_pylist()[0]
    assert row["method"] == method
    for name, draws in single.parameters.items():
        error = draws.std() * np.sqrt(1 / row["ess"] + 1 / 2000)
        assert abs(draws.mean() - row[f"{name}_mean"]) < 4 * error, name
        assert 0.8 < row[f"{name}_sd"] / draws.std() < 1.25, name


def test_32_and_64_bits_agree(runs):
    from bayescale.inference.batch import BatchSettings, fit_chunk
    from bayescale.model import data_of, model_spec
    from bayescale.noise import StudentT

    spec, data = model_spec(Chinchilla, StudentT), data_of(runs, ("N", "D"))
    u = {}
    for bits in (32, 64):
        settings = BatchSettings("laplace-is", sets=8, bits=bits)
        fit = fit_chunk(spec, settings, ["all"], [data])[0]
        u[bits] = fit.weights @ fit.u, fit.ess
    for i in range(7):
        assert u[32][0][i] == pytest.approx(u[64][0][i], rel=0.02, abs=0.02)


def test_a_result_depends_on_neither_place_nor_number(fitted):
    sets = many_runs(12)
    backwards = dict(reversed(sets.items()))
    again = fit_many(as_table_in(backwards), "lab", draws=200, seed=3, **QUICK)
    few = fit_many({name: sets[name] for name in ("set 7", "set 2")}, seed=3, **QUICK)
    for name, row in rows(again).items():
        assert numbers(row) == pytest.approx(numbers(rows(fitted)[name]), abs=0, nan_ok=True)
    for name, row in rows(few).items():
        assert numbers(row) == pytest.approx(numbers(rows(fitted)[name]), abs=0, nan_ok=True)
    other = fit_many({"set 7": sets["set 7"]}, seed=4, **QUICK)
    assert rows(other)["set 7"]["alpha_mean"] != rows(fitted)["set 7"]["alpha_mean"]


def as_table_in(sets):
    first = next(iter(sets.values()))
    columns = {name: np.concatenate([s[name] for s in sets.values()]) for name in first}
    return {"lab": [name for name, one in sets.items() for _ in one["loss"]], **columns}


POISONS = {
    "NaN": lambda s: s["loss"].__setitem__(3, np.nan),
    "infinity": lambda s: s["loss"].__setitem__(3, np.inf),
    "negative": lambda s: s["loss"].__setitem__(3, -2.0),
    "no tokens": lambda s: s["tokens"].__setitem__(0, 0.0),
    "constant N": lambda s: s["params"].fill(1e9),
    "collinear": lambda s: s.__setitem__("tokens", 20 * s["params"]),
}


def test_poisoned_sets_are_rejected_and_disturb_nobody(fitted):
    sets = many_runs(12)
    for i, (name, poison) in enumerate(POISONS.items()):
        bad = simulate(n=20, seed=100 + i)
        poison(bad)
        sets[name] = bad
    sets["one point"] = {name: column[:1] for name, column in simulate(n=20, seed=200).items()}
    mixed = {name: sets[name] for name in sorted(sets)}
    many = fit_many(as_table_in(mixed), "lab", draws=200, seed=3, **QUICK)
    found = rows(many)
    assert {name for name, row in found.items() if row["status"] == "rejected"} == {
        *POISONS,
        "one point",
    }
    for name in (*POISONS, "one point"):
        assert found[name]["reason"]
        assert np.isnan(found[name]["alpha_median"])
    for name, row in rows(fitted).items():
        assert numbers(found[name]) == pytest.approx(numbers(row), abs=0, nan_ok=True)


def test_a_poison_that_gets_past_the_checks_fails(monkeypatch):
    """Inside a batch nothing raises: losses that no law of this family can give end as failed."""
    from bayescale.inference.batch import BatchSettings, fit_chunk
    from bayescale.model import data_of, model_spec
    from bayescale.noise import StudentT

    spec = model_spec(Chinchilla, StudentT)
    good = data_of(Runs.read(simulate(n=20, seed=1)), ("N", "D"))
    bad = good._replace(log_loss=np.full_like(good.log_loss, np.nan))
    settings = BatchSettings(sets=4)
    alone = fit_chunk(spec, settings, ["good"], [good])
    both = fit_chunk(spec, settings, ["bad", "good"], [bad, good])
    assert not both[0].found
    np.testing.assert_array_equal(both[1].u, alone[0].u)


def test_answers_at_points_and_budgets():
    runs = Runs.read(simulate(n=48, seed=3))
    points = {"N": [1e10, 1e11], "D": 2e11}
    with pytest.raises(
        InputError, match=r"points: they give N, and the law 'chinchilla' needs N and"
    ):
        fit_many({"all": runs}, points={"N": 1e9})
    points["D"] = [2e11, 2e12]
    many = fit_many({"all": runs}, points=points, flops=[1e23], draws=1000, **QUICK)
    row, draws = many.table.to_pylist()[0], many.draws("all")
    law = Chinchilla(*(draws[name] for name in ("E", "A", "B", "alpha", "beta")))
    for i in (0, 1):
        loss = np.asarray(law.loss({"N": points["N"][i], "D": points["D"][i]}))
        np.testing.assert_allclose(draws[f"loss_{i + 1}"], loss, rtol=1e-5)
    assert row["N_opt_1_median"] * row["D_opt_1_median"] == pytest.approx(1e23 / 6, rel=0.05)
    assert np.median(draws["alpha"]) == pytest.approx(row["alpha_median"], rel=0.02)
    with pytest.raises(InputError, match=r"flops: the law 'power' has no closed-form optimum"):
        fit_many({"all": runs}, law="power", x="C", flops=1e23)


def test_a_law_of_one_variable():
    many = fit_many(many_runs(3), law="power", x="C", noise="gaussian", **QUICK)
    assert many.status["rejected"] == 0
    assert "E_median" in many.table.column_names


def test_weighted_summaries_are_those_of_copies():
    generator = np.random.default_rng(0)
    values, copies = generator.standard_normal((3, 400)), generator.integers(1, 9, 400)
    found = summarise(values, copies / copies.sum(), 0.8)
    plain = np.repeat(values, copies, axis=1)
    np.testing.assert_allclose(found["mean"], plain.mean(axis=1))
    np.testing.assert_allclose(found["sd"], plain.std(axis=1))
    for name, mass in (("lower", 0.1), ("median", 0.5), ("upper", 0.9)):
        np.testing.assert_allclose(found[name], np.quantile(plain, mass, axis=1), atol=0.03)


def test_systematic_resampling_rounds_the_weights():
    weights = np.array([0.5, 0.25, 0.125, 0.125])
    drawn = resample(weights, np.arange(4.0)[None], 800, np.random.default_rng(1))[0]
    assert np.bincount(drawn.astype(int)).tolist() == pytest.approx([400, 200, 100, 100], abs=1)


def test_importance_sampling_of_a_known_posterior():
    """A skewed density with known moments: independent standardised Gamma variables."""
    from scipy import stats

    from bayescale.inference.geometry import Whitening

    shape = 6.0
    mode = np.log(shape)  # of the logarithm of a Gamma variable

    def density(u, wanted):
        return np.where(wanted[:, None], stats.loggamma.logpdf(u, shape).sum(-1), -np.inf)

    whitening = Whitening(np.full((2, 3), mode), np.stack([np.eye(3) / np.sqrt(shape)] * 2))
    generators = [np.random.default_rng(i) for i in (0, 1)]
    found = importance_sample(density, whitening, generators, np.array([True, False]))
    assert found.good()[0]
    assert found.k[1] == np.inf
    weights = np.exp(found.log_weights[0])
    mean = weights @ found.u[0]
    truth = stats.loggamma(shape).mean()
    error = stats.loggamma(shape).std() / np.sqrt(found.ess[0])
    assert np.all(np.abs(mean - truth) < 4 * error)


@pytest.fixture(scope="module")
def table_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "runs.csv"
    pandas.DataFrame(as_table(many_runs(30))).to_csv(path, index=False)
    return path


def command(table, folder, *options):
    return [
        sys.executable, "-m", "bayescale", "sweep", str(table), "--by", "lab", "-o", str(folder),
        "--sets", "4", "--json", *options,
    ]  # fmt: skip


@pytest.mark.nightly
def test_a_killed_sweep_goes_on_and_ends_the_same(table_file, tmp_path):
    whole = subprocess.run(command(table_file, tmp_path / "whole"), capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    assert json.loads(whole.stdout)["sets"] == 30
    folder = tmp_path / "killed"
    for wait in (1, 3):
        process = subprocess.Popen(
            command(table_file, folder, "--resume"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 120
        while len(list(folder.glob("chunk-*"))) < wait and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    chunk = sorted(folder.glob("chunk-*"))[0]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 3] ^= 0x10  # damage, to be found by the checksum
    chunk.write_bytes(bytes(content))
    again = subprocess.run(command(table_file, folder, "--resume"), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    one, other = (
        pyarrow.parquet.read_table(f / "results.parquet") for f in (tmp_path / "whole", folder)
    )
    pandas.testing.assert_frame_equal(one.to_pandas(), other.to_pandas(), check_exact=True)
    assert not list(folder.glob(".*"))


def test_a_folder_says_why_it_cannot_be_used(tmp_path):
    settings = {"law": "chinchilla", "level": 0.9}
    Directory(tmp_path / "sweep", settings, resume=False)
    with pytest.raises(
        InputError, match=r"it holds the results of a sweep. Go on with it by --resume"
    ):
        Directory(tmp_path / "sweep", settings, resume=False)
    with pytest.raises(InputError, match=r"other settings: level was 0.9 and is 0.5"):
        Directory(tmp_path / "sweep", settings | {"level": 0.5}, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"it holds 'thesis.tex', which is no part of a sweep"):
        Directory(tmp_path / "other", settings, resume=True)
    with pytest.raises(InputError, match="it cannot be a folder for results"):
        Directory(tmp_path / "other" / "thesis.tex", settings, resume=True)


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    directory = Directory(tmp_path, {}, resume=False)
    with (
        directory.locked(),
        pytest.raises(InputError, match=rf"process {os.getpid()} on .* works in it"),
        Directory(tmp_path, {}, resume=True).locked(),
    ):
        pass
    lock = tmp_path / "lock.json"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock.write_text(json.dumps({"pid": dead.pid, "host": os.uname().nodename}))
    with directory.locked():
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists()


def test_bad_requests():
    sets = many_runs(2)
    with pytest.raises(InputError, match=r"by: it is missing; it says which rows are one data set"):
        fit_many(as_table(sets))
    with pytest.raises(InputError, match=r"there is no column 'labb'; did you mean 'lab'"):
        fit_many(as_table(sets), "labb")
    with pytest.raises(
        InputError, match=r"method: 'vi' is not a method. Use auto, laplace-is, nuts"
    ):
        fit_many(sets, method="vi")
    with pytest.raises(InputError, match=r"a chunk of 100000000 data sets of 32 rows needs about"):
        fit_many(sets, sets=100_000_000)
    with pytest.raises(InputError, match=r"executor: 'slurm' is not an executor. Use local or ray"):
        fit_many(sets, executor="slurm")
    with pytest.raises(InputError, match=r"per_chunk: it is {'GPU': 1}, and the executor is local"):
        fit_many(sets, per_chunk={"GPU": 1})
    with pytest.raises(InputError, match="there are no data sets"):
        fit_many({})
    with pytest.raises(InputError, match=r"there are no draws of 'set 0' in memory"):
        fit_many(sets, **QUICK).draws("set 0")


def test_the_pace_of_the_first_chunks_tells_time_and_disk(monkeypatch, tmp_path):
    clock, said = iter(np.arange(0.0, 1000, 3)), []
    monkeypatch.setattr("bayescale.sweep.pace.time.perf_counter", lambda: next(clock))
    pace = Pace([2.0] * 100, workers=2, announce=said.append, folder=tmp_path)
    for _ in range(20):
        pace.step(2.0, written=1000, sets=640)
    # 4 of the first 6 chunks took 3 s each, and 94 are left; results are written twice.
    assert said == [Estimate(640, 94 * 3.0, 2 * 1000 * 100)]
    assert str(said[0]) == "640 data sets: about 5 min from now, 200 kB of results"
    big = Pace([2.0] * 100, workers=2, announce=None, folder=tmp_path)
    for _ in range(5):
        big.step(2.0, written=10**15, sets=640)
    with pytest.raises(
        InputError, match=r"the results will need about .* TB more, and .* are free"
    ):
        big.step(2.0, written=10**15, sets=640)
    short = Pace([2.0] * 8, workers=2, announce=said.append, folder=None)
    for _ in range(8):
        short.step(2.0, written=0, sets=8)
    assert len(said) == 1


@pytest.mark.nightly
def test_several_devices_give_the_same_numbers(table_file, tmp_path):
    tables = []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
        done = subprocess.run(
            command(table_file, folder), env=os.environ | flags, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        tables.append(pyarrow.parquet.read_table(folder / "results.parquet"))
    assert tables[0].column("status").equals(tables[1].column("status"))
    # XLA compiles for several devices by other passes, which round some sums otherwise: the draws are
    # the same but for that, or where a decision was as near as that.
    one, two = (np.asarray(t.column("alpha_mean")) for t in tables)
    sd, ess = (np.asarray(tables[0].column(name)) for name in ("alpha_sd", "ess"))
    assert np.all(ess > 300)
    assert np.all(np.abs(one - two) < 4 * sd * np.sqrt(2 / ess))
    assert np.median(np.abs(one - two) / sd) < 1e-6


def test_new_data_sets_of_a_size_class_compile_nothing(fitted, caplog):
    caplog.set_level(logging.WARNING)
    with jax.log_compiles(True):
        fit_many(as_table(many_runs(9, n=26, seed=50)), "lab", seed=4, **QUICK)
    compiled = [r.getMessage() for r in caplog.records if "compil" in r.getMessage().lower()]
    assert not compiled


class Instant(Executor):
    """Makes up rows, so that only the bookkeeping of a sweep is left."""

    workers = 1

    def run(self, job, source, chunks, indices):
        row = {"n_runs": 16, "status": "ok", "method": "laplace-is", "codes": "", "reason": ""}
        names = [f"{n}_{s}" for n in job.targets.names(job.spec) for s in STATISTICS]
        for i in indices:
            assert source.prepare(chunks[i][0]).data is not None
            columns = {"lab": [source.values(j)[0] for j in chunks[i]]}
            columns |= {"set": [source.names[j] for j in chunks[i]]}
            columns |= {name: [value] * len(chunks[i]) for name, value in row.items()}
            columns |= {name: np.full(len(chunks[i]), float(i)).tolist() for name in names}
            yield i, ChunkResult(columns, {})


MEMORY = """
import resource, sys
from bayescale import fit_many
from test_sweep import Instant
fit_many(sys.argv[1], "lab", executor=Instant(), output=sys.argv[2], flops=1e23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.nightly
def test_memory_does_not_grow_with_the_number_of_sets(tmp_path):
    one = simulate(n=16, seed=0)
    lines = [f"{n:.6g},{d:.6g},{loss:.6f}" for n, d, loss in zip(*one.values(), strict=True)]
    peaks = []
    for count in (10_000, 100_000):
        table = tmp_path / f"{count}.csv"
        with table.open("w") as file:
            file.write("lab,params,tokens,loss\n")
            for i in range(count):
                file.writelines(f"set {i},{line}\n" for line in lines)
        command = [sys.executable, "-c", MEMORY, table, tmp_path / f"results {count}"]
        path = {"PYTHONPATH": os.path.dirname(__file__)}
        done = subprocess.run(
            command, env=os.environ | path, capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout) * 1024)
    # The rows themselves are 40 bytes for each of 1.44 million, and text is 16 a cell while it is read.
    assert peaks[1] - peaks[0] < 300e6
