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


def tables(sheet, series, done, compared=(), ranges=None):
    asked = {"series": series, "measured": done, "compared": compared, "settings": SETTINGS}
    return build_tables(sheet, **asked, ranges=ranges)


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


def test_scans_that_the_networks_saw_are_compared_with_their_training():
    grid = {"rows": 400, "columns": 500, "pixel_spacing_mm": [0.5, 0.5], "slice_spacing_mm": 0.6}
    ranges = {
        "coverage_mm": {"low": 100, "high": 200},
        "field_of_view_mm": {"low": 180, "high": 210},
        "luminance_hu": {"low": 300, "high": 600},
    }
    sheet = {s: {"scan_id": s} for s in ("inside", "bright", "lost", "given", "absent")}
    sheet["given"]["root_mask"] = "/root.nii.gz"
    series = [record(s, slices=300, coverage_mm=180.0, **grid) for s in ("inside", "bright")]
    series += [record(s, slices=600, coverage_mm=360.0, **grid) for s in ("lost", "given")]
    series.append(record("absent", "excluded", "convert"))
    done = [
        measured("inside"),
        measured("bright", luminance_hu=650.0),
        record("lost", "excluded", "localise"),
        measured("given", root_source="sheet"),
        record("absent", "excluded", "convert"),
    ]
    scans = tables(sheet, series, done, ranges=ranges)["scans"].set_index("scan_id")
    assert scans["outside_training"].dropna().to_dict() == {
        "inside": "no",
        "bright": "luminance_hu above 600",
        "lost": "coverage_mm above 200",
    }
    assert scans["field_of_view_mm"].dropna().to_dict() == pytest.approx(
        {"inside": 200, "bright": 200, "lost": 200, "given": 200}
    )
    assert scans.loc["lost", "coverage_mm"] == 360
    scans = tables(sheet, series, done)["scans"]
    assert scans["outside_training"].isna().all()
