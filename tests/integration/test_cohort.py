"""A cohort from files to tables, as a user runs it: every scan and every number known."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from calcohort.study import read_config, read_settings, settings_hash
from cohort_of_boxes import deposit_mm3, make_study
from running import run, start, tables_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    config = make_study(folder)
    code, output = run(config)
    assert code == 0, output
    return config, folder / "results", output


def test_every_scan_ends_with_its_outcome(finished):
    scans = pd.read_csv(finished[1] / "cohort/scans.csv", index_col="scan_id")
    expected = {
        "large": "",
        "small": "",
        "clean": "",
        "native": "no_contrast",
        "bright": "luminance_too_high",
        "metal": "metal_in_root",
        "noisy": "too_noisy",
        "truncated": "unreadable",
        "absent": "no_files",
        "moved": "mask_on_other_grid",
        "empty": "mask_empty",
        "no-mask-file": "no_files",
    }
    assert list(scans.index) == list(expected)
    assert scans["reason"].fillna("").to_dict() == expected
    assert (scans["status"] == "measured").sum() == 3
    assert scans.loc["native", "stage"] == "measure"


def test_volumes_are_right_to_the_voxel(finished):
    calcium = pd.read_csv(finished[1] / "cohort/calcium.csv")
    assert len(calcium) == 3 * 7
    f7 = calcium[calcium["rule"] == "F7"].set_index("scan_id")
    assert f7["luminance_hu"].to_dict() == {"large": 500, "small": 600, "clean": 550}
    assert f7["threshold_hu"].to_dict() == pytest.approx({"large": 600, "small": 680, "clean": 640})
    assert f7.loc["large", "calcium_volume_mm3"] == deposit_mm3("large")
    assert f7.loc["small", "calcium_volume_mm3"] == deposit_mm3("small")
    assert f7.loc["clean", "calcium_volume_mm3"] == 0
    assert f7.loc["large", "lesion_count"] == 1


def test_scores_are_those_of_the_deposit(finished):
    """10 slices of 12 × 6 pixels of 0.25 mm² at 1200 HU, 0.625 mm apart: weight 4, one lesion."""
    scores = pd.read_csv(finished[1] / "cohort/scores.csv")
    large = scores[scores["scan_id"] == "large"].set_index("definition")
    assert large.loc["agatston", "value"] == pytest.approx(10 * 18 * 4 * 0.625 / 3)
    assert large.loc["agatston_unscaled", "value"] == pytest.approx(10 * 18 * 4)
    assert large.loc["volume", "value"] == deposit_mm3("large")
    assert large.loc["lesions_2d", "value"] == 10
    assert pd.isna(large.loc["mass", "value"]), "there is no calibration"
    assert large["contrast"].all()
    assert set(scores["scan_id"]) == {"large", "small", "clean"}
    assert (
        "not comparable with published scores" in (finished[1] / "cohort/report.html").read_text()
    )


def test_what_goes_into_a_paper_is_written_and_says_how_to_run_again(finished):
    code, output = run(finished[0], "paper")
    assert code == 0, output
    folder = finished[1] / "cohort/paper"
    assert "Of 12 scans, 3 were measured" in (folder / "methods.txt").read_text()
    check = ["sha256sum", "-c", "paper/tables.sha256"]
    checked = subprocess.run(check, cwd=folder.parent, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count(": OK") == 10
    again = read_config(folder / "rerun.yaml")
    hashes = pd.read_csv(finished[1] / "cohort/calcium.csv")["config_hash"].unique()
    assert settings_hash(read_settings(again)) == hashes[0]


def test_agreement_is_that_of_the_measured_pairs(finished):
    table = pd.read_csv(finished[1] / "cohort/agreement.csv")
    row = table[(table["quantity"] == "threshold_hu") & (table["rule"] == "F7")].iloc[0]
    assert (row["scans_with_reference"], row["n"]) == (3, 3)
    assert row["bias"] == pytest.approx((0 - 10 - 10) / 3)
    assert row["mae"] == pytest.approx(20 / 3)


def test_a_given_mask_equals_its_reference(finished):
    table = pd.read_csv(finished[1] / "cohort/segmentation.csv", index_col="scan_id")
    assert table["status"].to_dict() == {
        "large": "compared",
        "small": "compared",
        "native": "compared",
    }
    assert (table["dice"] == 1).all()
    assert table.loc["large", "volume_in_reference_root_mm3"] == deposit_mm3("large")
    assert pd.isna(table.loc["native", "volume_in_found_root_mm3"])


def test_excluded_scans_leave_no_image_that_could_be_measured(finished):
    assert (finished[1] / "scans/truncated/ct.nii.gz").stat().st_size == 0
    assert (finished[1] / "scans/native/calcium_mask.nii.gz").stat().st_size == 0
    assert (finished[1] / "scans/native/qc.png").stat().st_size > 10_000


def test_the_report_shows_every_scan_and_stands_alone(finished):
    page = (finished[1] / "cohort/report.html").read_text()
    scans = pd.read_csv(finished[1] / "cohort/scans.csv")
    assert all(scan_id in page for scan_id in scans["scan_id"])
    assert 'src="http' not in page
    assert 'href="http' not in page.replace('href="https://doi.org', "")


def test_progress_tells_steps_and_time_left(finished):
    assert "Convert batch-00001" in finished[2]
    assert "large: 1 of 12" in finished[2] or "small: 1 of 12" in finished[2]
    assert "left" in finished[2]
    assert "Logging error" not in finished[2]


def test_a_second_run_has_nothing_to_do(finished):
    code, output = run(finished[0])
    assert code == 0
    assert "Nothing to be done" in output


def test_a_changed_rule_measures_again_and_places_no_root_again(finished, tmp_path):
    changed = tmp_path / "config.yaml"
    changed.write_text(
        yaml.safe_dump(yaml.safe_load(finished[0].read_text()) | {"measure": {"k": 0.3}})
    )
    code, output = run(changed, "-n")
    assert code == 0, output
    assert "measure_calcium" in output
    assert "place_root" not in output
    assert "convert_batch" not in output


def test_a_review_asks_for_the_cohorts_steps_only(finished, tmp_path):
    reviews = tmp_path / "reviews.csv"
    reviews.write_text(
        "scan_id,verdict,comment,reviewer,time_utc\nlarge,rejected,cut,AB,2026-01-31T14:05:09Z\n"
    )
    reviewed = tmp_path / "config.yaml"
    config = yaml.safe_load(finished[0].read_text()) | {"reviews": str(reviews)}
    reviewed.write_text(yaml.safe_dump(config))
    code, output = run(reviewed, "-n")
    assert code == 0, output
    assert "aggregate_cohort" in output and "write_gallery" in output
    assert not {"convert_batch", "measure_calcium", "draw_picture"} & set(output.split())


def test_every_scan_has_a_page_and_the_gallery_what_it_needs(finished):
    scans = pd.read_csv(finished[1] / "cohort/scans.csv")
    for scan in scans.to_dict("records"):
        page = (finished[1] / "scans" / scan["scan_id"] / "scan.html").read_text()
        assert ('id="viewer"' in page) is (scan["status"] == "measured")
    gallery = (finished[1] / "cohort/gallery.html").read_text()
    assert all(f'"id": "{scan_id}"' in gallery for scan_id in scans["scan_id"])
    for script in re.findall(r'(?:src|href)="(assets/[^"]+)"', gallery):
        assert (finished[1] / "cohort" / script).stat().st_size > 500


def test_a_new_scan_leaves_the_others_alone(finished, tmp_path):
    config = yaml.safe_load(finished[0].read_text())
    sheet = Path(config["sheet"])
    longer = sheet.parent / "longer.tsv"
    longer.write_text(sheet.read_text() + "more\tclean.nii.gz\troot.nii.gz\t\t\t\n")
    new = tmp_path / "config.yaml"
    new.write_text(yaml.safe_dump(config | {"sheet": str(longer)}))
    code, output = run(new, "-n")
    assert code == 0, output
    counts = {
        line.split()[0]: line.split()[1]
        for line in output.splitlines()
        if len(line.split()) == 2 and line.split()[1].isdigit()
    }
    assert counts["convert_batch"] == counts["measure_calcium"] == "1"
    assert set(re.findall(r"^Job \d+: .*(batch-\d+)$", output, re.MULTILINE)) == {"batch-00002"}


@pytest.mark.slow
def test_a_deleted_scan_is_done_again_and_the_tables_stay(finished):
    config, results, _ = finished
    before, seal = tables_of(results), results / "batches/batch-00001/convert.json"
    records = seal.read_bytes()
    shutil.rmtree(results / "scans/small")
    code, output = run(config)
    assert code == 0, output
    assert (results / "scans/small/qc.png").stat().st_size > 10_000
    assert tables_of(results) == before
    assert seal.read_bytes() == records


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [6, 14])
def test_killed_and_started_again_ends_with_the_same_tables(finished, tmp_path, after_s):
    config = make_study(tmp_path)
    process = start(config)
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    code, output = run(config)
    assert code == 0, output
    assert tables_of(tmp_path / "results") == tables_of(finished[1])


@pytest.mark.slow
def test_a_second_run_at_the_same_time_is_refused_in_one_sentence(tmp_path):
    config = make_study(tmp_path)
    first = start(config)
    while not (tmp_path / "results/.lock").exists():
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.1)
    code, output = run(config)
    assert code != 0
    assert "another run is at work" in output
    assert "Traceback" not in output
    output, _ = first.communicate()
    assert first.returncode == 0, output
