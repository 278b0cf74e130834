"""Time and size of a cohort's steps: laboratory, agreement, associations, gallery, report.

PYTHONPATH=workflow_scripts python benchmarks/cohort_steps.py results/cohort_steps --scans 1000

The scans are made up: roots of 106,000 voxels (212 kB of HU each), calcium and readers with noise,
one scan in twenty excluded. Every step reads and writes what its rule does.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from calcohort.agreement.agreement import Choices, agreement_table, category_table
from calcohort.agreement.plots import draw_figures
from calcohort.association.association import association_table
from calcohort.laboratory.laboratory import compare_rules
from calcohort.laboratory.voxels import Numbers, RootVoxels, write_voxels
from calcohort.measure import thresholds_hu
from calcohort.provenance import collect
from calcohort.report.associations import association_sections
from calcohort.report.gallery import write_assets, write_gallery
from calcohort.report.laboratory import laboratory_section
from calcohort.report.outliers import find_outliers
from calcohort.report.page import find_figures, write_report
from calcohort.study import read_config, read_settings
from calcohort.tables import read_table, write_table
from calcohort.versions import STAGE_VERSIONS

SHAPE, VOXELS, EXCLUDED = (53, 50, 40), 106_000, 20
ASKED = {"outcomes": [{"column": "died", "covariates": ["age", "sex"]}], "groups": ["sex"]}
CHOICES = Choices(subgroups={"sex": []}, categories={"calcium_volume_mm3": [0, 100, 300]})


def write_scan(folder: Path, number: int, rng: np.random.Generator) -> tuple[dict, list[dict]]:
    """Write a scan's voxels; return its row of scans.csv and its rows of calcium.csv."""
    scan_id = f"scan-{number:05d}"
    shared = {"scan_id": scan_id, "sex": "FM"[number % 2], "age": float(rng.integers(50, 90))}
    shared |= {"group": "ABC"[number % 3], "kernel": "STANDARD", "kv": 120.0}
    shared |= {"root_source": "network", "outside_training": "no"}
    path = folder / f"{scan_id}.npz"
    if number % EXCLUDED == 0:
        path.touch()
        ended = {"status": "excluded", "stage": "localise", "reason": "root_not_found"}
        return shared | ended | {"detail": "no component is large enough"}, []
    lm = float(rng.uniform(350, 700))
    hu = rng.normal(lm, 30, VOXELS).astype(np.int16)
    calcium = int(rng.exponential(1500)) * (number % 7 > 0)
    hu[:calcium] = rng.integers(700, 1500, calcium)
    numbers = Numbers(lm, 30.0, lm - 50, 0.15, 26, 0)
    write_voxels(path, RootVoxels(hu, np.ones(SHAPE, bool), numbers))
    rows = [
        {
            "scan_id": scan_id,
            "rule": rule,
            "threshold_hu": threshold,
            "calcium_volume_mm3": float((hu >= threshold).sum() * 0.15),
            "lesion_count": calcium // 300,
            "largest_lesion_mm3": 45.0,
            "mean_hu": 1100.0,
            "peak_hu": 1499.0,
            "luminance_hu": lm,
            "root_volume_mm3": 15_000.0 + 10 * rng.normal(),
            "root_source": "network",
            "code_version": "0",
            "measure_version": 1,
            "config_hash": "0",
        }
        for rule, threshold in thresholds_hu(lm).items()
    ]
    read = {
        "status": "measured",
        "stage": "measure",
        "luminance_hu": lm,
        "root_volume_mm3": 15_000.0,
        "reference_threshold_hu": rows[-1]["threshold_hu"] + rng.normal(0, 25),
        "reference_volume_mm3": max(rows[-1]["calcium_volume_mm3"] + rng.normal(0, 15), 0.0),
        "died": float(rng.random() < 0.2 + calcium / 10_000),
    }
    return shared | read, rows


def write_cohort(folder: Path, scans: int) -> dict[str, Path]:
    """Write scans.csv, calcium.csv, and the voxels of every scan; return where the latter are."""
    (folder / "voxels").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    made = [write_scan(folder / "voxels", number, rng) for number in range(1, scans + 1)]
    write_table(folder / "scans.csv", "scans", pd.DataFrame([row for row, _ in made]))
    calcium = pd.DataFrame([row for _, rows in made for row in rows])
    write_table(folder / "calcium.csv", "calcium", calcium)
    return {row["scan_id"]: folder / f"voxels/{row['scan_id']}.npz" for row, _ in made}


def laboratory(folder: Path, voxels: dict[str, Path]) -> None:
    """Do what the rule compare_thresholds does."""
    found = compare_rules(read_table(folder / "scans.csv"), voxels, k=0.2, formulas={})
    write_table(folder / "laboratory.csv", "laboratory", found.scores)
    write_table(folder / "laboratory_agreement.csv", "agreement", found.agreement)
    write_table(folder / "k_fits.csv", "k_fits", found.fits)


def agreement(folder: Path) -> None:
    """Do what the rule assess_agreement does."""
    scans, calcium = read_table(folder / "scans.csv"), read_table(folder / "calcium.csv")
    table = agreement_table(calcium, scans, choices=CHOICES)
    table = table[table["scans_with_reference"] > 0]
    write_table(folder / "agreement.csv", "agreement", table)
    categories = category_table(calcium, scans, choices=CHOICES)
    write_table(folder / "categories.csv", "categories", categories)
    draw_figures(folder / "figures", calcium, scans, rule="F7")


def associations(folder: Path) -> None:
    """Do what the rule associate_outcomes does."""
    scans, scores = read_table(folder / "scans.csv"), read_table(folder / "laboratory.csv")
    table = association_table(scans, scores, rule="F7", **ASKED)
    write_table(folder / "associations.csv", "associations", table)


def gallery(folder: Path) -> None:
    """Do what the rule write_gallery does."""
    tables = {name: read_table(folder / f"{name}.csv") for name in ("scans", "calcium")}
    outliers = find_outliers(**tables, agreement=read_table(folder / "agreement.csv"), rule="F7")
    shown = {"outliers": outliers, "reviews": {}, "rule": "F7", "scan_pages": True}
    write_gallery(folder / "gallery.html", **tables, **shown)
    write_assets(folder / "assets")


def report(folder: Path) -> None:
    """Do what the rule write_report does."""
    names = ("scans", "calcium", "agreement", "categories")
    found = (read_table(folder / f"{name}.csv") for name in ("laboratory_agreement", "k_fits"))
    related = association_sections(read_table(folder / "associations.csv"), "F7")
    write_report(
        folder / "report.html",
        title="A thousand scans",
        **{name: read_table(folder / f"{name}.csv") for name in names},
        segmentation=pd.DataFrame(columns=["scan_id"]),
        further=[laboratory_section(*found, {}, "F7"), *related],
        figures=find_figures(folder / "figures", "F7"),
        reviews={},
        provenance=collect(read_settings(read_config()), {}, STAGE_VERSIONS, "cpu"),
    )


def main() -> None:
    """Print seconds of every step, and the sizes of the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, default=1000)
    asked = parser.parse_args()
    folder = asked.folder
    voxels = write_cohort(folder, asked.scans)
    megabytes = sum(path.stat().st_size > 0 for path in voxels.values()) * VOXELS * 2 / 1e6
    load = os.getloadavg()[0]
    print(f"{asked.scans} scans, {megabytes:.0f} MB of HU, {os.cpu_count()} cores, load {load:.1f}")
    steps = {
        "laboratory": lambda: laboratory(folder, voxels),
        "agreement": lambda: agreement(folder),
        "associations": lambda: associations(folder),
        "gallery": lambda: gallery(folder),
        "report": lambda: report(folder),
    }
    for name, work in steps.items():
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(f"{name:14}{wall:7.1f} s by the clock{cpu:7.1f} s of CPU", flush=True)
    print(f"{'rules':14}{read_table(folder / 'laboratory.csv')['rule'].nunique():7}")
    for name in ("report", "gallery"):
        print(f"{name}.html{(folder / f'{name}.html').stat().st_size / 1e6:10.2f} MB")


if __name__ == "__main__":
    main()
