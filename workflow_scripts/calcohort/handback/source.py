"""The DICOM images that a scan was converted from, and each one's place in `ct.nii.gz`.

Masks go back by positions alone: a pixel's place in the patient is computed from its own header and
looked up on the grid of `ct.nii.gz`. The order of files, slices and voxels plays no part.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom

from calcohort.dicom.decode import decode_each
from calcohort.dicom.find import ENHANCED_CT, Image, find_series, numbers
from calcohort.dicom.multiframe import take_frames_apart
from calcohort.dicom.nifti import SUFFIXES
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.dicom.source import files_of
from calcohort.outcomes import Excluded
from calcohort.volume import Grid, Volume

SAME_MM = 0.01
AIR_HU = -1024
MUST_BE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Elements of type 2 of the Patient and General Study modules (DICOM PS3.3, C.7.1.1, C.7.2.1)."""
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


class Refused(Exception):
    """Why the results of a scan cannot be handed back, as one sentence without names."""


@dataclass(frozen=True)
class PlacedImage:
    """A source image and where its pixels lie in the scan.

    Attributes
    ----------
    header : Dataset
        All elements of its file but the pixels.
    index : tuple of ndarray
        Voxel ``(k, j, i)`` of every pixel, broadcasting to ``[row, column]``.
    frame : int
        Its place in its file, from 0; the frames of an enhanced CT share one `header`.
    """

    header: pydicom.Dataset
    index: tuple[np.ndarray, np.ndarray, np.ndarray]
    frame: int

    def of(self, array: np.ndarray) -> np.ndarray:
        """Return the pixels ``[row, column]`` of this image out of an array ``[k, j, i]``."""
        return array[self.index]


@contextmanager
def opened(source: Path, workspace: Path, max_bytes: float) -> Iterator[Path | list[Path]]:
    """Yield what holds the DICOM; an archive is unpacked below `workspace` and removed after.

    Raises
    ------
    Refused
        When the source is gone, is NIfTI, or cannot be unpacked.
    """
    if not source.exists():
        raise Refused("the source named in the sheet does not exist any more")
    if source.name.lower().endswith(SUFFIXES):
        raise Refused("the source is NIfTI: there are no DICOM images to refer to")
    with TemporaryDirectory(dir=workspace, prefix=".unpacked-") as folder:
        try:
            files = files_of(source, Path(folder), max_bytes)
        except Excluded as problem:
            raise Refused(problem.detail) from problem
        yield files


def find_images(source: Path | list[Path], series: dict[str, Any], key: bytes) -> tuple[Image, ...]:
    """Find the images of the series that `series.json` says was converted.

    Parameters
    ----------
    source : Path or list of Path
        Folder or files, as `opened` yields them.
    series : dict
        The record of `convert`: its `series_hash` and the kind of its chosen candidate.
    key : bytes
        The study's key.

    Raises
    ------
    Refused
        When the series is not there under this key.
    """
    kinds = [
        c["kind"]
        for c in series["candidates"]
        if not c["why_not_chosen"] and c["series_hash"] == series["series_hash"]
    ]
    for found in take_frames_apart(find_series(source)).series:
        if found.kind in kinds and keyed_hash(key, "series", found.uid) == series["series_hash"]:
            return found.images
    raise Refused(
        "the converted series is not in the source any more, or the pseudonym key has changed"
    )


def place_images(images: tuple[Image, ...], ct: Volume, error_mm: float) -> list[PlacedImage]:
    """Place every image in the scan, and prove the place by its values.

    Parameters
    ----------
    images : tuple of Image
        The series that `ct` was converted from.
    ct : Volume
        HU ``[k, j, i]``.
    error_mm : float
        Distance of slices from the even grid that the conversion accepted (`position_error_mm`).

    Returns
    -------
    list of PlacedImage
        Sorted from foot to head (by voxel index where slices do not run that way).

    Raises
    ------
    Refused
        When an image does not lie on the grid (the scan was resampled), a voxel has no image or
        two, an image holds other HU than the scan, or lacks a UID; when an enhanced CT is not one
        file.
    """
    paths = {image.path for image in images}
    if len(paths) > 1 and is_enhanced(images[0].header):
        raise Refused("the source is several files of enhanced CT; only one can be referred to")
    headers = {path: _header(path) for path in paths}
    covered = np.zeros(ct.array.shape, dtype=bool)
    placed = []
    for image in images:
        index = _pixel_index(image.header, ct.grid, SAME_MM + error_mm)
        if covered[index].any():
            raise Refused("two images of the source lie at one place of the converted scan")
        covered[index] = True
        placed.append(PlacedImage(headers[image.path], index, image.frame))
    if not covered.all():
        raise Refused("the source has fewer images than the converted scan has slices")
    _compare_values(images, placed, ct)
    return sorted(placed, key=lambda image: tuple(int(np.min(part)) for part in image.index))


def is_enhanced(header: pydicom.Dataset) -> bool:
    """Tell whether a file is enhanced CT, whose images are frames."""
    return header.get("SOPClassUID") in ENHANCED_CT


def headers_of(images: list[PlacedImage]) -> list[pydicom.Dataset]:
    """Headers of the files that hold `images`, each once."""
    return list({id(image.header): image.header for image in images}.values())


def _compare_values(images: tuple[Image, ...], placed: list[PlacedImage], ct: Volume) -> None:
    """Refuse images that hold other HU than the scan; what lies below −1024 HU is air."""
    try:
        for number, hu in decode_each(images):
            of_scan = placed[number].of(ct.array)
            if not np.array_equal(np.maximum(np.rint(hu), AIR_HU), np.maximum(of_scan, AIR_HU)):
                raise Refused(
                    "the source holds other values than the converted scan: it has changed"
                )
    except Excluded as problem:
        raise Refused(problem.detail) from problem


def _header(path: Path) -> pydicom.Dataset:
    """Read all but the pixels; what DICOM lets be empty is empty where the file leaves it out."""
    header = pydicom.dcmread(path, stop_before_pixels=True)
    for keyword in MUST_BE:
        if not header.get(keyword):
            raise Refused(f"the source's images have no {keyword}")
    for keyword in MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    if is_enhanced(header):
        _share_plane(header)
    return header


def _share_plane(header: pydicom.Dataset) -> None:
    """Move what all frames have in common, as they lie on one grid, to where highdicom looks."""
    shared = header.SharedFunctionalGroupsSequence[0]
    first = header.PerFrameFunctionalGroupsSequence[0]
    for macro in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if macro not in shared:
            shared[macro] = first[macro]


def _pixel_index(header: pydicom.Dataset, grid: Grid, tolerance_mm: float) -> tuple:
    """Voxel of every pixel, from Image Position, Image Orientation and Pixel Spacing.

    The place of pixel (row r, column c) is position + c × column spacing × row cosines +
    r × row spacing × column cosines (DICOM PS3.3, C.7.6.2.1.1).
    """
    position = numbers(header, "ImagePositionPatient", 3)
    along_row, along_column = numbers(header, "ImageOrientationPatient", 6).reshape(2, 3)
    between_rows, between_columns = numbers(header, "PixelSpacing", 2)
    rows, columns = int(header.Rows), int(header.Columns)
    corners_rc = np.array([(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)])
    across = corners_rc @ np.array([along_column * between_rows, along_row * between_columns])
    world = LPS_TO_RAS * (position + across)
    voxels = np.rint(grid.index(world)).astype(int)
    inside = (voxels >= 0).all() and (voxels < grid.shape).all()
    if not inside or np.linalg.norm(grid.world(voxels) - world, axis=1).max() > tolerance_mm:
        raise Refused(
            "the source's images do not lie on the converted scan's grid: it was resampled, so its "
            "masks cannot be drawn on the original images"
        )
    first, end_of_row, end_of_column, _ = voxels
    step_c, step_r = (end_of_row - first) // (columns - 1), (end_of_column - first) // (rows - 1)
    r, c = np.arange(rows)[:, None], np.arange(columns)[None, :]
    return tuple(
        first[axis] + (r * step_r[axis] if step_r[axis] else c * step_c[axis]) for axis in range(3)
    )
