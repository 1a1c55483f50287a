"""Laws of transfer, mixtures and distillation: what they reduce to, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from law_designs import grid, reference

from bayescale import InputError, Runs
from bayescale.laws import (
    LAWS,
    Chinchilla,
    Coupled,
    Distillation,
    DomainShare,
    PreLearned,
    Transfer,
    get_law,
    mixture_additive,
    mixture_exponential,
    mixture_joint,
    shares,
    supervised_priors,
)
from bayescale.model import ModelSpec, prior_draws
from bayescale.noise import Gaussian
from bayescale.rules import check_rules

PLAIN = {"E": 1.7, "A": 400.0, "B": 900.0, "alpha": 0.34, "beta": 0.31}
POINTS = {"N": np.array([1e8, 1e9, 7e9]), "D": np.array([3e9, 2e10, 1e12])}
FAMILY = [
    "fine-tuning", "pre-learned", "transfer", "domain-share", "distillation", "error-exponential",
    "error-sigmoid", "error-compute", "pass-power", "error-samples", "reward-sigmoid", "learning-rate",
    "batch-size", *(f"mixture-{form}-{k}" for form in ("exponential", "additive", "joint")
                    for k in (2, 3, 4)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def chinchilla():
    return Chinchilla(**PLAIN).loss(POINTS)


@pytest.mark.parametrize("name", FAMILY)
def test_prior_draws_are_finite_in_32_bits(name):
    law = LAWS[name]
    drawn = prior_draws(ModelSpec(law, Gaussian), reference(law), 200, seed=3)
    x = {s: jnp.asarray(v[[0, -1]], jnp.float32) for s, v in grid(law).items()}
    centre = {s: np.float32(v) for s, v in reference(law).items()}
    with jax.enable_x64(False):

        def log_loss(coordinates):
            return jnp.log(law.from_coordinates(coordinates, centre).loss(x))

        few = {c.name: jnp.asarray(drawn[c.name], jnp.float32) for c in law.coordinates}
        assert np.isfinite(jax.vmap(log_loss)(few)).all()
        gradients = jax.vmap(jax.jacrev(log_loss))(few)
    for coordinate, gradient in gradients.items():
        assert gradient.dtype == jnp.float32
        assert np.isfinite(gradient).all(), coordinate


def test_transfer_without_pretraining_is_chinchilla():
    names = {"alpha": "alpha_N", "beta": "alpha_D"}
    scratch = {names.get(name, name): value for name, value in PLAIN.items()}
    law = Transfer(**scratch, k=1e4, alpha=0.2, beta=0.4)
    x = {"N": POINTS["N"], "D_f": POINTS["D"], "pretrained": 0.0}
    np.testing.assert_allclose(law.loss(x), chinchilla(), rtol=1e-13)
    more = law.loss(x | {"pretrained": 1.0})
    data = POINTS["D"] + 1e4 * POINTS["D"] ** 0.2 * POINTS["N"] ** 0.4
    np.testing.assert_allclose(more, Chinchilla(**PLAIN).loss(POINTS | {"D": data}), rtol=1e-13)


def test_all_of_the_domain_without_its_term_is_chinchilla():
    law = DomainShare(**PLAIN, C=0.0, gamma=0.5, eta=0.4, epsilon=0.1)
    np.testing.assert_allclose(law.loss(POINTS | {"r": 1.0}), chinchilla(), rtol=1e-13)
    with_term = DomainShare(**PLAIN, C=0.3, gamma=0.5, eta=0.4, epsilon=0.1)
    gradient = jax.grad(lambda law: law.loss({"N": 1e9, "D": 1e10, "r": 0.0}))(with_term)
    assert np.isfinite(jax.tree.leaves(gradient)).all()


def test_what_was_learned_before_counts_as_data():
    B, D_l, beta = 500.0, 3e4, 0.5
    law = PreLearned(E=1.0, K=B / D_l, D_0=D_l ** (1 / beta), beta=beta)
    papers = 1 + B / (D_l + POINTS["D"] ** beta)
    np.testing.assert_allclose(law.loss({"D_f": POINTS["D"]}), papers, rtol=1e-13)
    nothing = PreLearned(E=1.0, K=1e6 * B, D_0=1e-12, beta=beta)
    np.testing.assert_allclose(nothing.loss({"D_f": POINTS["D"]}), 1 + B / POINTS["D"] ** beta)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_additive_mixture_is_chinchilla_with_another_floor(k):
    worth = {f"C_{i}": float(i) for i in range(1, k + 1)}
    exponents = {f"g_{i}": 0.3 * i for i in range(1, k + 1)}
    h = {f"h_{i}": 1 / k for i in range(1, k + 1)}
    floor = 1 / sum(i * k ** (-0.3 * i) for i in range(1, k + 1))
    found = mixture_additive(k)(**PLAIN, **worth, **exponents).loss(POINTS | h)
    np.testing.assert_allclose(found, chinchilla() + floor, rtol=1e-13)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_joint_mixture_of_equal_domains_is_additive(k):
    numbers = range(1, k + 1)
    worth = {f"C_{i}": float(i) for i in numbers} | {f"g_{i}": 0.3 * i for i in numbers}
    outer = {"gA": 0.7, "gB": 1.3}
    inner = {f"CA_{i}": PLAIN["A"] ** (1 / 0.7) for i in numbers}
    inner |= {f"CB_{i}": PLAIN["B"] ** (1 / 1.3) for i in numbers}
    rest = {name: PLAIN[name] for name in ("E", "alpha", "beta")}
    joint = mixture_joint(k)(**rest, **outer, **worth, **inner)
    additive = mixture_additive(k)(**PLAIN, **worth)
    generator = np.random.default_rng(k)
    h = dict(zip(shares.share_symbols(k), generator.dirichlet(np.ones(k), 3).T, strict=True))
    np.testing.assert_allclose(joint.loss(POINTS | h), additive.loss(POINTS | h), rtol=1e-13)


def test_a_share_of_0_is_finite_with_its_derivatives():
    law = mixture_additive(3)(
        **PLAIN, C_1=1.0, C_2=2.0, C_3=3.0, g_1=0.4, g_2=0.4, g_3=0.4
    )  # fmt: skip
    x = {"N": 1e9, "D": 1e10, "h_1": 0.0, "h_2": 0.4, "h_3": 0.6}
    value, gradient = jax.value_and_grad(lambda law: law.loss(x))(law)
    expected = float(Chinchilla(**PLAIN).loss(x)) + 1 / (2 * 0.4**0.4 + 3 * 0.6**0.4)
    assert float(value) == pytest.approx(expected, rel=1e-11)
    assert np.isfinite(jax.tree.leaves(gradient)).all()


@pytest.mark.parametrize("k", [2, 3, 5])
def test_contrasts_set_no_domain_apart(k):
    coordinates = shares.contrasts("t", "t", "effect", k, sd=2.0)
    rows = [shares.from_contrasts(list(row)) for row in np.eye(k - 1)]
    matrix = np.array(rows).T  # from contrasts to values
    sds = np.array([c.prior.sd for c in coordinates])
    covariance = matrix @ np.diag(sds**2) @ matrix.T
    np.testing.assert_allclose(covariance, 4.0 * (np.eye(k) - 1 / k), atol=1e-12)
    values = np.random.default_rng(0).standard_normal(k)
    back = shares.from_contrasts(shares.to_contrasts(list(values)))
    np.testing.assert_allclose(back, values - values.mean(), atol=1e-12)


def test_effects_of_shares_sum_to_0():
    law = mixture_exponential(3)(c=1.5, k=1.0, t_1=-0.6, t_2=0.2)
    np.testing.assert_allclose(law.effects(), [-0.6, 0.2, 0.4])
    pure = law.loss({"h_1": 0.0, "h_2": 0.0, "h_3": 1.0})
    assert float(pure) == pytest.approx(1.5 + np.exp(0.4))


def test_laws_of_more_domains_are_found_by_path():
    law = get_law("bayescale.laws.mixture_additive:MixtureAdditive5")
    assert law is mixture_additive(5)
    assert law.inputs == ("N", "D", "h_1", "h_2", "h_3", "h_4", "h_5")
    for name in ("MixtureAdditive9", "MixtureAdditiveX", "Mixtures3"):
        with pytest.raises(InputError, match="cannot be loaded"):
            get_law(f"bayescale.laws.mixture_additive:{name}")


def test_shares_that_do_not_sum_to_1_are_refused():
    law = mixture_exponential(2)
    check_rules(law, {"h_1": np.array([0.3, 0.0]), "h_2": np.array([0.7004, 1.0])}, "runs")
    with pytest.raises(InputError) as caught:
        check_rules(law, {"h_1": np.array([0.3, 0.3]), "h_2": np.array([0.7, 0.6])}, "runs")
    message = str(caught.value)
    assert "runs, row 1: h_1 = 0.3, h_2 = 0.6" in message
    assert "the shares h_1 to h_2 must sum to 1 (within 0.001)" in message
    assert "Divide each by their sum" in message


def test_a_student_is_between_its_teacher_and_what_it_would_be_by_itself():
    law = Distillation.from_published("busbridge-2025-distillation")
    supervised = Coupled.from_published("busbridge-2025")
    x = {"N": 1e9, "D": 2e10}
    np.testing.assert_allclose(law.supervised().loss(x), supervised.loss(x), rtol=1e-14)
    alone = float(supervised.loss(x))
    weak = float(law.loss(x | {"L_T": 1.4 * alone}))
    assert weak == pytest.approx(1.4 * alone, rel=1e-6)  # no better than a teacher that is worse
    assert float(law.loss(x | {"L_T": 0.9 * alone})) < alone


def test_the_turn_is_where_the_factor_is_1_over_e():
    law = Distillation.from_published("busbridge-2025-distillation")
    x = {"N": 1e9, "D": 2e10}
    turn = float(law.to_coordinates({**x, "L_T": 2.0})["turn"])
    teacher = turn * float(law.supervised().loss(x))
    inner = law.A_d * x["N"] ** -law.alpha_d + law.B_d * x["D"] ** -law.beta_d
    full = teacher**-law.c_0 * inner**law.gamma_d
    assert (float(law.loss(x | {"L_T": teacher})) - teacher) / full == pytest.approx(np.exp(-1))


def test_supervised_priors_carry_a_posterior_to_the_runs_of_distillation():
    generator = np.random.default_rng(0)
    centre = Coupled.from_published("busbridge-2025")
    spread = {p.name: 0.01 * generator.standard_normal(4000) for p in Coupled.parameters()}
    draws = Coupled(**{n: getattr(centre, n) * np.exp(z) for n, z in spread.items()})
    N, D = [1e8, 1e9, 5e9], [1e10, 2e10, 1e11]
    priors = supervised_priors(draws, N, D)
    there = {"N": np.exp(np.mean(np.log(N))), "D": np.exp(np.mean(np.log(D)))}
    expected = {n: np.asarray(v) for n, v in draws.to_coordinates(there).items()}
    assert set(priors) == set(expected) <= {c.name for c in Distillation.coordinates}
    for name, prior in priors.items():
        found = prior.quantile([0.05, 0.5, 0.95], {})
        np.testing.assert_allclose(found, np.quantile(expected[name], [0.05, 0.5, 0.95]), rtol=0.01)


def test_columns_are_read_by_role():
    table = {
        "params": [1e8, 2e8], "finetuning_tokens": [1e6, 1e7], "pretrained": [0, 1],
        "share_1": [0.2, 0.5], "share_2": [0.8, 0.5], "loss": [3.0, 2.5],
    }  # fmt: skip
    runs = Runs.read(table).with_inputs(("D_f", "pretrained", "h_1", "h_2"))
    assert runs["pretrained"].tolist() == [0, 1]
    assert runs["h_2"].tolist() == [0.8, 0.5]
    with pytest.raises(InputError, match=r"pretrained .* must be between 0 and 1"):
        Runs.read(table | {"pretrained": [0, 2]}).with_inputs(("pretrained",))
