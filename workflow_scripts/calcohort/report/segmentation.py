"""The report's tables of root masks against reference masks."""

import pandas as pd

from calcohort.report.blocks import Table, number, spread

COLUMNS = (
    ("dice", "Dice", 3),
    ("iou", "IoU", 3),
    ("assd_mm", "Mean surface distance, mm", 2),
    ("hd95_mm", "95 % surface distance, mm", 2),
    ("volume_error_mm3", "Root volume error, mm³", 0),
    ("box_coverage", "Root inside the box, %", 2),
    ("volume_in_found_root_mm3", "Calcium in found root, mm³", 1),
    ("volume_in_reference_root_mm3", "Calcium in reference root, mm³", 1),
)


def segmentation_tables(segmentation: pd.DataFrame) -> list[Table]:
    """Summarise the roots against their reference masks, and list them scan by scan (folded)."""
    columns = [column for column in COLUMNS if column[0] in segmentation]
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
