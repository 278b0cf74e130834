"""Dates and ages as a study may keep them."""

from datetime import date

import pytest
from calcohort.dicom.dates import age_years, capped_age, kept_date, shift
from pydicom.dataset import Dataset

KEY = b"a key of the tests, which nobody else has"


def header(**elements):
    dataset = Dataset()
    for keyword, value in ({"PatientID": "MRN 7", "StudyDate": "20190517"} | elements).items():
        setattr(dataset, keyword, value)
    return dataset


def test_a_dropped_date_is_none_and_a_kept_year_has_no_month():
    assert kept_date(header(), "drop", KEY) is None
    assert kept_date(header(), "keep_year", KEY) == "2019"


def test_the_days_between_two_scans_of_a_patient_stay():
    first, second = (
        date.fromisoformat(kept_date(header(StudyDate=day), "shift", KEY))
        for day in ("20190517", "20200301")
    )
    assert (second - first).days == (date(2020, 3, 1) - date(2019, 5, 17)).days
    assert 1 <= (date(2019, 5, 17) - first).days <= 3650


def test_patients_and_keys_have_shifts_of_their_own():
    day = date(2019, 5, 17)
    shifted = {shift(KEY, str(patient), day) for patient in range(50)}
    assert len(shifted) > 40
    assert shift(KEY, "MRN 7", day) != shift(b"another key", "MRN 7", day)


def test_without_a_patient_no_date_is_shifted():
    assert kept_date(header(PatientID=" "), "shift", KEY) is None


def test_the_day_of_the_acquisition_comes_before_that_of_the_study():
    dates = header(AcquisitionDate="20190518", StudyDate="20190517")
    assert kept_date(dates, "keep_year", KEY) == "2019"
    one, other = kept_date(dates, "shift", KEY), kept_date(header(), "shift", KEY)
    assert (date.fromisoformat(one) - date.fromisoformat(other)).days == 1


@pytest.mark.parametrize("day", ["", "unknown", "20191345", "1990"])
def test_an_unusable_date_is_none(day):
    assert kept_date(header(StudyDate=day), "keep_year", KEY) is None


@pytest.mark.parametrize(
    ("elements", "years"),
    [
        ({"PatientAge": "071Y"}, 71),
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "089Y"}, 89),
        ({"PatientAge": "093Y"}, 90),
        ({"PatientBirthDate": "19500517"}, 69),
        ({"PatientBirthDate": "19500518"}, 68),
        ({"PatientBirthDate": "19200101"}, 90),
        ({"PatientBirthDate": "20300101"}, None),
        ({"PatientAge": "old"}, None),
        ({"PatientAge": "07²Y"}, None),
        ({}, None),
    ],
)
def test_age_is_told_up_to_89(elements, years):
    assert age_years(header(**elements)) == years


def test_an_age_of_the_sheet_ends_at_90():
    assert [capped_age(years) for years in (71, 89, 90, 104)] == [71, 89, 90, 90]
