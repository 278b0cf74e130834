"""Which study and series of an archive become a scan, and what of the sheet stays."""

import os
import shutil
import time
from pathlib import Path

import pytest
from archive_factory import (
    LATER_NS,
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
from calcohort.dicom.choose import choose_series
from calcohort.dicom.find import find_series
from calcohort.dicom.listing import read_listing
from calcohort.dicom.rule import Rule
from calcohort.index.run import index_archive
from calcohort.outcomes import UserError
from calcohort.study import ROOT, read_config, read_settings
from dicom_factory import KEY, NAME, along_normal, write_series


@pytest.fixture
def archive(tmp_path):
    return three_studies(tmp_path)


def test_index_and_conversion_choose_alike(archive):
    index(archive)
    rule = Rule.of(settings_of(archive)["choose"])
    direct = choose_series(find_series(archive / "one"), None, rule, KEY)
    listed = [chosen(archive, row) for row in sheet(archive).values()]
    same = next(choice for choice in listed if choice.series.uid == direct.series.uid)
    assert same.why == direct.why
    by_hash = {c["series_hash"]: c for c in direct.candidates}
    assert {c["series_hash"]: c for c in same.candidates} == by_hash


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


def test_the_config_names_a_sheet_or_a_root():
    config = read_config(ROOT / "config.yaml")
    for change in ({"dicom_root": "x"}, {"sheet": None}):
        with pytest.raises(UserError, match="give either sheet or dicom_root"):
            read_settings(config | change)
