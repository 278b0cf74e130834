"""Reviews: what people said of the scans' pictures, kept in a table that the next run respects."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from calcohort.outcomes import UserError, atomic_path
from calcohort.study import read_schema

ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", "undecided"
COLUMNS = ("scan_id", "verdict", "comment", "reviewer", "time_utc")

Review = Mapping[str, str]


def check_review(review: Mapping[str, Any]) -> list[str]:
    """Problems of one review by `schemas/reviews.schema.yaml`, none when it is right."""
    errors = Draft202012Validator(read_schema("reviews")).iter_errors(dict(review))
    return [f"{'.'.join(map(str, error.path)) or 'row'}: {error.message}" for error in errors]


def read_reviews(path: Path) -> dict[str, Review]:
    """Read a table of reviews; a missing file holds none.

    Returns
    -------
    dict
        `scan_id` to its review, every column of `COLUMNS` as text.

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
    if missing := [column for column in COLUMNS if column not in columns]:
        raise UserError(
            f"{path.name}: column {', '.join(missing)} is missing; found {', '.join(columns)}. "
            "Columns are separated by commas."
        )
    reviews: dict[str, Review] = {}
    for number, row in enumerate(rows, start=2):
        review = {column: (row[column] or "").strip() for column in COLUMNS}
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
