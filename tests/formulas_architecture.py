"""Papers' equations once more, in plain NumPy: laws of architecture and precision."""

import numpy as np


def effective(experts, E_start, E_max):
    first = 1 / (experts - 1 + 1 / (1 / E_start - 1 / E_max))
    return 1 / (first + 1 / E_max)


def routed(a, b, c, d, E_start, E_max, N, experts):
    n, e = np.log10(N), np.log10(effective(experts, E_start, E_max))
    return 10 ** (a * n + b * e + c * n * e + d)


def joint_moe(a, alpha, delta, gamma, b, beta, omega, zeta, E_start, E_max, c, N_act, D, experts):
    e = effective(experts, E_start, E_max)
    in_N = a * e**delta * N_act ** (alpha + gamma * np.log(e))
    return in_N + b * e**omega * D ** (beta + zeta * np.log(e)) + c


def precision(
    E, A, B, alpha, beta, gamma_w, n_w, gamma_a, n_a, gamma_kv, n_kv, N, D, P_w, P_a, P_kv
):
    kept = (
        (1 - np.exp(-P_w / gamma_w + n_w))
        * (1 - np.exp(-P_a / gamma_a + n_a))
        * (1 - np.exp(-P_kv / gamma_kv + n_kv))
    )
    return A / (N * kept) ** alpha + B / D**beta + E


FORMULAS: dict = {
    "routed": routed,
    "granular": lambda c, a, g, gamma, alpha, b, beta, N, D, G: (
        c + (g / G**gamma + a) / N**alpha + b / D**beta
    ),
    "joint-moe": joint_moe,
    "sparse-moe": lambda a, alpha, b, beta, c, lambda_, d, delta, gamma, e, N, D, S: (
        a / N**alpha + b / D**beta + c / (1 - S) ** lambda_ + d / ((1 - S) ** delta * N**gamma) + e
    ),
    "sparse-weights": lambda a_S, b_S, c_S, b_N, a_D, b_D, c, N, D, S: (
        (a_S * (1 - S) ** b_S + c_S) / N**b_N + (a_D / D) ** b_D + c
    ),
    "precision": precision,
    "precision-post": lambda E, A, B, alpha, beta, C_T, gamma_D, gamma_N, gamma, N, D, P_post: (
        A / N**alpha + B / D**beta + E + C_T * D**gamma_D / N**gamma_N * np.exp(-P_post / gamma)
    ),
    "quantized": lambda E, A, B, alpha, beta, k, gamma_D, gamma_G, gamma_N, N, D, group_size: (
        A / N**alpha + B / D**beta + E
        + k * D**gamma_D * np.log2(group_size) ** gamma_G / N**gamma_N
    ),
    "vocabulary": lambda E, A1, alpha1, A2, alpha2, B, beta, N, N_v, D: np.exp(
        -E + A1 / N**alpha1 + A2 / N_v**alpha2 + B / D**beta
    ),
    "parallel": lambda E, A, alpha, k, N, P: E + (A / (N * (k * np.log(P) + 1))) ** alpha,
}  # fmt: skip
