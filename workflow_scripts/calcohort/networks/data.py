"""The training store: phantoms as the two networks will see them.

Each phantom is drawn and rendered once; from it come a sample for U-Net1 (the scan scaled by 2,
with the root's bounding box as label) and one for U-Net2 (the crop after the luminance filter,
with the root as label). Samples are plain ``.npy`` files, so that patches of them can be read
without the rest, and are the same bytes for the same seed.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calcohort.localise import crop_start
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import UserError, atomic_path, write_record
from calcohort.volume import Volume, bounding_slices, crop, downscale

TRAINING_SEED, VALIDATION_SEED = 1_000_000, 2_000_000
FIRST_FREE_SEED = 100_000
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


def make_store(store: Path, seeds: list[int], workers: int = 2):
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
    missing = [seed for seed in seeds if not _path(store, seed, "sample.json").exists()]
    yield from (seed for seed in seeds if seed not in missing)
    if missing:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(_make_samples, [store] * len(missing), missing)


def _make_samples(store: Path, seed: int) -> int:
    from calcohort.phantom.anatomy import draw_anatomy
    from calcohort.phantom.render import render, scan_grid

    anatomy = draw_anatomy(seed)
    grid = scan_grid(anatomy)
    phantom = render(anatomy, grid)
    scan = Volume(phantom.hu, grid.affine)
    box = bounding_slices(phantom.root)

    coarse = downscale(scan, FACTOR_KJI).array
    _save(_path(store, seed, "unet1_image.npy"), normalise(coarse).astype(np.float16))
    label = np.zeros(coarse.shape, dtype=np.uint8)
    label[tuple(_coarse(s, f) for s, f in zip(box, FACTOR_KJI, strict=True))] = 1
    _save(_path(store, seed, "unet1_label.npy"), label)

    start, stop = _jittered(box, grid, np.random.default_rng(seed))
    first = crop_start(start, stop, CROP_SHAPE)
    window = tuple(slice(a - f, b - f) for a, b, f in zip(start, stop, first, strict=True))
    hu = crop(scan, first, CROP_SHAPE, int(phantom.hu.min())).array
    image = normalise(lower_calcium(hu, window)).astype(np.float16)
    _save(_path(store, seed, "unet2_image.npy"), image)
    root = Volume(phantom.root.astype(np.uint8), grid.affine)
    _save(_path(store, seed, "unet2_label.npy"), crop(root, first, CROP_SHAPE, 0).array)

    write_record(
        _path(store, seed, "sample.json"),
        {"seed": seed, "box_start_kji": start, "box_stop_kji": stop},
    )
    return seed


def _coarse(span: slice, factor: int) -> slice:
    return slice(span.start // factor, -(-span.stop // factor))


def _jittered(box, grid, rng) -> tuple[list[int], list[int]]:
    sides = rng.uniform(BOX_MARGIN_MM - JITTER_MM, BOX_MARGIN_MM + JITTER_MM, (2, 3))
    low, high = np.round(sides / grid.spacing_mm).astype(int)
    start = np.maximum([s.start for s in box] - low, 0)
    stop = np.minimum([s.stop for s in box] + high, grid.shape)
    return start.tolist(), stop.tolist()


def _path(store: Path, seed: int, name: str) -> Path:
    return Path(store) / str(seed) / name


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        np.save(temporary, array)


def read_sample(store: Path, seed: int, network: str) -> Sample:
    """Open the sample of `seed` for `network` ("unet1" or "unet2"); voxels are read when used."""
    return Sample(
        *(
            np.load(_path(store, seed, f"{network}_{kind}.npy"), mmap_mode="r")
            for kind in ("image", "label")
        )
    )
