"""Papers' equations once more, in plain NumPy: laws of one variable."""

import numpy as np


def m4(e_inf, e0, alpha, beta, c, x):
    """M4 by bisection of the loss between its two ends."""
    low, high = (end + 0.0 * x for end in (e_inf, e0))
    for _ in range(200):
        middle = (low + high) / 2
        with np.errstate(divide="ignore"):
            excess = np.log(middle - e_inf) - alpha * np.log(e0 - middle)
        above = excess > np.log(beta) - c * np.log(x)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def bnsl(a, b, c0, breaks, x):
    """A broken neural scaling law; 1 + y^(1/f) by its logarithm, since y^(1/f) may be past any float."""
    product = b * x**-c0
    for c, d, f in breaks:
        product = product * np.exp(-c * f * np.logaddexp(0, np.log(x / d) / f))
    return a + product


FORMULAS: dict = {
    "kaplan-n": lambda X_c, alpha, N: (X_c / N) ** alpha,
    "kaplan-d": lambda X_c, alpha, D: (X_c / D) ** alpha,
    "kaplan-c": lambda X_c, alpha, C: (X_c / C) ** alpha,
    "m1": lambda beta, c, x: beta / x**c,
    "m3": lambda beta, gamma, c, x: beta * (1 / x + gamma) ** c,
    "m4": m4,
    "bnsl-1": lambda a, b, c0, c1, d1, f1, x: bnsl(a, b, c0, [(c1, d1, f1)], x),
    "bnsl-2": lambda a, b, c0, c1, d1, f1, c2, d2, f2, x: bnsl(
        a, b, c0, [(c1, d1, f1), (c2, d2, f2)], x
    ),
    "double-saturation": lambda c, a, d, b, x: c + a * (x + d) ** -b,
}
