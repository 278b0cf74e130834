"""A batch through a network: in order, suspects last, and one that kills its job again left out."""

import numpy as np
import pytest
from calcohort import volume
from calcohort.at_work import AtWork
from calcohort.batch import run_batch
from calcohort.outcomes import Excluded, Reason, read_record, write_record
from calcohort.trace import Trace, read_traces

SCANS = ["a", "b", "c"]


@pytest.fixture
def batch(tmp_path):
    """A function that runs `work` over three scans, and its folder and marks."""
    for number, scan_id in enumerate(SCANS):
        image = volume.Volume(np.full((4, 4, 4), number, np.int16), np.eye(4))
        volume.write(tmp_path / f"{scan_id}.nii.gz", image)
        record = {"scan_id": scan_id, "status": "ok", "stage": "crop", "reason": "", "detail": ""}
        write_record(tmp_path / f"{scan_id}.json", record)
    folder = tmp_path / "segment"
    marks = AtWork(folder)

    def run(work):
        run_batch(
            "segment",
            SCANS,
            work,
            cts=[tmp_path / f"{scan_id}.nii.gz" for scan_id in SCANS],
            upstream=[tmp_path / f"{scan_id}.json" for scan_id in SCANS],
            folder=folder,
            marks=marks,
            trace=Trace(tmp_path / "trace/segment.tsv", "segment", "cpu"),
            suffix=".nii.gz",
        )
        return [span.scan_id for span in read_traces(tmp_path / "trace")]

    return run, folder, marks


def value(ct, record, image):
    volume.write(image, ct)
    return {"value": int(ct.array.max())}


def test_each_scan_has_its_own_image_in_its_own_record(batch):
    run, folder, marks = batch
    assert run(value) == ["", "a", "b", "c"]
    assert [read_record(folder / f"{s}.json")["value"] for s in SCANS] == [0, 1, 2]
    assert not marks.folder.exists()


def test_a_scan_that_fails_leaves_its_neighbours_alone(batch):
    run, folder, _ = batch

    def find(ct, record, image):
        if record["scan_id"] == "b":
            raise Excluded(Reason.ROOT_NOT_FOUND, "nothing")
        return value(ct, record, image)

    run(find)
    assert [read_record(folder / f"{s}.json")["status"] for s in SCANS] == ["ok", "excluded", "ok"]


def test_a_scan_at_which_the_job_was_killed_comes_last_and_at_the_second_time_is_lost(batch):
    run, folder, marks = batch
    marks.begin("a")
    assert run(value) == ["", "b", "c", "a"]
    assert read_record(folder / "a.json")["value"] == 0
    assert marks.deaths("a") == 0

    marks.begin("a")
    marks.begin("a")
    run(value)
    assert read_record(folder / "a.json")["reason"] == "lost"
    assert (folder / "a.nii.gz").stat().st_size == 0
    assert read_record(folder / "b.json")["status"] == "ok"


def test_a_job_that_is_stopped_blames_no_scan(batch):
    run, _, marks = batch

    def stop(ct, record, image):
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        run(stop)
    assert marks.deaths("a") == 0
