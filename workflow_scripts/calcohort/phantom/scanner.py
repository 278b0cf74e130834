"""How a scanner sees a patient: point spread, kernel, motion, metal, beam hardening and noise."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from calcohort.phantom.shapes import Texture
from calcohort.volume import Grid

METAL_HU = 2400.0
MOST_METALS = 5
ANGLES = 720
LOWEST_HU, HIGHEST_HU = -1024, 3071


@dataclass(frozen=True)
class Scanner:
    """A scanner's settings and shortcomings.

    Attributes
    ----------
    spacing_mm : tuple of float
        Of the scan's voxels ``(k, j, i)``.
    thickness_mm : float
        Of a slice.
    blur_mm : float
        SD of the gaussian point spread.
    sharpening : float
        Of the kernel: this times what a gaussian of 0.8 mm takes away is added.
    motion_mm : float
        Distance between the two places where the beating heart is seen at once.
    motion_axis : int
        1 for rows, 2 for columns.
    noise_hu : float
        SD of the noise in the scan's voxels.
    grain_mm : float
        SD of the gaussian that gives the noise its texture.
    streak_hu : float
        SD of the streaks beside metal.
    hardening_hu : float
        SD of slow shifts of the luminance.
    round_field : bool
        Whether voxels outside the circle of reconstruction are air.
    """

    spacing_mm: tuple[float, float, float]
    thickness_mm: float
    blur_mm: float
    sharpening: float
    motion_mm: float
    motion_axis: int
    noise_hu: float
    grain_mm: float
    streak_hu: float
    hardening_hu: float
    round_field: bool

    def expose(self, hu: np.ndarray, grid: Grid, scan: Grid, seed: int, noise: bool) -> np.ndarray:
        """Return what the scanner shows of a patient.

        Parameters
        ----------
        hu : ndarray of float32, ``[k, j, i]``
            The patient; changed in place.
        grid : Grid
            Where `hu` lies; its voxels may be means of several of the scan's.
        scan : Grid
            The scan's own grid.
        seed : int
            Of noise, streaks and shifts.
        noise : bool
            Whether to add noise.

        Returns
        -------
        ndarray of int16, ``[k, j, i]``
        """
        rng = np.random.default_rng([seed, *grid.shape])
        metal = hu > METAL_HU
        spacing = grid.spacing_mm
        if self.motion_mm:
            kernel = _double(self.motion_mm / spacing[self.motion_axis])
            hu = ndimage.convolve1d(hu, kernel, self.motion_axis, mode="nearest")
        slices_mm = np.sqrt(max(self.thickness_mm**2 - spacing[0] ** 2, 0) / 12)
        along_mm = np.hypot(self.blur_mm, slices_mm), self.blur_mm, self.blur_mm
        hu = ndimage.gaussian_filter(hu, along_mm / spacing, mode="nearest", truncate=3)
        if self.sharpening:
            soft = ndimage.gaussian_filter(hu, 0.8 / spacing, mode="nearest", truncate=3)
            hu += np.float32(self.sharpening) * (hu - soft)
        if metal.any():
            _add_streaks(hu, metal, grid, self.streak_hu, rng)
        if self.hardening_hu:
            shift = Texture(int(rng.integers(1 << 31)), smooth_mm=45)
            k, j, i = (
                np.arange(n, dtype=np.float32) * d for n, d in zip(hu.shape, spacing, strict=True)
            )
            hu += np.float32(self.hardening_hu) * shift(*np.ix_(k, j, i)[::-1])
        if noise:
            hu += self._noise(grid, rng)
        if self.round_field:
            _blacken_outside(hu, grid, scan)
        return np.rint(np.clip(hu, LOWEST_HU, HIGHEST_HU)).astype(np.int16)

    def _noise(self, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """Coloured noise; a voxel that averages several of the scan's has as much less.

        The mean over a width `b` acts as a gaussian of variance ``b² / 12``, and noise that a
        gaussian of SD `g` has coloured keeps ``g / hypot(g, t)`` of its variance, on each axis,
        under one more of SD `t`.
        """
        native, spacing = np.array(self.spacing_mm), grid.spacing_mm
        more_mm = np.sqrt(np.maximum(spacing**2 - native**2, 0) / 12)
        grain_mm = np.hypot(self.grain_mm, more_mm)
        sd = self.noise_hu * np.sqrt(np.prod(self.grain_mm / grain_mm))
        noise = rng.standard_normal(grid.shape, dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, grain_mm / spacing, mode="wrap", truncate=3)
        return noise * np.float32(sd / noise.std())


def _double(distance_voxels: float) -> np.ndarray:
    """Kernel of two equal points that far apart, about its middle."""
    reach = int(np.ceil(distance_voxels / 2)) + 1
    places = np.arange(-reach, reach + 1)
    kernel = np.maximum(1 - np.abs(np.abs(places) - distance_voxels / 2), 0)
    return kernel / kernel.sum()


def _add_streaks(hu, metal, grid: Grid, streak_hu: float, rng: np.random.Generator) -> None:
    """Add rays, bright and dark, that start from the largest pieces of metal of each slice."""
    rays = ndimage.gaussian_filter1d(rng.standard_normal(ANGLES), rng.uniform(2, 9), mode="wrap")
    rays = (rays / rays.std()).astype(np.float32)
    fade_mm = rng.uniform(15, 60)
    y = np.arange(hu.shape[1], dtype=np.float32)[:, None] * np.float32(grid.spacing_mm[1])
    x = np.arange(hu.shape[2], dtype=np.float32) * np.float32(grid.spacing_mm[2])
    for k in np.flatnonzero(metal.any(axis=(1, 2))):
        pieces, count = ndimage.label(metal[k])
        sizes = np.bincount(pieces.ravel())[1:]
        for piece in np.argsort(-sizes)[:MOST_METALS]:
            row, column = ndimage.center_of_mass(pieces == piece + 1)
            dy, dx = y - row * grid.spacing_mm[1], x - column * grid.spacing_mm[2]
            angle = (np.arctan2(dy, dx) / (2 * np.pi) * ANGLES).astype(int) % ANGLES
            size_mm = np.sqrt(sizes[piece]) * grid.spacing_mm[2]
            strength = streak_hu * min(size_mm / 3, 2.0) / np.sqrt(min(count, MOST_METALS))
            hu[k] += strength * rays[angle] * np.exp(-np.hypot(dx, dy) / fade_mm)
        rays = np.roll(rays, int(rng.integers(-2, 3)))


def _blacken_outside(hu: np.ndarray, grid: Grid, scan: Grid) -> None:
    """Give voxels outside the circle inside the scan's square the value of padding."""
    middle = scan.world((np.array(scan.shape) - 1) / 2)
    radius_mm = min(scan.shape[1:] * scan.spacing_mm[1:]) / 2
    y = grid.affine[1, 1] * np.arange(hu.shape[1])[:, None] + grid.affine[1, 3] - middle[1]
    x = grid.affine[0, 0] * np.arange(hu.shape[2]) + grid.affine[0, 3] - middle[0]
    hu[:, np.hypot(x, y) > radius_mm] = LOWEST_HU
