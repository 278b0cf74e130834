"""The report's score passport: every published definition's value of one mask."""

import pandas as pd

from calcohort.measure.passport import DEFINITIONS
from calcohort.report.blocks import NOTHING, Section, Table, Text, interval, number

MOST_PASSPORTS = 20
CONTRAST = (
    "These scans have contrast, and calcium is what reaches the main rule's threshold, not 130 HU. "
    "The scores are therefore not comparable with published scores of scans without contrast, nor "
    "with risk or severity groups made for those. They tell how much a score depends on its "
    "definition."
)


def passport_sections(scores: pd.DataFrame) -> list[Section]:
    """Make the section of scores.csv; none where the study did not ask for it."""
    if scores.empty:
        return []
    notes = [Text(CONTRAST)] if scores["contrast"].any() else []
    ids = list(scores["scan_id"].drop_duplicates())
    by_scan = dict(tuple(scores.groupby("scan_id", sort=False)))
    passports = [scan_passport(scan_id, by_scan[scan_id]) for scan_id in ids[:MOST_PASSPORTS]]
    if len(ids) > MOST_PASSPORTS:
        passports.append(Text(f"The passports of all {len(ids)} scans are in scores.csv."))
    blocks = [*notes, definitions_table(scores), values_table(scores), *passports]
    return [Section("scores", "Scores by definition", blocks)]


def definitions_table(scores: pd.DataFrame) -> Table:
    """Compare the definitions over the cohort: medians, and differences from what they vary."""
    rows = []
    for name, part in scores.groupby("definition", sort=False):
        unit, against, meaning = DEFINITIONS[name]
        known = part["value"].dropna()
        quartiles = known.quantile([0.25, 0.5, 0.75]) if len(known) else [None] * 3
        low, middle, high = quartiles
        percent = part["difference_percent"].dropna()
        rows.append(
            [
                spoken(name),
                meaning,
                unit,
                number(len(known), 0),
                number(middle),
                interval(low, high),
                spoken(against) if against else NOTHING,
                number(percent.median()) if len(percent) else NOTHING,
                interval(percent.min(), percent.max()) if len(percent) else NOTHING,
            ]
        )
    head = ["Score", "Definition", "Unit", "n", "Median", "Quartiles", "Against", "Median, %"]
    head += ["Range, %"]
    return Table(
        "Published definitions of one mask",
        head,
        rows,
        groups=[("", 6), ("Difference", 3)],
        text_columns=frozenset({1, 2, 6}),
        note="Differences are of scans whose score of the compared definition is not 0.",
    )


def values_table(scores: pd.DataFrame) -> Table:
    """List every scan's value of every definition."""
    values = {(r["scan_id"], r["definition"]): r["value"] for r in scores.to_dict("records")}
    names = list(scores["definition"].drop_duplicates())
    rows = [
        [scan_id, *(number(values[scan_id, name]) for name in names)]
        for scan_id in scores["scan_id"].drop_duplicates()
    ]
    head = ["Scan", *(f"{spoken(name)}, {DEFINITIONS[name].unit}" for name in names)]
    return Table("Scores of every scan", head, rows, of_scans=True, folded=True)


def scan_passport(scan_id: str, scores: pd.DataFrame) -> Table:
    """Tell one scan's scores and, in words, how each came about.

    Parameters
    ----------
    scan_id : str
    scores : DataFrame
        Its rows of scores.csv.
    """
    rows = [
        [
            spoken(row["definition"]),
            number(row["value"]),
            row["unit"],
            number(row["difference"]),
            number(row["difference_percent"]),
            row["explanation"],
        ]
        for row in scores.to_dict("records")
    ]
    threshold = number(scores["threshold_hu"].iloc[0], 0)
    head = ["Score", "Value", "Unit", "Difference", "%", "How it came about"]
    return Table(
        f"Score passport of {scan_id}, calcium from {threshold} HU on",
        head,
        rows,
        text_columns=frozenset({2, 5}),
        folded=True,
    )


def spoken(name: str) -> str:
    """Write a definition's name in words."""
    words = name.replace("_", " ").replace("3d", "3-D").replace("2d", "2-D").replace("3mm", "3 mm")
    return words[0].upper() + words[1:]
