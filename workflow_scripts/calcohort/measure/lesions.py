"""Calcium at one threshold: its volume and its lesions.

A lesion is a 3-D connected component of root voxels at or above the threshold. The calcium volume
is the voxel count times the voxel volume of the affine (its determinant), as the statistics tool
the paper's readers used counts it (paper 000, section III).
"""

from typing import Any

import numpy as np
from scipy import ndimage

NEIGHBOURS = {6: 1, 18: 2, 26: 3}


def measure_lesions(
    hu: np.ndarray,
    root: np.ndarray,
    threshold_hu: float,
    voxel_volume_mm3: float,
    connectivity: int = 26,
    min_lesion_voxels: int = 0,
) -> tuple[dict[str, Any], np.ndarray]:
    """Measure the calcium of the root at one threshold.

    Parameters
    ----------
    hu : ndarray, ``[k, j, i]``
        Hounsfield units.
    root : ndarray of bool, ``[k, j, i]``
        The root; calcium outside it does not count.
    threshold_hu : float
        Voxels at or above it are calcium.
    voxel_volume_mm3 : float
        Volume of a voxel.
    connectivity : {26, 18, 6}
        Neighbours that join voxels to one lesion: by corners, edges or faces.
    min_lesion_voxels : int
        Lesions of fewer voxels are left out of everything. The paper has no such limit: 0.

    Returns
    -------
    findings : dict
        `threshold_hu`, `calcium_volume_mm3`, `lesion_count`, and `largest_lesion_mm3`, `mean_hu`,
        `peak_hu` of the calcium, which are None where there is none. A volume of 0 is measured.
    calcium : ndarray of bool, ``[k, j, i]``
    """
    calcium = root & (hu >= threshold_hu)
    labels, count = ndimage.label(
        calcium, ndimage.generate_binary_structure(3, NEIGHBOURS[connectivity])
    )
    voxels = np.bincount(labels.ravel(), minlength=count + 1)
    kept = voxels >= min_lesion_voxels
    kept[0] = False
    if not kept[1:].all():
        calcium = kept[labels]
    values = hu[calcium]
    some = values.size > 0
    findings = {
        "threshold_hu": float(threshold_hu),
        "calcium_volume_mm3": values.size * voxel_volume_mm3,
        "lesion_count": int(kept.sum()),
        "largest_lesion_mm3": int(voxels[kept].max()) * voxel_volume_mm3 if some else None,
        "mean_hu": float(values.mean(dtype=float)) if some else None,
        "peak_hu": float(values.max()) if some else None,
    }
    return findings, calcium
