"""The report's tables of automatic against reference: numbers, and root masks."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from calcohort.measure import RULES
from calcohort.report import published
from calcohort.report.blocks import NOTHING, Table, interval, number, p_value, spread

QUANTITIES = {
    "threshold_hu": ("Threshold", "HU"),
    "calcium_volume_mm3": ("Calcium volume", "mm³"),
}
PUBLISHED = {
    "threshold_hu": (
        "Paper, Table 2 (30 scans)",
        published.THRESHOLD_30_SCANS,
        published.THRESHOLD_NOTE,
    ),
    "calcium_volume_mm3": (
        "Paper, F7 (33 scans)",
        published.VOLUME_33_SCANS,
        published.VOLUME_NOTE,
    ),
}
SEGMENTATION = (
    ("dice", "Dice", 3),
    ("iou", "IoU", 3),
    ("assd_mm", "Mean surface distance, mm", 2),
    ("hd95_mm", "95 % surface distance, mm", 2),
    ("volume_error_mm3", "Root volume error, mm³", 0),
    ("box_coverage", "Root inside the box, %", 2),
    ("volume_in_found_root_mm3", "Calcium in found root, mm³", 1),
    ("volume_in_reference_root_mm3", "Calcium in reference root, mm³", 1),
)


def agreement_tables(agreement: pd.DataFrame, k: float, rule: str) -> list[Table]:
    """Compare every rule with each reference as the paper's Table 2 does, its figures beside.

    Parameters
    ----------
    agreement : DataFrame
        Of `agreement.agreement_table`; references other than the `reader` stand without the
        paper's figures, which are of radiologists.
    k : float
        Of F7, for its formula.
    rule : str
        The main rule; its row is stressed.
    """
    used = agreement[agreement["n"] > 0]
    tables = []
    for (reference, quantity), part in used.groupby(["reference", "quantity"], sort=False):
        rows = part.to_dict("records")
        tables += [
            replace(_errors(reference, quantity, rows, k), main=rule),
            replace(_further(reference, quantity, rows), main=rule),
        ]
    return tables


def _errors(reference: str, quantity: str, rows: list[Mapping], k: float) -> Table:
    name, unit = QUANTITIES.get(quantity, (quantity, ""))
    source, paper, note = PUBLISHED.get(quantity, ("", {}, ""))
    if reference != "reader":
        source, paper, note = "", {}, ""
    errors = ["R²", "MAE", "SD", "Range"]
    head = ["Rule", "n", *errors, "Bias", "95 % CI of bias", "Limits of agreement"]
    groups = [("", 3), ("Absolute error", 3), ("Automatic − reference", 3)]
    if paper:
        head, groups = head + errors, [*groups, (source, 4)]
    cells = []
    for row in rows:
        cells.append(
            [
                _rule(row["rule"], k),
                number(row["n"], 0),
                number(row["r2"], 2),
                *(number(row[key]) for key in ("mae", "mae_sd", "error_range", "bias")),
                interval(row["bias_ci_low"], row["bias_ci_high"]),
                interval(row["loa_low"], row["loa_high"]),
            ]
        )
        if paper:
            theirs = paper.get(row["rule"])
            values = [number(value, 2) for value in theirs] if theirs else [NOTHING] * 4
            cells[-1] += values
    with_reference = max((row.get("scans_with_reference", row["n"]) for row in rows), default=0)
    missing = int(with_reference - min(row["n"] for row in rows))
    dropped = f" {missing} scans with a reference were not measured." if missing else ""
    definition = "R² is about the identity line and may be negative. MAE, SD and range are of the "
    definition += "absolute error; limits of agreement are bias ± 1.96 SD of the error."
    caption = f"{name}{f' ({unit})' if unit else ''} against the {reference}"
    return Table(caption, head, cells, groups=groups, note=f"{definition}{dropped} {note}".strip())


def _further(reference: str, quantity: str, rows: list[Mapping]) -> Table:
    name, unit = QUANTITIES.get(quantity, (quantity, ""))
    head = ["Rule", "r", "p", "r²", "ICC(A,1)", "95 % CI", "CCC", "Slope", "Intercept"]
    cells = [
        [
            row["rule"],
            number(row["pearson_r"], 3),
            p_value(row["pearson_p"]),
            number(row["pearson_r_squared"], 3),
            number(row["icc"], 3),
            interval(row["icc_ci_low"], row["icc_ci_high"], 3),
            number(row["ccc"], 3),
            number(row["slope"], 3),
            number(row["intercept"]),
        ]
        for row in rows
    ]
    caption = f"Correlation, concordance and regression: {name.lower()} against the {reference}"
    note = f"Deming regression of automatic on reference{f', intercept in {unit}' if unit else ''}."
    return Table(caption, head, cells, folded=True, note=note)


def _rule(name: str, k: float) -> str:
    formula = RULES[name].formula.replace(" k ", f" {k:g} ").replace("-", "−")
    return f"{name}: {formula}"


def segmentation_tables(segmentation: pd.DataFrame) -> list[Table]:
    """Summarise the roots against their reference masks, and list them scan by scan (folded)."""
    columns = [column for column in SEGMENTATION if column[0] in segmentation]
    values = segmentation.assign(**{c: pd.to_numeric(segmentation[c]) for c, *_ in columns})
    if "box_coverage" in values:
        values["box_coverage"] *= 100
    summary = [
        [label, str(len(known)), spread(known, digits), number(known.median(), digits)]
        for c, label, digits in columns
        for known in [values[c].dropna()]
    ]
    rows = [
        [str(row["scan_id"]), *(number(row[c], digits) for c, _, digits in columns)]
        for row in values.to_dict("records")
    ]
    labels = [label for _, label, _ in columns]
    head = ["", "n", "Mean ± SD (lowest to highest)", "Median"]
    note = (
        "Errors are found minus reference. Scans without a found root count in the list, not in n."
    )
    return [
        Table("Roots against the reference masks", head, summary, note=note),
        Table("Roots, scan by scan", ["Scan", *labels], rows, of_scans=True, folded=True),
    ]
