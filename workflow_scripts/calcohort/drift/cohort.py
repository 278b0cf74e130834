"""The charts of a cohort: what is charted, in which order, against which baseline."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from calcohort.drift import charts
from calcohort.outcomes import FAILED

WHOLE = "all scans"
BLOCK = 20
FEWEST_IN_GROUP = 5
RUN = 9

QUANTITIES = {
    "luminance_hu": ("luminance Lm", "HU"),
    "threshold_hu": ("threshold", "HU"),
    "calcium_log2": ("calcium volume", "log2(mm³ + 1)"),
    "root_volume_mm3": ("root volume", "mm³"),
}
SHARES = {"not_measured": "not measured", "failed": "failed"}
COLUMNS = (
    "chart",
    "quantity",
    "unit",
    "by",
    "stratum",
    "label",
    "n",
    "value",
    "centre",
    "low",
    "high",
    "baseline",
    "reason",
)


@dataclass(frozen=True)
class Choices:
    """The study's choices (`drift` in config.yaml).

    Attributes
    ----------
    baseline_scans : int
        Scans that a chart begins with: they say what is normal.
    ewma_weight : float
        Of the newest scan in the moving average.
    order : {"date", "sheet"}
        By `acquisition_date` where scans have one, or always as in the sheet: dates that are
        shifted patient by patient give no order.
    """

    baseline_scans: int = 30
    ewma_weight: float = 0.2
    order: str = "date"


def chart_cohort(
    scans: pd.DataFrame, calcium: pd.DataFrame, rule: str, choices: Choices
) -> pd.DataFrame:
    """Chart a cohort.

    Parameters
    ----------
    scans, calcium : DataFrame
        scans.csv and calcium.csv.
    rule : str
        The main rule, for threshold and volume.
    choices : Choices

    Returns
    -------
    DataFrame
        `COLUMNS`: one row per point of a chart; `reason` is empty but for alarms. Empty where no
        scanner has more scans than the baseline.
    """
    ordered = in_order(scans, calcium, rule, choices.order)
    points = []
    for stratum, part in strata(ordered):
        points += _of_shares(part, stratum, choices)
        measured = part[part["status"] == "measured"]
        for quantity in QUANTITIES:
            points += _of_quantity(measured.dropna(subset=[quantity]), quantity, stratum, choices)
    for by in ("scanner", "software"):
        for quantity in QUANTITIES:
            points += _of_groups(ordered.dropna(subset=[quantity, by]), quantity, by)
    return pd.DataFrame(points, columns=list(COLUMNS))


def in_order(
    scans: pd.DataFrame, calcium: pd.DataFrame, rule: str, order: str = "date"
) -> pd.DataFrame:
    """Put scans in order of time, with what is charted.

    Returns
    -------
    DataFrame
        Columns of scans.csv, those of `QUANTITIES`, `scanner`, `software` (with the scanner's
        name) and `period`. By `acquisition_date` where scans have one, those without are left out:
        periods are months, or years where the date has no month. By the sheet, or where no scan has
        a date, periods are blocks of `BLOCK` scans.
    """
    of_rule = calcium.loc[
        calcium["rule"] == rule, ["scan_id", "threshold_hu", "calcium_volume_mm3"]
    ]
    wanted = ["acquisition_date", "manufacturer", "model", "software"]
    known = scans.reindex(columns=list(dict.fromkeys([*scans.columns, *wanted])))
    table = known.merge(of_rule, on="scan_id", how="left", validate="one_to_one")
    table["calcium_log2"] = np.log2(table["calcium_volume_mm3"] + 1)
    table["scanner"] = _joined(table, ["manufacturer", "model"])
    table["software"] = _joined(table, ["scanner", "software"]).where(table["software"].notna())
    dates = table["acquisition_date"].map(_date)
    if order == "date" and dates.notna().any():
        table = table.assign(date=dates, period=dates.str.slice(0, 7))
        return table.dropna(subset=["date"]).sort_values("date", kind="stable")
    block = np.arange(len(table)) // BLOCK
    return table.assign(period=[f"scans {BLOCK * b + 1} to {BLOCK * (b + 1)}" for b in block])


def strata(ordered: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each scanner with its scans; all scans where at most one scanner is known."""
    if ordered["scanner"].nunique() < 2:
        yield WHOLE, ordered
    else:
        yield from ordered.groupby("scanner", sort=True)


def _of_quantity(
    part: pd.DataFrame, quantity: str, stratum: str, choices: Choices
) -> Iterator[dict[str, Any]]:
    """Chart one quantity of one stratum: scan by scan, smoothed, and by period."""
    first = choices.baseline_scans
    values = part[quantity].to_numpy(float)
    if values.size <= first:
        return
    spread = charts.in_control(values[:first])
    ids, later = part["scan_id"].to_numpy(), np.arange(values.size) >= first
    low, high = charts.limits(spread)
    name, unit = QUANTITIES[quantity]
    shared = {"quantity": quantity, "unit": unit, "by": "time", "stratum": stratum}
    shared |= {"centre": spread.centre}
    smooth = charts.moving_average(values, spread, choices.ewma_weight)
    outside = later & ((smooth[:, 0] < smooth[:, 1]) | (smooth[:, 0] > smooth[:, 2]))
    begins = outside & ~np.concatenate([[False], outside[:-1]])
    for t, scan_id in enumerate(ids):
        point = shared | {"label": scan_id, "n": 1, "baseline": not later[t]}
        reason = _beyond(values[t], low, high, f"{name} of {scan_id}", unit) if later[t] else None
        yield (
            point
            | {"chart": "individuals", "value": values[t], "low": low, "high": high}
            | {"reason": reason}
        )
        z, z_low, z_high = smooth[t]
        reason = None
        if begins[t]:
            reason = _beyond(z, z_low, z_high, f"smoothed {name} from {scan_id} on", unit)
            reason += _new_software(part, t, first)
        yield point | {"chart": "ewma", "value": z, "low": z_low, "high": z_high, "reason": reason}
    yield from _of_periods(part, quantity, shared, spread, first)


def _of_periods(
    part: pd.DataFrame, quantity: str, shared: dict[str, Any], spread: charts.Spread, first: int
) -> Iterator[dict[str, Any]]:
    name, unit = QUANTITIES[quantity]
    groups = part.groupby("period", sort=False)[quantity]
    n, means = groups.size(), groups.mean()
    low, high = charts.limits(spread, n.to_numpy(float))
    baseline = (n.cumsum() - n).to_numpy() < first
    long = charts.runs(means.to_numpy(), spread.centre, RUN)
    for t, period in enumerate(means.index):
        reason = None
        if not baseline[t]:
            of = f"mean {name} of {n.iloc[t]} scans, {period},"
            reason = _beyond(means.iloc[t], low[t], high[t], of, unit)
            if reason is None and long[t]:
                side = "above" if means.iloc[t] > spread.centre else "below"
                reason = f"{of} is at least the {RUN}th in a row {side} the centre"
        yield shared | {
            "chart": "means",
            "label": period,
            "n": int(n.iloc[t]),
            "value": means.iloc[t],
            "low": low[t],
            "high": high[t],
            "baseline": bool(baseline[t]),
            "reason": reason,
        }


def _of_shares(part: pd.DataFrame, stratum: str, choices: Choices) -> Iterator[dict[str, Any]]:
    """Chart the shares of scans that were not measured, and that failed, by period."""
    if len(part) <= choices.baseline_scans:
        return
    hits = {"not_measured": part["status"] != "measured", "failed": part["status"] == FAILED}
    for quantity, hit in hits.items():
        start = hit.iloc[: choices.baseline_scans]
        groups = hit.groupby(part["period"], sort=False)
        n, count = groups.size(), groups.sum()
        baseline = (n.cumsum() - n).to_numpy() < choices.baseline_scans
        for t, period in enumerate(n.index):
            size, found = int(n.iloc[t]), int(count.iloc[t])
            low, high = charts.count_limits(int(start.sum()), len(start), size)
            reason = None
            if not baseline[t] and not low <= found <= high:
                side = f"more than {high}" if found > high else f"fewer than {low}"
                reason = (
                    f"{found} of {size} scans, {period}, were {SHARES[quantity]}: {side}, after "
                    f"{start.sum()} of the first {len(start)}"
                )
            yield {
                "chart": "proportion",
                "quantity": quantity,
                "unit": "share",
                "by": "time",
                "stratum": stratum,
                "label": period,
                "n": size,
                "value": found / size,
                "centre": start.mean(),
                "low": low / size,
                "high": high / size,
                "baseline": bool(baseline[t]),
                "reason": reason,
            }


def _of_groups(part: pd.DataFrame, quantity: str, by: str) -> Iterator[dict[str, Any]]:
    """Compare scanners, or versions of their software, with all scans."""
    size = part.groupby(by)[quantity].transform("size")
    used = part[size >= FEWEST_IN_GROUP]
    if used[by].nunique() < 2:
        return
    name, unit = QUANTITIES[quantity]
    found = charts.group_limits(used[quantity].to_numpy(float), used[by].to_numpy(str))
    for label, (n, mean, centre, low, high) in found.items():
        yield {
            "chart": "means",
            "quantity": quantity,
            "unit": unit,
            "by": by,
            "stratum": WHOLE,
            "label": label,
            "n": n,
            "value": mean,
            "centre": centre,
            "low": low,
            "high": high,
            "baseline": False,
            "reason": _beyond(mean, low, high, f"mean {name} of {n} scans of {label}", unit),
        }


def _beyond(value: float, low: float, high: float, what: str, unit: str) -> str | None:
    if low <= value <= high:
        return None
    side, limit = ("above", high) if value > high else ("below", low)
    return f"{what} is {value:.4g} {unit}, {side} the limit of {limit:.4g}"


def _new_software(part: pd.DataFrame, t: int, first: int) -> str:
    """Tell when the software at `t` came, where it is not that of the baseline's end."""
    versions = part["software"].to_numpy()
    now = versions[t]
    if not isinstance(now, str) or now in versions[:first]:
        return ""
    came = int(np.flatnonzero(versions == now)[0])
    return f"; the software is {now} since {part['scan_id'].iloc[came]}"


def _joined(table: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Join texts by a space; missing where all are."""
    texts = table[columns].apply(lambda row: " ".join(str(v) for v in row if v == v and v), axis=1)
    return texts.where(texts != "")


def _date(value: Any) -> str | None:
    """Write a date as YYYY-MM-DD, or YYYY where it has only a year; None for none."""
    digits = re.sub(r"\D", "", str(value).split(".")[0]) if value == value and value else ""
    if len(digits) == 8:
        return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return digits if len(digits) == 4 else None
