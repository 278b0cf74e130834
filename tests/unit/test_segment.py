import numpy as np
import pytest
from calcohort.outcomes import Excluded, Reason
from calcohort.segment import find_root, scan_in_crop

SHAPE = (40, 40, 40)
ALL = (slice(None),) * 3
BOX = (slice(8, 32),) * 3


def cube(start, stop, array=None):
    array = np.zeros(SHAPE, dtype=np.float32) if array is None else array
    array[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]] = 0.9
    return array


def test_component_in_the_box_wins_over_a_larger_one_outside():
    array = cube((10, 10, 10), (28, 28, 28))
    cube((34, 1, 1), (39, 39, 39), array)
    root = find_root(array, (1, 1, 1), BOX, ALL)
    assert root.dtype == bool
    assert root.sum() == 18**3 and root[10:28, 10:28, 10:28].all()


def test_larger_of_two_in_the_box_wins():
    array = cube((9, 9, 9), (25, 25, 25))
    cube((27, 27, 27), (30, 30, 30), array)
    assert find_root(array, (1, 1, 1), BOX, ALL).sum() == 16**3


def test_holes_are_filled_and_tunnels_stay():
    array = cube((10, 10, 10), (28, 28, 28))
    array[15:18, 15:18, 15:18] = 0
    array[10:28, 20, 20] = 0
    assert find_root(array, (1, 1, 1), BOX, ALL).sum() == 18**3 - 18


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full(SHAPE, 0.49, np.float32), Reason.ROOT_NOT_FOUND),
        (cube((34, 34, 34), (39, 39, 39)), Reason.ROOT_NOT_FOUND),
        (cube((10, 10, 10), (28, 28, 40)), Reason.ROOT_AT_EDGE),
        (cube((0, 10, 10), (28, 28, 28)), Reason.ROOT_AT_EDGE),
        (cube((10, 10, 10), (24, 24, 24)), Reason.ROOT_IMPLAUSIBLE),
    ],
)
def test_trouble_is_an_outcome(array, reason):
    with pytest.raises(Excluded) as problem:
        find_root(array, (1, 1, 1), BOX, ALL)
    assert problem.value.reason == reason


def test_volume_limits_are_in_millilitres():
    # 18³ voxels of 0.5 × 0.5 × 0.625 mm are 0.911 mL, of 2 × 2 × 4 mm 93.3 mL.
    array = cube((10, 10, 10), (28, 28, 28))
    for spacing in ((0.625, 0.5, 0.5), (4, 2, 2)):
        with pytest.raises(Excluded) as problem:
            find_root(array, spacing, BOX, ALL)
        assert problem.value.reason == Reason.ROOT_IMPLAUSIBLE
    assert find_root(array, (0.625, 0.5, 0.5), BOX, ALL, min_volume_ml=0.911).any()


def test_what_lies_in_the_padding_is_not_the_root():
    array = cube((10, 10, 10), (28, 28, 28))
    with pytest.raises(Excluded) as problem:
        find_root(array, (1, 1, 1), BOX, (slice(0, 25), slice(None), slice(None)))
    assert problem.value.reason == Reason.ROOT_AT_EDGE
    root = find_root(array, (1, 1, 1), BOX, (slice(2, 35), slice(None), slice(None)))
    assert root.shape == SHAPE and np.array_equal(root, array > 0)


def test_scan_in_crop():
    inside = scan_in_crop((-5, 10, 50), (20, 20, 20), (12, 100, 60))
    assert inside == (slice(5, 17), slice(0, 20), slice(0, 10))


@pytest.mark.parametrize(("outside", "found"), [(1, True), (2, True), (3, False)])
def test_a_mask_that_leaves_the_box_is_not_believed(outside, found):
    # 20 slices of a cube lie in the box or above it: 1 of 20 is 5 %, 2 are 10 %, 3 are 15 %.
    array = cube((12 + outside, 10, 10), (32 + outside, 30, 30))
    if found:
        assert find_root(array, (1, 1, 1), BOX, ALL).sum() == 20**3
    else:
        with pytest.raises(Excluded, match="85% of U-Net2's mask lie in U-Net1's box") as problem:
            find_root(array, (1, 1, 1), BOX, ALL)
        assert problem.value.reason == Reason.ROOT_IMPLAUSIBLE
