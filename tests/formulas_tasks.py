"""Papers' equations once more, in plain NumPy: laws of tasks, samples and settings."""

import numpy as np


def error_sigmoid(a, k, L0, L_pre, chance):
    accuracy = (1 - chance) * a / (1 + np.exp(-k * (L_pre - L0))) + chance
    return 1 - accuracy


def error_compute(floor, B, C_mid, C, chance):
    start, end = 1 - chance, floor * (1 - chance)
    return end + (start - end) / (1 + (C / C_mid) ** B)


FORMULAS: dict = {
    "error-exponential": lambda epsilon, k, gamma, L_pre: epsilon - k * np.exp(-gamma * L_pre),
    "error-sigmoid": error_sigmoid,
    "error-compute": error_compute,
    "pass-power": lambda a, b, k: -np.expm1(a * k**b),
    "error-samples": lambda e_inf, c, gamma, k: e_inf + c * k**-gamma,
    "reward-sigmoid": lambda R0, A, B, C_mid, C: R0 + (A - R0) / (1 + (C_mid / C) ** B),
    "learning-rate": lambda k, a, b, N, D: k * N**a * D**b,
    "batch-size": lambda k, a, b, N, D: k * N**a * D**b,
}
