"""The cheapest way to a downstream error: inversion, brute force, and errors out of reach."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from typer.testing import CliRunner

from bayescale import FailedFitError, InputError, Mixture, Runs, allocate, predict_error, published
from bayescale.allocation.through import PAIRING, losses_for
from bayescale.cli.main import app
from bayescale.laws import Chinchilla, get_law
from bayescale.mixture import independent
from conftest import TRUTH, synthetic_posterior

CHANCE = 0.25


def link_runs():
    """Errors at losses about those of the fits of these tests."""
    losses = np.linspace(2.4, 3.3, 24)
    error = 0.75 * (0.1 + 0.9 / (1 + np.exp(-3 * (losses - 2.6))))
    return Runs(error, {"L_pre": losses, "chance": np.full(24, CHANCE)}, response="error")


def with_law(posterior, name, **values):
    """A posterior whose draws are all these constants."""
    law = get_law(name)
    return replace(
        posterior, law=law(**{k: np.full(posterior.shape, v) for k, v in values.items()})
    )


@pytest.fixture(scope="module")
def first(runs):
    return synthetic_posterior(runs)


@pytest.fixture(scope="module")
def second():
    base = synthetic_posterior(link_runs(), law="error-sigmoid")
    generator = np.random.default_rng(3)
    near = {"a": 0.9, "k": -3.0, "L0": 2.6}
    law = {k: v * np.exp(0.02 * generator.standard_normal(base.shape)) for k, v in near.items()}
    return replace(base, law=type(base.law)(**law))


@pytest.fixture(scope="module")
def exact(first, second):
    """Both steps without uncertainty."""
    return (
        with_law(first, "chinchilla", **TRUTH),
        with_law(second, "error-sigmoid", a=0.9, k=-3.0, L0=2.6),
    )


def test_each_draw_is_inverted_as_its_equation_says(second):
    errors = np.array([0.3, 0.5, 0.7])
    found, ends = losses_for(second, errors, {"chance": CHANCE})
    law = second.flat_law()
    a, k, L0 = (np.asarray(getattr(law, name))[:, None] for name in ("a", "k", "L0"))
    gained = (1 - errors / (1 - CHANCE)) / a
    np.testing.assert_allclose(found, L0 - np.log(1 / gained - 1) / k, rtol=1e-9)
    assert ends[:, 1] == pytest.approx(0.75)


def test_the_exponential_law_is_inverted(second):
    posterior = with_law(second, "error-exponential", epsilon=0.8, k=2.0, gamma=0.8)
    errors = np.array([0.3, 0.5, 0.79, 0.81])
    found, _ = losses_for(posterior, errors, {})
    np.testing.assert_allclose(found[0, :3], np.log(2.0 / (0.8 - errors[:3])) / 0.8, rtol=1e-9)
    assert found[0, 3] == np.inf


def test_known_laws_give_the_way_to_the_loss_of_the_error(exact):
    errors = [0.35, 0.5]
    found = allocate(exact[0], target_error=errors, through=exact[1])
    losses = [2.6 + np.log(1 / ((1 - e / 0.75) / 0.9) - 1) / 3.0 for e in errors]
    way = allocate(exact[0], target_loss=losses)
    for name in ("N", "D", "C"):
        np.testing.assert_allclose(found.draws[name], way.draws[name], rtol=1e-6)
    np.testing.assert_allclose(found.draws["loss"][0], losses, rtol=1e-9)
    N, D = (found.draws[name][0] for name in ("N", "D"))
    back = predict_error(*exact, N, D, kind="law")
    np.testing.assert_allclose(np.median(back.draws, axis=0), errors, rtol=1e-6)


@jax.jit
def error_of(first, second, N, D):
    loss = first.loss({"N": N, "D": D})
    return second.loss({"L_pre": loss, "chance": jnp.asarray(CHANCE)})


def test_draws_agree_with_brute_force(first, second):
    found = allocate(first, target_error=0.45, through=second, seed=4)
    order = independent(np.arange(1000), 1000, np.random.default_rng([4, PAIRING]))
    for i in (0, 500, 999):
        law = jax.tree.map(lambda f, i=i: f[i], first.flat_law())
        link = jax.tree.map(lambda f, i=i: f[order[i]], second.flat_law())
        assert isinstance(law, Chinchilla)

        def error(log_c, law=law, link=link):
            with jax.enable_x64(True):
                N, D = law.optimum(np.exp(log_c), 6.0)
                return float(error_of(law, link, N, D)) - 0.45

        cost = np.exp(brentq(error, 35, 80, xtol=1e-10))
        assert found.draws["C"][i, 0] == pytest.approx(cost, rel=1e-6)


def test_uncertainty_of_both_steps_reaches_the_answer(first, second, exact):
    both = allocate(first, target_error=0.4, through=second)
    one = allocate(first, target_error=0.4, through=exact[1])
    other = allocate(exact[0], target_error=0.4, through=second)
    spread = [np.log(a.draws["C"]).std() for a in (both, one, other)]
    assert spread[0] == pytest.approx(np.hypot(spread[1], spread[2]), rel=0.15)
    assert min(spread[1:]) > 0.05


def test_other_fits_and_terms(first, second, runs):
    mixture = Mixture((first, synthetic_posterior(runs, law="coupled")), (0.5, 0.5))
    assert len(allocate(mixture, target_error=0.4, through=second).draws["C"]) == 2000
    point = allocate(published("besiroglu-2024"), target_error=0.4, through=second)
    assert len(point.draws["C"]) == 1000
    assert not point.is_point
    plain = allocate(first, target_error=0.4, through=second)
    fixed = allocate(first, target_error=0.4, through=second, params=1e9, inference_tokens=1e12)
    np.testing.assert_allclose(fixed.draws["N"][np.isfinite(fixed.draws["N"])], 1e9)
    assert fixed.intervals["C"][0].median > plain.intervals["C"][0].median


def test_result_prints_and_serialises(first, second):
    found = allocate(first, target_error=[0.3, 0.45], through=second)
    text = str(found)
    assert "Cheapest way to an error" in text
    assert "error-sigmoid law fitted to 24 runs" in text
    assert "outside" in text
    plain = json.loads(json.dumps(found.to_json()))
    row = plain["budgets"][0]
    assert row["target_accuracy"] == pytest.approx(0.7)
    assert row["loss"]["median"] == found.intervals["loss"][0].median
    assert row["share_outside"] == found.share_outside[0] > 0.5
    assert found.to_frame().shape[0] == len(found) == 2
    again = allocate(first, target_error=[0.3, 0.45], through=second)
    np.testing.assert_array_equal(again.draws["C"], found.draws["C"])


# --- what cannot be reached, or asked ---


def test_an_error_below_what_compute_can_reach(first, second, exact):
    limit = 0.75 * (1 - 0.9 / (1 + np.exp(3 * (TRUTH["E"] - 2.6))))
    with pytest.raises(
        InputError, match=rf"0.08 \(accuracy 0.92\) is out of reach in 100% .* is {limit:.3f}"
    ):
        allocate(
            exact[0], target_error=0.08, through=exact[1]
        )  # above the floor of the second step
    with pytest.raises(InputError, match="with unlimited compute the error is"):
        allocate(first, target_error=0.01, through=second)  # below it
    with pytest.raises(InputError, match="or lift the limits"):
        allocate(first, target_error=0.3, through=second, max_params=1e7)
    some = allocate(first, target_error=0.18, through=second)
    assert 0.05 < some.reached[0] < 0.95
    assert np.isinf(some.draws["C"]).mean() == pytest.approx(1 - some.reached[0])


def test_an_error_of_models_that_learned_nothing(first, second):
    with pytest.raises(InputError, match="learned nothing has an error of 0.75"):
        allocate(first, target_error=0.8, through=second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_error": 0.4}, "through: it is missing"),
        ({"target_error": 1.2, "through": "second"}, "target_error: it is 1.2"),
        ({"target_error": 0.0, "through": "second"}, "target_error: it is 0; it must be finite"),
        ({"target_error": 0.4, "C": 1e21, "through": "second"}, "C and target_error are given"),
        ({"C": 1e21, "through": "second"}, "given without target_error"),
        ({"target_error": 0.4, "through": "first"}, "not a law of error in the loss"),
        ({"target_error": 0.4, "through": "second", "given": {"chanse": 0.2}}, "takes no 'chanse'"),
    ],
)  # fmt: skip
def test_bad_requests(first, second, options, message):
    fits = {"first": first, "second": second}
    options = {k: fits.get(v, v) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(InputError, match=message):
        allocate(first, **options)


def test_a_failed_link_gives_no_answer(first, second):
    stats = {**second.stats, "diverging": np.ones(second.shape, bool)}
    with pytest.raises(FailedFitError):
        allocate(first, target_error=0.4, through=replace(second, stats=stats))


def test_the_command(first, second, tmp_path):
    fit, link = (str(p.save(tmp_path / f"{n}.nc")) for n, p in (("fit", first), ("link", second)))
    words = ["allocate", fit, "--through", link]
    done = CliRunner().invoke(app, [*words, "--target-accuracy", "0.6", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)["budgets"][0]
    expected = allocate(first, target_error=0.4, through=second)
    assert said["C"]["median"] == pytest.approx(expected.intervals["C"][0].median)
    done = CliRunner().invoke(app, [*words, "--target-error", "0.4", "--given", "chance=0.3"])
    assert done.exit_code == 0, done.output
    assert "reached" in done.stdout
    for more, message in (
        (["--target-accuracy", "60"], "--target-accuracy: it is 60"),
        (["--target-accuracy", "0.6", "--target-error", "0.4"], "both are given"),
        ([], "none is given"),
    ):
        with pytest.raises(InputError, match=message):
            CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
