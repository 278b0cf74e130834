"""Calcium: irregular deposits on the root's leaflets, annulus, junction and ostia, and beyond."""

from dataclasses import dataclass

import numpy as np

from calcohort.phantom.paint import solid_volume_mm3
from calcohort.phantom.root import Leaflets, Lumen, Root
from calcohort.phantom.shapes import Any, Both, Ellipsoid, Rough, Shape, Texture

WALL_MM = 1.0
DRAW_STEP_MM = 0.25
SITES = ("leaflet", "annulus", "junction", "ostium")
BEYOND_MM = {"outflow": (-9.0, -0.5), "aorta": (0.5, 12.0)}
"""Where deposits beyond the root lie: below the annulus, above the junction."""


@dataclass(frozen=True, eq=False)
class Deposit:
    """A piece of calcium.

    Attributes
    ----------
    shape : Shape
        Where it is, before it is cut to the root's region.
    hu : float
        HU of a voxel that it fills.
    site : str
        One of `SITES` or of `BEYOND_MM`.
    """

    shape: Shape
    hu: float
    site: str


def region(root: Root) -> Lumen:
    """Return the root's region: lumen from annulus to junction and 1 mm of its wall."""
    return Lumen(root, 0.0, root.height_mm, by_mm=WALL_MM)


def cut_to_root(deposits: tuple[Deposit, ...], root: Root) -> Any:
    """Return the deposits' parts in the root's region, as one shape."""
    return Any(tuple(Both((deposit.shape, region(root))) for deposit in deposits))


def cut_to_vessel(deposits: tuple[Deposit, ...], root: Root) -> Any:
    """Return the deposits' parts in the root and, beyond its two planes, in the vessel's wall."""
    vessel = Lumen(root, -15.0, root.height_mm + 18.0, by_mm=WALL_MM)
    return Any(tuple(Both((deposit.shape, vessel)) for deposit in deposits))


def draw_volume_mm3(rng: np.random.Generator) -> float:
    """Draw a patient's calcium volume: none in 10 %, else log-normal, median 130 mm³, up to 520.

    A reader's overlay holds the blurred rim too, about a third more: 0 to 700 mm³, as in the paper.
    """
    if rng.random() < 0.1:
        return 0.0
    return float(np.clip(rng.lognormal(np.log(130), 0.95), 4, 520))


def draw_deposits(
    rng: np.random.Generator,
    root: Root,
    leaflets: Leaflets,
    ostia_mm: np.ndarray,
    volume_mm3: float,
    lowest_hu: float,
) -> tuple[Deposit, ...]:
    """Draw deposits until they hold about `volume_mm3`.

    Parameters
    ----------
    ostia_mm : ndarray, (n, 3)
        Where the coronaries leave the root, world mm.
    lowest_hu : float
        No deposit is less dense than this.
    """
    on_leaflets = _points_on_leaflets(rng, root, leaflets)
    texture = Texture(int(rng.integers(1 << 31)), smooth_mm=0.68)
    deposits: list[Deposit] = []
    total = 0.0
    while volume_mm3 - total > 2:
        site = rng.choice(SITES, p=[0.62, 0.2, 0.11, 0.07])
        hu = float(max(rng.uniform(900, 1600), lowest_hu))
        wanted = min(volume_mm3 - total, rng.lognormal(np.log(28), 0.9))
        size = np.clip((wanted / 26) ** (1 / 3), 0.45, 1.9) * 1.5
        point = _site_point(rng, site, root, on_leaflets, ostia_mm)
        axes = _surface_axes(rng, root, leaflets, point)
        shape = Rough(blob(rng, point, axes, size), texture, amplitude_mm=0.13 * size)
        volume = solid_volume_mm3(Both((shape, region(root))), DRAW_STEP_MM)
        if volume < 0.5 or total + volume > volume_mm3 + 12:
            continue
        total += volume
        deposits.append(Deposit(shape, hu, str(site)))
    return tuple(deposits)


def draw_deposits_beyond(
    rng: np.random.Generator, root: Root, chance: float, lowest_hu: float
) -> tuple[Deposit, ...]:
    """Draw deposits on the wall below the annulus and above the junction, each with a `chance`.

    What of them reaches into the root counts; the rest does not.
    """
    texture = Texture(int(rng.integers(1 << 31)), smooth_mm=0.68)
    deposits = []
    for site, (low, high) in BEYOND_MM.items():
        if rng.random() > chance:
            continue
        start = root.height_mm if site == "aorta" else 0.0
        for _ in range(rng.integers(1, 6)):
            phi, w = rng.uniform(-np.pi, np.pi), start + rng.uniform(low, high)
            r = float(root.radius(np.float32(phi), np.float32(w))) - 0.3
            point, centre = root.world(r, phi, w), root.world(0.0, phi, w)
            axes = _axes_of((point - centre) / r, rng)
            size = rng.uniform(0.7, 2.8)
            shape = Rough(blob(rng, point, axes, size), texture, amplitude_mm=0.13 * size)
            deposits.append(Deposit(shape, float(max(rng.uniform(900, 1600), lowest_hu)), site))
    return tuple(deposits)


def _points_on_leaflets(rng, root: Root, leaflets: Leaflets) -> np.ndarray:
    w = rng.uniform(0.3, leaflets.commissure_mm, 60000)
    r = 20 * np.sqrt(rng.random(60000))
    points = root.world(r, rng.uniform(-np.pi, np.pi, 60000), w)
    inside = leaflets.distance(*points.T.astype(np.float32)) < 0
    near_wall = r > rng.uniform(0, 0.75, 60000) * root.annulus_radius_mm
    return points[inside & near_wall]


def _site_point(rng, site: str, root: Root, on_leaflets: np.ndarray, ostia_mm) -> np.ndarray:
    phi = rng.uniform(-np.pi, np.pi)
    if site == "leaflet":
        return on_leaflets[rng.integers(len(on_leaflets))]
    if site == "ostium":
        return ostia_mm[rng.integers(len(ostia_mm))] + rng.normal(0, 1.5, 3)
    low, high = (0.3, 2.5) if site == "annulus" else (root.height_mm - 3, root.height_mm - 0.5)
    w = rng.uniform(low, high)
    return root.world(root.radius(np.float32(phi), np.float32(w)) - 0.3, phi, w)


def blob(rng, point, axes, size_mm: float) -> Any:
    """Return a cluster of flat ellipsoids that creep along a surface with the normal `axes[2]`."""
    parts = []
    for _ in range(rng.integers(2, 7)):
        step = rng.normal(0, 1, 3) * size_mm * np.array([0.9, 0.9, 0.25])
        radii = size_mm * rng.uniform([0.6, 0.5, 0.35], [1.25, 1.0, 0.75])
        turn = rng.normal(0, 0.35)
        cos, sin = np.cos(turn), np.sin(turn)
        spin = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        parts.append(Ellipsoid(point + step @ axes, radii, spin @ axes))
    return Any(tuple(parts))


def _surface_axes(rng, root: Root, leaflets: Leaflets, point) -> np.ndarray:
    surface = Any((leaflets, Lumen(root, -20, root.height_mm + 20)))
    ends = point + 0.4 * np.concatenate([np.eye(3), -np.eye(3)])
    values = surface.distance(*ends.T.astype(np.float32))
    normal = values[:3] - values[3:] + rng.normal(0, 1e-3, 3)
    return _axes_of(normal / np.linalg.norm(normal), rng)


def _axes_of(normal, rng) -> np.ndarray:
    first = np.cross(normal, rng.normal(size=3))
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(normal, first), normal])
