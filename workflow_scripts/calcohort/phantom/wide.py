"""Wide phantoms: the anatomy of `anatomy` and its scanner, varied far beyond patients, to train on.

As in synthetic-data segmentation (Billot et al. 2023, SynthSeg, doi:10.1016/j.media.2023.102789),
sizes, pose, deformation, contrast, tissues, devices, resolution, noise and field of view are drawn
from ranges wider than those of real scans, so that real scans fall inside them. The root's label is
deformed with the anatomy and stays exact.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from calcohort.phantom.anatomy import calcium_elsewhere, contrast_spots
from calcohort.phantom.calcium import WALL_MM, Deposit, blob, draw_deposits, draw_deposits_beyond
from calcohort.phantom.devices import clips, leads, sternal_wires, valve
from calcohort.phantom.heart import heart_layers
from calcohort.phantom.root import Leaflets, Root
from calcohort.phantom.scanner import Scanner
from calcohort.phantom.shapes import Both, Ellipsoid, Rough, Shape, Slab, Texture, Without
from calcohort.phantom.template import Layer, Mixed, Pose, Sculptor, Tissue, frame
from calcohort.phantom.thorax import chest_layers
from calcohort.phantom.warp import Warp, draw_warp
from calcohort.volume import Grid

EDGE_MM = 8.0
"""The root stays at least this far from the scan's edge."""


@dataclass(frozen=True, eq=False)
class WidePatient:
    """A patient and a scanner.

    Attributes
    ----------
    seed : int
    lumen_hu : float
        Mean enhancement of the aortic root.
    root : Root
        Before the deformation, as `layers` and `deposits` are.
    layers : tuple of Layer
        Everything but the root's calcium, in painting order.
    deposits : tuple of Deposit
        Those of the root, and those beyond its end planes.
    warp : Warp
        Deforms all of it.
    scan : Grid
        The scan's own grid.
    scanner : Scanner
    """

    seed: int
    lumen_hu: float
    root: Root
    layers: tuple[Layer, ...]
    deposits: tuple[Deposit, ...]
    warp: Warp
    scan: Grid
    scanner: Scanner


def draw_wide(seed: int) -> WidePatient:
    """Draw a patient and a scanner; the same seed gives the same ones."""
    rng = np.random.default_rng([seed, _WIDE])
    shapes = np.random.default_rng([seed, _WIDE, 1])
    turn = Rotation.from_euler("xyz", rng.uniform([-20, -30, -30], [20, 30, 30]), degrees=True)
    heart = Pose(np.zeros(3), turn.as_matrix(), rng.uniform(0.8, 1.25))
    tilt = Rotation.from_euler("xyz", rng.normal(0, 4, 3), degrees=True)
    body = Pose(np.zeros(3), tilt.as_matrix(), rng.uniform(0.85, 1.2))
    lumen_hu = rng.uniform(150, 300) if rng.random() < 0.15 else rng.uniform(300, 800)
    root = replace(_root(rng, heart), **_sinus(shapes))
    leaflets = Leaflets(
        root,
        thickness_mm=rng.uniform(0.4, 3.0),
        coaptation=rng.uniform(0.38, 0.65),
        opening=rng.uniform(0.35, 0.9) if rng.random() < 0.35 else 0.0,
        commissures=shapes.uniform(0.9, 1.0),
        beyond_hinge_mm=min(root.junction_radius_mm - root.annulus_radius_mm, 0.0),
    )
    tissue = _tissue(rng, lumen_hu)
    spots = contrast_spots(rng, root, lumen_hu) if rng.random() < 0.7 else []
    parts, ostia_mm = heart_layers(
        Sculptor(rng, heart, places_mm=3.0, sizes=_chambers(rng)), root, leaflets, tissue, spots
    )
    chest = chest_layers(
        rng,
        body,
        fat_hu=rng.uniform(-130, -60),
        liver_hu=rng.uniform(40, 140),
        vessel_hu=lumen_hu * rng.uniform(0.1, 1.4),
        in_lungs=lambda cavity: _in_lungs(rng, body, cavity),
    )
    layers = [*_table(rng, body), *_recoloured(rng, chest), *_masses(rng, body)]
    layers += [*_recoloured(rng, parts), *_papillary(rng, heart, tissue)]
    layers += calcium_elsewhere(rng, heart)
    for chance, device in ((0.12, leads), (0.12, sternal_wires), (0.1, clips)):
        if rng.random() < chance:
            layers += device(rng, heart if device is leads else body)
    if rng.random() < 0.15:
        layers += valve(rng, root)
    volume_mm3, lowest_hu = _calcium_mm3(rng), lumen_hu + rng.uniform(100, 300)
    deposits = draw_deposits(rng, root, leaflets, ostia_mm, volume_mm3, lowest_hu)
    beyond = np.random.default_rng([seed, _WIDE, 2])
    deposits += draw_deposits_beyond(beyond, root, 0.3 if volume_mm3 else 0.1, lowest_hu)
    warp = draw_warp(rng, root.origin_mm, 0.07, {90.0: 6.0, 40.0: rng.uniform(0, 3.0)})
    scan = _draw_scan(rng, warp, root, heart)
    scanner = _draw_scanner(rng, tuple(scan.spacing_mm))
    return WidePatient(seed, lumen_hu, root, tuple(layers), deposits, warp, scan, scanner)


def root_bounds_mm(root: Root, warp: Warp) -> np.ndarray:
    """Return the box ``(2, 3)`` in world mm that holds the deformed root and its wall."""
    phi, w = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, root.height_mm, 9))
    r = root.radius(phi.astype(np.float32), w.astype(np.float32)) + WALL_MM
    wall = warp.target(root.world(r, phi, w))
    return np.array([wall.min(axis=(0, 1)), wall.max(axis=(0, 1))])


def _root(rng, heart: Pose) -> Root:
    """Return a root of 19 to 32 mm at the annulus, its sinuses up to about 50 mm wide."""
    tilt, azimuth = np.radians(rng.uniform(5, 65)), np.radians(rng.uniform(-20, 95))
    axis = [np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.cos(tilt)]
    annulus = float(np.clip(heart.scale * rng.normal(12.2, 1.2), 9.5, 16))
    dilated = rng.random() < 0.3
    junction = annulus * rng.uniform(*((1.2, 1.8) if dilated else (0.95, 1.3)))
    return Root(
        origin_mm=heart(rng.normal(0, 2, 3)),
        axes=frame(np.array(axis) @ heart.turn),
        height_mm=float(np.clip(annulus * rng.uniform(1.35, 2.2), 16, 32)),
        lvot_radius_mm=annulus * rng.uniform(0.85, 1.2),
        annulus_radius_mm=annulus,
        junction_radius_mm=junction,
        tubular_radius_mm=junction * rng.uniform(0.98, 1.4),
        bulge_mm=annulus * rng.uniform(*((0.4, 0.85) if dilated else (0.1, 0.55))),
        commissure=rng.uniform(0.0, 0.6),
        ellipticity=rng.uniform(0, 0.2),
        first_sinus_rad=np.radians(rng.normal(80, 30)),
        cusps=2 if rng.random() < 0.15 else 3,
    )


def _sinus(rng) -> dict:
    """Return the fields of `Root` that say how the sinuses rise and fall, and what joins them.

    At the share `t` of the height a sinus has ``(t / p)^kp ((1 - t) / (1 - p))^k(1 - p)`` of its
    bulge: widest at `p`, with shoulders at small `k` and slopes that run out at large `k`. `rng` is
    a stream of its own, so that nothing else of a patient depends on these draws.
    """
    peak, steepness = rng.uniform(0.3, 0.6), np.exp(rng.uniform(np.log(1.0), np.log(4.0)))
    up = np.linspace(0, 1, 21)
    rise = (up / peak) ** (steepness * peak)
    fall = ((1 - up) / (1 - peak)) ** (steepness * (1 - peak))
    return {
        "sinus": tuple(zip(up.tolist(), (rise * fall).tolist(), strict=True)),
        "lvot_mm": rng.uniform(3, 11),
        "tubular_mm": rng.uniform(3, 18),
    }


def _tissue(rng, lumen_hu: float) -> Tissue:
    def mixed(mean_hu, spread, smooth_mm):
        return Mixed(mean_hu, spread, Texture(int(rng.integers(1 << 31)), smooth_mm))

    washed = rng.random()
    if washed < 0.3:
        right = rng.uniform(30, 130)
    else:
        right = lumen_hu * (rng.uniform(0.25, 0.9) if washed < 0.6 else rng.uniform(0.9, 1.7))
    bright = min(right * rng.uniform(1.0, 2.5), 1400)
    uneven = rng.uniform(0.02, 0.5)
    return Tissue(
        left=mixed(lumen_hu, rng.uniform(0.002, 0.06), rng.uniform(3, 30)),
        right_atrium=mixed((right + bright) / 2, uneven, rng.uniform(2, 8)),
        right_ventricle=mixed(right, 0.5 * uneven, rng.uniform(2, 8)),
        svc=mixed(min(bright * rng.uniform(1.0, 1.6), 2600), 0.8 * uneven, 3.0),
        ivc=mixed(0.35 * right + 70, 0.5 * uneven, 4.0),
        pulmonary=mixed(right * rng.uniform(0.8, 1.1), 0.2 * uneven, rng.uniform(2, 8)),
        myocardium=mixed(rng.uniform(50, 170), rng.uniform(0.02, 0.15), rng.uniform(1.5, 6)),
        wall_hu=rng.uniform(30, 110),
        fat_hu=rng.uniform(0, 40) if rng.random() < 0.1 else rng.uniform(-125, -60),
    )


def _chambers(rng) -> tuple[float, float]:
    """Return the least and largest factor of the chambers' radii: from small to failing hearts."""
    least = rng.uniform(0.85, 1.15)
    return least, least + 0.3


def _papillary(rng, heart: Pose, tissue: Tissue) -> list[Layer]:
    """Return lumps of muscle in the left ventricle, away from the root."""
    return [
        replace(
            _lump(rng, heart(rng.uniform([-58, 0, -60], [-38, 22, -36])), rng.uniform(3, 7), 0.0),
            fill=tissue.myocardium,
        )
        for _ in range(rng.integers(0, 4))
    ]


def _calcium_mm3(rng) -> float:
    """Draw a calcium volume: none in 20 %, severe (600 to 2000 mm³) in 10 %."""
    chance = rng.random()
    if chance < 0.2:
        return 0.0
    if chance > 0.9:
        return float(rng.uniform(600, 2000))
    return float(np.clip(rng.lognormal(np.log(150), 1.1), 4, 1500))


def _recoloured(rng, layers: list[Layer]) -> list[Layer]:
    """Shift each tissue's luminance; metal, dense calcium and the air outside stay."""
    shifts: dict[float, float] = {}

    def shifted(hu: float) -> float:
        if not -990 < hu < 900:
            return hu
        if hu not in shifts:
            shifts[hu] = hu + rng.normal(0, 8 + 0.07 * abs(hu))
        return shifts[hu]

    return [
        replace(layer, fill=shifted(layer.fill)) if isinstance(layer.fill, float) else layer
        for layer in layers
    ]


def _in_lungs(rng, body: Pose, cavity: Shape) -> list[Layer]:
    """Return what fills the cavity above the lungs' tips and, at times, fluid and nodules."""
    tips = tuple(
        Ellipsoid(body([side * 72, -20, -40]), body.scale * np.array([62, 90, 200]))
        for side in (-1, 1)
    )
    above = Both((cavity, Slab(body([0, 0, 0]), np.array([0.0, 0, 1]), 60, 600)))
    layers = [Layer(Without(Without(above, tips[0]), tips[1]), rng.uniform(-100, 50))]
    if rng.random() < 0.2:
        level = rng.uniform(-95, -50) * body.scale
        turn = Rotation.from_euler("xyz", rng.normal(0, 8, 3), degrees=True).as_matrix()
        below = Slab(body.origin_mm, np.array([0.0, 1.0, 0]) @ turn, -400, level)
        layers.append(Layer(Both((cavity, below)), rng.uniform(-5, 45)))
    for _ in range(rng.integers(0, 4)):
        centre = body(rng.uniform([-110, -70, -120], [110, 50, 140]))
        layers.append(_lump(rng, centre, rng.uniform(3, 14), rng.uniform(-700, 120)))
    return layers


def _masses(rng, body: Pose) -> list[Layer]:
    """Return lumps that no anatomy explains, behind the heart."""
    return [
        _lump(
            rng,
            body(rng.uniform([-130, -100, -150], [130, 90, 170])),
            rng.uniform(5, 32),
            rng.choice([rng.uniform(-150, 150), rng.uniform(150, 900)]),
        )
        for _ in range(rng.integers(0, 5))
    ]


def _lump(rng, centre, size_mm: float, hu: float) -> Layer:
    turn = Rotation.random(random_state=rng).as_matrix()
    shape = blob(rng, centre, turn, size_mm * 0.6)
    return Layer(Rough(shape, Texture(int(rng.integers(1 << 31)), 3.0), 0.1 * size_mm), float(hu))


def _table(rng, body: Pose) -> list[Layer]:
    """Return the scanner's table under the body."""
    top = body([0, -140, 0])[1] - rng.uniform(0, 40)
    slab = Slab(np.array([0, top, 0]), np.array([0.0, 1.0, 0.0]), -20, 0)
    return [Layer(slab, rng.uniform(-950, -500))]


def _draw_scan(rng, warp: Warp, root: Root, heart: Pose) -> Grid:
    """Draw field of view, matrix and range so that the whole root lies inside."""
    field_mm = rng.uniform(160, 400)
    pixel = field_mm / 512 if rng.random() < 0.7 else rng.uniform(0.4, 1.0)
    pixel = float(np.clip(pixel, 0.4, 1.0))
    slices = (0.5, 0.6, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
    weights = np.array([3, 3, 4, 3, 3, 2, 2, 1.5, 1, 1.5])
    slice_mm = float(rng.choice(slices, p=weights / weights.sum()))
    range_mm = rng.uniform(100, 180) if rng.random() < 0.7 else rng.uniform(180, 360)
    width = round(field_mm / pixel)
    shape = max(round(range_mm / slice_mm), 16), width, width
    spacing = np.array([pixel, pixel, slice_mm])
    size_mm = (np.array(shape)[::-1] - 1) * spacing

    low, high = root_bounds_mm(root, warp) + np.array([[-EDGE_MM], [EDGE_MM]])
    (wish,) = warp.target(heart([[-10, 0, -20]]))
    loose = np.minimum(np.maximum(size_mm - 130, 0) * 0.5, [70, 70, 120]) + 12
    middle = wish + rng.uniform(-loose, loose)
    middle = np.clip(middle, high - size_mm / 2, low + size_mm / 2)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = middle - size_mm / 2
    return Grid(shape, affine)


def _draw_scanner(rng, spacing_mm: tuple[float, float, float]) -> Scanner:
    return Scanner(
        spacing_mm=tuple(float(side) for side in spacing_mm),
        thickness_mm=float(spacing_mm[0]) * rng.uniform(1.0, 1.6),
        blur_mm=rng.uniform(0.3, 1.1),
        sharpening=rng.uniform(0.2, 1.2) if rng.random() < 0.3 else 0.0,
        motion_mm=rng.uniform(0.5, 4.0) if rng.random() < 0.25 else 0.0,
        motion_axis=int(rng.integers(1, 3)),
        noise_hu=float(np.exp(rng.uniform(np.log(5), np.log(60)))),
        grain_mm=rng.uniform(0.25, 0.9),
        streak_hu=rng.uniform(15, 120),
        hardening_hu=rng.uniform(0, 15),
        round_field=bool(rng.random() < 0.35),
    )


_WIDE = 0x57494445
"""Keeps this family's random stream apart from the others', which start from the same seed."""
