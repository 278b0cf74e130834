"""How well two masks on one grid agree: overlap, surface distances, volume.

Dice and IoU of two empty masks are undefined (None), not 1; so are surface distances where one mask
is empty. Surface distances need voxel axes at right angles (oblique is fine, sheared is refused).
"""

from typing import Any

import numpy as np
from scipy import ndimage

from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Grid, bounding_slices

MAX_SHEAR_COSINE = 1e-3


def dice(found: np.ndarray, reference: np.ndarray) -> float | None:
    """Dice coefficient ``2 |A ∩ B| / (|A| + |B|)``; None when both masks are empty."""
    total = _voxels(found) + _voxels(reference)
    return 2 * _voxels(found & reference) / total if total else None


def iou(found: np.ndarray, reference: np.ndarray) -> float | None:
    """Intersection over union ``|A ∩ B| / |A ∪ B|``; None when both masks are empty."""
    union = _voxels(found | reference)
    return _voxels(found & reference) / union if union else None


def surface_distances(
    found: np.ndarray, reference: np.ndarray, grid: Grid
) -> dict[str, float | None]:
    """Symmetric distances in mm between the surfaces of two masks.

    The surface is the mask's voxels with a face neighbour outside it (the scan's edge is outside);
    distances run between voxel centres.

    Parameters
    ----------
    found, reference : ndarray of bool, ``[k, j, i]``
    grid : Grid

    Returns
    -------
    dict
        `assd_mm`, the mean over all surface voxels of both; `hd95_mm`, the larger of the two
        directed 95th percentiles; `hd_max_mm`, the Hausdorff distance. None where a mask is empty.

    Raises
    ------
    Excluded
        `tilted` when the voxel axes are not at right angles.
    """
    directions = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    cosines = np.abs(directions.T @ directions - np.eye(3))
    if cosines.max() > MAX_SHEAR_COSINE:
        raise Excluded(
            Reason.TILTED,
            f"the voxel axes are not at right angles (cosine {cosines.max():.3f})",
        )
    if not (found.any() and reference.any()):
        return {"assd_mm": None, "hd95_mm": None, "hd_max_mm": None}
    box = bounding_slices(found | reference)
    there = _distances(found[box], reference[box], grid.spacing_mm)
    back = _distances(reference[box], found[box], grid.spacing_mm)
    return {
        "assd_mm": float(np.concatenate([there, back]).mean()),
        "hd95_mm": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "hd_max_mm": float(max(there.max(), back.max())),
    }


def _distances(mask: np.ndarray, other: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    to_other = ndimage.distance_transform_edt(~_surface(other), sampling=spacing_mm)
    return to_other[_surface(mask)]


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def compare_masks(found: np.ndarray, reference: np.ndarray, grid: Grid) -> dict[str, Any]:
    """Compare two masks on one grid.

    Parameters
    ----------
    found, reference : ndarray of bool, ``[k, j, i]``
    grid : Grid

    Returns
    -------
    dict
        `dice`, `iou`, the keys of `surface_distances`, `found_volume_mm3`, `reference_volume_mm3`
        and `volume_error_mm3` (found - reference).
    """
    found_mm3, reference_mm3 = (
        _voxels(mask) * grid.voxel_volume_mm3 for mask in (found, reference)
    )
    return {
        "dice": dice(found, reference),
        "iou": iou(found, reference),
        **surface_distances(found, reference, grid),
        "found_volume_mm3": found_mm3,
        "reference_volume_mm3": reference_mm3,
        "volume_error_mm3": found_mm3 - reference_mm3,
    }


def compare_root(
    found: np.ndarray,
    reference: np.ndarray,
    grid: Grid,
    box: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None,
) -> dict[str, Any]:
    """Compare a found root with the reference root.

    Parameters
    ----------
    found, reference : ndarray of bool, ``[k, j, i]``
    grid : Grid
    box : pair of ``k, j, i`` triples, optional
        `box_start_kji` and `box_stop_kji` (stop exclusive) of the localised box.

    Returns
    -------
    dict
        The keys of `compare_masks`, and `box_coverage`: the share of the reference root's voxels
        inside the box; None without a box or a reference root.
    """
    return compare_masks(found, reference, grid) | {"box_coverage": box_coverage(reference, box)}


def box_coverage(
    reference: np.ndarray, box: tuple[tuple[int, int, int], tuple[int, int, int]] | None
) -> float | None:
    """Share of the reference's voxels inside the box; None without a box or a reference."""
    total = _voxels(reference)
    if box is None or not total:
        return None
    inside = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(*box, strict=True))
    return _voxels(reference[inside]) / total


def _voxels(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))
