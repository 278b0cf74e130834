"""Scores beside the calcium volume: mass, volume by interpolation, weighted volume.

References
----------
Callister et al., Radiology 1998; 208: 807-814 (isotropic interpolation). McCollough et al.,
Radiology 2007; 243: 527-538 (mass).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from calcohort.measure import agatston
from calcohort.measure.lesions import NEIGHBOURS
from calcohort.volume import Grid, Volume, bounding_slices


@dataclass(frozen=True)
class Scoring:
    """The study's choices for scores (`scores` in config.yaml).

    Attributes
    ----------
    contrast : bool
        Whether the scans have contrast. Then the threshold is the main rule's and the scores are
        not comparable with published ones; without contrast it is 130 HU.
    mass_calibration : float, optional
        Of the scanner and its settings, from a phantom: mg/cm³ of hydroxyapatite per HU. Without
        it there is no mass.
    """

    contrast: bool = True
    mass_calibration: float | None = None


def rule_scores(
    hu: np.ndarray, calcium: np.ndarray, grid: Grid, scoring: Scoring
) -> dict[str, float | None]:
    """Agatston score and mass of one threshold rule: `agatston_au`, `mass_mg`.

    Parameters
    ----------
    hu : ndarray, ``[k, j, i]``
    calcium : ndarray of bool, ``[k, j, i]``
    grid : Grid
        Of the scan that both are cut from, for its spacing.
    scoring : Scoring
    """
    slice_mm, row_mm, column_mm = map(float, grid.spacing_mm)
    return {
        "agatston_au": agatston.agatston(hu, calcium, row_mm * column_mm, slice_mm),
        "mass_mg": mass_mg(hu[calcium], grid.voxel_volume_mm3, scoring.mass_calibration),
    }


def mass_mg(hu: np.ndarray, voxel_mm3: float, calibration: float | None) -> float | None:
    """Hydroxyapatite mass: Σ HU × voxel volume × mg/cm³ per HU / 1000; None without calibration."""
    if calibration is None:
        return None
    return float(hu.sum(dtype=float)) * voxel_mm3 * calibration / 1000


def lesions_in_3d(
    hu: np.ndarray, calcium: np.ndarray, connectivity: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label lesions in 3-D.

    Returns
    -------
    labels : ndarray of int, ``[k, j, i]``
    voxels, peak_hu : ndarray, (n,)
        Of the lesions 1 to n.
    """
    joins = ndimage.generate_binary_structure(3, NEIGHBOURS[connectivity])
    labels, count = ndimage.label(calcium, joins)
    voxels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return labels, voxels, agatston.peaks(hu, labels, count)


def interpolated_volume_mm3(
    ct: Volume, region: np.ndarray, threshold_hu: float
) -> tuple[float, float]:
    """Calcium volume after linear interpolation to cubes of the smallest voxel side.

    Parameters
    ----------
    ct : Volume
    region : ndarray of bool, ``[k, j, i]``
        Not empty. A cube belongs to it where its interpolated value is 0.5 or more.
    threshold_hu : float

    Returns
    -------
    volume_mm3, side_mm : float
    """
    side_mm = float(ct.grid.spacing_mm.min())
    box = bounding_slices(region, margin=1)
    hu, inside = ct.array[box].astype(np.float32), region[box].astype(np.float32)
    fine = [
        (np.arange(round(n * mm / side_mm)) + 0.5) * side_mm / mm - 0.5
        for n, mm in zip(hu.shape, ct.grid.spacing_mm, strict=True)
    ]
    places = np.meshgrid(*fine, indexing="ij", sparse=False)
    linear = {"coordinates": places, "order": 1, "mode": "nearest"}
    found = (ndimage.map_coordinates(hu, **linear) >= threshold_hu) & (
        ndimage.map_coordinates(inside, **linear) >= 0.5
    )
    return int(found.sum()) * side_mm**3, side_mm
