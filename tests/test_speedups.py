"""The gain of one recipe over another: exact gains, brute force, crossings, pairs, and what is refused."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from typer.testing import CliRunner

import bayescale
from bayescale import FailedFitError, InputError, Mixture, PublishedFit, Runs, published, speedup
from bayescale.allocation.splitting import Terms
from bayescale.cli.main import app
from bayescale.effects import Effects
from bayescale.laws import Chinchilla, KaplanC, Published, get_law
from bayescale.plots import plot_speedup
from bayescale.speedups import comparing, pairing
from bayescale.speedups.frontier import Frontier, Member, Way
from bayescale.speedups.pairing import Together
from bayescale.speedups.pairs import paired_runs
from bayescale.speedups.two_laws import FIRST, SECOND, two_laws
from conftest import TRUTH, simulate, synthetic_posterior

BUDGETS = np.array([1e19, 1e22, 1e25])
GAIN = 1.7


def point(law, **values):
    """A law without uncertainty, as if published."""
    fields = {name: np.full((1, 1), value) for name, value in values.items()}
    return PublishedFit(law(**fields), Published("known", "here", values))


def faster(values, gain):
    """The Chinchilla law that sees N and D as if each were root-gain times as large."""
    scaled = {"A": values["A"] * gain ** (-values["alpha"] / 2),
              "B": values["B"] * gain ** (-values["beta"] / 2)}  # fmt: skip
    return values | scaled


def apart(runs, seed=5, **options):
    """A synthetic posterior that was not sampled with the others: they are told by their energies."""
    energy = np.random.default_rng(seed).standard_normal((4, options.get("draws", 250)))
    return synthetic_posterior(runs, energy=energy, **options)


@pytest.fixture(scope="module")
def fits(runs):
    """Two synthetic posteriors whose draws, of different runs, come in the same order."""
    other = Runs.read(simulate(n=40, seed=8))
    return synthetic_posterior(runs), apart(other)


# --- exact gains ---


@pytest.mark.parametrize("options", [{}, {"tokens_per_parameter": 35}])
def test_effective_compute_is_the_gain(options):
    found = speedup(
        point(Chinchilla, **faster(TRUTH, GAIN)), point(Chinchilla, **TRUTH), BUDGETS, **options
    )
    np.testing.assert_allclose(found.draws, [[GAIN] * 3], rtol=1e-9)
    assert found.ahead.tolist() == [1.0] * 3
    assert found.crossing.interval is None
    assert found.crossing.a_throughout == 1.0


@pytest.mark.parametrize("kind", ["closed", "search"])
def test_every_draw_has_its_own_exact_gain(fits, kind):
    """Draws of A are those of B, faster by a factor that differs between draws."""
    law = fits[1].flat_law()
    gains = np.geomspace(0.3, 5.0, len(law.E))
    fields = {p.name: np.asarray(getattr(law, p.name)) for p in law.parameters()}
    quick = Chinchilla(**faster(fields, gains))
    ours, theirs = (
        Frontier.of([Member(one, 1.0, Way(kind), Terms())]).ordered(np.arange(0, 1000, 9))
        for one in (quick, law)
    )
    needed = ours.needed(theirs.losses(BUDGETS))
    np.testing.assert_allclose(BUDGETS / needed, gains[::9, None] * np.ones(3), rtol=1e-6)


def test_laws_of_compute_cross_where_their_equations_say():
    a, b = {"X_c": 1e27, "alpha": 0.06}, {"X_c": 3e29, "alpha": 0.045}
    A, B = point(KaplanC, **a), point(KaplanC, **b)
    where = np.exp(
        (a["alpha"] * np.log(a["X_c"]) - b["alpha"] * np.log(b["X_c"])) / (a["alpha"] - b["alpha"])
    )
    found = speedup(A, B, BUDGETS, within=(where / 1e4, where * 1e2))
    needed = a["X_c"] * (b["X_c"] / BUDGETS) ** (-b["alpha"] / a["alpha"])
    np.testing.assert_allclose(found.draws[0], BUDGETS / needed, rtol=1e-9)
    assert found.crossing.interval.median == pytest.approx(where, rel=1e-9)
    assert (found.crossing.a_after, found.crossing.several) == (1.0, 0.0)
    assert "A is ahead after it in 100%" in found.text()
    swapped = speedup(B, A, BUDGETS, within=(where / 1e4, where * 1e2))
    assert swapped.crossing.b_after == 1.0
    assert speedup(A, B, BUDGETS, within=(where * 2, where * 9)).crossing.a_throughout == 1.0


# --- brute force ---


@jax.jit
def loss_at(law, log_n, budget):
    return law.loss({"N": jnp.exp(log_n), "D": budget / 6 / jnp.exp(log_n)})


def lowest(law, budget):
    """The lowest loss of one law, by SciPy."""

    def loss(log_n):
        with jax.enable_x64(True):
            return float(loss_at(law, log_n, budget))

    middle = np.log(np.sqrt(budget / 120))
    grid = middle + np.linspace(-8, 8, 33)
    i = int(np.argmin([loss(x) for x in grid]))
    return minimize_scalar(loss, bounds=(grid[i - 1], grid[i + 1]), options={"xatol": 1e-9}).fun


@pytest.mark.parametrize(
    "name", ["coupled", pytest.param("pearce-song", marks=pytest.mark.nightly)]
)
def test_gain_and_crossing_are_those_of_brute_force(runs, fits, name):
    other = synthetic_posterior(runs, law=name)
    way = Way("closed" if name == "coupled" else "search")
    A, B = (
        Member(one.flat_law(), 1.0, how, Terms()).taken(np.arange(0, 1000, 400))
        for one, how in ((other, way), (fits[1], Way("closed")))
    )
    ours, theirs = Frontier.of([A]), Frontier.of([B])
    needed = ours.needed(theirs.losses(BUDGETS[1:2]))[:, 0]
    cross = bayescale.speedups.crossing.crossing(ours, theirs, (1e17, 1e27), 0.9)
    for i in range(3):
        mine, yours = (jax.tree.map(lambda f, i=i: f[i], m.law) for m in (A, B))
        target = lowest(yours, BUDGETS[1])
        exact = brentq(lambda x, t=target, law=mine: t - lowest(law, np.exp(x)), 35, 70, xtol=1e-9)
        assert np.log(needed[i]) == pytest.approx(exact, abs=1e-6)
        there = cross.draws[i]
        signs = [lowest(mine, C) < lowest(yours, C) for C in (1e17, 1e27)]
        if np.isfinite(there):
            assert lowest(mine, there) == pytest.approx(lowest(yours, there), rel=1e-9)
        elif not cross.several:
            assert signs[0] == signs[1]


def test_draws_of_two_fits_are_independent(fits):
    """The probability that A is ahead is that over all pairs of a draw of each."""
    found = speedup(*fits, BUDGETS)
    losses = [np.asarray(bayescale.allocate(f, BUDGETS, numeric=False).draws["loss"]) for f in fits]
    every = (losses[0][:, None] < losses[1][None]).mean(axis=(0, 1))
    # Pairs of 1,000 draws of each: at most the error of as many independent ones.
    assert (np.abs(found.ahead - every) < 4 * np.sqrt(0.25 / 1000)).all()
    together = (losses[0] < losses[1]).mean(axis=0)
    assert (np.abs(together - every) > 0.2).any()  # what index beside index would have said
    again = speedup(*fits, BUDGETS)
    np.testing.assert_array_equal(again.draws, found.draws)
    assert "draws taken as independent" in found.table().caption


def test_draws_of_groups_of_one_pooled_fit_go_together(runs, fits):
    other = synthetic_posterior(fits[1].runs)
    found = speedup(fits[0], other, BUDGETS)
    losses = [np.asarray(bayescale.allocate(f, BUDGETS).draws["loss"]) for f in (fits[0], other)]
    assert found.ahead == pytest.approx((losses[0] < losses[1]).mean(axis=0))
    assert "draws of one fit" in found.table().caption


@pytest.fixture(scope="module")
def experts():
    """A fit of a law with another input, the granularity of experts."""
    rows = simulate(n=40) | {"granularity": np.resize([1.0, 4.0, 16.0], 40)}
    return synthetic_posterior(Runs.read(rows).with_inputs(["G"]), law="granular", draws=100)


def test_one_fit_at_two_settings_has_one_set_of_draws(experts):
    found = speedup(experts, experts, [1e22], tokens_per_parameter=20, at={"G": 16}, at_b={"G": 1})
    law = experts.flat_law()
    for i in (0, 200, 399):
        v = {p.name: float(getattr(law, p.name)[i]) for p in law.parameters()}

        def loss(log_c, G, v=v):
            N = np.sqrt(np.exp(log_c) / 6 / 20)
            of_size = (v["g"] / G ** v["gamma"] + v["a"]) * N ** -v["alpha"]
            return v["c"] + of_size + v["b"] * (20 * N) ** -v["beta"]

        target = loss(np.log(1e22), 1)
        needed = brentq(lambda x, t=target, loss=loss: t - loss(x, 16), 20, 80, xtol=1e-12)
        assert found.draws[i, 0] == pytest.approx(1e22 / np.exp(needed), rel=1e-8)
    assert "draws of one fit" in found.table().caption
    same = speedup(experts, experts, [1e22], tokens_per_parameter=20, at={"G": 4})
    np.testing.assert_allclose(same.draws, 1.0, rtol=1e-9)
    assert same.ahead.tolist() == [0]
    assert same.crossing.a_throughout == same.crossing.b_throughout == same.crossing.share == 0


@pytest.mark.nightly
def test_one_fit_at_two_settings_and_the_best_split_of_each(experts):
    found = speedup(experts, experts, BUDGETS[:2], at={"G": 16}, at_b={"G": 1})
    assert "A at its best split with G = 16, B at its best split with G = 1" in str(found)
    best = bayescale.allocate(experts, BUDGETS[:2], at={"G": 1}).draws["loss"]
    back = bayescale.allocate(experts, target_loss=best[0], at={"G": 16}).draws["C"]
    np.testing.assert_allclose(found.draws[0], BUDGETS[:2] / back[0], rtol=1e-6)


# --- what is said ---


def test_a_loss_that_is_never_reached_counts_as_no_gain(fits):
    high = replace(fits[0], law=replace_field(fits[0].law, "E", lambda E: E + 0.3))
    found = speedup(high, fits[1], [1e20, 1e27])
    assert found.reached[1] < 0.5
    assert found.gain[1].median == 0.0
    assert found.draws.min() == 0.0
    (said,) = (v for v in found.verdicts if v.code == "not-reached")
    assert "C = 1e27" in said.sentence
    assert "reached" in str(found)
    assert found.crossing.b_throughout + found.crossing.b_after == pytest.approx(1.0, abs=0.02)


def replace_field(law, name, change):
    fields = {p.name: getattr(law, p.name) for p in law.parameters()}
    return type(law)(**fields | {name: change(fields[name])})


def test_defaults_are_multiples_of_the_largest_run(fits):
    found = speedup(*fits)
    largest = fits[1].runs.C.max()
    np.testing.assert_allclose(found.scale, largest * np.array([1, 10, 100, 1000]))
    np.testing.assert_allclose(found.times, [1, 10, 100, 1000])
    low = min(f.runs.C.min() for f in fits)
    assert found.crossing.within == pytest.approx((low, 1000 * largest))
    np.testing.assert_allclose(found.decades_beyond[1:] >= [1, 2, 3], True)
    c = found.crossing
    assert c.a_throughout + c.b_throughout + c.a_after + c.b_after == pytest.approx(1.0)
    assert np.isfinite(c.draws).mean() == pytest.approx(c.share)
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["scales"][0]["gain"]["median"] == found.gain[0].median
    assert found.to_frame().shape[0] == len(found) == 4
    assert "without the drift of forecasts" in str(found)
    assert "extrapolation" in [verdict.code for verdict in found.verdicts]
    assert "extrapolation" not in [v.code for v in speedup(*fits, largest).verdicts]


def test_mixtures_and_published_fits(fits, runs):
    mixture = Mixture((fits[0], synthetic_posterior(runs, law="coupled")), (0.75, 0.25))
    besiroglu = published("besiroglu-2024")
    found = speedup(mixture, besiroglu, BUDGETS)
    parts = [speedup(p, besiroglu, BUDGETS).draws for p in mixture.posteriors]
    expected = 0.75 * (parts[0] > 1).mean(axis=0) + 0.25 * (parts[1] > 1).mean(axis=0)
    np.testing.assert_allclose(found.ahead, expected, atol=0.03)
    assert "without uncertainty of B" in found.table().caption
    assert np.isnan(found.times).all()
    other_way = speedup(besiroglu, mixture, BUDGETS)
    assert len(other_way.draws) == len(found.draws)
    both = speedup(published("hoffmann-2022"), besiroglu, BUDGETS)
    assert both.is_point
    assert both.to_json()["scales"][0]["gain"]["lower"] is None


def test_laws_of_one_input_gain_in_it():
    D = np.geomspace(1e8, 1e11, 12)
    A, B = (
        apart(Runs.read({"tokens": D, "loss": f * 5 * D**-0.03}), i, law="kaplan-d")
        for i, f in enumerate((1.0, 1.1))
    )
    found = speedup(A, B)
    assert found.symbol == "D"
    np.testing.assert_allclose(found.scale[0], 1e11)
    assert "Gain in training tokens" in found.table().caption
    assert speedup(synthetic_posterior(A.runs.with_x("D"), law="power"), B).symbol == "D"


def test_the_figure(fits):
    for found in (speedup(*fits), speedup(published("hoffmann-2022"), published("besiroglu-2024"),
                                          C=[1e20, 1e25], within=(1e18, 1e25))):  # fmt: skip
        ax = plot_speedup(found)
        assert ax.get_xlim() == pytest.approx(found.crossing.within)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert ("90% interval" in labels) != found.is_point
        assert any(label.startswith("they cross") for label in labels)


# --- refusals ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": -1.0}, "C: it is -1"),
        ({"C": 1.0}, "C: 1 FLOPs train no model"),
        ({"within": (1e22, 1e20)}, "within: it is 1e22, 1e20"),
        ({"within": (1e22,)}, r"within: it is 1e22[.] Give two scales"),
        ({"at": {"experts": 2}}, "neither law has an input experts"),
        ({"at_b": {"experts": 2}}, "no other input experts"),
        ({"level": 90}, "the level is 90"),
        ({"tokens_per_parameter": 0}, "tokens_per_parameter: it is 0"),
        ({"flops_per_parameter_token": -6}, "flops_per_parameter_token: it is -6"),
    ],
)
def test_bad_requests(fits, options, message):
    with pytest.raises(InputError, match=message):
        speedup(*fits, **options)


def test_fits_that_cannot_be_compared(fits, runs):
    A, B = fits
    bits = synthetic_posterior(A.runs.in_unit("bits/token"))
    with pytest.raises(InputError, match="of A are in bits/token, and of B in nats/token"):
        speedup(bits, B)
    with pytest.raises(InputError, match="both were fitted to the same runs"):
        speedup(A, apart(runs, law="coupled"))
    with pytest.raises(InputError, match="A is a law of C and B of D"):
        speedup(A, published("kaplan-2020-d"), 1e20)
    error = Runs(np.linspace(0.2, 0.9, 9), {"k": np.geomspace(1, 99, 9)}, response="error")
    with pytest.raises(InputError, match="A explains loss and B error"):
        speedup(A, synthetic_posterior(error, law="error-samples"))
    bnsl = get_law("bnsl-1")
    with pytest.raises(InputError, match="law 'bnsl-1' need not fall in x"):
        speedup(point(bnsl, **{p.name: 1.0 for p in bnsl.parameters()}), B)
    with pytest.raises(InputError, match="it has no tokens per parameter"):
        speedup(A, published("kaplan-2020-c"), 1e20, tokens_per_parameter=20)
    with pytest.raises(InputError, match="a gain needs one scale"):
        speedup(A, published("kaplan-2020-steps"), 1e20)
    with pytest.raises(InputError, match=r"B has no runs to take them from.*--flops"):
        speedup(A, published("hoffmann-2022"))
    with pytest.raises(InputError, match="the law 'granular' needs G"):
        speedup(A, published("krajewski-2024"), 1e20)


def test_fits_that_give_no_answers(fits, runs):
    failed = synthetic_posterior(runs, diverging=np.ones((4, 250), bool))
    with pytest.raises(FailedFitError):
        speedup(failed, fits[1])
    assert len(speedup(failed, fits[1], allow_failed=True)) == 4
    line = simulate(n=20)
    line["tokens"] = 20 * line["params"]
    ray = synthetic_posterior(Runs.read(line))
    ray = replace(ray, provenance={**ray.provenance, "allowed": ["collinear"]})
    with pytest.raises(InputError, match="do not say where the optimum is"):
        speedup(ray, fits[1])
    with pytest.raises(InputError, match="do not say what happens at D/N = 200"):
        speedup(ray, fits[1], tokens_per_parameter=200)
    assert "both at D/N = 20" in str(speedup(ray, fits[1], tokens_per_parameter=20))


# --- pairs ---


def pair_tables(count=24, shift=0.008, scatter=0.002, gain=GAIN, seed=0, alone=0):
    """Runs of two recipes at the same designs: each pair shares a shift; the last few are alone."""
    generator = np.random.default_rng(seed)
    design = simulate(n=count, seed=seed + 100)
    N, D = design["params"], design["tokens"]
    shared = shift * generator.standard_normal(count)
    tables = []
    for values in (faster(TRUTH, gain), TRUTH):
        mean = (
            values["E"] + values["A"] * N ** -values["alpha"] + values["B"] * D ** -values["beta"]
        )
        noise = shared + scatter * generator.standard_normal(count)
        tables.append({"params": N, "tokens": D, "loss": mean * np.exp(noise)})
    tables[0] = {name: column[: count - alone] for name, column in tables[0].items()}
    return [Runs.read(table) for table in tables]


def test_pairs_are_runs_of_one_design():
    A, B = pair_tables(count=20, alone=4)
    runs, count = paired_runs(A, B, ("N", "D"))
    assert (count, len(runs)) == (16, 36)
    labels = runs.labels["pair"]
    for name in set(labels) - {""}:
        i, j = np.flatnonzero(labels == name)
        assert (runs.N[i], runs.D[i]) == (runs.N[j], runs.D[j])
        assert runs["recipe"][i] < runs["recipe"][j]
    assert (labels == "").sum() == 4
    both = {"seed": np.resize(["1", "2"], 40)}

    def twice(runs):
        return replace(runs.take(np.repeat(np.arange(20), 2)), labels=both)

    A, B = pair_tables(count=20)
    assert paired_runs(twice(A), twice(B), ("N", "D"))[1] == 40
    with pytest.raises(InputError, match=r"A has 2 runs at N = .*seed=COLUMN"):
        paired_runs(twice(A), B, ("N", "D"))
    with pytest.raises(InputError, match="A and B have 0 runs of the same N, D"):
        paired_runs(A, Runs.read(simulate(n=20, seed=77)), ("N", "D"))


def test_the_law_of_both_is_each_for_its_rows(fits):
    law = two_laws(get_law("chinchilla"), get_law("coupled"))
    assert law is two_laws(get_law("chinchilla"), get_law("coupled"))
    A, B = pair_tables()
    joint = synthetic_posterior(paired_runs(A, B, ("N", "D"))[0], law=law)
    flat = joint.flat_law()
    x = {"N": np.array(1e9), "D": np.array(2e10)}
    with jax.enable_x64(True):
        for i, recipe in enumerate((FIRST, SECOND)):
            own = flat.recipe(i)
            np.testing.assert_array_equal(flat.loss({**x, "recipe": np.array(recipe)}), own.loss(x))
        assert type(flat.recipe(1)) is get_law("coupled")
        back = flat.to_coordinates(joint.reference)
    for name, values in back.items():
        np.testing.assert_allclose(values, joint.coordinates[name].ravel(), rtol=1e-8)
    assert {"A_E", "B_k"} <= {p.name for p in law.parameters()}


def test_pairs_are_fitted_together(monkeypatch):
    A, B = (apart(runs, seed) for seed, runs in enumerate(pair_tables()))
    asked = speedup(A, B)
    (said,) = (v for v in asked.verdicts if v.code == "could-be-paired")
    assert "24 designs stand in the runs of both" in said.sentence
    runs, count = paired_runs(A.runs, B.runs, ("N", "D"))
    joint = synthetic_posterior(runs, law=two_laws(Chinchilla, Chinchilla), noise="gaussian")
    omega = np.full((4, 250), 0.008)
    monkeypatch.setattr(
        type(joint), "summary", lambda self, level: {"omega": bayescale.Interval.of(omega, level)}
    )
    monkeypatch.setattr(comparing, "fit_together", lambda *_: Together(joint, count))
    found = speedup(A, B, BUDGETS, paired=True)
    flat = joint.flat_law()
    closed = [Frontier.of([Member(flat.recipe(i), 1.0, Way("closed"), Terms())]) for i in (0, 1)]
    np.testing.assert_allclose(
        found.draws, BUDGETS / closed[0].needed(closed[1].losses(BUDGETS)), rtol=1e-12
    )
    assert "fitted together, 24 pairs of runs sharing a shift each" in str(found)
    assert found.shift.median == 0.008
    assert "omega" in found.to_json()
    assert not [v for v in found.verdicts if v.code == "could-be-paired"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda B: published("hoffmann-2022"), "B is not the fit of one law"),
        (lambda B: synthetic_posterior(B.runs, noise="gaussian"), "A has student-t noise and B gaussian"),
        (lambda B: synthetic_posterior(B.runs.with_x("C"), law="power"), "A is a law of N, D and B of x"),
        (lambda B: replace(B, spec=replace(B.spec, effects=Effects("seed"))),
         "B was fitted with effects of seed"),
    ],
)  # fmt: skip
def test_fits_that_cannot_be_paired(change, message):
    A, B = (synthetic_posterior(runs) for runs in pair_tables())
    with pytest.raises(InputError, match=message):
        pairing.fit_together(A, change(B))


@pytest.mark.nightly
def test_pairing_narrows_the_gain():
    tables = pair_tables(seed=5)
    A, B = (bayescale.fit(runs, noise="gaussian", drift="none", seed=0) for runs in tables)
    alone, together = (speedup(A, B, paired=paired) for paired in (False, True))
    assert together.shift.lower < 0.008 < together.shift.upper
    for apart, paired in zip(alone.gain[:2], together.gain[:2], strict=True):
        assert paired.lower < GAIN < paired.upper
        assert paired.upper / paired.lower < (apart.upper / apart.lower) ** 0.6


STUDIES = 150
WITHIN = 3.5 * np.sqrt(0.9 * 0.1 / STUDIES)


@pytest.mark.nightly
@pytest.mark.parametrize(("shift", "scatter"), [(0.008, 0.002), (0.0, 0.004)])
def test_coverage_of_the_gain(shift, scatter):
    """Studies of 24 runs of each recipe, whose gain is known: taken as independent, and as pairs."""
    tables = [pair_tables(shift=shift, scatter=scatter, seed=s) for s in range(STUDIES)]
    sides = [{str(s): pair[i] for s, pair in enumerate(tables)} for i in (0, 1)]
    apart = [bayescale.fit_many(side, draws=1000, seed=i) for i, side in enumerate(sides)]
    together = bayescale.fit_many(
        {str(s): paired_runs(*pair, ("N", "D"))[0] for s, pair in enumerate(tables)},
        law=two_laws(Chinchilla, Chinchilla), effects="pair", draws=1000, seed=2,
    )  # fmt: skip

    def law(draws, side=""):
        fields = {p.name: draws[side + p.name] for p in Chinchilla.parameters()}
        return Frontier.of([Member(Chinchilla(**fields), 1.0, Way("closed"), Terms())])

    held, widths = np.zeros((2, STUDIES, 3), bool), np.zeros((2, STUDIES, 3))
    for s, (_, B) in enumerate(tables):
        scale = B.C.max() * np.array([1.0, 10.0, 100.0])
        order = np.random.default_rng(s).permutation(1000)
        joint = together.draws(str(s))
        sides = [many.draws(str(s)) for many in apart]
        for i, (ours, theirs) in enumerate(
            [(law(sides[0]).ordered(order), law(sides[1])), (law(joint, "A_"), law(joint, "B_"))]
        ):
            gain = scale / ours.needed(theirs.losses(scale))
            lower, upper = np.quantile(gain, [0.05, 0.95], axis=0)
            held[i, s] = (lower < GAIN) & (upper > GAIN)
            widths[i, s] = np.log(upper / np.maximum(lower, 1e-6))
    independent, paired = held.mean(axis=1)
    assert (np.abs(paired - 0.9) < WITHIN).all(), paired
    ratio = np.median(widths[1] / widths[0], axis=0)
    if shift:
        assert (independent > 0.97).all(), independent  # far too wide
        assert (ratio < 0.5).all(), ratio
    else:
        assert (np.abs(independent - 0.9) < WITHIN).all(), independent
        assert (np.abs(ratio - 1) < 0.25).all(), ratio


# --- the command ---


def test_the_command(fits, tmp_path):
    paths = [str(fit.save(tmp_path / f"{name}.nc")) for name, fit in zip("ab", fits, strict=True)]
    words = ["speedup", *paths, "--flops", "1e20,1e23", "--within", "1e18,1e25"]
    done = CliRunner().invoke(app, [*words, "--json", "--plots", str(tmp_path)])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [row["C"] for row in said["scales"]] == [1e20, 1e23]
    expected = speedup(*fits, [1e20, 1e23])
    assert said["scales"][0]["gain"]["median"] == pytest.approx(expected.gain[0].median)
    assert (tmp_path / "speedup.png").exists()
    done = CliRunner().invoke(app, words)
    assert "Crossing between C = 1e18 and 1e25" in done.stdout
    done = CliRunner().invoke(app, ["speedup", paths[0], "hoffmann-2022", "--flops", "1e21",
                                    "--tokens-per-parameter", "20", "--table", "latex"])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert r"\begin{table}" in done.stdout
    with pytest.raises(InputError, match="A is a law of C and B of D"):
        CliRunner().invoke(app, ["speedup", paths[0], "kaplan-2020-d"], catch_exceptions=False)
