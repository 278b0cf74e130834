"""A small study for the browser: real measurements of boxes of blood, all pages beside them."""

from pathlib import Path

import numpy as np
from calcohort.agreement.agreement import Choices, agreement_table, category_table
from calcohort.confidence import add_intervals
from calcohort.laboratory.voxels import take_voxels
from calcohort.measure import MeasureSettings, measure_calcium
from calcohort.provenance import collect
from calcohort.report.gallery import write_assets, write_gallery
from calcohort.report.outliers import find_outliers
from calcohort.report.page import write_report
from calcohort.report.picture import draw_qc
from calcohort.report.scan_page import write_scan_page
from calcohort.study import read_config, read_settings
from calcohort.tables import build_tables, write_table
from calcohort.versions import STAGE_VERSIONS
from calcohort.volume import Volume

SHAPE = (52, 58, 56)
AFFINE = np.diag([0.5, 0.5, 0.625, 1.0])
SCANS = 11
STRICT = "scan-11"
"""Measured without lesions of fewer than 5 voxels, joined by faces only."""
EXCLUDED = "scan-12"


def make_scan(seed: int) -> tuple[Volume, np.ndarray]:
    """A noisy box of blood with deposits and some single bright voxels."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 25, SHAPE)
    root = np.zeros(SHAPE, bool)
    root[8:44, 11:47, 10:46] = True
    hu[root] = rng.normal(450 + 10 * seed, 20, root.sum())
    for k, j, i in rng.integers((10, 13, 12), (20, 40, 40), (3 + seed, 3)):
        hu[k : k + 4, j : j + 4, i : i + 4] = rng.integers(750, 1400)
    for k, j, i in rng.integers((10, 13, 12), (20, 44, 42), (9, 3)):
        hu[k, j, i] = 1200
    return Volume(hu.astype(np.int16), AFFINE), root


def measure(scan_id: str, folder: Path, seed: int, reference: dict) -> dict:
    """Measure and draw one scan as the chain does; returns its record."""
    few = {"min_lesion_voxels": 5, "connectivity": 6} if scan_id == STRICT else {}
    settings = MeasureSettings(**few)
    ct, root = make_scan(seed)
    findings, calcium = measure_calcium(ct, root, settings=settings)
    add_intervals(ct, root, root.astype(float), findings, settings)
    outcome = {"status": "ok", "stage": "measure", "reason": "", "detail": ""}
    record = {"scan_id": scan_id, "root_source": "sheet"} | outcome | findings
    voxels = take_voxels(
        ct,
        root,
        luminance_hu=findings["luminance_hu"],
        luminance_sd_hu=findings["luminance_sd_hu"],
        connectivity=settings.connectivity,
        min_lesion_voxels=settings.min_lesion_voxels,
    )
    draw_qc(ct, root, calcium, record, folder / "qc.png")
    given = {"threshold_hu": reference["reference_threshold_hu"], "volume_mm3": 100.0}
    write_scan_page(
        folder / "scan.html",
        record=record,
        ct=ct,
        root=root,
        voxels=voxels,
        reference=given,
        picture="qc.png",
    )
    return record


def make_study(results: Path) -> None:
    """Write tables, pictures, pages of scans, gallery and report of `SCANS` + 1 scans."""
    settings = read_settings(read_config())
    sheet, measured = {}, []
    for n in range(1, SCANS + 1):
        scan_id = f"scan-{n:02d}"
        row = {"reference_threshold_hu": 600.0 + 10 * n, "reference_volume_mm3": 100.0 + n}
        sheet[scan_id] = {"scan_id": scan_id, "dicom": "x", "group": "ab"[n % 2]} | row
        folder = results / "scans" / scan_id
        folder.mkdir(parents=True)
        measured.append(measure(scan_id, folder, n, row))
    sheet[EXCLUDED] = {"scan_id": EXCLUDED, "dicom": "y"}
    outcome = {"status": "excluded", "stage": "convert", "reason": "not_ct", "detail": "an MR"}
    ended = {"scan_id": EXCLUDED} | outcome
    folder = results / "scans" / EXCLUDED
    folder.mkdir()
    draw_qc(None, None, None, ended, folder / "qc.png")
    nothing = dict.fromkeys(("ct", "root", "voxels"))
    no_reference = dict.fromkeys(("threshold_hu", "volume_mm3"))
    write_scan_page(
        folder / "scan.html", record=ended, reference=no_reference, picture="qc.png", **nothing
    )
    series = [{"scan_id": scan_id, "source": "nifti"} for scan_id in sheet]
    asked = {"series": series, "measured": [*measured, ended], "compared": []}
    tables = build_tables(sheet, settings=settings, **asked)
    cohort = results / "cohort"
    for name in ("scans", "calcium"):
        write_table(cohort / f"{name}.csv", name, tables[name])
    scans, calcium = tables["scans"], tables["calcium"]
    agreement = agreement_table(calcium, scans)
    write_gallery(
        cohort / "gallery.html",
        scans=scans,
        calcium=calcium,
        outliers=find_outliers(scans, calcium, agreement, "F7"),
        reviews={},
        rule="F7",
        scan_pages=True,
    )
    write_assets(cohort / "assets")
    write_report(
        cohort / "report.html",
        title="A study",
        scans=scans,
        calcium=calcium,
        segmentation=tables["segmentation"],
        agreement=agreement,
        categories=category_table(calcium, scans, choices=Choices()),
        further=[],
        figures={},
        reviews={},
        provenance=collect(settings, {}, STAGE_VERSIONS, "cpu"),
    )
