"""Fitting seconds per unit of work to measured times: non-negative least squares in the ratio of the two."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROBUST = math.log(1.2)


def nonnegative_least_squares(A: Floats, b: Floats) -> Floats:
    """The x >= 0 that minimises ||A x - b||, by the active-set method.

    Args:
        A: Shape (m, n).
        b: Shape (m,).

    Returns:
        Shape (n,).

    Source: Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23.
    """
    n = A.shape[1]
    x = np.zeros(n)
    passive = np.zeros(n, dtype=np.bool_)
    tolerance = 1e-12 * max(float(np.abs(A.T @ b).max(initial=0.0)), 1e-300)
    for _ in range(3 * n + 10):
        gradient = A.T @ (b - A @ x)
        gradient[passive] = -np.inf
        if n == 0 or float(gradient.max()) <= tolerance:
            break
        passive[int(np.argmax(gradient))] = True
        while True:
            trial = np.zeros(n)
            trial[passive] = np.linalg.lstsq(A[:, passive], b, rcond=None)[0]
            low = passive & (trial <= 0)
            if not low.any():
                break
            step = float((x[low] / (x[low] - trial[low] + 1e-300)).min())
            x = x + step * (trial - x)
            passive &= x > 1e-14 * float(x.max())
            x[~passive] = 0.0
        x = trial
    return x


def fit_rates(work: Floats, seconds: Floats, rounds: int = 20) -> Floats:
    """Seconds per unit such that ``work @ rates`` misses the measured times by small factors.

    Least squares on (p - t)^2 / (p t), p being the prediction: the square of log(p / t) to second order, so that half
    and double count alike. What is missed by more than a fifth counts by its absolute logarithm rather than its square,
    so that a run that something else on the machine held up does not bend the fit. Solved by re-weighting with the last
    round's predictions.

    Args:
        work: Shape (m, n): units of work of each measurement.
        seconds: Shape (m,): measured times, positive.
        rounds: How often to re-weight.

    Returns:
        Shape (n,), non-negative.
    """
    scale = work.max(axis=0, initial=0.0)
    scale[scale == 0] = 1.0
    predicted = seconds
    rates = np.zeros(work.shape[1])
    for _ in range(rounds):
        predicted = np.maximum(predicted, 0.01 * seconds)
        miss = np.maximum(np.abs(np.log(predicted / seconds)), _ROBUST)
        weights = 1.0 / np.sqrt(seconds * predicted * (miss / _ROBUST))
        rates = nonnegative_least_squares(work / scale * weights[:, None], seconds * weights) / scale
        predicted = work @ rates
    return rates


def misfit(work: Floats, seconds: Floats, rates: Floats) -> tuple[float, float]:
    """By what factor the predictions miss: geometric mean and maximum, both at least 1."""
    predicted = work @ rates
    with np.errstate(divide="ignore"):
        logs = np.abs(np.log(predicted / seconds))
    if not len(logs):
        return 1.0, 1.0
    return math.exp(float(logs.mean())), math.exp(float(logs.max()))
