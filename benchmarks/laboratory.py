"""CPU time of the laboratory: all rules, fits and curves of a cohort of large roots.

PYTHONPATH=workflow_scripts python benchmarks/laboratory.py --scans 1000
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from calcohort.laboratory.laboratory import compare_rules
from calcohort.laboratory.voxels import Numbers, RootVoxels, write_voxels

VOXELS, KINDS = 100_000, 10


def write_cohort(folder: Path, scans: int) -> tuple[pd.DataFrame, dict[str, Path]]:
    """Write roots of 100,000 voxels (200 kB of HU each), ten different ones, linked by many ids."""
    rows, paths = [], {}
    for kind in range(KINDS):
        rng = np.random.default_rng(kind)
        hu = rng.normal(450 + 25 * kind, 30, VOXELS).astype(np.int16)
        hu[: 100 * kind] = rng.integers(800, 1500, 100 * kind)
        root = np.ones((50, 50, 40), bool)
        numbers = Numbers(450.0 + 25 * kind, 30.0, 400.0, 0.15, 26, 0)
        write_voxels(folder / f"{kind}.npz", RootVoxels(hu, root, numbers))
    rng = np.random.default_rng(0)
    for n in range(scans):
        scan_id, kind = f"scan-{n:05d}", n % KINDS
        paths[scan_id] = folder / f"{kind}.npz"
        lm = 450.0 + 25 * kind
        threshold = lm + 0.25 * (1000 - lm) + rng.normal(0, 20)
        volume = 15.0 * kind + rng.exponential(5)
        row = {"reference_threshold_hu": threshold, "reference_volume_mm3": volume}
        rows.append({"scan_id": scan_id} | row)
    return pd.DataFrame(rows), paths


def main() -> None:
    """Print scans, voxels and seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=1000)
    scans = parser.parse_args().scans
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sheet, paths = write_cohort(folder, scans)
        started, wall = time.process_time(), time.perf_counter()
        asked = {"k": 0.2, "rule": "F7", "formulas": {}, "curves": folder / "curves"}
        tables = compare_rules(sheet, paths, **asked)
        cpu_s, wall_s = time.process_time() - started, time.perf_counter() - wall
    rules = tables.scores["rule"].nunique()
    megabytes = scans * VOXELS * 2 / 1e6
    print(f"{scans} scans, {megabytes:.0f} MB of HU, {rules} rules, with curves:")
    print(f"{cpu_s:.1f} s of CPU, {wall_s:.1f} s by the clock")


if __name__ == "__main__":
    main()
