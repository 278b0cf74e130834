"""A cohort through `snakemake --profile slurm` on a real SLURM, and what happens when things fail.

One scan goes through the networks, two have their masks, one file is truncated: whatever fails on
the way, the tables are in the end those of an undisturbed run on one machine, byte for byte.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from calcohort import volume
from calcohort.outcomes import read_record
from calcohort.trace import START_UP, overlaps, read_traces
from checkout import ROOT, Site
from cluster import ask, wait_until
from cohort_of_boxes import AFFINE, make_study
from jobs import after, hang, last_number, wait_for_running, wait_for_state
from running import run, tables_of

pytestmark = pytest.mark.slow
SCANS = ("large", "small", "clean", "truncated")
BY_NETWORK = "clean"
WEIGHTS = (
    ROOT
    / yaml.safe_load((ROOT / "protocols/aortic_root.yaml").read_text())["localise"]["network"][
        "weights"
    ]
)


def small_study(folder: Path, scans=SCANS, **settings) -> Path:
    """Two batches of two scans."""
    folder.mkdir()
    config = make_study(folder, batch_size=2, **settings)
    sheet = folder / "scans.tsv"
    header, *rows = [line.split("\t") for line in sheet.read_text().splitlines()]
    chosen = [row for row in rows if row[0] in scans]
    for row in chosen:
        if row[0] == BY_NETWORK:
            row[header.index("root_mask")] = ""
    sheet.write_text("\n".join("\t".join(row) for row in [header, *chosen]) + "\n")
    return config


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Settings with a copy of U-Net1's weights, which a test may change."""
    copy = tmp_path_factory.mktemp("weights") / WEIGHTS.name
    shutil.copy2(WEIGHTS, copy)
    return {"localise": {"network": {"weights": str(copy)}}}


@pytest.fixture(scope="module")
def tables(tmp_path_factory, weights):
    """Tables of a run on one machine that nothing disturbed."""
    config = small_study(tmp_path_factory.mktemp("undisturbed") / "study", **weights)
    code, output = run(config)
    assert code == 0, output
    return tables_of(config.parent / "results")


@pytest.fixture(scope="module")
def tables_of_masks(tmp_path_factory):
    """The same of the scans that have masks."""
    config = small_study(tmp_path_factory.mktemp("undisturbed") / "study", ("large", "small"))
    code, output = run(config)
    assert code == 0, output
    return tables_of(config.parent / "results")


def test_weights_replaced_while_running_are_told_and_a_second_run_finishes(
    cluster, tables, weights, tmp_path
):
    site, config = Site(tmp_path / "site"), small_study(tmp_path / "study", **weights)
    results = tmp_path / "study/results"
    network = Path(weights["localise"]["network"]["weights"])
    process = site.start(config, "--retries", "1")
    wait_for_running("prepare", 0)
    network.write_bytes(b"other weights")
    output, _ = process.communicate()
    assert process.returncode == 1, output
    tries = [job for job in after(0) if job["step"] == "localise"]
    assert [job["JobState"] for job in tries] == ["FAILED"] * 2
    assert "SHA-256" in (results / "logs/localise_batch/batch-00002.log").read_text()
    assert read_record(results / "scans/large/calcium.json")["status"] == "ok"
    assert read_record(results / "scans/small/picture.json")["status"] == "ok"
    assert read_record(results / "scans/truncated/series.json")["reason"] == "unreadable"
    assert not (results / "cohort/calcium.csv").exists()

    shutil.copy2(WEIGHTS, network)
    first = last_number()
    code, output = site.run(config)
    assert code == 0, output
    assert tables_of(results) == tables
    jobs = {job["step"]: job for job in after(first)}
    assert all(job["JobState"] == "COMPLETED" for job in jobs.values())
    assert set(jobs) == {"localise", "crop", "segment", "measure", "cohort"}
    for step, job in jobs.items():
        by_network = step in ("localise", "segment")
        assert job["Partition"] == ("gpu" if by_network else "cpu")
        assert job.get("TresPerJob") == ("gres:gpu:1" if by_network else None)
    spans = read_traces(results / "logs/trace")
    assert [s.scan_id for s in spans if s.stage == "localise"][-2:] == [START_UP, BY_NETWORK]
    assert {s.device for s in spans} <= {"gpu0", "gpu1"}
    assert overlaps(spans) == []

    code, output = site.run(config)
    assert code == 0
    assert "Nothing to be done" in output


def test_a_scan_too_large_for_its_job_is_failed_and_the_others_are_measured_in_the_same_run(
    cluster, tables_of_masks, tmp_path
):
    config = small_study(tmp_path / "study", ("large", "small"))
    huge = volume.Volume(np.zeros((600, 1000, 1000), np.int16), AFFINE)
    volume.write(tmp_path / "study/huge.nii.gz", huge)
    with (tmp_path / "study/scans.tsv").open("a") as sheet:
        sheet.write("huge\thuge.nii.gz\troot.nii.gz\t\t\t\n")
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"batch_size": 3}))
    site = Site(tmp_path / "site")
    profile = yaml.safe_load((site.folder / "slurm/config.yaml").read_text())
    profile["set-resources"] |= {"convert_batch": {"mem_mb": "450+50*attempt"}}
    (site.folder / "slurm/config.yaml").write_text(yaml.safe_dump(profile))
    first = last_number()
    code, output = site.run(config)
    assert code == 0, output
    tries = [job["JobState"] for job in after(first) if job["step"] == "prepare"]
    assert tries == ["FAILED", "FAILED", "COMPLETED"]
    cohort = tmp_path / "study/results/cohort"
    scans = pd.read_csv(cohort / "scans.csv", index_col="scan_id")
    assert scans["status"].to_dict() == {"large": "measured", "small": "measured", "huge": "failed"}
    assert scans.loc["huge", ["stage", "reason"]].tolist() == ["convert", "lost"]
    assert (cohort / "calcium.csv").read_bytes() == tables_of_masks["calcium.csv"]


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A file system of its own for a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_loses_nothing(cluster, tables_of_masks, tmp_path):
    site, config = Site(tmp_path / "site"), small_study(tmp_path / "study", ("large", "small"))
    results = tmp_path / "study/results"
    with small_disk(results, "300k"):
        code, output = site.run(config, "--retries", "0")
        assert code == 1, output
        logs = [*results.rglob("*.log"), *(site.folder / ".snakemake/slurm_logs").rglob("*.log")]
        assert any("No space left" in log.read_text() for log in logs)
        assert not (results / "cohort/scans.csv").exists()
        subprocess.run(["mount", "-o", "remount,size=200m", results], check=True)
        code, output = site.run(config)
        assert code == 0, output
        assert tables_of(results) == tables_of_masks


def test_cancelled_hung_out_of_memory_and_lost_with_its_node_are_tried_again(
    cluster, tables, weights, tmp_path
):
    site, config = Site(tmp_path / "site"), small_study(tmp_path / "study", **weights)
    profile = yaml.safe_load((site.folder / "slurm/config.yaml").read_text())
    measuring = ("place_root", "measure_calcium", "compare_root", "draw_picture")
    profile["set-resources"] |= {rule: {"mem_mb": "40*attempt**5"} for rule in measuring}
    (site.folder / "slurm/config.yaml").write_text(yaml.safe_dump(profile))
    first = last_number()
    process = site.start(config)
    cancelled = wait_for_running("prepare", first)
    ask("scancel", cancelled["JobId"])
    wait_for_state(cancelled, "CANCELLED")

    lost = wait_for_running("prepare", int(cancelled["JobId"]))
    ask("scontrol", "update", f"nodename={lost['NodeList']}", "state=down", "reason=test")
    wait_for_state(lost, "NODE_FAIL")
    cluster.resume(lost["NodeList"])

    hung = wait_for_running("localise", first)
    cluster.stop_controller()
    cluster.start_controller()
    wait_until(cluster.states, "the controller does not answer")
    hang(hung)
    ask("scontrol", "update", f"jobid={hung['JobId']}", "timelimit=1")
    wait_for_state(hung, "TIMEOUT")

    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert tables_of(tmp_path / "study/results") == tables
    starved = next(job for job in after(first) if job["step"] == "measure")
    assert starved["JobState"] == "FAILED"
    logs = [path.read_text() for path in (cluster.folder / "log").glob("n*.log")]
    assert any(
        re.search(rf"\[{starved['JobId']}\..*exceeded memory limit", log, re.I) for log in logs
    )


def wrapper(site: Site, config: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, ROOT / "workflow_scripts/run_cohort.py", "--configfile", config]
    return subprocess.Popen(
        [*map(str, [*command, *arguments])],
        cwd=site.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_cron_starts_once_at_a_time_and_heals_after_a_kill(cluster, tables, weights, tmp_path):
    site, config = Site(tmp_path / "site"), small_study(tmp_path / "study", **weights)
    first = last_number()
    killed = wrapper(site, config)
    job = wait_for_running("prepare", first)
    second = wrapper(site, config)
    assert "another run is at work" in second.communicate()[0]
    assert second.returncode == 75

    hang(job)
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    for number in (killed.pid, *map(int, children)):
        os.kill(number, signal.SIGKILL)
    killed.wait()
    assert {j["JobState"] for j in after(first)} == {"RUNNING"}

    healed = wrapper(site, config)
    line, _ = healed.communicate()
    assert healed.returncode == 0, line
    assert re.search("a run had crashed: [12] of its jobs cancelled", line)
    assert "OK measured 2, excluded 2, failed 0, begun 0, waiting 0" in line
    assert (site.folder / "logs/cohort/status.txt").read_text() == line
    assert len(list((site.folder / "logs/cohort").glob("*Z.log"))) == 2
    assert tables_of(tmp_path / "study/results") == tables
