"""Verdicts: pathological posteriors each get their code, severity and overall verdict."""

import json
from dataclasses import replace

import arviz
import numpy as np
import pytest

from bayescale import FailedFitError, Runs, predict
from bayescale.convergence import TAIL
from bayescale.diagnostics import convergence
from conftest import simulate, synthetic_posterior

SHAPE = (4, 250)
NOISE = np.random.default_rng(11).standard_normal(SHAPE)


def first(count):
    """True at the first `count` of all draws."""
    return np.arange(NOISE.size).reshape(SHAPE) < count


def changed(posterior, **changes):
    """The posterior with draws of some coordinates changed by functions of them."""
    draws = {name: change(posterior.coordinates[name].copy()) for name, change in changes.items()}
    return replace(posterior, coordinates={**posterior.coordinates, **draws})


def with_stats(posterior, **stats):
    return replace(posterior, stats={**posterior.stats, **stats})


def cut(posterior, chains=4, draws=250):
    """The first chains and draws only."""
    coordinates, stats = (
        {name: values[:chains, :draws] for name, values in group.items()}
        for group in (posterior.coordinates, posterior.stats)
    )
    return replace(posterior, coordinates=coordinates, stats=stats)


def freeze(draws):
    draws[2] = draws[2, 0] * 1.03
    return draws


def freeze_all(draws):
    return np.broadcast_to(draws[:, :1], draws.shape)


def constant(draws):
    return np.full_like(draws, draws[0, 0])


def stick(draws):
    draws[0] *= 1.5
    return draws


def split(draws):
    draws[:2] *= 1.5
    return draws


def drift(draws):
    draws[0] += 0.35 * draws.std()
    return draws


def one_nan(draws):
    draws[3, 100] = np.nan
    return draws


def all_nan(draws):
    return np.full_like(draws, np.nan)


def walk(draws):
    """A random walk in each chain, pulled back to the centre."""
    steps = np.random.default_rng(2).standard_normal(draws.shape)
    walked = np.zeros(draws.shape)
    for i in range(1, draws.shape[1]):
        walked[:, i] = 0.9 * walked[:, i - 1] + steps[:, i]
    return draws.mean() * np.exp(0.01 * walked)


def prior_of(posterior, name):
    """Draws of a coordinate from its prior."""
    prior = next(c.prior for c in posterior.spec.coordinates if c.name == name)
    mass = np.random.default_rng(3).uniform(size=SHAPE)
    return changed(posterior, **{name: lambda _: prior.quantile(mass, posterior.reference)})


def near_zero(draws):
    return np.random.default_rng(4).beta(1.0, 30.0, size=draws.shape)


def energy(share):
    """Energies of which a share of the variance is a slow walk."""
    slow = np.cumsum(NOISE, axis=1)
    slow /= slow.std(axis=1, keepdims=True)
    return np.sqrt(share) * slow + np.sqrt(1 - share) * NOISE[::-1]


def with_energy(posterior, index, value):
    values = posterior.stats["energy"].copy()
    values[index] = value
    return with_stats(posterior, energy=values)


def on(**columns):
    """A posterior for runs with some columns changed by functions of N."""
    table = simulate(n=30)
    N = np.asarray(table["params"])
    return synthetic_posterior(Runs.read(table | {k: f(N) for k, f in columns.items()}))


def funnel(posterior):
    """Divergences at the neck, slow energies, a chain that does not leave it."""
    return with_stats(changed(posterior, sigma=stick), diverging=first(100), energy=energy(0.95))


PATHOLOGICAL = {  # case -> the posterior, its verdict, and code to severity of every finding
    "all divergent": (
        lambda p: with_stats(p, diverging=first(1000)),
        "failed",
        {"divergences": "failed"},
    ),
    "one divergence": (
        lambda p: with_stats(p, diverging=first(1)),
        "warn",
        {"divergences": "warn"},
    ),
    "1% divergent": (
        lambda p: with_stats(p, diverging=first(10)),
        "warn",
        {"divergences": "warn"},
    ),
    "above 1% divergent": (
        lambda p: with_stats(p, diverging=first(11)),
        "failed",
        {"divergences": "failed"},
    ),
    "frozen chain": (
        lambda p: changed(p, alpha=freeze),
        "failed",
        {"rhat": "failed"},
    ),
    "every chain frozen at its own place": (
        lambda p: changed(p, **dict.fromkeys(p.coordinates, freeze_all)),
        "failed",
        {"rhat": "failed", "ess-bulk": "failed", "ess-tail": "failed"},
    ),
    "one chain elsewhere": (
        lambda p: changed(p, M_opt=stick),
        "failed",
        {"rhat": "failed", "ess-bulk": "failed", "ess-tail": "warn"},
    ),
    "two modes": (
        lambda p: changed(p, M_opt=split),
        "failed",
        {"rhat": "failed", "ess-bulk": "failed", "ess-tail": "warn"},
    ),
    "chains a little apart": (
        lambda p: changed(p, alpha=drift),
        "warn",
        {"rhat": "warn"},
    ),
    "slow mixing": (
        lambda p: changed(p, alpha=walk),
        "failed",
        {"rhat": "failed", "ess-bulk": "warn", "ess-tail": "warn"},
    ),
    "one NaN": (
        lambda p: changed(p, share_E=one_nan),
        "failed",
        dict.fromkeys(["not-finite", "rhat", "ess-bulk", "ess-tail"], "failed"),
    ),
    "all NaN": (
        lambda p: changed(p, **dict.fromkeys(p.coordinates, all_nan)),
        "failed",
        dict.fromkeys(["not-finite", "rhat", "ess-bulk", "ess-tail"], "failed"),
    ),
    "infinite energy": (
        lambda p: with_energy(p, (1, 7), np.inf),
        "failed",
        {"not-finite": "failed", "energy": "failed"},
    ),
    "NaN energy": (
        lambda p: with_energy(p, (1, 7), np.nan),
        "failed",
        {"not-finite": "failed", "energy": "failed"},
    ),
    "constant energy": (
        lambda p: with_stats(p, energy=np.zeros(SHAPE)),
        "failed",
        {"energy": "failed"},
    ),
    "single chain": (lambda p: cut(p, chains=1), "failed", {"rhat": "failed"}),
    "few draws": (
        lambda p: cut(p, draws=20),
        "warn",
        {"rhat": "warn", "ess-bulk": "warn", "ess-tail": "warn"},
    ),
    "constant draws": (lambda p: changed(p, beta=constant), "failed", {"rhat": "failed"}),
    "everything constant": (
        lambda p: changed(p, **dict.fromkeys(p.coordinates, constant)),
        "failed",
        {"rhat": "failed"},
    ),
    "low energy": (lambda p: with_stats(p, energy=energy(0.95)), "failed", {"energy": "failed"}),
    "energy near the limit": (
        lambda p: with_stats(p, energy=energy(0.88)),
        "warn",
        {"energy": "warn"},
    ),
    "saturated trees": (
        lambda p: with_stats(p, reached_max_treedepth=first(13)),
        "warn",
        {"tree-depth": "warn"},
    ),
    "funnel": (
        funnel,
        "failed",
        dict.fromkeys(["divergences", "rhat", "ess-bulk", "energy"], "failed")
        | {"ess-tail": "warn"},
    ),
    "the prior": (lambda p: prior_of(p, "M_opt"), "warn", {"prior-dominated": "warn"}),
    "the prior of nu": (lambda p: prior_of(p, "nu"), "ok", {"prior-dominated": "note"}),
    "E at 0": (lambda p: changed(p, share_E=near_zero), "warn", {"E-at-boundary": "warn"}),
    "few scales": (
        lambda p: on(params=lambda N: np.where(N < 1e8, 1e8, 1.5e8)),
        "warn",
        {"few-scales": "warn"},
    ),
    "constant D": (
        lambda p: on(tokens=lambda N: np.full_like(N, 1e10)),
        "warn",
        {"few-scales": "warn"},
    ),
    "collinear": (
        lambda p: on(tokens=lambda N: 20 * N**1.1),
        "warn",
        {"collinear-design": "warn"},
    ),
}

every_case = pytest.mark.parametrize("case", PATHOLOGICAL)


@pytest.fixture(scope="module")
def healthy(runs):
    return synthetic_posterior(runs)


@every_case
def test_pathological_posteriors(case, healthy):
    make, verdict, findings = PATHOLOGICAL[case]
    d = make(healthy).diagnostics
    assert {v.code: v.severity for v in d.verdicts} == findings
    assert d.verdict == verdict
    severities = [("failed", "warn", "note").index(v.severity) for v in d.verdicts]
    assert severities == sorted(severities), "worst first"
    assert d.codes == [v.code for v in d.verdicts if v.severity != "note"]


@every_case
def test_findings_are_data_and_sentences(case, healthy):
    d = PATHOLOGICAL[case][0](healthy).diagnostics
    data = json.loads(json.dumps(d.to_json()))
    assert data["codes"] == d.codes
    assert data["verdict"] == d.verdict
    assert [v["sentence"] for v in data["verdicts"]] == [v.sentence for v in d.verdicts]
    head, *lines = str(d).splitlines()
    assert head.startswith(f"sampling {d.verdict}: R-hat at most ")
    assert head.endswith(f"{d.divergences} divergences")
    for line, v in zip(lines, d.verdicts, strict=True):
        assert line == f"  {v.severity}: {v.code}: {v.sentence} {v.advice}"
        assert v.sentence.endswith(".")
        assert v.advice.endswith(".")


@pytest.mark.parametrize("case", [c for c, (_, v, _) in PATHOLOGICAL.items() if v == "failed"])
def test_no_failed_posterior_answers(case, healthy):
    with pytest.raises(FailedFitError, match="the sampling of this fit failed"):
        predict(PATHOLOGICAL[case][0](healthy), N=1e9, D=1e10)


def test_healthy_posteriors(healthy, fit):
    assert healthy.diagnostics.verdict == "ok"
    assert healthy.diagnostics.verdicts == ()
    assert healthy.diagnostics.codes == []
    assert str(healthy.diagnostics).count("\n") == 0
    d = fit.diagnostics
    assert d.verdict == "ok"
    assert d.codes == []
    assert d.rhat_max < 1.01
    assert min(d.ess_bulk_min, d.ess_tail_min) > 400
    assert d.divergences == 0
    assert d.steps_mean == pytest.approx(fit.stats["num_steps"].mean())


def test_counts_are_in_the_sentences(healthy):
    d = with_stats(healthy, diverging=first(11)).diagnostics
    assert d.divergences == d.to_json()["divergences"] == 11
    assert "11 of 1000 transitions diverged" in str(d)
    saturated = with_stats(healthy, reached_max_treedepth=first(50)).diagnostics
    assert "20% of a chain's trees stopped" in str(saturated)
    collinear = on(tokens=lambda N: 20 * N).diagnostics
    assert "log N and log D have correlation 1.000" in str(collinear)
    (few,) = on(tokens=lambda N: np.full_like(N, 1e10)).diagnostics.verdicts
    assert few.sentence.startswith("D has 1 distinct values over 0.00 decades")


@pytest.mark.parametrize("slope", [1.0, -0.8])
@pytest.mark.parametrize(("spread", "codes"), [(0.5, []), (0.28, ["collinear-design"])])
def test_the_correlation_that_counts_as_collinear(slope, spread, codes):
    """D follows N up to a factor: correlations are about 0.93 and 0.98, the limit is 0.97."""
    scatter = spread * np.random.default_rng(6).standard_normal(30)
    posterior = on(tokens=lambda N: 1e10 * (N / 3e8) ** slope * np.exp(scatter))
    correlation = abs(np.corrcoef(np.log(posterior.runs.N), np.log(posterior.runs.D))[0, 1])
    assert 0.9 < correlation < 0.999
    assert (correlation > 0.97) == bool(codes)
    assert posterior.diagnostics.codes == codes


def test_informed_at_large_values_is_not_the_prior(healthy):
    """D/N of 200 within 20% is wider than the whole prior about 15, and still a finding."""
    draws = 200 * np.exp(0.2 * NOISE)
    prior = next(c.prior for c in healthy.spec.coordinates if c.name == "M_opt")
    widths = np.ptp(np.quantile(draws, [0.05, 0.95])), np.ptp(prior.quantile([0.05, 0.95], {}))
    assert widths[0] > widths[1]
    assert changed(healthy, M_opt=lambda _: draws).diagnostics.codes == []


def test_a_saturated_share_is_of_one_chain(healthy):
    """12 of 250 draws of a chain are below 5%, wherever the others are."""
    assert with_stats(healthy, reached_max_treedepth=first(12)).diagnostics.verdict == "ok"


def test_what_does_not_exist_is_said_so(healthy):
    d = cut(healthy, chains=1).diagnostics
    assert np.isnan(d.rhat_max)
    assert "R-hat of L_opt does not exist" in str(d)
    assert "two chains or more" in str(d)
    nan = changed(healthy, alpha=one_nan).diagnostics
    assert np.isnan([nan.rhat_max, nan.ess_bulk_min, nan.ess_tail_min]).all()
    assert "R-hat of alpha does not exist" in str(nan)


@pytest.mark.parametrize("case", ["healthy", "one chain elsewhere", "slow mixing", "few draws"])
def test_convergence_is_arvizs(case, healthy):
    posterior = healthy if case == "healthy" else PATHOLOGICAL[case][0](healthy)
    found = convergence(posterior.coordinates)
    tree = arviz.from_dict({"posterior": dict(posterior.coordinates)})
    theirs = {
        "rhat": arviz.rhat(tree, method="rank"),
        "ess_bulk": arviz.ess(tree, method="bulk"),
        "ess_tail": arviz.ess(tree, method="tail", prob=TAIL),
    }
    for name, values in theirs.items():
        assert getattr(found, name) == pytest.approx(
            {c: float(values[c]) for c in posterior.coordinates}, rel=1e-12
        )
    assert found.rhat_max == max(found.rhat.values())
    assert found.ess_bulk_min == min(found.ess_bulk.values())
    assert found.ess_tail_min == min(found.ess_tail.values())
    assert found.chains == 4
    assert found.good == (case == "healthy")


def test_convergence_of_what_is_not_finite_is_not_good(healthy):
    for change in (one_nan, constant, all_nan):
        assert not convergence(changed(healthy, alpha=change).coordinates).good
