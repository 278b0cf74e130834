import numpy as np
import pytest
from calcohort import volume
from calcohort.networks.data import read_sample
from calcohort.outcomes import Excluded, Reason
from calcohort.training.sample import network_view, prepare_sample
from calcohort.volume import Volume

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
SETTINGS = {
    "spacing_mm": None,
    "factor_kji": (1, 2, 2),
    "crop_shape_kji": (40, 40, 40),
    "pad_value_hu": -1024,
}


def scan():
    """A body of 40 HU with a root of 16 × 18 × 20 mm at 400 HU and 8 mm³ of calcium in it."""
    hu = np.full((60, 64, 64), 40, np.int16)
    root = np.zeros(hu.shape, bool)
    root[20:36, 22:40, 24:44] = True
    hu[root] = 400
    hu[24:26, 24:26, 26:28] = 1300
    return Volume(hu, AFFINE), root


def test_unet1_sees_the_downscaled_scan_and_learns_the_box():
    ct, root = scan()
    root[20, 22, 24] = False  # the box is filled where the root is not
    image, box = network_view("unet1", ct, root, "a", **SETTINGS)
    assert image.array.shape == box.shape == (60, 32, 32)
    assert image.grid.spacing_mm == pytest.approx([1, 2, 2])
    assert box.sum() == 16 * 9 * 10 and box[20:36, 11:20, 12:22].all()


def test_unet2_sees_a_crop_off_centre_without_calcium_and_learns_the_root():
    ct, root = scan()
    image, label = network_view("unet2", ct, root, "a", **SETTINGS)
    assert image.array.shape == label.shape == (40, 40, 40)
    assert label.sum() == root.sum() == 16 * 18 * 20
    world = image.grid.world(np.argwhere(label)[0])
    assert world == pytest.approx([24, 22, 20])
    assert np.unique(image.array[label]).size == 1
    other, _ = network_view("unet2", ct, root, "b", **SETTINGS)
    again, _ = network_view("unet2", ct, root, "a", **SETTINGS)
    assert not np.array_equal(image.affine, other.affine)
    assert np.array_equal(image.array, again.array) and np.array_equal(image.affine, again.affine)


def test_a_root_that_the_crop_cuts_is_refused():
    ct, root = scan()
    with pytest.raises(Excluded, match="does not fit into a crop") as problem:
        network_view("unet2", ct, root, "a", **SETTINGS | {"crop_shape_kji": (16, 20, 20)})
    assert problem.value.reason == Reason.ROOT_IMPLAUSIBLE


def prepare(folder, name="a", network="unet2"):
    return prepare_sample(
        folder / "store", network, name, folder / "ct.nii.gz", folder / "root.nii.gz",
        (2, 2, 2), {"cube_sides_mm": [6, 6, 6]}, **SETTINGS,
    )  # fmt: skip


def test_a_sample_holds_means_of_blocks_and_is_known_by_its_contents(tmp_path):
    ct, root = scan()
    volume.write(tmp_path / "ct.nii.gz", ct)
    volume.write(tmp_path / "root.nii.gz", Volume(root, AFFINE))
    found = prepare(tmp_path)
    assert found["shape_blocks_kji"] == (20, 20, 20)
    assert found["root_volume_mm3"] == 16 * 18 * 20
    assert found["slice_spacing_mm"] == found["pixel_spacing_mm"] == 1
    assert (found["field_of_view_mm"], found["coverage_mm"]) == (64, 60)
    assert (found["luminance_hu"], found["luminance_sd_hu"]) == (400, 0)
    sample = read_sample(tmp_path / "store", "a", "unet2")
    assert (sample.image.dtype, sample.label.dtype) == (np.float16, np.float16)
    assert sample.label.sum() * 8 == pytest.approx(16 * 18 * 20)
    other = prepare(tmp_path, "b")
    shifted = read_sample(tmp_path / "store", "b", "unet2").label
    assert shifted.sum() * 8 == pytest.approx(16 * 18 * 20)
    assert ((shifted > 0) & (shifted < 1)).any()
    assert other["ct_sha256"] == found["ct_sha256"]
    assert other["sample_sha256"] != found["sample_sha256"]
    assert prepare(tmp_path)["sample_sha256"] == found["sample_sha256"]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("missing", Reason.NO_FILES),
        ("empty", Reason.MASK_EMPTY),
        ("moved", Reason.MASK_ON_OTHER_GRID),
    ],
)
def test_a_mask_that_cannot_be_learned_from_is_told(tmp_path, trouble, reason):
    ct, root = scan()
    volume.write(tmp_path / "ct.nii.gz", ct)
    moved = AFFINE.copy()
    moved[0, 3] += trouble == "moved"
    if trouble != "missing":
        mask = Volume(root & (trouble != "empty"), moved)
        volume.write(tmp_path / "root.nii.gz", mask)
    with pytest.raises(Excluded) as problem:
        prepare(tmp_path)
    assert problem.value.reason == reason
