"""Measure the index on phantom series of 250 files each, beside other readers of headers.

Pixels are tiny; headers are those of the phantoms. Writes COUNT series into FOLDER/archive, where
they are not there yet. Run in the repository's root:

    PYTHONPATH=workflow_scripts .venv/bin/python benchmarks/index_series.py FOLDER 2000
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pydicom
import yaml
from calcohort.phantom.series import write_series
from calcohort.volume import Volume

SLICES = 250
SUBSET = 40
SHAPE = (SLICES, 8, 8)
AFFINE = np.diag([0.5, 0.5, 0.5, 1.0])
PATIENT = "PATIENT-000000"
ROOT = Path(__file__).parents[1]


def write_archive(folder: Path, first: int, count: int) -> None:
    """Write `count` series, a patient and a folder each, by renaming those of one phantom."""
    template = folder.parent / "template"
    volume = Volume(np.full(SHAPE, -1000, np.int16), AFFINE)
    files = write_series(template, volume, patient_id=PATIENT, seed=0)
    header = pydicom.dcmread(files[0])
    contents = {path.name: path.read_bytes() for path in files}
    shared = [header.StudyInstanceUID, header.SeriesInstanceUID, PATIENT]
    instances = {path.name: pydicom.dcmread(path).SOPInstanceUID for path in files}
    for number in range(first, first + count):
        target = folder / f"{number // 100:03d}" / f"{number:06d}"
        if target.is_dir():
            continue
        target.mkdir(parents=True)
        for name, content in contents.items():
            for old in (*shared, instances[name]):
                new = f"{old[:-6]}{number:06d}"
                content = content.replace(old.encode(), new.encode())
            (target / name).write_bytes(content)
    shutil.rmtree(template)


def measure(name: str, series: int, work: Callable[[], list[str]]) -> float:
    """Run a command, print its wall and CPU time and the largest memory of all its processes."""
    peak, running = [0], True
    start = os.times()
    process = subprocess.Popen(work(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def watch() -> None:
        parent = psutil.Process(process.pid)
        while running:
            try:
                family = [parent, *parent.children(recursive=True)]
                peak[0] = max(peak[0], sum(p.memory_info().rss for p in family))
            except psutil.NoSuchProcess:
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    running = False
    watcher.join()
    if process.returncode:
        sys.exit(output)
    end = os.times()
    wall_s = end.elapsed - start.elapsed
    cpu_s = sum(end[2:4]) - sum(start[2:4])
    print(
        f"| {name} | {series} | {wall_s:.1f} | {cpu_s:.1f} | {series / wall_s:.1f} "
        f"| {peak[0] / 2**20:.0f} |",
        flush=True,
    )
    return wall_s


PLAIN = """
import os, sys, pydicom
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        header = pydicom.dcmread(os.path.join(folder, name), stop_before_pixels=True)
        header.SeriesInstanceUID, header.ImagePositionPatient
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the archive and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    asked = parser.parse_args(arguments)
    archive = asked.folder / "archive"
    write_archive(archive, 0, asked.count)
    for old in ("private", "results", "subset"):
        shutil.rmtree(asked.folder / old, ignore_errors=True)
    config = asked.folder / "study.yaml"
    study = {
        "sheet": None,
        "dicom_root": str(archive),
        "private": str(asked.folder / "private"),
        "results": str(asked.folder / "results"),
        "pseudonym_key_file": str(asked.folder / "key"),
        "settle_minutes": 0,
    }
    config.write_text(yaml.safe_dump(study))
    script = ROOT / "workflow_scripts/index_series.py"
    ours = [sys.executable, str(script), "--configfile", str(config)]
    print(f"Load at the start: {os.getloadavg()[0]:.1f}; cores: {os.cpu_count()}\n")
    print("| | series | wall s | CPU s | series/s | peak MiB |\n|---|---|---|---|---|---|")
    first_s = measure("index, first pass", asked.count, lambda: ours)
    second_s = measure("index, second pass", asked.count, lambda: ours)
    write_archive(archive, asked.count, 1)
    measure("index, one series added", asked.count + 1, lambda: ours)
    shutil.rmtree(archive / f"{asked.count // 100:03d}" / f"{asked.count:06d}")
    measure(
        "pydicom, one process", asked.count, lambda: [sys.executable, "-c", PLAIN, str(archive)]
    )
    subset = asked.folder / "subset"
    write_archive(subset, 0, min(SUBSET, asked.count))
    dcm2niix = Path(sys.executable).parent / "dcm2niix"
    for flags, name in ((["-n", "-1"], "dcm2niix -n -1"),):
        listing = [str(dcm2niix), *flags, "-d", "9", str(subset)]
        measure(name, min(SUBSET, asked.count), lambda command=listing: command)
    print(f"\nSecond pass: {first_s / second_s:.0f} times as fast as the first.")


if __name__ == "__main__":
    main()
