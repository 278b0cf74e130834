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
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from calcohort import volume
from calcohort.outcomes import read_record
from calcohort.trace import START_UP, overlaps, read_traces
from checkout import ROOT, Site
from cluster import GPUS_PER_NODE, ask, wait_until
from cohort_of_boxes import AFFINE, make_study
from jobs import hang, jobs_of, wait_for_running, wait_for_state
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
def tables(tmp_path_factory):
    """Tables of a run on one machine that nothing disturbed."""
    config = small_study(tmp_path_factory.mktemp("undisturbed") / "study")
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


def replace_weights(folder: Path, tables, tables_of_masks):
    network = folder / WEIGHTS.name
    shutil.copy2(WEIGHTS, network)
    site = Site(folder / "site")
    config = small_study(folder / "study", localise={"network": {"weights": str(network)}})
    results = folder / "study/results"
    process = site.start(config, "--retries", "1")
    wait_for_running(site, "prepare")
    network.write_bytes(b"other weights")
    output, _ = process.communicate()
    assert process.returncode == 1, output
    before = jobs_of(site)
    tries = [job["JobState"] for job in before if job["step"] == "localise"]
    assert tries == ["FAILED"] * 2
    assert "SHA-256" in (results / "logs/localise_batch/batch-00002.log").read_text()
    assert read_record(results / "scans/large/calcium.json")["status"] == "ok"
    assert read_record(results / "scans/small/picture.json")["status"] == "ok"
    assert read_record(results / "scans/truncated/series.json")["reason"] == "unreadable"
    assert not (results / "cohort/calcium.csv").exists()

    shutil.copy2(WEIGHTS, network)
    code, output = site.run(config)
    assert code == 0, output
    assert tables_of(results) == tables
    jobs = {job["step"]: job for job in jobs_of(site)[len(before) :]}
    assert all(job["JobState"] == "COMPLETED" for job in jobs.values())
    assert set(jobs) == {"localise", "crop", "segment", "measure", "cohort"}
    for step, job in jobs.items():
        by_network = step in ("localise", "segment")
        assert job["Partition"] == ("gpu" if by_network else "cpu")
        assert job.get("TresPerJob") == ("gres:gpu:1" if by_network else None)
    spans = read_traces(results / "logs/trace")
    assert [s.scan_id for s in spans if s.stage == "localise"][-2:] == [START_UP, BY_NETWORK]
    assert {s.device for s in spans} <= {f"gpu{number}" for number in range(GPUS_PER_NODE)}
    assert overlaps(spans) == []

    code, output = site.run(config)
    assert code == 0
    assert "Nothing to be done" in output


def outgrow_memory(folder: Path, tables, tables_of_masks):
    config = small_study(folder / "study", ("large", "small"))
    huge = volume.Volume(np.zeros((600, 1000, 1000), np.int16), AFFINE)
    volume.write(folder / "study/huge.nii.gz", huge)
    with (folder / "study/scans.tsv").open("a") as sheet:
        sheet.write("huge\thuge.nii.gz\troot.nii.gz\t\t\t\n")
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"batch_size": 3}))
    site = Site(folder / "site")
    profile = yaml.safe_load((site.folder / "slurm/config.yaml").read_text())
    profile["set-resources"] |= {"convert_batch": {"mem_mb": "450+50*attempt"}}
    (site.folder / "slurm/config.yaml").write_text(yaml.safe_dump(profile))
    code, output = site.run(config)
    assert code == 0, output
    tries = [job["JobState"] for job in jobs_of(site) if job["step"] == "prepare"]
    assert tries == ["FAILED", "FAILED", "COMPLETED"]
    cohort = folder / "study/results/cohort"
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


def fill_disk(folder: Path, tables, tables_of_masks):
    site, config = Site(folder / "site"), small_study(folder / "study", ("large", "small"))
    results = folder / "study/results"
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


def wrapper(site: Site, config: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, ROOT / "workflow_scripts/run_cohort.py", "--configfile", config]
    return subprocess.Popen(
        [*map(str, [*command, *arguments])],
        cwd=site.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def crash_cron(folder: Path, tables, tables_of_masks):
    site, config = Site(folder / "site"), small_study(folder / "study")
    killed = wrapper(site, config)
    job = wait_for_running(site, "prepare")
    second = wrapper(site, config)
    assert "another run is at work" in second.communicate()[0]
    assert second.returncode == 75

    hang(job)
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    for number in (killed.pid, *map(int, children)):
        os.kill(number, signal.SIGKILL)
    killed.wait()
    assert {j["JobState"] for j in jobs_of(site)} == {"RUNNING"}

    healed = wrapper(site, config)
    line, _ = healed.communicate()
    assert healed.returncode == 0, line
    assert re.search("a run had crashed: [12] of its jobs cancelled", line)
    assert "OK measured 2, excluded 2, failed 0, begun 0, waiting 0" in line
    assert (site.folder / "logs/cohort/status.txt").read_text() == line
    assert len(list((site.folder / "logs/cohort").glob("*Z.log"))) == 2
    assert tables_of(folder / "study/results") == tables


@pytest.fixture(scope="module")
def side_by_side(cluster, tables, tables_of_masks, tmp_path_factory):
    """The scenarios that share the cluster as its users do; most of a run is waiting."""
    with ThreadPoolExecutor() as pool:
        yield {
            scenario: pool.submit(
                scenario, tmp_path_factory.mktemp(scenario.__name__), tables, tables_of_masks
            )
            for scenario in (replace_weights, outgrow_memory, fill_disk, crash_cron)
        }


def test_weights_replaced_while_running_are_told_and_a_second_run_finishes(side_by_side):
    side_by_side[replace_weights].result()


def test_a_scan_too_large_for_its_job_is_failed_and_the_others_are_measured_in_the_same_run(
    side_by_side,
):
    side_by_side[outgrow_memory].result()


def test_a_full_disk_loses_nothing(side_by_side):
    side_by_side[fill_disk].result()


def test_cron_starts_once_at_a_time_and_heals_after_a_kill(side_by_side):
    side_by_side[crash_cron].result()


def test_cancelled_hung_out_of_memory_and_lost_with_its_node_are_tried_again(
    cluster, side_by_side, tables, tmp_path
):
    site, config = Site(tmp_path / "site"), small_study(tmp_path / "study")
    profile = yaml.safe_load((site.folder / "slurm/config.yaml").read_text())
    measuring = ("place_root", "measure_calcium", "compare_root", "draw_picture")
    profile["set-resources"] |= {rule: {"mem_mb": "40*attempt**5"} for rule in measuring}
    (site.folder / "slurm/config.yaml").write_text(yaml.safe_dump(profile))
    wait(side_by_side.values())
    process = site.start(config)
    cancelled = wait_for_running(site, "prepare")
    ask("scancel", cancelled["JobId"])
    wait_for_state(cancelled, "CANCELLED")

    lost = wait_for_running(site, "prepare", int(cancelled["JobId"]))
    ask("scontrol", "update", f"nodename={lost['NodeList']}", "state=down", "reason=test")
    wait_for_state(lost, "NODE_FAIL")
    cluster.resume(lost["NodeList"])

    hung = wait_for_running(site, "localise")
    cluster.stop_controller()
    cluster.start_controller()
    wait_until(cluster.states, "the controller does not answer")
    hang(hung)
    ask("scontrol", "update", f"jobid={hung['JobId']}", "timelimit=1")
    wait_for_state(hung, "TIMEOUT")

    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert tables_of(tmp_path / "study/results") == tables
    starved = next(job for job in jobs_of(site) if job["step"] == "measure")
    assert starved["JobState"] == "FAILED"
    logs = [path.read_text() for path in (cluster.folder / "log").glob("n*.log")]
    assert any(
        re.search(rf"\[{starved['JobId']}\..*exceeded memory limit", log, re.I) for log in logs
    )
