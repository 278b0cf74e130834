"""The agreement table and its figures."""

import numpy as np
import pandas as pd
import pytest
from calcohort.agreement.agreement import COLUMNS, RULES, agreement_table, pair
from calcohort.agreement.plots import bland_altman, draw_figures, identity_plot
from matplotlib.collections import PathCollection


def cohort(scans=6):
    names = [f"scan_{n}" for n in range(scans)]
    rng = np.random.default_rng(0)
    thresholds = 600 + 20.0 * np.arange(scans)
    sheet = pd.DataFrame(
        {
            "scan_id": names,
            "reference_threshold_hu": thresholds,
            "reference_volume_mm3": rng.uniform(0, 700, scans),
        }
    )
    rows = [
        {
            "scan_id": name,
            "rule": rule,
            "threshold_hu": threshold + 10 * n + (-1) ** s,
            "calcium_volume_mm3": 100.0 * s + n,
        }
        for s, (name, threshold) in enumerate(zip(names, thresholds, strict=True))
        for n, rule in enumerate(RULES)
    ]
    return pd.DataFrame(rows), sheet


def row(table, quantity, rule):
    (found,) = table[(table["quantity"] == quantity) & (table["rule"] == rule)].to_dict("records")
    return found


def test_one_row_per_quantity_and_rule():
    table = agreement_table(*cohort())
    assert list(table.columns) == list(COLUMNS)
    given = table[table["scans_with_reference"] > 0]
    assert list(given["rule"]) == list(RULES) * 2
    assert list(given["quantity"]) == ["threshold_hu"] * 7 + ["calcium_volume_mm3"] * 7
    assert set(table["reference"]) == {"reader"}
    for n, rule in enumerate(RULES):
        assert row(table, "threshold_hu", rule)["bias"] == pytest.approx(10 * n)


def test_masses_and_scores_are_compared_rule_by_rule_and_zeros_said():
    calcium, sheet = cohort()
    position = calcium["scan_id"].str[-1].astype(int)
    calcium = calcium.assign(mass_mg=30.0 * position + 2, agatston_au=50.0 * position)
    numbers = np.arange(6.0)
    sheet = sheet.assign(reference_mass_mg=30 * numbers, reference_score=50 * numbers + 10)
    table = agreement_table(calcium, sheet)
    mass, score = row(table, "mass_mg", "F7"), row(table, "agatston_au", "F3")
    assert (mass["unit"], mass["n"], mass["bias"]) == ("mg", 6, 2)
    assert (mass["mape_n"], mass["only_reference_zero"]) == (5, 1)
    assert (score["unit"], score["bias"], score["only_automatic_zero"]) == ("AU", -10, 1)


def test_scans_are_matched_by_their_name_whatever_the_order():
    calcium, sheet = cohort()
    expected = agreement_table(calcium, sheet)
    shuffled = agreement_table(calcium.sample(frac=1, random_state=1), sheet)
    pd.testing.assert_frame_equal(expected, shuffled)


def test_scans_without_a_measurement_or_reference_are_counted():
    calcium, sheet = cohort()
    calcium = calcium[calcium["scan_id"] != "scan_1"]
    sheet.loc[2, "reference_volume_mm3"] = np.nan
    table = agreement_table(calcium, sheet)
    found = row(table, "threshold_hu", "F7")
    assert (found["scans_with_reference"], found["n"]) == (6, 5)
    found = row(table, "calcium_volume_mm3", "F7")
    assert (found["scans_with_reference"], found["n"]) == (5, 4)


def test_a_study_without_references_or_measurements_says_so():
    calcium, sheet = cohort()
    for table in (
        agreement_table(calcium, sheet[["scan_id"]]),
        agreement_table(calcium[:0], sheet),
    ):
        assert len(table) == 5 * 7 + 1
        assert set(table["note"]) == {"no pairs"}
        assert set(table["n"]) == {0}
    assert set(table.loc[:13, "scans_with_reference"]) == {6}


def test_another_reference():
    calcium, sheet = cohort()
    truth = pd.DataFrame({"scan_id": sheet["scan_id"], "physical_mm3": 100.0 * np.arange(6)})
    columns = {"calcium_volume_mm3": "physical_mm3"}
    table = agreement_table(calcium, truth, columns=columns, reference="physical volume")
    assert set(table["reference"]) == {"physical volume"}
    assert list(table["bias"]) == pytest.approx(list(range(7)))


def test_a_scan_given_twice_is_refused():
    calcium, sheet = cohort()
    with pytest.raises(ValueError, match="one-to-one"):
        agreement_table(calcium, pd.concat([sheet, sheet[:1]]))
    with pytest.raises(ValueError, match="one-to-one"):
        agreement_table(pd.concat([calcium, calcium[:1]]), sheet)


def test_pairs_keep_unmeasured_scans():
    calcium, sheet = cohort(2)
    pairs = pair(calcium[calcium["scan_id"] == "scan_1"], sheet, "F1", *THRESHOLD)
    assert pairs["scan_id"].tolist() == ["scan_0", "scan_1"]
    assert np.isnan(pairs["automatic"][0])


THRESHOLD = ("threshold_hu", "reference_threshold_hu")
LABELS = {"name": "threshold", "unit": "HU", "title": "F7"}


def points(figure):
    (drawn,) = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    return np.asarray(drawn.get_offsets())


def test_bland_altman_draws_difference_against_mean_and_the_limits():
    figure = bland_altman([12, 19, 33, 44], [10, 20, 30, 40], **LABELS)
    np.testing.assert_allclose(points(figure), [[11, 2], [19.5, -1], [31.5, 3], [42, 4]])
    axes = figure.axes[0]
    s = np.sqrt(14 / 3)  # errors 2, -1, 3, 4: mean 2, squares of deviations 14
    heights = sorted(line.get_ydata()[0] for line in axes.lines)
    np.testing.assert_allclose(heights, [2 - 1.96 * s, 0, 2, 2 + 1.96 * s])
    labels = [text.get_text() for text in axes.texts]
    assert labels == ["Bias\n2.00", "+1.96 SD\n6.23", "−1.96 SD\n−2.23"]
    assert axes.get_ylabel() == "Automatic − reference\nthreshold (HU)"


def test_identity_plot_draws_automatic_against_reference():
    figure = identity_plot([3, 18, 33, 48], [10, 20, 30, 40], **LABELS)
    np.testing.assert_allclose(points(figure), [[10, 3], [20, 18], [30, 33], [40, 48]])
    axes = figure.axes[0]
    identity, fit = axes.lines
    np.testing.assert_allclose(identity.get_xdata(), identity.get_ydata())
    assert fit.get_label() == "y = 1.50 x − 12.0 (Deming)"
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "Reference threshold (HU)",
        "Automatic threshold (HU)",
    )


@pytest.mark.parametrize("draw", [bland_altman, identity_plot])
@pytest.mark.parametrize("values", [[5.0], [5.0, 7.0], [5.0, 5.0, 5.0]])
def test_few_or_equal_values_are_drawn_too(draw, values, tmp_path):
    figure = draw(values, values, **LABELS)
    figure.savefig(tmp_path / "figure.png")
    assert len(points(figure)) == len(values)


def test_figures_are_the_same_bytes_each_time(tmp_path):
    calcium, sheet = cohort()
    drawn = [draw_figures(tmp_path / name, calcium, sheet, rule="F7") for name in "ab"]
    assert sorted(path.name for path in drawn[0]) == [
        "bland_altman_calcium_volume_mm3.png",
        "bland_altman_threshold_hu.png",
        "identity_calcium_volume_mm3.png",
        "identity_threshold_hu.png",
    ]
    for first, second in zip(*drawn, strict=True):
        for suffix in (".png", ".svg"):
            one, two = (path.with_suffix(suffix).read_bytes() for path in (first, second))
            assert one == two
            assert b"<dc:date>" not in one


def test_no_reference_no_figure(tmp_path):
    calcium, sheet = cohort()
    assert draw_figures(tmp_path / "figures", calcium, sheet[["scan_id"]], rule="F7") == []
    assert list((tmp_path / "figures").iterdir()) == []
