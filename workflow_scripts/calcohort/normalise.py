"""Intensities as the networks see them (paper 000, section IV.A).

Both networks read voxels clipped at 85 % of the maximum luminance, as floats in [0, 1]; U-Net2
reads them after a filter that lowers bright calcium in the box that U-Net1 found. Nothing is cast
to uint8 on the way, which would corrupt negative HU.
"""

import numpy as np

from calcohort.outcomes import Excluded, Reason

MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def normalise(
    hu: np.ndarray,
    clip_fraction: float = 0.85,
    maximum_percentile: float = 99.9,
    air_hu: float = -1024,
) -> np.ndarray:
    """Clip at a fraction of the maximum luminance and scale to [0, 1].

    The paper clips at 85 % of the maximum, applies the Z-score and stores floats in [0, 1]. A
    Z-score followed by a scaling of minimum and maximum to 0 and 1 is that scaling alone (mean and
    standard deviation cancel), so this is ``(clipped − min) / (max − min)``.

    The *maximum luminance* is a high percentile: one metal voxel at 3071 HU would otherwise decide
    the contrast of the whole volume.

    Parameters
    ----------
    hu : ndarray, ``[k, j, i]``
        Hounsfield units.
    clip_fraction : float
        Fraction of the maximum luminance above which voxels are clipped.
    maximum_percentile : float
        Percentile of all voxels that is taken as the maximum luminance; 100 is the very maximum.
    air_hu : float
        Lower values, such as a scanner's padding outside its field of view, become this value.

    Returns
    -------
    ndarray of float32, ``[k, j, i]``, in [0, 1]

    Raises
    ------
    Excluded
        `not_hounsfield` when all voxels have one value, or none is above water (0 HU).
    """
    maximum = float(np.percentile(hu, maximum_percentile))
    if maximum <= 0:
        raise Excluded(
            Reason.NOT_HOUNSFIELD,
            f"the maximum luminance is {maximum:.0f} HU: nothing is denser than water, so the "
            "values are not Hounsfield units of a body",
        )
    clipped = np.clip(hu, air_hu, clip_fraction * maximum).astype(np.float32)
    low, high = clipped.min(), clipped.max()
    if low == high:
        raise Excluded(
            Reason.NOT_HOUNSFIELD, f"all voxels have one value, {float(hu.flat[0]):.0f} HU"
        )
    clipped -= low
    clipped /= high - low
    return clipped


def lower_calcium(
    hu: np.ndarray,
    box: tuple[slice, slice, slice],
    blood_pool_hu: float = 200,
    spreads: float = 3,
    min_blood_pool_fraction: float = 0.05,
) -> np.ndarray:
    """Lower the luminance of calcium in the box around the root.

    Severe calcifications are far brighter than blood with contrast and would punch holes into the
    root's mask. The paper lowers the luminance in the ROI of U-Net1 without a formula; here the
    *blood pool* is the box's voxels of at least `blood_pool_hu`, and voxels above its ``median +
    spreads · 1.4826 · MAD`` (a ceiling that the deposits themselves hardly move) get the median.

    Parameters
    ----------
    hu : ndarray, ``[k, j, i]``
        Hounsfield units.
    box : tuple of slice
        The box around the root, in indices of `hu`.
    blood_pool_hu : float
        Lowest HU of blood with contrast.
    spreads : float
        Robust standard deviations between the median and the ceiling.
    min_blood_pool_fraction : float
        Least part of the box that must be blood pool.

    Returns
    -------
    ndarray, ``[k, j, i]``
        A copy of `hu`, of the same type.

    Raises
    ------
    Excluded
        `no_contrast` when the box holds less blood pool than that.
    """
    lowered = hu.copy()
    inside = lowered[box]
    pool = inside[inside >= blood_pool_hu]
    if pool.size < max(1, min_blood_pool_fraction * inside.size):
        raise Excluded(
            Reason.NO_CONTRAST,
            f"{pool.size / max(inside.size, 1):.1%} of the box around the root reaches "
            f"{blood_pool_hu:g} HU; contrast-enhanced blood fills {min_blood_pool_fraction:.0%}",
        )
    median = np.median(pool)
    ceiling = median + spreads * MAD_TO_SD * np.median(np.abs(pool - median))
    inside[inside > ceiling] = np.round(median) if hu.dtype.kind in "iu" else median
    return lowered
