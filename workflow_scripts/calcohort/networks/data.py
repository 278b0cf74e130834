"""The training store: phantoms as the two networks will see them.

A sample of U-Net1 is the scan at half the resolution along rows and columns, with the root's
bounding box as label; a sample of U-Net2 is the crop after the luminance filter, with the root as
label; both on the blocks of voxels that the network computes on (`Network`), where they are
rendered directly. Samples are plain ``.npy`` files, the same bytes for the same seed.
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
from calcohort.volume import Grid, bounding_slices

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
    """One scan for one network: `image` float16 in [0, 1] and `label` uint8, ``[k, j, i]``."""

    image: np.ndarray
    label: np.ndarray


def make_store(
    store: Path, network: str, block_kji: tuple[int, int, int], seeds: list[int], workers: int = 2
) -> Iterator[int]:
    """Make the samples of `seeds` that `store` does not hold yet; yield each seed when it is there.

    Parameters
    ----------
    store : Path
        Folder of the samples.
    network : str
        "unet1" or "unet2".
    block_kji : tuple of int
        Voxels of the network's input that it averages before it computes.
    seeds : list of int
        Of the phantoms.
    workers : int
        Processes.

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
            yield from pool.map(_keep, repeat(store), repeat(network), repeat(block_kji), missing)


def _keep(store: Path, network: str, block_kji: tuple[int, int, int], seed: int) -> int:
    make = {"unet1": scan_and_box, "unet2": crop_and_root}[network]
    keep_sample(store, seed, network, *make(draw_anatomy(seed), block_kji))
    return seed


def keep_sample(
    store: Path, name: int | str, network: str, image: np.ndarray, label: np.ndarray
) -> None:
    """Write a sample (`Sample`), the image before the label."""
    for kind, array in (("image", image.astype(np.float16)), ("label", label.astype(np.uint8))):
        with atomic_path(_path(store, name, network, kind)) as temporary:
            np.save(temporary, array)


def scan_and_box(
    anatomy: Anatomy, block_kji: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what U-Net1 sees of a phantom and the filled box of its root, both ``[k, j, i]``."""
    grid = scan_grid(anatomy).downscaled(FACTOR_KJI).downscaled(block_kji)
    phantom = render(anatomy, grid)
    box = np.zeros(grid.shape, dtype=bool)
    box[bounding_slices(phantom.root)] = True
    return normalise(phantom.hu), box


def crop_and_root(
    anatomy: Anatomy, block_kji: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what U-Net2 sees of a phantom and its root, both ``[k, j, i]``.

    The crop's centre and U-Net1's box are drawn by chance around the true ones, so that U-Net2
    learns to bear U-Net1's errors. What lies outside the scan is air.
    """
    scan = scan_grid(anatomy)
    rng = np.random.default_rng(anatomy.seed)
    centre = scan.index(root_box(anatomy).mean(axis=0))
    jitter = rng.uniform(-JITTER_MM, JITTER_MM, 3) / scan.spacing_mm
    first = np.round(centre + jitter).astype(int) - np.array(CROP_SHAPE) // 2
    grid = scan.window(first, CROP_SHAPE).downscaled(block_kji)
    phantom = render(anatomy, grid)

    inside = tuple(
        slice(-(-part.start // block), part.stop // block)
        for part, block in zip(scan_in_crop(first, CROP_SHAPE, scan.shape), block_kji, strict=True)
    )
    hu = np.full(grid.shape, AIR_HU, dtype=phantom.hu.dtype)
    hu[inside] = phantom.hu[inside]
    box = jittered(bounding_slices(phantom.root), grid, rng)
    return normalise(lower_calcium(hu, box)), phantom.root


def jittered(box: tuple[slice, ...], grid: Grid, rng: np.random.Generator) -> tuple[slice, ...]:
    """Return the box with the margin and the errors that U-Net1's has, inside the grid's start."""
    sides_mm = rng.uniform(BOX_MARGIN_MM - JITTER_MM, BOX_MARGIN_MM + JITTER_MM, (2, 3))
    low, high = np.round(sides_mm / grid.spacing_mm).astype(int)
    return tuple(
        slice(max(part.start - a, 0), part.stop + b)
        for part, a, b in zip(box, low, high, strict=True)
    )


def _path(store: Path, name: int | str, network: str, kind: str) -> Path:
    return Path(store) / network / f"{name}_{kind}.npy"


def read_sample(store: Path, name: int | str, network: str) -> Sample:
    """Open the sample `name` (a phantom's is its seed) for `network`; voxels are read when used."""
    return Sample(
        *(np.load(_path(store, name, network, kind), mmap_mode="r") for kind in ("image", "label"))
    )
