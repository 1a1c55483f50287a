"""Sweeps on a Ray cluster: the numbers of this process, whatever becomes of nodes and workers."""

import os

import pandas
import pyarrow.parquet
import pytest
from test_sweep import as_table, many_runs

from bayescale import InputError, fit_many
from bayescale.sweep.sources import SeparateSets

pytest.importorskip("ray", reason="Ray is not installed: python -m pip install 'bayescale[ray]'")
pytestmark = [
    pytest.mark.nightly,  # a node takes seconds to start
    pytest.mark.filterwarnings("ignore"),  # of Ray's own code
]


def frame(path):
    return pyarrow.parquet.read_table(path / "results.parquet").to_pandas()


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of three nodes with one processor each; the driver's own node has none."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))  # for workers that unpack Deadly
    monkeypatch.setenv("TEST_DRIVER", str(os.getpid()))

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


def test_a_killed_node_loses_and_doubles_nothing(cluster, tmp_path):
    whole, nodes = cluster
    table = as_table(many_runs(60))
    here = fit_many(table, "lab", flops=1e23, output=tmp_path / "here", sets=4)
    killed = []

    def progress(done, total):
        if done >= 12 and not killed:
            killed.append(done)
            whole.remove_node(nodes[0], allow_graceful=False)

    there = fit_many(
        table, "lab", flops=1e23, output=tmp_path / "there", sets=4, executor="ray",
        progress=progress,
    )  # fmt: skip
    assert killed
    assert there.status == here.status
    one, other = frame(tmp_path / "here"), frame(tmp_path / "there")
    assert sorted(other["set"]) == sorted(set(table["lab"]))
    pandas.testing.assert_frame_equal(one, other, check_exact=True)


class Deadly(SeparateSets):
    """Data sets of which one kills whoever prepares it, but for this process."""

    def prepare(self, i):
        if self.names[i] == "set 5" and str(os.getpid()) != os.environ["TEST_DRIVER"]:
            os._exit(1)
        return super().prepare(i)


def test_a_deadly_set_is_found_and_fails_alone(cluster, monkeypatch):
    import bayescale.sweep.many as many

    monkeypatch.setattr(many, "SeparateSets", Deadly)
    sets = many_runs(12)
    found = fit_many(sets, sets=8, executor="ray")
    rows = {row["set"]: row for row in found.table.to_pylist()}
    assert list(rows) == list(sets)
    assert rows["set 5"]["status"] == "failed"
    assert rows["set 5"]["codes"] == "worker-died"
    assert "its worker died each time" in rows["set 5"]["reason"]
    assert found.status["failed"] == 1
    assert found.status["rejected"] == 0


def test_an_error_in_a_worker_is_raised_here(cluster):
    with pytest.raises(InputError, match="no place in the cluster has {'GPU': 64}"):
        fit_many(many_runs(2), executor="ray", per_chunk={"GPU": 64})


def test_a_bad_request_leaves_no_cluster_behind():
    import ray

    assert not ray.is_initialized()
    with pytest.raises(InputError, match="method: 'vi' is not a method"):
        fit_many(many_runs(2), executor="ray", method="vi")
    assert not ray.is_initialized()
