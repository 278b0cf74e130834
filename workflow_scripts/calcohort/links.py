"""The link table: which patient, study and series the pseudonyms of each scan stand for.

It lies in the private folder, is made once and only ever grows. One process writes it, from the
headers of the sheet's sources, so that the jobs of a study need not meet in one file.
"""

import csv
import fcntl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calcohort.dicom.dates import DATES, acquisition_date
from calcohort.dicom.header import text
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.dicom.source import headers_of
from calcohort.keys import study_key
from calcohort.logs import log_privately
from calcohort.outcomes import OK, UserError, read_record
from calcohort.private import check_private, open_private, private_folder

COLUMNS = (
    "scan_id",
    "patient_hash",
    "study_hash",
    "series_hash",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "date",
)
READ = (*COLUMNS[4:7], *DATES)


def append_links(
    settings: Mapping[str, Any], sheet: Mapping[str, Mapping[str, Any]]
) -> tuple[int, list[str]]:
    """Append the converted scans that `link_table.csv` does not hold yet.

    Parameters
    ----------
    settings, sheet : mapping
        Of the study (`study.read_settings`, `study.read_sheet`).

    Returns
    -------
    added : int
        Number of new rows.
    missing : list of str
        Scans whose series was not found in their source.

    Raises
    ------
    UserError
        When the table is damaged, can be read by others, or the key is not the study's.
    """
    key, folder = study_key(settings), private_folder(settings)
    path = folder / "link_table.csv"
    if path.exists():
        check_private(path)
    log = log_privately(folder / "logs/link_table.log")
    with log, open_private(path, "a+", newline="") as table:
        fcntl.flock(table, fcntl.LOCK_EX)
        known = _known(table, path)
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        if not table.tell():
            writer.writeheader()
        added, missing = 0, []
        for scan_id, series_hash in _converted(settings, sheet):
            if (scan_id, series_hash) in known:
                continue
            row = _row(Path(sheet[scan_id]["dicom"]), series_hash, key)
            if row is None:
                missing.append(scan_id)
                continue
            writer.writerow({"scan_id": scan_id} | row)
            added += 1
    return added, missing


def _known(table, path: Path) -> set[tuple[str, str]]:
    table.seek(0)
    content = table.read()
    rows = list(csv.DictReader(content.splitlines()))
    whole = not content or content.endswith("\n")
    if not whole or any(None in row.values() or set(row) != set(COLUMNS) for row in rows):
        raise UserError(
            f"{path} is damaged, its last line may be cut: mend it by hand, it is never rewritten"
        )
    return {(row["scan_id"], row["series_hash"]) for row in rows}


def _converted(settings: Mapping[str, Any], sheet: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for scan_id in sheet:
        record = Path(settings["results"], "scans", scan_id, "series.json")
        found = read_record(record) if record.is_file() else {"status": ""}
        if found["status"] == OK and found["series_hash"]:
            yield scan_id, found["series_hash"]


def _row(source: Path, series_hash: str, key: bytes) -> dict[str, str] | None:
    for header in headers_of(source, READ):
        if keyed_hash(key, "series", text(header, "SeriesInstanceUID")) == series_hash:
            named = {keyword: text(header, keyword) for keyword in COLUMNS[4:7]}
            return {
                "patient_hash": keyed_hash(key, "patient", named["PatientID"]),
                "study_hash": keyed_hash(key, "study", named["StudyInstanceUID"]),
                "series_hash": series_hash,
                **named,
                "date": acquisition_date(header) or "",
            }
    return None
