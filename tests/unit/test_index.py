"""The index of an archive: what is found, what is opened again, what is kept."""

import contextlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from archive_factory import (
    chosen,
    index,
    listed,
    person,
    settings_of,
    sheet,
    table,
    three_studies,
    write_study,
)
from calcohort.dicom.find import find_series
from calcohort.dicom.listing import gather, read_listing
from calcohort.outcomes import Excluded, UserError
from calcohort.study import ROOT
from dicom_factory import HOSPITAL, KEY, NAME, PATIENT, uid, write_series


@pytest.fixture
def archive(tmp_path):
    return three_studies(tmp_path)


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
