"""The second family of phantoms, for tests only: nothing of it was ever trained on.

It is built in another way than the first, so that a network cannot know its habits: organs are
implicit surfaces (melting balls, spline tubes) on a lattice, the root a Fourier series over spline
profiles, calcium grains along random walks, lung vessels ridges of noise; point spread and noise
are drawn in the frequency domain, with a ramp as filtered back-projection has and more noise in the
middle of the body.
"""

from dataclasses import dataclass

import numpy as np

from calcohort.phantom.fields import around, smooth_union, spline
from calcohort.phantom.second_root import BentRoot, Grains, draw_grains
from calcohort.phantom.template import frame
from calcohort.volume import Grid

SHAPES = {
    "left_atrium": [(0, -37, 0, 24), (-22, -36, 0, 20), (22, -38, 3, 17), (-36, -6, 8, 8)],
    "right_atrium": [(42, -8, -24, 25), (40, 8, -4, 18), (38, -12, -44, 17), (26, 22, 4, 10)],
    "right_ventricle": [
        (20, 30, -38, 21), (0, 38, -46, 20), (-20, 43, -55, 17), (-38, 49, -62, 11),
        (-4, 38, -22, 17), (-12, 32, -2, 14),
    ],
    "left_ventricle": [
        (-20, -3, -19, 19), (-31, 6, -29, 22), (-42, 14, -38, 22), (-53, 23, -47, 18),
        (-63, 31, -55, 12),
    ],
    "liver": [(60, 0, -120, 62), (10, 20, -112, 42), (80, -30, -140, 60)],
    "stomach": [(-60, 10, -118, 42), (-50, 30, -104, 32)],
}  # fmt: skip
VESSELS = {
    "pulmonary": [
        ([(-12, 32, 0), (-22, 16, 26), (-20, -8, 40), (4, -26, 44), (36, -32, 42)], 13, 8),
        ([(-20, -4, 38), (-36, -26, 44), (-52, -46, 36)], 11, 7),
    ],
    "veins": [
        ([(-22, -38, 4), (-46, -46, 16), (-70, -56, 34)], 8, 4),
        ([(22, -40, 4), (44, -48, 14), (70, -58, 30)], 8, 4),
        ([(-20, -40, -6), (-46, -52, -14), (-66, -60, -30)], 7, 4),
        ([(20, -42, -6), (46, -54, -14), (66, -62, -30)], 7, 4),
    ],
    "descending": [([(-16, -52, 84), (-25, -66, 55), (-26, -70, 0), (-20, -74, -150)], 11.5, 11)],
    "svc": [([(40, -4, 6), (38, -10, 50), (34, -8, 130)], 9.5, 8)],
    "ivc": [([(38, -12, -46), (36, -26, -80), (32, -32, -150)], 11, 12)],
    "coronaries": [
        ([(10, 18, 14), (30, 34, -6), (40, 34, -36), (24, 14, -62)], 1.9, 1.2),
        ([(-14, 4, 14), (-30, 18, 6), (-50, 44, -22), (-72, 54, -58)], 2.0, 0.9),
    ],
    "gullet": [([(-2, -60, 130), (-4, -62, 20), (-10, -58, -150)], 7, 7)],
    "windpipe": [([(4, -42, 150), (4, -44, 66), (34, -48, 36)], 8, 6)],
}


@dataclass(frozen=True, eq=False)
class SecondPatient:
    """A patient and how it is scanned.

    Attributes
    ----------
    seed : int
    lumen_hu : float
        Mean enhancement of the aortic root.
    root : BentRoot
    cusp_mm : float
        Thickness of the cusps.
    grains : Grains
        The root's calcium.
    organs : dict of str to callable
        Distance fields, in painting order.
    hu : dict of str to float
        What organs are filled with.
    body : dict of str to float
        Sizes of the chest.
    scan : Grid
    noise_hu : float
        Mean SD of the noise.
    cutoff_per_mm : float
        Where the modulation transfer has fallen to 1/e.
    """

    seed: int
    lumen_hu: float
    root: BentRoot
    cusp_mm: float
    grains: Grains
    organs: dict
    hu: dict[str, float]
    body: dict[str, float]
    scan: Grid
    noise_hu: float
    cutoff_per_mm: float


def draw_second(seed: int) -> SecondPatient:
    """Draw a patient; the same seed gives the same one."""
    rng = np.random.default_rng([seed, _SECOND])
    size = rng.uniform(0.88, 1.12)
    turn = frame([rng.normal(0, 0.12), rng.normal(0, 0.12), 1.0], [1.0, rng.normal(0, 0.2), 0.0])
    root = _root(rng, size, turn)
    lumen_hu = float(np.clip(rng.normal(500, 130), 260, 820))
    organs = {name: _organ(rng, balls, size, turn) for name, balls in SHAPES.items()}
    organs |= {name: _vessels(rng, parts, size, turn) for name, parts in VESSELS.items()}
    organs["ascending"] = _ascending(rng, root, size, turn)
    body = {
        "width": rng.uniform(150, 185), "depth": rng.uniform(100, 125), "power": rng.uniform(2, 3),
        "fat": rng.uniform(8, 28), "dome": rng.uniform(-70, -55), "rib": rng.uniform(22, 28),
        "size": size, "septum": rng.uniform(8, 14),
    }  # fmt: skip
    grains = draw_grains(rng, root, _calcium_mm3(rng), max(rng.uniform(900, 1500), lumen_hu + 300))
    hu = _luminances(rng, lumen_hu)
    return SecondPatient(
        seed=seed,
        lumen_hu=lumen_hu,
        root=root,
        cusp_mm=rng.uniform(0.7, 1.8),
        grains=grains,
        organs=organs,
        hu=hu,
        body=body,
        scan=_scan(rng, root),
        noise_hu=float(rng.uniform(7, 28)),
        cutoff_per_mm=rng.uniform(0.45, 0.75),
    )


def _root(rng, size: float, turn: np.ndarray) -> BentRoot:
    tilt, azimuth = np.radians(rng.uniform(12, 42)), np.radians(rng.uniform(0, 75))
    axis = np.array([np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.cos(tilt)])
    annulus = size * rng.uniform(10.5, 14)
    sinus, junction = annulus * rng.uniform(1.25, 1.6), annulus * rng.uniform(1.05, 1.35)
    outflow = annulus * rng.uniform(0.95, 1.1)
    factors = [outflow * 1.05, outflow, annulus, sinus, 0.5 * (sinus + junction), junction]
    return BentRoot(
        origin_mm=rng.normal(0, 2, 3),
        axes=frame(axis @ turn),
        height_mm=annulus * rng.uniform(1.55, 2.0),
        radii_mm=np.array([*factors, junction * rng.uniform(1.05, 1.2)]),
        oval=rng.uniform(0, 0.12),
        lobes=rng.uniform(0.03, 0.12),
        turn_rad=rng.uniform(0.8, 2.0),
        bend_per_mm=rng.uniform(-0.004, 0.004),
    )


def _organ(rng, balls, size: float, turn: np.ndarray):
    balls = np.array(balls, dtype=float)
    balls[:, :3] = size * (balls[:, :3] + rng.normal(0, 2.5, (len(balls), 3))) @ turn
    balls[:, 3] *= size * rng.uniform(0.88, 1.12, len(balls))
    return smooth_union(balls, rng.uniform(2.0, 4.5))


def _tube(rng, points, first: float, last: float, size: float, turn: np.ndarray) -> np.ndarray:
    points = size * (np.array(points, dtype=float) + rng.normal(0, 2, (len(points), 3))) @ turn
    path = spline(points, 160)
    radii = size * rng.uniform(0.9, 1.1) * np.linspace(first, last, len(path))
    return np.column_stack([path, radii])


def _vessels(rng, parts, size: float, turn: np.ndarray):
    paths = [_tube(rng, *part, size, turn) for part in parts]
    return around(np.concatenate(paths))


def _ascending(rng, root: BentRoot, size: float, turn: np.ndarray):
    """Return the aorta from the junction over the arch."""
    h, radius = root.height_mm, float(root.radii_mm[-1])
    starts = [root.world(np.array(h * f), np.array(0.0), np.array(0.0)) for f in (1.6, 2.1)]
    arch = size * (np.array([[14, 2, 70], [4, -22, 92], [-16, -52, 84]]) @ turn)
    path = spline(np.array([*starts, *(arch + rng.normal(0, 2, arch.shape))]), 200)
    radii = np.interp(np.linspace(0, 1, 200), [0, 0.4, 1], [radius, radius, 11.5 * size])
    return around(np.column_stack([path, radii]))


def _luminances(rng, lumen_hu: float) -> dict[str, float]:
    right = lumen_hu * rng.uniform(0.2, 1.3)
    hu = {
        "left_atrium": lumen_hu * rng.uniform(0.92, 1.08), "left_ventricle": lumen_hu,
        "ascending": lumen_hu, "descending": lumen_hu * rng.uniform(0.9, 1.02),
        "veins": lumen_hu * rng.uniform(0.92, 1.08), "coronaries": 0.95 * lumen_hu,
        "right_ventricle": right, "right_atrium": right * rng.uniform(0.9, 1.4),
        "pulmonary": right * rng.uniform(0.9, 1.0), "svc": min(right * rng.uniform(1.2, 2.2), 1800),
        "ivc": 60 + 0.3 * right, "gullet": 30.0, "windpipe": -1000.0, "liver": rng.uniform(60, 130),
        "stomach": rng.uniform(-50, 60), "muscle": rng.uniform(45, 65),
        "fat": rng.uniform(-110, -85), "lung": rng.uniform(-890, -780),
        "myocardium": rng.uniform(80, 140), "wall": rng.uniform(50, 95),
        "bone": rng.uniform(400, 700), "marrow": rng.uniform(120, 260),
    }  # fmt: skip
    return {name: float(value) for name, value in hu.items()}


def _calcium_mm3(rng) -> float:
    """Draw a wanted volume: none in 10 %, severe in 20 %."""
    chance = rng.random()
    if chance < 0.1:
        return 0.0
    return float(rng.uniform(400, 900) if chance > 0.8 else rng.lognormal(np.log(130), 0.8))


def _scan(rng, root: BentRoot) -> Grid:
    pixel, slice_mm = rng.uniform(0.42, 0.6), float(rng.choice([0.5, 0.6, 0.625, 0.75, 0.8]))
    shape = round(rng.uniform(120, 170) / slice_mm), 416, 416
    affine = np.diag([pixel, pixel, slice_mm, 1.0])
    middle = root.origin_mm + [-10, 0, -18] + rng.uniform(-14, 14, 3)
    affine[:3, 3] = middle - affine.diagonal()[:3] * (np.array(shape)[::-1] - 1) / 2
    return Grid(shape, affine)


_SECOND = 0x32303032
"""Keeps this family's random stream apart from the others', which start from the same seed."""
