"""The root mask on the scan's own grid, from the network or from the sheet."""

from pathlib import Path
from typing import Any

import numpy as np

from calcohort import volume
from calcohort.confidence import expected_dice
from calcohort.outcomes import Excluded, Reason, read_record
from calcohort.segment import find_root, scan_in_crop

CERTAIN = 255
"""A probability of 1 as it is stored."""


def place_segmented(
    ct_path: Path,
    probability_path: Path,
    crop_record: Path,
    mask_path: Path,
    sure_path: Path,
    *,
    min_volume_ml: float,
    max_volume_ml: float,
) -> dict[str, Any]:
    """Write, on the scan's grid, a crop's probability and its plausible component.

    Parameters
    ----------
    ct_path, probability_path, crop_record : Path
        The scan, U-Net2's probability in steps of 1/255, and the record of its crop.
    mask_path, sure_path : Path
        Where the mask and the probability (in steps of 1/255) go.
    min_volume_ml, max_volume_ml : float
        What a root may measure.

    Raises
    ------
    Excluded
        `root_not_found`, `root_at_edge` or `root_implausible` (`segment.find_root`).
    """
    ct = volume.read(ct_path)
    crop = volume.read(probability_path)
    record = read_record(crop_record)
    start = tuple(record["crop_start_kji"])
    found = find_root(
        crop.array.astype(np.float32) / CERTAIN,
        crop.grid.spacing_mm,
        box=tuple(slice(*ends) for ends in record["box_in_crop_kji"]),
        inside=scan_in_crop(start, crop.grid.shape, ct.grid.shape),
        min_volume_ml=min_volume_ml,
        max_volume_ml=max_volume_ml,
    )
    mask = volume.paste(found, start, ct.grid.shape)
    sure = volume.paste(crop.array, start, ct.grid.shape)
    volume.write(mask_path, volume.Volume(mask, ct.affine))
    volume.write(sure_path, volume.Volume(sure, ct.affine))
    dice = expected_dice(mask, sure / np.float32(CERTAIN))
    return _findings(mask, ct, "network") | {"root_expected_dice": round(dice, 4)}


def place_given(
    ct_path: Path, given_path: Path, mask_path: Path, sure_path: Path
) -> dict[str, Any]:
    """Check a mask of the sheet against the scan's grid and write it with the scan's affine.

    Its probability is 1 inside and 0 outside: nothing is known of a reader's doubt.

    Raises
    ------
    Excluded
        `no_files`, `mask_on_other_grid` or `mask_empty`.
    """
    if not given_path.is_file():
        raise Excluded(Reason.NO_FILES, "the root_mask of the sheet does not exist")
    ct = volume.read(ct_path)
    mask = volume.read_mask(given_path, ct.grid, what="the root_mask")
    sure = mask.astype(np.uint8) * np.uint8(CERTAIN)
    volume.write(mask_path, volume.Volume(mask, ct.affine))
    volume.write(sure_path, volume.Volume(sure, ct.affine))
    return _findings(mask, ct, "sheet")


def _findings(mask: np.ndarray, ct: volume.Volume, source: str) -> dict[str, Any]:
    voxels = int(np.count_nonzero(mask))
    return {"root_source": source, "root_volume_mm3": voxels * ct.grid.voxel_volume_mm3}
