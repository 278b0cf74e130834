"""Scores of drawn lesions against hand-computed values, by each published definition."""

import numpy as np
import pytest
from calcohort.measure import agatston
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.measure.passport import DEFINITIONS, Scored, passport, threshold_hu
from calcohort.measure.scores import Scoring, interpolated_volume_mm3, mass_mg
from calcohort.volume import Volume


def ct_of(hu, spacing_kji=(3.0, 0.5, 0.5)):
    return Volume(np.asarray(hu, np.int16), np.diag([*spacing_kji[::-1], 1.0]))


def by_name(hu, spacing_kji=(3.0, 0.5, 0.5), threshold=130.0, scoring=None, **given):
    ct = ct_of(hu, spacing_kji)
    region = np.ones(ct.array.shape, bool)
    rows = passport(Scored(ct, region, threshold, **given), scoring or Scoring(contrast=False))
    assert [row["definition"] for row in rows] == list(DEFINITIONS)
    return {row["definition"]: row for row in rows}


def blocks():
    """Three slices of 0.25 mm² pixels: lesions of 8, 4, 3, and 2 + 3 pixels that share a corner."""
    hu = np.zeros((3, 12, 12), int)
    hu[0, 1:3, 1:5] = 150  # 2 mm², weight 1
    hu[0, 1, 1] = 399  # weight 3
    hu[1, 1:3, 1:3] = 200  # 1 mm², weight 2; below the first lesion
    hu[1, 8, 1:4] = 900  # 0.75 mm², too small
    hu[2, 5, 5:7] = 450  # 0.5 mm² and 0.75 mm², joined at a corner: 1.25 mm², weight 4
    hu[2, 6, 7:10] = 300
    return hu


@pytest.mark.parametrize(
    ("peak", "weight"),
    [(129, 0), (130, 1), (199, 1), (200, 2), (299, 2), (300, 3), (399, 3), (400, 4), (2000, 4)],
)
def test_weights_begin_at_the_hundreds(peak, weight):
    assert agatston.weights(np.array([peak]))[0] == weight


def test_agatston_and_its_variants_by_hand():
    found = by_name(blocks())
    value = {name: row["value"] for name, row in found.items()}
    assert value["agatston"] == pytest.approx(2 * 3 + 1 * 2 + 1.25 * 4)
    assert value["agatston_4_neighbours"] == pytest.approx(2 * 3 + 1 * 2), "parts below 1 mm²"
    assert value["agatston_3d_peak"] == pytest.approx(2 * 3 + 1 * 3 + 1.25 * 4)
    assert value["agatston_any_area"] == pytest.approx(13 + 0.75 * 4)
    assert value["agatston_over_3_pixels"] == pytest.approx(13)
    assert value["agatston_unscaled"] == pytest.approx(13)
    assert (value["lesions_2d"], value["lesions_3d"]) == (3, 3)
    assert value["volume"] == pytest.approx((8 + 4 + 3 + 5) * 0.75)
    assert value["weighted_volume"] == pytest.approx((12 * 3 + 3 * 4 + 5 * 4) * 0.75)


def test_differences_are_told_in_numbers_and_words():
    row = by_name(blocks())["agatston_4_neighbours"]
    assert row["against"] == "agatston"
    assert row["difference"] == pytest.approx(-5)
    assert row["difference_percent"] == pytest.approx(-100 * 5 / 13)
    assert row["explanation"] == "2 lesions instead of 3, 3 instead of 1 below 1 mm² left out"
    base = by_name(blocks())["agatston"]
    assert base["explanation"].startswith("3 lesions, of weight 1/2/3/4: 0/1/1/1; 1 below 1 mm²")


@pytest.mark.parametrize(("slice_mm", "thickness"), [(1.5, 3.0), (0.6, 0.9), (3.0, 3.0)])
def test_overlapping_slices_count_by_their_distance_not_their_thickness(slice_mm, thickness):
    found = by_name(blocks(), (slice_mm, 0.5, 0.5), slice_thickness_mm=thickness)
    assert found["agatston"]["value"] == pytest.approx(13 * slice_mm / 3)
    assert found["agatston_by_thickness"]["value"] == pytest.approx(13 * thickness / 3)
    assert found["agatston_unscaled"]["value"] == pytest.approx(13)


def test_without_a_known_thickness_there_is_no_value_and_a_reason():
    row = by_name(blocks())["agatston_by_thickness"]
    assert row["value"] is None and row["difference"] is None
    assert row["explanation"] == "the slice thickness is not known"


def test_slices_are_averaged_to_3_mm_from_the_lowest_on():
    """Of 1 mm slices 0 to 5 the first three make one: a lesion in one of them is thinned to 1/3."""
    hu = np.zeros((6, 8, 8), int)
    hu[1, 2:6, 2:6] = 900  # 300 HU in the first thick slice, weight 3
    hu[3:6, 2:4, 2:4] = 150
    row = by_name(hu, (1.0, 0.5, 0.5))["agatston_3mm"]
    assert row["value"] == pytest.approx(4 * 3 + 1 * 1)
    assert "peak 300 HU" in row["explanation"]
    assert by_name(blocks())["agatston_3mm"]["value"] == pytest.approx(13), "slices of 3 mm stay"
    assert by_name(blocks(), (4.0, 0.5, 0.5))["agatston_3mm"]["value"] is None


@pytest.mark.parametrize(("inside", "value"), [(1, 0), (2, 4 * 4)])
def test_a_standard_slice_is_in_the_region_where_half_of_it_is(inside, value):
    hu = np.full((3, 4, 4), 500)
    ct, region = ct_of(hu, (1.0, 0.5, 0.5)), np.zeros(hu.shape, bool)
    region[:inside] = True
    rows = passport(Scored(ct, region, 130.0), Scoring(contrast=False))
    found = {row["definition"]: row["value"] for row in rows}
    assert found["agatston_3mm"] == pytest.approx(value)


def test_thick_slices_share_thin_ones_by_length():
    values = np.arange(1.0, 6)[:, None, None]
    found = agatston.average_slices(values, 2.0, 3.0).ravel()
    assert found == pytest.approx([(2 * 1 + 1 * 2) / 3, (1 * 2 + 2 * 3) / 3, (8 + 5) / 3, 5])


def test_mass_is_calibrated_or_missing_with_its_reason():
    hu = np.full((1, 2, 2), 500)
    assert mass_mg(hu, 2.0, 0.8) == pytest.approx(2000 * 2 * 0.8 / 1000)
    assert mass_mg(hu, 2.0, None) is None
    row = by_name(blocks())["mass"]
    assert row["value"] is None and "no calibration factor" in row["explanation"]
    row = by_name(blocks(), scoring=Scoring(False, 0.75))["mass"]
    total = 7 * 150 + 399 + 4 * 200 + 3 * 900 + 2 * 450 + 3 * 300
    assert row["value"] == pytest.approx(total * 0.75 * 0.75 / 1000)


def test_interpolation_finds_the_edge_between_slices():
    """HU rise by 200 from slice to slice, 2.5 mm apart; 450 HU lie 5.625 mm above the first centre.

    In cubes of 0.5 mm, whose centres begin 1 mm below that centre, 31 of 45 layers reach it: 15.5
    mm; whole slices are 15 mm, the truth is 15.625 mm.
    """
    ct = ct_of(np.broadcast_to(200 * np.arange(9)[:, None, None], (9, 4, 6)), (2.5, 0.5, 0.5))
    found = interpolated_volume_mm3(ct, np.ones(ct.array.shape, bool), 450.0)
    assert found == pytest.approx((15.5 * 2 * 3, 0.5))
    cubes = ct_of(np.full((9, 1, 2), 700), (0.5, 0.5, 0.5))
    whole, _ = interpolated_volume_mm3(cubes, np.ones(cubes.array.shape, bool), 500.0)
    assert whole == pytest.approx(18 * 0.125), "cubes are left as they are"


def test_no_calcium_is_a_measured_zero_of_every_definition():
    found = by_name(np.zeros((3, 5, 5)), slice_thickness_mm=3.0, scoring=Scoring(False, 1.0))
    assert {row["value"] for row in found.values()} == {0}
    assert {row["difference_percent"] for row in found.values()} == {None}


def test_a_region_bounds_every_definition():
    ct = ct_of(blocks())
    region = np.zeros(ct.array.shape, bool)
    region[2] = True
    found = {
        row["definition"]: row["value"]
        for row in passport(Scored(ct, region, 130.0), Scoring(contrast=False))
    }
    assert found["agatston"] == found["agatston_3mm"] == pytest.approx(5)
    assert found["volume"] == pytest.approx(5 * 0.75)


def test_contrast_takes_the_main_rules_threshold_and_says_so():
    measured = {"mask_rule": "F7", "rules": [{"rule": "F7", "threshold_hu": 664.0}]}
    assert threshold_hu(measured, Scoring()) == 664.0
    assert threshold_hu(measured, Scoring(contrast=False)) == 130.0
    assert all(row["contrast"] for row in by_name(blocks(), scoring=Scoring()).values())


def test_every_rule_has_its_score_where_asked():
    """A root of 600 HU with 2 × 4 × 4 voxels of 1200 HU, spacing 0.625 × 0.5 × 0.5 mm."""
    hu = np.full((48, 50, 50), 600, np.int16)
    hu[2:4, 5:9, 5:9] = 1200
    ct, root = ct_of(hu, (0.625, 0.5, 0.5)), np.ones(hu.shape, bool)
    plain, _ = measure_calcium(ct, root, settings=MeasureSettings())
    asked, _ = measure_calcium(ct, root, settings=MeasureSettings(), scoring=Scoring(True, 0.5))
    assert "agatston_au" not in plain["rules"][0]
    f7 = asked["rules"][6]
    assert f7["agatston_au"] == pytest.approx(2 * 4 * 4 * 0.625 / 3)
    assert f7["mass_mg"] == pytest.approx(32 * 1200 * 0.15625 * 0.5 / 1000)
