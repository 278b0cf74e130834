"""Cohort tables: every scan once, a missing root is no zero, equal input gives equal bytes."""

import pytest
import yaml
from calcohort.outcomes import OK
from calcohort.study import ROOT, read_settings
from calcohort.tables import build_tables, read_table, write_table

SETTINGS = read_settings(yaml.safe_load((ROOT / "config.yaml").read_text()))
RULE = {"threshold_hu": 664.0, "calcium_volume_mm3": 0.0, "lesion_count": 0}
NO_LESION = {"largest_lesion_mm3": None, "mean_hu": None, "peak_hu": None}


def record(scan_id, status=OK, stage="measure", **findings):
    reason = {} if status == OK else {"reason": "root_not_found", "detail": "no root"}
    return (
        {
            "scan_id": scan_id,
            "status": status,
            "stage": stage,
            "reason": "",
            "detail": "",
        }
        | reason
        | findings
    )


def measured(scan_id, **findings):
    rules = [{"rule": f"F{n}"} | RULE | NO_LESION for n in range(1, 8)]
    found = {
        "luminance_hu": 580.0,
        "luminance_sd_hu": 30.0,
        "root_volume_mm3": 12000.0,
        "root_source": "network",
        "mask_rule": "F7",
        "rules": rules,
    }
    return record(scan_id, **(found | findings))


def tables(sheet, series, done, compared=()):
    return build_tables(sheet, series=series, measured=done, compared=compared, settings=SETTINGS)


def test_every_scan_stands_once_in_the_sheets_order_whatever_the_records_order():
    sheet = {"b": {"scan_id": "b", "dicom": "x"}, "a": {"scan_id": "a", "dicom": "y"}}
    built = tables(
        sheet,
        [record("a"), record("b")],
        [measured("a"), record("b", "excluded", "localise")],
    )
    assert list(built["scans"]["scan_id"]) == ["b", "a"]
    assert list(built["scans"]["status"]) == ["excluded", "measured"]


def test_a_root_not_found_gives_no_volume_and_no_calcium_gives_zero():
    sheet = {"a": {"scan_id": "a"}, "b": {"scan_id": "b"}}
    built = tables(
        sheet,
        [record("a"), record("b")],
        [measured("a"), record("b", "excluded", "localise")],
    )
    assert set(built["calcium"]["scan_id"]) == {"a"}
    assert (built["calcium"]["calcium_volume_mm3"] == 0).all()
    assert len(built["calcium"]) == 7


def test_a_scan_without_a_record_is_refused():
    with pytest.raises(ValueError, match="no record of b"):
        tables({"a": {}, "b": {}}, [record("a")], [measured("a")])


def test_a_reference_without_a_root_stays_in_the_segmentation_table():
    compared = record("a", stage="compare", volume_in_reference_root_mm3=55.0)
    built = tables(
        {"a": {}}, [record("a")], [record("a", "excluded", "localise")], compared=[compared]
    )
    row = built["segmentation"].iloc[0]
    assert (row["status"], row["dice"]) == ("no_root", None)
    assert row["reason"] == "root_not_found"


def test_a_given_mask_names_no_weights():
    built = tables({"a": {}}, [record("a")], [measured("a", root_source="sheet")])
    assert built["calcium"]["segment_sha256"].isna().all()
    built = tables({"a": {}}, [record("a")], [measured("a")])
    weights = SETTINGS["segment"]["network"]["sha256"]
    assert (built["calcium"]["segment_sha256"] == weights).all()


def test_equal_tables_are_equal_bytes_and_read_back(tmp_path):
    sheet = {"007": {"scan_id": "007", "age": 71.0, "centre": "Roma, Italia"}}
    for name in ("1.csv", "2.csv"):
        table = tables(sheet, [record("007", kv=120.0)], [measured("007")])["scans"]
        write_table(tmp_path / name, "scans", table)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    back = read_table(tmp_path / "1.csv")
    assert back.loc[0, "scan_id"] == "007"
    assert back.loc[0, "centre"] == "Roma, Italia"


def test_a_table_that_breaks_its_schema_is_not_written(tmp_path):
    table = tables({"a": {}}, [record("a")], [measured("a")])["calcium"]
    table.loc[0, "calcium_volume_mm3"] = -1.0
    with pytest.raises(ValueError, match=r"calcium\.csv, a: .*minimum"):
        write_table(tmp_path / "t.csv", "calcium", table)
    assert not (tmp_path / "t.csv").exists()
