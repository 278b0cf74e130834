"""The luminance cube: where it goes, and when there is no place for it."""

import numpy as np
import pytest
from calcohort.measure.luminance import (
    PAPER_CUBE_MM,
    bright_hu,
    cube_shape,
    cube_start,
    measure_luminance,
    root_axis,
)
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Grid, Volume

UNIT = np.eye(4)


def column(shape=(40, 30, 30), lean=0.0, blood_hu=500):
    """A round root of radius 12 about j = i = 14.5, slices 5 to 34, leaning `lean` j per slice."""
    k, j, i = np.indices(shape)
    root = (k >= 5) & (k < 35) & (np.hypot(j - 14.5 - lean * (k - 19.5), i - 14.5) < 12)
    return np.where(root, blood_hu, 40).astype(np.int16), root


def luminance(ct, root, affine=UNIT, side=10, **options):
    return measure_luminance(Volume(ct, affine), root, cube_sides_mm=(side,) * 3, **options)


def test_the_cube_rises_to_the_top_of_the_root():
    found = luminance(*column(), min_cube_in_root=1.0)
    assert found["cube_start_kji"] == [25, 10, 10]
    assert found["cube_shift_mm"] == 10.0
    assert found["cube_in_root_fraction"] == 1.0


def test_up_is_superior_also_when_the_slices_run_to_the_feet():
    ct, root = column()
    downward = np.diag([1.0, 1.0, -1.0, 1.0])
    found = luminance(ct, root, downward, min_cube_in_root=1.0)
    assert found["cube_start_kji"] == [5, 10, 10]
    assert found["cube_shift_mm"] == 10.0


def test_the_share_outside_the_root_is_bounded_and_not_averaged():
    found = luminance(*column(), min_cube_in_root=0.9)
    assert found["cube_start_kji"] == [26, 10, 10]
    assert found["cube_in_root_fraction"] == 0.9
    assert found["luminance_hu"] == 500.0


def test_the_cube_follows_a_leaning_root():
    ct, root = column(shape=(40, 44, 30), lean=0.3)
    found = luminance(ct, root, min_cube_in_root=1.0)
    k, j, _ = found["cube_start_kji"]
    assert k == 25
    assert j + 4.5 == pytest.approx(14.5 + 0.3 * (29.5 - 19.5), abs=1)


def test_luminance_is_the_mean_and_sd_of_the_cube():
    ct, root = column()
    ct[:, :, ::2][root[:, :, ::2]] = 510
    found = luminance(ct, root)
    assert found["luminance_hu"] == 505.0
    assert found["luminance_sd_hu"] == pytest.approx(5 * np.sqrt(1000 / 999), rel=0.01)


@pytest.mark.parametrize("deposit_hu", [1400, 700], ids=["above 1000 HU", "outlier"])
def test_calcium_in_the_cube_moves_it_below(deposit_hu):
    ct, root = column()
    ct[31:35, 13:16, 13:16] = deposit_hu
    found = luminance(ct, root, min_cube_in_root=1.0)
    assert found["cube_start_kji"] == [21, 10, 10]
    assert found["luminance_hu"] == 500.0


def test_a_cube_with_a_few_bright_voxels_counts_as_clean():
    ct, root = column()
    ct[34, 14, 10:15] = 1200
    assert luminance(ct, root, min_cube_in_root=1.0)["cube_start_kji"][0] == 25
    ct[34, 14, 15] = 1200
    assert luminance(ct, root, min_cube_in_root=1.0)["cube_start_kji"][0] == 24


def test_without_a_clean_place_the_one_with_least_calcium_is_taken_and_calcium_left_out():
    ct, root = column()
    ct[:, 14:16, 14:16] = 1300  # 4 of the cube's 100 voxels a slice
    ct[22, 14:16, 14:16] = 500
    found = luminance(ct, root, min_cube_in_root=1.0)
    assert found["cube_start_kji"] == [22, 10, 10]
    assert found["cube_bright_fraction"] == pytest.approx(0.036)
    assert found["luminance_hu"] == 500.0
    assert found["luminance_sd_hu"] == 0.0


def test_calcium_all_over_is_no_luminance():
    ct, root = column()
    ct[:, 14:16, 14:17] = 1300
    with pytest.raises(Excluded, match=r"at least 6\.0% of its voxels are bright") as problem:
        luminance(ct, root, min_cube_in_root=1.0)
    assert problem.value.reason == Reason.LUMINANCE_UNMEASURABLE
    found = luminance(ct, root, min_cube_in_root=1.0, max_bright_fraction=0.06)
    assert found["cube_bright_fraction"] == pytest.approx(0.06)


def test_a_root_too_small_for_the_cube_is_no_luminance():
    ct, root = column()
    with pytest.raises(Excluded, match="fits nowhere") as problem:
        luminance(ct, root, side=20)
    assert problem.value.reason == Reason.LUMINANCE_UNMEASURABLE


def test_a_cube_that_leaves_the_scan_is_not_admissible():
    ct, root = column()
    ct, root = ct[:, :, 10:], root[:, :, 10:]
    with pytest.raises(Excluded, match="fits nowhere"):
        luminance(ct, root, side=20, min_cube_in_root=0.1)
    tiny = np.full((6, 6, 6), 500)
    with pytest.raises(Excluded, match="fits nowhere"):
        luminance(tiny, np.ones((6, 6, 6), bool), side=10, min_cube_in_root=0.1)


def test_bright_contrast_is_not_taken_for_calcium():
    ct, root = column(blood_hu=960)
    ct = ct + np.random.default_rng(0).normal(0, 30, ct.shape)
    assert luminance(ct, root)["luminance_hu"] == pytest.approx(960, abs=3)


def test_bright_is_1000_hu_between_three_and_five_sd():
    noise = np.array([-1.0, 0.0, 1.0])  # median absolute deviation 1
    assert bright_hu(500 + 40 * noise) == pytest.approx(500 + 5 * 1.4826 * 40)
    assert bright_hu(800 + 40 * noise) == 1000
    assert bright_hu(980 + 40 * noise) == pytest.approx(980 + 3 * 1.4826 * 40)
    assert bright_hu(np.full(5, 500)) == 505


def test_an_even_cube_lies_about_its_centre_and_ties_go_towards_the_head():
    assert cube_start(np.array([9.5, 9.5, 9.5]), 20, UNIT).tolist() == [0, 0, 0]
    assert cube_start(np.array([9.9, 9.1, 10.6]), 20, UNIT).tolist() == [0, 0, 1]
    assert cube_start(np.array([10.0, 10.0, 10.0]), 20, UNIT).tolist() == [1, 1, 1]
    flipped = np.diag([1.0, 1.0, -1.0, 1.0])
    assert cube_start(np.array([10.0, 10.0, 10.0]), 20, flipped).tolist() == [0, 1, 1]
    assert cube_start(np.array([10.0, 10.0, 10.0]), 5, UNIT).tolist() == [8, 8, 8]


@pytest.mark.parametrize(
    ("spacing_kji", "voxels"),
    [((0.625, 0.488, 0.488), 20 * 20 * 20), ((1.0, 1.0, 1.0), 12 * 10 * 10)],
    ids=["the paper's scans", "1 mm"],
)
def test_the_cube_has_the_size_of_the_papers_whatever_the_voxels(spacing_kji, voxels):
    shape = cube_shape(PAPER_CUBE_MM, Grid((256, 512, 512), np.diag([*spacing_kji[::-1], 1])))
    assert shape.prod() == voxels
    assert shape * spacing_kji == pytest.approx(PAPER_CUBE_MM, abs=0.5)


def test_the_cubes_sides_follow_the_body_and_not_the_order_of_the_axes():
    sagittal = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
    assert cube_shape((12, 10, 8), Grid((9, 9, 9), sagittal)).tolist() == [8, 12, 10]


def test_slices_thicker_than_the_cube_leave_two():
    thick = Grid((9, 99, 99), np.diag([0.5, 0.5, 10, 1]))
    assert cube_shape(PAPER_CUBE_MM, thick).tolist() == [2, 20, 20]


def test_the_axis_runs_through_the_centroids_of_the_cross_sections():
    root = np.zeros((6, 8, 8), bool)
    for k in range(1, 6):
        root[k, k : k + 2, 3] = True
    origin, axis = root_axis(root, Grid(root.shape, np.diag([2.0, 4.0, 3.0, 1.0])))
    assert origin.tolist() == [6.0, 14.0, 9.0]
    np.testing.assert_allclose(axis, [[3, 3.5, 3], [4, 4.5, 3], [5, 5.5, 3]])


def test_leaflets_in_the_cube_are_not_averaged():
    ct, root = column()
    ct[:, 14, 10:20] = 100  # a sheet of 10 of the cube's 100 voxels a slice
    assert luminance(ct, root, min_cube_in_root=1.0)["luminance_hu"] == 500.0


def test_noise_is_not_what_calcium_and_leaflets_add_to_the_cube():
    """No place is clean; the cube with the least calcium lies low, where the blood is uneven."""
    ct, root = column()
    rng = np.random.default_rng(2)
    values = ct + rng.normal(0, 20, ct.shape)
    values[:25] += 300 * (rng.random(values[:25].shape) - 0.5)
    calcium = rng.random(ct.shape) < np.where(np.arange(40) < 25, 0.01, 0.03)[:, None, None]
    values[calcium & root] = 1400
    found = luminance(values.round().astype(np.int16), root)
    assert found["cube_start_kji"][0] == 15
    assert found["luminance_sd_hu"] > 80
    assert found["noise_hu"] == pytest.approx(20, rel=0.15)
