"""The peer in Stan: reads a data set a line, compiles or samples, answers a line.

It runs in a process of its own, and needs PyStan 3 and NumPy only.
"""

from __future__ import annotations

import json
import os
import sys

PROGRAM = """
data { int n; vector[n] logN; vector[n] logD; vector[n] y; }
parameters {
  real<lower=0> E; real logA; real logB; real<lower=0> alpha; real<lower=0> beta;
  real<lower=0> sigma; real<lower=0> nu;
}
model {
  E ~ normal(2, 1); logA ~ normal(6, 3); logB ~ normal(6, 3);
  alpha ~ normal(0.35, 0.2); beta ~ normal(0.35, 0.2);
  sigma ~ normal(0, 0.1); nu ~ gamma(2, 0.1);
  y ~ student_t(nu, log(E + exp(logA - alpha * logN) + exp(logB - beta * logD)), sigma);
}
"""
NAMES = ("E", "logA", "logB", "alpha", "beta", "sigma", "nu")


def sample(asked: dict) -> None:
    import numpy as np
    import stan

    model = stan.build(PROGRAM, data=asked["data"], random_seed=asked.get("seed"))
    if "out" not in asked:
        return
    fit = model.sample(num_chains=asked["chains"], num_samples=asked["draws"])
    shape = asked["draws"], asked["chains"]  # PyStan joins chains draw by draw
    np.savez(asked["out"], **{name: fit[name].reshape(shape).T for name in NAMES})


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # PyStan prints its progress
    for line in sys.stdin:
        try:
            sample(json.loads(line))
            answer = {}
        except ModuleNotFoundError as error:
            answer = {"missing": error.name in {"stan", "numpy"}, "error": str(error)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
