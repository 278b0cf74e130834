"""What the index tells: `series.csv` and `index.json` in the results, paths only in private."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.index.catalogue import Row
from calcohort.outcomes import atomic_path
from calcohort.study import read_schema


def write_series(path: Path, rows: Iterable[Row], key: bytes) -> Counter:
    """Write `series.csv`, row by row, each checked against its schema.

    Returns
    -------
    Counter
        Number of `series`, `candidates`, and series that are measured (`chosen`).

    Raises
    ------
    ValueError
        When a row breaks the schema: a fault of the program, not of the user.
    """
    schema = read_schema("series")
    validator = Draft202012Validator(schema)
    counts = Counter(series=0, candidates=0, chosen=0)
    with atomic_path(path) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(schema["properties"]), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                told = _told(row, key)
                for error in validator.iter_errors(told):
                    raise ValueError(f"series.csv: {list(error.path)}: {error.message}")
                writer.writerow(told)
                counts["series"] += 1
                counts["candidates"] += row.candidate
                counts["chosen"] += row.scan_id is not None
    return counts


def _told(row: Row, key: bytes) -> dict[str, Any]:
    facts = row.summary.facts
    spacing = facts.pixel_spacing_mm
    return {
        "scan_id": row.scan_id,
        "rank": row.rank,
        "candidate": "yes" if row.candidate else "no",
        "why_not": row.why_not or None,
        "patient_hash": facts.patient_hash,
        "study_hash": keyed_hash(key, "study", facts.study),
        "series_hash": keyed_hash(key, "series", facts.series),
        "modality": facts.modality,
        "kind": facts.kind,
        "images": row.summary.images,
        "copies": row.copies,
        "place": row.places,
        "slice_spacing_mm": row.summary.slice_spacing_mm,
        "pixel_spacing_mm": spacing and spacing[0],
        "rows": facts.rows,
        "columns": facts.columns,
        "manufacturer": facts.manufacturer,
        "model": facts.model,
        "kernel": facts.kernel,
        "contrast": {True: "yes", False: "no", None: None}[facts.contrast],
        "phase_percent": facts.phase_percent,
        "series_number": facts.series_number,
    }


def write_problems(path: Path, problems: Iterator[tuple[str, str]]) -> Counter:
    """Write what could not be read, with its path, for its owner alone; count it by kind."""
    counts: Counter = Counter()
    with atomic_path(path) as temporary:
        temporary.touch(0o600)
        with temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
            writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
            writer.writerow(["path", "problem"])
            for where, what in problems:
                writer.writerow([where, what])
                counts[what] += 1
    return counts
