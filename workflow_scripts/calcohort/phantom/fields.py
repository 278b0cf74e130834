"""Smooth distance fields on a coarse lattice: the building blocks of the second family."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.spatial import cKDTree

from calcohort.volume import Grid

LATTICE_MM = 2.0
FAR_MM = 1e3


@dataclass(frozen=True, eq=False)
class Field:
    """A signed distance in mm, negative inside, on an axial lattice; linear in between."""

    values: np.ndarray
    lattice: Grid

    def on(self, grid: Grid) -> np.ndarray:
        """Values on an axial grid ``[k, j, i]``, float32."""
        start = self.lattice.index(grid.world((0, 0, 0)))
        step = grid.spacing_mm / self.lattice.spacing_mm
        dense = self.values
        for axis, n in enumerate(grid.shape):
            at = np.clip(start[axis] + step[axis] * np.arange(n), 0, dense.shape[axis] - 1.001)
            low = at.astype(int)
            share = (at - low).astype(np.float32).reshape([-1] + [1] * (2 - axis))
            first, second = dense.take(low, axis), dense.take(low + 1, axis)
            dense = first + share * (second - first)
        return dense


def lattice_around(grid: Grid, margin_mm: float = 4.0) -> Grid:
    """Return the lattice that holds an axial grid."""
    ends = grid.world(np.array([[0, 0, 0], np.array(grid.shape) - 1]))
    low, high = ends.min(axis=0) - margin_mm, ends.max(axis=0) + margin_mm
    affine = np.diag([LATTICE_MM] * 3 + [1.0])
    affine[:3, 3] = low
    return Grid(tuple(int(n) for n in np.ceil((high - low)[::-1] / LATTICE_MM) + 1), affine)


def points_of(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World ``x, y, z`` of an axial grid's voxels, as arrays that broadcast to ``[k, j, i]``."""
    k, j, i = (np.arange(n, dtype=np.float32) for n in grid.shape)
    a = grid.affine.astype(np.float32)
    return (
        a[0, 0] * i + a[0, 3],
        (a[1, 1] * j + a[1, 3])[:, None],
        (a[2, 2] * k + a[2, 3])[:, None, None],
    )


def smooth_union(balls: np.ndarray, blend_mm: float) -> Callable[[Grid], np.ndarray]:
    """Distance to balls that melt into each other: ``-b log sum exp(-d / b)``.

    Parameters
    ----------
    balls : ndarray, (n, 4)
        Centres in world mm and radii in mm.
    blend_mm : float
        How softly they melt.
    """

    def distance(grid: Grid) -> np.ndarray:
        x, y, z = points_of(grid)
        total = np.zeros(grid.shape, dtype=np.float32)
        for cx, cy, cz, r in balls.astype(np.float32):
            d = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - r
            total += np.exp(np.clip(-d / np.float32(blend_mm), -60, 60))
        return -np.float32(blend_mm) * np.log(np.maximum(total, np.float32(1e-26)))

    return distance


def spline(points_mm: np.ndarray, count: int) -> np.ndarray:
    """Return `count` points on the interpolating spline of at most third degree."""
    points = np.asarray(points_mm, dtype=float)
    at = np.linspace(0, 1, len(points))
    return make_interp_spline(at, points, k=min(3, len(points) - 1))(np.linspace(0, 1, count))


def around(path: np.ndarray, within_mm: float = 40.0) -> Callable[[Grid], np.ndarray]:
    """Distance to a path of balls ``(n, 4)``, by its nearest centre; far beyond `within_mm`."""
    tree = cKDTree(path[:, :3])

    def distance(grid: Grid) -> np.ndarray:
        x, y, z = np.broadcast_arrays(*points_of(grid))
        found, nearest = tree.query(
            np.stack([x, y, z], axis=-1).reshape(-1, 3), distance_upper_bound=within_mm
        )
        radii = np.append(path[:, 3], 0.0)[nearest]
        return np.minimum(found - radii, FAR_MM).astype(np.float32).reshape(grid.shape)

    return distance
