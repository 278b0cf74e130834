"""Control charts against the examples of the NIST handbook, and drift that is found and named."""

import numpy as np
import pandas as pd
import pytest
from calcohort.drift import charts
from calcohort.drift.cohort import COLUMNS, Choices, chart_cohort, in_order
from calcohort.drift.plots import draw_charts
from calcohort.report.blocks import Table, Text
from calcohort.report.drift import drift_sections
from scipy import stats

FLOW = np.array([49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1])
FIRST = np.array([52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5])


def test_individuals_chart_of_the_nist_handbook():
    """Section 6.3.2.2: centre 50.81, mean moving range 1.8778, limits 45.8159 and 55.8041."""
    spread = charts.in_control(FLOW)._replace(n=np.inf)
    assert spread.centre == pytest.approx(50.81)
    assert spread.sigma * 1.128 == pytest.approx(1.8778, abs=5e-5)
    assert charts.limits(spread) == pytest.approx((45.8159, 55.8041), abs=1e-4)
    low, high = charts.limits(spread, 4)
    assert high - low == pytest.approx((55.8041 - 45.8159) / 2, abs=1e-4)


def test_a_short_baseline_widens_the_limits():
    low, high = charts.limits(charts.Spread(0.0, 1.0, 4), 4)
    assert (low, high) == pytest.approx((-3 * np.sqrt(0.5), 3 * np.sqrt(0.5)))


def test_moving_average_of_the_nist_handbook():
    """Section 6.3.2.4: centre 50, sigma 2.0539, weight 0.3; limits 47.4115 and 52.5884 at last."""
    found = charts.moving_average(np.concatenate([FIRST, FLOW]), charts.Spread(50, 2.0539), 0.3)
    printed = "50.60 49.52 50.56 50.18 50.16 49.21 49.75 49.85 50.26 50.33 "
    printed += "50.11 49.36 49.52 50.05 49.38 49.92 50.73 51.23 51.94 51.99"
    assert found[:, 0].round(2).tolist() == pytest.approx(list(map(float, printed.split())))
    assert found[-1, 1:] == pytest.approx([47.4115, 52.5884], abs=5e-4)
    assert found[0, 2] == pytest.approx(50 + 3 * 0.3 * 2.0539), "narrower at the start"


def test_nine_in_a_row_on_one_side():
    values = np.array([1.0] * 8 + [0] + [1] * 9 + [-1] * 10)
    assert np.flatnonzero(charts.runs(values, 0.0, 9)).tolist() == [17, 26, 27]


def test_groups_against_the_grand_mean_by_hand():
    """Means 1, 1, 4 of 2, 2, 4 values; squares within 2, 2, 4, so s² is 8 / 5."""
    values = np.array([0.0, 2, 0, 2, 3, 5, 3, 5])
    found = charts.group_limits(values, np.array(list("aabbcccc")))
    assert found["c"][:3] == (4, 4.0, 2.5)
    half = 3 * np.sqrt(8 / 5) * np.sqrt((8 - 4) / (8 * 4))
    assert found["c"][3:] == pytest.approx((2.5 - half, 2.5 + half))


def test_limits_of_counts_know_how_short_the_baseline_was():
    """Predictive distribution summed by hand; a clean baseline allows a few failures."""
    low, high = charts.count_limits(0, 30, 20)
    expected = stats.beta.expect(lambda p: stats.binom.cdf(high, 20, p), (0.5, 30.5))
    assert low == 0 and high >= 2
    assert expected >= 1 - charts.TAIL
    below = stats.beta.expect(lambda p: stats.binom.cdf(high - 1, 20, p), (0.5, 30.5))
    assert below < 1 - charts.TAIL
    assert charts.count_limits(500, 5000, 100)[1] == pytest.approx(
        stats.binom.ppf(1 - charts.TAIL, 100, 0.1), abs=1
    )


def cohort(n=120, shift_at=80, shift=0.0, dates=True):
    rng = np.random.default_rng(4)
    lm = rng.normal(560, 30, n) + shift * (np.arange(n) >= shift_at)
    days = pd.date_range("2024-01-01", periods=n, freq="5D").strftime("%Y-%m-%d")
    scans = pd.DataFrame(
        {
            "scan_id": [f"s{i:03d}" for i in range(n)],
            "status": "measured",
            "stage": "measure",
            "manufacturer": "Maker",
            "model": "One",
            "software": np.where(np.arange(n) >= shift_at - 3, "VB20", "VA48"),
            "acquisition_date": days if dates else None,
            "luminance_hu": lm,
            "root_volume_mm3": rng.normal(15000, 2000, n),
        }
    )
    calcium = pd.DataFrame(
        {
            "scan_id": scans["scan_id"],
            "rule": "F7",
            "threshold_hu": lm + 0.2 * (1000 - lm),
            "calcium_volume_mm3": rng.gamma(1.5, 80, n),
        }
    )
    return scans, calcium


def alarms(points, **of):
    found = points[points["reason"].notna()]
    for column, value in of.items():
        found = found[found[column] == value]
    return found


def test_a_steady_cohort_rarely_alarms():
    points = chart_cohort(*cohort(), "F7", Choices())
    assert list(points.columns) == list(COLUMNS)
    assert len(alarms(points, chart="ewma")) == 0
    assert len(alarms(points)) <= 0.0027 * len(points) * 3 + 1


def test_a_shift_is_found_where_it_begins_and_the_new_software_named():
    points = chart_cohort(*cohort(shift=60), "F7", Choices())
    first = alarms(points, chart="ewma", quantity="luminance_hu").iloc[0]
    assert 80 <= int(first["label"][1:]) <= 95
    assert first["reason"].startswith(f"smoothed luminance Lm from {first['label']} on is ")
    assert first["reason"].endswith("the software is Maker One VB20 since s077")
    assert len(alarms(points, chart="means", by="time", quantity="luminance_hu")) >= 2
    versions = alarms(points, by="software", quantity="luminance_hu")
    assert set(versions["label"]) == {"Maker One VA48", "Maker One VB20"}
    assert alarms(points, quantity="root_volume_mm3", chart="ewma").empty


def test_the_baseline_raises_no_alarm_whatever_is_in_it():
    scans, calcium = cohort(60)
    scans.loc[5, "luminance_hu"] += 900
    points = chart_cohort(scans, calcium, "F7", Choices())
    lm = points[
        (points["quantity"] == "luminance_hu") & points["chart"].isin(["individuals", "ewma"])
    ]
    baseline = lm[lm["baseline"]]
    assert ((baseline["value"] < baseline["low"]) | (baseline["value"] > baseline["high"])).any()
    assert baseline["reason"].isna().all()


def test_scans_are_charted_by_date_not_by_their_place_in_the_sheet():
    scans, calcium = cohort(shift=60)
    mixed = scans.sample(frac=1, random_state=0)
    first, second = (chart_cohort(s, calcium, "F7", Choices()) for s in (scans, mixed))
    pd.testing.assert_frame_equal(first, second)
    by_sheet = in_order(mixed, calcium, "F7", order="sheet")
    assert by_sheet["scan_id"].tolist() == mixed["scan_id"].tolist()


def test_months_years_and_blocks_of_the_sheet_are_periods():
    scans, calcium = cohort(40)
    assert in_order(scans, calcium, "F7")["period"].unique()[:2].tolist() == ["2024-01", "2024-02"]
    years = scans.assign(acquisition_date=2024.0)
    assert in_order(years, calcium, "F7")["period"].unique().tolist() == ["2024"]
    none = in_order(scans.assign(acquisition_date=None), calcium, "F7")
    assert none["period"].unique().tolist() == ["scans 1 to 20", "scans 21 to 40"]
    some = scans.assign(acquisition_date=scans["acquisition_date"].where(scans.index != 3))
    assert len(in_order(some, calcium, "F7")) == 39, "without a date there is no place in time"


def test_each_scanner_has_its_own_chart():
    scans, calcium = cohort(100)
    scans["model"] = np.where(np.arange(100) % 2, "One", "Two")
    points = chart_cohort(scans, calcium, "F7", Choices(baseline_scans=20))
    assert set(points.loc[points["by"] == "time", "stratum"]) == {"Maker One", "Maker Two"}
    assert set(points.loc[points["by"] == "scanner", "label"]) == {"Maker One", "Maker Two"}


def test_more_exclusions_than_before_are_an_alarm():
    scans, calcium = cohort()
    scans.loc[[5, 40], "status"] = "excluded"
    scans.loc[100:110, "status"] = "excluded"
    points = chart_cohort(scans, calcium, "F7", Choices())
    found = alarms(points, quantity="not_measured")
    assert found["label"].tolist() == ["2025-05", "2025-06"]
    assert (
        found["reason"].iloc[0].startswith("4 of 6 scans, 2025-05, were not measured: more than 3")
    )
    assert alarms(points, quantity="failed").empty


def test_a_cohort_that_is_shorter_than_the_baseline_has_no_chart(tmp_path):
    points = chart_cohort(*cohort(30), "F7", Choices())
    assert points[points["by"] == "time"].empty
    assert drift_sections(points[:0], tmp_path) == []


def test_figures_and_section(tmp_path):
    points = chart_cohort(*cohort(shift=60), "F7", Choices())
    drawn = draw_charts(tmp_path, points)
    assert [path.name for path in drawn] == ["scans_01.png", "shares_01.png"]
    assert all(path.stat().st_size > 20_000 for path in drawn)
    (section,) = drift_sections(points, tmp_path)
    assert [type(block) for block in section.blocks[:3]] == [Text, Table, Table]
    assert len(section.blocks[1].rows) == len(alarms(points))
    assert section.blocks[1].rows[0][0] == "Mean", "single scans come last"
