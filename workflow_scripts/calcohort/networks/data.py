"""The training store: phantoms as the two networks will see them.

A sample of U-Net1 is the scan at half the resolution along rows and columns, with the root's
bounding box as label; a sample of U-Net2 is the crop after the luminance filter, with the root as
label; both on the blocks of voxels that the network computes on (`Network`), where they are
rendered directly. A label is the share of each block that is the root's. Samples are plain ``.npy``
files, the same bytes for the same seed.
"""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import Excluded, UserError, atomic_path
from calcohort.phantom.families import FAMILIES
from calcohort.segment import scan_in_crop
from calcohort.volume import Grid, Volume, bounding_slices, downscale

TRAINING_SEED, VALIDATION_SEED = 1_000_000, 2_000_000
FIRST_FREE_SEED = 100_000
AIR_HU = -1024
CROP_SHAPE = (224, 256, 256)
FACTOR_KJI = (1, 2, 2)
JITTER_MM = 6
"""How far the crop of a sample of U-Net2 may be off its centre on each axis."""
BESIDE_ROOT_MM = (-2, 10)
"""What the box of a sample of U-Net2 leaves beside the root on each side; below 0 it cuts it."""


@dataclass(frozen=True)
class Sample:
    """One scan for one network: `image` and `label`, float16 in [0, 1], ``[k, j, i]``."""

    image: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class Case:
    """A phantom: its family (`phantom.families`) and its seed."""

    family: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its sample in a store."""
        return f"{self.family}-{self.seed}"


def add_case_options(parser: ArgumentParser) -> None:
    """Add the options that say which phantoms are meant (`draw_cases`)."""
    parser.add_argument(
        "--family", type=_family, action="append", required=True, metavar="NAME=COUNT",
        help=f"phantoms of a family: {', '.join(FAMILIES)}; may be repeated",
    )  # fmt: skip
    parser.add_argument("--first-seed", type=int, default=TRAINING_SEED, help="of each family")


def add_store_options(parser: ArgumentParser) -> None:
    """Add the options that say which phantoms a store holds, and how they are seen."""
    add_case_options(parser)
    parser.add_argument(
        "--block", type=int, nargs=3, default=(2, 2, 2), metavar=("K", "J", "I"),
        help="voxels that the network averages before it computes; 1 1 1 is the paper's",
    )  # fmt: skip
    parser.add_argument(
        "--spacing-mm", type=float, nargs=3, metavar=("K", "J", "I"),
        help="resample each scan to these voxels first; its own when not given",
    )  # fmt: skip
    parser.add_argument("--store", type=Path, default=Path("results/training/store"))
    parser.add_argument("--workers", type=int, default=2, help="processes that render phantoms")


def _family(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    return name, int(count)


def draw_cases(counts: Sequence[tuple[str, int]], first_seed: int) -> list[Case]:
    """Return so many phantoms of each family, with seeds from `first_seed` on."""
    return [
        Case(family, seed)
        for family, count in counts
        for seed in range(first_seed, first_seed + count)
    ]


def make_store(
    store: Path,
    network: str,
    block_kji: tuple[int, int, int],
    cases: Sequence[Case],
    workers: int = 2,
    spacing_mm: tuple[float, float, float] | None = None,
) -> Iterator[str]:
    """Make the samples that `store` does not hold yet; yield each name when it is there.

    Parameters
    ----------
    store : Path
        Folder of the samples.
    network : str
        "unet1" or "unet2".
    block_kji : tuple of int
        Voxels of the network's input that it averages before it computes.
    cases : sequence of Case
        The phantoms.
    workers : int
        Processes.
    spacing_mm : tuple of float, optional
        Voxels ``(k, j, i)`` to which each scan is resampled first; its own when not given.

    Raises
    ------
    UserError
        When a family is unknown, or a seed below 100,000: those are kept for the demo, the tests
        and the evaluation.
    """
    for case in cases:
        if case.family not in FAMILIES:
            raise UserError(f"family {case.family!r} is unknown; choose {', '.join(FAMILIES)}")
        if case.seed < FIRST_FREE_SEED:
            raise UserError(
                f"seed {case.seed} is reserved for demo, tests and evaluation; "
                f"train on seeds from {FIRST_FREE_SEED} on"
            )
    missing = [case for case in cases if not _path(store, case.name, network, "label").exists()]
    yield from (case.name for case in cases if case not in missing)
    if missing:
        keep = partial(_keep, store, network, block_kji, spacing_mm)
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(keep, missing)


def _keep(store: Path, network: str, block_kji, spacing_mm, case: Case) -> str:
    make = {"unet1": scan_and_box, "unet2": crop_and_root}[network]
    keep_sample(store, case.name, network, *make(case, block_kji, spacing_mm))
    return case.name


def keep_sample(store: Path, name: str, network: str, image: np.ndarray, label: np.ndarray) -> None:
    """Write a sample (`Sample`), the image before the label."""
    for kind, array in (("image", image), ("label", label)):
        with atomic_path(_path(store, name, network, kind)) as temporary:
            np.save(temporary, array.astype(np.float16))


def scan_and_box(
    case: Case,
    block_kji: tuple[int, int, int],
    spacing_mm: tuple[float, float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what U-Net1 sees of a phantom and the filled box of its root, both ``[k, j, i]``."""
    family = FAMILIES[case.family]
    patient = family.draw(case.seed)
    scan = family.scan_grid(patient)
    scan = scan.respaced(spacing_mm) if spacing_mm else scan
    grid = scan.downscaled(FACTOR_KJI).downscaled(block_kji)
    phantom = family.render(patient, grid)
    box = np.zeros(grid.shape, dtype=bool)
    box[bounding_slices(phantom.root)] = True
    return normalise(phantom.hu), box


def crop_and_root(
    case: Case,
    block_kji: tuple[int, int, int],
    spacing_mm: tuple[float, float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what U-Net2 sees of a phantom and the root's share of each block, ``[k, j, i]``.

    The crop's centre and U-Net1's box are drawn by chance around the true ones, so that U-Net2
    learns to bear U-Net1's errors. What lies outside the scan is air. Where the box holds too
    little contrast to tell calcium from blood, nothing is lowered.
    """
    family = FAMILIES[case.family]
    patient = family.draw(case.seed)
    scan = family.scan_grid(patient)
    scan = scan.respaced(spacing_mm) if spacing_mm else scan
    rng = np.random.default_rng(case.seed)
    centre = scan.index(family.root_box(patient).mean(axis=0))
    jitter = rng.uniform(-JITTER_MM, JITTER_MM, 3) / scan.spacing_mm
    first = np.round(centre + jitter).astype(int) - np.array(CROP_SHAPE) // 2
    crop = scan.window(first, CROP_SHAPE)
    grid = crop.downscaled(block_kji)
    phantom = family.render(patient, grid)

    inside = tuple(
        slice(-(-part.start // block), part.stop // block)
        for part, block in zip(scan_in_crop(first, CROP_SHAPE, scan.shape), block_kji, strict=True)
    )
    hu = np.full(grid.shape, AIR_HU, dtype=phantom.hu.dtype)
    hu[inside] = phantom.hu[inside]
    box = jittered(bounding_slices(phantom.root), grid, rng)
    with suppress(Excluded):
        hu = lower_calcium(hu, box)
    root, _ = family.truth(patient, crop)
    return normalise(hu), downscale(Volume(root, crop.affine), block_kji).array


def jittered(box: tuple[slice, ...], grid: Grid, rng: np.random.Generator) -> tuple[slice, ...]:
    """Return the box with the margin and the errors that U-Net1's has, inside the grid's start."""
    sides_mm = rng.uniform(*BESIDE_ROOT_MM, (2, 3))
    low, high = np.round(sides_mm / grid.spacing_mm).astype(int)
    return tuple(
        slice(max(part.start - a, 0), part.stop + b)
        for part, a, b in zip(box, low, high, strict=True)
    )


def _path(store: Path, name: str, network: str, kind: str) -> Path:
    return Path(store) / network / f"{name}_{kind}.npy"


def read_sample(store: Path, name: str, network: str) -> Sample:
    """Open the sample `name` for `network`; voxels are read when used."""
    return Sample(
        *(np.load(_path(store, name, network, kind), mmap_mode="r") for kind in ("image", "label"))
    )
