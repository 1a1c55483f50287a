"""What makes forecasts: the package's models, mixtures of them, and peers. Each gives draws of log loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
from scipy.optimize import minimize

import bayescale
from bayescale import Runs

Method = Callable[[Runs, Runs], np.ndarray]  # fitted runs and new ones, to shape (draws, runs)
DELTA = 1e-3  # of the Huber loss
SAMPLES = 200
SEED = 0
DRIFT, TREND = "damped-trend", "student-t-trend"


def posterior(train: Runs, test: Runs, **options: str) -> np.ndarray:
    """`bayescale.fit` and `bayescale.predict`, as a user types them."""
    fit = bayescale.fit(train, seed=SEED, **options)
    points = {symbol: test[symbol] for symbol in fit.spec.law.inputs}
    return np.log(bayescale.predict(fit, points=points, seed=SEED, allow_failed=True).draws)


def widened(train: Runs, test: Runs) -> np.ndarray:
    """The default, widened by its own backtest of the fitted runs; as it is if they are too few for one."""
    fit = bayescale.fit(train, seed=SEED)
    prediction = bayescale.predict(fit, N=test.N, D=test.D, seed=SEED, allow_failed=True)
    try:
        found = bayescale.widen(prediction, bayescale.backtest(fit.runs, **fit.settings, seed=SEED))
    except bayescale.InputError:
        return np.log(prediction.draws)
    logs = np.log(found.draws)
    median = np.median(logs, axis=0)
    return median + found.factors * (logs - median)


def mixture(train: Runs, test: Runs, *parts: Method) -> np.ndarray:
    """Half of each."""
    return np.concatenate([part(train, test) for part in parts])


def one_constant(train: Runs, test: Runs, law: str, sd: float = 0.02) -> np.ndarray:
    """A shared error with this sd for a root of a decade beyond the runs, the same for all sets."""
    draws = posterior(train, test, law=law, drift="none")
    distance = np.log10(test.N * test.D) - np.log10(train.N * train.D).max()
    error = np.random.default_rng(1).standard_normal((len(draws), 1))
    return draws + sd * np.sqrt(np.maximum(distance, 0)) * error


def huber_bootstrap(train: Runs, test: Runs) -> np.ndarray:
    """Point fits to resampled rows by the Huber loss of log loss, with resampled residuals added."""
    generator = np.random.default_rng(0)

    def predicted(theta: np.ndarray, runs: Runs) -> np.ndarray:
        e, a, b, alpha, beta = theta
        terms = [np.full(len(runs), e), a - alpha * np.log(runs.N), b - beta * np.log(runs.D)]
        return np.logaddexp.reduce(terms)

    def loss(theta: np.ndarray, runs: Runs) -> float:
        residual = np.abs(np.log(runs.loss) - predicted(theta, runs))
        inner = np.minimum(residual, DELTA)
        return float(np.sum(inner * (residual - inner / 2)))

    starts = product((0, 0.5, 1), (5, 10), (5, 10), (0.3, 0.5), (0.3, 0.5))
    fits = [minimize(loss, start, (train,), method="L-BFGS-B") for start in starts]
    best = min(fits, key=lambda fit: fit.fun).x
    draws = []
    for _ in range(SAMPLES):
        sample = train.take(generator.integers(0, len(train), len(train)))
        theta = minimize(loss, best, (sample,), method="L-BFGS-B").x
        residual = np.log(sample.loss) - predicted(theta, sample)
        draws.append(predicted(theta, test) + generator.choice(residual, len(test)))
    return np.array(draws)


def simple_scaling_laws(train: Runs, test: Runs, law: str) -> np.ndarray:
    """The package of that name: its bootstrap, and what it says of a new run."""
    import polars
    import simple_scaling_laws

    sizes = {"model_size__parameters": train.N, "dataset_size__tokens": train.D}
    names = {"training_run_id": [str(i) for i in range(len(train))]}
    table = polars.DataFrame({**names, **sizes, "test_loss__loss": train.loss})
    model = simple_scaling_laws.fit(table, law=law, n_draws=SAMPLES, seed=0)
    points = polars.DataFrame({"model_size__parameters": test.N, "dataset_size__tokens": test.D})
    levels = tuple(np.round(np.linspace(0.005, 0.995, 199), 3).tolist())
    found = model.predict(points, kind="new-run", quantiles=levels, seed=0)
    return np.log(quantile_columns(found, len(levels)))


def quantile_columns(frame, count: int) -> np.ndarray:
    """The quantiles of a prediction, shape (quantiles, points); they stand in for draws."""
    names = [name for name in frame.columns if name.startswith("test_loss__loss__")]
    if len(names) != count:
        raise ValueError(f"{count} quantiles were asked for, and there are {len(names)}")
    return np.sort(frame.select(names).to_numpy().T, axis=0)


def methods() -> dict[str, Method]:
    """Every method by its name, the package's own first."""
    laws = ("chinchilla", "coupled")
    plain = {law: partial(posterior, law=law, drift="none") for law in laws}
    trend = {law: partial(posterior, law=law, drift="none", noise=TREND) for law in laws}
    steady = {law: partial(posterior, law=law, drift=DRIFT) for law in laws}
    drifting = {law: partial(posterior, law=law, drift=DRIFT, noise=TREND) for law in laws}

    def half(parts: dict[str, Method]) -> Method:
        return lambda train, test: mixture(train, test, *parts.values())

    return {
        "default: no options": posterior,
        "default, widened by its own backtest": widened,
        "chinchilla": plain["chinchilla"],
        "coupled": plain["coupled"],
        "half of each": half(plain),
        "half of each, trend of scatter": half(trend),
        "half of each, drift": half(steady),
        "chinchilla, drift, trend of scatter": drifting["chinchilla"],
        "coupled, drift, trend of scatter": drifting["coupled"],
        "chinchilla, one constant": partial(one_constant, law="chinchilla"),
        "coupled, one constant": partial(one_constant, law="coupled"),
        "Huber bootstrap": huber_bootstrap,
        "simple-scaling-laws, separable": partial(simple_scaling_laws, law="separable-power"),
        "simple-scaling-laws, coupled": partial(simple_scaling_laws, law="skaling-joint-power"),
    }
