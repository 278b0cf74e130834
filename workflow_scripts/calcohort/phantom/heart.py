"""Heart and great vessels as layers to paint, around a root at the origin of the template."""

import numpy as np

from calcohort.phantom.root import Leaflets, Lumen, Root
from calcohort.phantom.shapes import (
    Any,
    Both,
    Capsule,
    Ellipsoid,
    Rough,
    Shape,
    Slab,
    Texture,
    Without,
    tube,
)
from calcohort.phantom.template import Layer, Part, Pose, Sculptor, Tissue, frame, smooth_path

ROUND_ENDS = 6
"""So many pieces of the arch would reach down beside the root with their round ends."""


def heart_layers(
    make: Sculptor,
    root: Root,
    leaflets: Leaflets,
    tissue: Tissue,
    spots: list[Layer],
) -> tuple[list[Layer], np.ndarray]:
    """Return the layers of the heart in painting order, and the coronaries' ostia.

    Parameters
    ----------
    make : Sculptor
        Shapes cavities and vessels in the heart's pose.
    spots : list of Layer
        What is painted over the blood of the root and under its leaflets.

    Returns
    -------
    layers : list of Layer
    ostia_mm : ndarray, (2, 3)
        Left and right ostium, world mm.
    """
    rng, pose = make.rng, make.pose
    groups = [
        _right_inflow(make, tissue),
        _right_outflow(make, tissue),
        _left_heart(make, tissue),
        _aorta(make, root, tissue),
    ]
    ostia, coronaries = _coronaries(make, root, tissue)
    fat = [make.ball([-10, 13, -24], [54, 48, 50]), make.ball([-2, 34, 0], [40, 34, 52])]
    layers = [Layer(shape, tissue.fat_hu) for shape in fat]
    for part in [part for group in groups for part in group] + coronaries:
        if part.fat_mm:
            layers += part.outer(part.fat_mm * pose.scale, tissue.fat_hu)
    for group in groups:
        layers += [layer for part in group for layer in part.outer(part.wall_mm, part.wall)]
        layers += [Layer(shape, part.fill) for part in group for shape in part.cavity]
    layers += _mitral(rng, pose, tissue)
    layers += [Layer(_septum(pose, root), tissue.myocardium)]
    layers += [Layer(Lumen(root, -14, root.height_mm + root.tubular_mm, by_mm=1.4), tissue.wall_hu)]
    layers += [Layer(shape, tissue.left) for shape in _outflow(pose, root)]
    layers += [Layer(Lumen(root, -15, root.height_mm + root.tubular_mm + 3), tissue.left)]
    layers += spots
    layers += [Layer(leaflets, tissue.wall_hu + 40)]
    lumen = Lumen(root, -10, root.height_mm + root.tubular_mm + 4)
    for part in coronaries:
        walls = part.outer(part.wall_mm, part.wall)
        layers += [Layer(Without(wall.shape, lumen), wall.fill) for wall in walls]
    return [*layers, *(Layer(s, p.fill) for p in coronaries for s in p.cavity)], ostia


def _right_inflow(make: Sculptor, tissue: Tissue) -> list[Part]:
    ivc = make.vessel([[36, -14, -42], [36, -28, -70], [34, -34, -130]], 11.5)
    svc = make.vessel([[35, -8, 10], [36, -12, 45], [33, -10, 110]], [10.5, 8.5])
    atrium = [make.ball([38, -4, -22], [22, 27, 32]), make.ball([29, 19, 4], [12, 15, 17])]
    atrium += make.vessel([[34, 6, -32], [16, 22, -40]], 15, 4)
    return [
        Part(ivc, tissue.ivc, 1.0, tissue.wall_hu, 0),
        Part(svc, tissue.svc, 1.0, tissue.wall_hu, 1.5),
        Part(atrium, tissue.right_atrium, 1.6, tissue.wall_hu, 4),
    ]


def _right_outflow(make: Sculptor, tissue: Tissue) -> list[Part]:
    trabeculae = Texture(int(make.rng.integers(1 << 31)), smooth_mm=1.5)
    ventricle = Any(
        (
            make.ball([2, 30, -42], [36, 25, 31], [0.2, -0.3, 1], [1, -0.75, 0.3]),
            make.ball([-30, 40, -54], [40, 18, 21], [0, 0, 1], [1, -0.45, 0.35]),
        )
    )
    outflow = make.vessel([[-6, 39, -28], [-9, 32, -6], [-16, 25, 14]], [15, 13], 6)
    trunk = make.vessel([[-16, 25, 14], [-25, 12, 34], [-22, -10, 48]], [13.5, 12.5], 8)
    right = make.vessel([[-20, -10, 46], [2, -25, 46], [34, -29, 43], [62, -34, 34]], [11, 7])
    left = make.vessel([[-24, -8, 48], [-38, -32, 50], [-52, -50, 40], [-60, -62, 18]], [10.5, 6.5])
    return [
        Part(
            [Rough(ventricle, trabeculae, 1.3)],
            tissue.right_ventricle,
            2.8,
            tissue.myocardium,
            6,
            [ventricle],
        ),
        Part(outflow, tissue.right_ventricle, 2.2, tissue.myocardium, 5),
        Part(trunk + right[:8] + left[:8], tissue.pulmonary, 1.2, tissue.wall_hu, 3),
        Part(right[8:] + left[8:], tissue.pulmonary, 0.8, tissue.wall_hu, 0),
    ]


def _left_heart(make: Sculptor, tissue: Tissue) -> list[Part]:
    long_axis = np.array([-0.68, 0.5, -0.53])
    trabeculae = Texture(int(make.rng.integers(1 << 31)), smooth_mm=2.0)
    ventricle = make.ball([-38, 8, -37], [24, 26, 42], long_axis)
    atrium = [make.ball([-3, -37, 0], [33, 21, 26]), make.ball([-38, -2, 8], [9, 17, 10])]
    veins = []
    for x, z in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        root_end = [-3 + x * 26, -45, 3 + 9 * z]
        middle = [-3 + x * 42, -50 + 4 * z, 3 + 14 * z]
        end = [-3 + x * 66, -58 + 12 * z, 3 + 30 * z]
        veins += make.vessel([root_end, middle, end], [8.5, 4.0], 7)
    thickness = 9.5 * make.pose.scale * make.rng.uniform(0.85, 1.25)
    return [
        Part(
            [Rough(ventricle, trabeculae, 1.2)],
            tissue.left,
            thickness,
            tissue.myocardium,
            thickness + 4,
            [ventricle],
        ),
        Part(atrium, tissue.left, 1.3, tissue.wall_hu, 3),
        Part(veins, tissue.left, 0.8, tissue.wall_hu, 0),
    ]


def _aorta(make: Sculptor, root: Root, tissue: Tissue) -> list[Part]:
    start = root.world(0.0, 0.0, root.height_mm + root.tubular_mm)
    lift = root.world(0.0, 0.0, root.height_mm + root.tubular_mm + 14)
    path = [start, lift, *make.pose([[16, 8, 68], [8, -12, 92], [-12, -50, 82]])]
    radii = np.interp(np.linspace(0, 1, 20), [0, 0.3, 1], [1, 1, 0.82]) * root.tubular_radius_mm
    down = make.vessel([[-12, -50, 82], [-24, -64, 60], [-26, -68, 0], [-18, -72, -130]], 11.5, 16)
    arch = tube(smooth_path(path, 20), radii)
    above = Slab(root.origin_mm, root.axes[2], root.height_mm + root.tubular_mm, 1e3)
    flat = [Both((piece, above)) for piece in arch[:ROUND_ENDS]]
    return [Part(flat + arch[ROUND_ENDS:] + down, tissue.left, 1.5, tissue.wall_hu, 3)]


def _outflow(pose: Pose, root: Root) -> list[Capsule]:
    """Return the outflow tract from 11 mm below the annulus into the left ventricle."""
    below = root.world(0.0, 0.0, np.array([-11.0, -18.0]))
    path = [below[0], 0.6 * below[1] + 0.4 * pose([-16, -4, -18]), pose([-26, 0, -26])]
    return tube(smooth_path(path, 5), np.array([0.99, 1.03, 1.12, 1.25, 1.4]) * root.lvot_radius_mm)


def _septum(pose: Pose, root: Root) -> Both:
    """Return the muscle that borders the outflow tract but for the side of the mitral valve."""
    to_front_left = np.array([-0.45, 0.85, 0.0]) @ pose.turn
    front = Slab(root.origin_mm, to_front_left, -5.0, 60.0)
    return Both((Lumen(root, -22, -1.2, by_mm=5.5 * pose.scale), front))


def _mitral(rng, pose: Pose, tissue: Tissue) -> list[Layer]:
    """Return the mitral orifice and two leaflets that hang into the left ventricle."""
    ring = pose([-24, -26, -14])
    axis = np.array([-0.55, 0.62, -0.56]) @ pose.turn
    axis /= np.linalg.norm(axis)
    opening = tube([ring - 10 * axis, ring + 12 * axis], 13.5 * pose.scale)
    layers = [Layer(shape, tissue.left) for shape in opening]
    length = rng.uniform(13, 19)
    rows = frame(axis, [0.3, 0.2, 1.0])
    for side in (-1, 1):
        normal = rows[0] * np.cos(0.5) + side * axis * np.sin(0.5)
        sheet = Slab(ring + axis * length, normal, -0.7, 0.7)
        middle = ring + axis * length * 0.5 - side * rows[0] * 5.5
        bound = Ellipsoid(middle, np.array([8, 13, length * 0.55]), rows)
        layers.append(Layer(Both((sheet, bound)), tissue.wall_hu + 30))
    return layers


RIGHT = [[18, 34, 4], [32, 36, -14], [36, 34, -34], [30, 20, -58], [10, 0, -70]]
LEFT_MAIN = [-27, 14, 8]
DESCENDING = [[-40, 28, -2], [-54, 48, -22], [-72, 54, -56]]
CIRCUMFLEX = [[-46, 2, -6], [-64, -14, -22], [-66, -18, -44]]


def _coronaries(make: Sculptor, root: Root, tissue: Tissue) -> tuple[np.ndarray, list[Part]]:
    """Return the two ostia and the proximal coronaries with their fat."""

    def leave(sinus: int, turn_rad: float) -> np.ndarray:
        phi = root.sinus_phi(sinus) + turn_rad
        w = root.height_mm * make.rng.uniform(0.6, 0.78)
        r = float(root.radius(np.float32(phi), np.float32(w)))
        steps = np.array([-1.0, 3.0, 8.0])
        return root.world(r + steps, phi, w + 0.15 * steps)

    right = leave(0, make.rng.normal(0, 0.15))
    left = leave(1, make.rng.normal(-0.1, 0.15))
    size = make.pose.scale * make.rng.uniform(0.9, 1.2)
    fork = make.pose(LEFT_MAIN)
    vessels: list[Shape] = []
    for near, far, radii in (
        (right, RIGHT, (2.0, 1.2)),
        ([*left, fork], DESCENDING, (2.3, 0.9)),
        ([left[-1], fork], CIRCUMFLEX, (1.8, 0.9)),
    ):
        far = make.pose(np.array(far) + make.rng.normal(0, 1.5, (len(far), 3)))
        vessels += tube(smooth_path([*near, *far], 24), np.linspace(*radii, 24) * size)
    return np.array([left[0], right[0]]), [Part(vessels, tissue.left, 0.8, 40.0, 4)]
