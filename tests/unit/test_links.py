"""The link table: private, complete, and only ever growing."""

import csv
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.keys import establish_key
from calcohort.links import append_links
from calcohort.outcomes import UserError, write_record
from dicom_factory import PATIENT, along_normal, uid, write_series


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of a folder, a zip, a NIfTI file and an excluded scan; all are converted."""
    monkeypatch.delenv("CALCOHORT_KEY", raising=False)
    settings = {
        "results": str(tmp_path / "results"),
        "private": str(tmp_path / "private"),
        "pseudonym_key_file": str(tmp_path / "key"),
    }
    key = establish_key(settings)
    for label in ("a", "b", "other"):
        folder = tmp_path / ("in/a" if label == "other" else f"in/{label}")
        write_series(folder, label, positions=along_normal(2))
    (tmp_path / "in/a/notes.txt").write_text("no DICOM")
    with zipfile.ZipFile(tmp_path / "in/b.zip", "w") as archive:
        for path in (tmp_path / "in/b").iterdir():
            archive.write(path, f"{path.name}")
    shutil.rmtree(tmp_path / "in/b")
    sheet = {
        "a": {"dicom": str(tmp_path / "in/a")},
        "b": {"dicom": str(tmp_path / "in/b.zip")},
        "nifti": {"dicom": str(tmp_path / "in/ct.nii.gz")},
        "excluded": {"dicom": str(tmp_path / "in/none")},
        "waiting": {"dicom": str(tmp_path / "in/a")},
    }
    for scan_id, status, series in (
        ("a", "ok", keyed_hash(key, "series", uid("a"))),
        ("b", "ok", keyed_hash(key, "series", uid("b"))),
        ("nifti", "ok", None),
        ("excluded", "excluded", None),
    ):
        record = {"status": status, "series_hash": series}
        write_record(tmp_path / f"results/scans/{scan_id}/series.json", record)
    return settings, sheet, key


def rows(tmp_path):
    with (tmp_path / "private/link_table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_links_pseudonyms_to_patient_study_and_series(study, tmp_path):
    settings, sheet, key = study
    assert append_links(settings, sheet) == (2, [])
    first, second = rows(tmp_path)
    assert first == {
        "scan_id": "a",
        "patient_hash": keyed_hash(key, "patient", PATIENT),
        "study_hash": keyed_hash(key, "study", uid("study")),
        "series_hash": keyed_hash(key, "series", uid("a")),
        "PatientID": PATIENT,
        "StudyInstanceUID": uid("study"),
        "SeriesInstanceUID": uid("a"),
        "date": "2019-05-17",
    }
    assert (second["scan_id"], second["SeriesInstanceUID"]) == ("b", uid("b"))
    assert (tmp_path / "private/link_table.csv").stat().st_mode & 0o777 == 0o600


def test_it_grows_by_new_scans_and_is_never_rewritten(study, tmp_path):
    settings, sheet, _ = study
    path = tmp_path / "private/link_table.csv"
    append_links(settings, {"a": sheet["a"]})
    before, inode = path.read_bytes(), path.stat().st_ino
    assert append_links(settings, sheet) == (1, [])
    assert append_links(settings, sheet) == (0, [])
    assert path.read_bytes().startswith(before)
    assert path.stat().st_ino == inode
    assert len(rows(tmp_path)) == 2


def test_two_writers_at_once_write_each_scan_once(study, tmp_path):
    settings, sheet, _ = study
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: append_links(settings, sheet)[0], range(8)))
    assert sum(added) == 2
    assert [row["scan_id"] for row in rows(tmp_path)] == ["a", "b"]


def test_a_source_that_left_is_told(study, tmp_path):
    settings, sheet, _ = study
    shutil.rmtree(tmp_path / "in/a")
    assert append_links(settings, sheet) == (1, ["a"])


def test_a_table_that_is_cut_or_open_to_others_is_refused(study, tmp_path):
    settings, sheet, _ = study
    append_links(settings, sheet)
    path = tmp_path / "private/link_table.csv"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="its last line may be cut"):
        append_links(settings, sheet)
    path.chmod(0o644)
    with pytest.raises(UserError, match="mode 0644"):
        append_links(settings, sheet)
