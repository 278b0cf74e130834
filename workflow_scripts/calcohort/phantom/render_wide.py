"""From a wide patient to a scan: painted, deformed, exposed; the truth deformed alike."""

import numpy as np

from calcohort.phantom.calcium import cut_to_root, cut_to_vessel, region
from calcohort.phantom.paint import paint, shares
from calcohort.phantom.render import Phantom
from calcohort.phantom.root import Lumen
from calcohort.phantom.shapes import Shape
from calcohort.phantom.warp import warped
from calcohort.phantom.wide import WidePatient, root_bounds_mm
from calcohort.volume import Grid

SLAB = 16
MARGIN_MM = 3.0
VOLUME_STEP_MM = 0.25
FINER_ROOT, FINER_CALCIUM = 2, 3


def scan_grid(patient: WidePatient) -> Grid:
    """Return the scan's own grid."""
    return patient.scan


def root_box(patient: WidePatient) -> np.ndarray:
    """Return the box ``(2, 3)`` in world mm that holds the root."""
    return root_bounds_mm(patient.root, patient.warp)


def render(patient: WidePatient, grid: Grid, *, noise: bool = True) -> Phantom:
    """Render a patient on an axial grid, with or without noise.

    Slices thicker than the grid's are rendered at their own distance and interpolated, as a scan
    that is resampled to the grid would be.

    Returns
    -------
    Phantom
    """
    distance_mm, wanted_mm = patient.scan.spacing_mm[0], grid.spacing_mm[0]
    slices = grid if distance_mm <= 1.05 * wanted_mm else _slices(grid, patient.scan)
    hu = _painted(patient, slices)
    hu = patient.scanner.expose(hu, slices, patient.scan, patient.seed, noise)
    if slices is not grid:
        hu = _between(hu, slices, grid)
    root, calcium = truth(patient, grid)
    return Phantom(hu, root >= 0.5, calcium >= 0.5, calcium)


def truth(patient: WidePatient, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of every voxel that root (calcium with it) and calcium fill, float32."""
    root = _share(patient, grid, Lumen(patient.root, 0.0, patient.root.height_mm), FINER_ROOT)
    if not patient.deposits:
        return root, np.zeros_like(root)
    deposits = cut_to_root(patient.deposits, patient.root)
    calcium = _share(patient, grid, deposits, FINER_CALCIUM)
    return np.maximum(root, calcium), calcium


def physical_calcium_mm3(patient: WidePatient) -> float:
    """Return the volume in mm³ of the root's deformed deposits, on cubes of a quarter mm."""
    if not patient.deposits:
        return 0.0
    low, high = root_box(patient) + np.array([[-MARGIN_MM], [MARGIN_MM]])
    affine = np.diag([VOLUME_STEP_MM] * 3 + [1.0])
    affine[:3, 3] = low
    shape = tuple(int(n) for n in np.ceil((high - low) / VOLUME_STEP_MM))[::-1]
    share = _share(patient, Grid(shape, affine), cut_to_root(patient.deposits, patient.root), 1)
    return float(share.sum(dtype=np.float64)) * VOLUME_STEP_MM**3


def _painted(patient: WidePatient, grid: Grid) -> np.ndarray:
    """Paint the undeformed patient around a grid and deform it; HU, float32."""
    low, high = _reach(patient, grid)
    source = _grid_of(low, high, grid.spacing_mm)
    image = np.full(source.shape, -1000, dtype=np.float32)
    for layer in patient.layers:
        paint(image, source, layer.shape, layer.fill)
    parts = cut_to_vessel(patient.deposits, patient.root).shapes
    for deposit, part in zip(patient.deposits, parts, strict=True):
        paint(image, source, part, deposit.hu)
    return _deformed(patient, image, source, grid, outside=-1000)


def _share(patient: WidePatient, grid: Grid, shape: Shape, finer: int) -> np.ndarray:
    """Share of every voxel of a grid that a deformed shape of the root fills, float32."""
    whole = np.zeros(grid.shape, dtype=np.float32)
    ends = grid.index(root_box(patient) + np.array([[-MARGIN_MM], [MARGIN_MM]]))
    first = np.clip(np.floor(ends.min(axis=0)), 0, grid.shape).astype(int)
    last = np.clip(np.ceil(ends.max(axis=0)) + 1, 0, grid.shape).astype(int)
    if (last <= first).any():
        return whole
    window = grid.window(first, last - first)
    low, high = region(patient.root).bounds_mm + np.array([[-MARGIN_MM], [MARGIN_MM]])
    source = _grid_of(low, high, grid.spacing_mm)
    part = _deformed(patient, shares(shape, source, finer), source, window, outside=0)
    whole[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = part
    return whole


def _deformed(patient: WidePatient, image, source: Grid, grid: Grid, outside: float) -> np.ndarray:
    result = np.empty(grid.shape, dtype=np.float32)
    for first in range(0, grid.shape[0], SLAB):
        count = min(SLAB, grid.shape[0] - first)
        sources = patient.warp.sources(grid.window((first, 0, 0), (count, *grid.shape[1:])))
        result[first : first + count] = warped(image, source, sources, outside)
    return result


def _reach(patient: WidePatient, grid: Grid) -> np.ndarray:
    """Return the box ``(2, 3)`` in world mm where a grid's voxels come from."""
    steps = [np.linspace(0, n - 1, 12) for n in grid.shape]
    points = patient.warp.source(grid.world(np.stack(np.meshgrid(*steps, indexing="ij"), -1)))
    points = points.reshape(-1, 3)
    return np.array([points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM])


def _grid_of(low, high, spacing_mm) -> Grid:
    affine = np.diag([*spacing_mm[::-1], 1.0])
    affine[:3, 3] = low
    return Grid(tuple(int(n) for n in np.ceil((high - low)[::-1] / spacing_mm) + 1), affine)


def _slices(grid: Grid, scan: Grid) -> Grid:
    """Return the grid of the scan's slices, with the rows and columns of `grid`."""
    ends = scan.index(grid.world(np.array([[0, 0, 0], np.array(grid.shape) - 1])))[:, 0]
    first, last = int(np.floor(ends[0])), int(np.ceil(ends[1]))
    affine = grid.affine.copy()
    affine[2, 2] = scan.affine[2, 2]
    affine[2, 3] = scan.world((first, 0, 0))[2]
    return Grid((last - first + 1, *grid.shape[1:]), affine)


def _between(hu: np.ndarray, slices: Grid, grid: Grid) -> np.ndarray:
    """Interpolate linearly between slices."""
    heights = grid.affine[2, 2] * np.arange(grid.shape[0]) + grid.affine[2, 3]
    at = (heights - slices.affine[2, 3]) / slices.affine[2, 2]
    low = np.clip(np.floor(at).astype(int), 0, len(hu) - 2)
    share = (at - low).astype(np.float32)[:, None, None]
    return np.rint(hu[low] + share * (hu[low + 1] - hu[low])).astype(np.int16)
