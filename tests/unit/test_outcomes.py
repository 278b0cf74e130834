"""Outcomes: every scan's fate is a record, and only the machine's troubles stop a job."""

import errno

import pytest
from calcohort.outcomes import (
    Excluded,
    Reason,
    UserError,
    read_record,
    run_stage,
    write_record,
)


def refuse():
    raise Excluded(Reason.TILTED, "the gantry is tilted by 18.5°")


def crash():
    raise KeyError("surprise")


def test_a_good_scan_has_its_findings(tmp_path):
    run_stage("crop", "a", lambda: {"padded_voxels": 3}, record=tmp_path / "r.json")
    record = read_record(tmp_path / "r.json")
    assert record["status"] == "ok"
    assert record["scan_id"] == "a"
    assert record["padded_voxels"] == 3


@pytest.mark.parametrize(
    ("work", "status", "reason"), [(refuse, "excluded", "tilted"), (crash, "failed", "crashed")]
)
def test_a_bad_scan_is_told_and_passed_on(tmp_path, work, status, reason):
    first, second, image = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "mask.nii.gz"
    run_stage("convert", "a", work, record=first)
    run_stage("crop", "a", pytest.fail, record=second, upstream=[first], images=[image])
    record = read_record(second)
    assert (record["status"], record["reason"]) == (status, reason)
    assert record["stage"] == "convert"
    assert image.stat().st_size == 0


@pytest.mark.parametrize(
    "trouble", [OSError(errno.ENOSPC, "No space left"), MemoryError(), UserError("wrong weights")]
)
def test_trouble_of_the_machine_or_set_up_leaves_no_record(tmp_path, trouble):
    def work():
        raise trouble

    with pytest.raises(type(trouble)):
        run_stage("segment", "a", work, record=tmp_path / "r.json")
    assert not (tmp_path / "r.json").exists()


def test_a_record_holds_no_nan_and_is_whole_or_absent(tmp_path):
    with pytest.raises(ValueError):
        write_record(tmp_path / "r.json", {"dice": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_every_reason_has_a_meaning():
    assert all(reason.meaning and reason.value.islower() for reason in Reason)
