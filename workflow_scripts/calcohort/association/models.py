"""Logistic and Cox regression of an outcome on calcium and covariates, by statsmodels."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.tools.sm_exceptions import PerfectSeparationError

from calcohort.agreement.limits import CONFIDENCE

FEWEST_EVENTS = 5
EXTREME = 15.0


def doublings(volume_mm3: np.ndarray) -> np.ndarray:
    """``log2(1 + volume)``: ratios are then per doubling of the volume + 1 mm³, zeros included."""
    return np.log2(1 + volume_mm3)


def design(calcium: np.ndarray, covariates: pd.DataFrame) -> np.ndarray:
    """Columns of a model: calcium first, numbers standardised, texts as indicators of all but one.

    Parameters
    ----------
    calcium : ndarray, (n,)
    covariates : DataFrame
        n rows without gaps; columns that do not vary are left out.

    Returns
    -------
    ndarray, (n, c)
    """
    columns = [calcium]
    for name in covariates:
        values = covariates[name]
        if pd.api.types.is_numeric_dtype(values):
            if np.ptp(values) > 0:
                columns.append((values - values.mean()) / values.std())
        else:
            columns += [(values == level).astype(float) for level in sorted(values.unique())[1:]]
    return np.column_stack(columns).astype(float)


def logistic(outcome: np.ndarray, columns: np.ndarray) -> dict[str, Any]:
    """Odds ratio of the first column (`_ratio`), the others held.

    Parameters
    ----------
    outcome : ndarray of bool, (n,)
    columns : ndarray, (n, c)
        Of `design`.
    """
    if note := _too_few(min(outcome.sum(), (~outcome).sum()), columns):
        return {"note": note}
    model = sm.Logit(outcome.astype(float), sm.add_constant(columns, has_constant="add"))
    return _ratio(lambda: model.fit(disp=0, maxiter=100), position=1)


def cox(event: np.ndarray, time: np.ndarray, columns: np.ndarray) -> dict[str, Any]:
    """Hazard ratio of the first column (`_ratio`), ties after Efron.

    Parameters
    ----------
    event : ndarray of bool, (n,)
        False where the follow-up ended first.
    time : ndarray, (n,)
        Length of follow-up, above 0.
    columns : ndarray, (n, c)
        Of `design`.
    """
    if note := _too_few(event.sum(), columns):
        return {"note": note}
    model = sm.PHReg(time, columns, status=event.astype(int), ties="efron")
    return _ratio(lambda: model.fit(disp=0), position=0)


def _too_few(events: int, columns: np.ndarray) -> str:
    if events < FEWEST_EVENTS:
        return f"{events} events: at least {FEWEST_EVENTS} of either kind are needed"
    if np.linalg.matrix_rank(columns - columns.mean(axis=0)) < columns.shape[1]:
        return "calcium and covariates are constant or depend on each other"
    return ""


def _ratio(fit: Any, position: int) -> dict[str, Any]:
    """Fit, and describe the ratio at `position`: `value`, Wald interval and `p`, or a `note`."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = fit()
            low, high = found.conf_int(1 - CONFIDENCE)[position]
    except (PerfectSeparationError, np.linalg.LinAlgError):
        low = high = math.nan
    if not (np.isfinite([low, high]).all() and max(abs(low), abs(high)) < EXTREME):
        return {"note": "the outcome is separated perfectly: no ratio exists"}
    converged: Mapping[str, Any] = getattr(found, "mle_retvals", None) or {}
    if not converged.get("converged", True):
        return {"note": "the model did not converge"}
    values: Sequence[float] = (found.params[position], low, high)
    value, low, high = (math.exp(v) for v in values)
    return {
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "p": float(found.pvalues[position]),
    }
