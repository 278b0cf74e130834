"""The workers' trace: who was where when, idle time, and the picture of it."""

import os

import pytest
from calcohort.outcomes import UserError
from calcohort.report.gantt import draw_gantt
from calcohort.trace import START_UP, Span, Trace, device_name, overlaps, read_traces, summarise
from matplotlib.image import imread


def span(device, scan_id, begun_s, ended_s, stage="segment", worker="slurm-1"):
    return Span(stage, "n0", device, worker, scan_id, float(begun_s), float(ended_s))


ONE_GPU_IDLE_FOR_A_QUARTER = [
    span("gpu0", START_UP, 0, 10),
    span("gpu0", "a", 10, 50),
    span("gpu0", "b", 50, 100),
    span("gpu1", START_UP, 0, 10, worker="slurm-2"),
    span("gpu1", "c", 10, 50, worker="slurm-2"),
]


def test_idle_and_start_up_shares_are_those_of_the_devices_time():
    told = summarise(ONE_GPU_IDLE_FOR_A_QUARTER)
    assert (told["devices"], told["workers"], told["scans"]) == (2, 2, 3)
    assert told["idle_share"] == pytest.approx(50 / 200)
    assert told["start_up_share"] == pytest.approx(20 / 150)
    assert told["hours"] == pytest.approx(100 / 3600)


def test_two_scans_on_one_device_are_told():
    assert overlaps(ONE_GPU_IDLE_FOR_A_QUARTER) == []
    early = span("gpu1", "d", 49, 60, worker="slurm-3")
    assert overlaps([*ONE_GPU_IDLE_FOR_A_QUARTER, early]) == [
        (ONE_GPU_IDLE_FOR_A_QUARTER[4], early)
    ]


def test_what_a_worker_writes_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_STEP_GPUS", "3")
    trace = Trace(tmp_path / "segment-batch-00001.tsv", "segment", "gpu")
    trace.ready()
    trace.done("a")
    trace.done("b")
    start_up, a, b = read_traces(tmp_path)
    assert (start_up.scan_id, a.scan_id, b.scan_id) == (START_UP, "a", "b")
    assert {s.worker for s in (start_up, a, b)} == {"slurm-7"}
    assert a.device == "gpu3"
    assert start_up.ended_s == a.begun_s <= a.ended_s == b.begun_s
    assert start_up.seconds > 0


def test_a_line_cut_off_by_a_crash_is_left_out_and_a_second_try_is_kept(tmp_path):
    path = tmp_path / "segment-batch-00001.tsv"
    trace = Trace(path, "segment", "cpu")
    trace.ready()
    trace.done("a")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 3])
    assert [s.scan_id for s in read_traces(tmp_path)] == [START_UP]
    Trace(path, "segment", "cpu").done("a")
    assert sorted(s.scan_id for s in read_traces(tmp_path)) == [START_UP, "a"]


def test_a_gpu_has_its_hosts_number_before_its_jobs(monkeypatch):
    for name in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    assert device_name("cpu") == "cpu"
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "0")
    assert device_name("gpu") == "gpu0"
    monkeypatch.setitem(os.environ, "SLURM_JOB_GPUS", "5")
    assert device_name("gpu") == "gpu5"


def test_the_picture_has_a_bar_for_each_stage_and_no_picture_without_a_trace(tmp_path):
    draw_gantt(ONE_GPU_IDLE_FOR_A_QUARTER, tmp_path / "gantt.png")
    colours = {
        tuple(c) for c in (imread(tmp_path / "gantt.png")[..., :3] * 255).round().reshape(-1, 3)
    }
    assert (230, 159, 0) in colours
    assert (153, 153, 153) in colours
    with pytest.raises(UserError, match="no trace"):
        draw_gantt([], tmp_path / "none.png")
