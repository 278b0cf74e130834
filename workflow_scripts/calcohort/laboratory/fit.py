"""Fit k of F7 to a study's own references, with its uncertainty and what it would cost unseen.

``F7 = Lm + k (1000 - Lm)``. k is taken from a grid, 0 to 1 in steps of 0.001, as the one with the
least mean absolute error: of thresholds, or of volumes. With the errors of all scans at all k in
one matrix, a fit on any part of the scans is a product with a row of weights: folds and bootstrap
resamples are weights.
"""

from typing import Any

import numpy as np

from calcohort.agreement.limits import CONFIDENCE
from calcohort.agreement.statistics import agree
from calcohort.measure.thresholds import CALCIUM_HU

GRID_K = np.linspace(0, 1, 1001)
FOLDS = 10
FEWEST_SCANS = 5
RESAMPLES = 2000
SEED = 2023
HELD_OUT = ("mae", "r2", "bias", "loa_low", "loa_high")


def thresholds_on_grid(luminance_hu: float) -> np.ndarray:
    """F7 in HU at every k of the grid."""
    return luminance_hu + GRID_K * (CALCIUM_HU - luminance_hu)


def fit_k(automatic: np.ndarray, reference: np.ndarray, k: float) -> dict[str, Any]:
    """Fit k, cross-validate the fit, and bootstrap it.

    Parameters
    ----------
    automatic : ndarray, (n, g)
        Threshold or volume of every scan at every k of the grid.
    reference : ndarray, (n,)
        The reader's.
    k : float
        The configured k, to compare with.

    Returns
    -------
    dict
        `n`; `k`, the fit on all scans, with its 95 % interval (percentiles of 2,000 seeded
        resamples of scans); `folds`, `fold_k_low`, `fold_k_high`: how far k moves between the
        training sets of the cross-validation (10-fold, or leave-one-out below 10 scans, seeded);
        `held_out_*`: agreement of the held-out scans, each at the k of the others. Only `n` and
        `configured_k` below `FEWEST_SCANS` scans.
    """
    n = reference.size
    found: dict[str, Any] = {"n": n, "configured_k": k}
    if n < FEWEST_SCANS:
        return found
    error = np.abs(automatic - reference[:, None])
    folds = min(FOLDS, n)
    fold = np.random.default_rng(SEED).permutation(n) % folds
    training = (fold[None, :] != np.arange(folds)[:, None]).astype(float)
    of_fold = _best(training, error)
    held_out = agree(automatic[np.arange(n), of_fold[fold]], reference)
    counts = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    resampled = GRID_K[_best(counts.astype(float), error)]
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(resampled, tails)
    fold_k = GRID_K[of_fold]
    return found | {
        "k": GRID_K[_best(np.ones((1, n)), error)[0]],
        "k_ci_low": low,
        "k_ci_high": high,
        "folds": folds,
        "fold_k_low": fold_k.min(),
        "fold_k_high": fold_k.max(),
        **{f"held_out_{key}": held_out[key] for key in HELD_OUT},
    }


def _best(weights: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Index of the grid with the least weighted error, for each row of weights ``(b, n)``.

    Where several are least, as on the steps of a volume curve, the middle one.
    """
    cost = weights @ error
    least = cost <= cost.min(axis=1, keepdims=True) * (1 + 1e-12)
    first = least.argmax(axis=1)
    last = least.shape[1] - 1 - least[:, ::-1].argmax(axis=1)
    middle = (first + last) // 2
    return np.where(least[np.arange(len(cost)), middle], middle, first)
