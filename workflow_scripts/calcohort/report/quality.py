"""The report's quality control: who has looked, what stands out, and the way to the gallery."""

from collections.abc import Mapping

import pandas as pd

from calcohort.report.blocks import Link, Section, Table, Text
from calcohort.report.outliers import (
    HIGHEST_SCORE,
    KINDS,
    compared_with_training,
    find_outliers,
    outside_training,
)
from calcohort.reviews import ACCEPTED, OUTDATED, REJECTED, UNDECIDED, Review


def quality_section(
    scans: pd.DataFrame,
    calcium: pd.DataFrame,
    agreement: pd.DataFrame,
    reviews: Mapping[str, Review],
    rule: str,
) -> Section:
    """Show reviews and outliers.

    Parameters
    ----------
    scans, calcium, agreement : DataFrame
        The cohort's tables.
    reviews : mapping
        `scan_id` to its review, to name those of scans that the sheet lacks.
    rule : str
        The main rule.
    """
    gallery = Link("gallery.html", "Gallery", "of the pictures of all scans, to look and to mark.")
    blocks = [gallery, _reviewed(scans), *_applicability(scans)]
    if unknown := sorted(set(reviews) - set(scans["scan_id"])):
        listed = ", ".join(unknown)
        blocks.append(Text(f"Reviews of scans that the sheet lacks, without effect: {listed}."))
    rows = [
        [scan_id, KINDS[kind], why]
        for scan_id, kind, why in find_outliers(scans, calcium, agreement, rule)
    ]
    if not rows:
        return Section("quality", "Quality control", [*blocks, Text("No scan stands out.")])
    note = (
        "Unlike the cohort's: modified z-score beyond "
        f"± {HIGHEST_SCORE} (median and MAD; of logarithms for volumes). To be looked at, "
        "not by itself wrong."
    )
    table = Table(
        "Scans that stand out",
        ["Scan", "Why", "What was found"],
        rows,
        text_columns=frozenset({1, 2}),
        of_scans=True,
        note=note,
    )
    return Section("quality", "Quality control", [*blocks, table])


def _applicability(scans: pd.DataFrame) -> list[Text]:
    """Tell how many scans are outside of what the networks were trained on."""
    judged, outside = len(compared_with_training(scans)), len(outside_training(scans))
    segmented = int((scans["root_source"] == "network").sum())
    if judged:
        told = (
            f"{outside} of {judged} scans that the networks saw are outside the ranges of what "
            "these were trained on (spacing, field of view, contrast, noise)."
        )
        if outside:
            told += (
                " The table below says in what. No scan is excluded for it, but nothing is known "
                "of how well the networks do on such scans: look at their pictures."
            )
    elif segmented:
        told = (
            "What the networks were trained on is not known (trained_on in config.yaml), so that "
            f"whether they apply to the {segmented} scans that they segmented was not checked."
        )
    else:
        return []
    return [Text(told)]


def _reviewed(scans: pd.DataFrame) -> Table:
    verdicts = scans["review"].fillna("")
    names = {
        ACCEPTED: "Accepted",
        REJECTED: "Rejected",
        UNDECIDED: "Only a comment",
        OUTDATED: "Before it was measured anew",
        "": "Nobody",
    }
    parts = {"All scans": verdicts} | {
        status.capitalize(): verdicts[scans["status"] == status]
        for status in ("measured", "excluded", "failed")
    }
    rows = [
        [name, *(str(int((part == verdict).sum())) for part in parts.values())]
        for verdict, name in names.items()
    ]
    return Table("Who has looked at the pictures", ["Verdict", *parts], rows)
