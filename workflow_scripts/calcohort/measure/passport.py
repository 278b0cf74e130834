"""The score passport: each published definition's value from one mask, and why they differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from calcohort.measure import agatston
from calcohort.measure.agatston import MIN_AREA_MM2, STANDARD_SLICE_MM
from calcohort.measure.lesions import measure_lesions
from calcohort.measure.scores import Scoring, interpolated_volume_mm3, lesions_in_3d, mass_mg
from calcohort.volume import Volume, bounding_slices

NON_CONTRAST_HU = 130.0
OVER_PIXELS = 3


class Definition(NamedTuple):
    """What a score is: its unit, the definition it is a variant of, and the variant in words."""

    unit: str
    against: str | None
    meaning: str


DEFINITIONS: Mapping[str, Definition] = {
    "agatston": Definition(
        "AU",
        None,
        "Σ area × weight of the peak (1 from 130, 2 from 200, 3 from 300, 4 from 400 HU) over the "
        "lesions of every slice; 8 neighbours, 1 mm² or more; × slice spacing / 3 mm",
    ),
    "agatston_4_neighbours": Definition("AU", "agatston", "pixels touching by corners are apart"),
    "agatston_3d_peak": Definition("AU", "agatston", "weight of the lesion's peak in all slices"),
    "agatston_over_3_pixels": Definition("AU", "agatston", "more than 3 pixels, whatever the area"),
    "agatston_any_area": Definition("AU", "agatston", "no smallest lesion"),
    "agatston_by_thickness": Definition(
        "AU", "agatston", "× slice thickness / 3 mm: wrong where slices overlap"
    ),
    "agatston_unscaled": Definition("AU", "agatston", "× 1, whatever the distance of the slices"),
    "agatston_3mm": Definition(
        "AU", "agatston", "slices averaged to contiguous 3 mm from the scan's lowest slice on"
    ),
    "volume": Definition("mm³", None, "voxels × voxel volume, as in calcium.csv"),
    "volume_interpolated": Definition(
        "mm³", "volume", "after linear interpolation to cubes (Callister 1998)"
    ),
    "weighted_volume": Definition("mm³", "volume", "Σ volume × weight of the peak of 3-D lesions"),
    "mass": Definition("mg", None, "Σ HU × volume × calibration factor (McCollough 2007)"),
    "lesions_3d": Definition("lesions", None, "connected in 3-D, as in calcium.csv"),
    "lesions_2d": Definition("lesions", "lesions_3d", "of all slices, 8 neighbours, 1 mm² or more"),
}


@dataclass(frozen=True)
class Scored:
    """A scan's calcium as scores see it.

    Attributes
    ----------
    ct : Volume
    region : ndarray of bool, ``[k, j, i]``
        Where calcium counts, on the grid of `ct`; not empty.
    threshold_hu : float
    connectivity, min_lesion_voxels : int
        See `lesions.measure_lesions`.
    slice_thickness_mm : float, optional
        As the header says; None where unknown.
    """

    ct: Volume
    region: np.ndarray
    threshold_hu: float
    connectivity: int = 26
    min_lesion_voxels: int = 0
    slice_thickness_mm: float | None = None


def threshold_hu(measured: Mapping[str, Any], scoring: Scoring) -> float:
    """Threshold of the passport: the main rule's with contrast, else 130 HU.

    Parameters
    ----------
    measured : mapping
        What `measure_calcium` found.
    scoring : Scoring
    """
    if not scoring.contrast:
        return NON_CONTRAST_HU
    rule = measured["mask_rule"]
    return next(row["threshold_hu"] for row in measured["rules"] if row["rule"] == rule)


class Value(NamedTuple):
    """A definition's value (None where it cannot be had), and how it came about in words."""

    value: float | None
    explanation: str


def passport(scored: Scored, scoring: Scoring) -> list[dict[str, Any]]:
    """Score one mask by every definition.

    Returns
    -------
    list of dict
        One per definition of `DEFINITIONS`: `definition`, `unit`, `value`, `against`, `difference`
        and `difference_percent` from the one it is a variant of (the latter None where that is 0),
        `threshold_hu`, `contrast`, `explanation`.
    """
    found = _flat(scored) | _in_standard_slices(scored) | _solid(scored, scoring)
    rows = []
    for name, (unit, against, _) in DEFINITIONS.items():
        value, explanation = found[name]
        base = found[against].value if against else None
        known = value is not None and base is not None
        rows.append(
            {
                "definition": name,
                "unit": unit,
                "value": value,
                "against": against,
                "difference": value - base if known else None,
                "difference_percent": 100 * (value - base) / base if known and base else None,
                "threshold_hu": scored.threshold_hu,
                "contrast": scoring.contrast,
                "explanation": explanation,
            }
        )
    return rows


def _cut(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """HU and calcium ``[k, j, i]`` in the region's bounding box."""
    box = bounding_slices(scored.region)
    hu = scored.ct.array[box]
    voxel_mm3 = scored.ct.grid.voxel_volume_mm3
    lesions = (scored.threshold_hu, voxel_mm3, scored.connectivity, scored.min_lesion_voxels)
    return hu, measure_lesions(hu, scored.region[box], *lesions)[1]


def _flat(scored: Scored) -> dict[str, Value]:
    """Score the slices as they are: the Agatston score and its variants, lesions of slices."""
    hu, calcium = _cut(scored)
    slice_mm, row_mm, column_mm = map(float, scored.ct.grid.spacing_mm)
    pixel_mm2 = row_mm * column_mm
    found = agatston.find_lesions(hu, calcium, pixel_mm2)
    apart = agatston.find_lesions(hu, calcium, pixel_mm2, neighbours=4)
    area, weight = found.area_mm2, agatston.weights(found.peak_hu)
    large, distinct = area >= MIN_AREA_MM2, apart.area_mm2 >= MIN_AREA_MM2
    many = found.pixels > OVER_PIXELS
    deep = agatston.weights(_deep_peaks(hu, calcium, found, scored.connectivity))
    heavier = int((deep > weight)[large].sum())
    weighed = "/".join(map(str, np.bincount(weight[large], minlength=5)[1:]))
    scale = f"× {slice_mm:.4g} mm / 3 mm"
    thickness = scored.slice_thickness_mm
    score = agatston.score
    return {
        "agatston": Value(
            score(area[large], weight[large], slice_mm),
            f"{_count(large)}, of weight 1/2/3/4: {weighed}; {(~large).sum()} below 1 mm² left "
            f"out; {scale}",
        ),
        "agatston_4_neighbours": Value(
            score(apart.area_mm2[distinct], agatston.weights(apart.peak_hu[distinct]), slice_mm),
            f"{_count(distinct)} instead of {large.sum()}, {(~distinct).sum()} instead of "
            f"{(~large).sum()} below 1 mm² left out",
        ),
        "agatston_3d_peak": Value(
            score(area[large], deep[large], slice_mm),
            f"{heavier} of {_count(large)} weighed by a higher peak in another slice",
        ),
        "agatston_over_3_pixels": Value(
            score(area[many], weight[many], slice_mm),
            f"4 pixels are {4 * pixel_mm2:.2f} mm²: {_count(many)} instead of {large.sum()}",
        ),
        "agatston_any_area": Value(
            score(area, weight, slice_mm),
            f"{_count(~large)} below 1 mm² added, {area[~large].sum():.1f} mm² together",
        ),
        "agatston_by_thickness": Value(None, "the slice thickness is not known")
        if thickness is None
        else Value(
            score(area[large], weight[large], thickness),
            f"× {thickness:.4g} mm / 3 mm instead of {scale}",
        ),
        "agatston_unscaled": Value(score(area[large], weight[large]), f"without {scale}"),
        "lesions_2d": Value(
            int(large.sum()), f"{_count(large)} in {_slices_with(found.labels)} slices"
        ),
    }


def _deep_peaks(
    hu: np.ndarray, calcium: np.ndarray, found: agatston.SliceLesions, connectivity: int
) -> np.ndarray:
    """Peak HU ``(n,)`` of the 3-D lesion that each lesion of a slice is part of."""
    labels, _, peak_hu = lesions_in_3d(hu, calcium, connectivity)
    flat, first = np.unique(found.labels.ravel(), return_index=True)
    return peak_hu[labels.ravel()[first[flat > 0]] - 1]


def _in_standard_slices(scored: Scored) -> dict[str, Value]:
    """Score slices of 3 mm, averaged from the scan's lowest slice on."""
    slice_mm, row_mm, column_mm = map(float, scored.ct.grid.spacing_mm)
    if slice_mm > STANDARD_SLICE_MM:
        return {"agatston_3mm": Value(None, f"the slices are {slice_mm:.4g} mm apart")}
    _, rows, columns = bounding_slices(scored.region)
    averages = (
        agatston.average_slices(part[:, rows, columns], slice_mm, STANDARD_SLICE_MM)
        for part in (scored.ct.array, scored.region)
    )
    hu, region = averages
    calcium = (region >= 0.5) & (hu >= scored.threshold_hu)
    found = agatston.find_lesions(hu, calcium, row_mm * column_mm)
    large = found.area_mm2 >= MIN_AREA_MM2
    peak = f", peak {found.peak_hu.max():.0f} HU" if found.peak_hu.size else ""
    value = agatston.score(found.area_mm2[large], agatston.weights(found.peak_hu[large]))
    return {
        "agatston_3mm": Value(
            value, f"{_count(large)} in {_slices_with(found.labels)} slices of 3 mm{peak}"
        )
    }


def _solid(scored: Scored, scoring: Scoring) -> dict[str, Value]:
    """Score the calcium in 3-D: volumes, mass, lesions."""
    hu, calcium = _cut(scored)
    voxel_mm3 = scored.ct.grid.voxel_volume_mm3
    _, voxels, peak_hu = lesions_in_3d(hu, calcium, scored.connectivity)
    weight = agatston.weights(peak_hu)
    fine_mm3, side_mm = interpolated_volume_mm3(scored.ct, scored.region, scored.threshold_hu)
    factor = scoring.mass_calibration
    fewest = scored.min_lesion_voxels
    smallest = f"{fewest} voxels or more" if fewest > 1 else "no smallest lesion"
    mean = f"mean {hu[calcium].mean():.0f} HU" if voxels.size else "no calcium"
    weighed = "/".join(map(str, np.bincount(weight, minlength=5)[1:]))
    return {
        "volume": Value(
            float(voxels.sum() * voxel_mm3), f"{voxels.sum()} voxels of {voxel_mm3:.4g} mm³"
        ),
        "volume_interpolated": Value(fine_mm3, f"cubes of {side_mm:.4g} mm"),
        "weighted_volume": Value(
            float((voxels * weight).sum() * voxel_mm3),
            f"{_count(voxels > 0)}, of weight 1/2/3/4: {weighed}",
        ),
        "mass": Value(
            mass_mg(hu[calcium], voxel_mm3, factor),
            "there is no calibration factor (scores.mass_calibration in config.yaml)"
            if factor is None
            else f"{mean}, {factor:g} mg/cm³ per HU",
        ),
        "lesions_3d": Value(
            voxels.size,
            f"{scored.connectivity} neighbours, {smallest}",
        ),
    }


def _count(chosen: np.ndarray) -> str:
    count = int(chosen.sum())
    return f"{count} lesion{'' if count == 1 else 's'}"


def _slices_with(labels: np.ndarray) -> int:
    return int(labels.any(axis=(1, 2)).sum())
