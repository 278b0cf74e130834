import nibabel as nib
import numpy as np
import pytest
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import read
from dicom_factory import KEY

SPACING = np.diag([0.75, 0.5, 2.0, 1.0])


def scan(dtype=np.int16):
    return np.random.default_rng(0).integers(-1024, 2000, (20, 16, 32)).astype(dtype)


def save(path, array=None, affine=SPACING, units="mm", **header):
    array = scan() if array is None else array
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units(units)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def run(source, tmp_path, **limits):
    ct = tmp_path / "out" / "ct.nii.gz"
    return convert_scan(source, ct, series_uid=None, limits=Limits(**limits), key=KEY), read(ct)


def refusal(source, tmp_path, **limits):
    with pytest.raises(Excluded) as caught:
        run(source, tmp_path, **limits)
    assert not (tmp_path / "out").exists()
    return caught.value


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_values_and_places_are_kept(tmp_path, suffix):
    flipped = SPACING @ np.diag([-1, -1, 1, 1])
    findings, ct = run(save(tmp_path / f"scan{suffix}", affine=flipped), tmp_path)
    # canonical: x and y are flipped back, and the origin moves to the other end
    np.testing.assert_array_equal(ct.array, scan()[::-1, ::-1].T)
    np.testing.assert_allclose(ct.affine[:3, 3], [-0.75 * 19, -0.5 * 15, 0])
    assert findings["source"] == "nifti"
    assert findings["slice_spacing_mm"] == 2.0
    assert findings["pixel_spacing_mm"] == [0.5, 0.75]
    assert (findings["slices"], findings["rows"], findings["columns"]) == (32, 16, 20)
    assert findings["kernel"] is None
    assert findings["patient_hash"] is None


def test_float_values_are_rounded(tmp_path):
    array = scan(np.float32) + 0.3
    _, ct = run(save(tmp_path / "scan.nii", array), tmp_path)
    np.testing.assert_array_equal(ct.array, scan().T)
    assert ct.array.dtype == np.int16


def test_scaled_integers_are_scaled(tmp_path):
    image = nib.Nifti1Image((scan() + 1024).astype(np.int16), SPACING)
    image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "scan.nii")
    assert nib.load(tmp_path / "scan.nii").dataobj.inter == -1024
    _, ct = run(tmp_path / "scan.nii", tmp_path)
    np.testing.assert_array_equal(ct.array, scan().T)


@pytest.mark.parametrize(
    ("affine", "limits", "reason"),
    [
        (np.diag([1.5, 1.5, 2, 1]), {}, Reason.TOO_COARSE_PIXELS),
        (np.diag([1.5, 1.5, 2, 1]), {"max_pixel_spacing_mm": 1.5}, None),
        (np.diag([0.5, 0.5, 5, 1]), {}, Reason.TOO_THICK_SLICES),
        (np.diag([0.5, 0.5, 1, 1]), {}, Reason.TOO_FEW_SLICES),
        (SPACING + 0.05 * np.eye(4, k=1) * (1, 1, 1, 0), {}, Reason.TILTED),
    ],
)
def test_limits(tmp_path, affine, limits, reason):
    source = save(tmp_path / "scan.nii", affine=affine)
    if reason is None:
        run(source, tmp_path, **limits)
    else:
        assert refusal(source, tmp_path, **limits).reason is reason


@pytest.mark.parametrize(
    "array",
    [
        scan() % 256,
        (scan() + 1024).astype(np.uint16),
        scan(np.float32) / 4096,
        np.where(scan() == scan()[0, 0, 0], np.nan, scan(np.float32)),
        scan(np.float32) * 100,
    ],
    ids=["0…255", "no intercept", "0…1", "NaN", "beyond int16"],
)
def test_values_that_are_not_hounsfield(tmp_path, array):
    assert refusal(save(tmp_path / "scan.nii", array), tmp_path).reason is Reason.NOT_HOUNSFIELD


def test_a_voxel_size_that_is_not_the_affine_s(tmp_path):
    source = save(tmp_path / "scan.nii", pixdim=[1, 0.75, 0.5, 3, 0, 0, 0, 0])
    assert refusal(source, tmp_path).reason is Reason.NO_PIXEL_SPACING


def test_units_other_than_millimetres(tmp_path):
    source = save(tmp_path / "scan.nii", units="micron")
    assert refusal(source, tmp_path).reason is Reason.NO_PIXEL_SPACING


def test_no_orientation(tmp_path):
    source = save(tmp_path / "scan.nii")
    content = bytearray(source.read_bytes())
    content[252:256] = bytes(4)  # qform_code and sform_code
    source.write_bytes(content)
    assert refusal(source, tmp_path).reason is Reason.NO_PIXEL_SPACING


def test_what_is_no_nifti(tmp_path):
    source = tmp_path / "Doe_Jane.nii.gz"
    source.write_text("no image")
    problem = refusal(source, tmp_path)
    assert problem.reason is Reason.UNREADABLE
    assert "Doe" not in problem.detail
    assert str(tmp_path) not in problem.detail
    whole = save(tmp_path / "whole.nii.gz").read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    assert refusal(source, tmp_path).reason is Reason.UNREADABLE
