"""Judge a series' geometry and rescaling by its headers, before anything is converted.

Geometry comes from Image Position and Image Orientation (Patient) and Pixel Spacing alone, never
from Slice Thickness, Spacing Between Slices, Gantry Tilt or the order of files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from calcohort.dicom.faults import (
    ROUNDING_MM,
    faults_of_bits,
    faults_of_kind,
    faults_of_rescaling,
    faults_of_size,
    raise_first,
)
from calcohort.dicom.find import Image, Series, number, numbers
from calcohort.dicom.limits import NO_REPAIRS, Limits, Repairs
from calcohort.outcomes import Excluded, Reason

SAME_DIRECTION = 1e-4
MULTIPLE_OF_SPACING = 0.1
LARGEST_GANTRY_TILT_DEGREES = 30
EXTENT = {"smallest_gap": np.min, "largest_gap": np.max}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Geometry:
    """Where the slices of a judged series lie.

    Attributes
    ----------
    images : tuple of Image
        Sorted along the normal (row direction × column direction).
    affine : ndarray, (4, 4)
        Index ``(column, row, slice, 1)`` to world mm, RAS+.
    position_error_mm : float
        Largest distance of a slice's corner in the DICOM from where the affine puts it.
    tilt_degrees : float
        Angle between normal and stacking direction.
    repairs : tuple of dict
        What resampling has to put right, each with its name under `repair` and its size. Where
        there is any, the affine holds the first and the last slice only.
    """

    images: tuple[Image, ...]
    affine: np.ndarray
    position_error_mm: float
    tilt_degrees: float
    repairs: tuple[dict, ...] = ()

    @property
    def spacing_mm(self) -> np.ndarray:
        """Spacing of slices, rows and columns in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)[::-1]


def judge_series(series: Series, limits: Limits, repairs: Repairs = NO_REPAIRS) -> Geometry:
    """Refuse a series that cannot be converted into one evenly spaced volume of HU.

    Returns
    -------
    Geometry
        With what is left to resampling, as far as `repairs` admits it.

    Raises
    ------
    Excluded
        With the first fault as reason and all faults in the detail: `not_ct`, `burned_in`,
        `not_convertible`, `no_pixel_spacing`, `mixed_slices`, `duplicate_slices`, `tilted`,
        `missing_slices`, `uneven_slices`, `too_few_slices`, `too_thick_slices`,
        `too_coarse_pixels`, `not_hounsfield`.
    """
    images = series.images
    raise_first([*faults_of_kind(images)])
    points = _points(images)
    row, column, spacing = _plane(images)
    if len(images) < 2:
        raise Excluded(
            Reason.TOO_FEW_SLICES, "the series has one image: its slice spacing cannot be told"
        )
    normal = np.cross(row, column)
    order = np.argsort(points @ normal, kind="stable")
    images, points = tuple(images[i] for i in order), points[order]
    step = (points[-1] - points[0]) / (len(images) - 1)
    affine = np.eye(4)
    between_rows, between_columns = spacing
    lps = np.stack([row * between_columns, column * between_rows, step, points[0]], axis=1)
    affine[:3] = LPS_TO_RAS @ lps
    along, across = float(step @ normal), float(np.linalg.norm(np.cross(step, normal)))
    tilt = float(np.degrees(np.arctan2(across, along)))
    heights = (points - points[0]) @ normal
    error_mm = _position_error_mm(images, affine, np.arange(len(images)))
    geometry = Geometry(images, affine, error_mm, tilt)
    gaps = np.diff(heights)
    off_line_mm = _position_error_mm(images, affine, heights / along) if along > 0 else 0.0
    straight = off_line_mm <= limits.max_position_error_mm + ROUNDING_MM
    stacking = [*_faults_of_stacking(geometry, gaps, limits)]
    if not straight and Reason.DUPLICATE_SLICES not in dict(stacking):
        sentence = f"slices lie up to {off_line_mm:.3f} mm off a straight line, or are turned"
        stacking = [(Reason.UNEVEN_SLICES, sentence)]
    mended = _mended(geometry, gaps, limits, repairs) if straight else {}
    faults = [
        *((reason, sentence) for reason, sentence in stacking if reason not in mended),
        *faults_of_size(geometry.spacing_mm, len(images), limits),
        *faults_of_bits(images),
        *faults_of_rescaling(images, repairs),
    ]
    raise_first(faults)
    found = {reason for reason, _ in stacking}
    return replace(geometry, repairs=tuple(mended[reason] for reason in mended if reason in found))


def _mended(geometry: Geometry, gaps: np.ndarray, limits: Limits, repairs: Repairs) -> dict:
    """Faults of stacking that resampling may put right, each with its record.

    None of them where slices are farther apart than `max_slice_spacing_mm` or nearer than the
    limit of positions: resampling would invent what was not scanned.
    """
    if (
        gaps.max() > limits.max_slice_spacing_mm + 1e-3
        or gaps.min() <= limits.max_position_error_mm
    ):
        return {}
    mended = {}
    if repairs.tilt and geometry.tilt_degrees <= LARGEST_GANTRY_TILT_DEGREES:
        degrees = round(geometry.tilt_degrees, 4)
        mended[Reason.TILTED] = {"repair": "tilt", "degrees": degrees}
    missing = int((gaps / np.median(gaps)).round().sum()) - len(gaps)
    if missing <= repairs.max_missing_slices:
        mended[Reason.MISSING_SLICES] = {"repair": "missing_slices", "slices": missing}
    if repairs.uneven_spacing:
        extent = {f"{name}_mm": round(float(f(gaps)), 6) for name, f in EXTENT.items()}
        mended[Reason.UNEVEN_SLICES] = {"repair": "uneven_spacing"} | extent
    return mended


def _points(images: tuple[Image, ...]) -> np.ndarray:
    points = [numbers(image.header, "ImagePositionPatient", 3) for image in images]
    missing = [image.label for image, point in zip(images, points, strict=True) if point is None]
    if missing:
        raise Excluded(
            Reason.NO_PIXEL_SPACING,
            f"{len(missing)} of {len(images)} images have no position, the first {missing[0]}",
        )
    return np.array(points)


def _plane(images: tuple[Image, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return unit directions along a row and a column (LPS), and their spacing [row, column] mm."""
    cosines = [numbers(image.header, "ImageOrientationPatient", 6) for image in images]
    spacings = [numbers(image.header, "PixelSpacing", 2) for image in images]
    shapes = [(number(i.header, "Rows"), number(i.header, "Columns")) for i in images]
    for name, values in (("orientation", cosines), ("pixel spacing", spacings)):
        if any(value is None for value in values):
            raise Excluded(Reason.NO_PIXEL_SPACING, f"{name} is missing from some or all images")
    iop, spacing = cosines[0], spacings[0]
    frame = iop.reshape(2, 3)
    orthonormal = np.allclose(frame @ frame.T, np.eye(2), rtol=0, atol=1e-3)
    if not orthonormal or not (spacing > 0).all():
        raise Excluded(
            Reason.NO_PIXEL_SPACING, "orientation or pixel spacing is not that of a real image"
        )
    for name, values, tolerance in (
        ("orientations", cosines, SAME_DIRECTION),
        ("pixel spacings", spacings, 1e-6),
        ("numbers of rows and columns", shapes, 0),
    ):
        if np.ptp(np.array(values, dtype=float), axis=0).max() > tolerance:
            raise Excluded(Reason.MIXED_SLICES, f"the series mixes images of different {name}")
    row, column = (direction / np.linalg.norm(direction) for direction in frame)
    return row, column, spacing


def _position_error_mm(images: tuple[Image, ...], affine: np.ndarray, k: np.ndarray) -> float:
    """Largest distance between a slice's four corners by its own header and by the affine.

    `k` gives the place (n,) of each slice along the affine's third axis, which may be between two
    indices. A pixel's place is Image Position + column index × column spacing × row cosines + row
    index × row spacing × column cosines (DICOM PS3.3, C.7.6.2.1.1).
    """
    worst = 0.0
    for place, image in zip(k, images, strict=True):
        header = image.header
        corner = LPS_TO_RAS @ numbers(header, "ImagePositionPatient", 3)
        along_row, along_column = numbers(header, "ImageOrientationPatient", 6).reshape(2, 3)
        between_rows, between_columns = numbers(header, "PixelSpacing", 2)
        for i in (0, number(header, "Columns") - 1):
            for j in (0, number(header, "Rows") - 1):
                across = i * between_columns * along_row + j * between_rows * along_column
                ours = affine[:3] @ (i, j, place, 1)
                worst = max(worst, float(np.linalg.norm(corner + LPS_TO_RAS @ across - ours)))
    return worst


def _faults_of_stacking(geometry: Geometry, gaps: np.ndarray, limits: Limits) -> Iterator:
    total, typical = len(geometry.images), float(np.median(gaps))
    at_one_place = int((gaps <= limits.max_position_error_mm).sum())
    if at_one_place:
        sentence = (
            f"{at_one_place} of {total} images lie where another lies already: several phases or "
            "reconstructions in one series, or files stored twice"
        )
        yield Reason.DUPLICATE_SLICES, sentence
        return
    if geometry.tilt_degrees > limits.max_tilt_degrees:
        sentence = f"the slices are tilted by {geometry.tilt_degrees:.1f}° against their stacking"
        yield Reason.TILTED, sentence
    if geometry.position_error_mm <= limits.max_position_error_mm + ROUNDING_MM:
        return
    multiples = gaps / typical
    whole = multiples.round()
    if np.abs(multiples - whole).max() < MULTIPLE_OF_SPACING and whole.max() > 1:
        sentence = (
            f"{int((whole - 1).sum())} missing between slices that are {typical:.3g} mm apart, the "
            f"largest gap of {gaps.max():.3g} mm after slice {int(np.argmax(gaps)) + 1} of {total}"
        )
        yield Reason.MISSING_SLICES, sentence
    else:
        sentence = (
            f"the slice spacing changes between {gaps.min():.3f} and {gaps.max():.3f} mm: slices "
            f"lie up to {geometry.position_error_mm:.3f} mm off an even grid"
        )
        yield Reason.UNEVEN_SLICES, sentence
