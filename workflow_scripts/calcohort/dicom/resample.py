"""Resample a tilted or unevenly spaced stack onto an even, orthogonal grid."""

import numpy as np
from scipy import ndimage

from calcohort.dicom.find import numbers
from calcohort.dicom.judge import LPS_TO_RAS, Geometry
from calcohort.volume import Volume

AIR_HU = -1024
SAME_PLACE = 1e-6
"""In mm, and in the share of a gap."""


def resample(stack: np.ndarray, geometry: Geometry) -> Volume:
    """Interpolate between the slices where their headers put them.

    The new grid has the slices' own rows and columns, widened where slices are shifted against
    each other, and even steps along their normal from the first to the last slice, as near to the
    median distance as fits. A value is linear between the two neighbouring slices, and within each
    of them between its pixels; where either ends, the new voxel is air. A slice that lies on the
    new grid is kept as it is.

    Parameters
    ----------
    stack : ndarray of int16, ``[k, j, i]``
        HU of the slices, in the order of `geometry.images`.
    geometry : Geometry
        Of the slices.

    Returns
    -------
    Volume
        int16 HU, air (-1024 HU) outside of the stack.
    """
    header = geometry.images[0].header
    row, column = numbers(header, "ImageOrientationPatient", 6).reshape(2, 3)
    axes = np.stack([row / np.linalg.norm(row), column / np.linalg.norm(column)])
    normal = np.cross(*axes)
    between_rows, between_columns = numbers(header, "PixelSpacing", 2)
    points = np.array([numbers(i.header, "ImagePositionPatient", 3) for i in geometry.images])
    heights_mm = (points - points[0]) @ normal
    shifts_ji = ((points - points[0]) @ axes.T / (between_columns, between_rows))[:, ::-1]
    shifts_ji = shifts_ji.round(6)
    start_ji = np.floor(shifts_ji.min(axis=0)).astype(int)
    shape_ji = np.ceil(shifts_ji.max(axis=0)).astype(int) - start_ji + stack.shape[1:]
    steps = int(np.rint(heights_mm[-1] / np.median(np.diff(heights_mm))))
    new_heights_mm = np.linspace(0, heights_mm[-1], steps + 1)

    def slice_in_place(k: int) -> np.ndarray:
        return ndimage.affine_transform(
            stack[k].astype(np.float64),
            np.ones(2),
            start_ji - shifts_ji[k],
            output_shape=tuple(shape_ji),
            order=1,
            mode="constant",
            cval=np.nan,
        )

    array = np.full((len(new_heights_mm), *shape_ji), AIR_HU, np.int16)
    placed: dict[int, np.ndarray] = {}
    last = len(heights_mm) - 1
    for new, height_mm in enumerate(new_heights_mm):
        below = int(np.searchsorted(heights_mm, height_mm + SAME_PLACE, side="right")) - 1
        above = min(below + 1, last)
        placed = {k: placed[k] if k in placed else slice_in_place(k) for k in (below, above)}
        gap_mm = heights_mm[above] - heights_mm[below]
        weight = (height_mm - heights_mm[below]) / gap_mm if gap_mm else 0.0
        if weight < SAME_PLACE:
            hu = placed[below]
        else:
            hu = (1 - weight) * placed[below] + weight * placed[above]
        array[new] = np.where(np.isnan(hu), AIR_HU, np.rint(hu))

    affine = np.eye(4)
    corner = points[0] + start_ji @ np.stack([column * between_rows, row * between_columns])
    step = normal * heights_mm[-1] / steps
    affine[:3] = LPS_TO_RAS @ np.stack(
        [axes[0] * between_columns, axes[1] * between_rows, step, corner], axis=1
    )
    return Volume(array, affine)
