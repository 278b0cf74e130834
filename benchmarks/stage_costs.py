"""Measure what each job of a batch costs a scan: CPU seconds, which other load hardly changes.

Runs the chain of a sheet's first scans job by job, and a network's start-up alone; writes
`costs.json` for benchmarks/capacity.py. In the repository's root:

    PYTHONPATH=workflow_scripts .venv/bin/python benchmarks/stage_costs.py SHEET FOLDER --scans 4
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from calcohort.study import read_config, read_settings, read_sheet

TARGETS = {
    "prepare": "downscale",
    "localise": "localise",
    "crop": "crop",
    "segment": "segment",
    "measure": "picture.json",
}
START = "from calcohort.networks.predict import load_network as load; load(**{settings})"


def cpu_seconds(command: Sequence[str | Path]) -> float:
    """Run a command; return the CPU seconds of it and its children."""
    number = os.posix_spawn(str(command[0]), [*map(str, command)], os.environ)
    _, status, used = os.wait4(number, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return used.ru_utime + used.ru_stime


def write_study(sheet: Path, folder: Path, scans: int) -> Path:
    """Write the sheet of the first scans, in one batch, and its config."""
    with (folder / "scans.tsv").open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(["scan_id", "dicom"])
        rows = list(read_sheet(sheet).values())[:scans]
        writer.writerows([row["scan_id"], row["dicom"]] for row in rows)
    paths = {"sheet": folder / "scans.tsv", "results": folder / "results"}
    text = {name: str(path) for name, path in paths.items()}
    config = folder / "study.yaml"
    text |= {"pseudonym_key_file": str(folder / "key"), "batch_size": scans}
    config.write_text(yaml.safe_dump(text))
    return config


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheet", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, default=4)
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    folder.mkdir(parents=True)
    config = write_study(asked.sheet, folder, asked.scans)
    snakemake = [Path(sys.executable).parent / "snakemake", "--cores", "1", "--notemp", "-q", "all"]
    snakemake += ["--configfile", config]
    idle_s = cpu_seconds([*snakemake, "-n"])
    settings = read_settings(read_config(config))
    costs = {}
    for job, target in TARGETS.items():
        start_s = 0.0
        if job in ("localise", "segment"):
            code = START.format(settings=settings[job]["network"])
            start_s = cpu_seconds([sys.executable, "-c", code])
        target = folder / "results/batches/batch-00001" / target
        spent_s = cpu_seconds([*snakemake, "--", target])
        costs[job] = {"start_s": start_s, "scan_s": (spent_s - idle_s - start_s) / asked.scans}
        print(
            f"{job}\t{start_s:.1f} CPU s to start\t{costs[job]['scan_s']:.1f} CPU s a scan",
            flush=True,
        )
    scans = [path for path in (folder / "results/scans").rglob("*") if path.is_file()]
    costs["megabytes_a_scan"] = sum(path.stat().st_size for path in scans) / asked.scans / 1e6
    (folder / "costs.json").write_text(json.dumps(costs, indent=1) + "\n")
    print(f"disk\t{costs['megabytes_a_scan']:.0f} MB a scan")
