"""A cohort is whole or not there: sheet, truth, defects, and going on after a kill.

Run as a script (``test_phantom_cohort.py FOLDER JOBS``) this file makes the tiny cohort of these
tests slowly, so that a test can kill it.
"""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pydicom
import pytest
from calcohort import volume
from calcohort.outcomes import UserError
from calcohort.phantom import cohort
from calcohort.phantom.cohort import SHEET_COLUMNS, duration, make_cohort
from calcohort.phantom.families import FAMILIES
from calcohort.study import read_sheet
from calcohort.volume import Grid

SHAPE = (16, 20, 20)
DELAY_S = 0.0


def tiny_anatomy(seed, *, contrast=True):
    time.sleep(DELAY_S)
    return SimpleNamespace(seed=seed, contrast=contrast)


def tiny_grid(anatomy):
    return Grid(SHAPE, np.diag([0.5, 0.5, 0.625, 1.0]))


def tiny_phantom(anatomy, grid):
    """A box of blood with a spot of 600 HU and a deposit of 1000 HU."""
    rng = np.random.default_rng(anatomy.seed)
    hu = rng.integers(-20, 20, grid.shape).astype(np.int16)
    root, calcium = np.zeros(grid.shape, dtype=bool), np.zeros(grid.shape, dtype=bool)
    root[2:14, 2:18, 2:18] = True
    calcium[5:7, 5:8, 5:8] = True
    if anatomy.contrast:
        hu[root] += 400
    hu[10:12, 12:15, 12:15] = 600
    hu[calcium] = 1000
    return SimpleNamespace(hu=hu, root=root, calcium=calcium)


def use_tiny_phantoms():
    FAMILIES["template"] = FAMILIES["wide"] = SimpleNamespace(
        draw=tiny_anatomy,
        scan_grid=tiny_grid,
        render=tiny_phantom,
        physical_calcium_mm3=lambda anatomy: 10.0 * anatomy.seed,
    )


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    for name, family in FAMILIES.items():
        monkeypatch.setitem(FAMILIES, name, family)
    use_tiny_phantoms()


def make(folder, **counts):
    lines = []
    counts = counts or {"measurable": 2, "no_contrast": 1, "truncated": 1, "not_ct": 1}
    sheet = make_cohort(folder, **counts, report=lines.append)
    return sheet, lines


def rows_of(sheet):
    with sheet.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def bytes_of(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_sheet_names_every_scan_its_files_and_its_truth(tmp_path):
    sheet, _ = make(tmp_path)
    rows = rows_of(sheet)
    assert tuple(rows[0]) == SHEET_COLUMNS
    assert [row["scan_id"] for row in rows] == [f"phantom-{n:04d}" for n in range(1, 6)]
    assert [row["note"] for row in rows] == ["", "", "no contrast", "one file truncated", "not CT"]
    for row in rows:
        assert len(list((tmp_path / row["dicom"]).iterdir())) == SHAPE[0]
    for row in rows[:2]:
        grid = tiny_grid(None)
        root = volume.read_mask(tmp_path / row["reference_root_mask"], grid)
        assert volume.read_mask(tmp_path / row["reference_calcium_mask"], grid).sum() == 18
        hu = tiny_phantom(SimpleNamespace(seed=int(row["scan_id"][-1]), contrast=True), grid).hu
        overlay = root & (hu >= float(row["reference_threshold_hu"]))
        volume_mm3 = overlay.sum() * 0.5 * 0.5 * 0.625
        assert float(row["reference_volume_mm3"]) == pytest.approx(volume_mm3, abs=1e-3)
    assert [float(row["physical_volume_mm3"]) for row in rows[:2]] == [10.0, 20.0]


def test_scans_with_a_defect_have_no_reference(tmp_path):
    sheet, _ = make(tmp_path)
    for row in rows_of(sheet)[2:]:
        assert not any(row[column] for column in SHEET_COLUMNS[3:-1])


def test_the_workflow_reads_the_sheet(tmp_path):
    sheet, _ = make(tmp_path)
    scans = read_sheet(sheet)
    assert len(scans) == 5
    assert scans["phantom-0001"]["reference_root_mask"] == str(
        tmp_path / "truth" / "phantom-0001_root.nii.gz"
    )


def test_families_stand_side_by_side_with_the_same_seeds(tmp_path):
    sheet, _ = make(tmp_path, measurable=2, families=["template", "wide"])
    rows = rows_of(sheet)
    assert [row["family"] for row in rows] == ["template"] * 2 + ["wide"] * 2
    assert [row["scan_id"] for row in rows[2:]] == ["wide-0001", "wide-0002"]
    assert [row["physical_volume_mm3"] for row in rows[:2]] == [
        row["physical_volume_mm3"] for row in rows[2:]
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"families": ["broad"]}, "'broad' is unknown"), ({"families": ["wide"]}, "--no-contrast")],
)
def test_a_family_that_cannot_be_made_is_one_sentence(tmp_path, wrong, told):
    with pytest.raises(UserError, match=told):
        make(tmp_path, measurable=1, no_contrast=1, **wrong)


def test_defects_are_what_they_are_called(tmp_path):
    make(tmp_path)

    def headers(scan_id):
        return [pydicom.dcmread(path) for path in (tmp_path / "dicom" / scan_id).iterdir()]

    with_contrast, without = (headers(f"phantom-000{n}") for n in (1, 3))
    assert with_contrast[0].ContrastBolusAgent == "OMNIPAQUE 350"
    assert "ContrastBolusAgent" not in without[0]
    centre_hu = [
        np.median([header.pixel_array[4:16, 4:16] for header in series]) - 1024
        for series in (with_contrast, without)
    ]
    assert centre_hu[0] > 300 > 50 > centre_hu[1]

    pixel_bytes = [len(h.PixelData) for h in headers("phantom-0004")]
    whole = SHAPE[1] * SHAPE[2] * 2
    assert sorted(pixel_bytes) == [whole // 2] + [whole] * (SHAPE[0] - 1)

    assert {h.Modality for h in headers("phantom-0005")} == {"MR"}


def test_the_same_request_gives_the_same_bytes(tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_what_is_finished_is_not_made_again(tmp_path):
    make(tmp_path, measurable=3)
    record = tmp_path / "truth" / "phantom-0002.json"
    record.unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "dicom").rglob("IM*")}
    _, lines = make(tmp_path, measurable=3)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "dicom").rglob("IM*")}
    assert {path.parent.name for path in before if before[path] != after[path]} == {"phantom-0002"}
    assert lines[0] == "2 of 3 phantoms are already made"
    assert lines[1].startswith("phantom 3 of 3 (phantom-0002), ")


def test_another_seed_replaces_a_finished_phantom(tmp_path):
    make(tmp_path / "a", measurable=1, first_seed=1)
    make(tmp_path / "a", measurable=1, first_seed=2)
    make(tmp_path / "b", measurable=1, first_seed=2)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_phantoms_of_other_code_are_made_again(tmp_path, monkeypatch):
    make(tmp_path, measurable=2)
    monkeypatch.setattr(cohort, "_code_sha256", lambda: "other")
    _, lines = make(tmp_path, measurable=2)
    assert len(lines) == 2 and lines[0].startswith("phantom 1 of 2")


def test_a_phantom_that_fails_leaves_no_sheet_and_no_record(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cohort.volume, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path, measurable=1)
    assert not (tmp_path / "scans.tsv").exists()
    assert not list(tmp_path.rglob("*.json"))


def start_slow_cohort(folder, jobs):
    environment = os.environ | {"PYTHONPATH": str(Path(cohort.__file__).parents[2])}
    command = [sys.executable, __file__, str(folder), str(jobs)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def wait_for(is_true, seconds=120):
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path):
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    for scan_id in ("phantom-0001", "phantom-0002"):
        process = start_slow_cohort(killed, jobs=1)
        wait_for(lambda scan_id=scan_id: (killed / "dicom" / f".{scan_id}").exists())
        process.kill()
        process.wait()
        assert not (killed / "scans.tsv").exists()
        for folder in (killed / "dicom").glob("phantom-*"):
            assert len(list(folder.iterdir())) == SHAPE[0]
    make(killed, measurable=3)
    make(straight, measurable=3)
    assert bytes_of(killed) == bytes_of(straight)


def test_workers_end_with_their_killed_parent(tmp_path):
    process = start_slow_cohort(tmp_path, jobs=2)
    wait_for(lambda: (tmp_path / "dicom").exists())
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


def test_several_processes_make_the_same_bytes_as_one(tmp_path):
    assert start_slow_cohort(tmp_path / "two", jobs=2).wait() == 0
    make(tmp_path / "one", measurable=3)
    assert bytes_of(tmp_path / "two") == bytes_of(tmp_path / "one")


def test_progress_tells_position_name_duration_and_time_left(tmp_path):
    _, lines = make(tmp_path, measurable=3)
    for n, line in enumerate(lines[:2], start=1):
        assert re.fullmatch(rf"phantom {n} of 3 \(phantom-000{n}\), \d+ s, about \d+ s left", line)
    assert re.fullmatch(r"phantom 3 of 3 \(phantom-0003\), \d+ s", lines[2])
    assert [duration(s) for s in (14.4, 59.6, 100)] == ["14 s", "1 min 0 s", "1 min 40 s"]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"measurable": 0}, "at least one"),
        ({"measurable": 2, "not_ct": -1}, "negative"),
        ({"measurable": 2, "first_seed": 99_999}, "training's"),
        ({"measurable": 2, "first_seed": -1}, "training's"),
        ({"measurable": 2, "jobs": 0}, "at least 1"),
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_is_told(tmp_path, request_, told):
    with pytest.raises(UserError, match=told):
        make(tmp_path, **request_)


def test_the_last_seed_before_the_trainings_is_allowed(tmp_path):
    make(tmp_path, measurable=1, first_seed=99_999)


if __name__ in ("__main__", "__mp_main__"):
    use_tiny_phantoms()
    DELAY_S = 0.3
if __name__ == "__main__":
    make_cohort(Path(sys.argv[1]), measurable=3, jobs=int(sys.argv[2]))
