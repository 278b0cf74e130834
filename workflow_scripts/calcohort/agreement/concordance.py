"""Concordance: of values (ICC, CCC), of zeros, and of categories (kappa).

pingouin and statsmodels are imported where they are used: many steps need this module, few these.

References
----------
McGraw, Wong, Psychol Methods 1996; 1: 30-46 (ICC). Lin, Biometrics 1989; 45: 255-268, corrected
2000; 56: 324-325 (CCC, its variance). Cohen, Psychol Bull 1968; 70: 213-220 (weighted kappa).
"""

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from calcohort.agreement.limits import CONFIDENCE

ICC = ("icc", "icc_ci_low", "icc_ci_high")
CCC = ("ccc", "ccc_ci_low", "ccc_ci_high")
ZEROS = ("both_zero", "only_automatic_zero", "only_reference_zero", "none_zero", "zero_kappa")
KAPPA = ("kappa", "kappa_ci_low", "kappa_ci_high")


def intraclass_correlation(a: np.ndarray, r: np.ndarray) -> tuple[float, float, float]:
    """ICC(A,1) of paired values with its 95 % confidence interval, by pingouin."""
    scans = np.arange(a.size)
    table = pd.DataFrame(
        {
            "scan": np.tile(scans, 2),
            "rater": np.repeat(["automatic", "reference"], a.size),
            "value": np.concatenate([a, r]),
        }
    )
    import pingouin

    pingouin.options["round.column.CI95"] = None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pingouin.intraclass_corr(table, targets="scan", raters="rater", ratings="value")
    row = found.set_index("Type").loc["ICC(A,1)"]
    return row["ICC"], *row["CI95"]


def concordance_correlation(a: np.ndarray, r: np.ndarray) -> tuple[float, float, float]:
    """Lin's CCC, variances and covariance over n, with the interval of its Fisher z.

    The standard error of z divides by n - 2. The interval is NaN where z has none: |CCC| = 1,
    constant values, or no correlation.
    """
    n, shift = a.size, a.mean() - r.mean()
    saa, srr = a.var(), r.var()
    sar = np.mean((a - a.mean()) * (r - r.mean()))
    c = 2 * sar / (saa + srr + shift**2)
    scale = math.sqrt(saa * srr)
    p = sar / scale if scale else 0.0
    if p == 0 or 1 - abs(c) < 1e-12:
        return c, math.nan, math.nan
    u = shift**2 / scale
    variance = (1 - p**2) * c**2 / ((1 - c**2) * p**2)
    variance += 2 * c**3 * (1 - c) * u / (p * (1 - c**2) ** 2)
    variance -= c**4 * u**2 / (2 * p**2 * (1 - c**2) ** 2)
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(max(variance, 0) / (n - 2))
    return c, math.tanh(math.atanh(c) - half), math.tanh(math.atanh(c) + half)


def zero_agreement(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    """Count pairs by whether each side is 0 (`ZEROS`), with Cohen's kappa of zero or not.

    Kappa is NaN where all values of both sides are on one side of the question.
    """
    counts = np.histogram2d(a == 0, r == 0, bins=[[0, 0.5, 1]] * 2)[0].astype(int)
    return {
        "both_zero": counts[1, 1],
        "only_automatic_zero": counts[1, 0],
        "only_reference_zero": counts[0, 1],
        "none_zero": counts[0, 0],
        "zero_kappa": _kappa(counts)[0],
    }


def confusion(a: np.ndarray, r: np.ndarray, cuts: Sequence[float]) -> np.ndarray:
    """Cross-tabulate categories: automatic down, reference across.

    Parameters
    ----------
    a, r : ndarray, (n,)
    cuts : sequence of float, (c,)
        Rising; a value that equals a cut belongs below it, so that a cut of 0 separates zeros.

    Returns
    -------
    ndarray of int, (c + 1, c + 1)
    """
    k = len(cuts) + 1
    index = np.searchsorted(cuts, a) * k + np.searchsorted(cuts, r)
    return np.bincount(index, minlength=k * k).reshape(k, k)


def category_names(cuts: Sequence[float]) -> list[str]:
    """Name the categories of `confusion`."""
    between = [f"{low:g} to {high:g}" for low, high in pairwise(cuts)]
    return [f"≤ {cuts[0]:g}", *(f"> {name}" for name in between), f"> {cuts[-1]:g}"]


def weighted_kappa(counts: np.ndarray) -> tuple[float, float, float]:
    """Linearly weighted kappa of a confusion table with its 95 % interval, by statsmodels."""
    return _kappa(counts, "linear")


def _kappa(counts: np.ndarray, weights: str | None = None) -> tuple[float, float, float]:
    from statsmodels.stats.inter_rater import cohens_kappa

    used = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    if used.sum() < 2:
        return math.nan, math.nan, math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        found = cohens_kappa(counts, wt=weights)
    return found.kappa, found.kappa_low, found.kappa_upp
