"""What the runs inform: contraction, directions, remedies, sensitivities, and what is said of them."""

import json
from dataclasses import replace

import arviz
import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import bayescale
from bayescale import DesignError, FailedFitError, InputError, Runs, identify
from bayescale.arviz_tree import log_likelihood, log_prior
from bayescale.cli.main import app
from bayescale.contraction import MASSES, Contraction, scale_of
from bayescale.drift import DampedTrend
from bayescale.effects import Effects
from bayescale.identifiability.designs import described
from bayescale.identifiability.remedies import AROUND, COSTS, candidate_runs, pair_sds
from bayescale.laws import Law
from bayescale.model import data_of, model_spec, prior_draws
from bayescale.noise import StudentT
from bayescale.parameters import Coordinate, parameter
from bayescale.plots import plot_identifiability, save_plot
from bayescale.priors import LogNormal
from bayescale.uninformed import GRID, in_prior_units, varimax
from conftest import TRUTH, monte_carlo, synthetic_posterior

COUNT = 40
SIZES = np.geomspace(3e7, 3e9, COUNT)


def losses(N, D, seed=0, sigma=0.005):
    mean = TRUTH["E"] + TRUTH["A"] * N ** -TRUTH["alpha"] + TRUTH["B"] * D ** -TRUTH["beta"]
    return mean * np.exp(sigma * np.random.default_rng(seed).standard_normal(len(N)))


def table(N, D, loss=None):
    N, D = np.broadcast_arrays(np.asarray(N, float), np.asarray(D, float))
    return {"params": N, "tokens": D, "loss": losses(N, D) if loss is None else loss}


SPREAD = SIZES * 10 ** np.random.default_rng(5).uniform(0.4, 2.3, COUNT)
CORNERS = np.array([1e8, 2e9])

# Name: the runs, the checks that refuse them, parameters that are then the prior, start of the sentence.
DESIGNS = {
    "D = 20 N": (table(SIZES, 20 * SIZES), {"collinear"}, {"A", "B"}, "All runs have D = 20 N: "),
    "D goes as N^1.5": (
        table(SIZES, 6e9 * (SIZES / 3e8) ** 1.5),
        {"collinear"},
        {"A", "B"},
        "In all runs D goes as N^1.5: ",
    ),
    "one budget": (
        table(SIZES, 1e19 / SIZES),
        {"collinear"},
        {"E", "alpha", "beta"},
        "All runs have one budget, C = 6e19: ",
    ),
    "constant N": (
        table(3e8, 20 * SIZES),
        {"constant-N"},
        {"E", "A", "alpha"},
        "All runs have N = 3e8: ",
    ),
    "constant D": (
        table(SIZES, 6e9),
        {"constant-D"},
        {"E", "B", "beta"},
        "All runs have D = 6e9: ",
    ),
    "one point, many runs": (
        table(3e8, np.full(COUNT, 6e9)),
        {"few-points", "constant-N", "constant-D"},
        {"E", "A", "B", "alpha", "beta"},
        "There is only 1 distinct point in N, D: ",
    ),
    "2 runs": (
        table(CORNERS, 20 * CORNERS),
        {"few-points"},
        {"E", "A", "B", "alpha", "beta"},
        "There are only 2 distinct points in N, D: ",
    ),
    "1 run": (
        table([3e8], [6e9]),
        {"few-points", "constant-N", "constant-D"},
        {"E", "A", "B", "alpha", "beta"},
        "There is only 1 distinct point in N, D: ",
    ),
    "4 corners": (
        table(np.repeat(CORNERS, 2), np.tile(20 * CORNERS, 2)),
        {"few-points"},
        {"E", "alpha", "beta"},
        "There are only 4 distinct points in N, D: ",
    ),
    "equal losses": (
        table(SIZES, SPREAD, np.full(COUNT, 2.7)),
        {"constant-loss"},
        {"alpha", "beta"},
        "All runs have the loss 2.7: ",
    ),
}


@pytest.fixture(scope="module")
def fits():
    """The fit of each design with its checks lifted, made when it is first asked for.

    Of few draws, since every one of them takes a hundred steps along what is not informed.
    """
    made = {}

    def get(name):
        if name not in made:
            runs, checks, *_ = DESIGNS[name]
            made[name] = bayescale.fit(runs, allow=checks, drift="none", seed=1, draws=400)
        return made[name]

    return get


@pytest.fixture(scope="module")
def collinear(fits):
    return identify(fits("D = 20 N"))


@pytest.fixture(scope="module")
def informed(fit):
    return identify(fit)


# --- the measure ---


def test_contraction_of_a_gaussian_is_that_of_its_variances():
    prior = stats.norm(1.0, 2.0)
    for sd in (0.02, 0.5, 1.9, 2.0):
        draws = stats.norm(1.4, sd).ppf((np.arange(20000) + 0.5) / 20000)
        found = Contraction.of(draws, prior.ppf(MASSES))
        assert found.scale == "linear"
        assert found.prior_sd == pytest.approx(2.0, rel=1e-9)
        assert found.posterior_sd == pytest.approx(sd, rel=1e-3)
        assert found.contraction == pytest.approx(1 - (sd / 2) ** 2, abs=2e-3)
        assert found.is_prior == (sd > 1.8)


def test_heavy_tails_and_units_do_not_matter():
    """A scale over ten decades that the runs halved in its logarithm; the sd of the value sees a tail."""
    z = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    for unit in (1.0, 1e-9):
        found = Contraction.of(unit * np.exp(4 + 2 * z), unit * np.exp(4 * stats.norm.ppf(MASSES)))
        assert found.scale == "log"
        assert found.ratio == pytest.approx(0.5, rel=2e-3)


@pytest.mark.parametrize(
    ("prior", "scale"),
    [
        (stats.norm(0, 1), "linear"),
        (stats.norm(100, 1), "linear"),
        (stats.uniform(), "linear"),
        (stats.beta(4, 1.7), "linear"),
        (stats.lognorm(0.4), "log"),
        (stats.lognorm(4.0), "log"),
        (stats.gamma(2, loc=2, scale=10), "log"),
    ],
)
def test_the_scale_is_that_on_which_the_prior_is_more_symmetric(prior, scale):
    assert scale_of(prior.ppf(MASSES)) == scale


def test_a_share_next_to_0_is_no_prior(runs):
    """The logarithm of it is wide, yet the runs say much of it: it is small."""
    posterior = synthetic_posterior(runs)
    near = np.random.default_rng(0).beta(1, 30, posterior.shape)
    posterior.coordinates["share_E"] = near
    assert posterior.contractions["share_E"].scale == "linear"
    assert not posterior.contractions["share_E"].is_prior


# --- a linear law with Gaussian scatter, whose posterior is known ---


class LogLinear(Law):
    """ln L = ln a + ln b ln(x / 1e8): linear and Gaussian in ln a and ln b."""

    name = "log-linear"
    title = "log-linear law"
    equation = "L = a b^{ln(x / 1e8)}"
    source = "made for this test"
    inputs = ("x",)
    a: object = parameter("a", "loss at 1e8", "loss")
    b: object = parameter("b", "factor of the loss for a factor e of x")
    coordinates = (
        Coordinate("a", LogNormal(3.0, 0.4), "a", "loss at 1e8"),
        Coordinate("b", LogNormal(0.9, 0.1), "b", "factor"),
    )

    def loss(self, x):
        import jax.numpy as jnp

        return self.a * jnp.exp(jnp.log(self.b) * jnp.log(x["x"] / 1e8))

    @classmethod
    def from_coordinates(cls, coordinates, reference):
        return cls(a=coordinates["a"], b=coordinates["b"])

    def to_coordinates(self, reference):
        return {"a": self.a, "b": self.b}


SIGMA = 0.3
PRIOR_SDS = np.array([0.4, 0.1])


def linear_fit(x, **options):
    generator = np.random.default_rng(4)
    X = np.stack([np.ones(len(x)), np.log(x / 1e8)], axis=1)
    log_loss = X @ np.log([3.0, 0.9]) + SIGMA * generator.standard_normal(len(x))
    known = {"sigma": LogNormal(SIGMA, 1e-3)}
    fit = bayescale.fit(
        {"x": x, "loss": np.exp(log_loss)}, LogLinear, "gaussian", priors=known, drift="none", **options
    )  # fmt: skip
    precision = np.diag(PRIOR_SDS**-2.0) + X.T @ X / SIGMA**2
    return fit, np.linalg.inv(precision)


@pytest.fixture(scope="module")
def linear():
    return linear_fit(np.geomspace(3e8, 3e9, 8))


def test_contraction_agrees_with_the_closed_form(linear):
    fit, covariance = linear
    found = identify(fit, x=[1e10])
    at = np.array([1.0, np.log(1e10 / 1e8)])
    cases = [
        ("a", [1, 0]),
        ("b", [0, 1]),
        ("loss, x = 1e10", at),
    ]
    for label, weights in cases:
        weights = np.asarray(weights, float)
        prior, posterior = (
            np.sqrt(weights @ m @ weights) for m in (np.diag(PRIOR_SDS**2), covariance)
        )
        q = found[label].found
        draws = fit.law.a if label == "a" else fit.law.b
        # 4 standard errors of the 90% widths of 4,000 prior draws and of some 2,000 effective ones
        assert monte_carlo(np.log(draws))[1] < posterior / 40
        assert q.scale == "log"
        assert q.prior_sd == pytest.approx(prior, rel=0.06)
        assert q.posterior_sd == pytest.approx(posterior, rel=0.08)
    assert found["a"].found.ratio == pytest.approx(np.sqrt(covariance[0, 0]) / 0.4, rel=0.08)


def test_remedies_agree_with_the_closed_form(linear):
    fit, covariance = linear
    candidates = {"x": np.array([1e7, 1e8, 1e10])}
    along = np.log(fit.law.b).ravel() / PRIOR_SDS[1]
    found = pair_sds(fit, along, candidates)
    X = np.stack([np.ones(3), np.log(candidates["x"] / 1e8)], axis=1)
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        pair = X[[i, j]]
        updated = np.linalg.inv(np.linalg.inv(covariance) + pair.T @ pair / SIGMA**2)
        assert found[i, j] == pytest.approx(np.sqrt(updated[1, 1]) / PRIOR_SDS[1], rel=0.08)


def test_the_direction_of_one_point_agrees_with_the_closed_form():
    """Runs at one x tell ln a + c ln b; what they do not tell is orthogonal to (s_a, c s_b)."""
    x = np.full(8, 1e9)
    fit, _ = linear_fit(x, allow=["few-points", "constant-x"])
    (direction,) = fit.uninformed
    told = PRIOR_SDS * [1.0, np.log(10.0)]
    expected = np.array([-told[1], told[0]]) / np.linalg.norm(told)
    got = np.array([direction.loadings["a"], direction.loadings["b"]])
    assert abs(got @ expected) == pytest.approx(1.0, abs=2e-3)
    assert direction.ratio == pytest.approx(1.0, abs=0.06)
    assert direction.parameters == ("a", "b")


# --- the ten designs ---


@pytest.mark.parametrize("name", DESIGNS)
def test_designs_that_identify_nothing_are_refused_by_name(name):
    runs, checks, *_ = DESIGNS[name]
    with pytest.raises(DesignError, match="To go on all the same: --allow") as refusal:
        bayescale.fit(runs)
    assert {problem.check for problem in refusal.value.problems} == checks


# Equal losses have no scale of scatter: the sampler takes a minute and fails.
SAMPLED = [name for name in DESIGNS if name != "equal losses"]
SLOW = pytest.param("equal losses", marks=pytest.mark.nightly)


@pytest.mark.parametrize("name", [*SAMPLED, SLOW])
def test_all_that_they_leave_open_says_prior(name, fits):
    _, checks, affected, _ = DESIGNS[name]
    fit = fits(name)
    assert set(fit.provenance["allowed"]) == checks
    marks = {row[0][0]: row[2] for row in fit.table().rows}
    assert affected <= {p for p, mark in marks.items() if mark.startswith("prior")}
    assert "prior-dominated" in fit.diagnostics.codes
    with pytest.raises((InputError, FailedFitError), match="it would come from the prior|gives no"):
        bayescale.allocate(fit, 1e21)


@pytest.mark.parametrize(
    "name",
    ["2 runs", *(pytest.param(n, marks=pytest.mark.nightly) for n in DESIGNS if n != "2 runs")],
)
def test_what_they_leave_open_is_told_and_how_to_close_it(name, fits):
    *_, affected, start = DESIGNS[name]
    found = identify(fits(name), allow_failed=name == "equal losses")
    assert affected <= {q.name for q in found.quantities if q.mark.startswith("prior")}
    assert found.directions
    assert all(d.sentence.startswith(start) for d in found.directions)
    assert all(d.remedy.ratio < d.ratio for d in found.directions)
    assert {p for d in found.directions for p in d.parameters} <= {"E", "A", "B", "alpha", "beta"}


def test_a_collinear_design_names_a_and_b_and_what_would_help(collinear, fits):
    (direction,) = collinear.directions
    assert direction.parameters == ("A", "B")
    assert abs(direction.loadings["M_opt"]) > 0.95
    assert direction.sentence.startswith("All runs have D = 20 N: A and B cannot be told apart (")
    assert f"to about {direction.remedy.ratio:.0%} of the prior's sd." in direction.sentence
    for point in direction.remedy.points:
        assert point["D"] / point["N"] != pytest.approx(20)
    assert collinear["M_opt"].is_prior
    assert collinear["A"].mark == "prior, with B"
    text = fits("D = 20 N").text()
    assert "A and B cannot be told apart" in text
    assert "M_opt (tokens per parameter at that optimum) is the prior" in text


def after(posterior, direction):
    """The posterior's sd along a direction of another fit."""
    z = sum(
        direction.loadings[c.name]
        * in_prior_units(posterior.coordinates[c.name], c.prior.quantile(GRID, posterior.reference))
        for c in posterior.spec.law.coordinates
    )
    assert monte_carlo(z.reshape(posterior.shape))
    return z.std()


@pytest.mark.parametrize(
    "name",
    [
        "D = 20 N",
        *(
            pytest.param(n, marks=pytest.mark.nightly)
            for n in ("one budget", "constant N", "constant D")
        ),
    ],
)
def test_the_runs_that_are_asked_for_help(name, fits):
    """With the two runs made and fitted, the direction is as narrow as was said, or narrower."""
    runs, checks, *_ = DESIGNS[name]
    for direction in identify(fits(name)).directions:
        N, D = (np.array([p[s] for p in direction.remedy.points]) for s in ("N", "D"))
        more = {
            "params": np.append(runs["params"], N),
            "tokens": np.append(runs["tokens"], D),
            "loss": np.append(runs["loss"], losses(N, D, seed=9)),
        }
        sd = after(bayescale.fit(more, drift="none", seed=2, allow=checks, draws=400), direction)
        assert sd < 1.35 * direction.remedy.ratio
        assert sd < 0.6 * direction.ratio


def test_coordinates_that_are_the_prior_are_the_directions(runs):
    """Two of five coordinates replaced by draws of the prior: these two, each for itself."""
    posterior = synthetic_posterior(runs)
    generator = np.random.default_rng(8)
    for c in posterior.spec.coordinates:
        if c.name in ("M_opt", "beta"):
            mass = generator.uniform(size=posterior.shape)
            posterior.coordinates[c.name] = c.prior.quantile(mass, posterior.reference)
    parts = [direction.parts for direction in posterior.uninformed]
    assert sorted(parts) == [["M_opt"], ["beta"]]
    assert {q for q, found in posterior.contractions.items() if found.is_prior} == {"M_opt", "beta"}


def test_directions_of_draws_that_are_not_finite_do_not_exist(runs):
    posterior = synthetic_posterior(runs)
    posterior.coordinates["alpha"][0, 0] = np.nan
    assert posterior.uninformed == ()


def test_varimax_turns_a_plane_to_its_axes():
    plane = np.eye(5)[:, [1, 3]]
    angle = 0.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = varimax(plane @ turn)
    np.testing.assert_allclose(np.sort(np.abs(found).max(axis=0)), 1.0, atol=1e-6)
    np.testing.assert_allclose(found @ found.T, plane @ plane.T, atol=1e-12)


# --- designs in words, candidates ---


@pytest.mark.parametrize(
    ("N", "D", "words"),
    [
        (SIZES, SPREAD, "With these runs"),
        (
            SIZES,
            20 * SIZES * (1 + 0.05 * (-1) ** np.arange(COUNT)),
            "All runs have nearly D = 20 N",
        ),
        (SIZES, 1e22 / SIZES**1.3, "In all runs D goes as N^-1.3"),
        (
            3e8 * 10 ** np.linspace(0, 0.3, COUNT),
            SPREAD,
            "N has 40 values over 0.3 decades",
        ),
        (np.full(COUNT, 1e9), SPREAD, "All runs have N = 1e9"),
    ],
)
def test_designs_in_words(N, D, words):
    assert described(Runs.read(table(N, D)), ("N", "D"), 5) == words


def test_candidates_are_round_and_near_the_runs():
    runs = Runs.read(table(SIZES, 20 * SIZES))
    found = candidate_runs(runs, ("N", "D"))
    assert set(np.round(found["N"] / 10 ** np.floor(np.log10(found["N"]) + 1e-9))) <= {1, 3}
    for symbol in ("N", "D"):
        assert found[symbol].min() >= 0.99 * runs[symbol].min() / AROUND
        assert found[symbol].max() <= 1.01 * runs[symbol].max() * AROUND
    assert (found["N"] * found["D"]).max() <= 1.01 * COSTS[-1] * (runs.N * runs.D).max()
    one = candidate_runs(runs.with_x("N"), ("x",))
    assert list(one) == ["x"]
    assert candidate_runs(runs, ("N", "D", "U")) == {}


# --- what is asked, and what is said ---


def test_answers_are_where_they_were_asked(fit, informed):
    asked = identify(fit, N=[1e10, 2e10], D=2e11, C=[1e21], flops_per_parameter_token=3.0)
    answers = [q for q in asked.quantities if q.kind == "answer"]
    assert [(q.name, dict(q.at)) for q in answers] == [
        ("loss", {"N": 1e10, "D": 2e11}),
        ("loss", {"N": 2e10, "D": 2e11}),
        ("N_opt", {"C": 1e21}),
        ("tokens_per_parameter", {"C": 1e21}),
    ]
    fit = replace(fit, make_forecasters=None)  # answers of the law alone
    law = bayescale.predict(fit, 1e10, 2e11, kind="law")
    sd = np.ptp(np.quantile(law.draws, [0.05, 0.95])) / (2 * stats.norm.ppf(0.95))
    q = answers[0].found
    assert q.posterior_sd == pytest.approx(
        sd if q.scale == "linear" else sd / np.median(law.draws), rel=0.01
    )
    best = bayescale.allocate(fit, 1e21, flops_per_parameter_token=3.0).draws["N"]
    width = np.ptp(np.log(np.quantile(best, [0.05, 0.95])))
    assert answers[2].found.posterior_sd == pytest.approx(width / 3.29, rel=1e-3)
    far = [q.at for q in informed.quantities if q.name == "loss"]
    runs = fit.runs
    for at, factor in zip(far, (10, 100), strict=True):
        assert at["N"] * at["D"] == pytest.approx(factor * (runs.N * runs.D).max())
        assert at["D"] / at["N"] == pytest.approx(np.median(runs.D / runs.N))


def test_an_informed_fit_has_no_directions_and_no_marks_of_its_law(informed):
    assert informed.directions == ()
    assert set(informed.prior) <= {"nu"}
    assert "none" in informed.text()


def test_the_245_chinchilla_runs_have_no_marks(public_data):
    fit = bayescale.fit(public_data / "chinchilla.csv", drift="none")
    found = identify(fit)
    assert len(fit.runs) == 245
    assert found.prior == ()
    assert found.directions == ()
    assert not any(q.mark for q in found.quantities)
    assert max(q.found.ratio for q in found.quantities) < 0.2
    assert fit.diagnostics.verdicts == ()
    assert [c.plain for c in fit.table().columns][2:] == ["unit", "meaning"]


@pytest.mark.parametrize("law", ["power", "coupled"])
def test_other_laws(law, runs):
    runs = runs.with_x("N") if law == "power" else runs
    found = identify(synthetic_posterior(runs, law=law))
    names = [q.name for q in found.quantities]
    assert names.count("loss") == 2
    assert ("N_opt" in names) == (law == "coupled")
    assert found.directions == ()


def test_laws_of_another_kind_have_no_optimum(runs):
    posterior = synthetic_posterior(runs.with_x("N"), law="power")
    with pytest.raises(InputError, match="an optimal split needs a law of N and D"):
        identify(posterior, C=1e21)
    with pytest.raises(InputError, match="the law 'power' has no input D"):
        identify(posterior, D=1e21)


def test_bad_requests(fit, runs):
    with pytest.raises(InputError, match="C: it is -1"):
        identify(fit, C=-1)
    with pytest.raises(InputError, match="D: it is missing"):
        identify(fit, N=1e9)
    with pytest.raises(InputError, match="N, D or x is given beside them"):
        identify(fit, N=1e9, points={"N": 1e9, "D": 1e10})
    failed = synthetic_posterior(runs, diverging=np.ones((4, 250), bool))
    with pytest.raises(FailedFitError):
        identify(failed)
    assert identify(failed, allow_failed=True).quantities


def test_json_frame_and_tables(collinear):
    data = json.loads(json.dumps(collinear.to_json()))
    assert data["prior"] == list(collinear.prior)
    assert "M_opt" in data["prior"]
    first = data["quantities"][0]
    assert set(first) == {
        "name", "kind", "at", "scale", "prior_sd", "posterior_sd", "ratio", "contraction", "is_prior",
        "prior_sensitivity", "data_sensitivity", "diagnosis", "mark",
    }  # fmt: skip
    assert first["contraction"] == pytest.approx(1 - first["ratio"] ** 2)
    assert len(data["directions"][0]["remedy"]["points"]) == 2
    frame = collinear.to_frame()
    assert list(frame["mark"]) == [q.mark for q in collinear.quantities]
    for form in ("text", "markdown", "latex"):
        assert "prior, with B" in collinear.table().render(form)
    assert repr(collinear).endswith(collinear.directions[0].sentence)


# --- sensitivity ---


def test_the_log_prior_and_the_log_likelihood_are_those_of_the_model(fit):
    tree = fit.to_arviz()
    prior = sum(tree["log_prior"][c.name].to_numpy() for c in fit.spec.coordinates)
    likelihood = tree["log_likelihood"]["log_loss"].to_numpy().sum(axis=-1)
    np.testing.assert_allclose(prior + likelihood, tree["sample_stats"]["lp"], rtol=1e-9)


@pytest.mark.parametrize("effects", [None, Effects("group")])
def test_with_drift_and_effects_too(effects, runs):
    import jax

    drift = DampedTrend()
    groups = np.arange(len(runs)) // 2
    runs = Runs.read({"N": runs.N, "D": runs.D, "loss": runs.loss, "group": groups})
    posterior = synthetic_posterior(runs)
    spec = model_spec(type(posterior.law), StudentT, drift=drift, effects=effects)
    draws = prior_draws(spec, posterior.reference, 4, seed=0)
    coordinates = {name: v.reshape(2, 2) for name, v in draws.items()}
    with jax.enable_x64(True):
        law, noise = jax.tree.map(np.asarray, spec.build(coordinates, posterior.reference))
        data = data_of(runs, spec.law.inputs, drift, effects)
        u = spec.unconstrain(draws, posterior.reference)
        expected = [float(spec.log_density(row, data)) for row in u]
    posterior = replace(
        posterior, law=law, noise=noise, spec=spec, coordinates=coordinates,
        stats={"energy": np.zeros((2, 2))},
    )  # fmt: skip
    likelihood = log_likelihood(posterior)
    assert likelihood.shape == (2, 2, len(runs) if effects is None else len(runs) // 2)
    found = sum(log_prior(posterior).values()) + likelihood.sum(axis=-1)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-10)


def test_sensitivities_are_arvizs(fit, informed):
    tree = fit.to_arviz()
    parameters = [q for q in informed.quantities if not q.at and q.name in tree["posterior"]]
    moved = {
        q.name: np.log(tree["posterior"][q.name]) if q.found.scale == "log" else tree["posterior"][q.name]
        for q in parameters
    }  # fmt: skip
    tree["posterior"] = arviz.from_dict({"posterior": {n: v.to_numpy() for n, v in moved.items()}})[
        "posterior"
    ]
    theirs = arviz.psense_summary(tree, round_to=12)
    assert len(parameters) == 9
    for q in parameters:
        row = theirs.loc[q.name]
        assert q.prior_sensitivity == pytest.approx(row["prior"], rel=1e-9)
        assert q.data_sensitivity == pytest.approx(row["likelihood"], rel=1e-9)
        assert bool(q.diagnosis) == ("potential" in row["diagnosis"])


def test_sensitivities_without_densities_do_not_exist(runs):
    posterior = synthetic_posterior(runs)
    posterior.coordinates["share_E"][0, 0] = 1.0
    found = identify(posterior)
    assert np.isnan([q.prior_sensitivity for q in found.quantities]).all()
    assert {q.diagnosis for q in found.quantities} == {""}
    assert "nan" not in found.text()


def test_what_is_the_prior_moves_with_it(collinear, informed):
    moves = collinear["M_opt"]
    assert moves.prior_sensitivity > 2 * moves.data_sensitivity
    assert moves.diagnosis == "strong prior or weak data"
    assert informed["M_opt"].prior_sensitivity < 0.05 < informed["M_opt"].data_sensitivity
    assert informed["M_opt"].diagnosis == ""


# --- figure and command ---


def test_the_figure_has_a_bar_for_each_quantity(collinear, tmp_path):
    from matplotlib import pyplot

    _, ax = pyplot.subplots()
    assert plot_identifiability(collinear, ax) is ax
    ratios = sorted(q.found.ratio for q in collinear.quantities)
    widths = [bar.get_width() for bars in ax.containers[1:] for bar in bars]
    np.testing.assert_allclose(sorted(widths), ratios)
    assert ax.containers[2].get_label() == "posterior, above 90%: is the prior"
    assert len(ax.containers[2]) == len(collinear.prior)
    assert any(text.get_text().endswith("prior, with B") for text in ax.texts)
    paths = save_plot(collinear, tmp_path)
    assert {p.name for p in paths} == {"identifiability.png", "identifiability.pdf"}
    pyplot.close("all")


def test_the_command(fits, collinear, tmp_path):
    def run(*words):
        return CliRunner().invoke(app, ["identify", str(path), *map(str, words)])

    path = fits("D = 20 N").save(tmp_path / "fit.nc")
    done = run("--json", "--plots", tmp_path / "figures")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(json.dumps(collinear.to_json()))
    assert (tmp_path / "figures" / "identifiability.png").stat().st_size > 0
    shown = run("--params", "1e10", "--tokens", "2e11", "--flops", "1e22,1e23").stdout
    assert "loss, N = 1e10, D = 2e11" in shown
    assert "D/N at the optimum, C = 1e23" in shown
    assert collinear.directions[0].sentence in shown
    done = run("--table", "markdown")
    assert "| M\\_opt" in done.stdout or "| M_opt" in done.stdout
    assert collinear.directions[0].sentence in done.stderr


def test_the_json_and_the_table_of_a_fit_name_what_is_the_prior(fits, monkeypatch):
    monkeypatch.setattr("bayescale.fitting.fit", lambda *_, **__: fits("D = 20 N"))
    said = json.loads(CliRunner().invoke(app, ["fit", "byte-sweep", "--json"]).stdout)
    assert "M_opt" in said["prior"]
    assert said["prior_together"] == [["A", "B"]]
    verdicts = said["diagnostics"]["verdicts"]
    assert {"prior-dominated", "collinear-design"} <= {v["code"] for v in verdicts}
    assert "prior, with B" in CliRunner().invoke(app, ["fit", "byte-sweep"]).stdout
