"""Full-size DICOM phantoms through both networks, from the folder to the report."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from calcohort.phantom.cohort import make_cohort
from running import run

pytestmark = pytest.mark.slow
UNSEEN_SEED = 501


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    sheet = make_cohort(
        folder / "phantoms",
        measurable=1,
        no_contrast=1,
        truncated=1,
        not_ct=1,
        first_seed=UNSEEN_SEED,
        jobs=2,
    )
    config = folder / "config.yaml"
    study = {"sheet": str(sheet), "results": str(folder / "results")}
    config.write_text(
        yaml.safe_dump(study | {"private": str(folder / "private"), "phantoms_only": True})
    )
    code, output = run(config)
    assert code == 0, output
    return folder / "results"


def test_the_measurable_one_is_measured_and_the_others_say_why_not(results):
    scans = pd.read_csv(results / "cohort/scans.csv", dtype=str).fillna("")
    assert list(scans["status"]) == ["measured", "excluded", "excluded", "excluded"]
    assert scans["reason"][1] in ("no_contrast", "root_not_found", "root_implausible")
    assert list(scans["reason"][2:]) == ["unreadable", "not_ct"]


def test_the_networks_find_the_root(results):
    found = pd.read_csv(results / "cohort/segmentation.csv").iloc[0]
    assert found["box_coverage"] >= 0.995
    assert found["dice"] >= 0.85


def test_calcium_in_the_found_root_is_that_of_the_true_root(results):
    found = pd.read_csv(results / "cohort/segmentation.csv").iloc[0]
    difference = found["volume_in_found_root_mm3"] - found["volume_in_reference_root_mm3"]
    assert abs(difference) <= max(20, 0.1 * found["volume_in_reference_root_mm3"])


def test_every_volume_lies_in_its_interval_and_the_root_has_a_probability(results):
    calcium = pd.read_csv(results / "cohort/calcium.csv")
    assert len(calcium) == 7
    assert (calcium["volume_low_mm3"] <= calcium["calcium_volume_mm3"]).all()
    assert (calcium["calcium_volume_mm3"] < calcium["volume_high_mm3"]).all()
    assert 0.8 < pd.read_csv(results / "cohort/scans.csv")["root_expected_dice"][0] <= 1
    scan = results / "scans/phantom-0001"
    sure, root = (nib.load(scan / f"root_{name}.nii.gz") for name in ("probability", "mask"))
    np.testing.assert_array_equal(sure.affine, root.affine)
    inside = np.asarray(root.dataobj) > 0
    assert (
        np.median(np.asarray(sure.dataobj)[inside]) > 200 > np.asarray(sure.dataobj)[~inside].mean()
    )


def test_masks_lie_on_the_scans_own_grid(results):
    scan = results / "scans/phantom-0001"
    ct, root, calcium = (
        nib.load(scan / name) for name in ("ct.nii.gz", "root_mask.nii.gz", "calcium_mask.nii.gz")
    )
    assert ct.shape == root.shape == calcium.shape == (512, 512, 256)
    np.testing.assert_array_equal(root.affine, ct.affine)
    np.testing.assert_array_equal(calcium.affine, ct.affine)
    assert not (np.asarray(calcium.dataobj) & ~np.asarray(root.dataobj).astype(bool)).any()


def test_records_hold_no_identifier_of_the_dicom(results):
    record = json.loads((results / "scans/phantom-0001/series.json").read_text())
    assert record["kv"] == 120
    text = json.dumps(record)
    assert "1.2." not in text
    assert "PHANTOM-0001" not in text
