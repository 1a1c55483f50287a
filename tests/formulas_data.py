"""Papers' equations once more, in plain NumPy: laws of mixtures, transfer and distillation."""

import numpy as np


def transfer(E, A, B, alpha_N, alpha_D, k, alpha, beta, N, D_f, pretrained):
    transferred = k * D_f**alpha * N**beta
    return E + A / N**alpha_N + B / (D_f + pretrained * transferred) ** alpha_D


def pre_learned(E, K, D_0, beta, D_f):
    with np.errstate(over="ignore"):
        return E + K / (1 + (D_f / D_0) ** beta)


def domain_share(E, A, B, C, alpha, beta, gamma, eta, epsilon, N, D, r):
    return E + A / N**alpha + B * r**eta / D**beta + C / (r + epsilon) ** gamma


def numbered(values, name):
    """What belongs to the domains, in their order: C_1, C_2 and so on."""
    return [v for n, v in sorted(values.items()) if n.rpartition("_")[0] == name]


def mixture_exponential(c, k, **values):
    h, t = numbered(values, "h"), numbered(values, "t")
    t = [*t, -np.sum(t, axis=0)]
    return c + k * np.exp(sum(a * b for a, b in zip(t, h, strict=True)))


def mixed(values):
    terms = zip(*(numbered(values, name) for name in ("C", "h", "g")), strict=True)
    return 1 / sum(C * h**g for C, h, g in terms)


def mixture_additive(E, A, B, alpha, beta, N, D, **values):
    return E + mixed(values) + A / N**alpha + B / D**beta


def mixture_joint(E, alpha, beta, gA, gB, N, D, **values):
    h = numbered(values, "h")
    A, B = (
        sum(C * share for C, share in zip(numbered(values, name), h, strict=True))
        for name in ("CA", "CB")
    )
    return E + mixed(values) + A**gA / N**alpha + B**gB / D**beta


def distillation(E, A, B, alpha, beta, k, N, D, L_T, **values):
    A_d, B_d, alpha_d, beta_d, gamma_d = (
        values[name] for name in ("A_d", "B_d", "alpha_d", "beta_d", "gamma_d")
    )
    c_0, c_1, f_1, d_1 = (values[name] for name in ("c_0", "c_1", "f_1", "d_1"))
    supervised = E + (A / N**alpha + B / D**beta) ** k
    worse = (1 + (L_T / (supervised * d_1)) ** (1 / f_1)) ** (-c_1 * f_1)
    return L_T + L_T**-c_0 * worse * (A_d / N**alpha_d + B_d / D**beta_d) ** gamma_d


FORMULAS: dict = {
    "fine-tuning": lambda E, A, alpha, beta, N, D_f: E + A / (N**alpha * D_f**beta),
    "pre-learned": pre_learned,
    "transfer": transfer,
    "domain-share": domain_share,
    **{f"mixture-exponential-{k}": mixture_exponential for k in (2, 3, 4)},
    **{f"mixture-additive-{k}": mixture_additive for k in (2, 3, 4)},
    **{f"mixture-joint-{k}": mixture_joint for k in (2, 3, 4)},
    "distillation": distillation,
}
