"""The aortic root's mask from U-Net2's probability (paper 000, section IV)."""

import numpy as np
from scipy import ndimage

from calcohort.outcomes import Excluded, Reason


def find_root(
    probability: np.ndarray,
    spacing_mm: tuple[float, float, float],
    box: tuple[slice, slice, slice],
    inside: tuple[slice, slice, slice],
    threshold: float = 0.5,
    min_volume_ml: float = 3,
    max_volume_ml: float = 90,
    min_fraction_in_box: float = 0.9,
) -> np.ndarray:
    """Find the root: the largest component in U-Net1's box, its holes filled.

    Parameters
    ----------
    probability : ndarray, ``[k, j, i]``
        U-Net2's probability of the root, on the crop.
    spacing_mm : tuple of float
        Voxel spacing (k, j, i).
    box : tuple of slice
        U-Net1's box, in indices of the crop; components that lie wholly outside are not the root.
    inside : tuple of slice
        The part of the crop that the scan covers (`scan_in_crop`).
    threshold : float
        Voxels of at least this probability are the root's.
    min_volume_ml, max_volume_ml : float
        Limits of the root's volume.
    min_fraction_in_box : float
        Least part of the mask that lies in the box.

    Returns
    -------
    ndarray of bool, ``[k, j, i]``

    Raises
    ------
    Excluded
        `root_not_found` without a component in the box, `root_at_edge` when it touches the edge of
        the crop or of the scan in it, `root_implausible` when its volume is outside the limits or
        too much of it lies outside the box: the networks disagree about what the root is.
    """
    covered = probability[inside] >= threshold
    labels, _ = ndimage.label(covered)
    in_box = np.zeros(probability.shape, dtype=bool)
    in_box[box] = True
    candidates = np.unique(labels[in_box[inside]])
    candidates = candidates[candidates > 0]
    if not candidates.size:
        raise Excluded(
            Reason.ROOT_NOT_FOUND,
            f"U-Net2 found no voxel of probability {threshold:g} in U-Net1's box",
        )
    component = labels == candidates[np.bincount(labels.ravel())[candidates].argmax()]
    if any(np.take(component, (0, -1), axis).any() for axis in range(3)):
        raise Excluded(
            Reason.ROOT_AT_EDGE, "the root's mask touches the edge of the scan or of the crop"
        )
    component = ndimage.binary_fill_holes(component)
    volume_ml = component.sum() * float(np.prod(spacing_mm)) / 1000
    if not min_volume_ml <= volume_ml <= max_volume_ml:
        raise Excluded(
            Reason.ROOT_IMPLAUSIBLE,
            f"the root's mask has {volume_ml:.1f} mL; "
            f"{min_volume_ml:g} to {max_volume_ml:g} mL are plausible",
        )
    root = np.zeros(probability.shape, dtype=bool)
    root[inside] = component
    in_box_fraction = root[box].sum() / root.sum()
    if in_box_fraction < min_fraction_in_box:
        raise Excluded(
            Reason.ROOT_IMPLAUSIBLE,
            f"{in_box_fraction:.0%} of U-Net2's mask lie in U-Net1's box; "
            f"{min_fraction_in_box:.0%} are plausible",
        )
    return root


def scan_in_crop(
    crop_start_kji: tuple[int, int, int],
    crop_shape: tuple[int, int, int],
    scan_shape: tuple[int, int, int],
) -> tuple[slice, slice, slice]:
    """Return the part of a crop that the scan covers, as slices of the crop."""
    return tuple(
        slice(max(-first, 0), min(n, whole - first))
        for first, n, whole in zip(crop_start_kji, crop_shape, scan_shape, strict=True)
    )
