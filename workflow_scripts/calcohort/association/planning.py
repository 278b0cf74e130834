"""How many scans a study needs for intervals of a wanted width.

References
----------
Limits: Carkeet, Optom Vis Sci 2015; 92: e71-e80 (noncentral t). ICC: Bonett, Stat Med 2002; 21:
1331-1335. AUC: Hanley, McNeil, Radiology 1982; 143: 29-36.
"""

import math
from collections.abc import Callable

from scipy import stats

from calcohort.agreement.limits import CONFIDENCE, LIMIT_SDS, exact_interval
from calcohort.outcomes import UserError

MOST_SCANS = 1_000_000
Z = stats.norm.ppf((1 + CONFIDENCE) / 2)


def scans_for_limits(width_sds: float) -> int:
    """Count pairs for which the exact 95 % interval of a limit of agreement is at most this wide.

    Parameters
    ----------
    width_sds : float
        Whole width, in SDs of the differences.
    """

    def width(n: int) -> float:
        low, high = exact_interval(0.0, 1.0, n, LIMIT_SDS)
        return high - low

    return _fewest(width, width_sds, first=3)


def scans_for_icc(icc: float, width: float, readers: int = 2) -> int:
    """Count scans for which the 95 % interval of an ICC is about this wide (Bonett, eq. 3).

    ``n = 8 z² (1 - ρ)² (1 + (k - 1) ρ)² / (k (k - 1) w²) + 1``, rounded up; of two readers with ρ ≥
    0.7, ``5 ρ`` more, as Bonett advises.
    """
    if not (0 <= icc < 1 and 0 < width < 1 and readers >= 2):
        raise UserError("plan: the ICC is from 0 to below 1, its width between 0 and 1")
    k = readers
    spread = (1 - icc) ** 2 * (1 + (k - 1) * icc) ** 2
    more = 5 * icc if k == 2 and icc >= 0.7 else 0
    return math.ceil(8 * Z**2 * spread / (k * (k - 1) * width**2) + 1 + more)


def scans_for_auc(auc: float, width: float, share: float) -> int:
    """Count scans for which the 95 % interval of an AUC is at most this wide.

    Parameters
    ----------
    auc : float
        Expected, 0.5 or more.
    width : float
        Whole width.
    share : float
        Of the scans that have the outcome, between 0 and 1.
    """
    if not (0.5 <= auc < 1 and 0 < width < 1 and 0 < share < 1):
        raise UserError("plan: AUC is from 0.5 to below 1, width and share lie between 0 and 1")

    def found(n: int) -> float:
        return 2 * Z * hanley_mcneil_error(auc, n * share, n * (1 - share))

    return _fewest(found, width, first=math.ceil(1 / min(share, 1 - share)))


def hanley_mcneil_error(auc: float, cases: float, controls: float) -> float:
    """Return the standard error of an AUC under negative exponential distributions."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (cases - 1) * (q1 - auc**2) + (controls - 1) * (q2 - auc**2)
    return math.sqrt(variance / (cases * controls))


def _fewest(width: Callable[[int], float], wanted: float, first: int) -> int:
    """Return the fewest scans whose width, which falls with n, is at most `wanted`."""
    low, high = first, first
    while width(high) > wanted:
        low, high = high + 1, 2 * high
        if high > MOST_SCANS:
            raise UserError(f"plan: a width of {wanted:g} needs more than {MOST_SCANS} scans")
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if width(middle) <= wanted else (middle + 1, high)
    return low
