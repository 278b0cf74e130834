"""What heart and chest are made of: layers, tissues, and the template they are shaped from.

The template is in mm, RAS+, with the centre of the aortic annulus at the origin. A patient is the
template with jittered points, scaled and turned (`Pose`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from calcohort.phantom.paint import Fill
from calcohort.phantom.shapes import Capsule, Ellipsoid, Grown, Shape, Texture, tube


@dataclass(frozen=True, eq=False)
class Layer:
    """One shape to paint and what to fill it with (HU, or a function of world coordinates)."""

    shape: Shape
    fill: Fill


@dataclass(frozen=True, eq=False)
class Mixed:
    """Tissue or unevenly mixed blood: ``mean * (1 + spread * texture)``."""

    mean_hu: float
    spread: float
    texture: Texture

    def __call__(self, x, y, z) -> np.ndarray:
        """HU at world coordinates."""
        mean = np.float32(self.mean_hu)
        return mean + mean * np.float32(self.spread) * self.texture(x, y, z)


@dataclass(frozen=True, eq=False)
class Pose:
    """From template to world: ``scale * p @ turn + origin``."""

    origin_mm: np.ndarray
    turn: np.ndarray
    scale: float

    def __call__(self, points) -> np.ndarray:
        """World mm of template points ``(..., 3)``."""
        return self.scale * np.asarray(points, dtype=float) @ self.turn + self.origin_mm


@dataclass(frozen=True, eq=False)
class Tissue:
    """What the parts of one patient's heart are filled with."""

    left: Fill
    right_atrium: Fill
    right_ventricle: Fill
    svc: Fill
    ivc: Fill
    pulmonary: Fill
    myocardium: Fill
    wall_hu: float
    fat_hu: float


@dataclass(frozen=True, eq=False)
class Part:
    """A cavity: its wall is `shell` grown by `wall_mm`, the fat around it `shell` by `fat_mm`."""

    cavity: list[Shape]
    fill: Fill
    wall_mm: float
    wall: Fill
    fat_mm: float
    shell: list[Shape] | None = None

    def outer(self, by_mm: float, fill: Fill) -> list[Layer]:
        """Return the layers of the shell grown by `by_mm`."""
        return [Layer(Grown(shape, by_mm), fill) for shape in self.shell or self.cavity]


def frame(axis, hint=(1.0, 0.0, 0.0)) -> np.ndarray:
    """Return a right-handed rotation whose last row is `axis` and whose first leans to `hint`."""
    last = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    first = np.asarray(hint, dtype=float) - np.dot(hint, last) * last
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(last, first), last])


def smooth_path(points, count: int) -> np.ndarray:
    """Return `count` points on a smooth curve through `points`."""
    points = np.asarray(points, dtype=float)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(steps)])
    return CubicSpline(at, points)(np.linspace(0, at[-1], count))


class Sculptor:
    """Makes shapes from template sizes, each with a little chance in place and size.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of chance.
    pose : Pose
        Of the heart.
    places_mm : float
        SD of the places of cavities.
    sizes : tuple of float
        Least and largest factor of their radii.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        pose: Pose,
        places_mm: float = 1.5,
        sizes: tuple[float, float] = (0.93, 1.08),
    ) -> None:
        self.rng, self.pose, self.places_mm, self.sizes = rng, pose, places_mm, sizes

    def ball(self, centre, radii, axis=(0, 0, 1), hint=(1, 0, 0)) -> Ellipsoid:
        """Return an ellipsoid whose last radius lies along `axis`, the first towards `hint`."""
        centre = self.pose(np.array(centre) + self.rng.normal(0, self.places_mm, 3))
        radii = self.pose.scale * np.array(radii) * self.rng.uniform(*self.sizes, 3)
        return Ellipsoid(centre, radii, frame(axis, hint) @ self.pose.turn)

    def vessel(self, points, radii, count: int = 12) -> list[Capsule]:
        """Return a tube through `points`; `radii` are its first and last, or both in one."""
        points = np.array(points) + self.rng.normal(0, 1.2, (len(points), 3))
        first, last = np.broadcast_to(radii, 2) * self.pose.scale * self.rng.uniform(0.92, 1.1)
        return tube(smooth_path(self.pose(points), count), np.linspace(first, last, count))
