"""Run a cohort on the test SLURM (two nodes, four fake GPUs) and tell what became of it.

The scans of the sheet are repeated to the wanted number. Needs root rights, as tests/slurm does;
the networks compute on the CPU, SLURM hands the fake GPUs out. Prints jobs, hours, files a scan,
the GPUs' idle share and the share of start-ups, and draws the GPUs' time. In the repository's root:

    PYTHONPATH=workflow_scripts:tests/slurm .venv/bin/python benchmarks/slurm_cohort.py \
        SHEET FOLDER --scans 64 --batch-size 16
"""

import argparse
import csv
import sys
import time
from pathlib import Path

import yaml
from calcohort.report.gantt import draw_gantt
from calcohort.study import read_sheet
from calcohort.trace import overlaps, read_traces
from checkout import Site
from cluster import running_cluster
from jobs import jobs_of


def write_study(sheet: Path, folder: Path, scans: int, batch_size: int) -> Path:
    """Write a sheet that repeats the scans of another, and its config."""
    rows = list(read_sheet(sheet).values())
    with (folder / "scans.tsv").open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(["scan_id", "dicom"])
        for number in range(scans):
            writer.writerow([f"scan-{number + 1:03d}", rows[number % len(rows)]["dicom"]])
    study = {"sheet": folder / "scans.tsv", "results": folder / "results"}
    study |= {"pseudonym_key_file": folder / "key", "private": folder / "private"}
    config = folder / "study.yaml"
    text = {key: str(value) for key, value in study.items()}
    config.write_text(yaml.safe_dump(text | {"batch_size": batch_size}))
    return config


def run(config: Path, folder: Path) -> tuple[float, int]:
    """Run the cohort on the test cluster; return seconds and jobs."""
    with running_cluster(folder / "cluster"):
        site, began = Site(folder / "site"), time.monotonic()
        code, output = site.run(config)
        if code:
            sys.exit(output)
        return time.monotonic() - began, len(jobs_of(site))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheet", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    folder.mkdir(parents=True)
    seconds, jobs = run(write_study(asked.sheet, folder, asked.scans, asked.batch_size), folder)
    results = folder / "results"
    spans = read_traces(results / "logs/trace")
    summary = draw_gantt(spans, folder / "gantt.png")
    files = [path for path in (results / "scans").rglob("*") if path.is_file()]
    told = {
        "wall_s": seconds,
        "slurm_jobs": jobs,
        "files_a_scan": len(files) / asked.scans,
        "megabytes_a_scan": sum(path.stat().st_size for path in files) / asked.scans / 1e6,
        "two_on_one_device": len(overlaps(spans)),
    }
    for name, value in (told | summary).items():
        print(f"{name}\t{value:.4g}")
