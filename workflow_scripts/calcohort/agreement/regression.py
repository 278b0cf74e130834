"""Regression of one method on another, where both have errors: Deming, and Passing and Bablok.

References
----------
Deming: Statistical adjustment of data, 1943. Linnet, Stat Med 1990; 9: 1463-1473 (jackknife).
Passing, Bablok, J Clin Chem Clin Biochem 1983; 21: 709-720.
"""

import math

import numpy as np
from scipy import stats

from calcohort.agreement.limits import CONFIDENCE

MOST_PAIRS = 5000

DEMING = (
    "slope",
    "slope_ci_low",
    "slope_ci_high",
    "intercept",
    "intercept_ci_low",
    "intercept_ci_high",
)
PASSING_BABLOK = tuple(f"passing_bablok_{name}" for name in DEMING)


def deming_slope(saa: float, srr: float, sar: float) -> float:
    """Slope of the line with the least squared distances at right angles to it.

    Parameters
    ----------
    saa, srr, sar : float or ndarray
        Variances of automatic and reference, and their covariance.

    Returns
    -------
    float or ndarray
        ``(saa - srr + √((saa - srr)² + 4 sar²)) / (2 sar)``; NaN where the covariance is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (saa - srr + np.hypot(saa - srr, 2 * sar)) / (2 * sar)
    return np.where(sar == 0, np.nan, slope)[()]


def deming(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    """Deming regression of automatic on reference, equal error variances (`DEMING`).

    Intervals are Linnet's: jackknife standard errors, t of n - 2 degrees of freedom. Each leave-
    one-out moment follows from the full one, ``S₋ᵢ = S - n / (n - 1) dᵢ²``.
    """
    n, da, dr = a.size, a - a.mean(), r - r.mean()
    saa, srr, sar = da @ da, dr @ dr, da @ dr
    slope = deming_slope(saa, srr, sar)
    shrink = n / (n - 1)
    slopes = deming_slope(saa - shrink * da**2, srr - shrink * dr**2, sar - shrink * da * dr)
    intercepts = (a.mean() - da / (n - 1)) - slopes * (r.mean() - dr / (n - 1))
    found = {}
    for name, value, left_out in (
        ("slope", slope, slopes),
        ("intercept", a.mean() - slope * r.mean(), intercepts),
    ):
        pseudo = n * value - (n - 1) * left_out
        half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 2) * pseudo.std(ddof=1) / math.sqrt(n)
        found |= {name: value, f"{name}_ci_low": value - half, f"{name}_ci_high": value + half}
    return found


def passing_bablok(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    """Passing-Bablok regression of automatic on reference (`PASSING_BABLOK`).

    The slope is the median of the slopes between all pairs of points, shifted by the number of
    slopes below -1. Identical points and slopes of -1 do not count; vertical ones are +∞ (the
    methods correlate), so that the order of the points plays no part. No distribution is assumed;
    linearity and a slope near 1 are. Beyond `MOST_PAIRS` points the n² slopes are not computed and
    everything is missing.

    The intercept's interval is the published one, the intercepts of the slope's two ends: it
    carries the slope's doubt alone and is somewhat short (docs/agreement.md).
    """
    n = a.size
    if n > MOST_PAIRS:
        return {}
    i, j = np.triu_indices(n, 1)
    rise, run = a[j] - a[i], r[j] - r[i]
    distinct = (rise != 0) | (run != 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(run == 0, np.inf, rise / run)[distinct]
    slopes = np.sort(slopes[slopes != -1])
    if not slopes.size:
        return {}
    shift, count = int((slopes < -1).sum()), slopes.size
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first = round((count - half) / 2)
    middle = [(count - 1) // 2 + shift, count // 2 + shift]
    if middle[1] >= count or not np.isfinite(slopes[middle]).all():
        return {}
    slope = slopes[middle].mean()
    found = {"slope": slope, "intercept": np.median(a - slope * r)}
    low, high = first + shift - 1, count - first + shift
    if first >= 1 and high < count and np.isfinite(slopes[[low, high]]).all():
        low, high = slopes[low], slopes[high]
        found |= {"slope_ci_low": low, "slope_ci_high": high}
        found |= {"intercept_ci_low": np.median(a - high * r)}
        found |= {"intercept_ci_high": np.median(a - low * r)}
    return {f"passing_bablok_{name}": value for name, value in found.items()}
