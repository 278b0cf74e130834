"""The index of an archive: what is found, what is opened again, what becomes a scan."""

import contextlib
import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from calcohort.dicom.choose import choose_series
from calcohort.dicom.find import find_series
from calcohort.dicom.listing import gather, listed_series, read_listing
from calcohort.dicom.rule import Rule
from calcohort.index.run import index_archive
from calcohort.outcomes import Excluded, UserError
from calcohort.study import ROOT, read_config, read_settings, read_sheet
from dicom_factory import HOSPITAL, KEY, NAME, PATIENT, along_normal, uid, write_series

LATER_NS = time.time_ns() + 3600 * 10**9
LOCALIZER = r"ORIGINAL\PRIMARY\LOCALIZER"


@pytest.fixture
def archive(tmp_path):
    """Three studies: a folder with a scout and two series, a zip and a tar.gz; and junk."""
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


def chosen(root, row):
    """Names of the files that the conversion would read for a row of the sheet."""
    listing = read_listing(Path(row["dicom"]))
    workspace = root.parent / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    found = find_series(gather(listing, workspace, 1e9))
    return listed_series(found, listing, KEY)


def test_every_series_is_listed_once_and_each_study_is_a_scan(archive):
    counts = index(archive)
    rows = table(archive)
    assert (counts["new_scans"], counts["series"], counts["candidates"]) == (3, 5, 4)
    assert len({row["series_hash"] for row in rows}) == 5
    why = {row["why_not"] for row in rows}
    assert why == {"", "not original axial CT: localizer", "ranks behind by slice spacing"}
    assert [row["place"] for row in rows].count("archive") == 2
    assert {row["scan_id"] for row in rows if row["scan_id"]} == set(sheet(archive))
    assert (counts["images"], counts["not_dicom"]) == (36, 1)


def test_the_conversion_reads_the_listed_series_from_folder_zip_and_tar(archive):
    index(archive)
    uids = set()
    for row in sheet(archive).values():
        choice = chosen(archive, row)
        assert len(choice.series.images) == 10
        assert choice.why
        uids.add(choice.series.uid)
    assert uids == {uid("series 1"), uid("series 2"), uid("series 3")}


def test_index_and_conversion_choose_alike(archive):
    index(archive)
    rule = Rule.of(settings_of(archive)["choose"])
    direct = choose_series(find_series(archive / "one"), None, rule, KEY)
    listed = [chosen(archive, row) for row in sheet(archive).values()]
    same = next(choice for choice in listed if choice.series.uid == direct.series.uid)
    assert same.why == direct.why
    by_hash = {c["series_hash"]: c for c in direct.candidates}
    assert {c["series_hash"]: c for c in same.candidates} == by_hash


def test_the_second_pass_opens_nothing_and_changes_nothing(archive):
    index(archive)
    before = {p: p.read_bytes() for p in (archive.parent / "private").rglob("*") if p.is_file()}
    again = index(archive)
    assert (again["opened"], again["new_scans"]) == (0, 0)
    after = {p: p.read_bytes() for p in (archive.parent / "private").rglob("*") if p.is_file()}
    assert after == before


def test_only_the_new_file_is_opened_and_only_its_scan_is_added(archive):
    index(archive)
    lists = {p.name: p.read_bytes() for p in (archive.parent / "private/lists").iterdir()}
    old = list(sheet(archive))
    write_study(archive / "four", "4")
    counts = index(archive)
    assert (counts["opened"], counts["new_scans"]) == (10, 1)
    assert list(sheet(archive))[:3] == old
    now = {p.name: p.read_bytes() for p in (archive.parent / "private/lists").iterdir()}
    assert {name: now[name] for name in lists} == lists


def test_a_series_in_the_same_folder_leaves_the_other_scan_alone(tmp_path):
    root = tmp_path / "flat"
    write_series(root, "a", **person("1"))
    index(root)
    (scan_id,) = sheet(root)
    before = (tmp_path / f"private/lists/{scan_id}.files.json").read_bytes()
    write_series(root, "b", **person("2"))
    assert index(root)["opened"] == 10
    assert (tmp_path / f"private/lists/{scan_id}.files.json").read_bytes() == before


def test_a_changed_file_changes_the_list_and_a_gone_one_leaves_it(archive):
    index(archive)
    file = archive / "one" / "IM3"
    path = next(Path(r["dicom"]) for r in sheet(archive).values() if "/one" in listed(r))
    before = path.read_bytes()
    os.utime(file, ns=(1, 1))
    assert index(archive)["opened"] == 1
    assert path.read_bytes() != before
    file.unlink()
    index(archive)
    assert "IM3" not in [name for s in read_listing(path).sources for name, _, _ in s.files]


def listed(row):
    return Path(row["dicom"]).read_text()


def test_a_scan_whose_files_have_all_gone_keeps_its_list_and_its_row(archive):
    index(archive)
    scans = sheet(archive)
    lists = {scan_id: listed(row) for scan_id, row in scans.items()}
    shutil.rmtree(archive / "one")
    assert index(archive)["series"] == 2
    assert sheet(archive) == scans
    assert {scan_id: listed(row) for scan_id, row in scans.items()} == lists
    gone = next(row for row in scans.values() if "/one" in listed(row))
    with pytest.raises(Excluded, match="10 of the 10 files that the index lists are missing"):
        chosen(archive, gone)


def test_the_same_names_and_bytes_from_a_fresh_index(archive):
    index(archive)
    first = (archive.parent / "results/cohort/series.csv").read_bytes()
    rows = sheet(archive)
    shutil.rmtree(archive.parent / "private")
    index(archive)
    assert sheet(archive) == rows
    assert (archive.parent / "results/cohort/series.csv").read_bytes() == first


def test_no_identifier_in_the_results_and_nobody_else_reads_the_paths(archive):
    write_study(archive / NAME, "5", PatientID=PATIENT)
    index(archive)
    for path in (archive.parent / "results").rglob("*"):
        if path.is_file():
            told = path.read_text()
            for secret in (NAME, PATIENT, HOSPITAL, uid("series 1"), uid("study", "1"), "2019010"):
                assert secret not in told
            assert str(archive) not in told
    private = archive.parent / "private"
    assert private.stat().st_mode & 0o777 == 0o700
    files = [p for p in private.rglob("*") if p.is_file()]
    assert len(files) >= 6
    assert {p.stat().st_mode & 0o777 for p in files} == {0o600}
    database = (private / "index.sqlite").read_bytes()
    assert PATIENT.encode() not in database
    assert b"Doe^John" not in database


def test_a_private_folder_that_others_can_read_is_refused(archive):
    (archive.parent / "private").mkdir(mode=0o755)
    with pytest.raises(UserError, match="can be used by others"):
        index(archive)
    with pytest.raises(UserError, match="lies inside the results"):
        index(archive, private=str(archive.parent / "results/private"))


def test_a_disk_that_is_not_mounted_is_not_an_empty_archive(archive):
    index(archive)
    shutil.rmtree(archive)
    archive.mkdir()
    with pytest.raises(UserError, match="is the disk mounted"):
        index(archive)
    assert len(sheet(archive)) == 3


def test_another_rule_or_key_is_not_mixed_into_a_cohort(archive):
    index(archive)
    with pytest.raises(UserError, match=r"3 scans .* were chosen with another studies"):
        index(archive, studies="last")
    with pytest.raises(UserError, match="chosen with another key"):
        index_archive(settings_of(archive), b"another key", processes=1, now_ns=LATER_NS)


@pytest.mark.parametrize(("mode", "date"), [("first", "20180501"), ("last", "20200501")])
def test_one_study_of_a_patient(tmp_path, mode, date):
    root = tmp_path / "archive"
    for day in ("20180501", "20190501", "20200501"):
        write_study(root / day, day, patient="P1", StudyDate=day)
    counts = index(root, studies=mode)
    assert counts["scans"] == 1
    (row,) = sheet(root).values()
    assert date in listed(row)
    why = [r["why_not"] for r in table(root) if not r["scan_id"]]
    assert why == [f"not the {mode} study of the patient"] * 2
    write_study(root / "new", "n", patient="P1", StudyDate="20100101")
    assert index(root, studies=mode)["new_scans"] == 0
    assert "the patient has a scan already" in [r["why_not"] for r in table(root)]


def test_without_a_date_the_first_study_is_not_guessed(tmp_path):
    root = tmp_path / "archive"
    write_study(root / "a", "a", patient="P1", StudyDate="20180501")
    write_study(root / "b", "b", patient="P1", StudyDate="")
    assert index(root, studies="first")["scans"] == 0
    assert {r["why_not"] for r in table(root)} == {"studies: first needs the date of each"}


def test_a_study_that_is_arriving_waits(archive):
    counts = index(archive, now_ns=time.time_ns())
    assert (counts["scans"], counts["waiting"]) == (0, 3)
    assert index(archive)["new_scans"] == 3


def test_a_better_series_that_comes_late_does_not_replace_the_one_taken(archive):
    index(archive)
    before = {row["scan_id"]: row["series_hash"] for row in table(archive) if row["scan_id"]}
    late = along_normal(40, 0.5)
    write_series(archive / "one/late", "late", positions=late, PatientName=NAME, **person("1"))
    index(archive)
    rows = table(archive)
    assert {row["scan_id"]: row["series_hash"] for row in rows if row["scan_id"]} == before
    why = next(row["why_not"] for row in rows if row["images"] == "40")
    assert why == "came when another series was already taken for the scan"
    path = next(Path(row["dicom"]) for row in sheet(archive).values() if "/one" in listed(row))
    listing = read_listing(path)
    os.utime(archive / "one" / "IM3", ns=(1, 1))
    index(archive)
    assert read_listing(path).sources != listing.sources
    assert read_listing(path).candidates == listing.candidates


def test_second_copies_are_left_out_and_counted(archive):
    shutil.copytree(archive / "one", archive / "copy of one")
    index(archive)
    rows = [row for row in table(archive) if row["images"] == "10" and row["place"] == "folder"]
    assert [row["copies"] for row in rows] == ["10"]
    one = next(row for row in sheet(archive).values() if "one" in listed(row))
    assert len(chosen(archive, one).series.images) == 10


def test_a_study_of_two_patients_is_no_candidate(tmp_path):
    root = tmp_path / "archive"
    write_study(root / "a", "1", patient="A")
    write_series(root / "b", "other", **person("1", "B"))
    assert index(root)["scans"] == 0
    assert {r["why_not"] for r in table(root)} == {
        "the study names several patients, or some files name none"
    }


def test_columns_that_a_user_adds_to_the_sheet_stay(archive):
    index(archive)
    path = archive.parent / "private/scans.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + "\tage", *(line + "\t70" for line in lines[1:])]) + "\n")
    write_study(archive / "four", "4")
    index(archive)
    assert [row["age"] for row in sheet(archive).values()] == [70, 70, 70, None]


def test_a_damaged_file_beside_a_series_is_shown_to_the_conversion(archive):
    file = archive / "one" / "IM3"
    file.write_bytes(file.read_bytes()[:300])
    counts = index(archive)
    assert counts["damaged"] == 1
    row = next(row for row in sheet(archive).values() if "/one" in listed(row))
    listing = read_listing(Path(row["dicom"]))
    found = find_series(gather(listing, archive.parent / "workspace", 1e9))
    assert len(found.broken) == 1


def test_a_list_of_another_program_is_told(tmp_path):
    path = tmp_path / "x.files.json"
    path.write_text(json.dumps({"files": []}))
    with pytest.raises(UserError, match="not a list written by index_series"):
        read_listing(path)


def test_the_config_names_a_sheet_or_a_root():
    config = read_config(ROOT / "config.yaml")
    for change in ({"dicom_root": "x"}, {"sheet": None}):
        with pytest.raises(UserError, match="give either sheet or dicom_root"):
            read_settings(config | change)


def test_a_dicomdir_is_not_an_image_and_its_files_are_found(archive):
    directory = io.BytesIO(b"\0" * 128 + b"DICM")
    (archive / "one" / "DICOMDIR").write_bytes(directory.getvalue())
    counts = index(archive)
    assert (counts["images"], counts["not_dicom"], counts["damaged"]) == (36, 2, 0)
    assert len(find_series(archive / "one" / "DICOMDIR").series) == 3


@pytest.mark.slow
def test_an_index_that_was_killed_is_taken_up_where_it_stopped(tmp_path):
    root = tmp_path / "archive"
    files = write_study(root / "0", "1")
    for number in range(1, 400):
        (root / str(number)).mkdir()
        for file in files:
            os.link(file, root / str(number) / file.name)
    config = tmp_path / "study.yaml"
    config.write_text(yaml.safe_dump(settings_of(root)))
    script = ROOT / "workflow_scripts/index_series.py"
    command = [sys.executable, str(script), "--configfile", str(config), "--processes", "1"]
    running = subprocess.Popen(command, env=os.environ | {"CALCOHORT_KEY": KEY.decode()})
    database = tmp_path / "private/index.sqlite"
    while running.poll() is None and not files_known(database):
        time.sleep(0.01)
    running.kill()
    running.wait()
    known = files_known(database)
    assert 0 < known < 4000
    assert index(root)["opened"] <= 4000 - known + 250
    (row,) = table(root)
    assert (row["images"], row["copies"]) == ("10", "3990")


def files_known(database):
    if not database.exists():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            return db.execute("SELECT COUNT(*) FROM files").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
