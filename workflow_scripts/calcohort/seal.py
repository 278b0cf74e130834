"""Seals: what a stage made of the scans of a batch, in one file that the workflow engine follows.

The files of a scan lie in the scan's own folder. A stage's seal is written when all of its batch's
scans are through; it holds their records and the SHA-256 of their images, so that equal seals mean
equal files.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from calcohort.outcomes import read_record, write_record


def entry(record: Mapping[str, Any], images: Iterable[Path]) -> dict[str, Any]:
    """Make what a seal holds of one scan: its record and its images' SHA-256 by their names."""
    digests = {}
    for path in images:
        with Path(path).open("rb") as stream:
            digests[Path(path).name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"record": record, "sha256": digests}


def write_seal(path: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the seal of a batch: `scan_id` to its `entry`."""
    write_record(path, dict(entries))


def read_seals(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the records of all scans of some seals."""
    for path in paths:
        for sealed in read_record(path).values():
            yield sealed["record"]


def forget_deleted(results: Path, batches: Mapping[str, list[str]]) -> None:
    """Remove the seals of each batch that lacks the folder of one of its scans.

    So a scan whose folder the user deleted is done again, with its batch. The workflow engine makes
    missing files in the middle only where a later one asks for them: the last of all, the
    provenance beside the report, is removed too.

    Parameters
    ----------
    results : Path
        The study's folder.
    batches : mapping
        Batch to its scans.
    """
    scans = Path(results, "scans")
    there = set(os.listdir(scans)) if scans.is_dir() else set()
    for batch, members in batches.items():
        if not there.issuperset(members):
            seals = list(Path(results, "batches", batch).glob("*.json"))
            for seal in seals:
                seal.unlink()
            if seals:
                Path(results, "cohort/provenance.json").unlink(missing_ok=True)
