"""Measure planning, forecast and tables of a large cohort whose results are made up.

Every scan goes through the networks in batches of 64. The files of a finished scan are there with
times in the order of a real run; only the records hold anything. Run in the repository's root:

    PYTHONPATH=workflow_scripts .venv/bin/python benchmarks/plan_scale.py 10000 FOLDER
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from calcohort.seal import entry, read_seals, write_seal
from calcohort.study import read_batches, read_config, read_settings, read_sheet, write_batches
from calcohort.tables import build_tables, write_table

BATCH_SIZE = 64
STAGES = {  # of a batch, in order; those with images have folders
    "convert.json": ("ct.nii.gz", "series.json"),
    "localise": (),
    "crop.json": ("bounding_box.json", "crop.json"),
    "segment": (),
    "root.json": ("root_mask.nii.gz", "root_probability.nii.gz", "root.json"),
    "measure.json": ("calcium_mask.nii.gz", "calcium.json", "root_voxels.npz"),
    "picture.json": ("qc.png", "scan.html", "picture.json"),
}
COHORT = (
    *("scans.csv", "calcium.csv", "scores.csv", "segmentation.csv", "agreement.csv"),
    *("categories.csv", "figures", "laboratory.csv", "laboratory_agreement.csv", "k_fits.csv"),
    *("associations.csv", "control_charts.csv", "drift.csv", "drift", "gallery.html", "assets"),
    *("report.html", "provenance.json"),
)
RECORD = {"status": "ok", "stage": "x", "reason": "", "detail": ""}
RULES = [
    {
        "rule": f"F{number}",
        "threshold_hu": 600.0,
        "calcium_volume_mm3": 100.0,
        "lesion_count": 2,
        "luminance_hu": 500.0,
    }
    for number in range(1, 8)
]
MEASURED = {
    "mask_rule": "F7",
    "luminance_hu": 500.0,
    "root_volume_mm3": 20_000.0,
    "root_source": "network",
    "rules": RULES,
}


def write_sheet(folder: Path, count: int) -> Path:
    """Write a sheet of `count` scans and its config; return the config."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ct.nii.gz").touch()
    os.utime(folder / "ct.nii.gz", (1e9, 1e9))
    rows = [f"scan-{number:06d}\tct.nii.gz\n" for number in range(count)]
    (folder / "scans.tsv").write_text("scan_id\tdicom\n" + "".join(rows))
    config = folder / "study.yaml"
    study = {"sheet": folder / "scans.tsv", "results": folder / "results"}
    study |= {"pseudonym_key_file": folder / "key", "private": folder / "private"}
    text = {key: str(value) for key, value in study.items()}
    text |= {"device": "gpu", "batch_size": BATCH_SIZE}
    config.write_text(yaml.safe_dump(text))
    return config


def make_results(config: Path) -> None:
    """Make the results of a finished run, with times that grow from stage to stage."""
    study = yaml.safe_load(config.read_text())
    results, sheet = Path(study["results"]), read_sheet(study["sheet"])
    batches = read_batches(results / "batches.tsv", list(sheet), BATCH_SIZE)
    write_batches(results / "batches.tsv", batches)
    start = time.time()  # later than the scripts and the sheet
    for batch, members in batches.items():
        records = {scan_id: RECORD | {"scan_id": scan_id} for scan_id in members}
        for scan_id in members:
            folder = results / "scans" / scan_id
            folder.mkdir(parents=True)
            for names in STAGES.values():
                for name in names:
                    text = json.dumps(records[scan_id] | MEASURED)
                    (folder / name).write_text(text if name.endswith("json") else "")
        for number, name in enumerate(STAGES):
            path = results / "batches" / batch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("json"):
                more = MEASURED if name == "measure.json" else {}
                write_seal(path, {s: entry(records[s] | more, []) for s in members})
            else:
                path.mkdir()
            os.utime(path, (start + 0.2 * number,) * 2)
    for folder in ("figures", "drift", "assets"):
        (results / "cohort" / folder).mkdir(parents=True)
    for number, name in enumerate(COHORT):
        path = results / "cohort" / name
        path.exists() or path.touch()
        os.utime(path, (start + 2 + 0.1 * number,) * 2)


def measure(name: str, command: Sequence[str | Path]) -> None:
    """Run a command and print its wall time, CPU time, memory and last line."""
    began = time.monotonic()
    read, write = os.pipe()
    number = os.posix_spawn(
        str(command[0]),
        [*map(str, command)],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, write, 2)],
    )
    os.close(write)
    with os.fdopen(read) as stream:
        lines = [line.strip() for line in stream if line.strip()]
    _, status, used = os.wait4(number, 0)
    told = next((line for line in lines if "Nothing to be done" in line), "")
    told = next((line for line in lines if line.startswith("total ")), told)
    print(
        f"{name}\t{time.monotonic() - began:.1f} s\t{used.ru_utime + used.ru_stime:.1f} CPU s\t"
        f"{used.ru_maxrss / 1024:.0f} MiB\texit {os.waitstatus_to_exitcode(status)}\t{told}",
        flush=True,
    )


def tables(config: Path) -> None:
    """Gather the cohort's tables from the scans' records."""
    settings = read_settings(read_config(config))
    sheet, batches = read_sheet(settings["sheet"]), Path(settings["results"], "batches")
    seals = {
        stage: [batches / batch / f"{stage}.json" for batch in sorted(os.listdir(batches))]
        for stage in ("convert", "measure")
    }
    built = build_tables(
        sheet,
        series=read_seals(seals["convert"]),
        measured=read_seals(seals["measure"]),
        compared=[],
        settings=settings,
    )
    for name, table in built.items():
        write_table(config.parent / f"{name}.csv", name, table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", type=Path, help="only gather the tables of this config")
    asked = parser.parse_args()
    if asked.tables:
        tables(asked.tables)
        sys.exit()
    python, bin = sys.executable, Path(sys.executable).parent
    profile = ["--profile", "slurm", "--executor", "local", "--cores", "2"]
    snakemake = [bin / "snakemake", *profile, "--nolock", "--quiet", "rules"]
    config = write_sheet(asked.folder.absolute(), asked.scans)
    measure("plan of nothing done", [*snakemake, "-n", "--configfile", config])
    make_results(config)
    touch = [*snakemake, "--touch", "--forceall", "--configfile", config]
    subprocess.run(touch, check=True, capture_output=True)  # remembers inputs and parameters
    measure("no-op", [*snakemake, "--configfile", config])
    measure("tables", [python, __file__, "1", ".", "--tables", config])
    measure("forecast", [python, "workflow_scripts/forecast.py", "--configfile", config])
    write_sheet(asked.folder.absolute(), asked.scans + 10)
    measure("plan of 10 more scans", [*snakemake, "-n", "--configfile", config])
