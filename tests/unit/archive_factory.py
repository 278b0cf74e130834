"""Small archives of DICOM studies, indexed, for the tests of `calcohort.index`."""

import csv
import shutil
import tarfile
import time
import zipfile
from pathlib import Path

from calcohort.dicom.find import find_series
from calcohort.dicom.listing import gather, listed_series, read_listing
from calcohort.index.run import index_archive
from calcohort.study import read_config, read_settings, read_sheet
from dicom_factory import KEY, NAME, PATIENT, along_normal, uid, write_series

LATER_NS = time.time_ns() + 3600 * 10**9
LOCALIZER = r"ORIGINAL\PRIMARY\LOCALIZER"


def three_studies(tmp_path):
    """Write a folder with a scout and two series, a zip, a tar.gz, and junk; return the archive."""
    root = tmp_path / "archive"
    write_study(root / "one", "1", NAME)
    write_series(root / "one" / "thick", "1thick", positions=along_normal(5, 3.0), **person("1"))
    write_series(
        root / "one" / "scout", "1s", positions=along_normal(1), ImageType=LOCALIZER, **person("1")
    )
    write_study(tmp_path / "two", "2")
    write_study(tmp_path / "three", "3")
    pack_zip(tmp_path / "two", root / "exports" / "two.zip")
    pack_tar(tmp_path / "three", root / "exports" / "three.tar.gz")
    (root / "one" / "report.txt").write_text("no image")
    return root


def person(study, patient=None):
    return {
        "StudyInstanceUID": uid("study", study),
        "PatientID": patient or f"{PATIENT}-{study}",
        "StudyDate": f"2019010{study[0]}",
    }


def write_study(folder, study, name="Doe^John", patient=None, **elements):
    names = [f"IM{k}" for k in range(10)]
    elements = {"PatientName": name} | person(study, patient) | elements
    return write_series(folder, f"series {study}", names=names, **elements)


def pack_zip(folder, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            packed.write(file, file.relative_to(folder.parent))


def pack_tar(folder, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as packed:
        packed.add(folder, folder.name)


def settings_of(root, **changes):
    home = root.parent
    config = {
        "sheet": None,
        "dicom_root": str(root),
        "private": str(home / "private"),
        "results": str(home / "results"),
    }
    return read_settings(read_config() | config | changes)


def index(root, now_ns=LATER_NS, **changes):
    return index_archive(settings_of(root, **changes), KEY, processes=1, now_ns=now_ns)


def table(root):
    with (root.parent / "results/cohort/series.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def sheet(root):
    return read_sheet(root.parent / "private/scans.tsv")


def listed(row):
    return Path(row["dicom"]).read_text()


def chosen(root, row):
    """Names of the files that the conversion would read for a row of the sheet."""
    listing = read_listing(Path(row["dicom"]))
    workspace = root.parent / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    found = find_series(gather(listing, workspace, 1e9))
    return listed_series(found, listing, KEY)
