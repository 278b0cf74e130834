"""Heart and great vessels as layers to paint, around a root at the origin of a template.

The template is in mm, RAS+, with the centre of the aortic annulus at the origin. A patient's heart
is the template with jittered points, scaled and turned (`Pose`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calcohort.phantom.paint import Fill
from calcohort.phantom.root import Leaflets, Lumen, Root
from calcohort.phantom.shapes import (
    Any,
    Both,
    Ellipsoid,
    Grown,
    Rough,
    Shape,
    Slab,
    Texture,
    tube,
)


@dataclass(frozen=True, eq=False)
class Layer:
    """One shape to paint and what to fill it with (HU, or a function of world coordinates)."""

    shape: Shape
    fill: Fill


@dataclass(frozen=True, eq=False)
class Mixed:
    """Blood whose contrast agent is unevenly mixed: ``mean * (1 + spread * texture)``."""

    mean_hu: float
    spread: float
    texture: Texture

    def __call__(self, x, y, z) -> np.ndarray:
        """HU at world coordinates."""
        mean = np.float32(self.mean_hu)
        return mean + mean * np.float32(self.spread) * self.texture(x, y, z)


@dataclass(frozen=True, eq=False)
class Pose:
    """From template to world: ``p @ (scale * turn) + origin``."""

    origin_mm: np.ndarray
    turn: np.ndarray
    scale: float

    def __call__(self, points) -> np.ndarray:
        """World mm of template points ``(..., 3)``."""
        return self.scale * np.asarray(points, dtype=float) @ self.turn + self.origin_mm


@dataclass(frozen=True, eq=False)
class Blood:
    """HU of the tissues of one scan; fills for the blood of left heart, right heart and veins."""

    left: Fill
    right_atrium: Fill
    right_ventricle: Fill
    svc: Fill
    ivc: Fill
    pulmonary: Fill
    myocardium: Fill
    wall_hu: float
    fat_hu: float


def frame(axis, hint=(1.0, 0.0, 0.0)) -> np.ndarray:
    """Return a right-handed rotation whose last row is `axis` and whose first leans to `hint`."""
    last = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    first = np.asarray(hint, dtype=float) - np.dot(hint, last) * last
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(last, first), last])


def smooth_path(points, count: int) -> np.ndarray:
    """Return `count` points on a smooth curve through `points`."""
    from scipy.interpolate import CubicSpline

    points = np.asarray(points, dtype=float)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(steps)])
    return CubicSpline(at, points)(np.linspace(0, at[-1], count))


def heart_layers(
    rng: np.random.Generator, pose: Pose, root: Root, leaflets: Leaflets, blood: Blood
) -> tuple[list[Layer], np.ndarray]:
    """Return the layers of the heart in painting order, and the coronaries' ostia.

    Returns
    -------
    layers : list of Layer
    ostia_mm : ndarray, (2, 3)
        Left and right ostium, world mm.
    """
    parts = _chambers(rng, pose, root, blood)
    ostia, coronaries = _coronaries(rng, pose, root)
    surround = [shape for _, shapes, _ in parts.values() for shape in shapes]
    layers = [Layer(Grown(shape, 5.5 * pose.scale), blood.fat_hu) for shape in surround]
    sac = Ellipsoid(pose([-12, 10, -30]), pose.scale * np.array([58, 52, 62]), np.eye(3))
    layers.insert(0, Layer(sac, blood.fat_hu))
    for wall_mm, shapes, fill in parts.values():
        wall = blood.wall_hu if wall_mm < 5 else blood.myocardium
        layers += [Layer(Grown(shape, wall_mm), wall) for shape in shapes]
        layers += [Layer(shape, fill) for shape in shapes]
    layers += _mitral(rng, pose, blood)
    layers += [Layer(Lumen(root, -14, root.height_mm + 10, by_mm=1.4), blood.wall_hu)]
    layers += [Layer(shape, blood.left) for shape in _outflow(pose, root)]
    layers += [Layer(Lumen(root, -15, root.height_mm + 11), blood.left)]
    layers += [Layer(leaflets, blood.wall_hu + 40)]
    layers += [Layer(Grown(shape, 1.0), blood.wall_hu - 40) for shape in coronaries]
    layers += [Layer(shape, blood.left) for shape in coronaries]
    return layers, ostia


def _chambers(rng, pose: Pose, root: Root, blood: Blood) -> dict:
    """Wall thickness in mm, shapes and fill of each cavity, in painting order."""

    def at(*point, jitter=2.0):
        return pose(np.array(point) + rng.normal(0, jitter, 3))

    def blob(centre, radii, axis=(0, 0, 1), hint=(1, 0, 0)):
        radii = pose.scale * np.array(radii) * rng.uniform(0.92, 1.1, 3)
        return Ellipsoid(at(*centre), radii, frame(axis, hint) @ pose.turn)

    def vessel(points, radius, count=14):
        path = smooth_path([at(*p, jitter=1.5) for p in points], count)
        return tube(path, np.array(radius) * pose.scale * rng.uniform(0.92, 1.1))

    long_axis = np.array([-0.68, 0.5, -0.53])
    trabeculae = Texture(int(rng.integers(1 << 31)), smooth_mm=2.4)
    ventricle = blob([-40, 8, -38], [24, 26, 42], long_axis)
    lv = Rough(ventricle, trabeculae, 1.3)
    rv = Any(
        (
            blob([-8, 36, -42], [36, 22, 30], [0.2, -0.3, 1], [1, -0.75, 0.3]),
            blob([-32, 42, -52], [38, 16, 20], [0, 0, 1], [1, -0.45, 0.35]),
        )
    )
    arch = _ascending(pose, root, rng)
    return {
        "ivc": (1.0, vessel([[38, -14, -42], [36, -30, -70], [34, -36, -130]], 11), blood.ivc),
        "svc": (1.0, vessel([[36, -8, 14], [37, -12, 45], [34, -10, 110]], 9.5), blood.svc),
        "ra": (
            1.5,
            [
                blob([44, -6, -24], [23, 27, 33]),
                blob([34, 22, 2], [12, 15, 18]),
                *vessel([[34, 6, -34], [18, 22, -40]], 15, 4),
            ],
            blood.right_atrium,
        ),
        "rv": (2.8, [Rough(rv, trabeculae, 1.6)], blood.right_ventricle),
        "rvot": (
            2.2,
            vessel([[-8, 42, -26], [-14, 36, -4], [-20, 28, 14]], 13.5, 6),
            blood.right_ventricle,
        ),
        "lv": (9.5 * pose.scale * rng.uniform(0.85, 1.25), [lv], blood.left),
        "la": (
            1.2,
            [
                blob([-4, -40, 0], [32, 19, 25]),
                blob([-40, 0, 8], [9, 16, 9], [0, 0, 1], [1, 0.4, 0]),
                *vessel([[24, -44, 6], [40, -42, 12], [78, -38, 30]], [9, 8] + [6] * 6, 8),
                *vessel([[24, -46, -6], [44, -54, -12], [78, -70, -34]], [9, 8] + [6] * 6, 8),
                *vessel([[-28, -44, 10], [-44, -50, 16], [-78, -46, 38]], [9, 8] + [6] * 6, 8),
                *vessel([[-28, -48, -4], [-44, -60, -12], [-76, -80, -34]], [9, 8] + [6] * 6, 8),
            ],
            blood.left,
        ),
        "pa": (
            1.2,
            vessel([[-20, 28, 14], [-27, 14, 34], [-22, -8, 48]], 13.5, 8)
            + vessel([[-20, -8, 46], [0, -24, 46], [34, -28, 44], [80, -36, 36]], 10.5, 12)
            + vessel([[-24, -8, 48], [-38, -34, 50], [-60, -54, 42], [-78, -70, 16]], 10, 12),
            blood.pulmonary,
        ),
        "aorta": (1.5, arch, blood.left),
        "descending": (
            1.5,
            vessel([[-12, -52, 82], [-24, -66, 60], [-26, -70, 0], [-18, -74, -130]], 11.5, 16),
            blood.left,
        ),
    }


def _ascending(pose: Pose, root: Root, rng) -> list[Shape]:
    start = root.world(0.0, 0.0, root.height_mm + 8)
    lift = root.world(0.0, 0.0, root.height_mm + 22)
    path = [start, lift, pose([16, 8, 68]), pose([8, -12, 92]), pose([-12, -52, 82])]
    radii = np.interp(np.linspace(0, 1, 20), [0, 0.3, 1], [1, 1, 0.82]) * root.tubular_radius_mm
    return tube(smooth_path(path, 20), radii)


def _outflow(pose: Pose, root: Root) -> list[Shape]:
    """Return the outflow tract from 12 mm below the annulus into the left ventricle."""
    start = root.world(0.0, 0.0, -11.0)
    path = smooth_path([start, root.world(0.0, 0.0, -18.0) * 0.6 + 0.4 * pose([-16, -4, -18]),
                        pose([-26, 0, -26])], 5)
    return tube(path, np.array([1.02, 1.05, 1.12, 1.25, 1.4]) * root.lvot_radius_mm)


def _mitral(rng, pose: Pose, blood: Blood) -> list[Layer]:
    """Return the mitral orifice and two leaflets that hang into the left ventricle."""
    ring = pose([-24, -26, -14])
    axis = np.array([-0.55, 0.62, -0.56]) @ pose.turn
    axis /= np.linalg.norm(axis)
    opening = tube([ring - 10 * axis, ring + 12 * axis], 13.5 * pose.scale)
    layers = [Layer(shape, blood.left) for shape in opening]
    tip = rng.uniform(13, 19)
    rows = frame(axis, [0.3, 0.2, 1.0])
    for side in (-1, 1):
        plane_normal = rows[0] * np.cos(0.5) + side * axis * np.sin(0.5)
        sheet = Slab(ring + axis * tip, plane_normal, -0.7, 0.7)
        bound = Ellipsoid(
            ring + axis * tip * 0.5 - side * rows[0] * 5.5, np.array([8, 13, tip * 0.55]), rows
        )
        layers.append(Layer(Both((sheet, bound)), blood.wall_hu + 30))
    return layers


def _coronaries(rng, pose: Pose, root: Root) -> tuple[np.ndarray, list[Shape]]:
    def leave(sinus, shift):
        phi = root.sinus_phi(sinus) + shift
        w = root.height_mm * rng.uniform(0.6, 0.78)
        r = float(root.radius(np.float32(phi), np.float32(w)))
        return [root.world(r + step, phi, w + 0.15 * step) for step in (-1.0, 3.0, 8.0)]

    def course(points, count):
        return [pose(np.array(p) + rng.normal(0, 1.5, 3)) for p in points], count

    right = leave(0, rng.normal(0, 0.15))
    left = leave(1, rng.normal(-0.1, 0.15))
    size = pose.scale * rng.uniform(0.9, 1.2)
    shapes: list[Shape] = []
    for start, points, radii in (
        (right, [[18, 34, 4], [32, 36, -14], [36, 34, -34], [30, 20, -58], [10, 0, -70]], (2.0, 1.2)),
        (left, [[-27, 14, 8]], (2.3, 2.1)),
        ([left[-1], pose([-27, 14, 8])], [[-40, 28, -2], [-54, 48, -22], [-72, 54, -56]], (1.9, 0.9)),
        ([left[-1], pose([-27, 14, 8])], [[-46, 2, -6], [-64, -14, -22], [-66, -18, -44]], (1.7, 0.9)),
    ):
        path, _ = course(points, 0)
        line = smooth_path([*start, *path], 26)
        shapes += tube(line, np.linspace(*radii, 26) * size)
    return np.array([left[0], right[0]]), shapes


