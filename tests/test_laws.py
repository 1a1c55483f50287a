"""The contract that every law keeps, and the numbers that papers print."""

import dataclasses
import re
from typing import ClassVar, get_type_hints

import formulas_architecture
import formulas_curves
import formulas_data
import formulas_one_variable
import formulas_size_and_data
import formulas_tasks
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from law_designs import grid, reference
from scipy.optimize import minimize_scalar

from bayescale.errors import InputError
from bayescale.laws import LAWS, Chinchilla, ClosedFormOptimum, Coupled, Law, Power, get_law
from bayescale.model import ModelSpec, prior_draws
from bayescale.noise import Gaussian
from bayescale.parameters import Coordinate, parameter
from bayescale.priors import LogNormal
from bayescale.runs.catalogue import domain_of


class OneExponent(Law):
    r"""A law from outside the package: one exponent for N and D, and coordinates of its own.

    .. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\alpha}

    References
    ----------
    Muennighoff et al. 2023, arXiv:2305.16264.
    """

    name: ClassVar = "one-exponent"
    title: ClassVar = "Chinchilla law with one exponent"
    equation: ClassVar = r"L = E + A N^{-\alpha} + B D^{-\alpha}"
    source: ClassVar = "Muennighoff et al. 2023, arXiv:2305.16264"
    inputs: ClassVar = ("N", "D")

    E: Float[Array, " ..."] = parameter("E", "irreducible loss", "loss")
    A: Float[Array, " ..."] = parameter("A", "scale of the term in N", "loss")
    B: Float[Array, " ..."] = parameter("B", "scale of the term in D", "loss")
    alpha: Float[Array, " ..."] = parameter(r"\alpha", "exponent of N and of D")

    coordinates: ClassVar = (
        Coordinate("E", LogNormal(0.7, 0.3, relative_to="low_loss"), "E", "irreducible loss"),
        Coordinate("term_N", LogNormal(0.4, 0.5), "l_N", "term in N at the centre"),
        Coordinate("term_D", LogNormal(0.3, 0.5), "l_D", "term in D at the centre"),
        Coordinate("alpha", LogNormal(0.3, 0.4), r"\alpha", "exponent"),
    )

    def loss(self, x):
        return self.E + self.A * x["N"] ** -self.alpha + self.B * x["D"] ** -self.alpha

    @classmethod
    def from_coordinates(cls, coordinates, reference):
        c = coordinates
        A = c["term_N"] * reference["N"] ** c["alpha"]
        return cls(c["E"], A, c["term_D"] * reference["D"] ** c["alpha"], c["alpha"])

    def to_coordinates(self, reference):
        term_N = self.A * reference["N"] ** -self.alpha
        term_D = self.B * reference["D"] ** -self.alpha
        return {"E": self.E, "term_N": term_N, "term_D": term_D, "alpha": self.alpha}


CONTRACT = [*LAWS.values(), OneExponent]
WITH_OPTIMUM = [law for law in CONTRACT if issubclass(law, ClosedFormOptimum)]
REFERENCE = {"N": 4e8, "D": 8e9, "x": 3e8, "low_loss": 2.5}
FORMULAS = {  # the papers' equations once more, in plain NumPy
    "chinchilla": lambda E, A, B, alpha, beta, N, D: E + A / N**alpha + B / D**beta,
    "coupled": lambda E, A, B, alpha, beta, k, N, D: E + (A / N**alpha + B / D**beta) ** k,
    "power": lambda E, c, alpha, x: E + c / x**alpha,
    "one-exponent": lambda E, A, B, alpha, N, D: E + A / N**alpha + B / D**alpha,
    **formulas_one_variable.FORMULAS,
    **formulas_size_and_data.FORMULAS,
    **formulas_architecture.FORMULAS,
    **formulas_data.FORMULAS,
    **formulas_tasks.FORMULAS,
    **formulas_curves.FORMULAS,
}

every_law = pytest.mark.parametrize("law", CONTRACT, ids=lambda law: law.name)
every_optimum = pytest.mark.parametrize("law", WITH_OPTIMUM, ids=lambda law: law.name)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def draws(law, count=40):
    """Prior draws of the law's coordinates."""
    drawn = prior_draws(ModelSpec(law, Gaussian), reference(law), count, seed=1)
    return {c.name: drawn[c.name] for c in law.coordinates}


def laws(law, count=40):
    """The law of each prior draw, as one object."""
    return jax.vmap(lambda c: law.from_coordinates(c, reference(law)))(draws(law, count))


def one(laws, i):
    return jax.tree.map(lambda field: field[i], laws)


def fields(law):
    return {p.name: np.asarray(getattr(law, p.name)) for p in law.parameters()}


def losses(laws, x):
    return np.asarray(jax.vmap(lambda law: law.loss(x))(laws))


@every_law
def test_documentation(law):
    assert ".. math::" in law.__doc__
    assert "References\n" in law.__doc__
    assert re.search(r"arXiv:\d{4}\.\d{5}", law.source)
    assert law.name == law.name.strip().lower()
    assert law.title
    assert law.equation
    assert all(re.search(rf"\b{symbol}\b", law.__doc__) for symbol in law.inputs)


@every_law
def test_declarations(law):
    declared = [p.name for p in law.parameters()]
    assert declared == [field.name for field in dataclasses.fields(law)]
    assert set(declared) <= set(get_type_hints(law))  # which resolves the annotations
    assert all(p.symbol and p.meaning for p in law.parameters())
    assert all(c.symbol and c.meaning for c in law.coordinates)
    assert len({c.name for c in law.coordinates}) == len(law.coordinates) == len(declared)
    for fit in law.published:
        assert sorted(fit.values) == sorted(declared)
        assert fit.source
        assert np.isfinite(law.from_published(fit.key).loss(grid(law))).all()


@every_law
def test_found_by_name_class_and_path(law):
    assert get_law(law) is law
    assert law is OneExponent or get_law(law.name) is law
    assert get_law(f"{law.__module__}:{law.__name__}") is law


@every_law
def test_prior_draws(law):
    for c in law.coordinates:
        low, high = c.prior.quantile([0, 1], reference(law))
        assert np.all((draws(law)[c.name] > low) & (draws(law)[c.name] < high)), c.name
        u = c.prior.to_unbounded(draws(law)[c.name], reference(law))
        assert np.isfinite(c.prior.from_unbounded(u, reference(law))).all(), c.name
    values = losses(laws(law), grid(law))
    assert np.isfinite(values).all()
    assert (values > 0).all()


@every_law
def test_equation(law):
    x = grid(law)
    expected = FORMULAS[law.name](**{n: v[:, None] for n, v in fields(laws(law)).items()}, **x)
    np.testing.assert_allclose(losses(laws(law), x), expected, rtol=1e-12)


@every_law
def test_loss_falls_in_each_input(law):
    for symbol in law.inputs if law.falls_in is None else law.falls_in:
        x = grid(law)
        more = 1.2 * x[symbol]
        x = {s: column[domain_of(symbol).holds(more)] for s, column in x.items()}
        larger = x | {symbol: 1.2 * x[symbol]}
        allowed = np.ones(len(larger[symbol]), dtype=bool)
        for rule in law.rules:
            allowed &= np.asarray(rule.holds(larger))
        assert allowed.any(), symbol
        change = losses(laws(law), larger) - losses(laws(law), x)
        assert (change[:, allowed] < 0).all(), symbol


@every_law
def test_gradient(law):
    names, values = [c.name for c in law.coordinates], draws(law)
    points = np.stack([values[name] for name in names], axis=1)
    x = {symbol: column[[0, -1]] for symbol, column in grid(law).items()}

    def loss(point):
        coordinates = dict(zip(names, point, strict=True))
        return law.from_coordinates(coordinates, reference(law)).loss(x)

    many = jax.jit(jax.vmap(loss))
    gradient = np.asarray(jax.jit(jax.vmap(jax.jacrev(loss)))(points))
    assert np.isfinite(gradient).all()
    size = np.maximum(np.abs(points), 0.01)
    for i in range(len(names)):
        step = 1e-5 * size * (np.arange(len(names)) == i)
        difference = (many(points + step) - many(points - step)) / (2 * step[:, i, None])
        # An error of 1e-9 of the loss over the step, beside the curvature of steep draws.
        atol = 1e-9 * np.abs(many(points)) / size[:, i, None]
        error = np.abs(gradient[:, :, i] - difference)
        assert (error < atol + 1e-6 * np.abs(gradient[:, :, i])).all(), names[i]


@every_law
def test_is_a_pytree(law):
    drawn = laws(law)
    returned = jax.jit(lambda law: law)(drawn)
    assert type(returned) is law
    assert jax.tree.structure(returned) == jax.tree.structure(drawn)
    for name, value in fields(drawn).items():
        np.testing.assert_array_equal(getattr(returned, name), value)
    x = grid(law)
    jitted = jax.jit(lambda law, x: law.loss(x))(one(drawn, 0), x)
    np.testing.assert_allclose(jitted, one(drawn, 0).loss(x), rtol=1e-13)


@every_law
def test_vmap_is_a_loop(law):
    x, drawn = grid(law), laws(law, 5)
    np.testing.assert_allclose(
        losses(drawn, x), [one(drawn, i).loss(x) for i in range(5)], rtol=1e-13
    )


@every_law
def test_coordinates_are_a_bijection(law):
    c, drawn = draws(law), laws(law)
    back = jax.vmap(lambda law: law.to_coordinates(reference(law)))(drawn)
    assert sorted(back) == sorted(c)
    for name in c:
        np.testing.assert_allclose(back[name], c[name], rtol=1e-9, err_msg=name)
    again = jax.vmap(lambda c: law.from_coordinates(c, reference(law)))(back)
    for name, value in fields(drawn).items():
        np.testing.assert_allclose(getattr(again, name), value, rtol=1e-7, err_msg=name)


@every_optimum
@pytest.mark.parametrize(("C", "k"), [(1e18, 6.0), (1e24, 6.0), (1e21, 2.0)])
def test_closed_form_optimum_is_the_lowest_loss(law, C, k):
    formula, drawn = FORMULAS[law.name], laws(law, 15)
    for i in range(15):
        p = {name: float(value[i]) for name, value in fields(drawn).items()}

        def loss(log_n, p=p):
            n = np.exp(log_n)
            return formula(**p, N=n, D=C / k / n)

        brute = minimize_scalar(loss, bounds=(0, np.log(C / k)), options={"xatol": 1e-10})
        n, d = (float(v) for v in one(drawn, i).optimum(C, k))
        # Brent finds the place of a minimum only to the root of the precision of its height.
        assert np.log(n) == pytest.approx(brute.x, abs=1e-4)
        assert formula(**p, N=n, D=d) <= brute.fun * (1 + 1e-14)


@every_optimum
def test_optimum_spends_the_budget_and_balances_the_terms(law):
    drawn, C = laws(law), 3e22
    n, d = (np.asarray(v) for v in drawn.optimum(C, 6.0))
    np.testing.assert_allclose(6 * n * d, C, rtol=1e-12)

    def slopes(law, log_n, log_d):
        def loss(log_n, log_d):
            return law.loss({"N": jnp.exp(log_n), "D": jnp.exp(log_d)})

        return jax.grad(loss, (0, 1))(log_n, log_d)

    in_n, in_d = jax.vmap(slopes)(drawn, np.log(n), np.log(d))
    np.testing.assert_allclose(in_n, in_d, rtol=1e-9)


@every_optimum
def test_allocation_exponents_are_the_slopes_of_the_optimum(law):
    drawn = laws(law)
    exponents = drawn.allocation_exponents()
    for name, low, high in zip(
        "ab", drawn.optimum(1e20, 6.0), drawn.optimum(1e23, 6.0), strict=True
    ):
        np.testing.assert_allclose(exponents[name], np.log(high / low) / np.log(1e3), rtol=1e-10)


def test_coupled_with_k_1_is_chinchilla():
    chinchilla = laws(Chinchilla)
    coupled = Coupled(**fields(chinchilla), k=jnp.ones(40))
    x = grid(Chinchilla)
    np.testing.assert_allclose(losses(coupled, x), losses(chinchilla, x), rtol=1e-14)
    np.testing.assert_array_equal(coupled.optimum(1e22, 6.0), chinchilla.optimum(1e22, 6.0))


def test_coupled_has_the_effective_exponents_of_its_paper():
    c = Coupled.from_published("busbridge-2025").to_coordinates(REFERENCE)
    assert [f"{c[name]:.3f}" for name in ("k_alpha", "k_beta")] == ["0.184", "0.195"]


ROUNDED = Chinchilla(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)


@pytest.mark.parametrize(
    ("law", "n", "d", "ratio"),
    [
        (ROUNDED, 32.2, 2.98, 93),  # Hoffmann et al. 2022, constants of the body text
        (Chinchilla.from_published("hoffmann-2022"), 40.4, 2.38, 59),
        (Chinchilla.from_published("besiroglu-2024"), 72.3, 1.33, 18),
    ],
    ids=["hoffmann-rounded", "hoffmann", "besiroglu"],
)
def test_published_optimum_at_the_budget_of_gopher(law, n, d, ratio):
    # One unit of the last digit: exponents of five digits settle N to 0.03e9 only.
    N, D = (float(v) for v in law.optimum(5.76e23, 6.0))
    assert pytest.approx(n, abs=0.1) == N / 1e9
    assert pytest.approx(d, abs=0.01) == D / 1e12
    assert round(D / N) == ratio


def test_prior_predictive_of_the_chinchilla_law():
    # 0.99 and 0.997 are the shares found when the priors were chosen, to the digits given.
    count, budget = 100_000, 1e21
    reference = {"N": np.sqrt(budget / 6 / 15), "D": np.sqrt(budget / 6 * 15), "low_loss": 2.5}
    drawn = prior_draws(ModelSpec(Chinchilla, Gaussian), reference, count, seed=0)
    law = Chinchilla.from_coordinates(drawn, reference)
    loss = np.asarray(law.loss({"N": 1e9, "D": 2e10}))
    n, d = (np.asarray(v) for v in law.optimum(budget, 6.0))
    for inside, share, digit in [
        ((loss > 1.6) & (loss < 4.5), 0.99, 0.01),
        ((d / n > 1) & (d / n < 200), 0.997, 0.001),
    ]:
        standard_error = np.sqrt(share * (1 - share) / count)
        assert abs(inside.mean() - share) < digit / 2 + 4 * standard_error


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"'kaplan' is not a law. Use one of chinchilla, coupled"):
        get_law("kaplan")
    with pytest.raises(InputError, match="'no_such_module:Law' cannot be loaded"):
        get_law("no_such_module:Law")
    with pytest.raises(InputError, match=r"'bayescale.laws:Missing' cannot be loaded"):
        get_law("bayescale.laws:Missing")
    with pytest.raises(InputError, match="is not a law"):
        get_law("bayescale.noise:Gaussian")
    with pytest.raises(KeyError, match="no published fit 'x'; there are: hoffmann-2022, besiroglu"):
        Chinchilla.from_published("x")
    with pytest.raises(KeyError, match="'power' has no published fit 'x'; there are: none"):
        Power.from_published("x")
