"""Partial pooling: the density, what the prior says of one group, recovery, real corpora, requests."""

import json

import jax
import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import DesignError, InputError, Runs, fit_pooled, load, load_pooled, predict
from bayescale.cli.main import app
from bayescale.drift import DampedTrend
from bayescale.inference.nuts import Sampler
from bayescale.inference.pooled import draw_pooled
from bayescale.laws import Chinchilla, Power
from bayescale.model import data_of, model_spec, reference_of
from bayescale.noise import Gaussian, StudentT
from bayescale.plots import plot_groups, save_plot
from bayescale.population import (
    GroupData,
    PooledData,
    PooledSpec,
    along_splines,
    at,
    quantile_splines,
    tau_name,
)
from bayescale.priors import Beta, LogNormal
from conftest import monte_carlo

SIZES = {"web": 14, "code": 8, "books": 1}


def corpora(sizes=SIZES, seed=0, sigma=0.006):
    """Runs of a power law in C of each corpus, whose coordinates differ among them."""
    generator = np.random.default_rng(seed)
    columns = {"C": [], "loss": [], "corpus": []}
    for name, count in sizes.items():
        C = np.geomspace(1e17, 1e21, count) if count > 1 else np.array([1e19])
        alpha, level = 0.12 * np.exp(0.1 * generator.standard_normal()), generator.normal(1.0, 0.04)
        loss = level * (1.6 + 1.4 * (C / 1e19) ** -alpha)
        columns["C"] += C.tolist()
        columns["loss"] += (loss * np.exp(sigma * generator.standard_normal(count))).tolist()
        columns["corpus"] += [name] * count
    return columns


@pytest.fixture(scope="module")
def pooled():
    return fit_pooled(corpora(), "corpus", "power", "gaussian", seed=1)


def stacked(model, parts, spread=(2.0, 3.0)):
    """Data of groups under the reference of the first, with what shapes the space made up."""
    inputs = model.law.inputs
    reference = reference_of(parts[0], inputs)
    data = [data_of(p, inputs, model.drift, reference=reference, size=16) for p in parts]
    splines = quantile_splines([c.prior for c in model.beliefs], reference)
    groups = GroupData(
        jax.tree.map(lambda *a: np.stack(a), *data), np.repeat(splines[None], len(parts), axis=0)
    )
    size, generator = len(model.coordinates), np.random.default_rng(5)
    roots = generator.standard_normal((len(parts), size, size))
    information = generator.standard_normal((len(parts), size))
    return PooledData.of(groups, roots @ roots.transpose(0, 2, 1), information, spread)


def chinchilla_runs(count, seed):
    generator = np.random.default_rng(seed)
    N = 10 ** generator.uniform(7.5, 9.5, count)
    D = N * 10 ** generator.uniform(0.4, 2.3, count)
    loss = 1.8 + 480 * N**-0.35 + 2000 * D**-0.365
    scatter = np.exp(0.006 * generator.standard_normal(count))
    return Runs.read({"params": N, "tokens": D, "loss": loss * scatter})


def test_the_density_is_that_of_its_definition():
    """Against NumPy and SciPy alone, up to a constant, and its gradient by differences."""
    drift = DampedTrend()
    assert drift.scale == 0.04  # the twin below has the numbers of the default
    model = model_spec(Chinchilla, StudentT, None, drift)
    parts = [chinchilla_runs(9, 1), chinchilla_runs(3, 2)]
    data, spec = stacked(model, parts), PooledSpec(model, 2)
    reference = reference_of(parts[0], ("N", "D"))
    a, b = (np.log([0.05, 1.2]) - np.log(0.30)) / 0.40, (np.log([0.05, 1.2]) - np.log(0.36)) / 0.50
    quantiles = [
        lambda p: stats.lognorm.ppf(p, 0.15, scale=reference["low_loss"]),
        lambda p: stats.beta.ppf(p, 4, 1.7),
        lambda p: stats.lognorm.ppf(p, 0.9, scale=15.0),
        lambda p: 0.30 * np.exp(0.40 * stats.truncnorm.ppf(p, *a)),
        lambda p: 0.36 * np.exp(0.50 * stats.truncnorm.ppf(p, *b)),
        lambda p: stats.lognorm.ppf(p, 0.8, scale=0.006),
        lambda p: 2 + stats.gamma.ppf(p, 2, scale=10.0),
    ]

    def twin(u):
        k, p = 7, 13
        m, tau = u[:k], 1 / (1 + np.exp(-u[k : 2 * k]))
        own = np.linalg.inv(data.precision + np.eye(p))
        centre, total = np.zeros(k), 0.0
        for i in range(k):
            covariance = own[:, i, i]
            seen, w = 1 / covariance - 1, (own @ data.information[:, :, None])[:, i, 0] / covariance
            known = 1 / (1 - tau[i] ** 2) + np.sum(1 / (tau[i] ** 2 + 1 / seen))
            there = np.sum(w / seen / (tau[i] ** 2 + 1 / seen)) / known
            centre[i] = there + m[i] / np.sqrt(known)
            total += stats.norm.logpdf(centre[i], 0, np.sqrt(1 - tau[i] ** 2)) - np.log(known) / 2
        total += (stats.beta.logpdf(tau, 2, 3) + np.log(tau * (1 - tau))).sum()
        mean = centre
        for g, runs in enumerate(parts):
            e = u[2 * k + g * p : 2 * k + (g + 1) * p]
            own = np.diag(np.concatenate([tau**-2.0, np.ones(6)]))
            P = data.precision[g] + own
            root = np.linalg.cholesky(P)
            known = data.information[g] + own @ np.concatenate([mean, np.zeros(6)])
            x = np.linalg.solve(P, known) + np.linalg.solve(root.T, e)
            total -= np.linalg.slogdet(root)[1]
            total += stats.norm.logpdf(x[:k], mean, tau).sum()
            kinds = (0.55, 1.0), (0.2, 0.4), (0.25, 0.15)
            drifts = [(q, stats.multivariate_t(np.zeros(6), r**2 * np.eye(6), 4)) for q, r in kinds]
            total += np.log(sum(q * one.pdf(x[k:]) for q, one in drifts))
            L, share, M, alpha, beta, sigma, nu = (
                q(stats.norm.cdf(w)) for q, w in zip(quantiles, x[:k], strict=True)
            )
            product = reference["N"] * reference["D"]
            n, d = np.sqrt(product / M), np.sqrt(product * M)
            rest, split = L * (1 - share), beta / (alpha + beta)
            law = L * share + split * rest * (runs.N / n) ** -alpha
            law += (1 - split) * rest * (runs.D / d) ** -beta
            compute = np.log10(runs.N * runs.D)
            below, step = compute.max() - compute, np.ptp(compute) / 5
            away = np.maximum(below[:, None] - step * np.arange(0.5, 5), 0)
            shift = 0.04 * np.sqrt(step) * (1 - np.exp(-away)) @ x[k + 1 :]
            shift -= 0.04 * np.sqrt(0.5) * (1 - np.exp(-below)) * x[k]
            residual = np.log(runs.loss) - np.log(law) - shift
            total += stats.t.logpdf(residual, nu, scale=sigma).sum()
        return total

    generator = np.random.default_rng(0)
    points = 0.4 * generator.standard_normal((6, len(spec.coordinates)))
    with jax.enable_x64(True):
        function = jax.jit(jax.value_and_grad(spec.log_density))
        found = [jax.tree.map(np.asarray, function(u, data)) for u in points]
    values = np.array([value for value, _ in found])
    expected = np.array([twin(u) for u in points])
    # Differences between points have no constant; this is what the splines of quantiles are good to.
    np.testing.assert_allclose(np.diff(values), np.diff(expected), rtol=1e-5, atol=1e-3)
    for i in (0, 7, 13, 15, 30):
        step = np.zeros_like(points[0])
        step[i] = 1e-4
        slope = (twin(points[0] + step) - twin(points[0] - step)) / 2e-4
        assert found[0][1][i] == pytest.approx(slope, rel=1e-3, abs=1e-3)


def test_splines_are_the_quantiles_of_the_priors():
    model = model_spec(Chinchilla, StudentT, {"alpha": LogNormal(0.1, 0.9, low=0.05, high=1.2)})
    reference = reference_of(chinchilla_runs(9, 1), ("N", "D"))
    splines = quantile_splines([c.prior for c in model.beliefs], reference)
    w = np.linspace(-4.9, 4.9, 57)
    with jax.enable_x64(True):
        u = jax.vmap(lambda w: along_splines(splines, w))(np.repeat(w[:, None], 7, axis=1))
    for i, c in enumerate(model.beliefs):
        exact = c.prior.to_unbounded(c.prior.quantile(stats.norm.cdf(w), reference), reference)
        off = np.abs(np.asarray(u)[:, i] - exact)
        assert off.max() < 1e-3, c.name
        assert off[np.abs(w) < 4].max() < 3e-4, c.name


def draws_of(model, parts, weight=1.0, spread=(2.0, 3.0), sampler=None):
    data = stacked(model, parts)
    runs = data.groups.runs._replace(weight=weight * data.groups.runs.weight)
    groups = data.groups._replace(runs=runs)
    with jax.enable_x64(True):
        spec = PooledSpec(model, len(parts))
        out, _ = draw_pooled(spec, sampler or Sampler(), groups, spread, 4, 0)
    return out["coordinates"]


def power_runs(count, seed=0):
    return Runs.read(corpora({"web": count}, seed)).with_x("C")


def test_a_group_without_data_has_the_prior_of_the_law():
    model = model_spec(Power, Gaussian)
    parts = [power_runs(5), power_runs(4), power_runs(3)]
    found = draws_of(model, parts, weight=0.0)
    reference = reference_of(parts[0], ("x",))
    for c in model.coordinates:
        for g in range(3):
            below = found[at(c.name, g)] < c.prior.quantile(0.25, reference)
            mean, error, *_ = monte_carlo(below.astype(float))
            assert abs(mean - 0.25) < 4 * error, c.name
        mean, error, *_ = monte_carlo((found[tau_name(c.name)] < 0.5).astype(float))
        assert abs(mean - stats.beta.cdf(0.5, 2, 3)) < 4 * error


def test_far_apart_the_groups_are_as_if_alone(pooled):
    """With tau at 1, each group is fitted with the law's own prior and nothing from the others."""
    alone = fit_pooled(
        corpora(), "corpus", "power", "gaussian", spread=Beta(1e6, 1.0), drift="none", seed=2
    )
    assert np.median(alone.tau["alpha"]) > 0.999
    runs = alone["code"].runs
    level = alone["code"].spec.priors  # as wide as the levels of the groups differ
    # Another reference is another prior; so the one fit's is made equal by its priors.
    reference = alone["code"].reference
    prior = LogNormal(reference["low_loss"], dict(level)["L_ref"].sd_log)
    single = bayescale.fit(
        Runs.read({"C": [*runs.C, 1.0], "loss": [*runs.loss, 1.0]}).take(slice(0, 8)),
        "power", "gaussian", priors={"L_ref": prior}, drift="none",
    )  # fmt: skip
    shift = single.reference["x"] / reference["x"]
    assert shift == pytest.approx(1.0, rel=0.2)  # both are centred near 1e19
    for name in ("E", "alpha", "sigma"):
        one, two = monte_carlo(single.parameters[name]), monte_carlo(alone["code"].parameters[name])
        assert abs(one[0] - two[0]) < 5 * np.hypot(one[1], two[1]) + 0.02 * one[2], name
        assert two[2] == pytest.approx(one[2], rel=0.15), name
    narrower = np.ptp(np.quantile(pooled["code"].law.alpha, [0.05, 0.95]))
    assert narrower < 0.9 * np.ptp(np.quantile(alone["code"].law.alpha, [0.05, 0.95]))


def test_a_group_of_one_run_is_mostly_the_population(pooled):
    assert pooled.diagnostics.divergences <= 4
    (one,) = pooled.verdicts
    assert (one.code, one.severity) == ("mostly-population", "warn")
    assert "books (1 run: few-points, constant-x) would not be fitted alone" in one.sentence
    wide = {name: np.std(np.log(pooled[name].law.alpha)) for name in (*SIZES, "new")}
    assert wide["web"] < wide["code"] < wide["books"] < 1.1 * wide["new"]
    # Its level is known from its run, that of a new group is not.
    point = {"x": 1e19}
    width = {n: predict(pooled[n], points=point).intervals[0] for n in ("books", "new")}
    assert width["books"].upper - width["books"].lower < width["new"].upper - width["new"].lower


def test_the_new_group_is_a_draw_from_the_population(pooled):
    for c in pooled.new_group.spec.beliefs:
        scale = np.log if np.all(pooled.typical[c.name] > 0) else np.asarray
        centre, new = scale(pooled.typical[c.name]), scale(pooled.new_group.coordinates[c.name])
        _, error, *_ = monte_carlo(new - centre)
        assert new.std() > centre.std()
        assert abs(np.median(new - centre)) < 4 * error + 0.02 * new.std(), c.name


def test_forecasts_are_pooled_too_and_drift_beyond_the_groups_own_runs(pooled):
    (model,) = pooled["web"].forecasters
    assert model.spec.drift == DampedTrend()
    assert model.runs is pooled["web"].runs
    assert pooled["code"].forecasters[0].stats["energy"] is model.stats["energy"]  # sampled once
    assert pooled.new_group.forecasters[0].runs is pooled.new_group.runs
    assert model.diagnostics.verdict != "failed"
    far = {"x": [1e19, 1e23]}
    with_drift = predict(pooled["web"], points=far)
    assert "damped-trend drift" in with_drift.model
    without = fit_pooled(corpora(), "corpus", "power", "gaussian", drift="none", seed=1)
    assert without["web"].forecasters == (without["web"],)
    np.testing.assert_array_equal(without["web"].law.alpha, pooled["web"].law.alpha)
    widths = [p.intervals[1].upper - p.intervals[1].lower
              for p in (with_drift, predict(without["web"], points=far))]  # fmt: skip
    assert widths[0] > 1.2 * widths[1]


def test_saved_and_read_again(pooled, tmp_path):
    path = pooled.save(tmp_path / "pooled.nc")
    again = load_pooled(path)
    assert list(again.groups) == list(SIZES)
    assert repr(again) == repr(pooled)
    for name in (*SIZES, "new"):
        one = load(path, group=name)
        for mine, its in ((one, pooled[name]), (again[name], pooled[name])):
            np.testing.assert_array_equal(mine.law.alpha, its.law.alpha)
            np.testing.assert_array_equal(mine.stats["energy"], its.stats["energy"])
            expected = predict(its, points={"x": [1e20, 1e22]}).draws
            np.testing.assert_array_equal(predict(mine, points={"x": [1e20, 1e22]}).draws, expected)
    with pytest.raises(InputError, match=r"pooled fit.*'web', 'code', 'books', 'new'"):
        load(path)
    with pytest.raises(InputError, match=r"no group 'webs'; did you mean 'web'"):
        load(path, group="webs")
    single = pooled["code"].save(tmp_path / "code.nc")
    np.testing.assert_array_equal(load(single).law.E, pooled["code"].law.E)
    with pytest.raises(InputError, match="not a pooled one"):
        load_pooled(single)
    with pytest.raises(InputError, match="has no group 'web'"):
        load(single, group="web")


def test_what_it_says(pooled):
    said = pooled.to_json(0.8)
    assert set(said["groups"]) == {*SIZES, "new"}
    assert said["groups"]["books"]["n_runs"] == 1
    assert set(said["population"]) == {"L_ref", "share_E", "alpha", "sigma"}
    frame = pooled.to_frame()
    assert len(frame) == 4 * 4
    text = repr(pooled)
    assert "partially pooled over 3 groups by corpus, 23 runs" in text
    assert "a new group" in text
    json.dumps(said)
    with pytest.raises(InputError, match=r"no group 'webb'; did you mean 'web'"):
        pooled["webb"]
    with pytest.raises(InputError, match="unpooled=True"):
        pooled.shrinkage()
    assert len(pooled) == 3


def test_the_figure(pooled, tmp_path):
    from matplotlib import pyplot

    axes = plot_groups(pooled, ["alpha", "E"])
    shown = np.concatenate([c.get_offsets() for c in axes[0].collections[1::2]])
    medians = [np.median(pooled[name].law.alpha) for name in (*SIZES, "new")]
    np.testing.assert_allclose(shown[:, 0], medians)
    assert [t.get_text() for t in axes[0].get_yticklabels()] == [*SIZES, "a new group"]
    with pytest.raises(InputError, match="no parameter 'gamma'"):
        plot_groups(pooled, ["gamma"])
    assert {p.name for p in save_plot(pooled, tmp_path)} == {"groups.png", "groups.pdf"}
    pyplot.close("all")


def refused(table, by="corpus", error=InputError, **options):
    with pytest.raises(error) as caught:
        fit_pooled(table, by, "power", "gaussian", **options)
    return str(caught.value)


def test_bad_requests():
    table = corpora()
    assert "no column 'corpora'; did you mean 'corpus'?" in refused(table, "corpora")
    assert "there is one group, 'web'" in refused(corpora({"web": 8}))
    each = {**table, "corpus": [f"c{i}" for i in range(23)]}
    assert "each of the 23 groups has one run" in refused(each)
    some = {**table, "corpus": ["", None, *table["corpus"][2:]]}
    assert "2 runs have no label: rows 0, 1" in refused(some)
    new = {**table, "corpus": ["new", *table["corpus"][1:]]}
    assert "a group has the name 'new'" in refused(new)
    bad = {**table, "loss": [*table["loss"][:-1], -1.0]}
    assert "-1" in refused(bad)
    same = {**table, "C": [1e19] * 23}
    assert "--allow constant-x" in refused(same, error=DesignError)
    twice = {name: [*cells, cells[0]] for name, cells in table.items()}
    assert "duplicate row" in refused(twice, error=DesignError)
    assert "group 'web'" in refused(twice, error=DesignError)
    assert "tau lies between 0 and 1" in refused(table, spread=LogNormal(1.0, 0.5))
    assert "no column is named" in refused(table, [])


def test_runs_with_labels_go_by_the_name_of_their_column():
    runs = Runs.read(corpora({"web": 8}))
    assert "there is one group, 'web'" in refused(runs, "corpus")
    assert "there is no column 'recipe'" in refused(runs, "recipe")


def test_the_command(tmp_path):
    import pandas

    path, fit = tmp_path / "runs.csv", tmp_path / "pooled.nc"
    pandas.DataFrame(corpora()).to_csv(path, index=False)
    invoke = CliRunner().invoke
    options = ["fit", str(path), "--law", "power", "--noise", "gaussian", "--by", "corpus"]
    without = ["--drift", "none"]
    done = invoke(app, [*options, "--pool", *without, "--json", "-o", str(fit),
                        "--plots", str(tmp_path / "figures")])  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["by"] == ["corpus"]
    assert said["path"] == str(fit)
    assert (tmp_path / "figures" / "groups.png").stat().st_size > 0
    widths = {}
    for group in ("web", "new"):
        done = invoke(app, ["predict", str(fit), "--x", "1e22", "--group", group, "--json"])
        assert done.exit_code == 0, done.output
        (point,) = json.loads(done.stdout)["points"]
        widths[group] = point["upper"] - point["lower"]
    assert widths["web"] < widths["new"]
    assert invoke(app, [*options, "--pool", *without, "--strict", "-q"]).exit_code == 3
    for arguments, message in (
        (options, "it is for pooled fits"),
        ([*options[:-2], "--pool"], "no column tells the groups apart"),
        ([*options[:-2], "--unpooled"], "it goes with --pool"),
        (["predict", str(fit), "--x", "1e22"], "Choose one with --group"),
        (["simulate", "--group", "web", "--law", "power", "--values", "E=1", "--x", "1"],
         "it is of a pooled fit"),
    ):  # fmt: skip
        assert message in str(invoke(app, arguments).exception)


def chinchilla_population(seed, sizes, spread=0.35):
    """Groups whose laws are drawn from a population: coordinates, and runs with Gaussian scatter."""
    generator = np.random.default_rng(seed)
    priors = {"share_E": Beta(4, 1.7), "M_opt": LogNormal(15.0, 0.9), "L_opt": LogNormal(2.9, 0.15),
              "alpha": LogNormal(0.30, 0.40, low=0.05, high=1.2),
              "beta": LogNormal(0.36, 0.50, low=0.05, high=1.2)}  # fmt: skip
    reference = {"N": 10**8.5, "D": 10**9.85}
    tau = dict.fromkeys(priors, spread)
    m = {name: 0.7 * generator.standard_normal() for name in priors}
    columns = {"N": [], "D": [], "loss": [], "corpus": []}
    truth = {}
    for group, count in sizes.items():
        w = {n: np.sqrt(1 - tau[n] ** 2) * m[n] + tau[n] * generator.standard_normal() for n in m}
        values = {n: float(priors[n].quantile(stats.norm.cdf(w[n]), {})) for n in w}
        law = Chinchilla.from_coordinates(values, reference)
        total = count + 12
        N = 10 ** generator.uniform(7.5, 9.5, total)
        D = N * 10 ** generator.uniform(0.4, 2.3, total)
        order = np.argsort(N * D)
        N, D = N[order], D[order]
        mean = np.asarray(law.loss({"N": N, "D": D}), float)
        loss = mean * np.exp(0.006 * generator.standard_normal(total))
        truth[group] = (law, {"N": N[count:], "D": D[count:]}, loss[count:])
        columns["N"] += N[:count].tolist()
        columns["D"] += D[:count].tolist()
        columns["loss"] += loss[:count].tolist()
        columns["corpus"] += [group] * count
    return columns, truth


@pytest.mark.nightly
def test_groups_of_six_runs_are_narrower_and_covered():
    """30 populations of four corpora, one of them with its 6 cheapest runs, forecast beyond them."""
    sizes = {"a": 30, "b": 24, "c": 16, "few": 6}
    inside = {"pooled": [], "alone": [], "new": []}
    width = {"pooled": [], "alone": [], "new": []}
    parameters, tau = [], []
    for seed in range(30):
        with jax.enable_x64(True):
            table, truth = chinchilla_population(seed, sizes)
        pooled = fit_pooled(table, "corpus", "chinchilla", "gaussian", drift="none",
                            allow=list(CHECKS_OF_FEW), seed=seed)  # fmt: skip
        few = pooled["few"]
        alone = bayescale.fit(few.runs, noise="gaussian", drift="none",
                              allow=list(CHECKS_OF_FEW), seed=seed)  # fmt: skip
        _, points, loss = truth["few"]
        for name, fit in (("pooled", few), ("alone", alone), ("new", pooled.new_group)):
            forecast = predict(fit, points=points, allow_failed=True)
            ends = np.array([[i.lower, i.upper] for i in forecast.intervals])
            inside[name].append(np.mean((ends[:, 0] <= loss) & (loss <= ends[:, 1])))
            width[name].append(np.mean(np.log(ends[:, 1] / ends[:, 0])))
        assert pooled.diagnostics.ess_bulk_min > 100
        for group in sizes:
            for name in ("E", "alpha", "beta"):
                low, high = np.quantile(getattr(pooled[group].law, name), [0.05, 0.95])
                parameters.append(low <= float(getattr(truth[group][0], name)) <= high)
        tau.append(np.mean([pooled.tau[name] < 0.35 for name in ("alpha", "M_opt", "L_opt")]))
    print({n: (np.mean(inside[n]), np.exp(np.mean(np.log(width[n])))) for n in inside},
          np.mean(parameters), np.mean(tau))  # fmt: skip
    # Forecasts of one group share its law: 30 means of 12, with a spread of their own.
    error = np.std(inside["pooled"]) / np.sqrt(30)
    assert abs(np.mean(inside["pooled"]) - 0.9) < 3 * error + 0.02
    assert np.mean(np.log(width["pooled"])) < np.mean(np.log(width["alone"])) - 0.15
    assert np.mean(np.log(width["pooled"])) < np.mean(np.log(width["new"]))
    # 360 intervals, of 120 groups: as many errors as 120 independent ones would have.
    assert abs(np.mean(parameters) - 0.9) < 3 * np.sqrt(0.9 * 0.1 / 120)


CHECKS_OF_FEW = ("few-points", "constant-N", "constant-D", "collinear")


@pytest.mark.nightly
def test_twenty_groups_with_little_data_do_not_diverge():
    sizes = {f"g{i}": count for i, count in enumerate([40, 25, 12] + [1, 2, 3, 4, 5, 6] * 3)}
    with jax.enable_x64(True):
        table, _ = chinchilla_population(3, sizes)
    pooled = fit_pooled(table, "corpus", drift="none", seed=0)
    print(pooled.diagnostics, pooled.new_group.provenance)
    assert len(pooled) == 21
    assert pooled.diagnostics.divergences == 0
    assert pooled.diagnostics.rhat_max < 1.02


@pytest.mark.nightly
@pytest.mark.parametrize("drift", ["none", "forecasts"])
def test_real_corpora(public_data, drift):
    """All but six of the cheaper runs of one corpus are left out and forecast."""
    import pandas

    table = pandas.read_csv(public_data / "overtraining.csv")
    table = table[["params", "tokens", "loss", "loss_se", "dataset"]]
    scores = {"pooled": [], "alone": []}
    for corpus in ("c4_original", "rpj", "rw_original"):
        mine = table[table.dataset == corpus]
        mine = mine.iloc[np.argsort((mine.params * mine.tokens).to_numpy(), kind="stable")]
        half = len(mine) // 2
        kept = mine.iloc[np.random.default_rng(0).choice(half, 6, replace=False)]
        held = mine.drop(kept.index)
        few = pandas.concat([table[table.dataset != corpus], kept])
        pooled = fit_pooled(few, "dataset", drift=drift)
        alone = bayescale.fit(kept.drop(columns="dataset"), drift=drift, allow=CHECKS_OF_FEW)
        points = {"N": held.params.to_numpy(), "D": held.tokens.to_numpy()}
        observed = np.log(held.loss.to_numpy())
        assert np.isfinite(predict(pooled.new_group, points=points).draws).all()
        for name, fit in (("pooled", pooled[corpus]), ("alone", alone)):
            forecast = predict(fit, points=points)
            low, high = np.log([[i.lower, i.upper] for i in forecast.intervals]).T
            outside = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
            covered = np.mean(outside == 0)
            score = np.mean(high - low + 20 * outside)
            print(corpus, drift, name, f"{covered:.2f} {np.mean(high - low):.3f} {score:.3f}")
            scores[name].append((covered, score))
    assert np.mean([c for c, _ in scores["pooled"]]) >= 0.8
    ratio = np.mean(np.log([a[1] / b[1] for a, b in zip(*scores.values(), strict=True)]))
    assert ratio < -0.1
