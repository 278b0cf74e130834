"""What `convert` says of real scans: the outcome a radiographer would give, for each folder."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from calcohort.dicom.convert import Limits, Repairs, convert_scan
from calcohort.dicom.decode import decode_hu
from calcohort.dicom.find import find_series
from calcohort.dicom.limits import NO_REPAIRS
from calcohort.outcomes import Excluded, Reason
from calcohort.volume import read

DATA = Path(__file__).parents[2].parent / "shared" / "data"
KEY = b"a key of the tests, which nobody else has"
SYNTAXES = DATA / "transfer_syntaxes"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data missing")


def run(source, folder, series_uid=None, repairs=NO_REPAIRS, **limits):
    ct = folder / "ct.nii.gz"
    limits = Limits(**limits)
    findings = convert_scan(
        DATA / source, ct, series_uid=series_uid, limits=limits, key=KEY, repairs=repairs
    )
    return findings, read(ct)


def refusal(source, folder, series_uid=None, **limits):
    with pytest.raises(Excluded) as caught:
        run(source, folder, series_uid, **limits)
    assert list(folder.iterdir()) == []
    return caught.value


def assert_axial_slices_lie_where_their_headers_say(folder, volume):
    """Positions to 0.01 mm and HU exactly, by pydicom alone, on every slice."""
    paths = [path for path in folder.iterdir() if path.is_file()]
    assert len(paths) == len(volume.array)
    for path in paths:
        header = pydicom.dcmread(path)
        x, y, z = (float(value) for value in header.ImagePositionPatient)
        between_rows, between_columns = (float(value) for value in header.PixelSpacing)
        rows, columns = header.Rows, header.Columns
        # axial: columns run to the patient's left, rows to the back; RAS is (-x, -y, z)
        first = (-x, -y, z)
        last = (-x - between_columns * (columns - 1), -y - between_rows * (rows - 1), z)
        index = volume.grid.index(np.array([first, last]))
        k = round(index[0, 0])
        expected = [[k, rows - 1, columns - 1], [k, 0, 0]]
        assert np.abs((index - expected) * volume.grid.spacing_mm).max() < 0.01
        hu = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
        np.testing.assert_array_equal(volume.array[k, ::-1, ::-1], hu)


@pytest.mark.parametrize(
    ("source", "reason", "said"),
    [
        ("dcm_qa_ct/GE", Reason.TILTED, ["18.5°", "spacing changes", "28 slices", "5.63 mm"]),
        ("dcm_qa_ct/Philips/S21610", Reason.TILTED, ["18.5°"]),
        ("dcm_qa_ct/Philips/S21610/S2010", Reason.TILTED, ["18.5°"]),
        ("dcm_qa_ct/Philips/S21610/S3010", Reason.TILTED, ["16.5°"]),
        ("dcm_qa_ct/Philips/S21610/S1000", Reason.NO_AXIAL_SERIES, ["1 localizer"]),
        ("dcm_qa_ct/Philips/S21610/S4010", Reason.NO_AXIAL_SERIES, ["5 derived"]),
        ("crlm_contrast/CRLM-CT-1004", Reason.TOO_THICK_SLICES, ["5.00 mm"]),
        ("crlm_contrast/CRLM-CT-1006", Reason.NO_AXIAL_SERIES, ["51 derived"]),
        ("chest_20_slices/dicom", Reason.MISSING_SLICES, ["1 missing", "20 slices"]),
        ("abdomen_20_slices", Reason.TOO_FEW_SLICES, ["20 slices"]),
        ("heart_contrast_crop/ct_cropped.nii.gz", Reason.TOO_COARSE_PIXELS, ["1.500 mm"]),
        ("heart_contrast_crop", Reason.NO_FILES, ["no DICOM among 8 files"]),
        ("transfer_syntaxes", Reason.MIXED_PATIENTS, ["several patients"]),
        ("transfer_syntaxes/CTImage.dcm", Reason.TOO_FEW_SLICES, ["one image"]),
        ("transfer_syntaxes/CT1_J2KR", Reason.NO_AXIAL_SERIES, ["1 derived"]),
        (
            "transfer_syntaxes/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm",
            Reason.NO_AXIAL_SERIES,
            ["1 derived"],
        ),
        ("transfer_syntaxes/no-pixel-data.dcm", Reason.NOT_CT, ["SR"]),
        ("transfer_syntaxes/no-pixel-spacing.dcm", Reason.NOT_CT, ["US"]),
    ],
)
def test_refused_with_the_fault_named(tmp_path, source, reason, said):
    problem = refusal(source, tmp_path)
    assert problem.reason is reason
    for words in said:
        assert words in problem.detail


def test_lung1_001_converts_under_default_limits(tmp_path):
    findings, volume = run("lung1_001/dicom", tmp_path)
    assert volume.array.shape == (134, 512, 512)
    assert (findings["slice_spacing_mm"], findings["pixel_spacing_mm"]) == (3.0, [0.9765625] * 2)
    assert (findings["kv"], findings["kernel"]) == (120.0, "B19f")
    assert findings["position_error_mm"] < 1e-6
    assert_axial_slices_lie_where_their_headers_say(DATA / "lung1_001" / "dicom", volume)


@pytest.mark.parametrize(
    ("source", "limits"),
    [
        ("abdomen_20_slices", {"min_slices": 20, "min_coverage_mm": 40}),
        ("crlm_contrast/CRLM-CT-1004", {"max_slice_spacing_mm": 5}),
    ],
)
def test_others_convert_once_their_limit_is_relaxed(tmp_path, source, limits):
    findings, volume = run(source, tmp_path, **limits)
    assert findings["contrast"] is True
    assert_axial_slices_lie_where_their_headers_say(DATA / source, volume)


def test_a_derived_series_named_in_the_sheet_is_judged(tmp_path):
    folder = DATA / "crlm_contrast" / "CRLM-CT-1006"
    uid = str(pydicom.dcmread(folder / "1-01.dcm", stop_before_pixels=True).SeriesInstanceUID)
    assert refusal(folder, tmp_path, uid).reason is Reason.TOO_THICK_SLICES
    _, volume = run(folder, tmp_path, uid, max_slice_spacing_mm=5)
    assert_axial_slices_lie_where_their_headers_say(folder, volume)


def test_relaxing_limits_never_admits_broken_geometry(tmp_path):
    relaxed = {"min_slices": 2, "min_coverage_mm": 0, "max_slice_spacing_mm": 9}
    assert refusal("dcm_qa_ct/GE", tmp_path, **relaxed).reason is Reason.TILTED
    not_judging_tilt = refusal("dcm_qa_ct/GE", tmp_path, max_tilt_degrees=90, **relaxed)
    assert not_judging_tilt.reason is Reason.UNEVEN_SLICES
    assert refusal("chest_20_slices/dicom", tmp_path, **relaxed).reason is Reason.MISSING_SLICES


def test_a_missing_slice_is_interpolated_on_request(tmp_path):
    repairs, limits = Repairs(max_missing_slices=1), {"min_slices": 20, "min_coverage_mm": 15}
    source = "chest_20_slices/dicom"
    findings, volume = run(source, tmp_path, repairs=repairs, **limits)
    assert findings["repairs"] == [{"repair": "missing_slices", "slices": 1}]
    assert len(volume.array) == 21
    found = []
    for path in (DATA / source).iterdir():
        header = pydicom.dcmread(path)
        k = round(volume.grid.index(np.array([0, 0, float(header.ImagePositionPatient[2])]))[0])
        hu = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
        np.testing.assert_array_equal(volume.array[k, ::-1, ::-1], hu)
        found.append(k)
    (new,) = set(range(21)) - set(found)
    between = (volume.array[new - 1].astype(float) + volume.array[new + 1]) / 2
    assert np.abs(volume.array[new] - between).max() <= 0.5


def test_a_tilted_head_is_resampled_on_request(tmp_path):
    source = "dcm_qa_ct/Philips/S21610/S2010"
    findings, volume = run(source, tmp_path, repairs=Repairs(tilt=True))
    assert [record["repair"] for record in findings["repairs"]] == ["tilt"]
    axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


def test_a_gap_above_the_limit_is_not_bridged(tmp_path):
    repairs = Repairs(tilt=True, uneven_spacing=True)
    with pytest.raises(Excluded) as caught:
        run("dcm_qa_ct/GE", tmp_path, repairs=repairs)
    assert caught.value.reason is Reason.TILTED


def test_heart_crop_is_accepted_with_pixels_of_1_5_mm(tmp_path):
    findings, volume = run(
        "heart_contrast_crop/ct_cropped.nii.gz", tmp_path, max_pixel_spacing_mm=1.5
    )
    assert findings["source"] == "nifti"
    assert volume.array.shape == (112, 102, 122)
    np.testing.assert_allclose(volume.grid.spacing_mm, 1.5)


def test_a_mask_is_not_taken_for_a_ct(tmp_path):
    problem = refusal("heart_contrast_crop/heart.nii.gz", tmp_path, max_pixel_spacing_mm=1.5)
    assert problem.reason is Reason.NOT_HOUNSFIELD


LOSSLESS = ("*BigEndian*", "*Deflated*", "*JPEG2000Lossless*", "*JPEGLSLossless*", "*Process14*")
LOSSLESS += ("*LittleEndianExplicit*", "*LittleEndianImplicit*", "*RLE*")


@pytest.mark.parametrize("pattern", LOSSLESS)
def test_independent_decoding_is_the_same_for_lossless_syntaxes(pattern):
    expected = decode_hu(find_series(SYNTAXES / "CTImage.dcm").series[0].images[0])
    assert (expected.min(), expected.max()) == (-3024, 1378)
    paths = sorted(SYNTAXES.glob(pattern))
    assert paths
    for path in paths:
        np.testing.assert_array_equal(decode_hu(find_series(path).series[0].images[0]), expected)


EIGHT_SLICES = {"min_slices": 8, "min_coverage_mm": 16}


def stack_of_copies(file, folder):
    """Write a file's image 8 times, 2 mm apart, as an original axial series."""
    folder.mkdir()
    for k in range(8):
        header = pydicom.dcmread(file)
        x, y, z = header.ImagePositionPatient
        header.ImagePositionPatient = [x, y, z + 2 * k]
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.InstanceNumber, header.SOPInstanceUID = k + 1, f"{header.SOPInstanceUID}.{k}"
        header.save_as(folder / f"I{k}")
    return folder


@pytest.mark.parametrize(
    ("pattern", "reason", "said"),
    [
        ("*JPEGLSLossless*", None, "JPEG-LS Lossless"),
        ("*JPEGLSLossy*", None, "JPEG-LS Lossy"),
        ("*JPEG2000TransferSyntax*", None, "JPEG 2000"),
        ("*Process14SV1*", None, "JPEG Lossless"),
        ("*Process14Transfer*", None, "JPEG Lossless"),
        ("*RLELossless*", None, "RLE Lossless"),
        ("*JPEG2000LosslessOnly*", None, "JPEG 2000"),
        ("*BigEndian*", None, "Explicit VR Big Endian"),
        ("*LittleEndianExplicit*", None, "Explicit VR Little Endian"),
        ("*LittleEndianImplicit*", None, "Implicit VR Little Endian"),
        ("*Deflated*", None, "Deflated Explicit VR"),
        ("*Process1Transfer*", Reason.NOT_HOUNSFIELD, "8 bits"),
        ("*Process2_4*", Reason.NOT_CONVERTIBLE, "JPEG Extended"),
        ("*Process6_8*", Reason.NOT_CONVERTIBLE, "JPEG Spectral Selection"),
        ("*Process10_12*", Reason.NOT_CONVERTIBLE, "JPEG Full Progression"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_series_in_each_compression(tmp_path, pattern, reason, said):
    (file,) = SYNTAXES.glob(pattern)
    source = stack_of_copies(file, tmp_path / "dicom")
    results = tmp_path / "results"
    results.mkdir()
    if reason is None:
        findings, volume = run(source, results, **EIGHT_SLICES)
        assert said in findings["transfer_syntax"]
        expected = decode_hu(find_series(file).series[0].images[0])
        np.testing.assert_array_equal(volume.array[7, ::-1, ::-1], expected)
    else:
        problem = refusal(source, results, **EIGHT_SLICES)
        assert problem.reason is reason
        assert said in problem.detail
