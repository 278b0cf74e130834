"""Solid shapes onto a grid: partial volume at surfaces, work only near them."""

from collections.abc import Callable, Iterator

import numpy as np

from calcohort.phantom.shapes import STEEPEST, Any, Shape
from calcohort.volume import Grid

BLOCK = (24, 32, 32)
WHOLE = np.ones((1, 1, 1), dtype=np.float32)

Fill = float | Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def coordinates(grid: Grid, block: tuple[slice, slice, slice]) -> tuple[np.ndarray, ...]:
    """World ``x, y, z`` of a block's voxels, float32, that broadcast to the block's shape."""
    k, j, i = (np.arange(s.start, s.stop, dtype=float) for s in block)
    index = i, j[:, None], k[:, None, None]
    world = []
    for *factors, value in grid.affine[:3]:
        for factor, axis in zip(factors, index, strict=True):
            if factor:
                value = value + factor * axis
        value = np.asarray(value, dtype=np.float32)
        world.append(value.reshape((1,) * (3 - value.ndim) + value.shape))
    return tuple(world)


def cover(shape: Shape, grid: Grid) -> Iterator[tuple[tuple[slice, slice, slice], np.ndarray]]:
    """Share of every voxel that a shape fills, block by block.

    The share is ``clip(0.5 - distance / voxel, 0, 1)``; blocks that the shape does not reach are
    left out, blocks inside it are not computed.

    Yields
    ------
    block : tuple of slice
        Where the block lies in the grid.
    share : ndarray of float32
        0 to 1, of a shape that broadcasts to the block's.
    """
    voxel = np.float32(grid.voxel_volume_mm3 ** (1 / 3))
    starts, stops = _blocks(shape, grid, float(voxel))
    if not len(starts):
        return
    reach = np.linalg.norm((stops - starts).max(axis=0) * grid.spacing_mm) / 2 * STEEPEST + voxel
    if len(starts) > 4:
        middle = grid.world((starts + stops - 1) / 2).astype(np.float32)
        distance = np.broadcast_to(shape.distance(*middle.T), len(starts))
    else:
        distance = np.zeros(len(starts))
    for start, stop, at in zip(starts, stops, distance, strict=True):
        if at > reach:
            continue
        block = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        if at < -reach:
            yield block, WHOLE
            continue
        part = _near(shape, grid, start, stop, float(voxel))
        if part is None:
            continue
        share = np.clip(np.float32(0.5) - part.distance(*coordinates(grid, block)) / voxel, 0, 1)
        if share.any():
            yield block, share


def _blocks(shape: Shape, grid: Grid, margin_mm: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = shape.bounds_mm
    inverse = grid.inverse[2::-1]
    middle = inverse[:, :3] @ ((low + high) / 2) + inverse[:, 3]
    half = np.abs(inverse[:, :3]) @ ((high - low) / 2 + margin_mm)
    first = np.clip(np.floor(middle - half), 0, grid.shape).astype(int)
    last = np.clip(np.ceil(middle + half) + 1, 0, grid.shape).astype(int)
    if (last <= first).any():
        return np.empty((0, 3), int), np.empty((0, 3), int)
    axes = [np.arange(a, b, n) for a, b, n in zip(first, last, BLOCK, strict=True)]
    starts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return starts, np.minimum(starts + BLOCK, last)


def _near(shape: Shape, grid: Grid, start, stop, margin_mm: float) -> Shape | None:
    if not isinstance(shape, Any):
        return shape
    ends = np.array(np.meshgrid(*zip(start, stop - 1, strict=True))).reshape(3, -1).T
    corners = grid.world(ends)
    low, high = corners.min(axis=0) - margin_mm, corners.max(axis=0) + margin_mm
    parts = tuple(
        s for s in shape.shapes if (s.bounds_mm[0] <= high).all() and (s.bounds_mm[1] >= low).all()
    )
    return Any(parts) if parts else None


def paint(image: np.ndarray, grid: Grid, shape: Shape, fill: Fill) -> None:
    """Paint a shape over `image` ``[k, j, i]``; `fill` is a value or a function of the world."""
    for block, share in cover(shape, grid):
        value = fill(*coordinates(grid, block)) if callable(fill) else np.float32(fill)
        if share is WHOLE:
            image[block] = value
        else:
            image[block] += share * (value - image[block])


def solid_volume_mm3(shape: Shape, step_mm: float) -> float:
    """Volume of a shape by summing the shares of cubic voxels of `step_mm`."""
    low, high = shape.bounds_mm + np.array([[-step_mm], [step_mm]])
    affine = np.diag([step_mm, step_mm, step_mm, 1.0])
    affine[:3, 3] = low
    count = np.maximum(np.ceil((high - low) / step_mm).astype(int) + 1, 1)
    grid = Grid(tuple(int(n) for n in count[::-1]), affine)
    total = 0.0
    for block, share in cover(shape, grid):
        size = np.prod([s.stop - s.start for s in block])
        total += float(share.sum(dtype=np.float64)) * size / share.size
    return total * step_mm**3


def shares(shape: Shape, grid: Grid, finer: int) -> np.ndarray:
    """Share of every voxel ``[k, j, i]`` that a small shape fills, on a `finer` times finer grid.

    Returns
    -------
    ndarray of float32, of the grid's shape
    """
    whole = np.zeros(grid.shape, dtype=np.float32)
    starts, stops = _blocks(shape, grid, float(grid.spacing_mm.max()))
    if not len(starts):
        return whole
    start, stop = starts.min(axis=0), stops.max(axis=0)
    window = grid.window(start, stop - start)
    affine = window.affine.copy()
    affine[:3, :3] /= finer
    affine[:3, 3] = window.world(np.full(3, (1 / finer - 1) / 2))
    fine = Grid(tuple(int(n) * finer for n in window.shape), affine)
    image = np.zeros(fine.shape, dtype=np.float32)
    for block, share in cover(shape, fine):
        image[block] = share
    k, j, i = window.shape
    mean = image.reshape(k, finer, j, finer, i, finer).mean(axis=(1, 3, 5))
    whole[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = mean
    return whole
