"""From a patient of the second family to a scan and its truth."""

import numpy as np
from scipy import fft, ndimage

from calcohort.phantom.fields import LATTICE_MM, Field, lattice_around, points_of
from calcohort.phantom.render import Phantom
from calcohort.phantom.second import SecondPatient
from calcohort.volume import Grid

SLAB = 8
FINER = 3
VOLUME_STEP_MM = 0.2
WALL_MM = 1.3
CAVITIES = (
    "svc", "ivc", "right_atrium", "right_ventricle", "pulmonary", "veins", "left_atrium",
    "left_ventricle", "ascending", "descending",
)  # fmt: skip
CAVITY_WALL_MM = 1.2


def scan_grid(patient: SecondPatient) -> Grid:
    """Return the scan's own grid."""
    return patient.scan


def root_box(patient: SecondPatient) -> np.ndarray:
    """Return the box ``(2, 3)`` in world mm that holds the root."""
    root = patient.root
    s, phi = np.meshgrid(np.linspace(0, root.height_mm, 15), np.linspace(0, 2 * np.pi, 37))
    wall = root.world(s, phi, root.radius(s, phi) + 0.5)
    return np.array([wall.min(axis=(0, 1)), wall.max(axis=(0, 1))])


def render(patient: SecondPatient, grid: Grid, *, noise: bool = True) -> Phantom:
    """Render a patient on an axial grid (`phantom.render.Phantom`), with or without noise."""
    hu = _painted(patient, grid)
    root, grains = truth(patient, grid)
    hu += grains * (np.float32(patient.grains.hu) - hu)
    hu = _exposed(patient, hu, grid, noise)
    return Phantom(hu, root >= 0.5, grains >= 0.5, grains)


def physical_calcium_mm3(patient: SecondPatient) -> float:
    """Return the volume in mm³ of the grains in the root, counted on cubes of 0.2 mm."""
    low, high = root_box(patient)
    affine = np.diag([VOLUME_STEP_MM] * 3 + [1.0])
    affine[:3, 3] = low
    shape = tuple(int(n) for n in np.ceil((high - low)[::-1] / VOLUME_STEP_MM))
    return float(_grain_voxels(patient, Grid(shape, affine)).sum() * VOLUME_STEP_MM**3)


def _painted(patient: SecondPatient, grid: Grid) -> np.ndarray:
    lattice = lattice_around(grid)
    fields = {name: Field(organ(lattice), lattice) for name, organ in patient.organs.items()}
    rng = np.random.default_rng([patient.seed, 1])
    ridges, trabeculae = (
        Field(_rough(rng, lattice.shape, size_mm), lattice) for size_mm in (5.0, 3.0)
    )
    image = np.empty(grid.shape, dtype=np.float32)
    for first in range(0, grid.shape[0], SLAB):
        slab = grid.window((first, 0, 0), (min(SLAB, grid.shape[0] - first), *grid.shape[1:]))
        on = {name: field.on(slab) for name, field in fields.items()}
        image[first : first + SLAB] = _slab(patient, slab, on, ridges.on(slab), trabeculae.on(slab))
    return image


def _rough(rng: np.random.Generator, shape, size_mm: float) -> np.ndarray:
    """Return smoothed noise with mean 0 and SD 1."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, size_mm / LATTICE_MM)
    return noise / noise.std()


def _slab(patient: SecondPatient, slab: Grid, on, ridges, trabeculae) -> np.ndarray:
    voxel = np.float32(slab.voxel_volume_mm3 ** (1 / 3))
    hu, body = patient.hu, patient.body
    x, y, z = points_of(slab)
    image = np.full(slab.shape, -1000, dtype=np.float32)

    def lay(distance, value) -> None:
        share = np.clip(np.float32(0.5) - distance / voxel, 0, 1)
        image[...] += share * (value - image)

    chest = _chest(body, x, y)
    lay(chest - 22 - body["fat"], hu["fat"])
    lay(chest - 22, hu["muscle"] + 15 * ridges)
    lay(chest, hu["lung"] + 40 * trabeculae)
    lay(np.maximum(np.abs(ridges) * 5 - 0.35, chest + 4), 0.5 * patient.lumen_hu)
    middle = np.minimum.reduce([on[name] for name in CAVITIES])
    lay(np.maximum(middle - 11, chest), hu["fat"])
    lay(np.maximum(np.hypot(x + 4, y + 68) - 24 + 0 * z, chest), hu["fat"])
    _lay_bones(lay, patient, x, y, z, chest)
    below = z - body["dome"] * body["size"] + 0.002 * ((x - 30) ** 2 + y**2)
    for name in ("stomach", "liver"):
        lay(np.maximum(np.maximum(on[name], chest + 2), below), hu[name] + 6 * ridges)
    lay(on["gullet"], hu["gullet"])
    lay(on["windpipe"] - 1.5, hu["muscle"])
    lay(on["windpipe"], hu["windpipe"])

    thick = body["septum"] * (1 + 0.15 * ridges)
    lay(on["right_ventricle"] - 3, hu["myocardium"])
    for name in CAVITIES:
        if name != "left_ventricle":
            lay(on[name] - CAVITY_WALL_MM, hu["wall"])
    lay(on["left_ventricle"] - thick, hu["myocardium"] + 8 * trabeculae)
    for name in CAVITIES:
        rough = 1.5 * trabeculae if "ventricle" in name else 0
        mixed = 0.25 * ridges * hu[name] if name in ("right_atrium", "svc") else 0
        lay(on[name] + rough, hu[name] + mixed)
    lay(on["coronaries"] - 1, hu["wall"])
    lay(on["coronaries"], hu["coronaries"])
    root, h = patient.root, patient.root.height_mm
    wall = root.lumen(x, y, z, -12, 1.5 * h, WALL_MM)
    lay(np.maximum.reduce([wall, -on["ascending"], -on["left_ventricle"]]), hu["wall"])
    lay(root.lumen(x, y, z, -16, 1.6 * h), patient.lumen_hu * (1 + 0.008 * trabeculae))
    lay(root.cusps(x, y, z, patient.cusp_mm), hu["wall"] + 40)
    return image


def _chest(body, x, y):
    """First-order distance to the chest's cavity, a superellipse."""
    a, b = 0.78 * body["width"], 0.78 * body["depth"]
    ratio = (np.abs(x / a) ** body["power"] + np.abs((y + 12) / b) ** body["power"]) ** (
        1 / body["power"]
    )
    return ((ratio - 1) * min(a, b)).astype(np.float32)


def _lay_bones(lay, patient: SecondPatient, x, y, z, chest) -> None:
    hu, body = patient.hu, patient.body
    wave = np.cos(2 * np.pi * (z + 0.35 * (y + 12)) / body["rib"])
    ribs = np.maximum(np.abs(chest - 7) - 4.5, 6 * (0.35 - wave))
    lay(np.maximum(ribs, 25 - np.abs(x)), hu["bone"])
    lay(np.maximum(ribs + 1.6, 26.6 - np.abs(x)), hu["marrow"])
    spine = np.hypot((x - 2) / 1.15, y + 92 * body["size"]) - 16 - 1.2 * np.cos(2 * np.pi * z / 26)
    lay(spine, hu["bone"])
    lay(spine + 1.8, hu["marrow"])
    lay(np.abs(np.mod(z, 26) - 13) + np.clip(spine + 0.5, 0, None) * 9 - 2.5, 95.0)
    lay(np.hypot(x - 2, y + 118 * body["size"]) - 8 + 0 * z, 25.0)
    sternum = np.maximum(np.abs(x - 1) - 15, np.abs(chest - 5) - 5)
    front = np.maximum(np.maximum(sternum, -y), -50 - z)
    lay(front, hu["bone"])
    lay(front + 1.6, hu["marrow"])


def truth(patient: SecondPatient, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of every voxel that root (grains with it) and grains fill, float32."""
    root, grains = (np.zeros(grid.shape, dtype=np.float32) for _ in range(2))
    ends = grid.index(root_box(patient) + np.array([[-2.0], [2.0]]))
    first = np.clip(np.floor(ends.min(axis=0)), 0, grid.shape).astype(int)
    last = np.clip(np.ceil(ends.max(axis=0)) + 1, 0, grid.shape).astype(int)
    if (last <= first).any():
        return root, grains
    window = grid.window(first, last - first)
    affine = window.affine.copy()
    affine[:3, :3] /= FINER
    affine[:3, 3] = window.world(np.full(3, (1 / FINER - 1) / 2))
    fine = Grid(tuple(n * FINER for n in window.shape), affine)
    place = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    k, j, i = window.shape
    parts = k, FINER, j, FINER, i, FINER
    inside = patient.root.lumen(*points_of(fine), 0.0, patient.root.height_mm) < 0
    root[place] = inside.reshape(parts).mean(axis=(1, 3, 5))
    grains[place] = _grain_voxels(patient, fine).reshape(parts).mean(axis=(1, 3, 5))
    return np.maximum(root, grains), grains


def _grain_voxels(patient: SecondPatient, fine: Grid) -> np.ndarray:
    """Tell which voxels' centres lie in a grain, and in the root or half a mm of its wall."""
    x, y, z = points_of(fine)
    found = patient.root.lumen(x, y, z, 0.0, patient.root.height_mm, 0.5) < 0
    near = np.argwhere(found)
    inside = patient.grains.distance(fine.world(near)) < 0
    found[tuple(near[~inside].T)] = False
    return found


def _exposed(patient: SecondPatient, hu: np.ndarray, grid: Grid, noise: bool) -> np.ndarray:
    """Apply the modulation transfer ``exp(-(f / cutoff)^1.5)`` and add noise with a ramp."""
    shape = [fft.next_fast_len(n, real=True) for n in hu.shape]
    spacing = grid.spacing_mm
    k = fft.fftfreq(shape[0], spacing[0])[:, None, None]
    j = fft.fftfreq(shape[1], spacing[1])[:, None]
    i = fft.rfftfreq(shape[2], spacing[2])
    across = np.sqrt(j * j + i * i)
    transfer = np.exp(
        -((across / patient.cutoff_per_mm) ** 1.5) - (np.abs(k) / patient.cutoff_per_mm) ** 1.5
    ).astype(np.float32)
    padded = np.pad(hu, [(0, n - m) for n, m in zip(shape, hu.shape, strict=True)], mode="edge")
    seen = fft.irfftn(fft.rfftn(padded) * transfer, shape)
    if noise:
        rng = np.random.default_rng([patient.seed, *grid.shape, 2])
        white = rng.standard_normal(shape, dtype=np.float32)
        coloured = fft.irfftn(fft.rfftn(white) * (np.sqrt(across + 0.02) * transfer), shape)
        native = patient.scan.voxel_volume_mm3
        sd = patient.noise_hu * np.sqrt(min(native / grid.voxel_volume_mm3, 1.0))
        x, y, _ = points_of(grid.window((0, 0, 0), shape))
        middle = 0.8 + 0.4 * np.exp(-(x * x + y * y) / 80.0**2)
        seen += (sd / coloured.std()) * middle * coloured
    k, j, i = hu.shape
    return np.rint(np.clip(seen[:k, :j, :i], -1024, 3071)).astype(np.int16)
