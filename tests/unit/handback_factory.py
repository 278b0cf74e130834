"""One small scan with its source and its results, as the chain leaves them."""

from pathlib import Path

import numpy as np
from calcohort import volume
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.handback.scan import hand_back_scan
from calcohort.measure.lesions import measure_lesions
from calcohort.measure.thresholds import thresholds_hu
from calcohort.outcomes import run_stage, write_record
from dicom_factory import KEY, along_normal, write_series

LUMINANCE_HU = 480.0
SLICES = 32


def write_source(folder: Path, iop=(1, 0, 0, 0, 1, 0), step_mm: float = 2.0, **elements):
    """32 slices of 16 × 20 pixels of random HU; `step_mm` below 0 reverses their order."""
    return write_series(folder, positions=along_normal(SLICES, step_mm, iop), iop=iop, **elements)


def write_results(source: Path, results: Path, *, with_calcium: bool = True) -> None:
    """Convert `source` and write masks and records beside it; the root is an odd shape."""
    ct_path = results / "ct.nii.gz"
    run_stage(
        "convert",
        "s1",
        lambda: convert_scan(source, ct_path, series_uid=None, limits=Limits(), key=KEY),
        record=results / "series.json",
        images=[ct_path],
    )
    ct = volume.read(ct_path)
    root = np.zeros(ct.array.shape, bool)
    k, j, i = (n // 4 for n in root.shape)
    root[k : 3 * k, j : j + 6, i : i + 5] = True
    root[k, j : j + 9, i + 3] = True
    rules, calcium = [], np.zeros_like(root)
    for rule, threshold in thresholds_hu(LUMINANCE_HU).items():
        threshold = threshold if with_calcium else 5000.0
        found, mask = measure_lesions(ct.array, root, threshold, ct.grid.voxel_volume_mm3, 26, 0)
        rules.append({"rule": rule} | found)
        calcium = mask if rule == "F7" else calcium
    ok = {"scan_id": "s1", "status": "ok", "stage": "measure", "reason": "", "detail": ""}
    numbers = {
        "root_volume_mm3": int(root.sum()) * ct.grid.voxel_volume_mm3,
        "root_source": "network",
        "luminance_hu": LUMINANCE_HU,
        "luminance_sd_hu": 21.5,
        "k": 0.2,
        "mask_rule": "F7",
        "rules": rules,
    }
    volume.write(results / "root_mask.nii.gz", volume.Volume(root, ct.affine))
    volume.write(results / "calcium_mask.nii.gz", volume.Volume(calcium, ct.affine))
    write_record(results / "root.json", ok | {"stage": "root", "root_source": "network"})
    write_record(results / "calcium.json", ok | numbers)


def hand_back(source: Path, results: Path, folder: Path):
    """Hand the scan back with the tests' key."""
    return hand_back_scan("s1", results, source, folder, key=KEY, max_archive_bytes=1e9)
