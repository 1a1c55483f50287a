"""Predictions: the law draw by draw, the scatter of new runs, and how far the points lie beyond."""

import json
from dataclasses import asdict, replace

import jax
import numpy as np
import pytest
from scipy import stats

from bayescale import FailedFitError, InputError, predict
from bayescale.laws import LAWS
from bayescale.new_runs import new_run_losses
from bayescale.prediction import decades_beyond, law_loss
from bayescale.tables import number
from conftest import synthetic_posterior

N = np.array([1e8, 3e9, 7e10])
D = np.array([2e9, 1e11, 1.4e12])
FORMULAS = {  # the papers' equations once more, in plain NumPy
    "chinchilla": lambda E, A, B, alpha, beta, N, D: E + A / N**alpha + B / D**beta,
    "coupled": lambda E, A, B, alpha, beta, k, N, D: E + (A / N**alpha + B / D**beta) ** k,
    "power": lambda E, c, alpha, x: E + c / x**alpha,
}


@pytest.fixture(scope="module")
def posterior(runs):
    return synthetic_posterior(runs)


@pytest.fixture(scope="module")
def power(runs):
    return synthetic_posterior(runs.with_x("N"), law="power")


@pytest.fixture(scope="module")
def failed(runs):
    return synthetic_posterior(runs, diverging=np.ones((4, 250), bool))


def of_law(runs, law):
    """A posterior of a law, and points for it."""
    runs = runs.with_x("N") if law == "power" else runs
    points = {"x": N} if law == "power" else {"N": N, "D": D}
    return synthetic_posterior(runs, law=law), points


def widths(prediction):
    return np.array([i.upper - i.lower for i in prediction.intervals])


@pytest.mark.parametrize("law", [name for name, law in LAWS.items() if law.usual])
def test_the_mean_is_the_formula_draw_by_draw(runs, law):
    posterior, points = of_law(runs, law)
    prediction = predict(posterior, **points, kind="law", level=0.8)
    fields = {
        p.name: getattr(posterior.law, p.name).reshape(-1, 1) for p in posterior.law.parameters()
    }
    np.testing.assert_allclose(prediction.draws, FORMULAS[law](**fields, **points), rtol=1e-12)
    assert prediction.draws.shape == (1000, 3)
    assert prediction.draws.dtype == np.float64
    for interval, column in zip(prediction.intervals, prediction.draws.T, strict=True):
        ends = np.quantile(column, [0.1, 0.5, 0.9])
        assert [interval.lower, interval.median, interval.upper] == pytest.approx(ends, rel=1e-14)


@pytest.mark.parametrize("law", [name for name, law in LAWS.items() if law.usual])
def test_vmap_is_a_loop(runs, law):
    posterior, points = of_law(runs, law)
    mapped, flat = law_loss(posterior, points), posterior.flat_law()
    with jax.enable_x64(True):
        for i in range(0, 1000, 250):
            one = jax.tree.map(lambda field, i=i: field[i], flat)
            np.testing.assert_allclose(mapped[i], one.loss(points), rtol=1e-14)


@pytest.mark.parametrize("noise", ["student-t", "gaussian", "laplace"])
def test_new_runs_scatter_as_the_noise_does(runs, noise):
    posterior = synthetic_posterior(runs, noise=noise)
    many = {"N": np.geomspace(1e8, 1e11, 40), "D": 1e11}
    law = predict(posterior, **many, kind="law").draws
    scatter = np.log(predict(posterior, **many).draws / law)
    parameters = {name: v[:, None] for name, v in vars(posterior.flat_noise()).items()}
    distribution = {
        "student-t": lambda sigma, nu: stats.t(nu, scale=sigma),
        "gaussian": lambda sigma: stats.norm(scale=sigma),
        "laplace": lambda sigma: stats.laplace(scale=sigma),
    }[noise](**parameters)
    masses = distribution.cdf(scatter)
    for mass in (0.005, 0.05, 0.5, 0.95, 0.995):
        error = np.sqrt(mass * (1 - mass) / masses.size)
        assert abs(np.mean(masses < mass) - mass) < 4 * error, mass
    # Independent from point to point: 39 correlations of 1,000 pairs, sd 1 / sqrt(1000).
    neighbours = [np.corrcoef(a, b)[0, 1] for a, b in zip(masses.T, masses.T[1:], strict=False)]
    assert np.abs(neighbours).max() < 4.5 / np.sqrt(1000)


def test_a_new_run_is_less_certain_than_the_law(fit):
    mean, run = (widths(predict(fit, N=N, D=D, kind=kind)) for kind in ("law", "run"))
    assert (run > mean).all()
    assert run[0] > 2 * mean[0], "inside the runs it is the scatter that counts"


def test_levels_nest(posterior):
    inner, middle, outer = (
        predict(posterior, N=N, D=D, level=level).intervals for level in (0.5, 0.9, 0.99)
    )
    for a, b, c in zip(inner, middle, outer, strict=True):
        assert c.lower < b.lower < a.lower < a.median < a.upper < b.upper < c.upper
        assert a.median == b.median == c.median
    assert predict(posterior, N=1e9, D=1e10).level == 0.9


def test_inputs_broadcast(posterior):
    assert len(predict(posterior, N=7e10, D=1.4e12)) == 1
    both = predict(posterior, N=N, D=D)
    assert both.points["N"].tolist() == N.tolist()
    assert both.points["D"].tolist() == D.tolist()
    one_n = predict(posterior, N=1e8, D=D, kind="law")
    assert one_n.points["N"].tolist() == [1e8] * 3
    alone = predict(posterior, N=1e8, D=2e9, kind="law").intervals[0]
    assert asdict(one_n.intervals[0]) == pytest.approx(asdict(alone), rel=1e-12)
    one_d = predict(posterior, N=N, D=[1.4e12], kind="law")
    last = one_d.intervals[2]
    assert last.median == predict(posterior, N=7e10, D=1.4e12, kind="law").intervals[0].median
    grid = predict(posterior, N=N[:, None], D=D[:2])
    assert grid.points["N"].tolist() == np.repeat(N, 2).tolist()
    assert grid.points["D"].tolist() == np.tile(D[:2], 3).tolist()


@pytest.mark.parametrize(
    "given",
    [10**12, "1e12", np.int64(10**12), np.array([10**12]), [10**12], np.array(1e12)],
    ids=repr,
)
def test_spellings_of_a_number(posterior, given):
    expected = predict(posterior, N=1e9, D=1e12)
    assert predict(posterior, N=1e9, D=given).intervals == expected.intervals


def test_points_keep_their_order(posterior, runs):
    points = {"D": D[::-1], "loss": [1, 2, 3], "N": N[::-1]}
    mapped, direct = predict(posterior, points=points), predict(posterior, N=N[::-1], D=D[::-1])
    assert mapped.intervals == direct.intervals
    assert list(mapped.points) == ["N", "D"]
    medians = [i.median for i in mapped.intervals]
    assert medians == sorted(medians), "the largest run first has the lowest loss first"
    assert len(predict(posterior, points=runs.inputs)) == 48


def test_a_law_of_one_variable(power):
    prediction = predict(power, x=N)
    assert list(prediction.points) == ["x"]
    assert prediction.to_json()["points"][2]["x"] == 7e10
    assert prediction.law == "power"
    assert predict(power, points={"x": N, "D": D}).intervals == prediction.intervals


# --- beyond the runs ---


def test_decades_beyond(runs):
    def beyond(N, D):
        return decades_beyond(runs, {"N": np.float64(N), "D": np.float64(D)})

    assert decades_beyond(runs, runs.inputs).tolist() == [0.0] * 48
    assert beyond(np.median(runs.N), np.median(runs.D)) == 0
    largest, smallest = np.argmax(runs.C), np.argmin(runs.C)
    for run, factor in ((largest, 1000), (smallest, 1 / 1000)):
        scale = np.sqrt(factor)  # of N and of D, at the same ratio
        found = beyond(runs.N[run] * scale, runs.D[run] * scale)
        assert found == pytest.approx(3, abs=1e-12)
    assert beyond(10 * runs.N.max(), runs.D.min()) == pytest.approx(1, abs=1e-12)
    assert beyond(runs.N.max(), 100 * runs.D.max()) == pytest.approx(
        np.log10(100 * runs.N.max() * runs.D.max() / (runs.N * runs.D).max())
    )
    assert beyond(runs.N.max(), runs.D.min() / 100) == pytest.approx(2, abs=1e-12)
    corner = beyond(runs.N.max(), runs.D.max())
    assert corner == pytest.approx(
        np.log10(runs.N.max() * runs.D.max() / (runs.N * runs.D).max()), abs=1e-12
    )
    assert corner > 0, "the ranges of N and D are kept, that of compute is not"


def test_decades_beyond_of_one_variable(power):
    seen = power.runs["x"]
    prediction = predict(power, x=[seen.min() / 10, seen[0], 100 * seen.max()])
    np.testing.assert_allclose(prediction.decades_beyond, [1, 0, 2], atol=1e-12)


# --- results ---


def test_to_json(posterior):
    prediction = predict(posterior, N=N, D=D, level=0.8)
    data = prediction.to_json()
    assert list(data) == ["model", "laws", "points"]
    assert data["laws"] == {"chinchilla": 1.0}
    assert data["model"] == "chinchilla law"
    for i, point in enumerate(data["points"]):
        interval = prediction.intervals[i]
        assert point == {
            "N": N[i],
            "D": D[i],
            "kind": "run",
            "level": 0.8,
            "median": interval.median,
            "lower": interval.lower,
            "upper": interval.upper,
            "decades_beyond": prediction.decades_beyond[i],
        }
    assert json.loads(json.dumps(data)) == data


def test_to_frame(posterior):
    frame = predict(posterior, N=N, D=D, kind="law").to_frame()
    columns = ["N", "D", "kind", "level", "median", "lower", "upper", "decades_beyond"]
    assert list(frame.columns) == columns
    assert frame["D"].tolist() == D.tolist()
    assert set(frame["kind"]) == {"law"}


def test_table(runs, posterior):
    bits = synthetic_posterior(runs.in_unit("bits/token"))
    prediction = predict(bits, N=N, D=D, level=0.8)
    assert prediction.table().caption == (
        "Predicted loss of a new run (bits/token), chinchilla law fitted to 48 runs: median and 80% "
        "interval, and decades beyond the runs."
    )
    text = prediction.table().text()
    assert repr(prediction) == f"{prediction.table().caption}\n{text}"
    head, *rows = text.splitlines()
    assert head.split() == ["N", "D", "loss,", "80%", "interval", "decades", "beyond"]
    for i, row in enumerate(rows):
        assert row.split()[:2] == [number(v) for v in (N[i], D[i])]
        assert str(prediction.intervals[i]) in row
        assert row.endswith(f"{prediction.decades_beyond[i]:.1f}")
    assert "$N$ & $D$ &" in prediction.table().latex()
    assert "mean of the law" in repr(predict(posterior, N=N, D=D, kind="law"))


def test_beside_what_was_observed(posterior):
    prediction = predict(posterior, N=N, D=D)
    middle, high = prediction.intervals[0].median, prediction.intervals[1].upper + 1e-3
    table = prediction.with_observed([middle, high, prediction.intervals[2].lower])
    assert [c.plain for c in table.columns][-2:] == ["observed", "inside"]
    assert [row[-1] for row in table.rows] == ["yes", "no", "yes"]
    assert table.rows[1][-2] == f"{high:.4g}"
    with pytest.raises(ValueError, match="zip"):
        prediction.with_observed([middle])


def test_the_same_seed_gives_the_same_intervals(posterior):
    def intervals(**settings):
        return predict(posterior, N=N, D=D, **settings).intervals

    assert intervals() == intervals(seed=0) != intervals(seed=1)
    assert intervals(kind="law", seed=0) == intervals(kind="law", seed=1)
    for a, b in zip(intervals(), intervals(seed=1), strict=True):
        # The sd of a median of 1,000 draws is 1.25 sd / sqrt(1000); that of a difference, 1.4 times.
        assert abs(a.median - b.median) < 4 * 1.25 * 1.42 * a.sd / np.sqrt(1000)


# --- refusals ---


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"N: it is missing; .* Give N \(--params, .*\) and D \(--tokens, training tokens"),
        ({"N": 1e9}, r"D: it is missing; the law needs N and D. Give D \(--tokens, training tok"),
        ({"points": {"N": N}}, "D: it is missing"),
        ({"points": {"N": N, "D": D}, "N": 1e9}, "points: N, D or x is given beside them"),
        ({"N": -1e9, "D": 1e10}, "N: it is -1e[+]09; it must be finite and above 0"),
        ({"N": 1e9, "D": 0}, "D: it is 0; it must be finite and above 0"),
        ({"N": 1e9, "D": np.nan}, "D: it is nan; it must be finite"),
        ({"N": [1e9, 1e10, np.inf], "D": 1e10}, "N: it is inf at index 2; it must be finite"),
        ({"points": {"N": [1e9, np.nan], "D": 1e9}}, "N: it is nan at index 1"),
        ({"N": "70B", "D": 1e10}, "N: it is '70B'; it must be a number .* Write plain numbers"),
        ({"N": 1e9, "D": 1j}, "D: it is 1j; it must be a number"),
        ({"N": 10**400, "D": 1e9}, "N: it is 1000.*; it must be a number"),
        ({"N": [1e9, 2e9], "D": [1e9, 2e9, 3e9]}, "inputs have different lengths: N 2, D 3"),
        ({"N": 1e9, "D": 1e10, "x": 1.0}, "x: the law 'chinchilla' has no input x. Give N"),
        ({"N": 1e9, "D": 1e10, "kind": "mean"}, "kind: 'mean' is not known. Use 'run' or 'law'"),
        ({"N": 1e9, "D": 1e10, "level": 0}, "level: the level is 0; .* above 0 and below 1"),
        ({"N": 1e9, "D": 1e10, "level": 1}, "level: the level is 1; .* above 0 and below 1"),
        ({"N": 1e9, "D": 1e10, "level": 90}, "level: the level is 90; .* Write 0.9 for 90%"),
        ({"N": 1e9, "D": 1e10, "level": np.nan}, "level: the level is nan"),
    ],
)
def test_bad_points_are_refused(posterior, given, message):
    with pytest.raises(InputError, match=message):
        predict(posterior, **given)


@pytest.mark.parametrize("given", [{"N": 1e9}, {"N": 1e9, "D": 1e10}, {"N": 1e9, "x": 1e9}])
def test_a_law_of_one_variable_wants_x(power, given):
    with pytest.raises(InputError, match=r"N: the law 'power' has no input N. Give x \(--x, the"):
        predict(power, **given)


def test_a_failed_fit_is_refused(failed):
    with pytest.raises(FailedFitError, match=r"1000 of 1000 transitions.*\n.*allow_failed=True"):
        predict(failed, N=N, D=D)
    allowed = predict(failed, N=N, D=D, allow_failed=True)
    sound = replace(failed, stats={**failed.stats, "diverging": np.zeros((4, 250), bool)})
    assert allowed.intervals == predict(sound, N=N, D=D).intervals


def test_no_new_run_errs_more_than_always(runs, posterior):
    errors = replace(posterior, runs=replace(runs, response="error"))
    at, near = {"N": N[:1], "D": D[:1]}, np.full((1000, 1), 0.999)
    free = new_run_losses(posterior, at, near, np.random.default_rng(0))
    bounded = new_run_losses(errors, at, near, np.random.default_rng(0))
    assert free.max() > 1 > free.min()
    np.testing.assert_array_equal(bounded, np.minimum(free, 1.0))
