"""A scan that is learned from, described as a cohort's scans are (`applicability.QUANTITIES`)."""

from typing import Any

import numpy as np

from calcohort.applicability import describe_grid
from calcohort.measure.luminance import measure_luminance
from calcohort.outcomes import Excluded
from calcohort.volume import Volume


def describe_scan(ct: Volume, root: np.ndarray, **cube: Any) -> dict[str, float | None]:
    """Describe a scan whose root is known.

    Parameters
    ----------
    ct : Volume
        HU, ``[k, j, i]``.
    root : ndarray of bool, ``[k, j, i]``
        Not empty.
    **cube
        Settings of `measure_luminance`.

    Returns
    -------
    dict
        Every quantity; contrast and noise are None where the luminance cube finds no place.
    """
    try:
        measured = measure_luminance(ct, root, **cube)
    except Excluded:
        measured = {}
    luminance = {key: measured.get(key) for key in ("luminance_hu", "luminance_sd_hu")}
    return describe_grid(ct.grid.shape, ct.grid.spacing_mm) | luminance
