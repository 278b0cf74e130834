"""Judge a series' geometry and rescaling by its headers, before anything is converted.

Geometry comes from Image Position and Image Orientation (Patient) and Pixel Spacing alone, never
from Slice Thickness, Spacing Between Slices, Gantry Tilt or the order of files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calcohort.dicom.find import Image, Series, number, numbers, text
from calcohort.outcomes import Excluded, Reason

SAME_DIRECTION = 1e-4
MULTIPLE_OF_SPACING = 0.1
ROUNDING_MM = 1e-6
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Limits:
    """What a scan must be to be converted; docs/convert.md gives the reason of every default.

    Attributes
    ----------
    max_slice_spacing_mm, max_pixel_spacing_mm : float
        Largest accepted spacing between slices and in the plane, inclusive.
    min_slices : int
        Smallest number of slices.
    min_coverage_mm : float
        Smallest length of the scan along its slices: spacing × number of slices.
    max_position_error_mm : float
        Largest distance of any slice's corner from the evenly spaced grid.
    max_tilt_degrees : float
        Largest angle between the slices' normal and the direction in which they are stacked.
    max_archive_gb : float
        Largest unpacked size of a zip archive, in 1e9 bytes.
    """

    max_slice_spacing_mm: float = 3.0
    max_pixel_spacing_mm: float = 1.0
    min_slices: int = 32
    min_coverage_mm: float = 60.0
    max_position_error_mm: float = 0.01
    max_tilt_degrees: float = 0.05
    max_archive_gb: float = 8.0


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
    """

    images: tuple[Image, ...]
    affine: np.ndarray
    position_error_mm: float
    tilt_degrees: float

    @property
    def spacing_mm(self) -> np.ndarray:
        """Spacing of slices, rows and columns in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)[::-1]


def judge_series(series: Series, limits: Limits) -> Geometry:
    """Refuse a series that cannot be converted into one evenly spaced volume of HU.

    Returns
    -------
    Geometry

    Raises
    ------
    Excluded
        With the first fault as reason and all faults in the detail: `no_pixel_spacing`,
        `mixed_slices`, `duplicate_slices`, `tilted`, `missing_slices`, `uneven_slices`,
        `too_few_slices`, `too_thick_slices`, `too_coarse_pixels`, `not_hounsfield`.
    """
    images = series.images
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
    geometry = Geometry(images, affine, _position_error_mm(images, affine), tilt)
    gaps = np.diff(points @ normal)
    faults = [
        *_faults_of_stacking(geometry, gaps, limits),
        *faults_of_size(geometry.spacing_mm, len(images), limits),
        *faults_of_rescaling(images),
    ]
    raise_first(faults)
    return geometry


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


def faults_of_rescaling(images: tuple[Image, ...]) -> Iterator:
    """Yield why the stored values cannot become Hounsfield units."""
    slopes = {number(image.header, "RescaleSlope") for image in images}
    intercepts = {number(image.header, "RescaleIntercept") for image in images}
    units = {text(image.header, "RescaleType").upper() for image in images} - {"", "HU", "US"}
    photometric = {text(i.header, "PhotometricInterpretation") for i in images} - {"MONOCHROME2"}
    if None in slopes | intercepts:
        yield Reason.NOT_HOUNSFIELD, "rescale slope or intercept is missing"
    elif len(slopes) > 1 or len(intercepts) > 1:
        yield Reason.NOT_HOUNSFIELD, "rescale slope or intercept changes between slices"
    elif min(slopes) <= 0:
        yield Reason.NOT_HOUNSFIELD, f"rescale slope is {min(slopes):g}"
    if units:
        yield Reason.NOT_HOUNSFIELD, f"values are in {sorted(units)[0]}, not HU"
    if photometric:
        name = sorted(photometric)[0] or "not given"
        yield Reason.NOT_HOUNSFIELD, f"photometric interpretation is {name}, not MONOCHROME2"


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


def _position_error_mm(images: tuple[Image, ...], affine: np.ndarray) -> float:
    """Largest distance between a slice's four corners by its own header and by the affine.

    A pixel's place is Image Position + column index × column spacing × row cosines + row index ×
    row spacing × column cosines (DICOM PS3.3, C.7.6.2.1.1).
    """
    worst = 0.0
    for index, image in enumerate(images):
        header = image.header
        corner = LPS_TO_RAS @ numbers(header, "ImagePositionPatient", 3)
        along_row, along_column = numbers(header, "ImageOrientationPatient", 6).reshape(2, 3)
        between_rows, between_columns = numbers(header, "PixelSpacing", 2)
        for i in (0, header.Columns - 1):
            for j in (0, header.Rows - 1):
                across = i * between_columns * along_row + j * between_rows * along_column
                ours = affine[:3] @ (i, j, index, 1)
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
