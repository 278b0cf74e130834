"""What the choice among series needs to know of one: from a folder's headers, or from an index."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from calcohort.dicom.find import Series, kind_of, number, numbers, text
from calcohort.dicom.pseudonymise import keyed_hash

BEST_DIASTOLE_PERCENT = 75
BEST_SYSTOLE_PERCENT = 35
NO_AGENT = re.compile(r"(no|none|non|not|without|w/o|nil|0)\b.*", re.IGNORECASE)
PERCENT = re.compile(r"(?<![\d.%-])(\d{1,2}(?:\.\d+)?) ?%")


@dataclass(frozen=True)
class Facts:
    """What one image's header tells; all values are plain, None or empty where it does not say.

    Attributes
    ----------
    series, study : str
        The raw UIDs.
    kind : str
        As of `find.Series`.
    patient_hash, name_hash : str or None
        Keyed hashes of Patient ID and of Patient Name, its spelling folded.
    study_time : str
        Study Date and Study Time, digits.
    orientation : tuple of 6 floats or None
        Image Orientation (Patient).
    pixel_spacing_mm : tuple of 2 floats or None
        Between rows, between columns.
    frames : int
        Number of Frames, 1 for the usual image of one slice.
    """

    series: str
    study: str
    kind: str
    patient_hash: str | None
    name_hash: str | None
    study_time: str
    modality: str | None
    manufacturer: str | None
    model: str | None
    kernel: str | None
    contrast: bool | None
    phase_percent: float | None
    series_number: float | None
    rows: int | None
    columns: int | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    frames: int


@dataclass(frozen=True)
class Summary:
    """A series for the choice: facts of its first image, slices, and their distance."""

    facts: Facts
    images: int
    slice_spacing_mm: float | None


def facts_of(header: Dataset, key: bytes) -> Facts:
    """Read an image's facts from its header; identifiers of the patient are hashed under `key`."""
    name = text(header, "PatientName").rstrip("^= ").casefold()
    orientation = numbers(header, "ImageOrientationPatient", 6)
    spacing = numbers(header, "PixelSpacing", 2)
    rows, columns = number(header, "Rows"), number(header, "Columns")
    return Facts(
        series=text(header, "SeriesInstanceUID"),
        study=text(header, "StudyInstanceUID"),
        kind=kind_of(header),
        patient_hash=keyed_hash(key, "patient", text(header, "PatientID")),
        name_hash=keyed_hash(key, "name", name),
        study_time=re.sub(r"\D", "", text(header, "StudyDate") + text(header, "StudyTime")),
        modality=text(header, "Modality") or None,
        manufacturer=text(header, "Manufacturer") or None,
        model=text(header, "ManufacturerModelName") or None,
        kernel=text(header, "ConvolutionKernel") or None,
        contrast=has_contrast(header),
        phase_percent=phase_percent(header),
        series_number=number(header, "SeriesNumber"),
        rows=None if rows is None else int(rows),
        columns=None if columns is None else int(columns),
        orientation=None if orientation is None else tuple(orientation.tolist()),
        pixel_spacing_mm=None if spacing is None else tuple(spacing.tolist()),
        frames=max(1, int(number(header, "NumberOfFrames") or 1)),
    )


def summarise(series: Series, key: bytes) -> Summary:
    """Summarise a series that was found in a folder."""
    every = [facts_of(image.header, key) for image in series.images]
    points = [numbers(image.header, "ImagePositionPatient", 3) for image in series.images]
    images = sum(facts.frames for facts in every)
    return Summary(every[0], images, slice_spacing_mm(every[0].orientation, points))


def slice_spacing_mm(
    orientation: Iterable[float] | None, positions: list[Iterable[float] | None]
) -> float | None:
    """Median distance in mm of neighbouring slice positions along the normal of `orientation`.

    Parameters
    ----------
    orientation : six floats or None
        Image Orientation (Patient).
    positions : list of three floats or None
        Image Position (Patient) of the slices, in any order.

    Returns
    -------
    float or None
        None where something is missing or fewer than two positions differ.
    """
    if orientation is None or any(position is None for position in positions):
        return None
    iop = np.asarray(orientation)
    along = np.unique((np.array(positions) @ np.cross(iop[:3], iop[3:])).round(3))
    return round(float(np.median(np.diff(along))), 3) if along.size > 1 else None


def has_contrast(header: Dataset) -> bool | None:
    """Tell whether the header names a contrast agent; None where it does not say."""
    agent = text(header, "ContrastBolusAgent")
    return None if not agent else NO_AGENT.fullmatch(agent) is None


def phase_percent(header: Dataset) -> float | None:
    """Cardiac phase in percent of the R-R interval, or None.

    From Nominal Percentage of Cardiac Phase, else Trigger Time over Nominal Interval, else from
    the one percentage (or `BestDiast`, `BestSyst`) in the series description.
    """
    percent = number(header, "NominalPercentageOfCardiacPhase")
    trigger_ms, interval_ms = number(header, "TriggerTime"), number(header, "NominalInterval")
    if percent is None and trigger_ms is not None and interval_ms:
        percent = round(100 * trigger_ms / interval_ms, 1)
    if percent is not None:
        return percent
    description = text(header, "SeriesDescription")
    written = PERCENT.findall(description)
    if len(written) == 1:
        return float(written[0])
    if re.search("best ?diast", description, re.IGNORECASE):
        return BEST_DIASTOLE_PERCENT
    return BEST_SYSTOLE_PERCENT if re.search("best ?syst", description, re.IGNORECASE) else None


def describe(summary: Summary, key: bytes) -> dict:
    """Tell of a series what records may hold: no identifier but its pseudonym."""
    facts = summary.facts
    return {
        "series_hash": keyed_hash(key, "series", facts.series),
        "series_number": facts.series_number,
        "modality": facts.modality,
        "kind": facts.kind,
        "images": summary.images,
        "slice_spacing_mm": summary.slice_spacing_mm,
        "contrast": facts.contrast,
        "phase_percent": facts.phase_percent,
        "kernel": facts.kernel,
    }
