"""Papers' equations once more, in plain NumPy: laws of N and D, and of repeated data."""

import numpy as np


def tied(E, A, B, alpha, N, D):
    return E + A / N**alpha + B / D**alpha


def overtraining(E, a, b, eta, N, D):
    C, M = 6 * N * D, D / N
    return E + (a * M**eta + b * M**-eta) * C**-eta


def kaplan_joint(Nc, Dc, alpha_N, alpha_D, N, D):
    return ((Nc / N) ** (alpha_N / alpha_D) + Dc / D) ** alpha_D


def kaplan_steps(Nc, Sc, alpha_N, alpha_S, N, S_min):
    return (Nc / N) ** alpha_N + (Sc / S_min) ** alpha_S


def pearce_song(E, A, B, alpha, beta, N, D):
    return E + A / (N + 47_491 * np.cbrt(N)) ** alpha + B / D**beta


def bounded(E, L0, a, b, alpha, beta, N, D):
    h = a / N**alpha + b / D**beta
    return E + (L0 - E) * h / (1 + h)


def repeated(E, A, B, alpha, beta, R_D, R_N, N, D, U):
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    U_N = np.minimum(N, G * (G * U) ** (beta / alpha))
    more = 1 - np.exp(-(N / U_N - 1) / R_N)
    again = 1 - np.exp(-(D / U - 1) / R_D)
    return E + A / (U_N + U_N * R_N * more) ** alpha + B / (U + U * R_D * again) ** beta


def repeated_lambda(E, A, B, alpha, beta, lam, N, D, U):
    S = U * (1 + (1 - np.exp(-lam * (D / U - 1))) / lam)
    return E + A / N**alpha + B / S**beta


def data_quality(E, A, B, alpha, beta, tau, N, D, h_1, **rest):
    qualities = sorted(name for name in rest if name[0] == "q")
    worth = h_1 + sum(rest[name] * rest[f"h{name[1:]}"] for name in qualities)
    return E + A / N**alpha + B / (D * worth) ** beta


FORMULAS: dict = {
    "tied": tied,
    "overtraining": overtraining,
    "kaplan-joint": kaplan_joint,
    "kaplan-steps": kaplan_steps,
    "pearce-song": pearce_song,
    "bounded": bounded,
    "repeated": repeated,
    "repeated-lambda": repeated_lambda,
    **{f"data-quality-{k}": data_quality for k in (2, 3, 4)},
}
