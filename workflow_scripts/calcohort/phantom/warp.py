"""Smooth deformation of a whole patient: an affine map and a field of cubic splines."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from calcohort.volume import Grid

STEP_MM = 6.0
"""Between these distances the displacement is interpolated linearly."""
REACH_MM = 420.0
"""Half the side of the cube around the centre that the spline's nodes fill."""


@dataclass(frozen=True, eq=False)
class Warp:
    """Where in the undeformed patient a point of the deformed one comes from.

    ``source(p) = centre + matrix @ (p - centre) + u(p)``, `u` being a sum of cubic B-splines, one
    for each set of nodes.

    Attributes
    ----------
    centre_mm : ndarray, (3,)
        World mm ``x, y, z``.
    matrix : ndarray, (3, 3)
    nodes : tuple of (float, ndarray)
        Spacing in mm and spline coefficients ``(3, n, n, n)`` in mm over ``x, y, z``.
    """

    centre_mm: np.ndarray
    matrix: np.ndarray
    nodes: tuple[tuple[float, np.ndarray], ...]

    def source(self, points_mm: np.ndarray) -> np.ndarray:
        """World mm ``(..., 3)`` in the undeformed patient of points ``(..., 3)``."""
        relative = np.asarray(points_mm, dtype=float) - self.centre_mm
        moved = relative @ self.matrix.T + self.centre_mm
        for spacing_mm, values in self.nodes:
            index = np.moveaxis((relative + REACH_MM) / spacing_mm, -1, 0)
            for axis in range(3):
                moved[..., axis] += ndimage.map_coordinates(
                    values[axis], index, order=3, mode="nearest", prefilter=False
                )
        return moved

    def target(self, points_mm: np.ndarray) -> np.ndarray:
        """World mm ``(..., 3)`` in the deformed patient of points of the undeformed one."""
        wanted = np.asarray(points_mm, dtype=float)
        inverse = np.linalg.inv(self.matrix)
        found = (wanted - self.centre_mm) @ inverse.T + self.centre_mm
        for _ in range(20):
            found = found + (wanted - self.source(found)) @ inverse.T
        return found

    def sources(self, grid: Grid) -> np.ndarray:
        """World mm ``(3, k, j, i)`` float32 in the undeformed patient of every voxel of a grid."""
        every = np.maximum(np.floor(STEP_MM / grid.spacing_mm), 1).astype(int)
        knots = [np.arange(0, n + step, step) for n, step in zip(grid.shape, every, strict=True)]
        index = np.stack(np.meshgrid(*knots, indexing="ij"), axis=-1)
        dense = np.moveaxis(self.source(grid.world(index)), -1, 0).astype(np.float32)
        for axis, (n, step) in enumerate(zip(grid.shape, every, strict=True), start=1):
            at, share = np.divmod(np.arange(n), step)
            share = (share / step).astype(np.float32).reshape([-1] + [1] * (3 - axis))
            low, high = dense.take(at, axis), dense.take(at + 1, axis)
            dense = low + share * (high - low)
        return dense


def draw_warp(
    rng: np.random.Generator, centre_mm: np.ndarray, stretch: float, bends_mm: dict[float, float]
) -> Warp:
    """Draw a deformation.

    Parameters
    ----------
    stretch : float
        SD of the entries of the affine matrix about those of the identity.
    bends_mm : dict of float to float
        Spacing of the nodes in mm to the SD of their displacements in mm; a tenth of the spacing
        folds nothing.
    """
    matrix = np.eye(3) + np.clip(rng.normal(0, stretch, (3, 3)), -2 * stretch, 2 * stretch)
    nodes = []
    for spacing_mm, sd_mm in bends_mm.items():
        count = int(2 * REACH_MM / spacing_mm) + 2
        values = rng.normal(0, sd_mm, (3, count, count, count)).clip(-2 * sd_mm, 2 * sd_mm)
        nodes.append((spacing_mm, values.astype(np.float32)))
    return Warp(np.asarray(centre_mm, dtype=float), matrix, tuple(nodes))


def warped(image: np.ndarray, source: Grid, sources_mm: np.ndarray, outside: float) -> np.ndarray:
    """Bring an image ``[k, j, i]`` of the undeformed patient on `source` to the deformed one.

    Parameters
    ----------
    sources_mm : ndarray, (3, k, j, i)
        `Warp.sources` of the wanted grid.
    outside : float
        What lies outside `source`.

    Returns
    -------
    ndarray of float32, ``[k, j, i]``
        By linear interpolation.
    """
    inverse = source.inverse
    index = np.tensordot(inverse[:3, :3].astype(np.float32), sources_mm, 1)[::-1]
    index += inverse[:3, 3][::-1, None, None, None].astype(np.float32)
    return ndimage.map_coordinates(image, index, np.float32, order=1, cval=outside)
