"""The chest around the heart as layers to paint: body wall, lungs, bones, belly, mediastinum.

Points are of the heart's template (see `template`), mapped to the world by a pose of the body.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calcohort.phantom.shapes import (
    Both,
    Column,
    Ellipsoid,
    Grown,
    Shape,
    Slab,
    Texture,
    Without,
    tube,
)
from calcohort.phantom.template import Layer, Mixed, Pose, smooth_path

SKIN_HU, MUSCLE_HU, LUNG_HU, AIR_HU = 0.0, 55.0, -860.0, -1000.0


@dataclass(frozen=True, eq=False)
class Streaked:
    """Muscle with streaks of fat where a texture is low."""

    muscle_hu: float
    fat_hu: float
    texture: Texture

    def __call__(self, x, y, z) -> np.ndarray:
        """HU at world coordinates."""
        share = np.clip(np.float32(2) * self.texture(x, y, z) + np.float32(3.3), 0, 1)
        return np.float32(self.fat_hu) + np.float32(self.muscle_hu - self.fat_hu) * share


def chest_layers(
    rng: np.random.Generator,
    pose: Pose,
    fat_hu: float,
    liver_hu: float,
    vessel_hu: float,
    in_lungs: Callable[[Shape], list[Layer]] = lambda cavity: [],
) -> list[Layer]:
    """Return what lies behind the heart in painting order: wall, lungs, bones, belly.

    `in_lungs` is given the chest's cavity and returns what is painted over lungs and their vessels.
    """
    waves = Texture(int(rng.integers(1 << 31)), smooth_mm=25)
    wall = _wall(rng, pose, waves)
    skin, cavity = wall[0], wall[-1]
    layers = [Layer(skin, SKIN_HU), Layer(Grown(skin, -2.0), fat_hu)]
    streaks = Streaked(MUSCLE_HU, fat_hu, Texture(int(rng.integers(1 << 31)), smooth_mm=5.0))
    layers += [Layer(Without(wall[1], cavity), streaks), Layer(cavity, LUNG_HU)]
    layers += _lung_vessels(rng, pose, cavity, vessel_hu)
    layers += in_lungs(cavity)
    layers += _mediastinum(rng, pose, cavity, fat_hu)
    layers += _belly(rng, pose, cavity, fat_hu, liver_hu)
    marrow = Texture(int(rng.integers(1 << 31)), smooth_mm=1.2)
    layers += _spine(rng, pose, marrow, fat_hu)
    layers += _ribs(rng, pose, marrow)
    return layers


def _wall(rng, pose: Pose, waves: Texture) -> tuple[Shape, Shape, Shape]:
    """Return the body, its muscle and the chest's cavity."""
    fat = rng.uniform(6, 26)
    width, depth = rng.uniform(122, 136), rng.uniform(86, 97)
    centre = np.array([2.0, 72 - depth, 0])

    turn_rad = rng.normal(0, 0.03)

    def column(by, squareness):
        half = pose.scale * (np.array([width, depth]) + by)
        return Column(pose(centre), half, squareness, turn_rad, waves, 1.5)

    return column(24 + fat, 0.6), column(21, 0.6), column(0, 0.45)


def _lung_vessels(rng, pose: Pose, cavity: Shape, hu: float) -> list[Layer]:
    """Return branching tubes that grow from both hila and thin out towards the chest wall."""
    layers: list[Layer] = []
    open_ends = []
    for side in (-1, 1):
        hilum = np.array([side * 40 + 2, -40, 14])
        for _ in range(34):
            way = rng.normal(0, 1, 3) * [0.5, 1.0, 1.3] + [side * 0.8, -0.1, -0.5]
            start = hilum + rng.normal(0, 1, 3) * [5, 9, 18]
            open_ends.append((start, way / np.linalg.norm(way), rng.uniform(2.6, 4.6)))
    while open_ends:
        start, way, radius = open_ends.pop()
        length = rng.uniform(8, 15) + 2.4 * radius
        bend = way + rng.normal(0, 0.22, 3)
        stop = start + length * bend / np.linalg.norm(bend)
        thin = radius * rng.uniform(0.82, 0.95)
        world = pose(np.array([start, stop]))
        if cavity.distance(*world[1].astype(np.float32)[:, None])[0] > -2:
            continue
        layers += [Layer(part, hu) for part in tube(world, pose.scale * np.array([radius, thin]))]
        if thin < 0.5:
            continue
        for _ in range(1 + (rng.random() < 0.55)):
            turn = bend / np.linalg.norm(bend) + rng.normal(0, 0.42, 3)
            shrink = rng.uniform(0.72, 0.95)
            open_ends.append((stop, turn / np.linalg.norm(turn), thin * shrink))
    return layers


def _mediastinum(rng, pose: Pose, cavity: Shape, fat_hu: float) -> list[Layer]:
    """Return fat between the lungs, the oesophagus and the airways."""

    def column(centre, half, squareness=0.2):
        return Both((Column(pose(centre), pose.scale * np.array(half), squareness), cavity))

    def ball(centre, radii):
        return Both((Ellipsoid(pose(centre), pose.scale * np.array(radii)), cavity))

    layers = [
        Layer(ball([2, -14, 80], [38, 58, 78]), fat_hu),
        Layer(ball([-2, 52, 10], [15, 30, 84]), fat_hu),
        Layer(column([-6, -66, 0], [27, 18]), fat_hu),
    ]
    gullet = smooth_path(
        pose(np.array([[0, -66, 110], [-2, -66, 40], [0, -66, -20], [-16, -58, -130]])), 12
    )
    layers += [Layer(part, 45.0) for part in tube(gullet, 8 * pose.scale)]
    layers += [
        Layer(part, -150.0) for part in tube(gullet + np.array([1.5, 1, 0]), 1.8 * pose.scale)
    ]
    airways = [[[4, -48, 130], [4, -46, 66]]]
    airways += [[[4, -46, 66], [s * 28 + 4, -46, 46], [s * 44 + 4, -48, 26]] for s in (-1, 1)]
    for points in airways:
        radius = 9.0 if len(points) == 2 else 6.5
        line = smooth_path(pose(np.array(points)), 6) if len(points) > 2 else pose(np.array(points))
        layers += [Layer(part, 40.0) for part in tube(line, (radius + 1.5) * pose.scale)]
        layers += [Layer(part, AIR_HU) for part in tube(line, radius * pose.scale)]
    return layers


def _belly(rng, pose: Pose, cavity: Shape, fat_hu: float, liver_hu: float) -> list[Layer]:
    """Return the liver's dome, spleen, and stomach with gas under the diaphragm."""
    top = rng.uniform(-66, -48)
    scale = pose.scale

    def dome(centre, radii):
        return Ellipsoid(pose(centre), scale * np.array(radii))

    texture = Texture(int(rng.integers(1 << 31)), smooth_mm=4.5)
    liver = dome([40, 2, top - 82], [112, 92, 84])
    left = dome([-62, -4, top - 88], [84, 88, 84])
    inner = Grown(cavity, -2.5)
    layers = [Layer(Both((left, cavity)), MUSCLE_HU)]
    layers += [Layer(Both((Grown(left, -3.0), inner)), fat_hu)]
    stomach, gas = dome([-50, 26, top - 50], [46, 38, 38]), dome([-46, 40, top - 44], [30, 16, 22])
    layers += [Layer(Both((stomach, inner)), 40.0), Layer(Both((gas, Grown(cavity, -8.0))), AIR_HU)]
    spleen = dome([-92, -50, top - 56], [30, 34, 44])
    layers += [Layer(Both((spleen, inner)), Mixed(liver_hu + 40, 0.06, texture))]
    layers += [Layer(Both((Grown(liver, 3.0), cavity)), MUSCLE_HU)]
    return [*layers, Layer(Both((liver, cavity)), Mixed(liver_hu, 0.02, texture))]


def _spine(rng, pose: Pose, marrow: Texture, fat_hu: float) -> list[Layer]:
    """Return vertebrae with shell and marrow, discs, canal, arches and processes; back muscles."""
    scale, spongy = pose.scale, Mixed(rng.uniform(140, 260), 0.28, marrow)
    centre = np.array([6, -90, 0])
    layers = [
        Layer(Column(pose(np.add(centre, [0, -6, 0])), scale * np.array([25, 24]), 0.3), fat_hu)
    ]
    for side in (-1, 1):
        muscle = Column(pose(np.add(centre, [side * 27, -40, 0])), scale * np.array([25, 17]), 0.3)
        layers.append(Layer(muscle, MUSCLE_HU))
    start = rng.uniform(-160, -135)
    for level in range(12):
        z = start + 26 * level
        half = scale * (np.array([17, 14]) + 0.5 * (6 - level) * 0.4)

        def piece(grow, low, high, half=half, z=z):
            body = Column(pose(centre), half + grow, 0.35)
            return Both((body, Slab(pose([0, 0, z]), np.array([0, 0, 1.0]), low, high)))

        layers += [
            Layer(piece(-1.0, 10 * scale, 16 * scale), 90.0),
            Layer(piece(0.0, -10 * scale, 10 * scale), 520.0),
            Layer(piece(-1.6, -8.6 * scale, 8.6 * scale), spongy),
        ]
        layers += _arch(pose, np.add(centre, [0, 0, z]), spongy)
    canal = Column(pose(np.add(centre, [0, -24, 0])), scale * np.array([10, 8.5]), 0.2)
    return [*layers, Layer(canal, -20.0), Layer(Grown(canal, -3.0), 35.0)]


def _arch(pose: Pose, at: np.ndarray, spongy) -> list[Layer]:
    lines = [([0, -34, -4], [0, -58, -16], 4.0)]
    for side in (-1, 1):
        lines += [
            ([side * 12, -10, 3], [side * 13, -26, 3], 5.0),
            ([side * 13, -26, 3], [0, -36, -3], 4.0),
            ([side * 14, -27, 3], [side * 33, -38, 6], 4.5),
        ]
    parts = [tube(pose(at + np.array([a, b])), r * pose.scale)[0] for a, b, r in lines]
    return [Layer(p, 480.0) for p in parts] + [Layer(Grown(p, -1.6), spongy) for p in parts]


def _ribs(rng, pose: Pose, marrow: Texture) -> list[Layer]:
    """Return ribs that slope down to the front, their cartilage, and the sternum."""
    layers: list[Layer] = []
    spongy = Mixed(rng.uniform(120, 240), 0.2, marrow)
    first, slope = rng.uniform(-150, -130), rng.uniform(55, 75)
    for side in (-1, 1):
        turn = np.linspace(0.14, 0.86, 13) * np.pi
        x = 6 + side * 134 * np.sin(turn) ** 0.75
        y = -16 - 92 * np.cos(turn)
        for level in range(11):
            z = first + 26 * level + 60 - slope * (1 - np.cos(turn)) / 2
            parts = tube(pose(np.stack([x, y, z], axis=1)), 5.2 * pose.scale)
            layers += [Layer(p, 650.0) for p in parts]
            layers += [Layer(Grown(p, -1.5), spongy) for p in parts]
            end = np.array([x[-1], y[-1], z[-1]])
            if end[2] > -75:
                cartilage = smooth_path(
                    [end, [side * 34, 79, end[2] + 4], [side * 14, 80, end[2] + 14]], 6
                )
                layers += [Layer(p, 110.0) for p in tube(pose(cartilage), 5.5 * pose.scale)]
    bone = Both(
        (
            Column(pose([2, 81, 0]), pose.scale * np.array([17, 6.5]), 0.4),
            Slab(pose([0, 0, 0]), np.array([0, 0, 1.0]), -52, 400),
        )
    )
    return [*layers, Layer(bone, 480.0), Layer(Grown(bone, -1.5), spongy)]
