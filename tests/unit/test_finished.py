"""Finished scans are left out of the plan only while nothing that decides them has changed."""

import os
import re

import pytest
from calcohort.finished import ANY_SCAN, NO_SCAN, Finished, pattern

SCANS = ("a", "b", "c")


@pytest.fixture
def study(tmp_path):
    """Two scans of one batch and one with a mask; the function makes the memory afresh."""
    for name in (*SCANS, "c_mask", "weights"):
        (tmp_path / name).write_text(name)
    for scan_id in SCANS:
        folder = tmp_path / "results/scans" / scan_id
        folder.mkdir(parents=True)
        (folder / "calcium.json").write_text("{}")
    for stage in ("localise", "segment"):
        (tmp_path / "results/batches/batch-00001" / stage).mkdir(parents=True)
    network = {"network": {"weights": str(tmp_path / "weights")}}

    def finished(k=0.2, **columns):
        sheet = {s: {"scan_id": s, "dicom": str(tmp_path / s)} for s in SCANS}
        sheet["c"]["root_mask"] = str(tmp_path / "c_mask")
        sheet["a"] |= columns
        settings = {"localise": network, "segment": network, "measure": {"k": k}}
        return Finished(tmp_path / "results", settings, sheet, {"batch-00001": ["a", "b"]})

    return tmp_path, finished


def test_at_first_all_are_open_and_after_a_whole_run_none(study):
    _, finished = study
    before = finished()
    assert sorted(before.open_scans) == ["a", "b", "c"]
    before.remember(planned=SCANS, unfinished=[])
    assert finished().open_scans == []


def test_a_batch_is_finished_when_all_its_scans_are(study):
    _, finished = study
    finished().remember(planned=SCANS, unfinished=["b"])
    assert sorted(finished().open_scans) == ["a", "b"]
    finished().remember(planned=["a"], unfinished=[])
    assert sorted(finished().open_scans) == ["a", "b"]
    finished().remember(planned=["a", "b"], unfinished=[])
    assert finished().open_scans == []


def touch(path):
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))


@pytest.mark.parametrize(
    ("change", "opened"),
    [
        (lambda folder: touch(folder / "a"), ["a", "b"]),
        (lambda folder: (folder / "c").unlink(), ["c"]),
        (lambda folder: touch(folder / "c_mask"), ["c"]),
        (lambda folder: touch(folder / "results/scans/c/calcium.json"), ["c"]),
        (lambda folder: (folder / "results/scans/b/calcium.json").unlink(), ["a", "b"]),
        (lambda folder: (folder / "results/batches/batch-00001/segment").rmdir(), ["a", "b"]),
        (lambda folder: (folder / "weights").write_text("other weights"), ["a", "b", "c"]),
    ],
)
def test_what_changes_opens_its_unit(study, change, opened):
    folder, finished = study
    finished().remember(planned=SCANS, unfinished=[])
    change(folder)
    assert sorted(finished().open_scans) == opened


def test_settings_and_rows_open_too(study):
    _, finished = study
    finished().remember(planned=SCANS, unfinished=[])
    assert sorted(finished(k=0.3).open_scans) == ["a", "b", "c"]
    assert sorted(finished(series_uid="1.2").open_scans) == ["a", "b"]


def test_an_input_that_changes_during_the_run_opens_its_unit_again(study):
    folder, finished = study
    during = finished()
    touch(folder / "c")
    during.remember(planned=SCANS, unfinished=[])
    assert finished().open_scans == ["c"]


def test_the_pattern_matches_the_open_scans_and_no_other():
    assert pattern(["a.1", "b"], total=3) != ANY_SCAN
    matches = re.compile(pattern(["a.1", "a.10"], total=3)).fullmatch
    assert matches("a.1")
    assert matches("a.10")
    assert not matches("ax1")
    assert pattern([], total=3) == NO_SCAN
    assert not re.match(NO_SCAN, "")
    assert pattern(["a", "b"], total=2) == ANY_SCAN
