"""One patient: every parameter of a phantom, drawn from a seed, in world mm (RAS+)."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from calcohort.phantom.calcium import Deposit, blob, draw_deposits, draw_volume_mm3
from calcohort.phantom.heart import heart_layers
from calcohort.phantom.root import Leaflets, Root
from calcohort.phantom.shapes import Rough, Texture
from calcohort.phantom.template import Layer, Mixed, Pose, Sculptor, Tissue, frame
from calcohort.phantom.thorax import chest_layers

BLOOD_HU = 45.0


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A patient and how the scanner sees it.

    Attributes
    ----------
    seed : int
        The seed it was drawn from.
    contrast : bool
        Whether contrast agent was given.
    lumen_hu : float
        Mean enhancement of the aortic root.
    root : Root
        Pose and size of the aortic root.
    layers : tuple of Layer
        Everything but the root's calcium, in painting order.
    deposits : tuple of Deposit
        The root's calcium, before it is cut to the root's region.
    spacing_mm : tuple of float
        Voxel spacing ``(k, j, i)`` of the scan.
    centre_mm : ndarray, (3,)
        World centre of the scan's field of view.
    noise_hu : float
        SD of the noise in the scan. Heavy patients have more of it, and less enhancement.
    blur_mm : float
        SD of the scanner's gaussian point spread.
    """

    seed: int
    contrast: bool
    lumen_hu: float
    root: Root
    layers: tuple[Layer, ...]
    deposits: tuple[Deposit, ...]
    spacing_mm: tuple[float, float, float]
    centre_mm: np.ndarray
    noise_hu: float
    blur_mm: float


def draw_anatomy(seed: int, *, contrast: bool = True) -> Anatomy:
    """Draw a patient.

    Parameters
    ----------
    seed : int
        Not negative; the same seed gives the same patient.
    contrast : bool
        Without contrast agent the same patient's blood has 45 HU throughout.

    Returns
    -------
    Anatomy
    """
    rng = np.random.default_rng(seed)
    origin = rng.uniform(-40, 40, 3)
    heart = Pose(origin, _turn(rng, 7), float(np.clip(rng.normal(1, 0.07), 0.85, 1.15)))
    body = Pose(origin, _turn(rng, 2), float(np.clip(heart.scale * rng.normal(1, 0.04), 0.9, 1.13)))
    build = float(np.clip(rng.normal(), -1.8, 1.8))
    enhanced_hu = float(np.clip(590 - 100 * build + rng.normal(0, 80), 330, 850))
    lumen_hu = enhanced_hu if contrast else BLOOD_HU
    root = _root(rng, heart)
    leaflets = Leaflets(
        root,
        thickness_mm=rng.uniform(0.6, 1.7),
        coaptation=rng.uniform(0.42, 0.6),
        opening=rng.uniform(0.45, 0.8) if rng.random() < 0.3 else 0.0,
    )
    tissue = _tissue(rng, lumen_hu, contrast)
    spots = contrast_spots(rng, root, lumen_hu) if contrast else []
    heart_parts, ostia_mm = heart_layers(Sculptor(rng, heart), root, leaflets, tissue, spots)
    chest = chest_layers(
        rng,
        body,
        tissue.fat_hu,
        liver_hu=rng.uniform(60, 110),
        vessel_hu=0.75 * lumen_hu if contrast else BLOOD_HU,
    )
    deposits = draw_deposits(
        rng, root, leaflets, ostia_mm, draw_volume_mm3(rng), lowest_hu=lumen_hu + 300
    )
    plane = rng.uniform(0.40, 0.55)
    return Anatomy(
        seed=seed,
        contrast=contrast,
        lumen_hu=lumen_hu,
        root=root,
        layers=(*chest, *heart_parts, *calcium_elsewhere(rng, heart)),
        deposits=deposits,
        spacing_mm=(0.625, plane, plane),
        centre_mm=heart([-14, 0, -12]) + rng.uniform([-16, -14, -14], [16, 14, 14]),
        noise_hu=10.0 * float(np.exp(0.4 * build)),
        blur_mm=rng.uniform(0.40, 0.62),
    )


def _turn(rng, degrees: float) -> np.ndarray:
    return Rotation.from_euler(
        "xyz", rng.normal(0, degrees, 3).clip(-16, 16), degrees=True
    ).as_matrix()


def _root(rng, heart: Pose) -> Root:
    tilt, azimuth = np.radians(rng.uniform(18, 45)), np.radians(rng.uniform(5, 60))
    axis = [np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.cos(tilt)]
    annulus = float(np.clip(heart.scale * rng.normal(12.2, 0.8), 10.3, 14.3))
    junction = annulus * rng.uniform(1.07, 1.28)
    return Root(
        origin_mm=heart(rng.normal(0, 1.5, 3)),
        axes=frame(np.array(axis) @ heart.turn),
        height_mm=float(np.clip(annulus * rng.normal(1.75, 0.12), 17.5, 26)),
        lvot_radius_mm=annulus * rng.uniform(0.98, 1.1),
        annulus_radius_mm=annulus,
        junction_radius_mm=junction,
        tubular_radius_mm=junction * rng.uniform(1.06, 1.2),
        bulge_mm=annulus * rng.uniform(0.27, 0.48),
        commissure=rng.uniform(0.0, 0.3),
        ellipticity=rng.uniform(0, 0.12),
        first_sinus_rad=np.radians(rng.normal(80, 12)),
    )


def _tissue(rng, lumen_hu: float, contrast: bool) -> Tissue:
    textures = [
        Texture(int(s), smooth_mm=c)
        for s, c in zip(rng.integers(1 << 31, size=3), (3.5, 4.5, 2.4), strict=True)
    ]
    spread = rng.uniform(0.002, 0.008)
    right = lumen_hu * (rng.uniform(0.25, 0.75) if rng.random() < 0.6 else rng.uniform(0.75, 1.35))
    bright = min(right * rng.uniform(1.0, 2.0), 1100)
    uneven = rng.uniform(0.05, 0.4)
    fat = rng.uniform(-110, -75)
    myocardium = rng.uniform(85, 145)
    if not contrast:
        spread = uneven = 0.0
        right = bright = BLOOD_HU
        myocardium = BLOOD_HU + 5
    blood, mixing, muscle = textures
    return Tissue(
        left=Mixed(lumen_hu, spread, blood),
        right_atrium=Mixed((right + bright) / 2, uneven, mixing),
        right_ventricle=Mixed(right, 0.4 * uneven, mixing),
        svc=Mixed(min(bright * 1.3, 2200) if contrast else BLOOD_HU, 0.8 * uneven, mixing),
        ivc=Mixed(0.35 * right + 70 if contrast else BLOOD_HU, 0.5 * uneven, mixing),
        pulmonary=Mixed(right * 0.95 if contrast else BLOOD_HU, 0.2 * uneven, mixing),
        myocardium=Mixed(myocardium, 0.05, muscle),
        wall_hu=70.0 if contrast else 40.0,
        fat_hu=fat,
    )


def contrast_spots(rng, root: Root, lumen_hu: float) -> list[Layer]:
    """Return spots of contrast that has not mixed with the blood of the root (paper, Fig. 5c)."""
    brighter_hu = 75.0 * rng.lognormal(0, 0.5)
    layers = []
    for _ in range(rng.integers(3, 8)):
        centre = root.world(
            root.annulus_radius_mm * np.sqrt(rng.uniform(0, 0.8)),
            rng.uniform(-np.pi, np.pi),
            root.height_mm * rng.uniform(0.1, 0.95),
        )
        shape = blob(
            rng, centre, Rotation.random(random_state=rng).as_matrix(), rng.uniform(0.8, 1.3)
        )
        layers.append(Layer(shape, lumen_hu + brighter_hu * rng.uniform(0.8, 1.0)))
    return layers


def calcium_elsewhere(rng, heart: Pose) -> list[Layer]:
    """Return calcium that must not count: coronaries, mitral annulus, descending aorta."""
    layers = []
    texture = Texture(int(rng.integers(1 << 31)), smooth_mm=0.68)
    places = (
        (0.6, [[-33, 18, 5], [-44, 32, -8]]),
        (0.4, [[28, 36, -8], [36, 34, -30]]),
        (0.4, [[-36, -30, -20], [-28, -38, -18], [-34, -18, -24]]),
        (0.6, [[-37, -70, 20], [-30, -80, -10], [-15, -66, 40], [-20, -82, -40]]),
    )
    for chance, points in places:
        if rng.random() > chance:
            continue
        for point in points:
            if rng.random() < 0.7:
                size = rng.uniform(0.7, 1.8)
                shape = blob(
                    rng, heart(np.array(point) + rng.normal(0, 2, 3)), _turn(rng, 90), size
                )
                layers.append(Layer(Rough(shape, texture, 0.13 * size), rng.uniform(800, 1500)))
    return layers
