"""A site's scan as a network will see it, and as a sample of the training store."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calcohort import volume
from calcohort.localise import crop_start
from calcohort.networks.data import JITTER_MM, jittered, keep_sample
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import Excluded, Reason
from calcohort.training.description import describe_scan
from calcohort.volume import Volume, bounding_slices


def network_view(
    network: str,
    ct: Volume,
    root: np.ndarray,
    scan_id: str,
    *,
    spacing_mm: Sequence[float] | None,
    factor_kji: Sequence[int],
    crop_shape_kji: Sequence[int],
    pad_value_hu: int,
) -> tuple[Volume, np.ndarray]:
    """Return what a network is given of a scan, and what it should find.

    U-Net1 is given the downscaled scan and should find the filled box of the root. U-Net2 is given
    the crop with its calcium lowered and should find the root. The place of the crop and the box in
    which calcium is lowered are off by chance, as U-Net1's are; `scan_id` alone decides how.

    Parameters
    ----------
    network : str
        "unet1" or "unet2".
    ct : Volume
        HU, ``[k, j, i]``.
    root : ndarray of bool, ``[k, j, i]``
        The reference root on the scan's grid.
    scan_id : str
    spacing_mm, factor_kji, crop_shape_kji, pad_value_hu
        The settings `resample.spacing_mm`, `downscale.factor_kji`, `crop.shape_kji` and
        `crop.pad_value_hu`.

    Returns
    -------
    (Volume, ndarray of bool)
        Intensities in [0, 1] and the mask on their grid, ``[k, j, i]``.

    Raises
    ------
    Excluded
        `root_implausible` when the root does not fit into the crop or vanishes when downscaled, and
        what `normalise` and `lower_calcium` raise.
    """
    root = volume.respace(Volume(root, ct.affine), spacing_mm).array >= 0.5
    ct = volume.respace(ct, spacing_mm)
    if network == "unet1":
        small = volume.downscale(ct, tuple(factor_kji))
        coarse = volume.downscale(Volume(root, ct.affine), tuple(factor_kji)).array >= 0.5
        if not coarse.any():
            raise Excluded(Reason.ROOT_IMPLAUSIBLE, "the reference root vanishes when downscaled")
        box = np.zeros(coarse.shape, dtype=bool)
        box[bounding_slices(coarse)] = True
        return Volume(normalise(small.array), small.affine), box

    rng = np.random.default_rng(list(scan_id.encode()))
    around = bounding_slices(root)
    shape = tuple(crop_shape_kji)
    centred = crop_start([side.start for side in around], [side.stop for side in around], shape)
    off = np.round(rng.uniform(-JITTER_MM, JITTER_MM, 3) / ct.grid.spacing_mm).astype(int)
    start = tuple(int(first) for first in np.array(centred) + off)
    cut = volume.crop(ct, start, shape, pad_value_hu)
    label = volume.crop(Volume(root, ct.affine), start, shape, False).array
    if label.sum() != root.sum():
        raise Excluded(
            Reason.ROOT_IMPLAUSIBLE,
            f"the reference root does not fit into a crop of {shape} voxels around its centre",
        )
    box = jittered(bounding_slices(label), cut.grid, rng)
    return Volume(normalise(lower_calcium(cut.array, box)), cut.affine), label


def prepare_sample(
    store: Path,
    network: str,
    scan_id: str,
    ct_path: Path,
    mask_path: Path,
    block_kji: Sequence[int],
    cube: Mapping[str, Any],
    **view: Any,
) -> dict[str, Any]:
    """Write a scan's sample to the store: means of blocks, as the network computes on them.

    Parameters
    ----------
    store : Path
        The training store.
    network, scan_id : str
        Whose sample of which scan.
    ct_path, mask_path : Path
        The converted scan and its reference root.
    block_kji : sequence of int
        Voxels that the network averages before it computes.
    cube : mapping
        Settings of the luminance cube (`measure_luminance`).
    **view
        Settings of `network_view`.

    Returns
    -------
    dict
        `shape_blocks_kji`, `root_volume_mm3`, `ct_sha256` (of the scan's voxels: one scan under two
        names is found by it), `sample_sha256`, and what `describe_scan` tells of the scan.

    Raises
    ------
    Excluded
        When the mask is missing, empty or on another grid, or the scan cannot be seen by the
        network (`network_view`).
    """
    if not Path(mask_path).is_file():
        raise Excluded(Reason.NO_FILES, "the reference_root_mask of the sheet does not exist")
    ct = volume.read(ct_path)
    root = volume.read_mask(mask_path, ct.grid, what="the reference_root_mask")
    image, label = network_view(network, ct, root, scan_id, **view)
    block = tuple(block_kji)
    blocks = volume.downscale(image, block).array
    shares = volume.downscale(Volume(label, image.affine), block).array
    seen = hashlib.sha256(np.ascontiguousarray(blocks))
    seen.update(np.ascontiguousarray(shares))
    keep_sample(store, scan_id, network, blocks, shares)
    return {
        "shape_blocks_kji": blocks.shape,
        "root_volume_mm3": round(float(root.sum() * ct.grid.voxel_volume_mm3), 1),
        "ct_sha256": hashlib.sha256(np.ascontiguousarray(ct.array)).hexdigest(),
        "sample_sha256": seen.hexdigest(),
    } | describe_scan(ct, root, **cube)
