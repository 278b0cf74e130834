"""An image with its affine. THE place that fixes axis order.

Arrays are indexed ``[k, j, i]``: slices, rows, columns, so that a crop reads 224 × 256 × 256 as in
the paper. The affine is NIfTI's: it takes the *reversed* index ``(i, j, k, 1)`` to world
millimetres, RAS+ (x grows to the patient's right, y to the front, z to the head). `read` brings
every image to the closest canonical orientation (axes permuted and flipped, never resampled), so
``k`` runs towards the head, ``j`` to the front and ``i`` to the patient's right.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from calcohort.outcomes import Excluded, Reason, atomic_path
from calcohort.private import private_log

CANONICAL = np.eye(4)
SAME_PLACE = 1e-6
"""In voxels."""


@dataclass(frozen=True)
class Grid:
    """Where voxels lie, without their values.

    Attributes
    ----------
    shape : tuple of int
        Slices, rows, columns.
    affine : ndarray, (4, 4)
        ``(i, j, k, 1)`` to world mm, RAS+.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @functools.cached_property
    def spacing_mm(self) -> np.ndarray:
        """Voxel spacing ``(k, j, i)`` in mm: lengths of the affine's columns."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)[::-1]

    @functools.cached_property
    def voxel_volume_mm3(self) -> float:
        """Volume of a voxel: the affine's determinant, as a triple product."""
        i, j, k = self.affine[:3, :3].T
        return float(abs(np.dot(i, np.cross(j, k))))

    @functools.cached_property
    def inverse(self) -> np.ndarray:
        """World mm to ``(i, j, k, 1)``, (4, 4)."""
        return np.linalg.inv(self.affine)

    def world(self, index_kji: np.ndarray) -> np.ndarray:
        """World mm ``(..., 3)`` of (fractional) indices ``(..., 3)`` in ``k, j, i`` order."""
        ijk = np.asarray(index_kji, dtype=float)[..., ::-1]
        return ijk @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index(self, world_mm: np.ndarray) -> np.ndarray:
        """Fractional ``k, j, i`` index ``(..., 3)`` of world mm ``(..., 3)``."""
        ijk = np.asarray(world_mm, dtype=float) @ self.inverse[:3, :3].T + self.inverse[:3, 3]
        return ijk[..., ::-1]

    def same_as(self, other: "Grid", tolerance_mm: float = 0.01) -> bool:
        """Tell whether both grids have one shape and all corners within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        return bool(np.abs(self.world(corners) - other.world(corners)).max() <= tolerance_mm)

    def window(self, start_kji: tuple[int, int, int], shape: tuple[int, int, int]) -> "Grid":
        """Return the grid of `shape` whose first voxel is this grid's `start_kji` (may be < 0)."""
        affine = self.affine.copy()
        affine[:3, 3] = self.world(np.asarray(start_kji))
        return Grid(tuple(int(n) for n in shape), affine)

    def downscaled(self, factor_kji: tuple[int, int, int]) -> "Grid":
        """Return the grid whose voxels are blocks of `factor_kji` voxels of this one."""
        factor = np.asarray(factor_kji)
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] * factor[::-1]
        affine[:3, 3] = self.world((factor - 1) / 2)
        return Grid(tuple(int(n // f) for n, f in zip(self.shape, factor, strict=True)), affine)

    def respaced(self, spacing_mm: tuple[float, float, float]) -> "Grid":
        """Return the grid of voxels of `spacing_mm` ``(k, j, i)`` that fills the same box."""
        factor = np.asarray(spacing_mm) / self.spacing_mm
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] * factor[::-1]
        affine[:3, 3] = self.world((factor - 1) / 2)
        shape = np.maximum(np.round(np.array(self.shape) / factor), 1)
        return Grid(tuple(int(n) for n in shape), affine)

    def cover(
        self, other: "Grid", start_kji: Sequence[int], stop_kji: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return start and stop of the voxels here that cover a box of `other`'s voxels.

        Both grids have the same axes; the result may reach beyond this grid.
        """
        ends = np.array([start_kji, stop_kji]) - 0.5
        low, high = self.index(other.world(ends)) + 0.5
        return (
            np.floor(low + SAME_PLACE).astype(int),
            np.ceil(high - SAME_PLACE).astype(int),
        )


@dataclass(frozen=True)
class Volume:
    """Voxel values ``array[k, j, i]`` on a grid."""

    array: np.ndarray
    affine: np.ndarray

    @property
    def grid(self) -> Grid:
        """The grid of the array."""
        return Grid(self.array.shape, self.affine)


def read(path: Path, what: str = "the image") -> Volume:
    """Read a 3-D NIfTI file in canonical orientation.

    Integer files without scaling keep their type; others become float32. `what` names the file in
    sentences, as its own name may hold a patient's.

    Raises
    ------
    Excluded
        `unreadable` when the file is no readable 3-D NIfTI image with a usable affine.
    """
    try:
        loaded = nib.load(path)
        scaled = (loaded.dataobj.slope, loaded.dataobj.inter) != (1.0, 0.0)
        keep = not scaled and loaded.get_data_dtype().kind in "iu"
        image = nib.as_closest_canonical(loaded)
        array = np.asanyarray(image.dataobj) if keep else image.get_fdata(dtype=np.float32)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError, AttributeError) as e:
        if isinstance(e, OSError) and e.errno:
            raise
        private_log.warning("%s: %s", path, e)
        raise Excluded(
            Reason.UNREADABLE, f"{what} is not a readable NIfTI ({type(e).__name__})"
        ) from e
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim != 3:
        raise Excluded(Reason.UNREADABLE, f"{what} has {array.ndim} axes, not 3")
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise Excluded(Reason.UNREADABLE, f"{what} has no usable affine")
    return Volume(np.ascontiguousarray(array.T), affine)


def reorient(volume: Volume, affine: np.ndarray = CANONICAL) -> Volume:
    """View a volume with axes permuted and flipped to run closest to those of `affine`."""
    start, stop = (nib.orientations.io_orientation(a) for a in (volume.affine, affine))
    change = nib.orientations.ornt_transform(start, stop)
    moved = nib.orientations.apply_orientation(volume.array.T, change)
    shape_ijk = volume.array.shape[::-1]
    moved_affine = volume.affine @ nib.orientations.inv_ornt_aff(change, shape_ijk)
    return Volume(moved.T, moved_affine)


def write(path: Path, volume: Volume) -> None:
    """Write a volume as NIfTI (bool as uint8), whole or not at all, affine as qform and sform."""
    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    image = nib.Nifti1Image(array.T, volume.affine, dtype=array.dtype)
    image.set_qform(volume.affine, code=1)
    image.set_sform(volume.affine, code=1)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def read_mask(
    path: Path, grid: Grid, *, may_be_empty: bool = False, what: str = "the mask"
) -> np.ndarray:
    """Read a binary mask that lies on `grid`; `what` names it in sentences.

    Returns
    -------
    ndarray of bool, ``[k, j, i]``

    Raises
    ------
    Excluded
        `mask_on_other_grid` when shape or corners (0.01 mm) differ; `mask_empty` when the mask is
        empty (unless `may_be_empty`) or has more than one non-zero value.
    """
    mask = read(path, what)
    if not mask.grid.same_as(grid):
        raise Excluded(
            Reason.MASK_ON_OTHER_GRID,
            f"{what} has shape {mask.array.shape} and spacing {mask.grid.spacing_mm.round(3)} mm, "
            f"the scan {grid.shape} and {grid.spacing_mm.round(3)} mm, or their origins differ",
        )
    values = np.unique(mask.array)
    labels = np.count_nonzero(values)
    if labels > 1 or (labels == 0 and not may_be_empty):
        raise Excluded(
            Reason.MASK_EMPTY, f"{what} holds the values {values[:5]}, not 0 and one label"
        )
    return mask.array != 0


def downscale(volume: Volume, factor_kji: tuple[int, int, int] = (1, 2, 2)) -> Volume:
    """Average blocks of voxels: anti-aliased, and right for oblique affines.

    A new voxel is the mean of a block and lies at the block's centre (paper 000, section IV). Rows
    or columns that do not fill a last block are left out.
    """
    grid = volume.grid.downscaled(factor_kji)
    fk, fj, fi = factor_kji
    k, j, i = grid.shape
    blocks = volume.array[: k * fk, : j * fj, : i * fi].reshape(k, fk, j, fj, i, fi)
    return Volume(blocks.mean(axis=(1, 3, 5), dtype=np.float32), grid.affine)


def respace(volume: Volume, spacing_mm: Sequence[float] | None) -> Volume:
    """Interpolate to voxels of `spacing_mm` ``(k, j, i)``; None leaves the volume as it is.

    Values are linear between voxel centres and constant beyond the outermost. Integers stay
    integers, rounded; bool becomes float32, the fraction of the mask.
    """
    if spacing_mm is None:
        return volume
    return resample(volume, volume.grid.respaced(spacing_mm), outside="nearest")


def resample(volume: Volume, grid: Grid, outside: str = "constant") -> Volume:
    """Interpolate a volume on `grid`, whose axes are the same; see `respace`.

    Beyond the outermost voxels, values are 0, or with `outside` "nearest" the nearest ones.
    """
    array = volume.array.astype(np.float32) if volume.array.dtype == bool else volume.array
    first, second = volume.grid.index(grid.world(np.array([(0, 0, 0), (1, 1, 1)])))
    sampled = ndimage.affine_transform(
        array, second - first, first, output_shape=grid.shape, order=1, mode=outside
    )
    return Volume(sampled, grid.affine)


def crop(
    volume: Volume, start_kji: tuple[int, int, int], shape: tuple[int, int, int], pad_value: float
) -> Volume:
    """Cut `shape` voxels from `start_kji` on; what lies outside the scan is `pad_value`."""
    grid = volume.grid.window(start_kji, shape)
    array = np.full(shape, pad_value, dtype=volume.array.dtype)
    inner, outer = _overlap(start_kji, shape, volume.array.shape)
    array[inner] = volume.array[outer]
    return Volume(array, grid.affine)


def crop_on(
    volume: Volume,
    grid: Grid,
    start_kji: tuple[int, int, int],
    shape: tuple[int, int, int],
    pad_value: float,
) -> Volume:
    """Cut `shape` voxels of `grid`, interpolated as in `respace`; outside of it is `pad_value`."""
    inner, outer = _overlap(start_kji, shape, grid.shape)
    covered = grid.window([part.start for part in outer], [p.stop - p.start for p in outer])
    array = np.full(shape, pad_value, dtype=volume.array.dtype)
    array[inner] = resample(volume, covered, outside="nearest").array
    return Volume(array, grid.window(start_kji, shape).affine)


def paste(
    array: np.ndarray, start_kji: tuple[int, int, int], shape: tuple[int, int, int]
) -> np.ndarray:
    """Put a crop cut from `start_kji` back into zeros of the scan's `shape`: un-crop."""
    whole = np.zeros(shape, dtype=array.dtype)
    inner, outer = _overlap(start_kji, array.shape, shape)
    whole[outer] = array[inner]
    return whole


def voxels_inside(
    start_kji: tuple[int, int, int], shape: tuple[int, int, int], whole: tuple[int, int, int]
) -> int:
    """Count the voxels of a window that lie in a scan of shape `whole`; others are padding."""
    _, outer = _overlap(start_kji, shape, whole)
    return int(np.prod([part.stop - part.start for part in outer]))


def bounding_slices(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice, slice]:
    """Slices of the smallest box around a non-empty mask, grown by `margin` inside the array."""
    slices = []
    for axis in range(mask.ndim):
        other = tuple(a for a in range(mask.ndim) if a != axis)
        hit = np.flatnonzero(mask.any(axis=other))
        slices.append(slice(max(int(hit[0]) - margin, 0), int(hit[-1]) + 1 + margin))
    return tuple(slices)


def _overlap(start, shape, whole_shape):
    inner, outer = [], []
    for first, n, whole in zip(start, shape, whole_shape, strict=True):
        low, high = max(first, 0), max(min(first + n, whole), max(first, 0))
        outer.append(slice(low, high))
        inner.append(slice(low - first, high - first))
    return tuple(inner), tuple(outer)
