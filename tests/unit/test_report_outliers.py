"""Outliers: by the cohort's median and MAD, and by the limits of agreement."""

import numpy as np
import pandas as pd
import pytest
from calcohort.agreement.agreement import agreement_table
from calcohort.report.outliers import find_outliers, limits_at, modified_z


def cohort(volumes, references=None, luminance=None):
    ids = [f"s{n}" for n in range(len(volumes))]
    scans = pd.DataFrame({"scan_id": ids, "status": "measured", "outside_training": None})
    if references is not None:
        scans["reference_volume_mm3"] = references
    calcium = pd.DataFrame(
        {
            "scan_id": ids,
            "rule": "F7",
            "threshold_hu": 600.0,
            "calcium_volume_mm3": volumes,
            "noise_volume_mm3": 0.0,
            "lesion_count": 1,
            "peak_hu": 1200.0,
            "luminance_hu": 500.0 if luminance is None else luminance,
            "root_volume_mm3": np.linspace(14_000, 16_000, len(volumes)),
        }
    )
    return scans, calcium, agreement_table(calcium, scans)


def test_modified_z_by_hand():
    """Median 5, absolute deviations 4 3 2 1 0 1 2 3 4 95: their median is 2.5."""
    values = pd.Series([1, 2, 3, 4, 5, 6, 7, 8, 9, 100.0])
    scores = modified_z(values)
    median, mad = 5.5, 2.5
    assert scores.iloc[-1] == pytest.approx(0.67449 * (100 - median) / mad, rel=1e-4)
    assert scores.iloc[0] == pytest.approx(0.67449 * (1 - median) / mad, rel=1e-4)


@pytest.mark.parametrize("values", [[1.0, 2, 3, 4, 5, 6, 7, 8, 900], [3.0] * 11 + [9.0]])
def test_few_scans_or_equal_values_have_no_score(values):
    assert modified_z(pd.Series(values)).isna().all()


def test_the_scan_that_stands_out_is_found_with_its_numbers():
    scans, calcium, agreement = cohort(
        [100.0, 110, 95, 105, 120, 90, 100, 115, 108, 98, 9000], luminance=[500.0] * 10 + [501]
    )
    (outlier,) = find_outliers(scans, calcium, agreement, "F7")
    assert (outlier.scan_id, outlier.kind) == ("s10", "calcium")
    assert outlier.why.startswith("9000.0 mm³, score ") and "median 105.0 mm³" in outlier.why


def test_the_scan_beyond_the_limits_of_agreement_is_found():
    rng = np.random.default_rng(0)
    volumes = rng.uniform(90, 110, 40)
    references = volumes - rng.normal(0, 1, 40)
    references[7] -= 12
    scans, calcium, agreement = cohort(volumes, references)
    found = [o for o in find_outliers(scans, calcium, agreement, "F7") if o.kind == "reader"]
    assert "s7" in [o.scan_id for o in found]
    error = volumes - references
    row = agreement[(agreement["quantity"] == "calcium_volume_mm3") & (agreement["rule"] == "F7")]
    low, high = row["loa_low"].item(), row["loa_high"].item()
    if row["limits_form"].item() == "constant":
        assert {o.scan_id for o in found} == {
            f"s{n}" for n in np.flatnonzero((error < low) | (error > high))
        }


def test_limits_follow_the_size_where_constant_ones_are_wrong():
    row = {"limits_form": "by size", "loa_low": -1.0, "loa_high": 1.0}
    row |= {"bias_at_zero": 2.0, "bias_by_size": 0.1, "sd_at_zero": -1.0, "sd_by_size": 0.05}
    assert limits_at(row, 100) == pytest.approx((12 - 1.96 * 4, 12 + 1.96 * 4))
    assert limits_at(row, 10) == (3.0, 3.0)
    assert limits_at(row | {"limits_form": "constant"}, 100) == (-1.0, 1.0)


def test_scans_whose_noise_may_count_as_calcium_are_found():
    scans, calcium, agreement = cohort([100.0, 100, 3, 0.5])
    calcium["noise_volume_mm3"] = [10.0, 9.9, 1.5, 0.9]
    found = find_outliers(scans, calcium, agreement, "F7")
    assert [(o.scan_id, o.kind) for o in found] == [("s0", "noise"), ("s2", "noise")]
    assert found[0].why == "noise alone would give 10.0 mm³ at 600 HU; 100.0 mm³ were measured"


def test_calcium_as_bright_as_metal_is_found():
    scans, calcium, agreement = cohort([100.0, 100, 0])
    calcium["peak_hu"] = [1799.0, 1800.0, None]
    (outlier,) = find_outliers(scans, calcium, agreement, "F7")
    assert (outlier.scan_id, outlier.kind) == ("s1", "metal")
    assert outlier.why == "the brightest voxel has 1800 HU"


def test_scans_outside_of_the_training_are_found_measured_or_not():
    scans, calcium, agreement = cohort([100.0, 110, 95])
    scans["outside_training"] = ["no", "luminance_hu above 600", None]
    scans["luminance_hu"] = [500.0, 650.0, 700.0]
    ended = {"scan_id": "lost", "status": "excluded", "slice_spacing_mm": 2.5}
    ended["outside_training"] = "slice_spacing_mm above 1"
    scans = pd.concat([scans, pd.DataFrame([ended])], ignore_index=True)
    found = find_outliers(scans, calcium, agreement, "F7")
    assert [(o.scan_id, o.kind, o.why) for o in found] == [
        ("s1", "training", "contrast (Lm) 650.0 HU, above 600 HU"),
        ("lost", "training", "slice spacing 2.500 mm, above 1 mm"),
    ]
