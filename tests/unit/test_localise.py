import numpy as np
import pytest
from calcohort.localise import crop_start, find_box
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Grid
from hypothesis import given
from hypothesis import strategies as st

SCAN = Grid((64, 128, 128), np.diag([0.5, 0.5, 0.625, 1.0]))
HALF = SCAN.downscaled((1, 2, 2))
COARSE = HALF.shape


def probability(start=(10, 20, 30), stop=(50, 60, 62), value=0.9):
    array = np.zeros(COARSE, dtype=np.float32)
    array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = value
    return array


def test_box_is_on_the_scans_grid_grown_by_the_margin():
    found = find_box(probability(), HALF, SCAN, margin_mm=4)
    # 4 mm are ceil(4 / 0.625) = 7 slices and 8 rows or columns; rows and columns are doubled.
    assert found["box_start_kji"] == [3, 32, 52]
    assert found["box_stop_kji"] == [57, 128, 128]
    assert found["box_size_mm"] == [25.0, 40.0, 32.0]
    assert found["confidence"] == pytest.approx(0.9, abs=1e-4)
    assert found["other_components_fraction"] == 0


def test_largest_component_wins_and_the_rest_is_told():
    array = probability()
    array[55:60, 5:10, 5:10] = 1
    found = find_box(array, HALF, SCAN)
    assert found["box_start_kji"] == [3, 32, 52]
    assert found["other_components_fraction"] == pytest.approx(125 / (40 * 40 * 32 + 125), abs=1e-4)


@pytest.mark.parametrize(("rows", "found"), [(17, True), (18, False)])
def test_a_scan_has_one_root(rows, found):
    # 40 x 40 x 32 voxels are the largest; 40 x 17 x 32 elsewhere are 30 % of all, 18 rows 31 %.
    array = probability(start=(10, 20, 30), stop=(50, 60, 62))
    array[10:50, 1 : 1 + rows, 30:62] = 0.9
    if found:
        part = rows / (rows + 40)
        told = find_box(array, HALF, SCAN)["other_components_fraction"]
        assert told == pytest.approx(part, abs=1e-4)
    else:
        with pytest.raises(Excluded, match="sees roots at 2 places, 31% of it outside") as problem:
            find_box(array, HALF, SCAN)
        assert problem.value.reason == Reason.ROOT_IMPLAUSIBLE


def test_voxels_of_the_threshold_count():
    assert find_box(probability(value=0.5), HALF, SCAN, threshold=0.5)["confidence"] == 0.5


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (probability(value=0.49), Reason.ROOT_NOT_FOUND),
        (probability(start=(0, 20, 30)), Reason.ROOT_AT_EDGE),
        (probability(stop=(64, 60, 62)), Reason.ROOT_AT_EDGE),
        (probability(stop=(50, 64, 62)), Reason.ROOT_AT_EDGE),
        (probability(start=(10, 20, 0)), Reason.ROOT_AT_EDGE),
        (probability(start=(19, 20, 30)), Reason.ROOT_IMPLAUSIBLE),
    ],
)
def test_trouble_is_an_outcome(array, reason):
    with pytest.raises(Excluded) as problem:
        find_box(array, HALF, SCAN)
    assert problem.value.reason == reason


def test_too_large_is_implausible():
    with pytest.raises(Excluded) as problem:
        find_box(probability(), HALF, SCAN, max_size_mm=39)
    assert problem.value.reason == Reason.ROOT_IMPLAUSIBLE
    assert "25 × 40 × 32 mm" in problem.value.detail


def test_other_grid_is_an_error():
    with pytest.raises(ValueError, match="shape"):
        find_box(np.zeros((64, 64, 63)), HALF, SCAN)


def test_spacing_of_an_oblique_affine_counts():
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.5, 0.5, 0.625])
    scan = Grid(SCAN.shape, affine)
    found = find_box(probability(), scan.downscaled((1, 2, 2)), scan)
    assert found["box_size_mm"] == [25.0, 40.0, 32.0]


def test_a_box_found_on_other_voxels_is_covered_by_voxels_of_the_scan():
    scan = Grid((80, 200, 200), np.diag([0.3, 0.4, 0.5, 1.0]))
    coarse = scan.respaced((0.625, 0.5, 0.5)).downscaled((1, 2, 2))
    seen = np.zeros(coarse.shape, np.float32)
    seen[12:50, 20:60, 10:40] = 1
    found = find_box(seen, coarse, scan, margin_mm=0)
    low, high = (
        scan.index(coarse.world(np.array(ends) - 0.5)) + 0.5
        for ends in ((12, 20, 10), (50, 60, 40))
    )
    start, stop = found["box_start_kji"], found["box_stop_kji"]
    assert (start <= low + 1e-6).all() and (start > low - 1).all()
    assert (stop >= high - 1e-6).all() and (stop < high + 1).all()


def test_odd_scans_keep_their_last_column_in_reach_of_the_margin():
    scan = Grid((64, 129, 129), SCAN.affine)
    assert find_box(probability(), HALF, scan)["box_stop_kji"] == [57, 128, 129]


def test_crop_has_the_box_in_its_centre():
    assert crop_start((100, 200, 300), (160, 300, 380), (224, 256, 256)) == (18, 122, 212)
    assert crop_start((0, 0, 0), (10, 10, 10), (20, 20, 20)) == (-5, -5, -5)


@given(st.integers(0, 300), st.integers(1, 200), st.integers(1, 256))
def test_crop_is_centred_within_one_voxel(start, size, n):
    first = crop_start((start,) * 3, (start + size,) * 3, (n,) * 3)[0]
    before, after = start - first, first + n - (start + size)
    assert before - after in (0, 1)
