"""Area under the ROC curve with the intervals and tests of DeLong.

References
----------
DeLong, DeLong, Clarke-Pearson, Biometrics 1988; 44: 837-845. Sun, Xu, IEEE Signal Process Lett
2014; 21: 1389-1393 (by midranks). Pepe: The statistical evaluation of medical tests, 2003.
"""

import math

import numpy as np
from scipy import special, stats

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
    """`value`, its interval, and two-sided `p` of an area of 0.5.

    The interval is ``± 1.96 SE`` on the logit (Pepe 2003), which stays within 0 and 1 and holds
    better in small samples than the plain one; p is of the plain ``(AUC - 0.5) / SE``. Areas of 0
    and 1 have neither.
    """
    error = math.sqrt(max(variance, 0))
    if error == 0 or not 0 < auc < 1:
        return {"value": auc}
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * error / (auc * (1 - auc))
    low, high = special.expit([special.logit(auc) - half, special.logit(auc) + half])
    p = 2 * stats.norm.sf(abs(auc - 0.5) / error)
    return {"value": auc, "ci_low": low, "ci_high": high, "p": p}


def difference_p(auc: np.ndarray, covariance: np.ndarray, first: int, second: int) -> float:
    """Two-sided p of two correlated areas being equal; NaN where they cannot differ."""
    variance = covariance[first, first] + covariance[second, second]
    variance -= 2 * covariance[first, second]
    if variance <= 1e-15:
        return math.nan
    return float(2 * stats.norm.sf(abs(auc[first] - auc[second]) / math.sqrt(variance)))
