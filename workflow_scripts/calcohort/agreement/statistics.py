"""Agreement of a measurement with a reference, pair by pair.

Errors are always automatic - reference. Standard deviations have n - 1. Confidence is 95 %.

References
----------
Bland, Altman: Statistical methods for assessing agreement between two methods of clinical
measurement, Lancet 1986; 1: 307-310 (bias, limits of agreement, their confidence intervals).
Lin: A concordance correlation coefficient to evaluate reproducibility, Biometrics 1989; 45: 255.
McGraw, Wong: Forming inferences about some intraclass correlation coefficients, Psychol Methods
1996; 1: 30 (ICC(A,1), by pingouin). Paper 000, Table 2 (R², absolute error).
"""

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pingouin
from numpy.typing import ArrayLike
from scipy import stats

LIMIT_SDS = 1.96
CONFIDENCE = 0.95
FEWEST_PAIRS = 3

STATISTICS = (
    "bias",
    "bias_ci_low",
    "bias_ci_high",
    "sd",
    "loa_low",
    "loa_low_ci_low",
    "loa_low_ci_high",
    "loa_high",
    "loa_high_ci_low",
    "loa_high_ci_high",
    "r2",
    "pearson_r",
    "pearson_p",
    "pearson_r_squared",
    "icc",
    "icc_ci_low",
    "icc_ci_high",
    "ccc",
    "mae",
    "mae_sd",
    "error_range",
    "slope",
    "intercept",
)


def agree(automatic: ArrayLike, reference: ArrayLike) -> dict[str, Any]:
    """Describe how well `automatic` agrees with `reference`.

    Parameters
    ----------
    automatic, reference : array_like, (n,)
        Paired finite values in one unit.

    Returns
    -------
    dict
        `n`, the keys of `STATISTICS`, and `note`, which says why a statistic is None ("" where
        none is):

        - `bias`: mean error; its interval ``bias ± t s / √n``.
        - `sd`: s, standard deviation of the errors.
        - `loa_low`, `loa_high`: limits of agreement ``bias ± 1.96 s``; their intervals
          ``± t √(3 s² / n)`` (Bland & Altman 1986).
        - `r2`: ``1 - SS_res / SS_tot`` about the identity line; negative where the reference's mean
          would do better. `pearson_r`, its p (two-sided) and its square are another matter.
        - `icc`: ICC(A,1), two-way random effects, absolute agreement, single measurement.
        - `ccc`: Lin's concordance correlation, with variances and covariance over n.
        - `mae`, `mae_sd`, `error_range`: mean, SD and largest - smallest of the absolute errors.
        - `slope`, `intercept`: Deming regression of automatic on reference, equal error variances.

    Raises
    ------
    ValueError
        When the values are not paired and finite.
    """
    a, r = np.asarray(automatic, dtype=float), np.asarray(reference, dtype=float)
    if a.ndim != 1 or a.shape != r.shape or not (np.isfinite(a).all() and np.isfinite(r).all()):
        raise ValueError(
            f"automatic {a.shape} and reference {r.shape} are not paired finite values"
        )
    result = dict.fromkeys(STATISTICS)
    if a.size:
        result |= {"bias": (a - r).mean(), "mae": np.abs(a - r).mean()}
    if a.size >= FEWEST_PAIRS:
        result |= _errors(a - r) | _relation(a, r)
    values = {key: _finite(value) for key, value in result.items()}
    return {"n": a.size} | values | {"note": _note(a, r, values)}


def _errors(error: np.ndarray) -> dict[str, float]:
    n, bias, sd = error.size, error.mean(), error.std(ddof=1)
    t = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    low, high = bias - LIMIT_SDS * sd, bias + LIMIT_SDS * sd
    of_bias, of_limit = t * sd / math.sqrt(n), t * math.sqrt(3 * sd**2 / n)
    size = np.abs(error)
    return {
        "bias_ci_low": bias - of_bias,
        "bias_ci_high": bias + of_bias,
        "sd": sd,
        "loa_low": low,
        "loa_low_ci_low": low - of_limit,
        "loa_low_ci_high": low + of_limit,
        "loa_high": high,
        "loa_high_ci_low": high - of_limit,
        "loa_high_ci_high": high + of_limit,
        "mae_sd": size.std(ddof=1),
        "error_range": np.ptp(size),
    }


def _relation(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    if _constant(r):
        return {}
    saa, srr = a.var(), r.var()
    sar = np.mean((a - a.mean()) * (r - r.mean()))
    icc, icc_low, icc_high = intraclass_correlation(a, r)
    result = {
        "r2": 1 - np.sum((a - r) ** 2) / np.sum((r - r.mean()) ** 2),
        "ccc": 2 * sar / (saa + srr + (a.mean() - r.mean()) ** 2),
        "icc": icc,
        "icc_ci_low": icc_low,
        "icc_ci_high": icc_high,
    }
    if _constant(a):
        return result
    pearson = stats.pearsonr(a, r)
    slope = deming_slope(saa, srr, sar)
    return result | {
        "pearson_r": pearson.statistic,
        "pearson_p": pearson.pvalue,
        "pearson_r_squared": pearson.statistic**2,
        "slope": slope,
        "intercept": a.mean() - slope * r.mean(),
    }


def deming_slope(saa: float, srr: float, sar: float) -> float:
    """Slope of the line with the least squared distances at right angles to it.

    Parameters
    ----------
    saa, srr, sar : float
        Variances of automatic and reference, and their covariance.

    Returns
    -------
    float
        ``(saa - srr + √((saa - srr)² + 4 sar²)) / (2 sar)``; NaN where the covariance is 0.
    """
    if sar == 0:
        return math.nan
    return (saa - srr + math.hypot(saa - srr, 2 * sar)) / (2 * sar)


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
    pingouin.options["round.column.CI95"] = None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pingouin.intraclass_corr(table, targets="scan", raters="rater", ratings="value")
    row = found.set_index("Type").loc["ICC(A,1)"]
    return row["ICC"], *row["CI95"]


def _constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) == 0)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _note(a: np.ndarray, r: np.ndarray, values: dict[str, float | None]) -> str:
    if a.size == 0:
        return "no pairs"
    if a.size < FEWEST_PAIRS:
        return f"fewer than {FEWEST_PAIRS} pairs: only bias and MAE"
    if _constant(r):
        return "the reference is constant: no R², correlation, ICC, CCC or regression"
    if _constant(a):
        return "the automatic values are constant: no Pearson correlation or regression"
    missing = ", ".join(key for key, value in values.items() if value is None)
    return f"not defined for these values: {missing}" if missing else ""
