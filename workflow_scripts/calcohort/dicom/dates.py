"""Dates and ages of a scan as the study may keep them: dropped, shifted, or the year alone."""

from datetime import date, datetime, timedelta

from pydicom.dataset import Dataset

from calcohort.dicom.find import text
from calcohort.dicom.pseudonymise import keyed_number

DROP, SHIFT, KEEP_YEAR = "drop", "shift", "keep_year"
DATES = ("AcquisitionDate", "AcquisitionDateTime", "ContentDate", "SeriesDate", "StudyDate")
LONGEST_SHIFT_DAYS = 3650
OLDEST_TOLD_YEARS = 90
YEARS_OF_UNIT = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1}


def acquisition_date(header: Dataset) -> date | None:
    """Day of the scan: the first of `DATES` that the header gives."""
    return next(filter(None, (_date(text(header, keyword)) for keyword in DATES)), None)


def shift(key: bytes, patient_id: str, day: date) -> date | None:
    """Move a day into the past by the patient's own number of days, 1 to 3650.

    The number is a keyed hash of the patient, so that the days between two scans of a patient stay
    what they were (DICOM PS3.15, E.3.6: Retain Longitudinal Temporal Information With Modified
    Dates). None where no patient is named: two scans of one patient could not be told.
    """
    if not patient_id.strip():
        return None
    days = 1 + keyed_number(key, "shift", patient_id) % LONGEST_SHIFT_DAYS
    return day - timedelta(days=days)


def kept_date(header: Dataset, policy: str, key: bytes) -> str | None:
    """Day of the scan as the policy keeps it, `2019-05-17` or `2019`; None where it keeps none.

    Parameters
    ----------
    header : Dataset
        Header of an image.
    policy : str
        `drop`, `shift` or `keep_year`.
    key : bytes
        The study's secret.
    """
    day = acquisition_date(header)
    if day is None or policy == DROP:
        return None
    if policy == KEEP_YEAR:
        return str(day.year)
    moved = shift(key, text(header, "PatientID"), day)
    return moved and moved.isoformat()


def shifted(value: str, key: bytes, patient_id: str) -> str:
    """Shift a date as DICOM writes it; empty where there is no date or no patient."""
    day = _date(value)
    moved = day and shift(key, patient_id, day)
    return f"{moved:%Y%m%d}" if moved else ""


def age_years(header: Dataset) -> float | None:
    """Age at the scan in years; 90 stands for 90 and more (45 CFR 164.514(b)(2)(i)(C)).

    From Patient's Age, else from the dates of birth and scan (whole years).
    """
    told = text(header, "PatientAge").upper()
    if told[:-1].isdecimal() and told[-1] in YEARS_OF_UNIT:
        return capped_age(round(int(told[:-1]) * YEARS_OF_UNIT[told[-1]], 2))
    born, day = _date(text(header, "PatientBirthDate")), acquisition_date(header)
    if born is None or day is None or born > day:
        return None
    return capped_age(day.year - born.year - ((day.month, day.day) < (born.month, born.day)))


def capped_age(years: float) -> float:
    """Age in years, 90 for 90 and more."""
    return float(min(years, OLDEST_TOLD_YEARS))


def _date(value: str) -> date | None:
    try:
        return datetime.strptime(value[:8], "%Y%m%d").date()
    except ValueError:
        return None
