"""From a patient to a scan: HU on any grid, with the truth about root and calcium."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from calcohort.phantom.anatomy import Anatomy
from calcohort.phantom.calcium import cut_to_root, region
from calcohort.phantom.paint import paint, shares, solid_volume_mm3
from calcohort.phantom.root import Lumen
from calcohort.volume import Grid

SHAPE = (256, 512, 512)
TRUNCATE = 3.0
PHYSICAL_STEP_MM = 0.1
REFERENCE_VOXEL_MM3 = 0.488 * 0.488 * 0.625


@dataclass(frozen=True, eq=False)
class Phantom:
    """A rendered scan and its truth, all ``[k, j, i]``.

    Attributes
    ----------
    hu : ndarray of int16
    root : ndarray of bool
        Lumen, leaflets and calcium from the annulus plane to the sinotubular junction's.
    calcium : ndarray of bool
        Voxels of which deposits of the root fill at least half.
    calcium_fraction : ndarray of float32
        Share of each voxel that deposits of the root fill.
    """

    hu: np.ndarray
    root: np.ndarray
    calcium: np.ndarray
    calcium_fraction: np.ndarray


def scan_grid(anatomy: Anatomy) -> Grid:
    """Return the scan's own grid: axial, 256 slices of 512×512."""
    spacing = np.array(anatomy.spacing_mm)
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = anatomy.centre_mm - (np.array(SHAPE) - 1)[::-1] / 2 * spacing[::-1]
    return Grid(SHAPE, affine)


def root_box(anatomy: Anatomy) -> np.ndarray:
    """Return the box ``(2, 3)`` in world mm that holds the root."""
    return region(anatomy.root).bounds_mm


def render(anatomy: Anatomy, grid: Grid, *, noise: bool = True) -> Phantom:
    """Render a patient on a grid.

    The same patient and grid give the same bytes. Without noise a window of a grid gives the same
    values as the window of the whole.

    Parameters
    ----------
    anatomy : Anatomy
    grid : Grid
        Any grid, oblique and anisotropic ones too.
    noise : bool
        Whether to add the scan's noise.

    Returns
    -------
    Phantom
    """
    sigma = anatomy.blur_mm / grid.spacing_mm
    margin = np.ceil(TRUNCATE * sigma).astype(int) + 1
    wide = grid.window(tuple(-margin), tuple(np.array(grid.shape) + 2 * margin))
    image = np.full(wide.shape, -1000, dtype=np.float32)
    for layer in anatomy.layers:
        paint(image, wide, layer.shape, layer.fill)
    bound = region(anatomy.root)
    for deposit, part in zip(
        anatomy.deposits, cut_to_root(anatomy.deposits, anatomy.root).shapes, strict=True
    ):
        paint(image, wide, part, deposit.hu)
    if noise:
        _add_noise(image, wide, anatomy)
    for axis in range(3):
        image = gaussian_filter1d(image, sigma[axis], axis=axis, truncate=TRUNCATE)
    inner = tuple(slice(m, m + n) for m, n in zip(margin, grid.shape, strict=True))
    hu = np.rint(np.clip(image[inner], -1024, 3071)).astype(np.int16)

    root = shares(Lumen(anatomy.root, bound.low_mm, bound.high_mm), grid, 2) >= 0.5
    fraction = np.zeros(grid.shape, dtype=np.float32)
    if anatomy.deposits:
        fraction = shares(cut_to_root(anatomy.deposits, anatomy.root), grid, 3)
    calcium = fraction >= 0.5
    return Phantom(hu, root | calcium, calcium, fraction)


def physical_calcium_mm3(anatomy: Anatomy) -> float:
    """Return the volume in mm³ of the union of the root's deposits.

    Summed over cubes of 0.1 mm with partial volume; for spheres of 1 to 5 mm it is right to 0.1 %.
    """
    if not anatomy.deposits:
        return 0.0
    return solid_volume_mm3(cut_to_root(anatomy.deposits, anatomy.root), PHYSICAL_STEP_MM)


def _add_noise(image: np.ndarray, grid: Grid, anatomy: Anatomy) -> None:
    """Add white noise that has the scan's SD after the blur, for a voxel of the reference size."""
    passed = 1.0
    for spacing in (0.625, 0.488, 0.488):
        impulse = np.zeros(33)
        impulse[16] = 1
        kernel = gaussian_filter1d(impulse, anatomy.blur_mm / spacing, truncate=TRUNCATE)
        passed *= np.sqrt((kernel**2).sum())
    white = anatomy.noise_hu / passed * np.sqrt(REFERENCE_VOXEL_MM3 / grid.voxel_volume_mm3)
    rng = np.random.default_rng([anatomy.seed, *grid.shape])
    for plane in image:
        plane += np.float32(white) * rng.standard_normal(plane.shape, dtype=np.float32)
