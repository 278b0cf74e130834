"""Choose the one CT series that stands for a scan, and say why, for every series.

Only original, primary, axial CT is a candidate. Among candidates the first criterion that tells
two apart decides; see `CRITERIA` and docs/convert.md. The choice looks at headers alone: whether
the chosen series is sound is judged afterwards, so that a cohort never mixes in a worse
reconstruction of a scan because its best one is damaged.
"""

import re
from dataclasses import dataclass

import numpy as np

from calcohort.dicom.find import Found, Image, Series, number, numbers, text
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.outcomes import Excluded, Reason

BEST_DIASTOLE_PERCENT = 75
BEST_SYSTOLE_PERCENT = 35
NO_AGENT = re.compile(r"(no|none|non|not|without|w/o|nil|0)\b.*", re.IGNORECASE)
PERCENT = re.compile(r"(?<![\d.%-])(\d{1,2}(?:\.\d+)?) ?%")

CRITERIA = (
    "enough slices",
    "contrast agent",
    "slice spacing",
    "cardiac phase",
    "number of slices",
    "pixel spacing",
    "series number",
    "order of UIDs",
)


@dataclass(frozen=True)
class Choice:
    """The chosen series, why, and what became of the others (`candidates`, JSON-able)."""

    series: Series
    why: str
    candidates: list[dict]


def choose_series(found: Found, series_uid: str | None, min_slices: int, key: bytes) -> Choice:
    """Choose one series.

    Parameters
    ----------
    found : Found
        What the folder holds.
    series_uid : str or None
        The series named in the sheet. It overrides the criteria, and admits derived and non-axial
        images: the user has looked at them. It never admits what is not CT.
    min_slices : int
        A series of fewer images is taken only where there is no other.
    key : bytes
        Key of the hashes that name the candidates.

    Raises
    ------
    Excluded
        `no_files`, `unreadable`, `mixed_patients`, `series_not_found`, `not_ct`, `not_convertible`,
        `no_axial_series`.
    """
    if not found.series and found.broken:
        raise Excluded(
            Reason.UNREADABLE, f"all {len(found.broken)} DICOM files are damaged in their header"
        )
    if not found.series:
        raise Excluded(Reason.NO_FILES, f"no DICOM among {found.ignored} files")
    if series_uid:
        return _named(found, series_uid.strip(), key)
    if len({_patient(image) for series in found.series for image in series.images}) > 1:
        raise Excluded(
            Reason.MIXED_PATIENTS,
            "the files name several patients, or some name none; separate them or give series_uid",
        )
    candidates = [series for series in found.series if series.kind == "axial"]
    if not candidates:
        raise _nothing_axial(found)
    ranks = {id(series): _rank(series, min_slices) for series in candidates}
    chosen = min(candidates, key=lambda series: ranks[id(series)])
    best = ranks[id(chosen)]

    def why_not(series: Series) -> str:
        if series is chosen:
            return ""
        if series.kind != "axial":
            return f"not original axial CT: {series.kind}"
        return f"ranks behind by {_decider(best, ranks[id(series)])}"

    others = sorted(ranks[id(series)] for series in candidates if series is not chosen)
    decided = f", chosen before the next by {_decider(best, others[0])}" if others else ""
    why = f"one of {len(candidates)} original axial CT series{decided}"
    if not others:
        why = "the only original axial CT series"
    return Choice(chosen, why, [_describe(s, why_not(s), key) for s in found.series])


def slice_spacing_mm(series: Series) -> float | None:
    """Median distance in mm of neighbouring slice positions along the first image's normal."""
    iop = numbers(series.first, "ImageOrientationPatient", 6)
    points = [numbers(image.header, "ImagePositionPatient", 3) for image in series.images]
    if iop is None or any(point is None for point in points):
        return None
    along = np.unique((np.array(points) @ np.cross(iop[:3], iop[3:])).round(3))
    return round(float(np.median(np.diff(along))), 3) if along.size > 1 else None


def has_contrast(series: Series) -> bool | None:
    """Tell whether the header names a contrast agent; None where it does not say."""
    agent = text(series.first, "ContrastBolusAgent")
    return None if not agent else NO_AGENT.fullmatch(agent) is None


def phase_percent(series: Series) -> float | None:
    """Cardiac phase in percent of the R-R interval, or None.

    From Nominal Percentage of Cardiac Phase, else Trigger Time over Nominal Interval, else from
    the one percentage (or `BestDiast`, `BestSyst`) in the series description.
    """
    header = series.first
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


def _named(found: Found, uid: str, key: bytes) -> Choice:
    groups = [series for series in found.series if series.uid == uid]
    if not groups:
        raise Excluded(
            Reason.SERIES_NOT_FOUND,
            f"the series_uid of the sheet is not among {len(found.series)} series",
        )
    usable = [series for series in groups if series.kind not in ("not CT", "no image")]
    if not usable:
        raise Excluded(Reason.NOT_CT, "the series named in the sheet holds no CT images")
    chosen = max(usable, key=lambda series: (series.kind == "axial", len(series.images)))
    if chosen.kind == "multi-frame":
        raise _multi_frame()
    if len({_patient(image) for image in chosen.images}) > 1:
        raise Excluded(Reason.MIXED_PATIENTS, "the series named in the sheet mixes patients")
    described = [
        _describe(s, "" if s is chosen else "another series is named in the sheet", key)
        for s in found.series
    ]
    return Choice(chosen, "named by series_uid in the sheet", described)


def _patient(image: Image) -> tuple[str, str]:
    name = text(image.header, "PatientName").rstrip("^= ").casefold()
    return text(image.header, "PatientID"), name


def _rank(series: Series, min_slices: int) -> tuple:
    spacing, pixel = slice_spacing_mm(series), numbers(series.first, "PixelSpacing", 2)
    percent = phase_percent(series)
    series_number = number(series.first, "SeriesNumber")
    return (
        len(series.images) < min_slices,
        has_contrast(series) is not True,
        np.inf if spacing is None else round(spacing, 2),
        np.inf if percent is None else abs(percent - BEST_DIASTOLE_PERCENT),
        -len(series.images),
        np.inf if pixel is None else round(float(pixel.max()), 3),
        np.inf if series_number is None else series_number,
        series.uid,
    )


def _decider(best: tuple, other: tuple) -> str:
    pairs = zip(CRITERIA, best, other, strict=True)
    return next(name for name, mine, theirs in pairs if mine != theirs)


def _nothing_axial(found: Found) -> Excluded:
    kinds = [series.kind for series in found.series]
    if set(kinds) <= {"not CT", "no image"}:
        modalities = sorted({text(s.first, "Modality") or "none" for s in found.series})
        return Excluded(Reason.NOT_CT, f"no CT images; modalities found: {', '.join(modalities)}")
    if "multi-frame" in kinds:
        return _multi_frame()
    counts = ", ".join(f"{len(s.images)} {s.kind}" for s in found.series)
    advice = "; a series_uid in the sheet can admit a derived series" if "derived" in kinds else ""
    return Excluded(
        Reason.NO_AXIAL_SERIES, f"no original axial CT series; images found: {counts}{advice}"
    )


def _multi_frame() -> Excluded:
    return Excluded(
        Reason.NOT_CONVERTIBLE,
        "the CT is multi-frame but no enhanced CT; export it as single-slice CT images",
    )


def _describe(series: Series, why_not: str, key: bytes) -> dict:
    return {
        "series_hash": keyed_hash(key, "series", series.uid),
        "series_number": number(series.first, "SeriesNumber"),
        "modality": text(series.first, "Modality") or None,
        "kind": series.kind,
        "images": len(series.images),
        "slice_spacing_mm": slice_spacing_mm(series),
        "contrast": has_contrast(series),
        "phase_percent": phase_percent(series),
        "why_not_chosen": why_not,
    }
