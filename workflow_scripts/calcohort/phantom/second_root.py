"""The second family's root: a bent tube whose section is a Fourier series over spline profiles."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from calcohort.phantom.fields import FAR_MM

ANNULUS = 2
"""Place of the annulus in `BentRoot.radii_mm`."""


@dataclass(frozen=True, eq=False)
class BentRoot:
    """A root between the planes ``s = 0`` (annulus) and ``s = height_mm`` (junction).

    Its centre line leaves the axis by ``bend s²``, and its radius is
    ``R(s) (1 + e(s) cos 2(phi - turn) + c(s) cos 3(phi - turn))``. The cusps hang from the annulus
    and rise to the junction along the seams between them, and between sinuses and tube the lumen is
    narrowest at the junction, as the two are defined.

    Attributes
    ----------
    origin_mm : ndarray, (3,)
    axes : ndarray, (3, 3)
        Rows: two directions across, and the axis.
    height_mm : float
    radii_mm : ndarray, (7,)
        Control points of R at -20, -6, 0, 0.4, 0.75, 1 and 2.2 heights (mm for the first two).
    oval, lobes : float
        e and c where they are largest.
    turn_rad, bend_per_mm : float
    """

    origin_mm: np.ndarray
    axes: np.ndarray
    height_mm: float
    radii_mm: np.ndarray
    oval: float
    lobes: float
    turn_rad: float
    bend_per_mm: float

    def coordinates(self, x, y, z):
        """Along the axis `s` (mm), around it `phi` (rad) and from the centre line `r` (mm)."""
        f = np.float32
        rows, shift = self.axes.astype(f), (self.axes @ self.origin_mm).astype(f)
        u, v, s = (a[0] * x + a[1] * y + a[2] * z - b for a, b in zip(rows, shift, strict=True))
        u = u - f(self.bend_per_mm) * s * s
        return s, np.arctan2(v, u), np.sqrt(u * u + v * v)

    def radius(self, s, phi):
        """Radius of the lumen in mm."""
        h = self.height_mm
        knots = np.array([-20.0, -6.0, 0.0, 0.4 * h, 0.75 * h, h, 2.2 * h])
        table = np.linspace(knots[0], knots[-1], 600)
        base = np.interp(s, table, PchipInterpolator(knots, self.radii_mm)(table))
        inside = np.sin(np.pi * np.clip(s / h, 0, 1))
        oval = self.oval * np.clip(1 - s / h, 0, 1)
        turned = phi - self.turn_rad
        shape = 1 + oval * np.cos(2 * turned) + self.lobes * inside * np.cos(3 * turned)
        return (base * shape).astype(np.float32)

    def lumen(self, x, y, z, low_mm: float, high_mm: float, by_mm: float = 0.0):
        """Signed distance in mm, of first order, to the lumen between two planes."""
        s, phi, r = self.coordinates(x, y, z)
        wall = r - self.radius(s, phi) - np.float32(by_mm)
        return np.maximum(wall, np.maximum(low_mm - s, s - high_mm)).astype(np.float32)

    def world(self, s, phi, r) -> np.ndarray:
        """World mm ``(..., 3)``."""
        u = r * np.cos(phi) + self.bend_per_mm * np.square(s)
        return np.stack([u, r * np.sin(phi), s + 0 * phi], axis=-1) @ self.axes + self.origin_mm

    def cusps(self, x, y, z, thick_mm: float):
        """Signed distance in mm, of first order, to three closed cusps: shells of paraboloids."""
        s, phi, r = self.coordinates(x, y, z)
        share = np.clip(r / np.maximum(self.radius(s, phi), 1), 0, 1)
        third = (phi - self.turn_rad + np.pi / 3) % (2 * np.pi / 3) - np.pi / 3
        seam = r * np.sin(np.pi / 3 - np.abs(third))
        deepest = np.float32(self.radii_mm[ANNULUS] * np.sin(np.pi / 3))
        belly = self.height_mm * 0.54 * (1 - np.clip(seam / deepest, 0, 1)) ** 2
        edge = self.height_mm * (0.5 + 0.46 * share**3)
        sheet = np.abs(s - belly) * 0.6
        meeting = np.maximum(seam, np.maximum(belly - s, s - edge))
        thin = np.minimum(sheet, meeting) - thick_mm / 2
        return np.maximum(thin, np.maximum(r - self.radius(s, phi), -s)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Grains:
    """Calcium: grains along random walks that creep over leaflets and wall.

    Attributes
    ----------
    places_mm : ndarray, (n, 3)
    radii_mm : ndarray, (n,)
    hu : float
    """

    places_mm: np.ndarray
    radii_mm: np.ndarray
    hu: float

    def distance(self, points_mm: np.ndarray) -> np.ndarray:
        """Signed distance in mm of points ``(n, 3)`` to the nearest grain's surface."""
        if not len(self.radii_mm):
            return np.full(len(points_mm), FAR_MM, dtype=np.float32)
        near, which = cKDTree(self.places_mm).query(points_mm, k=min(8, len(self.radii_mm)))
        return (near - self.radii_mm[which]).reshape(len(points_mm), -1).min(axis=1)


def draw_grains(rng: np.random.Generator, root: BentRoot, wanted_mm3: float, hu: float) -> Grains:
    """Draw walks until their grains hold about `wanted_mm3`, overlaps not counted."""
    places, radii, total = [], [], 0.0
    while total < wanted_mm3:
        phi, on_wall = rng.uniform(-np.pi, np.pi), rng.random() < 0.4
        s = root.height_mm * (rng.uniform(0.02, 0.95) if on_wall else rng.uniform(0.15, 0.6))
        share = rng.uniform(0.9, 0.98) if on_wall else rng.uniform(0.15, 0.85)
        for _ in range(rng.integers(4, 30)):
            s = np.clip(s + rng.normal(0, 0.7), 0.6, root.height_mm - 0.6)
            phi += rng.normal(0, 0.08)
            r = share * float(root.radius(np.array([s]), np.array([phi]))[0])
            size = rng.uniform(0.4, 1.2)
            places.append(root.world(np.array(s), np.array(phi), np.array(r)))
            radii.append(size)
            total += 2.2 * size**3
            if total >= wanted_mm3:
                break
    return Grains(np.array(places).reshape(-1, 3), np.array(radii), hu)
