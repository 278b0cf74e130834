"""A cohort through the networks: scans outside of their training are flagged on every page."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from calcohort import volume
from calcohort.applicability import find_ranges, write_ranges
from calcohort.report.outliers import KINDS
from cohort_of_boxes import AFFINE, write_mask, write_scan
from running import run

pytestmark = pytest.mark.slow
WHY = "slice spacing 1.250 mm, above 1 mm; length along the slices 80.0 mm, above 50 mm"
TRAINED = {
    "slice_spacing_mm": (0.5, 1.0),
    "pixel_spacing_mm": (0.4, 0.6),
    "field_of_view_mm": (30.0, 50.0),
    "coverage_mm": (30.0, 50.0),
    "luminance_hu": (300.0, 800.0),
    "luminance_sd_hu": (0.0, 40.0),
}


def trained(**changes):
    """Ranges of two scans at their ends."""
    ends = zip(*(TRAINED | changes).values(), strict=True)
    return find_ranges(dict(zip(TRAINED, values, strict=True)) for values in ends)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Scans of 64 slices: `thin` 40 mm and `thick` 80 mm long, and `given`, which has its root."""
    folder = tmp_path_factory.mktemp("study")
    write_scan(folder / "thin.nii.gz", 550, None)
    thick = volume.read(folder / "thin.nii.gz")
    affine = thick.affine @ np.diag([1, 1, 2, 1])
    volume.write(folder / "thick.nii.gz", volume.Volume(thick.array, affine))
    write_mask(folder / "root.nii.gz", affine)
    rows = [("thin", "thin", ""), ("thick", "thick", ""), ("given", "thick", "root.nii.gz")]
    lines = [f"{scan_id}\t{name}.nii.gz\t{mask}" for scan_id, name, mask in rows]
    (folder / "scans.tsv").write_text("\n".join(["scan_id\tdicom\troot_mask", *lines]) + "\n")
    write_ranges(folder / "ranges.yaml", "2 scans", trained())
    config = {
        "sheet": str(folder / "scans.tsv"),
        "results": str(folder / "results"),
        "pseudonym_key_file": str(folder / "key"),
        "private": str(folder / "private"),
        "convert": {"min_coverage_mm": 30},
        "trained_on": dict.fromkeys(("localise", "segment"), str(folder / "ranges.yaml")),
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    code, output = run(folder / "study.yaml")
    assert code == 0, output
    return folder


def test_the_scan_outside_is_flagged_with_the_ranges_that_it_left(study):
    scans = pd.read_csv(study / "results/cohort/scans.csv", index_col="scan_id")
    assert scans["outside_training"].fillna("").to_dict() == {
        "thin": "no",
        "thick": "slice_spacing_mm above 1, coverage_mm above 50",
        "given": "",
    }
    assert scans["coverage_mm"].to_dict() == {"thin": 40, "thick": 80, "given": 80}
    assert (scans["field_of_view_mm"] == 80 * AFFINE[0, 0]).all()
    assert scans.loc["given", "status"] == "measured"


def test_report_gallery_and_page_tell_it(study):
    results = study / "results"
    report = (results / "cohort/report.html").read_text()
    assert "1 of 2 scans that the networks saw are outside the ranges" in report
    assert WHY in report
    gallery = (results / "cohort/gallery.html").read_text()
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', gallery, re.DOTALL)
    flags = {scan["id"]: scan["flags"] for scan in json.loads(data)["scans"]}
    assert flags["thick"] == [{"kind": "training", "why": f"{KINDS['training']}: {WHY}"}]
    assert not flags["thin"] and not flags["given"]
    pages = {name: (results / "scans" / name / "scan.html").read_text() for name in flags}
    assert WHY in pages["thick"]
    assert "were trained on" not in pages["thin"] + pages["given"]


def test_other_ranges_flag_again_and_no_network_looks_again(study, tmp_path):
    write_ranges(tmp_path / "ranges.yaml", "2 scans", trained(coverage_mm=(30.0, 90.0)))
    config = yaml.safe_load((study / "study.yaml").read_text())
    config["trained_on"] = dict.fromkeys(("localise", "segment"), str(tmp_path / "ranges.yaml"))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    code, output = run(tmp_path / "study.yaml", "-n")
    assert code == 0, output
    assert {"aggregate_cohort", "draw_picture", "write_report"} <= set(output.split())
    assert not {"localise_batch", "segment_batch", "measure_calcium"} & set(output.split())


def test_ranges_that_do_not_exist_are_one_sentence(study, tmp_path):
    config = yaml.safe_load((study / "study.yaml").read_text())
    config["trained_on"]["localise"] = "nowhere.yaml"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    code, output = run(tmp_path / "study.yaml", "-n")
    assert code == 1
    assert "trained_on: nowhere.yaml does not exist; name the ranges" in output
    assert "Traceback" not in output
