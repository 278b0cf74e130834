"""The forecast: every scan counted once, a finish time only where there is something to go by."""

import json
import os

import pytest
from calcohort.forecast import Progress, gpu_hours, read_progress, seconds_left
from calcohort.trace import START_UP, Span


def finish(folder, scan_id, status, at_s, detail=""):
    (folder / scan_id).mkdir(parents=True)
    path = folder / scan_id / "calcium.json"
    path.write_text(json.dumps({"status": status, "stage": "measure", "detail": detail}))
    os.utime(path, (at_s, at_s))


def test_every_scan_is_counted_once(tmp_path):
    finish(tmp_path, "a", "ok", 100)
    finish(tmp_path, "b", "excluded", 50)
    finish(tmp_path, "c", "failed", 70, "ValueError: odd")
    finish(tmp_path, "left-the-sheet", "ok", 10)
    (tmp_path / "d").mkdir()
    progress = read_progress(["a", "b", "c", "d", "e", "f"], tmp_path)
    assert progress.counts == {
        "measured": 1,
        "excluded": 1,
        "failed": 1,
        "begun": 1,
        "waiting": 2,
    }
    assert (progress.total, progress.left) == (6, 3)
    assert progress.ended_s == [50, 70, 100]
    assert progress.failed == [("c", "measure: ValueError: odd")]


def test_before_the_first_run_all_scans_wait(tmp_path):
    progress = read_progress(["a", "b"], tmp_path / "scans")
    assert progress.counts["waiting"] == 2


def progress(ended_s, left):
    counts = {"measured": len(ended_s), "excluded": 0, "failed": 0, "begun": 0, "waiting": left}
    return Progress(counts, sorted(ended_s), [])


def test_scans_that_are_left_take_as_long_as_those_of_this_spell():
    every_minute = [60.0 * n for n in range(11)]
    days_before = [-500_000.0, -400_000.0]
    left_s, why = seconds_left(progress(days_before + every_minute, 30), now_s=600)
    assert left_s == pytest.approx(30 * 60)
    assert "60 per hour" in why


@pytest.mark.parametrize(
    ("ended_s", "now_s", "told"),
    [
        ([], 0, "no scan was finished within"),
        ([60.0 * n for n in range(11)], 5000, "no scan was finished within"),
        ([0.0, 60.0, 120.0], 130, "only 3 scans"),
    ],
)
def test_it_says_when_it_does_not_know(ended_s, now_s, told):
    left_s, why = seconds_left(progress(ended_s, 5), now_s)
    assert left_s is None
    assert told in why


def test_nothing_is_left_of_a_finished_study():
    assert seconds_left(progress([1.0], 0), now_s=1e6)[0] == 0


def test_gpu_hours_count_start_ups_and_failed_tries_and_each_stage():
    def span(stage, scan_id, seconds, device="gpu0"):
        return Span(stage, "n0", device, "slurm-1", scan_id, 0.0, float(seconds))

    spans = [
        span("localise", START_UP, 20),
        span("localise", "a", 10),
        span("localise", START_UP, 20),
        span("localise", "a", 10),
        span("localise", "b", 20),
        span("segment", START_UP, 10),
        span("segment", "a", 30),
    ]
    hours = gpu_hours(spans, left=3)
    assert hours["spent"] == pytest.approx(120 / 3600)
    assert hours["to_come"] == pytest.approx(3 * (80 / 2 + 40 / 1) / 3600)
    assert gpu_hours([span("segment", "a", 9, device="cpu")], left=3) is None
