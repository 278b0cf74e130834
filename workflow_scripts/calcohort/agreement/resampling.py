"""Bootstrap intervals of statistics that have no formula: seeded, so that they never change.

Mean absolute error, root mean square error and R² are functions of few moments, and so are their
standard errors. So a resample is a row of counts, and all resamples are one matrix product: 2,000
resamples of 1,000 pairs take milliseconds.

References
----------
Efron, Tibshirani: An introduction to the bootstrap, 1993, section 12.5 (bootstrap-t), and chapter
22.5 (standard errors by the nonparametric delta method).
"""

import numpy as np

from calcohort.agreement.limits import CONFIDENCE

FEWEST_PAIRS = 10
RESAMPLES = 2000
SEED = 2023
BATCH = 200


def error_statistics(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    """MAE, RMSE and R² about the identity line, each with its 95 % bootstrap-t interval.

    Intervals are made on a scale where the spread hardly follows the value, and taken back: ``ln
    MAE``, ``ln RMSE`` and ``ln(1 - R²)``.

    Parameters
    ----------
    a, r : ndarray, (n,)
        Automatic and reference, n >= 2.

    Returns
    -------
    dict
        `mae`, `rmse`, and where the reference varies `r2`; from `FEWEST_PAIRS` pairs on each
        with `_ci_low` and `_ci_high`, NaN where the statistic does not vary among resamples.
    """
    error, varies = a - r, np.ptp(r) > 0
    rmse, spread = np.sqrt(np.mean(error**2)), r.std() if varies else 1.0
    found = {"mae": np.abs(error).mean(), "rmse": rmse}
    found |= {"r2": 1 - (rmse / spread) ** 2} if varies else {}
    if a.size < FEWEST_PAIRS:
        return found
    if rmse == 0:
        lows = highs = np.full(3, np.nan)
    else:
        lows, highs = _intervals(error / rmse, (r - r.mean()) / spread)
    mae, rmse_ends = ((rmse * np.exp([lows[s], highs[s]])) for s in (0, 1))
    r2 = 1 - (rmse / spread) ** 2 * np.exp([highs[2], lows[2]])
    ends = {"mae": mae, "rmse": rmse_ends, "r2": r2}
    for name in tuple(found):
        found |= {f"{name}_ci_low": ends[name][0], f"{name}_ci_high": ends[name][1]}
    return found


def _intervals(e: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bound ``ln MAE``, ``ln RMSE`` and ``ln(1 - R²)``: low and high ends ``(3,)``.

    Parameters
    ----------
    e, c : ndarray, (n,)
        Errors of root mean square 1; references of mean 0 and variance 1 (or all 0).
    """
    columns = [np.abs(e), e**2, e**4, c, c**2, c**3, c**4, e**2 * c, e**2 * c**2]
    moments = np.column_stack(columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, error = _logarithms(moments.mean(axis=0), e.size)
        resampled, errors = _logarithms(resampled_means(moments), e.size)
        return bootstrap_t(value, error, resampled, errors)


def _logarithms(moments: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """``ln MAE``, ``ln RMSE``, ``ln(1 - R²)`` and their delta-method standard errors ``(..., 3)``.

    The variance of one pair's influence on each, from the moments ``(..., 9)`` of `_intervals`:
    ``|e| / mae``, ``e² / (2 mse)``, and ``e² / mse - d² / v`` with ``d = c - mean c``, ``v`` the
    mean of d².
    """
    mae, e2, e4, c, c2, c3, c4, e2c, e2c2 = np.moveaxis(moments, -1, 0)
    v = c2 - c**2
    d4 = c4 - 4 * c * c3 + 6 * c**2 * c2 - 3 * c**4
    e2d2 = e2c2 - 2 * c * e2c + c**2 * e2
    values = np.log(mae), np.log(e2) / 2, np.log(e2 / v)
    variances = e2 / mae**2 - 1, (e4 / e2**2 - 1) / 4, e4 / e2**2 - 2 * e2d2 / (e2 * v) + d4 / v**2
    variances = np.stack(variances, axis=-1)
    errors = np.sqrt(np.where(variances > 1e-12, variances, np.nan) / n)
    return np.stack(values, axis=-1), errors


def resampled_means(columns: np.ndarray) -> np.ndarray:
    """Means ``(RESAMPLES, c)`` of resamples, with replacement, of the rows of ``(n, c)``."""
    n, rng = len(columns), np.random.default_rng(SEED)
    batches = []
    for _ in range(RESAMPLES // BATCH):
        drawn = rng.integers(n, size=(BATCH, n)) + n * np.arange(BATCH)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=BATCH * n).reshape(BATCH, n)
        batches.append(counts.astype(float) @ columns / n)
    return np.concatenate(batches)


def bootstrap_t(
    value: np.ndarray, error: np.ndarray, resampled: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals by the quantiles of ``(resampled - value) / errors``.

    Parameters
    ----------
    value, error : ndarray, (s,)
        Statistics and their standard errors.
    resampled, errors : ndarray, (b, s)
        Of the resamples; those without a finite value (a constant reference) are left out.

    Returns
    -------
    low, high : ndarray, (s,)
    """
    t = (resampled - value) / errors
    low, high = np.full((2, value.size), np.nan)
    for s in range(value.size):
        usable = t[np.isfinite(t[:, s]), s]
        if usable.size >= 2 and np.isfinite(error[s]):
            tails = np.quantile(usable, [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2])
            low[s], high[s] = value[s] - tails * error[s]
    return low, high
