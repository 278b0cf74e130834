"""The training store: phantoms as the two networks will see them.

A sample of U-Net1 is the scan at half the resolution along rows and columns, with the root's
bounding box as label; a sample of U-Net2 is the crop after the luminance filter, with the root as
label. Only what a sample needs is rendered. Samples are plain ``.npy`` files, so that patches of
them can be read without the rest, and are the same bytes for the same seed.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import UserError, atomic_path
from calcohort.phantom.anatomy import Anatomy, draw_anatomy
from calcohort.phantom.render import render, root_box, scan_grid
from calcohort.segment import scan_in_crop
from calcohort.volume import Grid, Volume, bounding_slices, crop

TRAINING_SEED, VALIDATION_SEED = 1_000_000, 2_000_000
FIRST_FREE_SEED = 100_000
AIR_HU = -1024
CROP_SHAPE = (224, 256, 256)
FACTOR_KJI = (1, 2, 2)
BOX_MARGIN_MM = 4
JITTER_MM = 6
"""How far U-Net1's box may be off on each side in the samples of U-Net2."""


@dataclass(frozen=True)
class Sample:
    """One phantom for one network: `image` float16 in [0, 1] and `label` uint8, ``[k, j, i]``."""

    image: np.ndarray
    label: np.ndarray


def make_store(store: Path, network: str, seeds: list[int], workers: int = 2) -> Iterator[int]:
    """Make the samples of `seeds` that `store` does not hold yet; yield each seed when it is there.

    Raises
    ------
    UserError
        When a seed is below 100,000: those are kept for the demo, the tests and the evaluation.
    """
    reserved = [seed for seed in seeds if seed < FIRST_FREE_SEED]
    if reserved:
        raise UserError(
            f"seed {reserved[0]} is reserved for demo, tests and evaluation; "
            f"train on seeds from {FIRST_FREE_SEED} on"
        )
    missing = [seed for seed in seeds if not _path(store, seed, network, "label").exists()]
    yield from (seed for seed in seeds if seed not in missing)
    if missing:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(_keep_sample, repeat(store), repeat(network), missing)


def _keep_sample(store: Path, network: str, seed: int) -> int:
    image, label = MAKE[network](draw_anatomy(seed))
    for kind, array in (("image", image.astype(np.float16)), ("label", label.astype(np.uint8))):
        with atomic_path(_path(store, seed, network, kind)) as temporary:
            np.save(temporary, array)
    return seed


def scan_and_box(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray]:
    """Return what U-Net1 sees of a phantom and the filled box of its root, both ``[k, j, i]``."""
    phantom = render(anatomy, scan_grid(anatomy).downscaled(FACTOR_KJI))
    box = np.zeros(phantom.root.shape, dtype=bool)
    box[bounding_slices(phantom.root)] = True
    return normalise(phantom.hu), box


def crop_and_root(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray]:
    """Return what U-Net2 sees of a phantom and its root, both ``[k, j, i]``.

    U-Net1's box is drawn by chance around the true one, so that U-Net2 learns to bear its errors.
    """
    scan = scan_grid(anatomy)
    rng = np.random.default_rng(anatomy.seed)
    centre = scan.index(root_box(anatomy).mean(axis=0))
    jitter = rng.uniform(-JITTER_MM, JITTER_MM, 3) / scan.spacing_mm
    first = np.round(centre + jitter).astype(int) - np.array(CROP_SHAPE) // 2
    inside = scan_in_crop(first, CROP_SHAPE, scan.shape)
    covered = scan.window(
        first + [part.start for part in inside], [part.stop - part.start for part in inside]
    )
    phantom = render(anatomy, covered)
    start = [-part.start for part in inside]
    hu = crop(Volume(phantom.hu, covered.affine), start, CROP_SHAPE, AIR_HU).array
    root = crop(Volume(phantom.root, covered.affine), start, CROP_SHAPE, False).array
    return normalise(lower_calcium(hu, _jittered(bounding_slices(root), scan, rng))), root


def _jittered(box: tuple[slice, ...], grid: Grid, rng: np.random.Generator) -> tuple[slice, ...]:
    sides_mm = rng.uniform(BOX_MARGIN_MM - JITTER_MM, BOX_MARGIN_MM + JITTER_MM, (2, 3))
    low, high = np.round(sides_mm / grid.spacing_mm).astype(int)
    return tuple(
        slice(max(part.start - a, 0), part.stop + b)
        for part, a, b in zip(box, low, high, strict=True)
    )


MAKE = {"unet1": scan_and_box, "unet2": crop_and_root}


def _path(store: Path, seed: int, network: str, kind: str) -> Path:
    return Path(store) / network / f"{seed}_{kind}.npy"


def read_sample(store: Path, seed: int, network: str) -> Sample:
    """Open the sample of `seed` for `network` ("unet1" or "unet2"); voxels are read when used."""
    return Sample(
        *(np.load(_path(store, seed, network, kind), mmap_mode="r") for kind in ("image", "label"))
    )
