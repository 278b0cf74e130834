"""Overlap of masks, by hand."""

import numpy as np
import pytest
from calcohort.measure.overlap import (
    box_coverage,
    compare_masks,
    compare_root,
    dice,
    iou,
    surface_distances,
)
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import Grid
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

SHAPE = (8, 10, 12)
SPACING = Grid(SHAPE, np.diag([0.5, 2.0, 3.0, 1.0]))


def block(start, stop):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


EMPTY = np.zeros(SHAPE, bool)
A = block((2, 2, 2), (4, 4, 6))  # 16 voxels
B = block((3, 2, 2), (5, 4, 6))  # 16 voxels, 8 shared


def test_dice_and_iou():
    assert dice(A, A) == iou(A, A) == 1.0
    assert dice(A, B) == 0.5
    assert iou(A, B) == pytest.approx(8 / 24)
    assert dice(A, EMPTY) == iou(A, EMPTY) == 0.0
    assert dice(EMPTY, EMPTY) is None
    assert iou(EMPTY, EMPTY) is None


def test_surface_distance_counts_mm_along_each_axis():
    one = block((4, 4, 4), (5, 5, 5))
    for shift, mm in (((1, 0, 0), 3.0), ((0, 1, 0), 2.0), ((0, 0, 1), 0.5), ((1, 1, 0), 13**0.5)):
        found = surface_distances(one, np.roll(one, shift, (0, 1, 2)), SPACING)
        assert found == pytest.approx({"assd_mm": mm, "hd95_mm": mm, "hd_max_mm": mm})


def test_surface_distance_of_two_blocks():
    # Each block is its own surface; the half that is not shared lies one slice, 3 mm, away.
    found = surface_distances(A, B, SPACING)
    assert found == {"assd_mm": 1.5, "hd95_mm": 3.0, "hd_max_mm": 3.0}


def test_surface_distance_agrees_with_all_pairs_on_an_oblique_grid():
    rng = np.random.default_rng(3)
    a, b = (block((1, 1, 1), (7, 8, 9)) & (rng.random(SHAPE) < p) for p in (0.8, 0.6))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix() * [1, 2, 3]
    grid = Grid(SHAPE, affine)

    def surface(mask):
        padded = np.pad(mask, 1)
        inner = padded.copy()
        for axis in range(3):
            inner &= np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
        return grid.world(np.argwhere(mask & ~inner[1:-1, 1:-1, 1:-1]))

    apart = cdist(surface(a), surface(b))
    there, back = apart.min(axis=1), apart.min(axis=0)
    found = surface_distances(a, b, grid)
    assert found["assd_mm"] == pytest.approx((there.sum() + back.sum()) / sum(apart.shape))
    assert found["hd95_mm"] == pytest.approx(max(np.percentile(d, 95) for d in (there, back)))
    assert found["hd_max_mm"] == pytest.approx(max(there.max(), back.max()))


def test_the_inside_of_a_mask_is_no_surface():
    solid, hollow = block((1, 1, 1), (6, 6, 6)), block((1, 1, 1), (6, 6, 6))
    hollow[3, 3, 3] = False
    found = surface_distances(solid, hollow, Grid(SHAPE, np.eye(4)))
    assert found["hd_max_mm"] == 1.0
    assert surface_distances(solid, solid, SPACING)["hd_max_mm"] == 0.0


def test_distances_to_nothing_are_undefined():
    for pair in ((A, EMPTY), (EMPTY, A), (EMPTY, EMPTY)):
        assert set(surface_distances(*pair, SPACING).values()) == {None}


def test_sheared_grids_are_refused():
    affine = np.eye(4)
    affine[1, 2] = 0.2
    with pytest.raises(Excluded, match="not at right angles") as problem:
        surface_distances(A, B, Grid(SHAPE, affine))
    assert problem.value.reason == Reason.TILTED


def test_volumes_and_their_error():
    found = compare_masks(A, block((2, 2, 2), (4, 4, 7)), SPACING)
    assert found["found_volume_mm3"] == pytest.approx(16 * 3.0)
    assert found["reference_volume_mm3"] == pytest.approx(20 * 3.0)
    assert found["volume_error_mm3"] == pytest.approx(-12.0)


def test_box_coverage():
    assert box_coverage(A, ((2, 2, 2), (4, 4, 6))) == 1.0
    assert box_coverage(A, ((3, 2, 2), (9, 9, 9))) == 0.5
    assert box_coverage(A, ((-5, -5, -5), (3, 3, 4))) == 2 / 16
    assert box_coverage(A, ((5, 5, 5), (6, 6, 6))) == 0.0
    assert box_coverage(A, ((-5, -5, -5), (-1, -1, -1))) == 0.0
    assert box_coverage(EMPTY, ((0, 0, 0), (1, 1, 1))) is None
    found = compare_root(A, B, SPACING, ([2, 2, 2], [4, 9, 9]))
    assert found["box_coverage"] == 0.5
    assert found["dice"] == 0.5
    assert compare_root(A, B, SPACING)["box_coverage"] is None
