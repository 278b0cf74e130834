"""Reviews: read strictly, written whole, and respected by the cohort's tables."""

import pytest
from calcohort.outcomes import UserError
from calcohort.reviews import fingerprint, read_reviews, write_reviews
from calcohort.study import read_config, read_settings
from calcohort.tables import build_tables

HEAD = "scan_id,verdict,comment,reviewer,time_utc\n"
TIME = "2026-01-31T14:05:09Z"


def review(scan_id, verdict="rejected", comment="", reviewer="AB", measurement=""):
    return {
        "scan_id": scan_id,
        "verdict": verdict,
        "comment": comment,
        "reviewer": reviewer,
        "time_utc": TIME,
        "measurement": measurement,
    }


def test_what_is_written_is_read(tmp_path):
    said = {
        "b": review("b", "accepted"),
        "a": review("a", comment='cut, "low"\nand ö', measurement="0123456789ab"),
    }
    write_reviews(tmp_path / "r.csv", said)
    assert read_reviews(tmp_path / "r.csv") == said
    written = (tmp_path / "r.csv").read_text(encoding="utf-8")
    assert written.startswith(HEAD.replace("\n", ",measurement\n") + "a,rejected")


def test_a_table_without_measurements_is_read(tmp_path):
    (tmp_path / "r.csv").write_text(f"{HEAD}a,rejected,cut,AB,{TIME}\n")
    assert read_reviews(tmp_path / "r.csv") == {"a": review("a", comment="cut")}


def test_a_missing_file_holds_no_reviews(tmp_path):
    assert read_reviews(tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scan_id,verdict\na,accepted\n", "column comment, reviewer, time_utc is missing"),
        (HEAD.replace(",", ";"), "Columns are separated by commas"),
        (f"{HEAD}a,maybe,,AB,{TIME}\n", r"row 2: verdict: 'maybe' is not one of"),
        (f"{HEAD}a,accepted,,AB,yesterday\n", "row 2: time_utc"),
        (f"{HEAD}a,accepted,,AB,{TIME}\na,rejected,,CD,{TIME}\n", "row 3: scan a is reviewed tw"),
        (f"{HEAD},accepted,,AB,{TIME}\n", "row 2: scan_id"),
        (
            f"{HEAD.strip()},measurement\na,accepted,,AB,{TIME},before\n",
            "row 2: measurement: 'before' does not match",
        ),
    ],
)
def test_a_damaged_table_is_told_with_its_row(tmp_path, text, told):
    (tmp_path / "reviews.csv").write_text(text)
    with pytest.raises(UserError, match=told):
        read_reviews(tmp_path / "reviews.csv")


def tables(reviews):
    rule = {"threshold_hu": 600.0, "calcium_volume_mm3": 20.0, "lesion_count": 1}
    rules = [{"rule": name} | rule for name in ("F1", "F7")]
    numbers = {"luminance_hu": 500.0, "root_volume_mm3": 9000.0, "root_source": "sheet"}
    ok = {"status": "ok", "stage": "measure", "reason": "", "detail": ""}
    out = {"status": "excluded", "stage": "convert", "reason": "not_ct", "detail": "an MR"}
    measured = [{"scan_id": s} | ok | numbers | {"rules": rules} for s in "abc"]
    sheet = {s: {"scan_id": s, "dicom": "x"} for s in "abcd"}
    return build_tables(
        sheet,
        series=[{"scan_id": s} for s in sheet],
        measured=[*measured, {"scan_id": "d"} | out],
        compared=[],
        settings=read_settings(read_config()),
        reviews=reviews,
    )


def test_a_rejected_scan_is_excluded_and_an_accepted_one_stays():
    said = {
        "a": review("a", comment="wrong valve"),
        "b": review("b", "accepted"),
        "d": review("d", "rejected"),
        "elsewhere": review("elsewhere"),
    }
    found = tables(said)
    scans = found["scans"].set_index("scan_id")
    assert list(scans["status"]) == ["excluded", "measured", "measured", "excluded"]
    assert list(scans["review"].fillna("")) == ["rejected", "accepted", "", "rejected"]
    assert tuple(scans.loc["a", ["stage", "reason", "detail"]]) == (
        "review",
        "rejected_by_reviewer",
        "Rejected by AB: wrong valve",
    )
    assert tuple(scans.loc["d", ["stage", "reason"]]) == ("convert", "not_ct")
    assert set(found["calcium"]["scan_id"]) == {"b", "c"}


def test_a_rejection_says_where_it_has_no_comment_and_no_name():
    found = tables({"a": review("a", reviewer="")})["scans"].set_index("scan_id")
    assert found.loc["a", "detail"] == "Rejected by an unnamed reviewer, without a comment"


def test_a_review_of_another_measurement_is_outdated_and_has_no_effect():
    now = tables(None)["scans"].set_index("scan_id")["measurement"]
    said = {
        "a": review("a", measurement="0123456789ab"),
        "b": review("b", "accepted", measurement="0123456789ab"),
        "c": review("c", measurement=now["c"]),
    }
    found = tables(said)
    scans = found["scans"].set_index("scan_id")
    assert list(scans["review"].fillna("")) == ["outdated", "outdated", "rejected", ""]
    assert list(scans["status"]) == ["measured", "measured", "excluded", "excluded"]
    assert set(found["calcium"]["scan_id"]) == {"a", "b"}
    assert list(scans["measurement"]) == list(now)


@pytest.mark.parametrize(
    "change",
    [
        {"root_volume_mm3": 9001.0},
        {"luminance_hu": 501.0},
        {"mask_rule": "F5"},
        {"status": "excluded", "reason": "no_contrast"},
        {"rules": [{"rule": "F7", "threshold_hu": 600.0, "calcium_volume_mm3": 20.5}]},
    ],
)
def test_what_a_reviewer_judges_changes_the_fingerprint_and_nothing_else_does(change):
    rule = {"rule": "F7", "threshold_hu": 600.0, "calcium_volume_mm3": 20.0}
    measured = {"status": "ok", "root_volume_mm3": 9000.0, "luminance_hu": 500.0, "rules": [rule]}
    assert fingerprint(measured | change) != fingerprint(measured)
    scored = {"rules": [rule | {"agatston": 12.0}], "scores": [], "scan_id": "a"}
    assert fingerprint(measured | scored) == fingerprint(measured)


def test_without_reviews_nothing_changes():
    found = tables(None)
    assert found["scans"]["review"].isna().all()
    assert len(found["calcium"]) == 6
