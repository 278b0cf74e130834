"""The aortic root: three sinuses between annulus and sinotubular junction, with its leaflets.

A bicuspid root has two sinuses and two leaflets. The root has its own frame: `w` mm along its axis
from the annulus plane (the hinge points, w = 0) to the sinotubular junction (w = `height_mm`), and
polar `r` (mm) and `phi` (rad) around it.
Sizes follow adult CT: annulus 21-28 mm, sinuses 28-40 mm, junction 24-33 mm wide, root 18-25 mm
high.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from calcohort.phantom.shapes import local

SINUS = ((0.0, 0.06), (0.22, 0.78), (0.45, 1.0), (0.75, 0.72), (0.93, 0.17), (1.0, 0.03))
"""A sinus from annulus to junction: share of the height, share of the bulge."""


@dataclass(frozen=True, eq=False)
class Root:
    """Pose and size of a root.

    Attributes
    ----------
    origin_mm : ndarray, (3,)
        Centre of the annulus, world mm.
    axes : ndarray, (3, 3)
        Rows: two directions of the annulus plane and the axis towards the junction.
    height_mm : float
        Distance of the sinotubular junction's plane from the annulus plane.
    lvot_radius_mm, annulus_radius_mm, junction_radius_mm, tubular_radius_mm : float
        Radii of the lumen below, at, above and well above the sinuses.
    bulge_mm : float
        How far a sinus reaches beyond the straight line from annulus to junction.
    commissure : float
        Share of the bulge that is left at the commissures, 0 to 1.
    ellipticity : float
        Relative excess of the annulus' long radius; it fades towards the junction.
    first_sinus_rad : float
        `phi` of the right coronary sinus; non-coronary and left follow at -120 and +120 degrees.
    cusps : int
        Sinuses and leaflets: 3, or 2 in a bicuspid root.
    sinus : tuple of (float, float)
        How a sinus rises and falls: share of the height, share of the bulge.
    lvot_mm, tubular_mm : float
        Below the annulus and above the junction the lumen takes so long to reach its own radius.
    """

    origin_mm: np.ndarray
    axes: np.ndarray
    height_mm: float
    lvot_radius_mm: float
    annulus_radius_mm: float
    junction_radius_mm: float
    tubular_radius_mm: float
    bulge_mm: float
    commissure: float
    ellipticity: float
    first_sinus_rad: float
    cusps: int = 3
    sinus: tuple[tuple[float, float], ...] = SINUS
    lvot_mm: float = 6.0
    tubular_mm: float = 8.0

    @property
    def sector_rad(self) -> float:
        """Half the angle that a sinus takes."""
        return np.pi / self.cusps

    @functools.cached_property
    def _profile(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        h, tube = self.height_mm, self.height_mm + self.tubular_mm
        table = np.linspace(-30, h + 40, 701)
        base = PchipInterpolator(
            [-30, -8 - self.lvot_mm, -self.lvot_mm, 0, h, tube, tube + 12, h + 40],
            [
                self.lvot_radius_mm * 1.15,
                self.lvot_radius_mm * 1.06,
                self.lvot_radius_mm,
                self.annulus_radius_mm,
                self.junction_radius_mm,
                self.tubular_radius_mm * 0.98,
                self.tubular_radius_mm,
                self.tubular_radius_mm,
            ],
        )
        up, out = zip(*self.sinus, strict=True)
        bulge = PchipInterpolator(
            [-30, -1, *(share * h for share in up), h + 1, h + 40], [0, 0, *out, 0, 0]
        )
        return table, base(table), bulge(table) * self.bulge_mm

    def polar(self, x, y, z):
        """Root coordinates ``r, phi, w`` of world points (mm, rad, mm)."""
        u, v, w = local(self.origin_mm, self.axes, x, y, z)
        return np.sqrt(u * u + v * v), np.arctan2(v, u), w

    def world(self, r, phi, w) -> np.ndarray:
        """World mm ``(..., 3)`` of root coordinates."""
        r, phi, w = np.broadcast_arrays(r, phi, w)
        return np.stack([r * np.cos(phi), r * np.sin(phi), w], axis=-1) @ self.axes + self.origin_mm

    def radius(self, phi, w):
        """Radius of the lumen in mm at `phi`, `w`."""
        table, base, bulge = self._profile
        f = np.float32
        lobe = np.abs(np.cos(f(self.cusps / 2) * (phi - f(self.first_sinus_rad))))
        lobe = f(self.commissure) + f(1 - self.commissure) * lobe
        fade = np.clip(1 - w / f(self.height_mm), 0, 1) * f(self.ellipticity)
        ellipse = 1 + fade * np.cos(2 * (phi - f(self.first_sinus_rad)))
        shape = np.shape(w)
        flat = np.ravel(w)
        straight = np.interp(flat, table, base).astype(f).reshape(shape)
        return straight * ellipse + np.interp(flat, table, bulge).astype(f).reshape(shape) * lobe

    def sinus_phi(self, sinus: int) -> float:
        """`phi` of the middle of the right (0), left (1) or non-coronary (2) sinus."""
        return self.first_sinus_rad + sinus * 2 * self.sector_rad

    def from_sinus(self, phi):
        """Angle from the middle of the nearest sinus, at most half a sinus, in rad."""
        f = np.float32
        turn = (phi - f(self.first_sinus_rad)) / f(2 * self.sector_rad)
        return (turn - np.round(turn)) * f(2 * self.sector_rad)


@dataclass(frozen=True, eq=False)
class Lumen:
    """The root's lumen from `low_mm` to `high_mm` along its axis, grown sideways by `by_mm`."""

    root: Root
    low_mm: float
    high_mm: float
    by_mm: float = 0.0

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        root = self.root
        ends = root.origin_mm + np.outer([self.low_mm, self.high_mm], root.axes[2])
        widest = max(root.tubular_radius_mm, root.junction_radius_mm, root.lvot_radius_mm * 1.2)
        reach = (widest + root.bulge_mm + 2 + self.by_mm) * np.sqrt(1 - root.axes[2] ** 2)
        return np.array([ends.min(axis=0) - reach, ends.max(axis=0) + reach])

    def distance(self, x, y, z):
        """Signed distance in mm, of first order at the wall, exact at the two planes."""
        r, phi, w = self.root.polar(x, y, z)
        wall = (r - self.root.radius(phi, w) - np.float32(self.by_mm)) * np.float32(0.9)
        return np.maximum(
            wall, np.maximum(np.float32(self.low_mm) - w, w - np.float32(self.high_mm))
        )


@dataclass(frozen=True, eq=False)
class Leaflets:
    """The three leaflets, closed (diastole) or half open (systole), as thin sheets.

    Each hangs from a hinge line that dips from the commissures to the annulus plane in the middle
    of its sinus. Closed leaflets meet on three half-planes through the axis; open ones stand as a
    sleeve of `opening` times the lumen's radius. The commissures stand at `commissures` times the
    root's height, which the edges reach `beyond_hinge_mm` outside of the hinge's radius.
    """

    root: Root
    thickness_mm: float
    coaptation: float
    opening: float
    commissures: float = 0.9
    beyond_hinge_mm: float = 2.0

    @property
    def bounds_mm(self) -> np.ndarray:
        """Box ``(2, 3)`` in world mm that holds the shape."""
        return Lumen(self.root, -1.0, self.root.height_mm).bounds_mm

    @property
    def commissure_mm(self) -> float:
        """Height of the commissures above the annulus plane."""
        return self.commissures * self.root.height_mm

    def sheet_height(self, r, phi):
        """Height `w` in mm of a closed leaflet's belly at `r`, `phi`, and distance to its edge."""
        f = np.float32
        side = self.root.from_sinus(phi)
        hinge = self.root.radius(phi, np.zeros_like(np.asarray(phi, dtype=f)))
        to_edge = r * np.sin(np.maximum(f(self.root.sector_rad) - np.abs(side), 0))
        share = np.clip(r / (hinge + f(self.beyond_hinge_mm)), 0, 1)
        top = f(self.coaptation * self.root.height_mm)
        edge = top + (f(self.commissure_mm) - top) * share * share
        belly = np.clip(to_edge / (hinge * f(np.sin(self.root.sector_rad))), 0, 1)
        return (edge - f(0.16 * self.root.height_mm)) * (1 - belly) ** f(1.4), to_edge, edge

    def distance(self, x, y, z):
        """Signed distance in mm, of first order."""
        f = np.float32
        r, phi, w = self.root.polar(x, y, z)
        half = f(self.thickness_mm / 2)
        if self.opening > 0:
            sheet = self._open(r, phi, w)
        else:
            belly, to_edge, edge = self.sheet_height(r, phi)
            sheet = np.abs(w - belly) * f(0.65)
            meeting = np.maximum(to_edge, np.maximum(belly - w, w - edge))
            sheet = np.minimum(sheet, meeting)
        inside = np.maximum(r - self.root.radius(phi, w), -w)
        return np.maximum(sheet - half, inside - f(0.3))

    def _open(self, r, phi, w):
        f = np.float32
        side = np.abs(self.root.from_sinus(phi)) / f(self.root.sector_rad)
        hinge = f(self.commissure_mm) * side * side
        away = np.clip((w - hinge) / f(7), 0, 1) * (1 - side**4)
        sleeve = self.root.radius(phi, w) * (1 - away * f(1 - self.opening))
        return np.maximum(np.abs(r - sleeve), np.maximum(hinge - w, w - f(self.commissure_mm)))
