"""The root mask on the scan's own grid, from the network or from the sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calcohort import volume
from calcohort.confidence import expected_dice
from calcohort.outcomes import Excluded, Reason, read_record
from calcohort.segment import find_root, scan_in_crop

CERTAIN = 255
"""A probability of 1 as it is stored."""
HALF = np.float32(0.5)


def place_segmented(
    ct_path: Path,
    probability_path: Path,
    crop_record: Path,
    mask_path: Path,
    sure_path: Path,
    spacing_mm: Sequence[float] | None,
    *,
    min_volume_ml: float,
    max_volume_ml: float,
    min_fraction_in_box: float,
) -> dict[str, Any]:
    """Write, on the scan's grid, a crop's probability and its plausible component.

    Parameters
    ----------
    ct_path, probability_path, crop_record : Path
        The scan, U-Net2's probability in steps of 1/255, and the record of its crop.
    mask_path, sure_path : Path
        Where the mask and the probability (in steps of 1/255) go.
    spacing_mm : sequence of float or None
        The crop's voxels (k, j, i), None when they are the scan's.
    min_volume_ml, max_volume_ml : float
        What a root may measure.
    min_fraction_in_box : float
        Least part of the mask that lies in U-Net1's box.

    Raises
    ------
    Excluded
        `root_not_found`, `root_at_edge` or `root_implausible` (`segment.find_root`).
    """
    ct = volume.read(ct_path)
    crop = volume.read(probability_path)
    record = read_record(crop_record)
    cropped = ct.grid.respaced(spacing_mm) if spacing_mm else ct.grid
    found = find_root(
        crop.array.astype(np.float32) / CERTAIN,
        crop.grid.spacing_mm,
        box=tuple(slice(*ends) for ends in record["box_in_crop_kji"]),
        inside=scan_in_crop(record["crop_start_kji"], crop.grid.shape, cropped.shape),
        min_volume_ml=min_volume_ml,
        max_volume_ml=max_volume_ml,
        min_fraction_in_box=min_fraction_in_box,
    )
    mask, sure = on_grid(crop, found, ct.grid)
    volume.write(mask_path, volume.Volume(mask, ct.affine))
    volume.write(sure_path, volume.Volume(sure, ct.affine))
    dice = expected_dice(mask, sure / np.float32(CERTAIN))
    return _findings(mask, ct, "network") | {"root_expected_dice": round(dice, 4)}


def on_grid(
    crop: volume.Volume, found: np.ndarray, grid: volume.Grid
) -> tuple[np.ndarray, np.ndarray]:
    """Bring the root found in a crop to another grid of the same axes.

    Parameters
    ----------
    crop : Volume
        The probability in steps of 1/255, ``[k, j, i]``.
    found : ndarray of bool
        The root in the crop (`segment.find_root`).
    grid : Grid
        Where both go; the probability is 0 outside of the crop.

    Returns
    -------
    (ndarray of bool, ndarray of uint8)
        The mask, where the interpolated probability of the root alone reaches one half, and the
        interpolated probability of all.
    """
    probability = crop.array.astype(np.float32) / CERTAIN
    elsewhere = (probability >= HALF) & ~found
    alone = np.where(found, np.maximum(probability, HALF), np.where(elsewhere, 0, probability))
    mask = volume.resample(volume.Volume(alone, crop.affine), grid).array >= HALF
    return mask, volume.resample(crop, grid).array


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
