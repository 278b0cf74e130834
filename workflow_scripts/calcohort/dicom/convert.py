"""Convert a scan: find, choose, judge, dcm2niix, verify, write.

In: a folder, zip or tar of DICOM, a DICOM file, a list of the index, or a NIfTI file. Out:
`ct.nii.gz`, int16 HU in canonical orientation, and the findings of `series.json`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calcohort.dicom.choose import Choice
from calcohort.dicom.dcm2niix import run_dcm2niix
from calcohort.dicom.facts import has_contrast, phase_percent
from calcohort.dicom.find import Found, number, numbers, text, transfer_syntaxes
from calcohort.dicom.judge import Geometry, Limits, judge_series
from calcohort.dicom.nifti import SUFFIXES, read_ct
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.dicom.rule import DEFAULT_RULE, Rule
from calcohort.dicom.source import chosen_series
from calcohort.dicom.verify import check_hounsfield, decode_hu, verified_hu
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Volume, write

__all__ = ["Limits", "convert_scan"]


def convert_scan(
    source: Path,
    ct: Path,
    *,
    series_uid: str | None,
    limits: Limits,
    key: bytes,
    rule: Rule = DEFAULT_RULE,
) -> dict:
    """Convert one scan to HU on a checked grid.

    Parameters
    ----------
    source : Path
        Folder of DICOM (searched recursively), DICOMDIR, archive (`archive.SUFFIXES`), DICOM file,
        list of files written by the index, or NIfTI file.
    ct : Path
        The image to write. A folder beside it is used for work and removed, also on failure.
    series_uid : str or None
        The series to take, else `choose_series` chooses. Of no meaning for NIfTI.
    limits : Limits
        What a scan must be.
    key : bytes
        Key of the hashes that stand for identifiers.
    rule : Rule
        Which series is taken; the series of a list has been chosen already.

    Returns
    -------
    dict
        Findings for `series.json`: plain values, None where the input does not tell.

    Raises
    ------
    Excluded
        For all foreseeable trouble of the scan; the detail names no patient, UID or folder.
    UserError
        When the key is empty or dcm2niix is not installed.
    """
    source, ct = Path(source), Path(ct)
    if not source.exists():
        raise Excluded(Reason.NO_FILES, "the source named in the sheet does not exist")
    if source.is_file() and source.name.lower().endswith(SUFFIXES):
        volume = read_ct(source, limits)
        write(ct, volume)
        return _blank_findings() | {"source": "nifti"} | _findings_of_volume(volume)
    with _workspace(ct) as workspace:
        found, choice = chosen_series(
            source,
            workspace,
            series_uid=series_uid,
            rule=rule,
            key=key,
            max_bytes=limits.max_archive_gb * 1e9,
        )
        _refuse_damage(found, choice)
        geometry = judge_series(choice.series, limits)
        volume = verified_hu(geometry, _run_dcm2niix(geometry, workspace))
        check_hounsfield(volume.array)
        write(ct, volume)
    return (
        _blank_findings()
        | _findings_of_series(found, choice, geometry, key)
        | _findings_of_volume(volume)
    )


@contextmanager
def _workspace(ct: Path) -> Iterator[Path]:
    """Yield an empty folder beside `ct`; what a killed run left there is removed first."""
    folder = ct.parent / f".{ct.name}.converting"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_damage(found: Found, choice: Choice) -> None:
    damaged = [label for label, uid in found.broken if uid in ("", choice.series.uid)]
    if damaged:
        raise Excluded(
            Reason.UNREADABLE,
            f"{len(damaged)} DICOM files are damaged in their header and may belong to the chosen "
            f"series, the first {damaged[0]}",
        )


def _run_dcm2niix(geometry: Geometry, workspace: Path) -> Volume:
    """Run dcm2niix; where it fails, a file that pydicom cannot read either is the better reason."""
    try:
        return run_dcm2niix(geometry.images, workspace)
    except Excluded:
        for image in geometry.images:
            decode_hu(image)
        raise


def _blank_findings() -> dict:
    """Every key of the findings, None where nothing is known."""
    return dict.fromkeys(
        (
            "source modality manufacturer model kernel kv slice_thickness_mm slice_spacing_mm "
            "pixel_spacing_mm rows columns slices coverage_mm phase phase_percent trigger_time_ms "
            "contrast contrast_agent image_type orientation transfer_syntax lossy_compression "
            "rescale_slope rescale_intercept tilt_degrees position_error_mm hu_min hu_max "
            "why_chosen candidates ignored_files patient_hash study_hash series_hash"
        ).split()
    )


def _findings_of_volume(volume: Volume) -> dict:
    slices, rows, columns = volume.array.shape
    slice_mm, row_mm, column_mm = (round(float(mm), 7) for mm in volume.grid.spacing_mm)
    return {
        "slice_spacing_mm": slice_mm,
        "pixel_spacing_mm": [row_mm, column_mm],
        "slices": slices,
        "rows": rows,
        "columns": columns,
        "coverage_mm": round(slices * slice_mm, 3),
        "hu_min": int(volume.array.min()),
        "hu_max": int(volume.array.max()),
    }


def _findings_of_series(found: Found, choice: Choice, geometry: Geometry, key: bytes) -> dict:
    series = choice.series
    header = geometry.images[0].header
    percent, trigger_ms = phase_percent(series.first), number(header, "TriggerTime")
    return {
        "source": "dicom",
        "modality": text(header, "Modality"),
        "manufacturer": text(header, "Manufacturer") or None,
        "model": text(header, "ManufacturerModelName") or None,
        "kernel": text(header, "ConvolutionKernel") or None,
        "kv": number(header, "KVP"),
        "slice_thickness_mm": number(header, "SliceThickness"),
        "phase": _phase(percent, trigger_ms),
        "phase_percent": percent,
        "trigger_time_ms": trigger_ms,
        "contrast": has_contrast(series.first),
        "contrast_agent": text(header, "ContrastBolusAgent") or None,
        "image_type": text(header, "ImageType") or None,
        "orientation": numbers(header, "ImageOrientationPatient", 6).tolist(),
        "transfer_syntax": transfer_syntaxes(geometry.images),
        "lossy_compression": text(header, "LossyImageCompression") == "01",
        "rescale_slope": number(header, "RescaleSlope"),
        "rescale_intercept": number(header, "RescaleIntercept"),
        "tilt_degrees": round(geometry.tilt_degrees, 4),
        "position_error_mm": round(geometry.position_error_mm, 6),
        "why_chosen": choice.why,
        "candidates": choice.candidates,
        "ignored_files": found.ignored,
        "patient_hash": keyed_hash(key, "patient", text(header, "PatientID")),
        "study_hash": keyed_hash(key, "study", text(header, "StudyInstanceUID")),
        "series_hash": keyed_hash(key, "series", series.uid),
    }


def _phase(percent: float | None, trigger_ms: float | None) -> str | None:
    if percent is not None:
        return f"{percent:g} % of the R-R interval"
    return None if trigger_ms is None else f"{trigger_ms:g} ms after the R wave"
