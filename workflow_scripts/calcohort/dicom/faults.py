"""Faults that the headers of a series tell, each a reason and a sentence."""

from collections.abc import Iterator

import numpy as np
from pydicom.uid import UID, CTImageStorage

from calcohort.dicom.find import ENHANCED_CT, Image, number, text
from calcohort.dicom.limits import NO_REPAIRS, Limits, Repairs
from calcohort.outcomes import Excluded, Reason

FEWEST_BITS = 12
"""Bits Stored of a CT image is 12 to 16 (DICOM PS3.3, C.8.2.1)."""
MAX_VOXELS = 1e9
ROUNDING_MM = 1e-6


def raise_first(faults: list[tuple[Reason, str]]) -> None:
    """Raise the first fault as `Excluded`, the others added to its detail; none: do nothing."""
    if faults:
        raise Excluded(faults[0][0], "; also ".join(sentence for _, sentence in faults))


def faults_of_size(spacing_kji: np.ndarray, slices: int, limits: Limits) -> Iterator:
    """Yield where number, extent or spacing (slices, rows, columns; mm) miss the limits."""
    slice_mm, pixel_mm = float(spacing_kji[0]), float(max(spacing_kji[1:]))
    coverage_mm = slices * slice_mm
    if slices < limits.min_slices:
        yield Reason.TOO_FEW_SLICES, f"{slices} slices, fewer than {limits.min_slices}"
    elif coverage_mm + ROUNDING_MM < limits.min_coverage_mm:
        sentence = (
            f"{slices} slices cover {coverage_mm:.1f} mm, less than {limits.min_coverage_mm:g} mm"
        )
        yield Reason.TOO_FEW_SLICES, sentence
    if slice_mm > limits.max_slice_spacing_mm + 1e-3:
        sentence = f"slices are {slice_mm:.2f} mm apart, above {limits.max_slice_spacing_mm:g} mm"
        yield Reason.TOO_THICK_SLICES, sentence
    if pixel_mm > limits.max_pixel_spacing_mm + 1e-3:
        sentence = f"pixels are {pixel_mm:.3f} mm wide, above {limits.max_pixel_spacing_mm:g} mm"
        yield Reason.TOO_COARSE_PIXELS, sentence


def faults_of_rescaling(images: tuple[Image, ...], repairs: Repairs = NO_REPAIRS) -> Iterator:
    """Yield why the stored values cannot become Hounsfield units."""
    slopes = {number(image.header, "RescaleSlope") for image in images}
    intercepts = {number(image.header, "RescaleIntercept") for image in images}
    units = {text(image.header, "RescaleType").upper() for image in images} - {"", "HU", "US"}
    photometric = {text(i.header, "PhotometricInterpretation") for i in images} - {"MONOCHROME2"}
    if None in slopes | intercepts:
        yield Reason.NOT_HOUNSFIELD, "rescale slope or intercept is missing"
    elif rescale_changes(images) and not repairs.slice_rescale:
        yield Reason.NOT_HOUNSFIELD, "rescale slope or intercept changes between slices"
    elif min(slopes) <= 0:
        yield Reason.NOT_HOUNSFIELD, f"rescale slope is {min(slopes):g}"
    if units:
        yield Reason.NOT_HOUNSFIELD, f"values are in {sorted(units)[0]}, not HU"
    if any(number(image.header, "SamplesPerPixel") not in (None, 1) for image in images):
        yield Reason.NOT_HOUNSFIELD, "a pixel has several samples"
    if photometric:
        name = sorted(photometric)[0] or "not given"
        yield Reason.NOT_HOUNSFIELD, f"photometric interpretation is {name}, not MONOCHROME2"


def rescale_changes(images: tuple[Image, ...]) -> bool:
    """Tell whether the images do not share one rescale slope and intercept."""
    pairs = {tuple(number(i.header, f"Rescale{n}") for n in ("Slope", "Intercept")) for i in images}
    return len(pairs) > 1


def faults_of_kind(images: tuple[Image, ...]) -> Iterator:
    """Yield why the images are no CT images of one frame of reference that fit into memory."""
    classes = {text(image.header, "SOPClassUID") for image in images}
    if other := classes - {"", CTImageStorage, *ENHANCED_CT}:
        uid = UID(sorted(other)[0])
        name = "an unknown class" if uid.name == uid else uid.name
        yield Reason.NOT_CT, f"the images are stored as {name}, not as CT Image"
    if any(text(image.header, "BurnedInAnnotation").upper() == "YES" for image in images):
        yield Reason.BURNED_IN, "the header says that annotation is burned into the pixels"
    frames_of_reference = {text(image.header, "FrameOfReferenceUID") for image in images} - {""}
    if len(frames_of_reference) > 1:
        yield Reason.MIXED_SLICES, "the series mixes images of different frames of reference"
    sizes = [(number(i.header, "Rows"), number(i.header, "Columns")) for i in images]
    if not all(side and side >= 1 and side == int(side) for size in sizes for side in size):
        yield Reason.UNREADABLE, "rows or columns are missing or zero in some or all images"
    elif (voxels := sum(rows * columns for rows, columns in sizes)) > MAX_VOXELS:
        yield Reason.NOT_CONVERTIBLE, f"{voxels:.1e} voxels, more than {MAX_VOXELS:.0e}"


def faults_of_bits(images: tuple[Image, ...]) -> Iterator:
    """Yield why the bits of a pixel cannot be told (DICOM PS3.5, 8.1.1) or are too few for CT."""
    keywords = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    layouts = {tuple(number(image.header, keyword) for keyword in keywords) for image in images}
    for allocated, stored, high, signed in sorted(layouts, key=str):
        if (
            None in (allocated, stored, high, signed)
            or allocated not in (8, 16, 32)
            or not 0 < stored <= allocated
            or high != stored - 1
            or signed not in (0, 1)
        ):
            yield Reason.NOT_HOUNSFIELD, "bits allocated, stored and high bit do not fit together"
        elif stored < FEWEST_BITS:
            yield Reason.NOT_HOUNSFIELD, f"{stored:g} bits cannot hold the HU of a CT"
