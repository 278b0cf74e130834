"""Reviews: what people said of the scans' pictures, kept in a table that the next run respects."""

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from calcohort.outcomes import UserError, atomic_path
from calcohort.study import read_schema

ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", "undecided"
OUTDATED = "outdated"
"""In place of a verdict on another measurement than the present one."""
COLUMNS = ("scan_id", "verdict", "comment", "reviewer", "time_utc", "measurement")
OPTIONAL = ("measurement",)

Review = Mapping[str, str]


def fingerprint(measured: Mapping[str, Any]) -> str:
    """Name what a reviewer judges, in 12 hexadecimal digits of a SHA-256.

    Parameters
    ----------
    measured : mapping
        The scan's record of the stage `measure`.

    Returns
    -------
    str
        Another one when the scan's outcome, its root's volume, its luminance, or the threshold or
        volume of a rule is another.
    """
    names = ("status", "stage", "reason", "root_volume_mm3", "luminance_hu", "mask_rule")
    rules = [
        [rule[name] for name in ("rule", "threshold_hu", "calcium_volume_mm3")]
        for rule in measured.get("rules", ())
    ]
    seen = json.dumps([[measured.get(name) for name in names], rules])
    return hashlib.sha256(seen.encode()).hexdigest()[:12]


def is_outdated(review: Review, measurement: str) -> bool:
    """Whether a review is of another measurement; one that names none holds for any."""
    return review["measurement"] not in ("", measurement)


def check_review(review: Mapping[str, Any]) -> list[str]:
    """Problems of one review by `schemas/reviews.schema.yaml`, none when it is right."""
    errors = Draft202012Validator(read_schema("reviews")).iter_errors(dict(review))
    return [f"{'.'.join(map(str, error.path)) or 'row'}: {error.message}" for error in errors]


def read_reviews(path: Path) -> dict[str, Review]:
    """Read a table of reviews; a missing file holds none.

    Returns
    -------
    dict
        `scan_id` to its review, every column of `COLUMNS` as text, empty where `OPTIONAL` ones
        are missing.

    Raises
    ------
    UserError
        Naming the row: a missing column, an unknown verdict, a scan reviewed twice.
    """
    path = Path(path)
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns, rows = reader.fieldnames or [], list(reader)
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: not UTF-8 text ({error}); save it as UTF-8.") from error
    if missing := [c for c in COLUMNS if c not in columns and c not in OPTIONAL]:
        raise UserError(
            f"{path.name}: column {', '.join(missing)} is missing; found {', '.join(columns)}. "
            "Columns are separated by commas."
        )
    reviews: dict[str, Review] = {}
    for number, row in enumerate(rows, start=2):
        review = {column: (row.get(column) or "").strip() for column in COLUMNS}
        if problems := check_review(review):
            raise UserError(f"{path.name}, row {number}: {'; '.join(problems)}")
        if review["scan_id"] in reviews:
            raise UserError(
                f"{path.name}, row {number}: scan {review['scan_id']} is reviewed twice; "
                "keep the row that holds."
            )
        reviews[review["scan_id"]] = review
    return reviews


def write_reviews(path: Path, reviews: Mapping[str, Review]) -> None:
    """Write reviews in the order of their scans' names, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(reviews[scan_id] for scan_id in sorted(reviews))
