"""Papers' equations once more, in plain NumPy and step by step: laws of loss curves."""

import numpy as np


def curves(step, lr):
    """The learning rate at every step of each run, from 1 on, and the places of the rows in it."""
    starts = [i for i in range(len(step)) if i == 0 or step[i] <= step[i - 1]]
    for start, end in zip(starts, [*starts[1:], len(step)], strict=True):
        rows = slice(start, end)
        every = np.arange(1, int(step[rows][-1]) + 1)
        yield rows, np.interp(every, step[rows], lr[rows]), step[rows].astype(int) - 1


def annealing(L0, A, alpha, C, memory, step, lr):
    found = np.empty((len(L0), len(step)))
    for i in range(len(L0)):
        decay = np.exp(-1 / memory[i, 0])
        for rows, eta, places in curves(step, lr):
            momentum, area, second = 0.0, 0.0, np.empty(len(eta))
            for s in range(len(eta)):
                momentum = decay * momentum + (eta[max(s - 1, 0)] - eta[s])
                area += momentum
                second[s] = area
            reducible = A[i] * np.cumsum(eta) ** -alpha[i]
            left = np.maximum(reducible - C[i] * second, 0.05 * reducible)
            found[i, rows] = (L0[i] + left)[places]
    return found


def multi_power(L0, A, alpha, B, C, beta, gamma, step, lr):
    found = np.empty((len(L0), len(step)))
    for i in range(len(L0)):
        for rows, eta, places in curves(step, lr):
            sums, rates = np.cumsum(eta)[places], lr[rows]
            reducible = A[i] * sums ** -alpha[i]
            fallen = np.zeros(len(rates))
            for k in range(1, len(rates)):  # a fall counts at the later of two rows
                since = sums[k:] - sums[k] + rates[k]
                soon = 1 - (C[i] * rates[k] ** -gamma[i] * since + 1) ** -beta[i]
                fallen[k:] += (rates[k - 1] - rates[k]) * soon
            left = np.maximum(reducible - B[i] * fallen, 0.05 * reducible)
            found[i, rows] = L0[i] + left
    return found


FORMULAS = {"annealing": annealing, "multi-power": multi_power}
