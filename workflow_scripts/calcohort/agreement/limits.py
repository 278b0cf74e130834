"""Bias and limits of agreement: constant ones, ones that follow the size, and ratios.

Calcium errors often grow with the amount of calcium. Then one pair of limits is too wide for little
calcium and too narrow for much; `heteroscedasticity` tests for it and gives limits that follow.

References
----------
Bland, Altman, Lancet 1986; 1: 307-310 (limits, their intervals). Bland, Altman, Stat Methods Med
Res 1999; 8: 135-160, section 3 (limits by regression, ratios). Carkeet, Optom Vis Sci 2015; 92:
e71-e80 (exact intervals of the limits). Koenker, J Econometrics 1981; 17: 107-112 (test).
"""

import math

import numpy as np
from scipy import stats
from statsmodels.stats.diagnostic import het_breuschpagan

LIMIT_SDS = 1.96
CONFIDENCE = 0.95
SIGNIFICANCE = 0.05

CONSTANT = (
    "bias",
    "bias_ci_low",
    "bias_ci_high",
    "sd",
    "loa_low",
    "loa_low_ci_low",
    "loa_low_ci_high",
    "loa_low_exact_low",
    "loa_low_exact_high",
    "loa_high",
    "loa_high_ci_low",
    "loa_high_ci_high",
    "loa_high_exact_low",
    "loa_high_exact_high",
)
FOLLOWING = (
    "bias_by_size",
    "bias_at_zero",
    "bias_by_size_p",
    "sd_by_size",
    "sd_at_zero",
    "sd_by_size_p",
    "limits_form",
)
RATIO = (
    "ratio_n",
    "ratio",
    "ratio_ci_low",
    "ratio_ci_high",
    "ratio_loa_low",
    "ratio_loa_high",
)


def constant_limits(error: np.ndarray) -> dict[str, float]:
    """Bias and limits ``bias ± 1.96 s`` with their 95 % intervals.

    Parameters
    ----------
    error : ndarray, (n,)
        automatic - reference, n >= 2.

    Returns
    -------
    dict
        `CONSTANT`. `*_ci_*`: ``bias ± t s / √n`` (exact for normal errors) and ``limit ± t √(3 s² /
        n)`` (Bland & Altman 1986). `*_exact_*`: see `exact_interval`.
    """
    n, bias, sd = error.size, error.mean(), error.std(ddof=1)
    t = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    of_bias, of_limit = t * sd / math.sqrt(n), t * math.sqrt(3 * sd**2 / n)
    found = {"bias": bias, "bias_ci_low": bias - of_bias, "bias_ci_high": bias + of_bias, "sd": sd}
    for name, sds in (("loa_low", -LIMIT_SDS), ("loa_high", LIMIT_SDS)):
        limit = bias + sds * sd
        low, high = exact_interval(bias, sd, n, sds)
        found |= {
            name: limit,
            f"{name}_ci_low": limit - of_limit,
            f"{name}_ci_high": limit + of_limit,
            f"{name}_exact_low": low,
            f"{name}_exact_high": high,
        }
    return found


def exact_interval(
    mean: float, sd: float, n: int, sds: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of a normal population's mean + `sds` · SD, exact by the noncentral t (Carkeet).

    ``√n (mean + sds σ - x̄) / s`` follows -t' of n - 1 degrees of freedom and noncentrality
    ``-sds √n``. Not symmetric: the outer side is the longer one.
    """
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    factors = stats.nct.ppf(tails, n - 1, abs(sds) * math.sqrt(n)) / math.sqrt(n)
    low, high = factors if sds >= 0 else -factors[::-1]
    return mean + low * sd, mean + high * sd


def following_limits(a: np.ndarray, r: np.ndarray) -> dict[str, float | str]:
    """Test whether errors follow the size, and fit limits that do (Bland & Altman 1999).

    With the size ``m = (a + r) / 2``: the bias is regressed on m, ``bias(m) = bias_at_zero +
    bias_by_size m``, and the absolute residuals are, ``|e| = c0 + c1 m``; normal residuals have
    ``sd(m) = √(π / 2) (c0 + c1 m)``. The limits are ``bias(m) ± 1.96 sd(m)``; a negative sd(m) is
    to be read as 0.

    Parameters
    ----------
    a, r : ndarray, (n,)
        Automatic and reference, n >= 4 and of more than one size.

    Returns
    -------
    dict
        `FOLLOWING`. `bias_by_size_p` is of the slope's t test, `sd_by_size_p` of Koenker's
        studentised Breusch-Pagan test; `limits_form` is ``by size`` where either is below 0.05,
        else ``constant``.
    """
    size, error = (a + r) / 2, a - r
    trend = stats.linregress(size, error)
    residual = error - trend.intercept - trend.slope * size
    if np.abs(residual).max() <= 1e-12 * np.abs(a).max():
        spread_p, spread = math.nan, None
    else:
        spread_p = het_breuschpagan(residual, np.column_stack([np.ones_like(size), size]))[1]
        spread = stats.linregress(size, np.abs(residual))
    wide = math.sqrt(math.pi / 2)
    follows = trend.pvalue < SIGNIFICANCE or spread_p < SIGNIFICANCE
    return {
        "bias_by_size": trend.slope,
        "bias_at_zero": trend.intercept,
        "bias_by_size_p": trend.pvalue,
        "sd_by_size": wide * spread.slope if spread else 0.0,
        "sd_at_zero": wide * spread.intercept if spread else 0.0,
        "sd_by_size_p": spread_p,
        "limits_form": "by size" if follows else "constant",
    }


def ratio_limits(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    """Ratio of automatic to reference: geometric mean, its interval, and limits of agreement.

    Bias and limits of ``ln a - ln r``, taken back by exp. Only pairs with both values above 0 have
    a ratio: `ratio_n` counts them, and zeros are described by `concordance.zero_agreement`.
    """
    both = (a > 0) & (r > 0)
    n = int(both.sum())
    if n < 3:
        return {"ratio_n": n}
    found = constant_limits(np.log(a[both]) - np.log(r[both]))
    names = ("bias", "bias_ci_low", "bias_ci_high", "loa_low", "loa_high")
    return {"ratio_n": n} | {
        key: math.exp(found[name]) for key, name in zip(RATIO[1:], names, strict=True)
    }
