"""Agreement of a measurement with a reference, pair by pair: everything in one description.

Errors are always automatic - reference. Standard deviations have n - 1. Confidence is 95 %. The
formulas and their sources stand in `limits`, `regression`, `concordance` and `resampling`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from calcohort.agreement import concordance, limits, regression, resampling

FEWEST_PAIRS = 3
FEWEST_FOR_FORM = 4

ABSOLUTE = ("mae", "mae_sd", "mae_ci_low", "mae_ci_high", "error_range")
ROOT_MEAN_SQUARE = ("rmse", "rmse_ci_low", "rmse_ci_high")
PERCENTAGE = ("mape_percent", "mape_n")
IDENTITY = ("r2", "r2_ci_low", "r2_ci_high")
PEARSON = ("pearson_r", "pearson_r_ci_low", "pearson_r_ci_high", "pearson_p", "pearson_r_squared")
EQUIVALENCE = ("equivalence_margin", "equivalence_p")

STATISTICS = (
    *limits.CONSTANT,
    *ABSOLUTE,
    *ROOT_MEAN_SQUARE,
    *PERCENTAGE,
    *IDENTITY,
    *PEARSON,
    *concordance.ICC,
    *concordance.CCC,
    *regression.DEMING,
    *regression.PASSING_BABLOK,
    *limits.FOLLOWING,
    *limits.RATIO,
    *concordance.ZEROS,
    *concordance.KAPPA,
    *EQUIVALENCE,
)


def agree(
    automatic: ArrayLike,
    reference: ArrayLike,
    *,
    cuts: Sequence[float] | None = None,
    margin: float | None = None,
) -> dict[str, Any]:
    """Describe how well `automatic` agrees with `reference`.

    Parameters
    ----------
    automatic, reference : array_like, (n,)
        Paired finite values in one unit.
    cuts : sequence of float, optional
        Bounds of categories, for kappa (`concordance.confusion`).
    margin : float, optional
        Largest bias that does not matter, for the test of equivalence.

    Returns
    -------
    dict
        `n`, the keys of `STATISTICS`, and `note`, which says why a statistic is None ("" where
        none is):

        - `bias`, `sd`, `loa_*`, and the limits that follow the size or are ratios: see `limits`.
        - `mae`, `mae_sd`, `error_range`: mean, SD and largest - smallest of the absolute errors;
          `rmse`: root mean square error; `mape_percent`: mean of ``100 |error| / reference`` over
          the `mape_n` pairs whose reference is not 0.
        - `r2`: ``1 - SS_res / SS_tot`` about the identity line; negative where the reference's mean
          would do better. `pearson_r` (interval by Fisher's z), its p (two-sided) and its square
          are another matter.
        - `icc`, `ccc`, the counts of zeros, and linearly weighted `kappa`: see `concordance`.
        - `slope`, `intercept` (Deming) and `passing_bablok_*`: see `regression`.
        - `equivalence_p`: larger p of two one-sided t tests of the bias against ± `margin`.

        Intervals of `mae`, `rmse` and `r2` are by bootstrap (`resampling`).

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
        result |= concordance.zero_agreement(a, r)
    if a.size >= FEWEST_PAIRS:
        result |= limits.constant_limits(a - r) | _errors(a, r) | limits.ratio_limits(a, r)
        result |= _relation(a, r) | _equivalence(a, r, margin)
        if cuts:
            counts = concordance.confusion(a, r, cuts)
            result |= zip(concordance.KAPPA, concordance.weighted_kappa(counts), strict=True)
    if a.size >= FEWEST_FOR_FORM and not _constant(a + r):
        result |= limits.following_limits(a, r)
    values = {key: _plain(value) for key, value in result.items()}
    return {"n": a.size} | values | {"note": _note(a, r, values)}


def _errors(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    size = np.abs(a - r)
    given = r != 0
    found = {"mae_sd": size.std(ddof=1), "error_range": np.ptp(size), "mape_n": int(given.sum())}
    if given.any():
        found["mape_percent"] = 100 * np.mean(size[given] / np.abs(r[given]))
    return found | resampling.error_statistics(a, r)


def _relation(a: np.ndarray, r: np.ndarray) -> dict[str, float]:
    if _constant(r):
        return {}
    icc = concordance.intraclass_correlation(a, r)
    ccc = concordance.concordance_correlation(a, r)
    result = dict(zip(concordance.ICC + concordance.CCC, icc + ccc, strict=True))
    if _constant(a):
        return result
    pearson = stats.pearsonr(a, r)
    result |= {
        "pearson_r": pearson.statistic,
        "pearson_p": pearson.pvalue,
        "pearson_r_squared": pearson.statistic**2,
    }
    if a.size > FEWEST_PAIRS:
        interval = pearson.confidence_interval(limits.CONFIDENCE)
        result |= {"pearson_r_ci_low": interval.low, "pearson_r_ci_high": interval.high}
    return result | regression.deming(a, r) | regression.passing_bablok(a, r)


def _equivalence(a: np.ndarray, r: np.ndarray, margin: float | None) -> dict[str, float]:
    if margin is None:
        return {}
    if _constant(a - r):
        return {"equivalence_margin": margin}
    import pingouin

    found = pingouin.tost(a, r, bound=margin, paired=True)
    return {"equivalence_margin": margin, "equivalence_p": found["pval"].iloc[0]}


def _constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) == 0)


def _plain(value: Any) -> float | int | str | None:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, np.integer):
        return int(value)
    return float(value) if np.isfinite(value) else None


BOOTSTRAP = tuple(f"{name}_ci_{end}" for name in ("mae", "rmse", "r2") for end in ("low", "high"))
OPTIONAL = (*EQUIVALENCE, *concordance.KAPPA, *limits.RATIO, "zero_kappa", "mape_percent")
"""Statistics that are empty by choice, or for want of zeros or of values above 0."""


def _note(a: np.ndarray, r: np.ndarray, values: dict[str, Any]) -> str:
    if a.size == 0:
        return "no pairs"
    if a.size < FEWEST_PAIRS:
        return f"fewer than {FEWEST_PAIRS} pairs: only bias, MAE and zeros"
    few = a.size < resampling.FEWEST_PAIRS
    if _constant(r):
        reasons = ["the reference is constant: no R², correlation, ICC, CCC or regression"]
    elif _constant(a):
        reasons = ["the automatic values are constant: no Pearson correlation or regression"]
    else:
        explained = (*OPTIONAL, *(BOOTSTRAP if few else ()))
        reasons = _undefined([k for k, v in values.items() if v is None and k not in explained])
    if few:
        reasons.append(f"fewer than {resampling.FEWEST_PAIRS} pairs: no bootstrap intervals")
    return "; ".join(reasons)


def _undefined(missing: list[str]) -> list[str]:
    """Name what is missing, an interval only where its statistic is there."""
    named = {}
    for key in missing:
        of = key.split("_ci_")[0]
        named[of if key == of or of in missing else f"{of} interval"] = None
    return [f"not defined for these values: {', '.join(named)}"] if named else []
