"""Solid shapes in world millimetres, as signed distances.

A shape has `bounds_mm`, a ``(2, 3)`` box (low, high) of world coordinates ``x, y, z`` that holds
it, and ``distance(x, y, z)``, the signed distance to its surface in mm, negative inside. The three
coordinates are float arrays that broadcast against each other. Distances are exact for capsules
and planes and of first order for the rest; none grows faster than `STEEPEST` mm per mm, which is
what the renderer's culling relies on.
"""

import functools
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

STEEPEST = 1.6
WAVES = 32
FEW = 4096
"""Points of which all waves are computed at once."""
EVERYWHERE = np.array([[-1e5] * 3, [1e5] * 3])


class Shape(Protocol):
    """What every shape offers."""

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Signed distance in mm, negative inside."""


def local(origin, rows, x, y, z):
    """Coordinates ``rows @ (p - origin)`` of points, as arrays that broadcast."""
    rows = np.asarray(rows)
    results = []
    for row, shift in zip(rows, rows @ np.asarray(origin), strict=True):
        total = np.float32(-shift)
        for factor, axis in zip(row[::-1], (z, y, x), strict=True):
            if factor:
                total = total + np.float32(factor) * axis
        results.append(total)
    return tuple(results)


@dataclass(frozen=True, eq=False)
class Texture:
    """A smooth random field over the world, mean 0 and SD 1, clipped to ±2.5.

    A sum of `WAVES` plane waves whose wave vectors are those of white noise smoothed by a gaussian
    of SD `smooth_mm`. Where the points form an axial grid the waves are multiplied as matrices.
    """

    seed: int
    smooth_mm: float

    @functools.cached_property
    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, WAVES])
        vectors = rng.normal(0, 1 / (np.sqrt(2) * self.smooth_mm), (WAVES, 3))
        return vectors.astype(np.float32), rng.uniform(0, 2 * np.pi, WAVES).astype(np.float32)

    def __call__(self, x, y, z) -> np.ndarray:
        """Values at the points, float32, of their broadcast shape."""
        vectors, phases = self._waves
        x, y, z = np.broadcast_arrays(x, y, z) if np.ndim(x) != 3 else (x, y, np.atleast_3d(z))
        if np.ndim(z) == 3 and z.size == z.shape[0] and x.shape[0] == y.shape[0] == 1:
            plane = vectors[:, 0, None, None] * x[0] + vectors[:, 1, None, None] * y[0]
            plane += phases[:, None, None]
            depth = z[:, 0] * vectors[:, 2]
            left = np.concatenate([np.cos(depth), -np.sin(depth)], axis=1)
            right = np.concatenate([np.cos(plane), np.sin(plane)]).reshape(2 * WAVES, -1)
            total = (left @ right).reshape(len(left), *plane.shape[1:])
        elif x.size <= FEW:
            v, p = (a.reshape(*a.shape, *[1] * x.ndim) for a in (vectors.T, phases))
            waves = np.cos(v[0] * x + v[1] * y + (v[2] * z + p))
            total = np.add.accumulate(waves)[-1]
        else:
            total = sum(
                np.cos(v[0] * x + v[1] * y + (v[2] * z + p))
                for v, p in zip(vectors, phases, strict=True)
            )
        return np.clip(total * np.float32(np.sqrt(2 / WAVES)), -2.5, 2.5)


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid with `radii_mm` along the rows of the rotation `axes`."""

    centre_mm: np.ndarray
    radii_mm: np.ndarray
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        half = np.sqrt(((np.asarray(self.radii_mm)[:, None] * self.axes) ** 2).sum(axis=0))
        return np.array([self.centre_mm - half, self.centre_mm + half])

    def distance(self, x, y, z):
        """Signed distance in mm, of first order at the surface."""
        radii = np.asarray(self.radii_mm, dtype=float)
        u, v, w = local(self.centre_mm, self.axes / radii[:, None], x, y, z)
        u2, v2, w2 = u * u, v * v, w * w
        k0 = np.sqrt(u2 + v2 + w2) + np.float32(1e-6)
        a, b, c = (1 / radii**2).astype(np.float32)
        k1 = np.sqrt(a * u2 + b * v2 + c * w2) + np.float32(1e-6 / radii.min())
        return k0 * (k0 - 1) / k1


def sphere(centre_mm, radius_mm: float) -> Ellipsoid:
    """Return a sphere."""
    return Ellipsoid(np.asarray(centre_mm, dtype=float), np.full(3, float(radius_mm)))


@dataclass(frozen=True, eq=False)
class Capsule:
    """A piece of tube between two points whose radius changes evenly; its ends are round."""

    start_mm: np.ndarray
    stop_mm: np.ndarray
    start_radius_mm: float
    stop_radius_mm: float

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        points = np.array([self.start_mm, self.stop_mm])
        reach = max(self.start_radius_mm, self.stop_radius_mm)
        return np.array([points.min(axis=0) - reach, points.max(axis=0) + reach])

    def distance(self, x, y, z):
        """Signed distance in mm."""
        f = np.float32
        along = np.asarray(self.stop_mm, dtype=float) - self.start_mm
        x, y, z = (c - f(s) for c, s in zip((x, y, z), self.start_mm, strict=True))
        ax, ay, az = along.astype(f)
        t = (ax * x + ay * y + az * z) * f(1 / max(along @ along, 1e-9))
        t = np.clip(t, 0, 1)
        radius = f(self.start_radius_mm) + t * f(self.stop_radius_mm - self.start_radius_mm)
        return np.sqrt((x - t * ax) ** 2 + (y - t * ay) ** 2 + (z - t * az) ** 2) - radius


def tube(points_mm, radii_mm) -> list[Capsule]:
    """Return the capsules along a polyline ``(n, 3)`` with one radius, or one per point."""
    points = np.asarray(points_mm, dtype=float)
    radii = np.broadcast_to(np.asarray(radii_mm, dtype=float), len(points))
    return [
        Capsule(points[n], points[n + 1], radii[n], radii[n + 1]) for n in range(len(points) - 1)
    ]


@dataclass(frozen=True, eq=False)
class Column:
    """An endless column along z whose section lies between ellipse and rounded square.

    `turn_rad` turns it about z; `waves` moves its wall in and out by `waves_mm`, alike at all z.
    """

    centre_mm: np.ndarray
    half_widths_mm: np.ndarray
    squareness: float = 0.3
    turn_rad: float = 0.0
    waves: Texture | None = None
    waves_mm: float = 0.0

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape, endless in z."""
        half = np.array([1.5 * max(self.half_widths_mm) + 3 * self.waves_mm] * 2 + [1e5])
        return np.array([self.centre_mm - half, self.centre_mm + half])

    def distance(self, x, y, z):
        """Signed distance in mm, of first order at the surface."""
        cos, sin = np.cos(self.turn_rad), np.sin(self.turn_rad)
        half = np.asarray(self.half_widths_mm, dtype=float)
        rows = np.array([[cos, sin, 0], [-sin, cos, 0]]) / half[:, None]
        u, v = local(self.centre_mm, rows, x, y, z)
        u2, v2 = u * u, v * v
        round_ = np.sqrt(u2 + v2)
        square = np.sqrt(np.sqrt(u2 * u2 + v2 * v2))
        edge = round_ + np.float32(self.squareness) * (square - round_)
        distance = (edge - 1) * np.float32(half.min())
        if self.waves:
            distance += np.float32(self.waves_mm) * self.waves(x, y, np.float32(0))
        return distance


@dataclass(frozen=True, eq=False)
class Slab:
    """The space between two parallel planes: ``low <= normal @ (p - origin) <= high``."""

    origin_mm: np.ndarray
    normal: np.ndarray
    low_mm: float
    high_mm: float
    bounds_mm: np.ndarray = field(default_factory=lambda: EVERYWHERE)

    def distance(self, x, y, z):
        """Signed distance in mm."""
        (w,) = local(self.origin_mm, np.asarray(self.normal)[None], x, y, z)
        middle, half = (self.low_mm + self.high_mm) / 2, (self.high_mm - self.low_mm) / 2
        return np.abs(w - np.float32(middle)) - np.float32(half)


@dataclass(frozen=True, eq=False)
class Grown:
    """A shape grown by `by_mm` (shrunk where negative)."""

    shape: Shape
    by_mm: float

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        return self.shape.bounds_mm + np.array([[-1.0], [1.0]]) * 1.5 * max(self.by_mm, 0)

    def distance(self, x, y, z):
        """Signed distance in mm."""
        return self.shape.distance(x, y, z) - np.float32(self.by_mm)


@dataclass(frozen=True, eq=False)
class Both:
    """What lies in all of several shapes."""

    shapes: tuple[Shape, ...]

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        boxes = np.array([s.bounds_mm for s in self.shapes])
        low = boxes[:, 0].max(axis=0)
        return np.array([low, np.maximum(boxes[:, 1].min(axis=0), low)])

    def distance(self, x, y, z):
        """Signed distance in mm, right at the surface."""
        return functools.reduce(np.maximum, (s.distance(x, y, z) for s in self.shapes))


@dataclass(frozen=True, eq=False)
class Without:
    """What lies in one shape and not in another."""

    shape: Shape
    hole: Shape

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        return self.shape.bounds_mm

    def distance(self, x, y, z):
        """Signed distance in mm, right at the surface."""
        return np.maximum(self.shape.distance(x, y, z), -self.hole.distance(x, y, z))


@dataclass(frozen=True, eq=False)
class Any:
    """What lies in at least one of several shapes."""

    shapes: tuple[Shape, ...]

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        boxes = np.array([s.bounds_mm for s in self.shapes])
        return np.array([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)])

    def distance(self, x, y, z):
        """Signed distance in mm."""
        return functools.reduce(np.minimum, (s.distance(x, y, z) for s in self.shapes))


@dataclass(frozen=True, eq=False)
class Rough:
    """A shape whose surface is moved in and out by `amplitude_mm` times a texture."""

    shape: Shape
    texture: Texture
    amplitude_mm: float

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        return self.shape.bounds_mm + np.array([[-1.0], [1.0]]) * 3 * self.amplitude_mm

    def distance(self, x, y, z):
        """Signed distance in mm, right at the surface."""
        smooth = self.shape.distance(x, y, z)
        return smooth + np.float32(self.amplitude_mm) * self.texture(x, y, z)
