"""The calcium of one scan, from the files of its folder."""

from pathlib import Path
from typing import Any

import numpy as np

from calcohort import volume
from calcohort.confidence import add_intervals
from calcohort.laboratory.voxels import take_voxels, write_voxels
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.measure.passport import Scored, passport, threshold_hu
from calcohort.measure.scores import Scoring
from calcohort.outcomes import read_record
from calcohort.root import CERTAIN

IMAGES = ("calcium_mask.nii.gz", "root_voxels.npz")


def measure_scan(
    folder: Path, settings: MeasureSettings, scoring: Scoring | None
) -> dict[str, Any]:
    """Measure the scan of a folder; write its calcium mask and root voxels there.

    Parameters
    ----------
    folder : Path
        With `ct.nii.gz`, the root's mask and probability, and the records of earlier stages.
    settings : MeasureSettings
        Thresholds and lesions.
    scoring : Scoring or None
        The score passport's settings, where it is asked for.

    Returns
    -------
    dict
        The findings of `calcium.json`.
    """
    ct = volume.read(folder / "ct.nii.gz")
    root = volume.read_mask(folder / "root_mask.nii.gz", ct.grid)
    sure = volume.read(folder / "root_probability.nii.gz").array / np.float32(CERTAIN)
    findings, calcium = measure_calcium(ct, root, settings=settings, scoring=scoring)
    add_intervals(ct, root, sure, findings, settings)
    lesions = {
        "connectivity": settings.connectivity,
        "min_lesion_voxels": settings.min_lesion_voxels,
    }
    if scoring:
        scored = Scored(
            ct,
            root,
            threshold_hu(findings, scoring),
            slice_thickness_mm=read_record(folder / "series.json")["slice_thickness_mm"],
            **lesions,
        )
        findings |= {"scores": passport(scored, scoring)}
    voxels = take_voxels(
        ct,
        root,
        luminance_hu=findings["luminance_hu"],
        luminance_sd_hu=findings["luminance_sd_hu"],
        **lesions,
    )
    mask_path, voxels_path = (folder / name for name in IMAGES)
    volume.write(mask_path, volume.Volume(calcium, ct.affine))
    write_voxels(voxels_path, voxels)
    placed = read_record(folder / "root.json")
    return findings | {key: placed.get(key) for key in ("root_source", "root_expected_dice")}
