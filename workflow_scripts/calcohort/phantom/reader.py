"""A simulated reader of calcium in contrast CT, who looks at the overlay and knows no formula.

Paper 000 (section III, Fig. 2 and 5c) lets a radiologist move a threshold scan by scan until the
overlay (all voxels of the root at or above it) shows the deposits and no longer the bright spots
of unevenly mixed contrast. The simulated reader does the same, and readers differ.
"""

from bisect import bisect_left

import numpy as np
from scipy import ndimage

from calcohort.volume import bounding_slices

STEP_HU = 5
HIGHEST_THRESHOLD_HU = 4000
READER_MARGIN_HU = 20.0
SPOT_VOXELS = 4
DEPOSIT_MARGIN_VOXELS = 4
WALL_MARGIN_VOXELS = 2


def clearing_threshold(hu: np.ndarray, root: np.ndarray, calcium: np.ndarray) -> float:
    """Lowest threshold at which no bright spot is left in the lumen.

    Lowering a threshold only adds voxels to the overlay and joins its parts, so once a spot shows
    it never leaves again: the lowest clean threshold is found by bisection.

    Parameters
    ----------
    hu : ndarray of int, ``[k, j, i]``
        The scan in HU.
    root, calcium : ndarray of bool, ``[k, j, i]``
        Root and the deposits in it. A person tells deposits by their shape and place; here the
        truth does.

    Returns
    -------
    float
        HU, a multiple of 5.

    Raises
    ------
    ValueError
        When the root is empty, or no part of it lies away from wall and deposits.
    """
    if not root.any():
        raise ValueError("the root mask is empty")
    box = bounding_slices(root, margin=1)
    hu, root, calcium = hu[box], root[box], calcium[box]
    lumen = ndimage.binary_erosion(root, iterations=WALL_MARGIN_VOXELS)
    if calcium.any():
        lumen &= ~ndimage.binary_dilation(calcium, iterations=DEPOSIT_MARGIN_VOXELS)
    if not lumen.any():
        raise ValueError("no lumen is left away from the wall and the deposits")

    def is_clean(threshold_hu: int) -> bool:
        labels, count = ndimage.label(lumen & (hu >= threshold_hu))
        return count == 0 or np.bincount(labels.ravel())[1:].max() < SPOT_VOXELS

    candidates_hu = range(0, HIGHEST_THRESHOLD_HU, STEP_HU)
    return float(candidates_hu[bisect_left(candidates_hu, True, key=is_clean)])


def read_threshold(hu: np.ndarray, root: np.ndarray, calcium: np.ndarray, seed: int) -> float:
    """Threshold that a reader chooses: the clearing one and the reader's own margin above it.

    Spots that are left show on the screen, a rim of a deposit that is lost does not: readers err
    upwards. The margin is exponential, 20 ± 20 HU, independent of the image and drawn from `seed`;
    the choice is rounded to 5 HU as a person does. Parameters and errors: see `clearing_threshold`.

    Returns
    -------
    float
        HU.
    """
    margin_hu = np.random.default_rng([seed, _READER]).exponential(READER_MARGIN_HU)
    clearing_hu = clearing_threshold(hu, root, calcium)
    return float(STEP_HU * round((clearing_hu + margin_hu) / STEP_HU))


def reader_volume_mm3(
    hu: np.ndarray, root: np.ndarray, threshold_hu: float, voxel_volume_mm3: float
) -> float:
    """Volume a person's tool counts: the root's voxels at or above the threshold."""
    return float(np.count_nonzero(root & (hu >= threshold_hu)) * voxel_volume_mm3)


_READER = 0x52454144
"""Keeps the reader's random stream apart from the renderer's, which starts from the same seed."""
