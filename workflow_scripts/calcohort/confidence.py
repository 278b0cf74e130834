"""How sure a measured calcium volume is: an interval from boundary, luminance and noise.

The interval is about the volume that the same rule would give in the true root of the same scan
without noise. Three things keep the measured volume from it, each told as a standard deviation in
mm³, downwards and upwards:

- *Boundary.* The root one standard deviation smaller or larger is where its mean probability, over
  networks or views, reaches 84 % or 16 %, the normal distribution's shares.
- *Luminance.* Lm is a mean over a cube; its standard error is that of the means of the cube's
  eight octants, which noise and uneven mixing both move. The rule's threshold follows Lm.
- *Noise.* A voxel near the threshold may lie on its other side; with the cube's robust SD ``s`` it
  is above with the probability ``Phi((hu - threshold) / s)``, and the variance ``p (1 - p)`` is
  summed, times `SHARED` voxels, about as many as a scanner's point spread gives one noise. Blood
  alone exceeds the threshold at times: ``Phi((Lm - threshold) / s)`` of the root. This noise
  volume is taken off the lower end, and told.

The ends lie `FACTOR` such deviations, added in quadrature, from the volume, and `LEAST_MM3` more.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from calcohort.measure.measure import MeasureSettings
from calcohort.measure.thresholds import RULES
from calcohort.volume import Volume, bounding_slices

ONE_SD = float(ndtr(1.0))
FACTOR = 1.7
"""Chosen on wide phantoms of seeds 401 to 435 (docs/confidence.md)."""
LEAST_MM3 = 1.0
SHARED = 27
MAD_TO_SD = 1.4826
LEAST_SD_HU = 1.0
"""The unit of stored values."""


class Interval(NamedTuple):
    """The 95 % interval of a calcium volume, and how much blood counts as calcium by noise."""

    low_mm3: float
    high_mm3: float
    noise_mm3: float


def expected_dice(root: np.ndarray, probability: np.ndarray) -> float:
    """Dice of a mask with the true root that its voxels' probabilities let expect.

    ``2 sum(p in the mask) / (voxels of the mask + sum(p))``: the expectation of both terms apart.

    Parameters
    ----------
    root : ndarray of bool, ``[k, j, i]``
        Not empty.
    probability : ndarray, ``[k, j, i]``
        Of a voxel to be the root's, 0 to 1.
    """
    inside = float(probability[root].sum(dtype=float))
    return 2 * inside / (np.count_nonzero(root) + float(probability.sum(dtype=float)))


def volume_intervals(
    ct: Volume,
    root: np.ndarray,
    probability: np.ndarray,
    luminance: Mapping[str, Any],
    volumes_mm3: Mapping[str, float],
    *,
    k: float = 0.2,
    factor: float = FACTOR,
) -> dict[str, Interval]:
    """Return the 95 % interval of each rule's calcium volume.

    Parameters
    ----------
    ct : Volume
        HU, ``[k, j, i]``.
    root : ndarray of bool, ``[k, j, i]``
        The measured root, not empty.
    probability : ndarray, ``[k, j, i]``
        Of a voxel to be the root's, 0 to 1.
    luminance : mapping
        What `measure_luminance` returned.
    volumes_mm3 : mapping
        Measured volume of each rule.
    k : float
        Of F7.
    factor : float
        Standard deviations to either side.

    Returns
    -------
    dict
        Rule to its interval, mm³, low not below 0.
    """
    lm = luminance["luminance_hu"]
    se, sd = _luminance_error(ct, root, luminance["cube_start_kji"], luminance["cube_shape_kji"])
    box = bounding_slices(root | (probability >= 1 - ONE_SD))
    hu, inside, voxel = ct.array[box], root[box], ct.grid.voxel_volume_mm3
    smaller = inside & (probability[box] >= ONE_SD)
    larger = inside | _joined(probability[box] >= 1 - ONE_SD, inside)
    intervals = {}
    for name, volume in volumes_mm3.items():
        rule = RULES[name]
        threshold = rule.threshold_hu(lm, k)

        def count(mask, at_hu):
            return voxel * np.count_nonzero(mask & (hu >= at_hu))

        here = count(inside, threshold)
        down = [here - count(smaller, threshold)]
        up = [count(larger, threshold) - here]
        down.append(here - count(inside, rule.threshold_hu(lm + se, k)))
        up.append(count(inside, rule.threshold_hu(lm - se, k)) - here)
        above = ndtr((hu[inside] - threshold) / sd)
        noise = voxel * np.sqrt(SHARED * float((above * (1 - above)).sum(dtype=float)))
        blood = voxel * np.count_nonzero(inside) * float(ndtr((lm - threshold) / sd))
        low = volume - min(blood, here) - factor * np.linalg.norm([*down, noise]) - LEAST_MM3
        high = volume + factor * np.linalg.norm([*up, noise]) + LEAST_MM3
        intervals[name] = Interval(max(0.0, float(low)), float(high), blood)
    return intervals


def add_intervals(
    ct: Volume,
    root: np.ndarray,
    probability: np.ndarray,
    findings: Mapping[str, Any],
    settings: MeasureSettings,
) -> None:
    """Add `volume_low_mm3`, `volume_high_mm3` and `noise_volume_mm3` to each measured rule."""
    volumes = {rule["rule"]: rule["calcium_volume_mm3"] for rule in findings["rules"]}
    intervals = volume_intervals(
        ct,
        root,
        probability,
        findings,
        volumes,
        k=settings.k,
    )
    for rule in findings["rules"]:
        low, high, noise = intervals[rule["rule"]]
        rule |= {"volume_low_mm3": low, "volume_high_mm3": high, "noise_volume_mm3": noise}


def _joined(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Return the components of a mask that touch another mask."""
    labels, _ = ndimage.label(mask)
    return np.isin(labels, np.setdiff1d(labels[seed], 0))


def _luminance_error(
    ct: Volume, root: np.ndarray, start: Sequence[int], shape: Sequence[int]
) -> tuple[float, float]:
    """Return the standard error of Lm and the robust SD of the blood in its cube, both in HU."""
    cube = tuple(slice(first, first + side) for first, side in zip(start, shape, strict=True))
    hu, inside = ct.array[cube], root[cube]
    median = np.median(hu[inside])
    sd = max(MAD_TO_SD * float(np.median(np.abs(hu[inside] - median))), LEAST_SD_HU)
    blood = inside & (np.abs(hu - median) <= 5 * sd)
    halves = [(slice(0, side // 2), slice(side // 2, side)) for side in shape]
    octants = [hu[part][blood[part]] for part in product(*halves)]
    means = [octant.mean(dtype=float) for octant in octants if octant.size]
    return float(np.std(means, ddof=1)) / np.sqrt(len(means)), sd
