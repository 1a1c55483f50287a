"""Points and references at which every law is tested, whatever its inputs."""

import itertools

import numpy as np

from bayescale import Runs
from bayescale.runs.catalogue import FROM_ONE, domain_of

TYPICAL = {  # where the input lies in studies
    "N": 4e8, "D": 8e9, "U": 2e9, "C": 2e19, "x": 3e8, "S_min": 2e4, "D_f": 1e8, "k": 30.0,
    "N_act": 4e8, "experts": 16.0, "G": 4.0, "S": 0.5, "P_w": 8.0, "P_a": 8.0, "P_kv": 8.0,
    "P_post": 6.0, "group_size": 64.0, "L_T": 2.4, "P": 4.0, "N_v": 3e7, "lr": 1e-3, "batch": 5e5,
    "r": 0.3, "step": 300.0, "L_pre": 2.5, "chance": 0.25,
}  # fmt: skip
RANGE = {  # factors around it, where those of the others are a tenth to ten times
    "experts": 4.0, "G": 2.0, "P_w": 2.0, "P_a": 2.0, "P_kv": 2.0, "P_post": 1.6, "L_T": 1.2,
    "P": 2.0, "k": 10.0, "group_size": 4.0, "U": 3.0, "L_pre": 1.3,
}  # fmt: skip
LOSS = 2.5


def typical(symbol):
    """The reference of an input: a share of a domain is one of as many as there are."""
    return TYPICAL.get(symbol, 0.4)


def values(symbol):
    """Three values of an input, within its domain."""
    domain = domain_of(symbol)
    if domain.high <= 1:
        return np.array([0.1, 0.4, 0.7])
    factor = RANGE.get(symbol, 10.0)
    found = typical(symbol) * np.array([1 / factor, 1.0, factor])
    return np.maximum(found, 1.0) if domain is FROM_ONE else found


def reference(law):
    """The numbers of a data set that the priors of a law refer to."""
    found = {symbol: typical(symbol) for symbol in law.inputs} | {"low_loss": LOSS}
    for name in law.extremes:
        ends = (LOSS * 0.9, LOSS * 2) if name == "loss" else values(name)[[0, -1]]
        found |= {f"lowest_{name}": float(ends[0]), f"highest_{name}": float(ends[1])}
    return found


def permitted(law, x):
    """The points that the rules of the law permit; shares of domains are made to sum to 1."""
    x = {symbol: np.asarray(column, dtype=float) for symbol, column in x.items()}
    shares = [symbol for symbol in x if symbol.startswith("h_")]
    total = sum(x[symbol] for symbol in shares)
    x |= {symbol: x[symbol] / total for symbol in shares}
    keep = np.ones(len(next(iter(x.values()))), dtype=bool)
    for rule in law.rules:
        keep &= np.asarray(rule.holds(x))
    return {symbol: column[keep] for symbol, column in x.items()}


def grid(law):
    """All combinations of three values of each input."""
    columns = np.array(list(itertools.product(*(values(s) for s in law.inputs)))).T
    return permitted(law, dict(zip(law.inputs, columns, strict=True)))


def scattered(law, count=64, seed=7):
    """Points spread evenly over the logarithms of the inputs; the values of a setting are few."""
    generator = np.random.default_rng(seed)
    found = {symbol: [] for symbol in law.inputs}
    while len(found[law.inputs[0]]) < count:
        columns = {}
        for symbol in law.inputs:
            low, _, high = values(symbol)
            if domain_of(symbol).high <= 1:
                columns[symbol] = generator.uniform(low, high, count)
            else:
                columns[symbol] = np.exp(generator.uniform(np.log(low), np.log(high), count))
        columns = permitted(law, columns)
        found = {symbol: [*found[symbol], *columns[symbol]] for symbol in law.inputs}
    return {symbol: np.array(column[:count]) for symbol, column in found.items()}


def runs(law, points, loss=LOSS):
    """Runs at some points, with these losses."""
    count = len(next(iter(points.values())))
    losses = np.broadcast_to(np.asarray(loss, dtype=float), count).copy()
    response = "loss" if law.response == "loss" else law.response
    return Runs(losses, points, response=response)
