"""Write the converted series as DICOM without identity: FOLDER/{scan_id}/00001.dcm and so on.

After DICOM PS3.15's basic profile; docs/privacy.md says what that covers. What became of each scan
is told and kept in FOLDER/export.csv. Exit code 1 where a scan was refused.
"""

import argparse
import csv
import sys
from pathlib import Path

from calcohort.dicom.convert import Limits
from calcohort.dicom.export import export_series
from calcohort.dicom.source import files_of
from calcohort.keys import study_key
from calcohort.logs import log_privately
from calcohort.outcomes import OK, Excluded, UserError, atomic_path, read_record
from calcohort.private import private_folder, private_workspace
from calcohort.study import read_config, read_settings, read_sheet, sheet_of


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the DICOM goes")
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    parser.add_argument("--scans", nargs="+", metavar="SCAN_ID", help="default: all of the sheet")
    return parser.parse_args(arguments)


def export_scan(scan_id: str, row: dict, settings: dict, key: bytes, folder: Path) -> int:
    """Export the series that a scan was converted from; return the number of files.

    Raises
    ------
    UserError, Excluded
        When there is none, or it cannot be de-identified.
    """
    path = Path(settings["results"], "scans", scan_id, "series.json")
    if not path.is_file():
        raise UserError("the scan is not converted yet: run snakemake first")
    record = read_record(path)
    if record["status"] != OK:
        raise UserError(record["detail"])
    if record["source"] != "dicom":
        raise UserError("the scan is a NIfTI file, not DICOM")
    source, private = Path(row["dicom"]), private_folder(settings)
    with (
        log_privately(private / "logs/export_deidentified" / f"{scan_id}.log"),
        private_workspace(private / "work" / f"export-{scan_id}") as work,
    ):
        return export_series(
            files_of(source, work, Limits(**settings["convert"]).max_archive_gb * 1e9),
            folder / scan_id,
            series_hash=record["series_hash"],
            key=key,
            dates=settings["dates"],
        )


def run(asked: argparse.Namespace) -> list[dict]:
    """Export the scans; return a row of export.csv for each."""
    settings = read_settings(read_config(asked.configfile))
    sheet, key = read_sheet(sheet_of(settings)), study_key(settings)
    if unknown := sorted(set(asked.scans or []).difference(sheet)):
        raise UserError(f"not in the sheet: {', '.join(unknown)}")
    rows = []
    for scan_id in asked.scans or sheet:
        row = {"scan_id": scan_id, "status": "exported", "files": 0, "detail": ""}
        try:
            row["files"] = export_scan(scan_id, sheet[scan_id], settings, key, asked.folder)
        except (UserError, Excluded) as problem:
            row |= {"status": "refused", "detail": getattr(problem, "detail", str(problem))}
        print(f"{scan_id}: {row['status']}, {row['files']} files {row['detail']}".strip())
        rows.append(row)
    with (
        atomic_path(asked.folder / "export.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, ["scan_id", "status", "files", "detail"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


if __name__ == "__main__":
    try:
        done = run(parse())
    except UserError as problem:
        sys.exit(f"export_deidentified: {problem}")
    sys.exit(any(row["status"] == "refused" for row in done))
