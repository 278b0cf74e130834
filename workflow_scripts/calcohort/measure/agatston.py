"""The Agatston score: area times weight of every lesion of every axial slice.

Definitions differ in what joins pixels to a lesion, in the smallest lesion, and in how slices that
are not 3 mm apart are counted; each is an argument here.

References
----------
Agatston et al., J Am Coll Cardiol 1990; 15: 827-832.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

WEIGHT_FROM_HU = (130.0, 200.0, 300.0, 400.0)
"""Peaks from which on a lesion weighs 1, 2, 3 and 4."""
STANDARD_SLICE_MM = 3.0
MIN_AREA_MM2 = 1.0
NEIGHBOURS = {4: 1, 8: 2}


@dataclass(frozen=True)
class SliceLesions:
    """The lesions of all slices.

    Attributes
    ----------
    labels : ndarray of int, ``[k, j, i]``
        0, or the lesion's number from 1 on; no lesion reaches into another slice.
    pixels : ndarray of int, (n,)
    peak_hu : ndarray, (n,)
    area_mm2 : ndarray, (n,)
    """

    labels: np.ndarray
    pixels: np.ndarray
    peak_hu: np.ndarray
    area_mm2: np.ndarray


def find_lesions(
    hu: np.ndarray, calcium: np.ndarray, pixel_mm2: float, neighbours: int = 8
) -> SliceLesions:
    """Find the connected components of every slice.

    Parameters
    ----------
    hu : ndarray, ``[k, j, i]``
    calcium : ndarray of bool, ``[k, j, i]``
    pixel_mm2 : float
        Area of a pixel in the slice.
    neighbours : {8, 4}
        Pixels that touch by an edge or a corner belong together, or only by an edge.
    """
    joins = np.zeros((3, 3, 3), bool)
    joins[1] = ndimage.generate_binary_structure(2, NEIGHBOURS[neighbours])
    labels, count = ndimage.label(calcium, joins)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return SliceLesions(labels, pixels, peaks(hu, labels, count), pixels * pixel_mm2)


def peaks(hu: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Highest HU ``(count,)`` of the lesions 1 to `count`."""
    return np.asarray(ndimage.maximum(hu, labels, np.arange(1, count + 1)), dtype=float)


def weights(peak_hu: np.ndarray) -> np.ndarray:
    """Weigh peaks: 0 below 130 HU, 1 from there, 2 from 200, 3 from 300, 4 from 400 HU on."""
    return np.digitize(peak_hu, WEIGHT_FROM_HU)


def score(area_mm2: np.ndarray, weight: np.ndarray, slice_mm: float = STANDARD_SLICE_MM) -> float:
    """Sum area times weight, times the slices' distance over 3 mm, in Agatston units.

    Parameters
    ----------
    area_mm2, weight : ndarray, (n,)
        Of the lesions that count.
    slice_mm : float
        Length along which a slice stands for the body.
    """
    return float(area_mm2 @ weight) * slice_mm / STANDARD_SLICE_MM


def agatston(hu: np.ndarray, calcium: np.ndarray, pixel_mm2: float, slice_mm: float) -> float:
    """Agatston score as this study takes it: 8 neighbours, 1 mm² or more, scaled by spacing / 3 mm.

    Parameters
    ----------
    hu, calcium, pixel_mm2
        See `find_lesions`.
    slice_mm : float
        Distance between neighbouring slices (not their thickness).
    """
    lesions = find_lesions(hu, calcium, pixel_mm2)
    large = lesions.area_mm2 >= MIN_AREA_MM2
    return score(lesions.area_mm2[large], weights(lesions.peak_hu[large]), slice_mm)


def average_slices(values: np.ndarray, spacing_mm: float, thickness_mm: float) -> np.ndarray:
    """Average slices to contiguous thicker ones, each slice weighted by the length they share.

    Parameters
    ----------
    values : ndarray, ``[k, j, i]``
        The first slice begins the first thick one.
    spacing_mm, thickness_mm : float
        Of the slices, and of the thick ones; the last thick one may be cut short by the end.

    Returns
    -------
    ndarray, ``[k, j, i]``, float
    """
    n = values.shape[0]
    count = int(np.ceil(n * spacing_mm / thickness_mm - 1e-9))
    top = np.arange(1, n + 1) * spacing_mm
    begin = np.arange(count)[:, None] * thickness_mm
    shared = np.minimum(top, begin + thickness_mm) - np.maximum(top - spacing_mm, begin)
    shared = np.maximum(shared, 0)
    return np.tensordot(shared / shared.sum(axis=1, keepdims=True), values, axes=1)
