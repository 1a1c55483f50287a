"""IsoFLOP fits: parabolas, the power law, the bias of the procedure, and agreement with a posterior."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale
from bayescale import InputError, Runs, isoflop
from bayescale.cli.main import app
from bayescale.isoflops.parabolas import PowerLaw, parabolas
from bayescale.plots import plot_isoflop, save_plot
from conftest import TRUTH, synthetic_posterior

BUDGETS = (1e18, 1e19, 1e20, 1e21)


def optimum(C, law=TRUTH):
    """The optimal N in closed form (Hoffmann et al. 2022, equation 4)."""
    alpha, beta = law["alpha"], law["beta"]
    G = (alpha * law["A"] / (beta * law["B"])) ** (1 / (alpha + beta))
    return G * (np.asarray(C) / 6) ** (beta / (alpha + beta))


def design(law=TRUTH, width=1.5, per_budget=9, sigma=0.0, seed=0, shift=0.0, budgets=BUDGETS):
    """Budgets whose sizes are centred on the optimum (and shifted by a power of compute)."""
    C = np.repeat(budgets, per_budget)
    steps = np.tile(np.linspace(-width / 2, width / 2, per_budget), len(budgets))
    N = optimum(C, law) * 10**steps * (C / 1e19) ** shift
    D = C / (6 * N)
    loss = law["E"] + law["A"] * N ** -law["alpha"] + law["B"] * D ** -law["beta"]
    scatter = np.random.default_rng(seed).standard_normal(len(C))
    return {"params": N, "tokens": D, "loss": loss * np.exp(sigma * scatter)}


def point(law):
    """A law with known constants, in place of a fit."""
    from dataclasses import replace

    from bayescale.laws import Chinchilla

    given = bayescale.published("besiroglu-2024")
    return replace(given, law=Chinchilla(**{k: np.full((1, 1), v) for k, v in law.items()}))


def brute_force(table, C, law=TRUTH):
    """Bias of log N, and of a: numpy's own polynomials, budget by budget."""
    N, D, loss = (np.asarray(table[k]) for k in ("params", "tokens", "loss"))
    budget = np.round(np.log10(6 * N * D), 6)
    log_c, minima = [], []
    for value in np.unique(budget):
        mine = budget == value
        c2, c1, _ = np.polyfit(np.log(N[mine]), loss[mine], 2)
        log_c.append(value * np.log(10))
        minima.append(-c1 / (2 * c2))
    a, intercept = np.polyfit(log_c, minima, 1)
    exact = law["beta"] / (law["alpha"] + law["beta"])
    return intercept + a * np.log(C) - np.log(optimum(C, law)), a - exact


UNEQUAL = TRUTH | {"alpha": 0.25, "beta": 0.45, "A": 90.0, "B": 1.2e4}


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_the_bias_is_that_of_brute_force(shift):
    table = design(UNEQUAL, shift=shift, sigma=0.004)
    found = isoflop(table, point(UNEQUAL), C=[1e20, 1e24])
    noiseless = design(UNEQUAL, shift=shift)
    bias_n, bias_a = brute_force(noiseless, np.array([1e20, 1e24]), UNEQUAL)
    assert np.all(np.abs(bias_n) > 0.005)
    np.testing.assert_allclose(found.log_bias[0], bias_n, atol=1e-7)
    assert found.exponent_bias[0] == pytest.approx(bias_a, abs=1e-8)
    # Centred sizes leave the exponent right; sizes that drift off the optimum do not.
    assert (abs(bias_a) < 1e-6) == (shift == 0)


def test_the_bias_grows_with_the_width_of_the_sizes_and_is_none_if_exponents_are_equal():
    def bias(law, width):
        return isoflop(design(law, width, sigma=1e-5), point(law), C=1e20).log_bias[0, 0]

    widths = [0.5, 1.0, 1.5, 2.0]
    grows = np.abs([bias(UNEQUAL, w) for w in widths])
    assert np.all(np.diff(grows) > 0)
    assert grows[3] > 10 * grows[0]
    equal = TRUTH | {"beta": TRUTH["alpha"]}
    assert max(abs(bias(equal, w)) for w in widths) < 1e-6


def test_bootstrap_intervals_hold_the_expectation_of_the_procedure():
    """The power law of noiseless losses lies in the 90% interval of a in 90% of studies."""
    studies, held = 300, 0
    law = point(TRUTH)
    true = brute_force(design(), 1e20)[1] + 0.365 / 0.715
    for seed in range(studies):
        found = isoflop(design(sigma=0.004, seed=seed), law, C=1e20, samples=400)
        low, high = np.nanquantile(found.samples.a, [0.05, 0.95])
        held += low <= true <= high
    error = np.sqrt(0.09 / studies)
    assert abs(held / studies - 0.9) < 3.3 * error


def test_what_is_unbiased_agrees_and_what_is_of_another_law_does_not():
    table = design(UNEQUAL, width=2.0, sigma=0.002)
    found = isoflop(table, point(UNEQUAL), C=1e23)
    assert found.agrees
    assert not [v for v in found.verdicts if v.code == "disagree"]
    assert [v.code for v in found.verdicts] == ["biased"]
    other = isoflop(table, point(UNEQUAL | {"A": 180.0}), C=1e23)
    assert not other.agrees
    (verdict,) = [v for v in other.verdicts if v.code == "disagree"]
    assert "N at C = 1e23" in verdict.sentence


@pytest.fixture(scope="module")
def found():
    table = design(sigma=0.003, seed=4)
    runs = Runs.read(table)
    return isoflop(runs, synthetic_posterior(runs), C=[1e20, 1e22])


def test_the_answers_are_those_of_their_parts(found):
    row = found.rows[1]
    allocation = bayescale.allocate(synthetic_posterior(found.runs), 1e20)
    assert row["posterior"].median == pytest.approx(allocation.intervals["N"][0].median, rel=1e-6)
    assert row["estimate"] == pytest.approx(found.N[0])
    gap = np.log(row["approach_2"].median / row["posterior"].median / row["bias"].median)
    assert np.log(row["difference"].median) == pytest.approx(gap, abs=0.05)
    said = found.to_json()
    json.dumps(said)
    assert [a["quantity"] for a in said["answers"]] == ["a", "N", "N"]
    assert said["a"] == found.a
    assert len(found.to_frame()) == len(found.parabolas) == 4
    for text in ("approach 2", "N at C = 1e22", "decades of N"):
        assert text in repr(found)
    assert r"\toprule" in found.table().latex()


def test_another_law_has_its_numeric_optimum():
    table = design(sigma=0.003)
    runs = Runs.read(table)
    found = isoflop(runs, synthetic_posterior(runs, law="pearce-song"), C=1e20)
    assert found.law == "pearce-song"
    assert np.isfinite(found.log_bias).all()


def test_a_fit_is_made_where_none_is_given(monkeypatch):
    asked = []

    def fit(runs, *law, **options):
        asked.append((len(runs), law, options))
        return synthetic_posterior(runs)

    monkeypatch.setattr("bayescale.isoflops.approach.fit_law", fit)
    found = isoflop(design(sigma=0.003, seed=2), C=1e21, noise="gaussian", seed=3)
    assert asked == [(36, ("chinchilla", "gaussian"), {"allow": (), "seed": 3})]
    assert found.basis == "fitted to 36 runs"


@pytest.mark.nightly
def test_a_law_that_holds_agrees_with_approach_two():
    """Law and bootstrap of the same runs: they disagree in far fewer than 10% of studies."""
    agree = [isoflop(design(sigma=0.003, seed=s), C=1e21).agrees for s in range(20)]
    assert sum(agree) >= 18


# --- which runs share a budget ---


def scattered(jitter, alone=()):
    table = design(per_budget=7, budgets=(1e18, 1e19, 1e20), sigma=0.002)
    generator = np.random.default_rng(1)
    table["tokens"] = table["tokens"] * np.exp(jitter * generator.uniform(-0.5, 0.5, 21))
    for C in alone:
        for name, value in (("params", 1e8), ("tokens", C / 6e8), ("loss", 3.0)):
            table[name] = np.append(table[name], value)
    return Runs.read(table)


def test_budgets_are_found_named_or_labelled():
    runs = scattered(0.08, alone=(3e18, 5e19))
    found = parabolas(runs)
    assert [len(p.rows) for p in found] == [7, 7, 7]
    assert not {21, 22} & {int(i) for p in found for i in p.rows}
    named = parabolas(runs, budgets=[1e18, 1e20])
    assert [list(p.rows) for p in named] == [list(range(7)), list(range(14, 21))]
    labels = np.repeat(["b", "a", "c"], 7)
    table = design(per_budget=7, budgets=(1e18, 1e19, 1e20)) | {"group": labels}
    by_label = parabolas(Runs.read(table), by="group")
    assert [list(p.rows) for p in by_label] == [list(range(i, i + 7)) for i in (0, 7, 14)]


def test_what_is_left_out_is_said():
    table = design(sigma=0.001)
    edge = table["params"][:9] > optimum(1e18) * 1.5
    table = {k: np.delete(v, np.flatnonzero(~edge)) for k, v in table.items()}
    found = isoflop(table, point(TRUTH), C=1e20, min_runs=3)
    assert [bool(p.reason) for p in found.parabolas] == [True, False, False, False]
    assert found.parabolas[0].reason in (
        "the minimum lies outside the runs",
        "the parabola has no minimum",
    )
    assert found.parabolas[0].reason in str(found.verdicts[0])
    assert found.parabolas[0].reason in found.budget_table().text()


def test_a_line_needs_two_optima():
    line = PowerLaw.through(np.arange(3.0), np.array([[1.0, np.nan, 2.0], [np.nan, 1.0, np.nan]]))
    np.testing.assert_allclose(line.a, [0.5, np.nan])
    np.testing.assert_allclose(line.log_at(np.exp([2.0]))[:, 0], [2.0, np.nan])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_runs": 2}, "3 or more"),
        ({"tolerance": 0.0}, "between 0 and 1"),
        ({"by": "N", "budgets": [1e19]}, "one or the other"),
        ({"by": "recipe"}, "no label or input 'recipe'"),
        ({"budgets": [1e19]}, "needs two"),
        ({"min_runs": 12}, "0 compute budgets"),
        ({"C": -1}, "above 0"),
        ({"samples": 5}, "100 or more"),
        ({"level": 90}, "mass of an interval"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        isoflop(design(sigma=0.002), point(TRUTH), **options)


def test_three_runs_a_budget_leave_nothing_to_resample():
    with pytest.raises(InputError, match="leaves no residuals"):
        isoflop(design(per_budget=3), point(TRUTH), min_runs=3)


# --- public runs ---


def test_approach_two_of_the_published_sets(public_data):
    """Hoffmann et al. 2022, table 2: a = 0.49 (0.462 to 0.534); Porian et al. 2024: 0.5714."""
    hoffmann = bayescale.published("besiroglu-2024")
    runs = Runs.read(public_data / "chinchilla.csv", where="epoch_dropped == 0")
    low, high = 0.462, 0.534
    found = isoflop(runs, hoffmann, tolerance=0.12)
    assert low < found.a < high
    assert len(found.used) >= 9
    where = "config == 'rw_base_shortwarmup_chinchilla_standard'"
    porian = isoflop(Runs.read(public_data / "porian.csv", where=where), hoffmann)
    assert len(porian.used) == 12
    interval = porian.rows[0]["approach_2"]
    assert interval.lower < 0.5714 < interval.upper
    assert porian.a == pytest.approx(0.5714, abs=0.02)


# --- figure and command ---


def test_the_figure(found, tmp_path):
    from matplotlib import pyplot

    left, right = plot_isoflop(found)
    assert len(left.collections) == len(found.used)
    shown = next(x for x in right.get_lines() if x.get_label() == "minima").get_ydata()
    np.testing.assert_allclose(shown, np.exp([p.log_optimum for p in found.used]))
    assert {p.name for p in save_plot(found, tmp_path)} == {"isoflop.png", "isoflop.pdf"}
    pyplot.close("all")


def test_the_command(tmp_path):
    import pandas

    path = tmp_path / "runs.csv"
    pandas.DataFrame(design(sigma=0.003)).to_csv(path, index=False)
    words = ["isoflop", str(path), "--fit", "besiroglu-2024", "--flops", "1e21"]
    done = CliRunner().invoke(app, [*words, "--json", "--plots", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["n_runs"] == 36
    assert said["answers"][1]["C"] == 1e21
    assert (tmp_path / "figures" / "isoflop.png").stat().st_size > 0
    shown = CliRunner().invoke(app, [*words, "--table", "markdown"]).stdout
    assert "| N at C = 1e21" in shown
