"""Accept a CT that is NIfTI already: the same limits, as far as NIfTI can tell."""

from pathlib import Path

import nibabel as nib
import numpy as np

from calcohort.dicom.faults import faults_of_size, raise_first
from calcohort.dicom.limits import Limits
from calcohort.dicom.verify import as_int16, check_hounsfield
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Volume, read

SUFFIXES = (".nii", ".nii.gz")
SAME_MM = 0.01


def read_ct(source: Path, limits: Limits) -> Volume:
    """Read a CT from NIfTI.

    Parameters
    ----------
    source : Path
        A ``.nii`` or ``.nii.gz`` file whose values are HU.
    limits : Limits
        What the scan must be.

    Returns
    -------
    Volume
        int16 HU in canonical orientation; fractions of a HU are rounded.

    Raises
    ------
    Excluded
        `unreadable`, `no_pixel_spacing`, `tilted`, `too_few_slices`, `too_thick_slices`,
        `too_coarse_pixels`, `not_hounsfield`.
    """
    volume = read(source)
    _check_header(nib.load(source).header)
    _check_axes(volume, limits)
    raise_first([*faults_of_size(volume.grid.spacing_mm, volume.array.shape[0], limits)])
    if not np.isfinite(volume.array).all():
        raise Excluded(Reason.NOT_HOUNSFIELD, "some values are not numbers")
    hu = Volume(as_int16(volume.array), volume.affine)
    check_hounsfield(hu.array)
    return hu


def _check_header(header: nib.Nifti1Header) -> None:
    if not header["qform_code"] and not header["sform_code"]:
        raise Excluded(
            Reason.NO_PIXEL_SPACING, "neither qform nor sform is set: the orientation is unknown"
        )
    spatial = header.get_xyzt_units()[0]
    if spatial not in ("mm", "unknown"):
        raise Excluded(Reason.NO_PIXEL_SPACING, f"the NIfTI's unit of length is {spatial}, not mm")
    declared = np.array(header.get_zooms()[:3])
    used = np.linalg.norm(header.get_best_affine()[:3, :3], axis=0)
    if np.abs(declared - used).max() > SAME_MM:
        raise Excluded(
            Reason.NO_PIXEL_SPACING,
            f"the header's voxel size {declared.round(3).tolist()} mm is not that of its affine, "
            f"{used.round(3).tolist()} mm",
        )


def _check_axes(volume: Volume, limits: Limits) -> None:
    axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    cosine = np.abs(axes.T @ axes - np.eye(3)).max()
    degrees = float(np.degrees(np.arcsin(min(cosine, 1.0))))
    if degrees > limits.max_tilt_degrees:
        raise Excluded(Reason.TILTED, f"the affine's axes are {degrees:.1f}° off a right angle")
