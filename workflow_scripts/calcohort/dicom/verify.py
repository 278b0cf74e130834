"""Check a converted volume against an independent reading of the DICOM, slice by slice."""

import struct

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from calcohort.dicom.find import Image, number, transfer_syntaxes
from calcohort.dicom.judge import Geometry
from calcohort.outcomes import Excluded, Reason
from calcohort.private import private_log
from calcohort.volume import Volume, reorient

SAME_HU = 0.01
"""Single precision of dcm2niix's scaling; whole HU compare exactly."""
SAME_MM = 0.01
AIR_OR_LUNG_HU = (-1100, -500)
SOFT_TISSUE_HU = (-200, 300)
MIN_AIR_SHARE = 0.001
MIN_TISSUE_SHARE = 0.01
DECODING_ERRORS = (
    InvalidDicomError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    EOFError,
    RuntimeError,
    struct.error,
)


def verified_hu(geometry: Geometry, converted: Volume) -> Volume:
    """Return the series in HU on the DICOM's own grid, proven equal to what dcm2niix made.

    dcm2niix takes the slice spacing from the first two slices, so that rounded positions add up
    along the scan, and leaves out a tilt. The grid therefore comes from all positions
    (`judge_series`). dcm2niix must agree with it at every corner to 0.01 mm, plus what the measured
    rounding and tilt (zero for most scanners) explain, and with every voxel's value.

    Parameters
    ----------
    geometry : Geometry
        Of the judged series.
    converted : Volume
        dcm2niix's result.

    Returns
    -------
    Volume
        int16 HU ``[k, j, i]`` in canonical orientation; fractions of a HU are rounded.

    Raises
    ------
    Excluded
        `unreadable` when pydicom cannot decode a slice, `conversion_mismatch` when geometry or a
        value differs.
    """
    header = geometry.images[0].header
    grid = Volume(
        np.empty((len(geometry.images), header.Rows, header.Columns), np.int16), geometry.affine
    )
    theirs = reorient(converted, geometry.affine)
    _compare_grids(geometry, grid, theirs)
    for index, image in enumerate(geometry.images):
        hu = decode_hu(image)
        worst = float(np.abs(hu - theirs.array[index]).max())
        if worst > SAME_HU:
            raise Excluded(
                Reason.CONVERSION_MISMATCH,
                f"dcm2niix and pydicom differ by up to {worst:g} HU in {image.label}",
            )
        grid.array[index] = as_int16(hu)
    return reorient(grid)


def decode_hu(image: Image) -> np.ndarray:
    """Decode one file's pixels with pydicom.

    HU = stored value × Rescale Slope + Rescale Intercept (DICOM PS3.3, C.11.1.1.2).

    Returns
    -------
    ndarray of float64, ``[row, column]``

    Raises
    ------
    Excluded
        `unreadable`, naming the file by its label; `not_convertible` when no decoder knows its
        compression.
    """
    try:
        stored = pydicom.dcmread(image.path).pixel_array
    except NotImplementedError as error:
        raise Excluded(
            Reason.NOT_CONVERTIBLE, f"no decoder reads {transfer_syntaxes((image,))}"
        ) from error
    except DECODING_ERRORS as error:
        private_log.warning("%s: %s", image.path, error)
        raise Excluded(
            Reason.UNREADABLE,
            f"the pixels of {image.label} cannot be decoded ({type(error).__name__}), "
            "it may be truncated",
        ) from error
    slope, intercept = (number(image.header, f"Rescale{n}") for n in ("Slope", "Intercept"))
    return stored * slope + intercept


def check_hounsfield(hu: np.ndarray) -> None:
    """Refuse values that cannot be the Hounsfield units of a chest.

    A scan that holds the heart holds air or lung and soft tissue too. Values scaled to 0…255 or
    0…1, or stored values whose intercept was lost, have nothing at the HU of air.

    Raises
    ------
    Excluded
        `not_hounsfield`
    """
    for name, (low, high), least in (
        ("air or lung", AIR_OR_LUNG_HU, MIN_AIR_SHARE),
        ("soft tissue", SOFT_TISSUE_HU, MIN_TISSUE_SHARE),
    ):
        share = np.count_nonzero((hu >= low) & (hu <= high)) / hu.size
        if share < least:
            raise Excluded(
                Reason.NOT_HOUNSFIELD,
                f"{share:.2%} of the voxels lie at the HU of {name} ({low} to {high}), less than "
                f"{least:.1%}; the values range from {hu.min():g} to {hu.max():g}",
            )


def as_int16(hu: np.ndarray) -> np.ndarray:
    """Round HU to int16; `not_hounsfield` where they do not fit."""
    bounds = np.iinfo(np.int16)
    if hu.min() < bounds.min or hu.max() > bounds.max:
        raise Excluded(
            Reason.NOT_HOUNSFIELD, f"values from {hu.min():g} to {hu.max():g} are no HU of a CT"
        )
    return np.rint(hu).astype(np.int16)


def _compare_grids(geometry: Geometry, ours: Volume, theirs: Volume) -> None:
    if theirs.array.shape != ours.array.shape:
        raise Excluded(
            Reason.CONVERSION_MISMATCH,
            f"dcm2niix made {theirs.array.shape} voxels of {ours.array.shape}",
        )
    gaps = len(geometry.images) - 1
    drift_mm = gaps * geometry.spacing_mm[0] * np.tan(np.radians(geometry.tilt_degrees))
    allowed_mm = SAME_MM + drift_mm + 2 * gaps * geometry.position_error_mm
    if not ours.grid.same_as(theirs.grid, allowed_mm):
        raise Excluded(
            Reason.CONVERSION_MISMATCH,
            f"dcm2niix places a corner more than {allowed_mm:.2f} mm from where the DICOM "
            "positions say",
        )
