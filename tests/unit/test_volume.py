"""Geometry: what volume.py promises about axes, affines and windows."""

import nibabel as nib
import numpy as np
import pytest
from calcohort import volume
from calcohort.outcomes import Excluded, Reason
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation


def oblique_affine(spacing_ijk=(0.5, 0.7, 1.25), angles=(20, -35, 10), origin=(7, -11, 13)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing_ijk
    affine[:3, 3] = origin
    return affine


def random_volume(shape=(5, 6, 8), affine=None):
    array = np.random.default_rng(0).integers(-1000, 1500, shape).astype(np.int16)
    return volume.Volume(array, oblique_affine() if affine is None else affine)


def test_spacing_and_voxel_volume_come_from_the_affine():
    grid = volume.Grid((4, 5, 6), oblique_affine((0.5, 0.7, 1.25)))
    assert grid.spacing_mm == pytest.approx([1.25, 0.7, 0.5])
    assert grid.voxel_volume_mm3 == pytest.approx(0.5 * 0.7 * 1.25)


def test_world_reverses_the_index_before_the_affine():
    grid = volume.Grid((10, 10, 10), np.diag([1.0, 2.0, 3.0, 1.0]))
    assert grid.world(np.array([1, 2, 3])) == pytest.approx([3, 4, 3])
    assert grid.index(grid.world(np.array([1.5, 2, 3]))) == pytest.approx([1.5, 2, 3])


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, 1, -1)])
def test_reading_reorients_and_keeps_world_positions(tmp_path, flips):
    stored = np.zeros((4, 5, 6), np.int16)
    stored[1, 2, 3] = 700
    affine = np.diag([0.5 * flips[0], 0.7 * flips[1], 1.25 * flips[2], 1])
    affine[:3, 3] = [3, -4, 5]
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "a.nii.gz")
    read = volume.read(tmp_path / "a.nii.gz")
    assert (np.diag(read.affine)[:3] > 0).all()
    place = np.argwhere(read.array == 700)
    assert len(place) == 1
    assert read.grid.world(place[0]) == pytest.approx(affine[:3, :3] @ [1, 2, 3] + affine[:3, 3])


def test_a_written_volume_reads_back_bit_exact(tmp_path):
    original = random_volume()
    original = volume.Volume(original.array, np.abs(np.diag([0.488, 0.488, 0.625, 1])))
    volume.write(tmp_path / "v.nii.gz", original)
    volume.write(tmp_path / "w.nii.gz", original)
    back = volume.read(tmp_path / "v.nii.gz")
    assert back.array.dtype == np.int16
    np.testing.assert_array_equal(back.array, original.array)
    same_again = volume.read(tmp_path / "w.nii.gz")
    np.testing.assert_array_equal(back.affine, same_again.affine)
    assert (tmp_path / "v.nii.gz").read_bytes() == (tmp_path / "w.nii.gz").read_bytes()


def test_downscaled_voxels_are_block_means_at_block_centres():
    full = random_volume((3, 6, 8))
    small = volume.downscale(full, (1, 2, 2))
    assert small.array.shape == (3, 3, 4)
    assert small.array[2, 1, 3] == pytest.approx(full.array[2, 2:4, 6:8].mean())
    corners = np.array([[2, j, i] for j in (2, 3) for i in (6, 7)])
    assert small.grid.world(np.array([2, 1, 3])) == pytest.approx(
        full.grid.world(corners).mean(axis=0)
    )


@settings(max_examples=50)
@given(st.tuples(*[st.integers(-9, 9)] * 3), st.tuples(*[st.integers(1, 12)] * 3))
def test_a_crop_keeps_world_positions_and_pastes_back(start, shape):
    whole = random_volume()
    cut = volume.crop(whole, start, shape, -1024)
    assert cut.grid.world(np.zeros(3)) == pytest.approx(whole.grid.world(np.array(start)))
    inside = volume.voxels_inside(start, shape, whole.array.shape)
    assert (cut.array == -1024).sum() >= cut.array.size - inside
    covered = volume.paste(np.ones(shape, bool), start, whole.array.shape)
    assert covered.sum() == inside
    np.testing.assert_array_equal(
        volume.paste(cut.array, start, whole.array.shape)[covered], whole.array[covered]
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda mask: mask, None),
        (lambda mask: mask[:-1], Reason.MASK_ON_OTHER_GRID),
        (lambda mask: mask * 0, Reason.MASK_EMPTY),
        (lambda mask: mask + (np.indices(mask.shape)[0] == 0), Reason.MASK_EMPTY),
    ],
)
def test_a_mask_must_be_binary_and_on_the_scans_grid(tmp_path, change, reason):
    grid = volume.Grid((5, 6, 7), np.diag([0.5, 0.5, 0.6, 1]))
    mask = np.zeros(grid.shape, np.uint8)
    mask[1:3, 2:4, 2:4] = 1
    mask[0, 0, 0] = 1
    volume.write(tmp_path / "m.nii.gz", volume.Volume(change(mask), grid.affine))
    if reason is None:
        assert volume.read_mask(tmp_path / "m.nii.gz", grid).sum() == 9
    else:
        with pytest.raises(Excluded) as caught:
            volume.read_mask(tmp_path / "m.nii.gz", grid)
        assert caught.value.reason == reason


def test_a_mask_moved_by_a_tenth_of_a_millimetre_is_refused(tmp_path):
    grid = volume.Grid((5, 6, 7), np.diag([0.5, 0.5, 0.6, 1]))
    moved = grid.affine.copy()
    moved[0, 3] += 0.1
    volume.write(tmp_path / "m.nii.gz", volume.Volume(np.ones(grid.shape, bool), moved))
    with pytest.raises(Excluded, match="mask_on_other_grid"):
        volume.read_mask(tmp_path / "m.nii.gz", grid)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x1f\x8b\x08broken"])
def test_a_broken_image_is_unreadable(tmp_path, content):
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(content)
    with pytest.raises(Excluded, match="unreadable"):
        volume.read(path)


def test_a_truncated_image_is_unreadable(tmp_path):
    path = tmp_path / "cut.nii.gz"
    volume.write(path, random_volume((30, 30, 30)))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(Excluded, match="unreadable"):
        volume.read(path)


SPACINGS_MM = st.tuples(*[st.floats(0.3, 2.0)] * 3)


@settings(deadline=None, max_examples=30)
@given(SPACINGS_MM)
def test_a_respaced_ramp_has_the_same_values_at_the_same_places(spacing_mm):
    affine = oblique_affine()
    grid = volume.Grid((12, 13, 14), affine)
    places = np.moveaxis(np.indices(grid.shape), 0, -1)
    ramp = volume.Volume((grid.world(places) @ [3.0, -2.0, 5.0]).astype(np.float32), affine)
    other = volume.respace(ramp, spacing_mm)
    assert other.grid.spacing_mm == pytest.approx(spacing_mm)
    world = other.grid.world(np.moveaxis(np.indices(other.grid.shape), 0, -1))
    at = grid.index(world)
    inner = ((at >= 0) & (at <= np.array(grid.shape) - 1)).all(axis=-1)
    assert other.array[inner] == pytest.approx((world @ [3.0, -2.0, 5.0])[inner], abs=1e-3)


def test_respacing_to_the_same_voxels_changes_nothing():
    ct = random_volume()
    assert volume.respace(ct, None) is ct
    same = volume.respace(ct, tuple(ct.grid.spacing_mm))
    assert same.array.dtype == ct.array.dtype
    assert np.array_equal(same.array, ct.array) and same.grid.same_as(ct.grid)


def test_beyond_its_ends_a_resampled_volume_is_zero():
    ones = volume.Volume(np.ones((4, 4, 4), np.uint8), np.eye(4))
    wide = volume.resample(ones, ones.grid.window((-2, -2, -2), (8, 8, 8)))
    assert wide.array.sum() == 64 and wide.array[2:6, 2:6, 2:6].all()


def test_covering_voxels_hold_the_box_and_no_more():
    fine = volume.Grid((40, 40, 40), np.diag([0.5, 0.5, 0.5, 1.0]))
    coarse = fine.downscaled((2, 2, 2))
    start, stop = fine.cover(coarse, (1, 2, 3), (4, 5, 6))
    assert start.tolist() == [2, 4, 6] and stop.tolist() == [8, 10, 12]
    start, stop = coarse.cover(fine, (3, 4, 5), (6, 8, 9))
    assert start.tolist() == [1, 2, 2] and stop.tolist() == [3, 4, 5]


@pytest.mark.parametrize("start", [(1, 2, 3), (-2, 0, 4), (3, -3, -1)])
def test_a_crop_on_other_voxels_is_the_crop_of_the_respaced_volume(start):
    ct = random_volume((9, 10, 11))
    even = volume.respace(ct, (0.9, 0.6, 0.6))
    ours = volume.crop_on(ct, even.grid, start, (6, 8, 10), -1024)
    theirs = volume.crop(even, start, (6, 8, 10), -1024)
    assert ours.grid.same_as(theirs.grid)
    assert np.abs(ours.array - theirs.array).max() <= 1  # HU: halves may be rounded either way
    assert np.array_equal(ours.array == -1024, theirs.array == -1024)
