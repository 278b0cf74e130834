"""Scans that stand out, for people to look at first."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from calcohort.agreement.agreement import pair, whole_cohort
from calcohort.agreement.limits import LIMIT_SDS
from calcohort.agreement.readings import NAMES, READER, STUDY_READER, UNITS
from calcohort.applicability import INSIDE, tell_left
from calcohort.report.blocks import interval, number

HIGHEST_SCORE = 3.5
FEWEST_SCANS = 10
NOISE_SHARE = 0.1
LEAST_NOISE_MM3 = 1.0
METAL_LIKE_HU = 1800.0
KINDS = {
    "calcium": "calcium volume unlike the cohort's",
    "root": "root volume unlike the cohort's",
    "luminance": "luminance unlike the cohort's",
    "noise": "noise may have been counted as calcium",
    "metal": "metal may have been counted as calcium",
    "reader": "farther from the reader than the limits of agreement",
    "training": "outside of what the networks were trained on",
}


class Outlier(NamedTuple):
    """Why a scan stands out: one of `KINDS`, and a sentence with the numbers."""

    scan_id: str
    kind: str
    why: str


def modified_z(values: pd.Series) -> pd.Series:
    """Score by modified z, ``0.6745 (x - median) / MAD`` (Iglewicz & Hoaglin 1993, section 3.3).

    NaN below `FEWEST_SCANS` values, and where the MAD is 0 because most values are equal.
    """
    unknown = pd.Series(np.nan, values.index)
    if values.notna().sum() < FEWEST_SCANS:
        return unknown
    spread = stats.median_abs_deviation(values, scale="normal", nan_policy="omit")
    return (values - values.median()) / spread if spread > 0 else unknown


def find_outliers(
    scans: pd.DataFrame, calcium: pd.DataFrame, agreement: pd.DataFrame, rule: str
) -> list[Outlier]:
    """Find the scans that stand out: measured ones, and any that left the networks' training.

    Of the cohort: `modified_z` beyond ± 3.5 of the luminance (HU), and of the logarithms of the
    root volume (mm³) and of the calcium volume + 1 mm³ by the main rule. Of noise: it alone would
    give at least 1 mm³ and a tenth of the calcium volume. Of metal: a voxel of the calcium reaches
    `METAL_LIKE_HU`, as a prosthesis's thin frame does and calcium seldom. Of the reader: calcium
    volume or threshold beyond the limits of agreement, by size where constant limits are wrong. Of
    the training: `outside_training` of scans.csv.

    Parameters
    ----------
    scans, calcium, agreement : DataFrame
        The cohort's tables.
    rule : str
        The main rule.
    """
    rows = calcium[calcium["rule"] == rule].set_index("scan_id")
    looked_at = {
        "calcium": ("calcium_volume_mm3", "mm³", 1, lambda v: np.log(v + 1)),
        "root": ("root_volume_mm3", "mm³", 0, np.log),
        "luminance": ("luminance_hu", "HU", 0, lambda v: v),
    }
    found = []
    for kind, (column, unit, digits, scale) in looked_at.items():
        scores = modified_z(scale(rows[column].astype(float)))
        found += [
            Outlier(
                scan_id,
                kind,
                f"{number(rows.loc[scan_id, column], digits)} {unit}, score {number(score)}; "
                f"median {number(rows[column].median(), digits)} {unit}",
            )
            for scan_id, score in scores[scores.abs() > HIGHEST_SCORE].items()
        ]
    found += [
        Outlier(
            scan_id,
            "noise",
            f"noise alone would give {number(row['noise_volume_mm3'])} mm³ at "
            f"{number(row['threshold_hu'], 0)} HU; {number(row['calcium_volume_mm3'])} mm³ were "
            "measured",
        )
        for scan_id, row in _noisy(rows).iterrows()
    ]
    found += [
        Outlier(scan_id, "metal", f"the brightest voxel has {number(peak_hu, 0)} HU")
        for scan_id, peak_hu in rows["peak_hu"].astype(float).items()
        if peak_hu >= METAL_LIKE_HU
    ]
    for quantity in ("calcium_volume_mm3", "threshold_hu"):
        found += _beyond_limits(scans, calcium, agreement, rule, quantity)
    found += [
        Outlier(scan["scan_id"], "training", tell_left(scan["outside_training"], scan))
        for scan in outside_training(scans).to_dict("records")
    ]
    order = {scan_id: n for n, scan_id in enumerate(scans["scan_id"])}
    return sorted(found, key=lambda outlier: order[outlier.scan_id])


def _noisy(rows: pd.DataFrame) -> pd.DataFrame:
    noise_mm3 = rows["noise_volume_mm3"]
    share = noise_mm3 >= NOISE_SHARE * rows["calcium_volume_mm3"]
    return rows[share & (noise_mm3 >= LEAST_NOISE_MM3)]


def outside_training(scans: pd.DataFrame) -> pd.DataFrame:
    """Rows of scans.csv whose scans are outside of what the networks were trained on."""
    judged = compared_with_training(scans)
    return judged[judged["outside_training"] != INSIDE]


def compared_with_training(scans: pd.DataFrame) -> pd.DataFrame:
    """Rows of scans.csv whose scans were compared with what the networks were trained on."""
    return scans[scans["outside_training"].notna()]


def _beyond_limits(scans, calcium, agreement, rule: str, quantity: str) -> list[Outlier]:
    used = whole_cohort(agreement)
    of = (used["reference"] == STUDY_READER) & (used["quantity"] == quantity)
    rows = used[of & (used["rule"] == rule) & used["loa_low"].notna()].to_dict("records")
    if not rows:
        return []
    pairs = pair(calcium, scans, rule, quantity, READER[quantity]).dropna()
    found = []
    for scan_id, automatic, reference in pairs.itertuples(index=False):
        low, high = limits_at(rows[0], (automatic + reference) / 2)
        if not low <= automatic - reference <= high:
            why = (
                f"{NAMES[quantity]} {number(automatic - reference)} {UNITS[quantity]} from the "
                f"reader's, limits {interval(low, high)}"
            )
            found.append(Outlier(scan_id, "reader", why))
    return found


def limits_at(row: Mapping[str, Any], size: float) -> tuple[float, float]:
    """Limits of agreement of a row of agreement.csv at a size, the mean of both values."""
    if row["limits_form"] != "by size":
        return row["loa_low"], row["loa_high"]
    bias = row["bias_at_zero"] + row["bias_by_size"] * size
    sd = max(row["sd_at_zero"] + row["sd_by_size"] * size, 0.0)
    return bias - LIMIT_SDS * sd, bias + LIMIT_SDS * sd
