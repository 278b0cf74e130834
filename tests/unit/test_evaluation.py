"""The evaluation tells what was asked and measured, and hides no scan that dropped out."""

import pandas as pd
import pytest
from calcohort.evaluation.acceptance import acceptance
from calcohort.evaluation.evaluate import write_evaluation
from calcohort.outcomes import UserError

N = 4
LM_HU = [400.0, 500.0, 600.0, 700.0]
READER_HU = [530.0, 590.0, 690.0, 750.0]
FOUND_MM3 = [10.0, 102.0, 198.0, 300.0]
TRUE_MM3 = [12.0, 100.0, 200.0, 300.0]
PHYSICAL_MM3 = [5.0, 80.0, 150.0, 250.0]
IDS = [f"phantom-{n:04d}" for n in range(1, N + 1)]


FAMILIES = ["template", "template", "wide", "wide"]


def make_run(folder, dice=(0.96, 0.96, 0.94, 0.90)):
    cohort = folder / "cohort"
    cohort.mkdir()
    truth = pd.DataFrame(
        {
            "scan_id": [*IDS, "phantom-0005"],
            "family": [*FAMILIES, "template"],
            "reference_threshold_hu": [*READER_HU, None],
            "reference_volume_mm3": [*TRUE_MM3, None],
            "physical_volume_mm3": [*PHYSICAL_MM3, None],
        }
    )
    truth.to_csv(folder / "scans.tsv", sep="\t", index=False)
    scans = pd.DataFrame(
        {
            "scan_id": [*IDS, "phantom-0005"],
            "status": ["measured"] * N + ["excluded"],
            "reason": [None] * N + ["no_contrast"],
            "luminance_hu": [*LM_HU, None],
        }
    )
    scans.to_csv(cohort / "scans.csv", index=False)
    segmentation = pd.DataFrame(
        {
            "scan_id": IDS,
            "status": "compared",
            "reason": None,
            "dice": dice,
            "iou": 0.9,
            "assd_mm": 0.4,
            "hd95_mm": 1.1,
            "volume_error_mm3": [-100, 100, -300, 300],
            "box_coverage": [1.0, 1.0, 0.999, 1.0],
            "reference_volume_mm3": 20000.0,
            "volume_in_found_root_mm3": FOUND_MM3,
            "volume_in_reference_root_mm3": TRUE_MM3,
        }
    )
    segmentation.to_csv(cohort / "segmentation.csv", index=False)
    calcium = [
        {
            "scan_id": scan,
            "rule": rule,
            "threshold_hu": hu,
            "calcium_volume_mm3": volume,
            "volume_low_mm3": volume - 2,
            "volume_high_mm3": volume + 1,
        }
        for scan, lm, volume in zip(IDS, LM_HU, FOUND_MM3, strict=True)
        for rule, hu in {
            "F1": 600.0,
            "F2": 700.0,
            "F3": 800.0,
            "F4": lm,
            "F5": 1.25 * lm,
            "F6": 1.5 * lm,
            "F7": lm + 0.2 * (1000 - lm),
        }.items()
    ]
    pd.DataFrame(calcium).to_csv(cohort / "calcium.csv", index=False)
    return cohort, folder / "scans.tsv", folder / "evaluation.md"


def cells(text, section, first):
    """Cells of the row of a section whose first cell is `first`."""
    part = text.split(f"## {section}\n")[1].split("\n## ")[0]
    (line,) = [line for line in part.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_acceptance_lines_hold_the_measured_values(tmp_path):
    """Errors −2, 2, −2, 0: MAE 6/4; SS_res 12, SS_tot about 153: 44944 → R² 1 − 12/44944.

    Their mean is −0.5, their SD 1.915; t(0.975, 3) = 3.182: the interval ends at −3.547 and 2.547.
    """
    lines = write_evaluation(*make_run(tmp_path))
    assert [line.value for line in lines] == pytest.approx(
        [4, 0.999, 0.94, 0.90, 1.1, 1 - 12 / sum((v - 153) ** 2 for v in TRUE_MM3), 1.5, -2.547],
        abs=1e-3,
    )
    assert all(line.is_met for line in lines)


def test_a_dice_just_below_the_line_is_not_met(tmp_path):
    run = make_run(tmp_path, dice=(0.99, 0.99, 0.99, 0.8799))
    lines = write_evaluation(*run)
    assert [line.is_met for line in lines] == [True] * 3 + [False] + [True] * 4
    row = cells(run[2].read_text(), "Acceptance", "Dice of the root, least: ≥ 0.88")
    assert row[1:] == ["0.8799", "**not met**"]


def test_scans_whose_interval_holds_the_volume_in_the_true_root_are_counted(tmp_path):
    """The intervals are 8 to 11, 100 to 103, 196 to 199 and 298 to 301."""
    run = make_run(tmp_path)
    write_evaluation(*run)
    assert "in the true root of 2 of 4 scans." in run[2].read_text()


def test_a_scan_that_was_not_segmented_leaves_lines_unmet():
    found = pd.DataFrame(
        {
            "status": ["measured", "measured", "measured", "excluded"],
            "dice": [0.95, 0.95, 0.95, None],
            "hd95_mm": [1.0, 1.0, 1.0, None],
            "box_coverage": [1.0, 1.0, 1.0, None],
            "volume_in_found_root_mm3": [1.0, 2.0, 3.0, None],
            "volume_in_reference_root_mm3": [1.0, 2.0, 3.0, 4.0],
        }
    )
    lines = acceptance(found)
    assert not any(line.is_met for line in lines)
    assert (lines[2].value, lines[2].missing) == (pytest.approx(0.95), 1)


def test_what_is_missing_stands_beside_the_value_of_the_rest(tmp_path):
    run = make_run(tmp_path, dice=(0.99, 0.95, 0.97, None))
    write_evaluation(*run)
    row = cells(run[2].read_text(), "Acceptance", "Dice of the root, least: ≥ 0.88")
    assert row[1:] == ["0.9500; 1 without", "**not met**"]


def test_a_scan_without_a_volume_in_the_true_root_is_rightly_excluded():
    """Errors 1, −1 and 0 remain; where the true root has a volume, the exclusion is a failure."""
    found = pd.DataFrame(
        {
            "status": ["measured", "measured", "measured", "excluded"],
            "dice": [0.95] * 4,
            "hd95_mm": [1.0] * 4,
            "box_coverage": [1.0] * 4,
            "volume_in_found_root_mm3": [101.0, 199.0, 300.0, None],
            "volume_in_reference_root_mm3": [100.0, 200.0, 300.0, None],
        }
    )
    lines = acceptance(found)
    assert all(line.is_met for line in lines)
    assert lines[0].value == 4 and lines[6].value == pytest.approx(2 / 3)
    found.loc[3, "volume_in_reference_root_mm3"] = 5.0
    assert [line.is_met for line in acceptance(found)] == [False, *[True] * 4, *[False] * 3]


def test_families_and_severe_calcium_have_their_own_lines(tmp_path):
    """F7 in the true root is 12, 100, 200, 300, the last brought to 500: errors −2, 2, −2, −200."""
    cohort, sheet, out = make_run(tmp_path)
    table = pd.read_csv(cohort / "segmentation.csv")
    table.loc[3, "volume_in_reference_root_mm3"] = 500.0
    table.to_csv(cohort / "segmentation.csv", index=False)
    write_evaluation(cohort, sheet, out)
    text = out.read_text()
    section = "Families and severe calcium"
    assert cells(text, section, "template")[1:7] == ["2", "2", "0.960", "0.960", "1.10", "1.0000"]
    assert cells(text, section, "wide")[1:5] == ["2", "2", "0.920", "0.900"]
    assert cells(text, section, "more than 400 mm³")[8:] == ["200.0", "−200.0"]
    assert cells(text, section, "at most 400 mm³")[8:] == ["2.0", "−0.7"]


def test_thresholds_stand_beside_the_papers_table_2(tmp_path):
    """F7 is 520, 600, 680, 760: errors −10, 10, −10, 10 HU."""
    run = make_run(tmp_path)
    write_evaluation(*run)
    text = run[2].read_text()
    r2 = 1 - 400 / sum((hu - 640) ** 2 for hu in READER_HU)
    row = cells(text, "Thresholds against the simulated reader", "F7")
    assert row == [
        "F7",
        "4",
        f"{r2:.2f}",
        "10.00",
        "0.00",
        "0.00",
        "0.89",
        "29.58",
        "25.81",
        "104.40",
    ]
    assert "chose 640 ± 99 HU" in text


def test_volumes_stand_against_reader_and_physical_truth(tmp_path):
    """Against the physical volume the errors are 5, 22, 48, 50: mean 31.25."""
    run = make_run(tmp_path)
    write_evaluation(*run)
    text = run[2].read_text()
    assert cells(text, "Volumes against the simulated reader", "F7")[4] == "1.5"
    physical = cells(text, "Volumes against the physical volume", "F7")
    assert (physical[4], physical[7]) == ("31.2", "31.2")
    reader = cells(text, "Volumes against the physical volume", "simulated reader")
    assert reader[4] == f"{(7 + 20 + 50 + 50) / 4:.1f}"


def test_each_scan_is_listed_and_scans_with_a_defect_are_not(tmp_path):
    run = make_run(tmp_path)
    write_evaluation(*run)
    text = run[2].read_text()
    assert cells(text, "Each scan", "phantom-0002") == (
        "phantom-0002 measured 500 600 590 102.0 100.0 100.0 80.0 1.0000 0.960".split()
    )
    assert "phantom-0005" not in text


def test_the_same_run_gives_the_same_bytes(tmp_path):
    run = make_run(tmp_path)
    write_evaluation(*run)
    first = run[2].read_bytes()
    write_evaluation(*run)
    assert run[2].read_bytes() == first


def test_a_missing_table_or_scan_is_told(tmp_path):
    cohort, sheet, out = make_run(tmp_path)
    scans = pd.read_csv(cohort / "scans.csv")
    scans.iloc[1:].to_csv(cohort / "scans.csv", index=False)
    with pytest.raises(UserError, match="phantom-0001"):
        write_evaluation(cohort, sheet, out)
    (cohort / "scans.csv").unlink()
    with pytest.raises(UserError, match="is missing"):
        write_evaluation(cohort, sheet, out)
