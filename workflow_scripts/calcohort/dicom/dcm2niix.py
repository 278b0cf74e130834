"""Run dcm2niix on one series and hand back the one volume it must write."""

import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np

from calcohort.dicom.find import Image, transfer_syntaxes
from calcohort.outcomes import Excluded, Reason, UserError
from calcohort.private import private_log
from calcohort.volume import Volume

OPTIONS = ("-b", "n", "-z", "n", "-g", "i", "-f", "ct")
"""No sidecar, no compression, no user defaults, a fixed name."""
CORRECTED = ("ct_Tilt_1.nii", "ct_Eq_1.nii", "ct_Tilt_Eq_1.nii")
VARYING_GAPS = 1
TIMEOUT_S = 1200


def run_dcm2niix(images: tuple[Image, ...], workspace: Path, *, even: bool = True) -> Volume:
    """Convert a series with dcm2niix.

    Parameters
    ----------
    images : tuple of Image
        The series' files and no other; they are linked under neutral names, so dcm2niix can meet
        nothing else.
    workspace : Path
        An existing folder to work in.
    even : bool
        Whether the slices are stacked evenly. If not, dcm2niix says so by its status, and writes
        its own corrected images beside the one asked for; both are passed over.

    Returns
    -------
    Volume
        Values as dcm2niix scales them, axes and affine as it writes them.

    Raises
    ------
    Excluded
        `not_convertible` when dcm2niix fails or writes nothing, `conversion_mismatch` when it
        writes more than one image (split, `_Tilt_`, `_Eq_`).
    UserError
        When dcm2niix is not installed.
    """
    inbox, outbox = workspace / "series", workspace / "nifti"
    inbox.mkdir()
    outbox.mkdir()
    for index, path in enumerate(dict.fromkeys(image.path for image in images)):
        (inbox / f"{index:05d}.dcm").symlink_to(path.resolve())
    command = [_executable(), *OPTIONS, "-o", str(outbox), str(inbox)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise Excluded(
            Reason.NOT_CONVERTIBLE, f"dcm2niix did not end within {TIMEOUT_S / 60:g} minutes"
        ) from error
    written = sorted(outbox.iterdir())
    if not even:
        written = [path for path in written if path.name not in CORRECTED]
    if done.returncode not in ((0,) if even else (0, VARYING_GAPS)) or not written:
        private_log.warning("dcm2niix: %s\n%s", done.stdout, done.stderr)
        raise Excluded(
            Reason.NOT_CONVERTIBLE,
            f"dcm2niix ended with status {done.returncode} on {transfer_syntaxes(images)}",
        )
    if [path.name for path in written] != ["ct.nii"]:
        names = ", ".join(path.name for path in written)
        raise Excluded(
            Reason.CONVERSION_MISMATCH, f"dcm2niix made {names} of one series, not one volume"
        )
    image = nib.load(written[0])
    array = image.get_fdata(dtype=np.float32)
    if array.ndim != 3:
        raise Excluded(Reason.CONVERSION_MISMATCH, f"dcm2niix made an image of shape {array.shape}")
    return Volume(array.T, image.affine)


def _executable() -> str:
    try:
        import dcm2niix
    except ImportError as error:
        raise UserError("dcm2niix is not installed: install the project's requirements.") from error
    return dcm2niix.bin
