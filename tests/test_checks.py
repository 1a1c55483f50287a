"""Checks of the design: each refuses by its name, and is lifted by it."""

import numpy as np
import pytest

from bayescale.errors import DesignError, InputError
from bayescale.laws import get_law
from bayescale.runs import CHECKS, Runs, check_design
from bayescale.runs.monotone import rise

SIZES, TOKENS = [1e7, 3e7, 1e8], [1e9, 5e9, 2e10]
N, D = (grid.ravel() for grid in np.meshgrid(SIZES, TOKENS))
LOSS = 1.8 + 480 * N**-0.35 + 2000 * D**-0.365
GOOD = {"N": N, "D": D, "loss": LOSS}
LAW = (("N", "D"), 5, "chinchilla")
RAMP = np.array([1e7, 2e7, 4e7, 8e7, 3e8, 1e9])
FALLING = 4 - 0.1 * np.arange(6)

# Name of the check: a table that fails it alone, the law, and words of the message.
BAD = {
    "few-points": (
        {"N": N[:4], "D": D[:4], "loss": LOSS[:4]},
        LAW,
        ["4 distinct points in N, D for the 5 parameters", "'chinchilla'", "would be the prior"],
    ),
    "constant-N": (
        {"n_params": np.full(6, 7e9), "D": RAMP, "loss": FALLING},
        LAW,
        ["column 'n_params'", "N (parameters of the model) is 7e+09", "--law power --x tokens"],
    ),
    "constant-D": (
        {"N": RAMP, "n_tokens": np.full(6, 3e11), "loss": FALLING},
        LAW,
        ["column 'n_tokens'", "D (training tokens seen) is 3e+11", "--law power --x params"],
    ),
    "constant-C": (
        {"flops": np.full(6, 1e20), "loss": FALLING},
        (("C",), 1, "power"),
        ["column 'flops'", "C (training compute in FLOPs) is 1e+20"],
    ),
    "constant-U": (
        {**GOOD, "unique_tokens": np.full(9, 1e9)},
        (("N", "D", "U"), 7, "repeated"),
        ["column 'unique_tokens'", "U (unique training tokens) is 1e+09"],
    ),
    "constant-x": (
        {"x": np.full(6, 2.0), "loss": FALLING},
        (("x",), 1, "power"),
        ["column 'x'", "x (the one input of a law of one variable) is 2"],
    ),
    "constant-loss": (
        {"N": N, "D": D, "val_loss": np.full(9, 2.5)},
        LAW,
        ["column 'val_loss'", "the loss is 2.5 in every run", "the final loss of each run"],
    ),
    "not-monotone": (
        {"x": np.arange(1.0, 21.0), "err": 0.5 + 0.2 * np.cos(np.arange(20) / 3.0)},
        (("x",), 3, "power", None, ("x",)),
        ["column 'err'", "the error rises by", "between x = ", "'power' falls in x",
         "--law bnsl-1, --law bnsl-2"],
    ),
    "collinear": (
        {"N": RAMP, "D": 20 * RAMP, "loss": FALLING},
        LAW,
        ["D is 20 N in every run", "1.00000", "cannot be told apart", "at a ratio 4 times larger"],
    ),
    "duplicate-rows": (
        {name: [*column, column[2]] for name, column in GOOD.items()},
        LAW,
        ["1 duplicate row: row 9 repeats row 2", "N = 1e+08, D = 1e+09, loss = ", "too narrow"],
    ),
    "several-rows-per-run": (
        {**GOOD, "run": ["a", "b", "c", "d", "e", "f", "g", "g", "g"]},
        LAW,
        ["column 'run'", "1 run has several rows, such as 'g' with 3", "--columns run_id=",
         "--effects run_id (effects='run_id')"],
    ),
    "one-row-groups": (
        {**GOOD, "run": [*"abcdefghi"]},
        (*LAW, "run_id"),
        ["effects of 'run_id': no two of the 9 rows have the same run_id", "from the scatter",
         "Leave out --effects"],
    ),
    "one-group": (
        {**GOOD, "group": ["web"] * 9},
        (*LAW, "group"),
        ["effects of 'group': all 9 rows have the same group", "from the law"],
    ),
}  # fmt: skip


def check(table, law=LAW, allow=()):
    return check_design(Runs.read(table), *law[:3], allow, *law[3:])


def test_a_factorial_design_passes():
    assert check(GOOD) == []


def test_every_check_has_a_bad_table():
    assert set(BAD) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_refused_by_name(name):
    table, law, words = BAD[name]
    with pytest.raises(DesignError, match=rf"--allow {name} \(allow=\['{name}'\]\)") as refusal:
        check(table, law)
    assert [problem.check for problem in refusal.value.problems] == [name]
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("name", CHECKS)
def test_lifted_by_name_and_recorded(name):
    table, law, _ = BAD[name]
    assert check(table, law, [name]) == [name]
    assert check(table, law, name) == [name]
    assert check(table, law, list(CHECKS)) == [name]


@pytest.mark.parametrize("name", CHECKS)
def test_the_other_names_do_not_lift_it(name):
    table, law, _ = BAD[name]
    with pytest.raises(DesignError, match=f"--allow {name}"):
        check(table, law, set(CHECKS) - {name})


def test_effects_of_runs_lift_the_check_of_their_rows():
    table, law, _ = BAD["several-rows-per-run"]
    assert check(table, (*law, "run_id")) == []
    blank = {**GOOD, "run": ["a", "a", *[""] * 7]}
    assert check(blank, (*law, "run_id")) == []
    grouped = {**table, "group": ["a", "b", "b"] * 3}
    with pytest.raises(DesignError, match="several rows, such as 'g'"):
        check(grouped, (*law, "group"))
    with pytest.raises(InputError, match="effects: the runs have no label or input 'lab'"):
        check(GOOD, (*law, "lab"))
    with pytest.raises(DesignError, match="no two of the 7 rows"):
        check({"N": RAMP[[0, 1, 2, 3, 4, 5, 5]], "D": D[:7], "loss": LOSS[:7], "run": [""] * 7},
              (*law, "run_id"))  # fmt: skip


def test_an_allowed_check_that_passes_is_not_recorded():
    assert check(GOOD, allow=["collinear"]) == []


def test_unknown_name():
    with pytest.raises(
        InputError, match="'colinear' is not a check; did you mean 'collinear'"
    ) as e:
        check(GOOD, allow=["colinear"])
    assert not isinstance(e.value, DesignError)
    assert all(name in str(e.value) for name in CHECKS)


def test_all_failures_at_once():
    table = {"N": [1e8, 1e8], "D": [2e9, 2e9], "loss": [3.0, 3.0], "id": ["a", "a"]}
    with pytest.raises(DesignError, match="duplicate row") as refusal:
        check(table)
    names = [problem.check for problem in refusal.value.problems]
    assert names == [
        "duplicate-rows",
        "several-rows-per-run",
        "few-points",
        "constant-N",
        "constant-D",
        "constant-loss",
    ]
    with pytest.raises(DesignError, match="constant-loss") as refusal:
        check(table, allow=names[:-1])
    assert [problem.check for problem in refusal.value.problems] == ["constant-loss"]
    assert check(table, allow=names) == names


def test_replicates_and_seeds_are_no_duplicates():
    twice = {name: [*column, column[0]] for name, column in GOOD.items()}
    assert check({**twice, "loss": [*LOSS, LOSS[0] + 1e-9]}) == []
    assert check({**twice, "seed": [0] * 9 + [1]}) == []


def test_many_duplicates_are_counted_not_listed():
    with pytest.raises(DesignError, match=r"9 duplicate rows: .* row 4 and 4 more \("):
        check({name: np.tile(column, 2) for name, column in GOOD.items()})


def test_duplicates_are_named_by_their_lines(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,D,loss\n1e7,1e9,3\n\n1e7,1E9,3.0\n")
    with pytest.raises(DesignError, match=r"runs\.csv: 1 duplicate row: line 4 repeats line 2 \("):
        check(path)


def test_runs_without_an_id_are_not_one_run():
    assert check({**GOOD, "run_id": ["", None, np.nan, " ", "a", "b", "c", "d", "e"]}) == []


def test_a_power_of_n_is_collinear_and_noise_is_not():
    with pytest.raises(DesignError, match=r"D goes as N\^1\.50"):
        check({"N": RAMP, "D": RAMP**1.5, "loss": FALLING})
    wiggle = np.array([1, 1.6, 1, 0.7, 1.3, 1])
    correlation = np.corrcoef(np.log(RAMP), np.log(RAMP * wiggle))[0, 1]
    assert 0.97 < correlation < 0.999
    assert check({"N": RAMP, "D": RAMP * wiggle, "loss": FALLING}) == []


def test_falling_d_is_collinear_too():
    with pytest.raises(DesignError, match=r"D goes as N\^-1\.00 \(correlation .* -1\.00000\)"):
        check({"N": RAMP, "D": 1e18 / RAMP, "loss": FALLING})


def test_points_are_counted_in_the_inputs_of_the_law():
    table = {"N": np.repeat(RAMP[:3], 2), "D": RAMP, "loss": FALLING}
    assert check(table, (("N", "D"), 5, "chinchilla")) == []
    with pytest.raises(DesignError, match="3 distinct points in N for the 4 parameters"):
        check(table, (("N",), 4, "power"))


def test_a_law_of_x_ignores_collinear_columns():
    runs = Runs.read({"N": RAMP, "D": 20 * RAMP, "loss": FALLING}).with_x("N")
    assert check_design(runs, ("x",), 3, "power") == []


def test_a_law_that_need_not_fall_may_be_fitted_to_a_rise():
    table, law, _ = BAD["not-monotone"]
    assert check(table, (*law[:4], ())) == []
    assert get_law("bnsl-1").falls_in == ()
    assert rise(*table.values()).low_x == pytest.approx(10, abs=1)  # cos is least at 3 pi
    assert rise(*table.values()).high_x == pytest.approx(19, abs=2)


@pytest.mark.parametrize("n", [6, 12, 40, 300])
@pytest.mark.parametrize("nu", [3, 100])
def test_noisy_curves_that_fall_or_are_flat_do_not_rise(n, nu):
    """The false alarms that `rise` states, for scatter from 0.3 to 30%."""
    generator, found = np.random.default_rng(0), []
    for i in range(400):
        x = 10 ** generator.uniform(7, 10, n)
        scatter = 10 ** generator.uniform(-2.5, -0.5) * generator.standard_t(nu, n)
        mean = 2 + (400 * x**-0.34 if i % 2 else 0.0)
        found.append(rise(x, mean * np.exp(scatter)))
    assert sum(r is not None for r in found) / 400 < 0.01 + 3 * np.sqrt(0.01 * 0.99 / 400)


def test_what_differs_beside_x_is_no_rise(chinchilla_runs):
    runs = chinchilla_runs
    for column in (runs.N, runs.D, runs.N * runs.D, N):
        order = np.argsort(runs.D[: len(column)])  # as sorted tables are: by the other input
        loss = LOSS if column is N else runs.loss
        assert rise(column[order], loss[order]) is None


def test_real_curves_that_fall_do_not_rise_and_double_descent_does(public_data):
    pandas = pytest.importorskip("pandas")
    vision = pandas.read_csv(public_data / "vision_curves.csv").groupby("curve")
    assert [name for name, t in vision if rise(t.x, t.loss) is not None] == []
    double = pandas.read_csv(public_data / "double_descent.csv").groupby("curve")
    rising = [name for name, t in double if rise(t.x, t.loss) is not None]
    flat = [name for name, _ in double if name not in rising and not name.startswith("nano")]
    assert len(rising) == 12
    assert flat == [  # whose rises are of less than 5%
        "cifar10-mcnn-p10-sgd",
        "dd-translation-samples-aug26-small",
        "dd-translation-samples-aug27-size80",
        "pct-cifar100-mcnn-p0-sgd-noaug-reps",
    ]
