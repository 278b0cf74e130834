"""Readers with each other, subgroups, and categories in the agreement table."""

import numpy as np
import pandas as pd
import pytest
from calcohort.agreement.agreement import Choices, agreement_table, category_table, whole_cohort
from calcohort.agreement.readings import find_readings, reader_pairs
from calcohort.agreement.subgroups import find_subgroups
from calcohort.outcomes import UserError
from calcohort.report.comparisons import category_tables, reader_tables, subgroup_tables

VOLUMES = "reference_volume_mm3"


def cohort():
    """Six scans: automatic 0 to 500, the reader 1 above, B 3 above, B's second reading 4 above."""
    automatic = 100.0 * np.arange(6)
    sheet = pd.DataFrame(
        {
            "scan_id": [f"s{n}" for n in range(6)],
            VOLUMES: automatic + 1,
            f"{VOLUMES}_B": automatic + [3, 3, 3, 3, 3, np.nan],
            f"{VOLUMES}_B_2": automatic + 4,
            "sex": ["F", "M", "F", "M", "F", None],
            "luminance_hu": [400.0, 500, 501, 600, 601, 700],
            "lone": ["x"] * 6,
        }
    )
    calcium = pd.DataFrame(
        {"scan_id": sheet["scan_id"], "rule": "F7", "calcium_volume_mm3": automatic}
    )
    return calcium, sheet


def table(**choices):
    asked = {"columns": {"calcium_volume_mm3": VOLUMES}, "rules": ["F7"]}
    return agreement_table(*cohort(), choices=Choices(**choices), **asked)


def test_readings_are_found_by_their_columns():
    columns = [VOLUMES, f"{VOLUMES}_2", f"{VOLUMES}_B_2", f"{VOLUMES}_B", "reference_volume_mm33"]
    names = [reading.name for reading in find_readings(VOLUMES, columns)]
    assert names == ["reader", "reader, reading 2", "reader B", "reader B, reading 2"]
    pairs = reader_pairs(find_readings(VOLUMES, columns))
    assert [(kind, a.name, b.name) for kind, a, b in pairs] == [
        ("inter_reader", "reader B", "reader"),
        ("intra_reader", "reader, reading 2", "reader"),
        ("intra_reader", "reader B, reading 2", "reader B"),
    ]


def test_readers_are_compared_with_the_measurement_and_each_other():
    found = table().set_index(["comparison", "reference"])
    assert found.loc[("automatic", "reader"), "bias"] == pytest.approx(-1)
    assert found.loc[("automatic", "reader B"), "bias"] == pytest.approx(-3)
    assert found.loc[("automatic", "reader B"), "n"] == 5
    assert found.loc[("inter_reader", "reader B − reader"), "bias"] == pytest.approx(2)
    assert found.loc[("intra_reader", "reader B, reading 2 − reader B"), "bias"] == pytest.approx(1)
    assert found.loc[("automatic", "reader"), "rule"] == "F7"
    (shown,) = reader_tables(table())
    assert [row[3] for row in shown.rows] == ["2.0", "1.0"]


def test_subgroups_hold_their_scans():
    subgroups = {"sex": [], "luminance_hu": [500, 600]}
    members = find_subgroups(cohort()[1], subgroups)
    assert {key: list(part) for key, part in members.items()} == {
        ("all", "all"): ["s0", "s1", "s2", "s3", "s4", "s5"],
        ("sex", "F"): ["s0", "s2", "s4"],
        ("sex", "M"): ["s1", "s3"],
        ("luminance_hu", "≤ 500"): ["s0", "s1"],
        ("luminance_hu", "> 500 to 600"): ["s2", "s3"],
        ("luminance_hu", "> 600"): ["s4", "s5"],
    }
    found = table(subgroups=subgroups)
    of_reader = found[found["reference"] == "reader"].set_index(["subgroup", "level"])
    assert of_reader.loc[("sex", "M"), "n"] == 2
    assert len(whole_cohort(found)) == 2
    shown = subgroup_tables(found, "F7")[0]
    assert [row[:2] for row in shown.rows][:3] == [["All", "6"], ["sex: F", "3"], ["sex: M", "2"]]


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"subgroups": {"age_group": []}}, "no column 'age_group'"),
        ({"subgroups": {"sex": [1.0]}}, "sex has cut points, but the column holds text"),
        ({"subgroups": {"luminance_hu": [600, 500]}}, "do not rise"),
        ({"categories": {"calcium_volume_mm3": [3, 1]}}, "do not rise"),
    ],
)
def test_mistakes_are_told(choices, told):
    with pytest.raises(UserError, match=told):
        table(**choices)


def test_categories_count_every_pair_once():
    choices = Choices(categories={"calcium_volume_mm3": [0, 300]})
    asked = {"columns": {"calcium_volume_mm3": VOLUMES}, "rules": ["F7"], "choices": choices}
    found = category_table(*cohort(), **asked)
    of_reader = found[found["reference"] == "reader"]
    assert of_reader["n"].sum() == 6
    cells = of_reader.set_index(["category", "reference_category"])["n"]
    assert cells["≤ 0", "> 0 to 300"] == 1, "automatic 0, reader 1"
    assert cells["> 0 to 300", "> 300"] == 1, "automatic 300, reader 301"
    kappa = agreement_table(*cohort(), **asked)["kappa"]
    assert 0 < kappa.iloc[0] < 1
    shown = category_tables(found, "F7")[0]
    assert shown.head == ["", "≤ 0", "> 0 to 300", "> 300"]
    assert shown.rows[0] == ["≤ 0", "0", "1", "0"]
