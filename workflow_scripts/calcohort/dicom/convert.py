"""Convert a scan: find, choose, judge, repair, dcm2niix, verify, write.

In: a folder, zip or tar of DICOM, a DICOM file, a list of the index, or a NIfTI file. Out:
`ct.nii.gz`, int16 HU in canonical orientation, and the findings of `series.json`.
"""

from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset

from calcohort.dicom.choose import Choice, choose_series
from calcohort.dicom.dates import DROP, age_years, kept_date
from calcohort.dicom.dcm2niix import run_dcm2niix
from calcohort.dicom.decode import decode_each, plain_images
from calcohort.dicom.facts import has_contrast, phase_percent
from calcohort.dicom.faults import rescale_changes
from calcohort.dicom.find import Found, find_series, number, numbers, text, transfer_syntaxes
from calcohort.dicom.judge import Geometry, judge_series
from calcohort.dicom.limits import NO_REPAIRS, Limits, Repairs
from calcohort.dicom.listing import SUFFIX as LISTED
from calcohort.dicom.listing import listed_series, read_listing
from calcohort.dicom.multiframe import take_frames_apart
from calcohort.dicom.nifti import SUFFIXES, read_ct
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.dicom.repair import sort_out
from calcohort.dicom.resample import resample
from calcohort.dicom.rule import DEFAULT_RULE, Rule
from calcohort.dicom.source import files_of
from calcohort.dicom.verify import check_hounsfield, verified_hu
from calcohort.keys import check_phantom
from calcohort.outcomes import Excluded, Reason
from calcohort.private import private_workspace
from calcohort.volume import Volume, reorient, write

__all__ = ["Limits", "Repairs", "convert_scan"]


def convert_scan(
    source: Path,
    ct: Path,
    *,
    series_uid: str | None,
    limits: Limits,
    key: bytes,
    rule: Rule = DEFAULT_RULE,
    repairs: Repairs = NO_REPAIRS,
    dates: str = DROP,
    work: Path | None = None,
) -> dict:
    """Convert one scan to HU on a checked grid.

    Parameters
    ----------
    source : Path
        Folder of DICOM (searched recursively), DICOMDIR, archive (`archive.SUFFIXES`), DICOM file,
        list of files written by the index, or NIfTI file.
    ct : Path
        The image to write.
    series_uid : str or None
        The series to take, else `choose_series` chooses. Of no meaning for NIfTI.
    limits : Limits
        What a scan must be.
    key : bytes
        Key of the hashes that stand for identifiers.
    rule : Rule
        Which series is taken; the series of a list has been chosen already.
    repairs : Repairs
        What is put right instead of excluding the scan.
    dates : str
        What is kept of the day of the scan: `drop`, `shift` or `keep_year` (`dicom.dates`).
    work : Path, optional
        Folder to work in, removed at the end, also on failure; one beside `ct` where not given.
        What lies there, such as an unpacked zip, is not de-identified.

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
    with private_workspace(work or ct.parent / f".{ct.name}.converting") as workspace:
        max_bytes = limits.max_archive_gb * 1e9
        found = take_frames_apart(find_series(files_of(source, workspace, max_bytes)))
        if source.name.endswith(LISTED):
            choice = listed_series(found, read_listing(source), key)
        else:
            choice = choose_series(found, series_uid, rule, key)
        check_phantom(key, text(choice.series.first, "Manufacturer"))
        _refuse_damage(found, choice)
        series, repaired = sort_out(choice.series, repairs, rule)
        geometry = judge_series(series, limits, repairs)
        stack, padding_voxels = _verified_stack(geometry, workspace, repairs)
        volume = reorient(resample(stack.array, geometry) if geometry.repairs else stack)
        write(ct, volume)
    repaired += geometry.repairs
    if rescale_changes(series.images):
        repaired.append({"repair": "slice_rescale"})
    if padding_voxels:
        repaired.append({"repair": "padding", "voxels": padding_voxels})
    return (
        _blank_findings()
        | _findings_of_series(found, replace(choice, series=series), geometry, key)
        | _findings_of_patient(geometry.images[0].header, dates, key)
        | _findings_of_volume(volume)
        | {"repairs": repaired}
    )


def _refuse_damage(found: Found, choice: Choice) -> None:
    damaged = [label for label, uid in found.broken if uid in ("", choice.series.uid)]
    if damaged:
        raise Excluded(
            Reason.UNREADABLE,
            f"{len(damaged)} DICOM files are damaged in their header and may belong to the chosen "
            f"series, the first {damaged[0]}",
        )


def _verified_stack(geometry: Geometry, workspace: Path, repairs: Repairs) -> tuple[Volume, int]:
    """Return HU of the slices as they lie in the DICOM, and how many voxels were padding.

    Where dcm2niix fails, a file that pydicom cannot read either is the better reason.
    """
    images = plain_images(geometry.images, workspace)
    try:
        converted = run_dcm2niix(images, workspace, even=not geometry.repairs)
    except Excluded:
        for _ in decode_each(images):
            continue
        raise
    stack, padding_voxels = verified_hu(replace(geometry, images=images), converted, repairs)
    check_hounsfield(stack.array, padding_voxels)
    return stack, padding_voxels


def _blank_findings() -> dict:
    """Every key of the findings, None where nothing is known."""
    return dict.fromkeys(
        (
            "source modality manufacturer model software kernel kv "
            "slice_thickness_mm slice_spacing_mm pixel_spacing_mm rows columns slices coverage_mm "
            "phase phase_percent trigger_time_ms "
            "contrast image_type orientation transfer_syntax lossy_compression "
            "rescale_slope rescale_intercept tilt_degrees position_error_mm hu_min hu_max "
            "why_chosen candidates ignored_files repairs acquisition_date age_years "
            "patient_hash study_hash series_hash"
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
    changes = rescale_changes(series.images)
    percent, trigger_ms = phase_percent(series.first), number(header, "TriggerTime")
    return {
        "source": "dicom",
        "modality": text(header, "Modality"),
        "manufacturer": text(header, "Manufacturer") or None,
        "model": text(header, "ManufacturerModelName") or None,
        "software": text(header, "SoftwareVersions") or None,
        "kernel": text(header, "ConvolutionKernel") or None,
        "kv": number(header, "KVP"),
        "slice_thickness_mm": number(header, "SliceThickness"),
        "phase": _phase(percent, trigger_ms),
        "phase_percent": percent,
        "trigger_time_ms": trigger_ms,
        "contrast": has_contrast(series.first),
        "image_type": text(header, "ImageType") or None,
        "orientation": numbers(header, "ImageOrientationPatient", 6).tolist(),
        "transfer_syntax": transfer_syntaxes(geometry.images),
        "lossy_compression": text(header, "LossyImageCompression") == "01",
        "rescale_slope": None if changes else number(header, "RescaleSlope"),
        "rescale_intercept": None if changes else number(header, "RescaleIntercept"),
        "tilt_degrees": round(geometry.tilt_degrees, 4),
        "position_error_mm": round(geometry.position_error_mm, 6),
        "why_chosen": choice.why,
        "candidates": choice.candidates,
        "ignored_files": found.ignored,
        "study_hash": keyed_hash(key, "study", text(header, "StudyInstanceUID")),
        "series_hash": keyed_hash(key, "series", series.uid),
    }


def _findings_of_patient(header: Dataset, dates: str, key: bytes) -> dict:
    return {
        "patient_hash": keyed_hash(key, "patient", text(header, "PatientID")),
        "acquisition_date": kept_date(header, dates, key),
        "age_years": age_years(header),
    }


def _phase(percent: float | None, trigger_ms: float | None) -> str | None:
    if percent is not None:
        return f"{percent:g} % of the R-R interval"
    return None if trigger_ms is None else f"{trigger_ms:g} ms after the R wave"
