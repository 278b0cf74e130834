"""What surgeons and cardiologists leave behind: valves, frames, leads, wires and clips."""

import numpy as np

from calcohort.phantom.root import Root
from calcohort.phantom.shapes import Both, Capsule, Ellipsoid, Slab, tube
from calcohort.phantom.template import Layer, Pose, smooth_path

STEEL_HU = 6000.0


def valve(rng: np.random.Generator, root: Root) -> list[Layer]:
    """Return a mechanical valve, a bioprosthesis or a frame, in the root."""
    return rng.choice([_mechanical, _biological, _frame])(rng, root)


def _ring(root: Root, r: float, w: float, count: int = 24, dip: float = 0.0) -> np.ndarray:
    """Points of a closed circle about the root's axis; `dip` makes it a crown of three points."""
    phi = np.linspace(0, 2 * np.pi, count + 1)
    return root.world(r, phi, w + dip * np.cos(3 * (phi - root.first_sinus_rad)))


def _mechanical(rng, root: Root) -> list[Layer]:
    r, w = 0.9 * root.annulus_radius_mm, rng.uniform(0, 3)
    layers = [Layer(p, STEEL_HU) for p in tube(_ring(root, r, w), rng.uniform(1.0, 1.6))]
    turn, open_rad = rng.uniform(0, np.pi), rng.uniform(0.2, 1.4)
    for side in (-1, 1):
        across = np.cos(turn) * root.axes[0] + np.sin(turn) * root.axes[1]
        normal = np.cos(open_rad) * root.axes[2] + side * np.sin(open_rad) * across
        centre = root.world(0.0, 0.0, w) + side * across * r * 0.45
        disc = Ellipsoid(centre, np.full(3, r * 0.55))
        layers.append(Layer(Both((Slab(centre, normal, -0.5, 0.5), disc)), 0.5 * STEEL_HU))
    return layers


def _biological(rng, root: Root) -> list[Layer]:
    r, w = 0.9 * root.annulus_radius_mm, rng.uniform(0, 3)
    hu = rng.uniform(0.3, 1.0) * STEEL_HU
    crown = _ring(root, r, w + 5, 48, -5.0)
    return [Layer(p, hu) for p in tube(crown, 0.45) + tube(_ring(root, r, w), 0.6)]


def _frame(rng, root: Root) -> list[Layer]:
    """Return a transcatheter valve: rows of zigzags on a waisted sleeve."""
    low, rows, cells = rng.uniform(-6, -2), int(rng.integers(3, 8)), int(rng.integers(9, 16))
    row_mm = rng.uniform(5, 7.5)
    flare = rng.uniform(0.0, 0.25) if rows > 4 else 0.0
    layers = []
    for row in range(rows):
        ends = low + row_mm * np.array([row, row + 1])
        radii = 0.97 * root.annulus_radius_mm * (1 + flare * (ends / 20) ** 2)
        steps = np.arange(2 * cells + 1)
        up = (steps + row) % 2
        points = root.world(radii[up], np.pi * steps / cells, ends[up])
        layers += [Layer(p, STEEL_HU) for p in tube(points, rng.uniform(0.2, 0.35))]
    return layers


def leads(rng: np.random.Generator, pose: Pose) -> list[Layer]:
    """Return a pacemaker's leads: through the right atrium, and mostly on to the ventricle."""
    ends = [[[34, 10, -10], [26, 24, 2]]]
    if rng.random() < 0.8:
        ends.append([[38, -2, -30], [14, 28, -48], [-30, 40, -66]])
    layers = []
    for end in ends:
        path = np.array([[34, -10, 110], [36, -12, 45], [36, -6, 5], *end], dtype=float)
        line = smooth_path(pose(path + rng.normal(0, 2.5, path.shape)), 24)
        layers += [Layer(p, STEEL_HU / 2) for p in tube(line, rng.uniform(0.7, 1.2))]
        layers.append(Layer(Capsule(line[-2], line[-1], 1.3, 1.3), STEEL_HU))
    return layers


def sternal_wires(rng: np.random.Generator, pose: Pose) -> list[Layer]:
    """Return the wires that hold the sternum together."""
    layers = []
    phi = np.linspace(0, 2 * np.pi, 13)
    for z in np.arange(-40, 120, rng.uniform(18, 30)):
        ring = np.stack([2 + 13 * np.cos(phi), 81 + 8 * np.sin(phi), z + 4 * np.cos(phi)], axis=1)
        layers += [Layer(p, STEEL_HU) for p in tube(pose(ring), 0.5)]
    return layers


def clips(rng: np.random.Generator, pose: Pose) -> list[Layer]:
    """Return small pieces of metal around the heart."""
    layers = []
    for _ in range(rng.integers(1, 9)):
        start = pose(rng.uniform([-60, 0, -60], [50, 75, 60]))
        layers.append(Layer(Capsule(start, start + rng.normal(0, 2, 3), 0.6, 0.6), STEEL_HU))
    return layers
