"""Budgets in hours and money, ranges of them, and what they look like as curves."""

import json

import numpy as np
import pytest
from matplotlib import pyplot
from typer.testing import CliRunner

import bayescale
from bayescale import Cost, InputError, plots
from bayescale.cli.budgets import log_spaced, parse_ranges
from bayescale.cli.main import app
from conftest import synthetic_posterior

COST = Cost(peak_flops=1e15, utilisation=0.36, price=2.5, currency="EUR")
FLOPS_OF_AN_HOUR = 1e15 * 0.36 * 3600
DEVICE = ("--peak-flops", "1e15", "--utilisation", "0.36")


@pytest.fixture(scope="module")
def posterior(runs):
    return synthetic_posterior(runs)


@pytest.fixture(scope="module")
def saved(posterior, tmp_path_factory):
    return str(posterior.save(tmp_path_factory.mktemp("budgets") / "fit.nc"))


@pytest.fixture(autouse=True)
def close():
    yield
    pyplot.close("all")


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


# --- hours and money ---


def test_hours_and_money_stand_beside_each_budget(posterior):
    budgets = COST.flops_of_hours([1e3, 1e6])
    assert budgets == pytest.approx([1e3 * FLOPS_OF_AN_HOUR, 1e6 * FLOPS_OF_AN_HOUR])
    found = bayescale.allocate(posterior, budgets, cost=COST)
    rows = found.to_json()["budgets"]
    assert [row["device_hours"] for row in rows] == pytest.approx([1e3, 1e6])
    assert [row["money"] for row in rows] == pytest.approx([2.5e3, 2.5e6])
    assert found.to_json()["cost"]["currency"] == "EUR"
    assert {"device_hours", "money"} < set(found.to_frame().columns)
    assert "money (EUR)" in repr(found)
    free = bayescale.allocate(posterior, budgets, cost=Cost(1e15)).to_json()["budgets"][0]
    assert "device_hours" in free
    assert "money" not in free
    assert bayescale.allocate(posterior, COST.flops(2.5e6)).C.tolist() == [budgets[1]]


def test_money_for_a_loss_is_an_interval(posterior):
    found = bayescale.allocate(posterior, target_loss=2.5, cost=COST, level=0.8)
    (row,) = found.to_json()["budgets"]
    ends = np.quantile(found.draws["C"][:, 0], [0.1, 0.5, 0.9]) / FLOPS_OF_AN_HOUR * 2.5
    assert [row["money"][n] for n in ("lower", "median", "upper")] == pytest.approx(ends)


def test_what_the_limits_leave_unspent(posterior):
    found = bayescale.allocate(posterior, [1e20, 1e26], max_params=1e11, max_tokens=1e13)
    assert found.spent == pytest.approx([1.0, 6 * 1e11 * 1e13 / 1e26])
    assert found.table().columns[-1].plain == "spent"
    assert "spent" not in repr(bayescale.allocate(posterior, 1e20, max_params=1e11))


def test_infinite_costs_print_and_warn_of_nothing(posterior):
    found = bayescale.allocate(posterior, target_loss=1.95, cost=COST)  # near E
    assert 0.05 < found.reached[0] < 0.5
    (row,) = found.table().rows
    assert str(row[4]).startswith("inf (")
    assert len(str(row[4])) < 25
    assert r"\mbox{inf" in found.table().latex()


def test_one_budget_in_three_units(saved):
    def budgets(*words):
        return json.loads(call("allocate", saved, *words, *DEVICE, "--price", 2, "--json").stdout)[
            "budgets"
        ]

    by_flops = budgets("--flops", FLOPS_OF_AN_HOUR * 1e6)
    assert by_flops == budgets("--hours", "1e6") == budgets("--money", "2e6")
    assert by_flops[0]["money"] == pytest.approx(2e6)
    ranged = budgets("--money", "2e6:2e8:3")
    assert [row["money"] for row in ranged] == pytest.approx([2e6, 2e7, 2e8])
    region = call("region", saved, "--hours", "1e6", *DEVICE, "--json")
    assert json.loads(region.stdout)["cost"]["device_hours"] == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hours", "1e6"], "--hours: it is given without --peak-flops"),
        (["--money", "1e6", *DEVICE], "--money: it is given without --price"),
        (["--flops", "1e21", "--price", "2"], "--price: it is given without --peak-flops"),
        (["--flops", "1e21", "--utilisation", "0.5"], "--utilisation: it is given without"),
        (["--flops", "1e21", *DEVICE, "--currency", "EUR"], "--currency: it is given without --price"),
        (["--flops", "1e21", "--hours", "1e6", *DEVICE], "--flops, --hours: both are given"),
        (["--flops", "1e21", "--hours", "1", "--money", "1", *DEVICE], "all are given"),
        (["--hours", "1e6", *DEVICE, "--target-loss", "2"], "--hours, --target-loss: both"),
        ([], "--target-loss, --target-error, --target-accuracy: none is given"),
        (["--hours", "-1", *DEVICE], "hours: it is -1"),
        (["--flops", "1e21", "--peak-flops", "0"], "peak_flops: it is 0; it must be above 0"),
        (["--flops", "1e21", "--plots", "x"], "--plots: the figure is of several budgets"),
        (["--target-loss", "2.2", "--plots", "x"], "--plots: the figure is of several budgets"),
        (["--flops", "1e21:"], "--flops: '1e21:' is no range"),
        (["--flops", "1e24:1e21"], "'1e24:1e21' is no range; its ends are above 0, the lower one first"),
        (["--flops", "1e21:1e24:3:4"], "is no range"),
        (["--flops", "-1:1e24"], "is no range"),
        (["--flops", "1e21:1e24:1"], "is of 1 budgets; it is a whole number, 2 to 1000"),
        (["--flops", "1e21:1e24:2.5"], "is of 2.5 budgets"),
        (["--flops", "1e21:many"], "many"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(saved, words, message):
    with pytest.raises(InputError) as error:
        call("allocate", saved, *words)
    assert message in str(error.value)


def test_a_region_is_of_one_budget(saved):
    with pytest.raises(InputError, match="2 budgets are given; a region is that of one"):
        call("region", saved, "--flops", "1e21,1e22")


def test_money_without_a_price_or_below_0():
    with pytest.raises(InputError, match="hours: it is 0"):
        COST.flops_of_hours([1.0, 0.0])
    with pytest.raises(InputError, match="money: it is -3"):
        COST.flops(-3.0)


# --- ranges ---


def test_ranges_are_evenly_spaced_in_the_logarithm():
    assert parse_ranges("--flops", ["1e20:1e22"]) == [1e20, 3.16e20, 1e21, 3.16e21, 1e22]
    assert parse_ranges("--flops", ["1e20:1e22:3,5e23", "7e23"]) == [1e20, 1e21, 1e22, 5e23, 7e23]
    assert parse_ranges("--flops", ["1e20:1.1e20"]) == [1e20, 1.1e20]
    fine = log_spaced(1e20, 1.001e20)
    assert fine == sorted(set(fine))
    assert fine == pytest.approx(np.geomspace(1e20, 1.001e20, 97).tolist(), rel=1e-5)


# --- figures ---


def test_curves_are_the_medians_and_the_intervals(posterior):
    budgets = np.geomspace(1e19, 1e25, 25)
    found = bayescale.allocate(posterior, budgets[::-1], cost=COST)
    hoffmann = bayescale.allocate(bayescale.published("hoffmann-2022"), budgets)
    panels = plots.plot_budgets(found, compare_to={"hoffmann-2022": hoffmann})
    for ax, name in zip(panels, ("N", "D", "tokens_per_parameter", "loss"), strict=True):
        lines = {line.get_label(): line for line in ax.get_lines()}
        medians = [interval.median for interval in found.intervals[name]][::-1]
        np.testing.assert_allclose(lines["median"].get_ydata(), medians)
        np.testing.assert_allclose(lines["median"].get_xdata(), budgets)
        others = [interval.median for interval in hoffmann.intervals[name]]
        np.testing.assert_allclose(lines["hoffmann-2022"].get_ydata(), others)
        band = ax.collections[0].get_paths()[0].vertices[:, 1]
        assert band.max() == pytest.approx(max(i.upper for i in found.intervals[name]))
    assert panels[3].get_ylabel() == "loss (nats/token)"
    (above,) = panels[0].child_axes
    assert above.get_xlabel() == "budget (EUR)"
    words = [text.get_text() for text in panels[0].texts]
    assert "beyond the runs" in words


def test_a_curve_at_a_limit_is_drawn_as_one(posterior):
    budgets = np.geomspace(1e20, 1e25, 31)
    found = bayescale.allocate(posterior, budgets, max_params=1e10, inference_tokens=1e11)
    panels = plots.plot_budgets(found)
    lines = {line.get_label(): line.get_ydata() for line in panels[0].get_lines()}
    held = np.isfinite(lines["at a limit"])
    assert lines["at a limit"][held] == pytest.approx(1e10)
    assert (held == (found.at_limit > 0.5)).all()
    assert held.any()
    drawn = np.isfinite(lines["median"]) | held
    assert drawn.all()
    assert (np.isfinite(lines["median"]) & held).sum() == 1  # where the pieces meet
    assert "N at most 1e10" in panels[0].figure.get_suptitle()


def test_what_has_no_curves(posterior):
    for found in (
        bayescale.allocate(posterior, 1e21),
        bayescale.allocate(posterior, target_loss=2.5),
    ):
        with pytest.raises(InputError, match="it is not of several budgets"):
            plots.plot_budgets(found)


def test_the_figure_of_a_region_shows_its_marks(posterior):
    found = bayescale.region(posterior, 5.76e23, cost=COST, inference_tokens=1e12)
    left, right = plots.plot_region(found)
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), found.probability)
    lines = {line.get_label(): line for line in right.get_lines()}
    np.testing.assert_allclose(lines["expected"].get_ydata(), 100 * found.expected)
    np.testing.assert_allclose(lines["90% at most"].get_ydata(), 100 * found.high)
    assert lines["least expected regret"].get_xdata()[0] == found.N[found.least]
    assert lines["best N, 90% interval"].get_xdata()[0] == found.best["N"].median
    assert "EUR" in left.figure.get_suptitle()
    above = next(ax for ax in left.figure.axes if ax.get_xlabel() == "tokens per parameter D/N")
    place, ratio = above.get_xticks()[0], float(above.get_xticklabels()[0].get_text())
    assert (5.76e23 / place - 2e12) / 6 / place == pytest.approx(ratio, rel=1e-3)
    listed = bayescale.region(posterior, 5.76e23, sizes=[7e9, 70e9, 500e9])
    assert len(plots.plot_region(listed)[0].get_lines()[0].get_xdata()) == 3


def test_figures_come_as_files(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("bayescale.plots.gallery.FORMATS", ("png",))
    done = call("allocate", saved, "--flops", "1e20:1e24", "--plots",
                tmp_path, "--compare-to", "hoffmann-2022", "--json")  # fmt: skip
    assert len(json.loads(done.stdout)["budgets"]) == 9
    assert call("region", saved, "--flops", "1e22", "--plots", tmp_path, "-q").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"allocation.png", "region.png"}


# --- the command region ---


def test_the_command_region_is_the_function(posterior, saved):
    words = ["region", saved, "--flops", "1e24", "--tolerance", "0.01", "--max-tokens", "2e13",
             "--inference-tokens", "1e13"]  # fmt: skip
    said = json.loads(call(*words, "--json").stdout)
    found = bayescale.region(
        posterior, 1e24, tolerance=0.01, max_tokens=2e13, inference_tokens=1e13
    )
    assert said == json.loads(json.dumps(found.to_json()))
    assert said["least"]["expected"] == min(split["expected"] for split in said["splits"])
    assert said["likely"][0] < said["best"]["N"]["median"] < said["likely"][1]
    shown = call(*words, "--rows", 5)
    assert "within 1.0% of the lowest loss" in shown.stdout
    assert len(shown.stdout.splitlines()) == 7
