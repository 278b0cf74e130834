"""Luminance Lm: the mean HU of blood and contrast in a cube near the sinotubular junction.

Paper 000 (section IV.B, Fig. 5) puts a cube of 20 voxels a side at the geometric centre of the
root and moves it up, near the sinotubular junction, clear of the leaflets and their calcium. Here
that reads:

- The cube has the size of those 20 voxels, 12.5 × 9.76 × 9.76 mm, in whole voxels of the scan.
- *Up* is world superior (+S of the affine), whatever the order and direction of the voxel axes.
- The cube follows the root's own axis, tilted as it may be: the centroids of the root's
  cross-sections at successive heights, from the geometric centre up, one voxel spacing a step.
- A position is *admissible* when the cube lies in the scan and enough of its voxels in the root.
- Of the cube's root voxels those that are bright (`bright_hu`) are taken as calcium. A position
  with next to none (`CLEAN`) is *clean*, and the highest admissible clean one is taken.
- In heavily calcified roots no position may be clean. Then the one with the fewest bright voxels is
  taken, if they are few enough: to exclude these scans would bias a study against severe disease.
- Lm is the mean of the cube's root voxels that are neither bright nor, as leaflets are, as far
  below the cube's level (`dark_hu`).
"""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np

from calcohort.measure.thresholds import CALCIUM_HU
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Grid, Volume, bounding_slices

PAPER_CUBE_MM = (12.5, 9.76, 9.76)
"""Head to foot, front to back, left to right: 20 voxels of 0.625 × 0.488 × 0.488 mm."""
CLEAN = 0.005
TIE = 1e-6


def measure_luminance(
    ct: Volume,
    root: np.ndarray,
    *,
    cube_sides_mm: Sequence[float] = PAPER_CUBE_MM,
    min_cube_in_root: float = 0.95,
    max_bright_fraction: float = 0.05,
) -> dict[str, Any]:
    """Measure the luminance of the blood in the root.

    Parameters
    ----------
    ct : Volume
        HU, ``[k, j, i]``.
    root : ndarray of bool, ``[k, j, i]``
        The root, not empty.
    cube_sides_mm : sequence of float
        Head to foot, front to back, left to right; rounded to voxels (`cube_shape`). An even side
        has no middle voxel: it covers `start` to `start + side - 1`, its centre lying between the
        two middle voxels at ``start + (side - 1) / 2``. The centre is brought as near to the axis
        of the root as whole voxels allow; a tie goes right, to the front, or up, so that the same
        voxels are chosen however the array is flipped.
    min_cube_in_root : float
        Least share of the cube's voxels that lie in the root.
    max_bright_fraction : float
        Largest share of bright voxels among the cube's root voxels.

    Returns
    -------
    dict
        `luminance_hu`; `luminance_sd_hu` (n - 1); `luminance_robust_sd_hu`, 1.4826 times the median
        absolute deviation of the cube's root voxels, at least 1; `noise_hu`, the least such SD of
        the admissible positions looked at: leaflets and calcium only add to noise;
        `cube_start_kji` and `cube_shape_kji`, its first voxel and its voxels; `cube_shift_mm`, the
        height of the cube's centre above the root's geometric centre; `cube_in_root_fraction`;
        `cube_bright_fraction`.

    Raises
    ------
    Excluded
        `luminance_unmeasurable` when no position is admissible, or none of these holds few enough
        bright voxels. The cube is never made smaller.
    """
    origin_mm, axis_kji = root_axis(root, ct.grid)
    shape = cube_shape(cube_sides_mm, ct.grid)
    best, largest_share, noise_hu = None, 0.0, np.inf
    for centre in axis_kji[::-1]:
        start = cube_start(centre, shape, ct.affine)
        cube = tuple(map(slice, start, start + shape))
        in_scan = start.min() >= 0 and (start + shape <= root.shape).all()
        share = float(root[cube].mean()) if in_scan else 0.0
        largest_share = max(largest_share, share)
        if share < min_cube_in_root:
            continue
        hu = ct.array[cube][root[cube]]
        _, robust_sd = _median_and_sd(hu)
        noise_hu = min(noise_hu, robust_sd)
        bright = hu > bright_hu(hu)
        blood = hu[~bright & (hu >= dark_hu(hu))]
        found = {
            "start": start,
            "share": share,
            "bright": bright.mean(),
            "blood": blood,
            "robust_sd": robust_sd,
        }
        if best is None or found["bright"] < best["bright"]:
            best = found
        if best["bright"] <= CLEAN:
            break
    if best is None:
        raise Excluded(
            Reason.LUMINANCE_UNMEASURABLE,
            f"the luminance cube of {' × '.join(f'{mm:g}' for mm in cube_sides_mm)} mm fits "
            "nowhere between the root's centre and its top: at most "
            f"{largest_share:.1%} of it lie in the root, "
            f"{min_cube_in_root:.0%} are needed",
        )
    if best["bright"] > max_bright_fraction:
        raise Excluded(
            Reason.LUMINANCE_UNMEASURABLE,
            "the luminance cube holds calcium wherever it fits in the root: at least "
            f"{best['bright']:.1%} of its voxels are bright, {max_bright_fraction:.1%} are allowed",
        )
    middle = ct.grid.world(best["start"] + (shape - 1) / 2)
    return {
        "luminance_hu": float(best["blood"].mean(dtype=float)),
        "luminance_sd_hu": float(best["blood"].std(dtype=float, ddof=1)),
        "luminance_robust_sd_hu": best["robust_sd"],
        "noise_hu": noise_hu,
        "cube_start_kji": best["start"].tolist(),
        "cube_shape_kji": shape.tolist(),
        "cube_shift_mm": float((middle - origin_mm)[2]),
        "cube_in_root_fraction": best["share"],
        "cube_bright_fraction": float(best["bright"]),
    }


def root_axis(root: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Follow the root from its geometric centre upwards.

    Parameters
    ----------
    root : ndarray of bool, ``[k, j, i]``
        Not empty.
    grid : Grid
        The grid of the root.

    Returns
    -------
    origin_mm : ndarray, (3,)
        Geometric centre of the root, world mm.
    axis_kji : ndarray, (n, 3)
        Fractional indices of the axis, bottom first. The steps are one spacing of the voxel axis
        nearest to superior; a cross-section holds the root voxels within half a step of its height.
    """
    box = bounding_slices(root)
    world = grid.world(np.argwhere(root[box]) + [side.start for side in box])
    origin = world.mean(axis=0)
    upward = int(np.flatnonzero(nib.io_orientation(grid.affine)[:, 0] == 2)[0])
    step = grid.spacing_mm[::-1][upward]
    level = np.floor((world[:, 2] - origin[2]) / step + 0.5 + TIE).astype(int)
    world, level = world[level >= 0], level[level >= 0]
    voxels = np.bincount(level)
    levels = np.flatnonzero(voxels)
    x, y = (np.bincount(level, weights=world[:, c])[levels] / voxels[levels] for c in (0, 1))
    return origin, grid.index(np.column_stack([x, y, origin[2] + levels * step]))


def cube_shape(sides_mm: Sequence[float], grid: Grid) -> np.ndarray:
    """Return a cube's sides in whole voxels ``k, j, i``, at least 2.

    Each goes along the voxel axis nearest to its direction (head to foot, front to back, left to
    right), whatever the order of the axes.

    >>> cube_shape(PAPER_CUBE_MM, Grid((256, 512, 512), np.diag([0.488, 0.488, 0.625, 1]))).tolist()
    [20, 20, 20]
    """
    nearest = nib.io_orientation(grid.affine)[::-1, 0].astype(int)
    sides = np.asarray(sides_mm, dtype=float)[2 - nearest]
    return np.maximum(np.rint(sides / grid.spacing_mm), 2).astype(int)


def cube_start(centre_kji: np.ndarray, shape: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """First voxel ``k, j, i`` of the cube of that shape nearest to a fractional index.

    Ties go right, to the front, or up (see `measure_luminance`).
    """
    towards = nib.io_orientation(affine)[::-1, 1]
    corner = np.asarray(centre_kji) - (np.asarray(shape) - 1) / 2
    return (towards * np.floor(towards * corner + 0.5 + TIE)).astype(int)


def bright_hu(hu: np.ndarray) -> float:
    """Level above which a voxel of the cube is taken as calcium.

    It is 1000 HU, the paper's calcium, but not above median + 5 SD, where a deposit already stands
    out, and not below median + 3 SD, which noise reaches where the blood itself is near 1000 HU.
    The SD is robust, 1.4826 times the median absolute deviation, and at least 1 HU, the unit of
    stored values.
    """
    median, sd = _median_and_sd(hu)
    return float(np.clip(CALCIUM_HU, median + 3 * sd, median + 5 * sd))


def dark_hu(hu: np.ndarray) -> float:
    """Level below which a voxel of the cube is taken as leaflet or wall: median - 5 robust SD."""
    median, sd = _median_and_sd(hu)
    return median - 5 * sd


def _median_and_sd(hu: np.ndarray) -> tuple[float, float]:
    median = float(np.median(hu))
    return median, max(1.4826 * float(np.median(np.abs(hu - median))), 1.0)
