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
  alone exceeds the threshold at times: its volume (`noise_volume_mm3`) is taken off the lower end.

The ends lie `FACTOR` such deviations, added in quadrature, from the volume, and `LEAST_MM3` more.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from calcohort.measure.measure import MeasureSettings, noise_volume_mm3
from calcohort.measure.thresholds import RULES
from calcohort.volume import Volume, bounding_slices

ONE_SD = float(ndtr(1.0))
FACTOR = 1.7
"""Chosen on wide phantoms of seeds 401 to 435 (docs/confidence.md)."""
LEAST_MM3 = 1.0
SHARED = 27


class Interval(NamedTuple):
    """The 95 % interval of a calcium volume."""

    low_mm3: float
    high_mm3: float


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
    sd = luminance["luminance_robust_sd_hu"]
    se = _luminance_error(ct, root, luminance)
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
        blood = noise_volume_mm3(lm, sd, threshold, voxel * np.count_nonzero(inside))
        low = volume - min(blood, here) - factor * np.linalg.norm([*down, noise]) - LEAST_MM3
        high = volume + factor * np.linalg.norm([*up, noise]) + LEAST_MM3
        intervals[name] = Interval(max(0.0, float(low)), float(high))
    return intervals


def add_intervals(
    ct: Volume,
    root: np.ndarray,
    probability: np.ndarray,
    findings: Mapping[str, Any],
    settings: MeasureSettings,
) -> None:
    """Add `volume_low_mm3` and `volume_high_mm3` to each measured rule."""
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
        low, high = intervals[rule["rule"]]
        rule |= {"volume_low_mm3": low, "volume_high_mm3": high}


def _joined(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Return the components of a mask that touch another mask."""
    labels, _ = ndimage.label(mask)
    return np.isin(labels, np.setdiff1d(labels[seed], 0))


def _luminance_error(ct: Volume, root: np.ndarray, luminance: Mapping[str, Any]) -> float:
    """Return the standard error of Lm, HU."""
    shape = luminance["cube_shape_kji"]
    cube = tuple(
        slice(first, first + side)
        for first, side in zip(luminance["cube_start_kji"], shape, strict=True)
    )
    hu, inside = ct.array[cube], root[cube]
    blood = inside & (np.abs(hu - np.median(hu[inside])) <= 5 * luminance["luminance_robust_sd_hu"])
    halves = [(slice(0, side // 2), slice(side // 2, side)) for side in shape]
    octants = [hu[part][blood[part]] for part in product(*halves)]
    means = [octant.mean(dtype=float) for octant in octants if octant.size]
    return float(np.std(means, ddof=1)) / np.sqrt(len(means))
