"""The gallery: a page to look through the pictures of all scans and to mark them.

The pictures stay where they are, in the folders of the scans; the page links to them. How it works
is in `assets/gallery.js` and `assets/reviews.js`.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from calcohort.outcomes import atomic_path
from calcohort.report import ASSETS
from calcohort.report.flow import meaning
from calcohort.report.outliers import KINDS, Outlier
from calcohort.report.templates import POLICY, render
from calcohort.reviews import Review

DIGITS = 4


def write_gallery(
    path: Path,
    *,
    scans: pd.DataFrame,
    calcium: pd.DataFrame,
    outliers: Iterable[Outlier],
    reviews: Mapping[str, Review],
    rule: str,
    scan_pages: bool,
) -> None:
    """Write the gallery's page.

    Parameters
    ----------
    path : Path
        The HTML file, in the cohort's folder; written whole or not at all.
    scans, calcium : DataFrame
        The cohort's tables.
    outliers : iterable of Outlier
        Scans that stand out.
    reviews : mapping
        `scan_id` to its review, as known to this run.
    rule : str
        The main rule, whose volumes are shown.
    scan_pages : bool
        Whether scans have pages to link to.
    """
    flags: dict[str, list[dict[str, str]]] = {}
    for scan_id, kind, why in outliers:
        flags.setdefault(scan_id, []).append({"kind": kind, "why": f"{KINDS[kind]}: {why}"})
    measured = calcium[calcium["rule"] == rule].set_index("scan_id").to_dict("index")
    entries = [
        _entry(row, measured.get(row["scan_id"]), flags.get(row["scan_id"], []))
        for row in scans.to_dict("records")
    ]
    known = [review for scan_id, review in reviews.items() if scan_id in set(scans["scan_id"])]
    html = render(
        "gallery.html.j2",
        policy=POLICY,
        rule=rule,
        kinds=KINDS,
        reasons=sorted({entry["reason"] for entry in entries if entry["reason"]}),
        data={"scans": entries, "reviews": known, "scan_pages": scan_pages},
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def write_assets(folder: Path) -> None:
    """Copy what the gallery and the pages of scans share."""
    folder.mkdir(parents=True, exist_ok=True)
    for asset in ASSETS:
        shutil.copyfile(asset, folder / asset.name)


def _entry(
    scan: Mapping[str, Any], measured: Mapping[str, Any] | None, flags: list[dict[str, str]]
) -> dict[str, Any]:
    excluded = scan["status"] != "measured"
    numbers: dict[str, float | None] = {}
    if measured:
        numbers = {
            "volume_mm3": measured["calcium_volume_mm3"],
            "threshold_hu": measured["threshold_hu"],
            "luminance_hu": measured["luminance_hu"],
            "root_ml": measured["root_volume_mm3"] / 1000,
            "difference_mm3": measured["calcium_volume_mm3"] - scan["reference_volume_mm3"]
            if pd.notna(scan.get("reference_volume_mm3"))
            else None,
        }
    return {
        "id": scan["scan_id"],
        "measurement": scan["measurement"],
        "status": scan["status"],
        "stage": scan["stage"],
        "reason": meaning(scan["reason"]) if excluded else "",
        "detail": scan["detail"] if excluded else "",
        "flags": flags,
    } | {key: None if v is None else round(v, DIGITS) for key, v in numbers.items()}
