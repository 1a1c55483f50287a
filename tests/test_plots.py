"""Figures: axes in, axes out; what they show; nothing global touched."""

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

import bayescale
from bayescale import InputError, plots
from conftest import synthetic_posterior


@pytest.fixture(autouse=True)
def close():
    yield
    pyplot.close("all")


def test_axes_are_drawn_on_and_returned(synthetic):
    _, (left, right) = pyplot.subplots(1, 2)
    assert plots.plot_runs(synthetic, axes=(left, right)) == (left, right)
    assert plots.plot_allocation(synthetic, axes=pyplot.subplots(1, 2)[1])[0].get_xlabel()
    _, ax = pyplot.subplots()
    assert plots.plot_loss(synthetic, ax=ax) is ax
    assert len(plots.plot_ranks(synthetic)) == len(synthetic.spec.coordinates)
    assert len(plots.plot_prior_posterior(synthetic)) == len(synthetic.spec.coordinates)


def test_no_setting_and_no_figure_of_the_user_is_touched(synthetic):
    before = dict(matplotlib.rcParams)
    _, ax = pyplot.subplots()
    plots.plot_loss(synthetic, ax=ax)
    assert pyplot.get_fignums() == [ax.figure.number]
    assert dict(matplotlib.rcParams) == before


def test_loss_figure_shows_the_runs_the_bands_and_where_the_runs_end(synthetic):
    ax = plots.plot_loss(synthetic, decades=2)
    assert np.allclose(ax.collections[2].get_offsets()[:, 0], synthetic.runs.C)
    assert ax.get_xlim()[1] == pytest.approx(synthetic.runs.C.max() * 100)
    assert any("beyond the runs" in text.get_text() for text in ax.texts)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "a new run, 90%" in labels


def test_held_out_runs_are_counted(synthetic):
    ax = plots.plot_loss(synthetic, held_out=synthetic.runs.take(slice(0, 5)), level=0.5)
    assert any("of 5 inside 50%" in text.get_text() for text in ax.get_legend().get_texts())


def test_allocation_figure_has_the_published_rules(synthetic):
    left, right = plots.plot_allocation(synthetic)
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert {"hoffmann-2022", "besiroglu-2024", "D = 20 N"} <= set(labels)
    assert right.get_ylabel() == "tokens per parameter D/N"


def test_all_figures_as_files(synthetic, tmp_path):
    paths = plots.save_plots(synthetic, tmp_path / "figures")
    assert len(paths) == 10
    assert all(path.stat().st_size > 5000 for path in paths)
    assert pyplot.get_fignums() == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        plots.save_plots(synthetic, tmp_path / "file")


def test_a_law_of_one_variable_has_no_allocation_figure(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("bayescale.plots.gallery.FORMATS", ("png",))
    posterior = synthetic_posterior(runs.with_x("C"), law="power")
    names = {path.stem for path in plots.save_plots(posterior, tmp_path)}
    assert names == {"runs_and_fit", "loss_and_compute", "prior_and_posterior", "chain_ranks"}
    left, _ = plots.plot_runs(posterior)
    assert left.get_xlabel() == "training compute in FLOPs C"


def test_published_fits_stand_beside_the_curve(synthetic):
    others = [bayescale.published(key) for key in ("hoffmann-2022", "busbridge-2025")]
    ax = plots.plot_loss(synthetic, compare_to=others)
    labels = [line.get_label() for line in ax.get_lines()]
    assert {"hoffmann-2022", "busbridge-2025"} <= set(labels)
    left, _ = plots.plot_allocation(synthetic, compare_to=others[1:])
    labels = [line.get_label() for line in left.get_lines()]
    assert "busbridge-2025" in labels
    assert "hoffmann-2022" not in labels
