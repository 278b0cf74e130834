"""Area under the ROC curve with the intervals and tests of DeLong.

References
----------
DeLong, DeLong, Clarke-Pearson, Biometrics 1988; 44: 837-845. Sun, Xu, IEEE Signal Process Lett
2014; 21: 1389-1393 (by midranks).
"""

import math

import numpy as np
from scipy import stats

from calcohort.agreement.limits import CONFIDENCE


def areas(outcome: np.ndarray, markers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the curves of several markers of the same scans, and their covariance.

    Parameters
    ----------
    outcome : ndarray of bool, (n,)
        True where it happened; at least 2 of either kind.
    markers : ndarray, (m, n)
        More is taken to mean more likely; ties count half.

    Returns
    -------
    auc : ndarray, (m,)
    covariance : ndarray, (m, m)
    """
    cases, controls = markers[:, outcome], markers[:, ~outcome]
    n_cases, n_controls = cases.shape[1], controls.shape[1]
    together = stats.rankdata(markers, axis=1)
    above = (together[:, outcome] - stats.rankdata(cases, axis=1)) / n_controls
    below = 1 - (together[:, ~outcome] - stats.rankdata(controls, axis=1)) / n_cases
    covariance = np.cov(above) / n_cases + np.cov(below) / n_controls
    return above.mean(axis=1), np.atleast_2d(covariance)


def describe_area(auc: float, variance: float) -> dict[str, float]:
    """`value`, its interval ``± 1.96 SE`` kept within 0 and 1, and `p` of an area of 0.5."""
    error = math.sqrt(max(variance, 0))
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * error
    found = {"value": auc, "ci_low": max(auc - half, 0.0), "ci_high": min(auc + half, 1.0)}
    if error == 0:
        return {"value": auc}
    return found | {"p": 2 * stats.norm.sf(abs(auc - 0.5) / error)}


def difference_p(auc: np.ndarray, covariance: np.ndarray, first: int, second: int) -> float:
    """Two-sided p of two correlated areas being equal; NaN where they cannot differ."""
    variance = covariance[first, first] + covariance[second, second]
    variance -= 2 * covariance[first, second]
    if variance <= 1e-15:
        return math.nan
    return float(2 * stats.norm.sf(abs(auc[first] - auc[second]) / math.sqrt(variance)))
