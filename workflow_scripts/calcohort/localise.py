"""The box around the aortic root from U-Net1's probability (paper 000, section IV).

U-Net1 sees the scan, on voxels of the size that `resample` asks for and scaled by 2 along rows and
columns, and is trained on the filled bounding box of the root. What it finds is judged before it is
believed: nothing found, something cut by the scan's edge, or something of no root's size are
outcomes. The edge is judged here and again in U-Net2's mask (`segment`): of a root whose annulus is
cut off U-Net2 alone may make a smaller one that ends short of the edge.
"""

import numpy as np
from scipy import ndimage

from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Grid, bounding_slices


def find_box(
    probability: np.ndarray,
    coarse: Grid,
    scan: Grid,
    threshold: float = 0.5,
    margin_mm: float = 4,
    min_size_mm: float = 20,
    max_size_mm: float = 100,
    max_elsewhere_fraction: float = 0.3,
) -> dict:
    """Find the box around the root.

    Parameters
    ----------
    probability : ndarray, ``[k, j, i]``
        U-Net1's probability of the box, on the downscaled grid.
    coarse, scan : Grid
        The downscaled grid and the scan's own.
    threshold : float
        Voxels of at least this probability are the box's.
    margin_mm : float
        The box is grown by this on every side, as far as the scan goes.
    min_size_mm, max_size_mm : float
        Limits of each side of the box before it is grown.
    max_elsewhere_fraction : float
        Largest part of the voxels found that may lie outside of the largest component.

    Returns
    -------
    dict
        `box_start_kji` and `box_stop_kji` (indices of the scan, stop exclusive), `box_size_mm`
        (k, j, i; before the margin), `confidence` (mean probability of the component, 0 to 1) and
        `other_components_fraction` (part of the voxels found that lie elsewhere).

    Raises
    ------
    ValueError
        When `probability` does not lie on the downscaled grid.
    Excluded
        `root_not_found` without a component, `root_at_edge` when the largest one touches the
        scan's edge, `root_implausible` when a side of it is outside the limits or too much is found
        elsewhere: a scan has one root.
    """
    if probability.shape != coarse.shape:
        raise ValueError(f"probability has shape {probability.shape}, its grid {coarse.shape}")
    labels, count = ndimage.label(probability >= threshold)
    if not count:
        raise Excluded(
            Reason.ROOT_NOT_FOUND,
            f"U-Net1's highest probability is {probability.max():.2f}, below {threshold:g}",
        )
    sizes = np.bincount(labels.ravel())[1:]
    component = labels == sizes.argmax() + 1
    slices = bounding_slices(component)
    start = np.array([s.start for s in slices])
    stop = np.array([s.stop for s in slices])
    size_mm = (stop - start) * coarse.spacing_mm
    text = " × ".join(f"{mm:.0f}" for mm in size_mm)
    if (start == 0).any() or (stop == coarse.shape).any():
        raise Excluded(
            Reason.ROOT_AT_EDGE, f"the box found, {text} mm (k, j, i), touches the scan's edge"
        )
    if (size_mm < min_size_mm).any() or (size_mm > max_size_mm).any():
        raise Excluded(
            Reason.ROOT_IMPLAUSIBLE,
            f"the box found is {text} mm (k, j, i); "
            f"sides of {min_size_mm:g} to {max_size_mm:g} mm are plausible",
        )
    elsewhere_fraction = 1 - sizes.max() / sizes.sum()
    if elsewhere_fraction > max_elsewhere_fraction:
        raise Excluded(
            Reason.ROOT_IMPLAUSIBLE,
            f"U-Net1 sees roots at {count} places, {elsewhere_fraction:.0%} of it outside "
            f"of the largest; {max_elsewhere_fraction:.0%} are plausible",
        )
    margin = np.ceil(margin_mm / scan.spacing_mm).astype(int)
    first, last = scan.cover(coarse, start, stop)
    return {
        "box_start_kji": np.maximum(first - margin, 0).tolist(),
        "box_stop_kji": np.minimum(last + margin, scan.shape).tolist(),
        "box_size_mm": size_mm.round(2).tolist(),
        "confidence": round(float(probability[component].mean(dtype=float)), 4),
        "other_components_fraction": round(elsewhere_fraction, 4),
    }


def crop_start(
    box_start_kji: tuple[int, int, int],
    box_stop_kji: tuple[int, int, int],
    crop_shape: tuple[int, int, int],
) -> tuple[int, int, int]:
    """Return where a crop of `crop_shape` starts that has the box in its centre (may be < 0)."""
    return tuple(
        (int(start) + int(stop) - int(n)) // 2
        for start, stop, n in zip(box_start_kji, box_stop_kji, crop_shape, strict=True)
    )
