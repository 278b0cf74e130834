"""The report's tables and key numbers, made from the cohort's tables."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from calcohort.agreement.agreement import whole_cohort
from calcohort.measure import RULES
from calcohort.outcomes import EXCLUDED, FAILED
from calcohort.report.blocks import NOTHING, Cards, Table, interval, number, spread
from calcohort.report.comparisons import QUANTITIES
from calcohort.report.flow import meaning

COHORT = (
    ("sex", "Sex", None),
    ("age", "Age, years", 1),
    ("group", "Group", None),
    ("source", "Source", None),
    ("manufacturer", "Manufacturer", None),
    ("model", "Scanner", None),
    ("kernel", "Kernel", None),
    ("kv", "Tube voltage, kV", None),
    ("slice_spacing_mm", "Slice spacing, mm", 3),
    ("pixel_spacing_mm", "Pixel spacing, mm", 3),
    ("slices", "Slices", 0),
    ("field_of_view_mm", "Field of view, mm", 0),
    ("coverage_mm", "Length along the slices, mm", 0),
    ("root_source", "Root from", None),
    ("root_volume_mm3", "Root volume, mm³", 0),
    ("luminance_hu", "Luminance Lm, HU", 0),
    ("luminance_sd_hu", "SD in the luminance cube, HU", 0),
)
"""Column of scans.csv, what it is called, and its decimals; None for what is counted."""

MOST_GROUPS = 8


def counts_of(scans: pd.DataFrame) -> dict[str, int]:
    """Count the scans of the sheet, and those measured, excluded and failed."""
    outcomes = {s: int((scans["status"] == s).sum()) for s in ("measured", EXCLUDED, FAILED)}
    return {"sheet": len(scans)} | outcomes


def key_numbers(
    scans: pd.DataFrame,
    calcium: pd.DataFrame,
    segmentation: pd.DataFrame,
    agreement: pd.DataFrame,
    rule: str,
) -> Cards:
    """Make the cards at the top: scans in and out, calcium, and agreement with the reader."""
    counts = counts_of(scans)
    ended = f"{counts['excluded']} excluded, {counts['failed']} failed"
    cards = [(f"{counts['measured']} of {counts['sheet']}", "scans measured", ended)]
    volumes = calcium.loc[calcium["rule"] == rule, "calcium_volume_mm3"]
    if len(volumes):
        low, middle, high = volumes.quantile([0.25, 0.5, 0.75])
        label = f"median calcium volume ({rule})"
        cards.append((f"{number(middle)} mm³", label, f"quartiles {interval(low, high)} mm³"))
    whole = whole_cohort(agreement)
    reader = whole[(whole["reference"] == "reader") & (whole["rule"] == rule)]
    for quantity, (name, unit) in QUANTITIES.items():
        for row in reader[(reader["quantity"] == quantity) & (reader["n"] > 0)].to_dict("records"):
            value = f"{number(row['mae'])} {unit}"
            remark = f"bias {number(row['bias'])} {unit}, n = {row['n']:.0f}"
            cards.append((value, f"{name.lower()}: mean absolute error ({rule})", remark))
    dice = segmentation["dice"].dropna() if "dice" in segmentation else pd.Series(dtype=float)
    if len(dice):
        remark = f"lowest {number(dice.min(), 3)}, n = {len(dice)}"
        cards.append((number(dice.mean(), 3), "mean Dice of the root", remark))
    return Cards(cards)


def exclusions(scans: pd.DataFrame) -> Table:
    """List the scans that were not measured: where they ended, why, and what was found."""
    ended = scans[scans["status"] != "measured"]
    rows = [
        [str(s["scan_id"]), s["status"], s["stage"], meaning(str(s["reason"])), _word(s["detail"])]
        for s in ended.to_dict("records")
    ]
    return Table(
        "Scans that were not measured",
        ["Scan", "Outcome", "Stage", "Reason", "What was found"],
        rows,
        text_columns=frozenset({1, 2, 3, 4}),
        of_scans=True,
    )


def cohort_tables(scans: pd.DataFrame, groups: Iterable[str]) -> list[Table]:
    """Describe all scans and the measured ones, then the measured ones by group.

    Parameters
    ----------
    scans : DataFrame
        scans.csv.
    groups : iterable of str
        Columns to describe the scans by; those with 2 to `MOST_GROUPS` values are.
    """
    measured = scans[scans["status"] == "measured"]
    both = {"All scans": scans, "Measured": measured}
    tables = [_description("Scans and scanners", scans, both)]
    for column in dict.fromkeys(groups):
        values = sorted(measured[column].dropna().unique(), key=str) if column in measured else []
        if 2 <= len(values) <= MOST_GROUPS:
            parts = {_word(value): measured[measured[column] == value] for value in values}
            unknown = measured[measured[column].isna()]
            parts |= {"Unknown": unknown} if len(unknown) else {}
            tables.append(
                _description(f"Measured scans by {column}", measured.drop(columns=column), parts)
            )
    return tables


def _description(caption: str, scans: pd.DataFrame, parts: dict[str, pd.DataFrame]) -> Table:
    rows = []
    for column, label, digits in COHORT:
        if column not in scans or scans[column].isna().all():
            continue
        if digits is None or not pd.api.types.is_numeric_dtype(scans[column]):
            rows += [
                [f"{label}: {_word(value)}", *(_share(p[column], value) for p in parts.values())]
                for value in sorted(scans[column].dropna().unique(), key=str)
            ]
            missing = [int(part[column].isna().sum()) for part in parts.values()]
            rows += [[f"{label}: missing", *map(str, missing)]] if any(missing) else []
        else:
            rows.append([label, *(_spread(part[column], digits) for part in parts.values())])
    head = ["", *(f"{name} (n = {len(part)})" for name, part in parts.items())]
    note = "Mean ± SD (lowest to highest), or number of scans (% of those with a known value)."
    return Table(caption, head, rows, note=note)


def _spread(values: pd.Series, digits: int) -> str:
    missing = int(values.isna().sum())
    return spread(values.dropna(), digits) + (f"; {missing} missing" if missing else "")


def _share(values: pd.Series, value: Any) -> str:
    known = values.dropna()
    if known.empty:
        return NOTHING
    count = int((known == value).sum())
    return f"{count} ({100 * count / len(known):.0f} %)"


def calcium_tables(scans: pd.DataFrame, calcium: pd.DataFrame, rule: str) -> list[Table]:
    """List the calcium of every measured scan by the main rule, and (folded) by all rules."""
    given = scans.set_index("scan_id")
    references = [
        (column, label)
        for column, label in (
            ("reference_threshold_hu", "Reader's threshold, HU"),
            ("reference_volume_mm3", "Reader's volume, mm³"),
        )
        if column in given and given[column].notna().any()
    ]
    rows = [
        [
            str(row["scan_id"]),
            number(row["luminance_hu"], 0),
            number(row["threshold_hu"], 0),
            number(row["calcium_volume_mm3"]),
            interval(row["volume_low_mm3"], row["volume_high_mm3"], 0),
            number(row["lesion_count"], 0),
            number(row["largest_lesion_mm3"]),
            number(row["mean_hu"], 0),
            number(row["peak_hu"], 0),
            number(row["root_volume_mm3"] / 1000),
            *(number(given.loc[row["scan_id"], column]) for column, _ in references),
        ]
        for row in calcium[calcium["rule"] == rule].to_dict("records")
    ]
    head = ["Scan", "Lm, HU", "Threshold, HU", "Calcium, mm³", "95 % interval, mm³"]
    head += ["Lesions", "Largest, mm³", "Mean, HU", "Peak, HU", "Root, ml"]
    head += [label for _, label in references]
    caption = f"Calcium of every measured scan, rule {rule}"
    return [
        Table(caption, head, rows, of_scans=True),
        _by_rule(calcium, "calcium_volume_mm3", "Calcium volume by all rules, mm³", 1),
        _by_rule(calcium, "threshold_hu", "Thresholds of all rules, HU", 0),
    ]


def _by_rule(calcium: pd.DataFrame, column: str, caption: str, digits: int) -> Table:
    values = {(r["scan_id"], r["rule"]): r[column] for r in calcium.to_dict("records")}
    rows = [
        [str(scan), *(number(values.get((scan, rule)), digits) for rule in RULES)]
        for scan in calcium["scan_id"].drop_duplicates()
    ]
    return Table(caption, ["Scan", *RULES], rows, of_scans=True, folded=True)


def _word(value: Any) -> str:
    if value is None or value != value:
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)
