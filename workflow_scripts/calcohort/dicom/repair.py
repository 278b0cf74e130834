"""Put right what can be put right safely, before a series is judged and after it is verified.

Geometry is mended by `resample.py`; docs/convert.md says which fault is repaired how.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from calcohort.dicom.damage import DAMAGED, raise_machine_trouble
from calcohort.dicom.facts import phase_percent
from calcohort.dicom.find import Image, Series, number, text
from calcohort.dicom.limits import Repairs
from calcohort.dicom.rule import Rule
from calcohort.outcomes import Excluded, Reason

AIR_HU, HIGHEST_CT_HU, CALCIUM_HU = -1024, 3071, 130
SAME_IMAGE = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "NominalPercentageOfCardiacPhase",
    "TriggerTime",
)


def sort_out(series: Series, repairs: Repairs, rule: Rule) -> tuple[Series, list[dict]]:
    """Leave out images that are there twice, and all cardiac phases but the one `rule` prefers.

    Returns
    -------
    Series
        With one image at each place, where that can be told.
    list of dict
        The repairs, each with its name under `repair` and its size.
    """
    done = []
    for asked, mend in (
        (repairs.identical_duplicates, _without_duplicates),
        (repairs.phases, partial(_best_phase, rule)),
    ):
        images, record = mend(series) if asked else (series.images, {})
        if len(images) < len(series.images):
            series = replace(series, images=images)
            done.append(record)
    return series, done


def clear_padding(hu: np.ndarray, header: Dataset, repairs: Repairs) -> int:
    """Set padding to air in place; return the number of voxels that changed.

    Padding is what lies below -1024 HU, which no tissue does, and the header's Pixel Padding Value
    (to Pixel Padding Range Limit) where that lies above 3071 HU. A padding value among the HU of
    contrast and calcium cannot be told from them.

    Parameters
    ----------
    hu : ndarray of float64, ``[row, column]``
        One slice.
    header : Dataset
        Its header.
    repairs : Repairs
        What is repaired.

    Raises
    ------
    Excluded
        `not_hounsfield` where voxels have a padding value above 130 HU that is not cleared.
    """
    outside = hu < AIR_HU if repairs.padding else np.zeros(hu.shape, bool)
    padding_hu = _padding_hu(header)
    if padding_hu is not None and padding_hu[1] > CALCIUM_HU:
        padded = (hu >= padding_hu[0]) & (hu <= padding_hu[1])
        if padded.any() and not (repairs.padding and padding_hu[0] > HIGHEST_CT_HU):
            raise Excluded(
                Reason.NOT_HOUNSFIELD,
                f"the padding value of {padding_hu[0]:g} HU is in the image and cannot be told "
                "from contrast or calcium",
            )
        outside |= padded
    hu[outside] = AIR_HU
    return int(np.count_nonzero(outside))


def _padding_hu(header: Dataset) -> tuple[float, float] | None:
    """Lowest and highest HU of padding; stored values are taken by the pixels' own bits."""
    values = [number(header, f"PixelPadding{name}") for name in ("Value", "RangeLimit")]
    stored = [value for value in values if value is not None]
    if values[0] is None:
        return None
    bits, signed = number(header, "BitsAllocated"), number(header, "PixelRepresentation") == 1
    span = 2**bits
    stored = [value % span for value in stored]
    stored = [value - span if signed and value >= span / 2 else value for value in stored]
    slope, intercept = (number(header, f"Rescale{name}") for name in ("Slope", "Intercept"))
    ends = [value * slope + intercept for value in stored]
    return min(ends), max(ends)


def _without_duplicates(series: Series) -> tuple[tuple[Image, ...], dict]:
    """Images without those that repeat an earlier one in place, rescaling and pixel bytes."""
    kept: dict[tuple, list[Image]] = {}
    for image in series.images:
        place = tuple(text(image.header, keyword) for keyword in SAME_IMAGE) + (image.frame,)
        others = kept.setdefault(place, [])
        if not any(_same_pixels(image, other) for other in others):
            others.append(image)
    unique = {id(image) for images in kept.values() for image in images}
    images = tuple(image for image in series.images if id(image) in unique)
    dropped = len(series.images) - len(images)
    return images, {"repair": "identical_duplicates", "images": dropped}


def _same_pixels(image: Image, other: Image) -> bool:
    try:
        one, two = (pydicom.dcmread(each.path) for each in (image, other))
        same_syntax = one.file_meta.TransferSyntaxUID == two.file_meta.TransferSyntaxUID
        return same_syntax and one.PixelData == two.PixelData
    except DAMAGED as error:
        raise_machine_trouble(error)
        return False


def _best_phase(rule: Rule, series: Series) -> tuple[tuple[Image, ...], dict]:
    """Images of the phase that `rule` prefers, if phases tell the images at every place apart."""
    groups: dict[float | None, list[Image]] = {}
    for image in series.images:
        percent = phase_percent(image.header)
        groups.setdefault(percent, []).append(image)
    places = [
        sorted(text(image.header, "ImagePositionPatient") for image in images)
        for images in groups.values()
    ]
    every_place_once = all(len(set(p)) == len(p) and p == places[0] for p in places)
    if None in groups or len(groups) < 2 or not every_place_once:
        return series.images, {}
    best = min(groups, key=lambda percent: (rule.phase_distance(percent), percent))
    record = {"repair": "phases", "phase_percent": best, "of_percent": sorted(groups)}
    return tuple(groups[best]), record
