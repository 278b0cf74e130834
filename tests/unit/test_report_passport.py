"""The report's passport: definitions side by side, contrast said, words beside numbers."""

import numpy as np
import pandas as pd
from calcohort.measure.passport import DEFINITIONS, Scored, passport
from calcohort.measure.scores import Scoring
from calcohort.report.blocks import Text
from calcohort.report.passport import CONTRAST, MOST_PASSPORTS, passport_sections
from calcohort.volume import Volume


def scores(scans=2, contrast=True):
    rows = []
    for n in range(scans):
        hu = np.zeros((4, 10, 10), np.int16)
        hu[1:3, 2 : 4 + n % 3, 2:6] = 700
        ct = Volume(hu, np.diag([0.5, 0.5, 1.5, 1.0]))
        scored = Scored(ct, np.ones(hu.shape, bool), 600.0 if contrast else 130.0)
        rows += [{"scan_id": f"s{n:02d}"} | row for row in passport(scored, Scoring(contrast))]
    return pd.DataFrame(rows)


def test_the_section_stands_only_where_it_was_asked_for():
    assert passport_sections(scores()[:0]) == []
    (section,) = passport_sections(scores(contrast=False))
    assert Text(CONTRAST) not in section.blocks


def test_contrast_is_said_first_and_every_definition_is_compared():
    (section,) = passport_sections(scores())
    note, definitions, values, *passports = section.blocks
    assert note == Text(CONTRAST)
    rows = {row[0]: row for row in definitions.rows}
    assert len(rows) == len(DEFINITIONS)
    # 8 and 12 pixels of 0.25 mm², weight 4, two slices 1.5 mm apart: 8 and 12; unscaled 16 and 24.
    assert rows["Agatston"][3:6] == ["2", "10.0", "9.0 to 11.0"]
    assert rows["Agatston unscaled"][6:] == ["Agatston", "100.0", "100.0 to 100.0"]
    assert rows["Mass"][3:5] == ["0", "–"]
    assert [row[:2] for row in values.rows] == [["s00", "8.0"], ["s01", "12.0"]]
    assert [table.caption for table in passports] == [
        f"Score passport of s{n:02d}, calcium from 600 HU on" for n in (0, 1)
    ]
    told = {row[0]: row[5] for row in passports[0].rows}
    assert "no calibration factor" in told["Mass"]


def test_a_large_cohort_is_summed_up():
    (section,) = passport_sections(scores(MOST_PASSPORTS + 1))
    assert section.blocks[-1] == Text(
        f"The passports of all {MOST_PASSPORTS + 1} scans are in scores.csv."
    )
