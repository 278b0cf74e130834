"""The report's quality control: who has looked, what stands out, and the way to the gallery."""

from collections.abc import Mapping

import pandas as pd

from calcohort.report.blocks import Link, Section, Table, Text
from calcohort.report.outliers import HIGHEST_SCORE, KINDS, find_outliers
from calcohort.reviews import ACCEPTED, REJECTED, UNDECIDED, Review


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
        `scan_id` to its review; those of scans that the sheet lacks are named.
    rule : str
        The main rule.
    """
    gallery = Link("gallery.html", "Gallery", "of the pictures of all scans, to look and to mark.")
    blocks = [gallery, _reviewed(scans, reviews)]
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


def _reviewed(scans: pd.DataFrame, reviews: Mapping[str, Review]) -> Table:
    verdicts = scans["scan_id"].map(lambda scan_id: reviews.get(scan_id, {}).get("verdict", ""))
    names = {ACCEPTED: "Accepted", REJECTED: "Rejected", UNDECIDED: "Only a comment", "": "Nobody"}
    parts = {"All scans": verdicts} | {
        status.capitalize(): verdicts[scans["status"] == status]
        for status in ("measured", "excluded", "failed")
    }
    rows = [
        [name, *(str(int((part == verdict).sum())) for part in parts.values())]
        for verdict, name in names.items()
    ]
    return Table("Who has looked at the pictures", ["Verdict", *parts], rows)
