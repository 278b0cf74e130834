"""Check a converted volume against an independent reading of the DICOM, slice by slice."""

import numpy as np

from calcohort.dicom.decode import decode_each
from calcohort.dicom.find import number
from calcohort.dicom.judge import Geometry
from calcohort.dicom.limits import NO_REPAIRS, Repairs
from calcohort.dicom.repair import clear_padding
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Volume, reorient

SAME_HU = 0.01
"""Single precision of dcm2niix's scaling; whole HU compare exactly."""
SAME_MM = 0.01
AIR_OR_LUNG_HU = (-1100, -500)
SOFT_TISSUE_HU = (-200, 300)
MIN_AIR_SHARE = 0.001
MIN_TISSUE_SHARE = 0.01


def verified_hu(
    geometry: Geometry, converted: Volume, repairs: Repairs = NO_REPAIRS
) -> tuple[Volume, int]:
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
    repairs : Repairs
        Whether padding becomes air, after the comparison.

    Returns
    -------
    Volume
        int16 HU ``[k, j, i]`` in the order of `geometry.images`; fractions of a HU are rounded.
    int
        Number of voxels that were padding.

    Raises
    ------
    Excluded
        `unreadable` when pydicom cannot decode a slice, `conversion_mismatch` when geometry or a
        value differs, `not_hounsfield` when padding cannot be told from tissue.
    """
    header = geometry.images[0].header
    rows, columns = int(number(header, "Rows")), int(number(header, "Columns"))
    shape = (len(geometry.images), rows, columns)
    grid = Volume(np.empty(shape, np.int16), geometry.affine)
    theirs = reorient(converted, geometry.affine)
    _compare_grids(geometry, grid, theirs)
    padding_voxels = 0
    for index, hu in decode_each(geometry.images):
        image = geometry.images[index]
        worst = float(np.abs(hu - theirs.array[index]).max())
        if not worst <= SAME_HU:
            raise Excluded(
                Reason.CONVERSION_MISMATCH,
                f"dcm2niix and pydicom differ by up to {worst:g} HU in {image.label}",
            )
        padding_voxels += clear_padding(hu, image.header, repairs)
        grid.array[index] = as_int16(hu)
    return grid, padding_voxels


def check_hounsfield(hu: np.ndarray, padding_voxels: int = 0) -> None:
    """Refuse values that cannot be the Hounsfield units of a chest.

    A scan that holds the heart holds air or lung and soft tissue too. Values scaled to 0…255 or
    0…1, or stored values whose intercept was lost, have nothing at the HU of air. Of those at the
    HU of air, `padding_voxels` were made so and do not count.

    Raises
    ------
    Excluded
        `not_hounsfield`
    """
    for name, (low, high), least, made in (
        ("air or lung", AIR_OR_LUNG_HU, MIN_AIR_SHARE, padding_voxels),
        ("soft tissue", SOFT_TISSUE_HU, MIN_TISSUE_SHARE, 0),
    ):
        share = (np.count_nonzero((hu >= low) & (hu <= high)) - made) / hu.size
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
