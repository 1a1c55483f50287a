"""The posterior against independent computations: quadrature, and another sampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bayescale
from bayescale import Runs
from bayescale.model import reference_of
from conftest import monte_carlo, simulate

N_GRID, SIGMA_GRID, NODES = 17, 9, 5


class Twin:
    """The model written again in NumPy: loss, priors and Gaussian scatter of log loss."""

    def __init__(self, runs):
        reference = reference_of(runs, ("N", "D"))
        self.product, self.low = reference["N"] * reference["D"], reference["low_loss"]
        self.N, self.D, self.y = runs.N, runs.D, np.log(runs.loss)

    def law(self, phi, alpha, beta):
        """E, A, B from (ln L*, logit share of E, ln M*), for phi of shape (..., 3)."""
        best, share, ratio = (
            np.exp(phi[..., 0]),
            1 / (1 + np.exp(-phi[..., 1])),
            np.exp(phi[..., 2]),
        )
        n, d = np.sqrt(self.product / ratio), np.sqrt(self.product * ratio)
        a = beta / (alpha + beta)
        reducible = best * (1 - share)
        return best * share, a * reducible * n**alpha, (1 - a) * reducible * d**beta

    def mean(self, phi, alpha, beta):
        E, A, B = (v[..., None] for v in self.law(phi, alpha, beta))
        return np.log(E + A * self.N**-alpha + B * self.D**-beta)

    def log_prior_phi(self, phi):
        share = 1 / (1 + np.exp(-phi[..., 1]))
        return (
            stats.norm.logpdf(phi[..., 0], np.log(self.low), 0.15)
            + stats.beta.logpdf(share, 4, 1.7) + np.log(share * (1 - share))
            + stats.norm.logpdf(phi[..., 2], np.log(15), 0.9)
        )  # fmt: skip

    def log_integral(self, alpha, beta, sigma, start):
        """ln of the integral of prior times likelihood over E, A, B, and the mean of E there.

        Given alpha and beta the law is linear in E, A, B and the log is almost so: Gauss-Hermite
        nodes about the conditional mode are exact for a polynomial of degree 9 in each direction.
        """
        phi = start
        for _ in range(3):
            slope = (
                np.stack(
                    [
                        self.mean(phi + h, alpha, beta) - self.mean(phi - h, alpha, beta)
                        for h in 1e-5 * np.eye(3)
                    ]
                ).T
                / 2e-5
            )
            precision = slope.T @ slope / sigma**2 + np.diag([1 / 0.15**2, 1.0, 1 / 0.9**2])
            centre = np.array([np.log(self.low), np.log(4 / 1.7), np.log(15)])
            gradient = slope.T @ (self.y - self.mean(phi, alpha, beta)) / sigma**2
            gradient += np.array([1 / 0.15**2, 1.0, 1 / 0.9**2]) * (centre - phi)
            phi = phi + np.linalg.solve(precision, gradient)
        root = np.linalg.cholesky(np.linalg.inv(precision))
        x, w = np.polynomial.hermite_e.hermegauss(NODES)
        grid = np.stack(np.meshgrid(x, x, x, indexing="ij"), -1).reshape(-1, 3)
        weight = np.log(
            np.prod(np.stack(np.meshgrid(w, w, w, indexing="ij"), -1).reshape(-1, 3), -1)
        )
        nodes = phi + grid @ root.T
        likelihood = stats.norm.logpdf(self.y, self.mean(nodes, alpha, beta), sigma).sum(-1)
        terms = self.log_prior_phi(nodes) + likelihood + weight + (grid**2).sum(-1) / 2
        top = terms.max()
        mass = np.exp(terms - top)
        E = self.law(nodes, alpha, beta)[0]
        log_volume = np.linalg.slogdet(root)[1]
        return top + np.log(mass.sum()) + log_volume, (mass * E).sum() / mass.sum(), phi


def truncated_log_normal(x, median, sd):
    inside = np.diff(stats.norm.cdf((np.log([0.05, 1.2]) - np.log(median)) / sd))[0]
    return stats.norm.logpdf(np.log(x), np.log(median), sd) - np.log(x) - np.log(inside)


@pytest.fixture(scope="module")
def gaussian_runs():
    return Runs.read(simulate(n=40, sigma=0.006, seed=11))


def test_agrees_with_quadrature_over_alpha_beta_and_scale(gaussian_runs):
    fit = bayescale.fit(gaussian_runs, noise="gaussian", draws=2000, seed=5)
    twin = Twin(gaussian_runs)
    centres = {name: (d.mean(), d.std()) for name, d in fit.parameters.items()}
    alphas, betas = (
        np.linspace(m - 5 * s, m + 5 * s, N_GRID) for m, s in (centres["alpha"], centres["beta"])
    )
    log_sigma = np.log(fit.noise.sigma)
    log_sigmas = log_sigma.mean() + np.linspace(-4.5, 4.5, SIGMA_GRID) * log_sigma.std()
    start = np.array([np.log(twin.low), 0.8, np.log(15.0)])
    table = np.empty((N_GRID, N_GRID, SIGMA_GRID, 2))
    for i, alpha in enumerate(alphas):
        for j, beta in enumerate(betas):
            for k, t in enumerate(log_sigmas):
                value, E, start = twin.log_integral(alpha, beta, np.exp(t), start)
                value += truncated_log_normal(alpha, 0.30, 0.40) + truncated_log_normal(
                    beta, 0.36, 0.50
                )
                table[i, j, k] = value + stats.norm.logpdf(t, np.log(0.006), 0.8), E
    mass = np.exp(table[..., 0] - table[..., 0].max())
    mass /= mass.sum()
    edges = [mass[[0, -1]].sum(), mass[:, [0, -1]].sum(), mass[:, :, [0, -1]].sum()]
    assert max(edges) < 1e-3  # the grid holds the posterior
    grids = np.meshgrid(alphas, betas, log_sigmas, indexing="ij")
    quantities = {
        "alpha": (grids[0], fit.law.alpha),
        "beta": (grids[1], fit.law.beta),
        "log sigma": (grids[2], np.log(fit.noise.sigma)),
    }
    for name, (grid, draws) in quantities.items():
        mean, mean_error, sd, sd_error = monte_carlo(draws)
        truth = (mass * grid).sum()
        truth_sd = np.sqrt((mass * (grid - truth) ** 2).sum())
        assert abs(mean - truth) < 4 * mean_error, name
        assert abs(sd - truth_sd) < 4 * sd_error, name
    mean, error, _, _ = monte_carlo(fit.law.E)
    assert abs(mean - (mass * table[..., 1]).sum()) < 4 * error


def test_agrees_with_blackjax_for_student_t_scatter():
    import blackjax

    runs = Runs.read(simulate(n=60, sigma=0.005, seed=21, nu=3))
    fit = bayescale.fit(runs, seed=2)
    reference = reference_of(runs, ("N", "D"))
    with jax.enable_x64(True):
        N, D, y = map(jnp.asarray, (runs.N, runs.D, np.log(runs.loss)))
        product = reference["N"] * reference["D"]

        def log_density(u):
            """u: ln L*, logit share, ln M*, ln alpha, ln beta, ln sigma, ln (nu - 2); written anew."""
            best, share, ratio = jnp.exp(u[0]), jax.nn.sigmoid(u[1]), jnp.exp(u[2])
            alpha, beta, sigma, excess = jnp.exp(u[3]), jnp.exp(u[4]), jnp.exp(u[5]), jnp.exp(u[6])
            n, d = jnp.sqrt(product / ratio), jnp.sqrt(product * ratio)
            a = beta / (alpha + beta)
            reducible = best * (1 - share)
            terms = a * (N / n) ** -alpha + (1 - a) * (D / d) ** -beta
            z = (y - jnp.log(best * share + reducible * terms)) / sigma
            nu = 2 + excess
            density = jax.scipy.stats.t.logpdf(z, nu).sum() - len(runs.loss) * u[5]
            priors = (
                -0.5 * ((u[0] - jnp.log(reference["low_loss"])) / 0.15) ** 2
                + 4 * jnp.log(share) + 1.7 * jnp.log1p(-share)
                - 0.5 * ((u[2] - jnp.log(15.0)) / 0.9) ** 2
                - 0.5 * ((u[3] - jnp.log(0.30)) / 0.40) ** 2
                - 0.5 * ((u[4] - jnp.log(0.36)) / 0.50) ** 2
                - 0.5 * ((u[5] - jnp.log(0.006)) / 0.8) ** 2
                + 2 * u[6] - 0.1 * excess
            )  # fmt: skip
            inside = (alpha < 1.2) & (beta < 1.2) & (alpha > 0.05) & (beta > 0.05)
            return jnp.where(inside, density + priors, -jnp.inf)

        start = jnp.log(jnp.array([reference["low_loss"], 2.3, 15.0, 0.35, 0.36, 0.005, 2.0]))

        def chain(key):
            warm, run = jax.random.split(key)
            adaptation = blackjax.window_adaptation(
                blackjax.nuts,
                log_density,
                is_mass_matrix_diagonal=False,
                target_acceptance_rate=0.9,
            )
            (state, parameters), _ = adaptation.run(warm, start, 800)
            kernel = blackjax.nuts(log_density, **parameters).step

            def step(state, key):
                state, _ = kernel(key, state)
                return state, state.position

            return jax.lax.scan(step, state, jax.random.split(run, 1500))[1]

        keys = jax.random.split(jax.random.key(9), 4)
        u = np.asarray(jax.jit(jax.vmap(chain))(keys))
    theirs = {
        "L_opt": np.exp(u[..., 0]),
        "share_E": 1 / (1 + np.exp(-u[..., 1])),
        "M_opt": np.exp(u[..., 2]),
        "alpha": np.exp(u[..., 3]),
        "beta": np.exp(u[..., 4]),
        "sigma": np.exp(u[..., 5]),
        "nu": 2 + np.exp(u[..., 6]),
    }
    for name, draws in theirs.items():
        mean, error, sd, sd_error = monte_carlo(np.log(fit.coordinates[name]))
        other, other_error, other_sd, other_sd_error = monte_carlo(np.log(draws))
        assert abs(mean - other) < 4 * np.hypot(error, other_error), name
        assert abs(sd - other_sd) < 4 * np.hypot(sd_error, other_sd_error), name
