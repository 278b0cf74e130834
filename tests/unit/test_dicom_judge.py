import numpy as np
import pydicom
import pytest
from calcohort.dicom.find import find_series
from calcohort.dicom.judge import judge_series
from calcohort.dicom.limits import Limits
from calcohort.outcomes import Excluded, Reason
from dicom_factory import AXIAL, COLUMNS, ORIGIN_MM, ROWS, SLICES, along_normal, write_series

EVEN = along_normal()


def small(**changes):
    """Limits that the factory's 10 slices 2 mm apart just meet."""
    return Limits(**{"min_slices": SLICES, "min_coverage_mm": 20.0} | changes)


def judge(folder, limits=None, **elements):
    write_series(folder, **elements)
    return judge_series(find_series(folder).series[0], limits or small())


def refusal(folder, limits=None, **elements):
    with pytest.raises(Excluded) as caught:
        judge(folder, limits, **elements)
    return caught.value


def shifted(index, shift_mm, axis=2, positions=EVEN):
    moved = positions.copy()
    moved[index, axis] += shift_mm
    return moved


def test_affine_by_hand(tmp_path):
    # LPS origin (-5, -7, -30) is RAS (5, 7, -30); columns (0.75 mm) run to the patient's left,
    # which is -x, rows (0.5 mm) to the back, which is -y, slices (2 mm) to the head.
    geometry = judge(tmp_path)
    expected = [[-0.75, 0, 0, 5], [0, -0.5, 0, 7], [0, 0, 2, -30], [0, 0, 0, 1]]
    np.testing.assert_allclose(geometry.affine, expected, atol=1e-9)
    np.testing.assert_allclose(geometry.spacing_mm, [2, 0.5, 0.75])
    assert geometry.position_error_mm < 1e-9


def test_slices_are_ordered_by_position_not_by_name_or_number(tmp_path):
    geometry = judge(tmp_path, positions=EVEN[::-1], InstanceNumber=lambda k: 7)
    places = [float(i.header.ImagePositionPatient[2]) for i in geometry.images]
    np.testing.assert_allclose(places, EVEN[:, 2])


def test_tilted_gantry(tmp_path):
    iop = (1, 0, 0, 0, np.cos(np.radians(18.5)), -np.sin(np.radians(18.5)))
    problem = refusal(tmp_path, iop=iop, positions=EVEN)
    assert problem.reason is Reason.TILTED
    assert "18.5°" in problem.detail


@pytest.mark.parametrize(("degrees", "tilted"), [(0.03, False), (0.07, True), (-0.07, True)])
def test_tilt_limit(tmp_path, degrees, tilted):
    positions = EVEN.copy()
    positions[:, 1] += np.tan(np.radians(degrees)) * (EVEN[:, 2] - EVEN[0, 2])
    if tilted:
        assert refusal(tmp_path, positions=positions).reason is Reason.TILTED
    else:
        geometry = judge(tmp_path, positions=positions)
        assert geometry.tilt_degrees == pytest.approx(degrees, abs=1e-4)
        assert geometry.position_error_mm < 1e-6


def test_missing_slice(tmp_path):
    positions = np.delete(along_normal(SLICES + 1), 7, axis=0)
    problem = refusal(tmp_path, positions=positions)
    assert problem.reason is Reason.MISSING_SLICES
    assert "1 missing" in problem.detail
    assert "after slice 7 of 10" in problem.detail


def test_spacing_that_changes(tmp_path):
    gaps = np.r_[np.full(8, 1.0), np.full(8, 1.7)]
    positions = np.array(ORIGIN_MM) + np.outer(np.r_[0, gaps.cumsum()], (0, 0, 1))
    problem = refusal(tmp_path, positions=positions)
    assert problem.reason is Reason.UNEVEN_SLICES
    assert "between 1.000 and 1.700 mm" in problem.detail


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("shift_mm", "reason"), [(0.009, None), (0.02, Reason.UNEVEN_SLICES)])
def test_one_slice_off_the_grid(tmp_path, axis, shift_mm, reason):
    positions = shifted(6, shift_mm, axis)
    if reason:
        assert refusal(tmp_path, positions=positions).reason is reason
    else:
        assert judge(tmp_path, positions=positions).position_error_mm == pytest.approx(shift_mm)


def test_a_relaxed_limit_admits_rounded_positions(tmp_path):
    positions = along_normal(40, 0.625)
    positions[:, 2] = positions[:, 2].round(1)
    assert refusal(tmp_path / "a", positions=positions).reason is Reason.UNEVEN_SLICES
    judge(tmp_path / "b", small(max_position_error_mm=0.1), positions=positions)


@pytest.mark.parametrize("copies", [1, SLICES])
def test_duplicate_positions(tmp_path, copies):
    problem = refusal(tmp_path, positions=np.r_[EVEN, EVEN[:copies]])
    assert problem.reason is Reason.DUPLICATE_SLICES
    assert problem.detail.startswith(f"{copies} of {SLICES + copies} images")


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageOrientationPatient": lambda k: list(AXIAL if k else (1, 0, 0, 0, 0, -1))},
        {"PixelSpacing": lambda k: [0.5, 0.75 if k else 0.5]},
    ],
)
def test_mixed_slices(tmp_path, elements):
    assert refusal(tmp_path, **elements).reason is Reason.MIXED_SLICES


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
@pytest.mark.parametrize("value", [None, "", "once"])
def test_missing_places(tmp_path, keyword, value):
    paths = write_series(tmp_path)
    for path in paths[5:6] if value == "once" else paths:
        header = pydicom.dcmread(path)
        if value == "":
            setattr(header, keyword, "")
        else:
            delattr(header, keyword)
        header.save_as(path)
    with pytest.raises(Excluded) as caught:
        judge_series(find_series(tmp_path).series[0], small())
    assert caught.value.reason is Reason.NO_PIXEL_SPACING


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelSpacing": [0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
    ],
)
def test_impossible_places(tmp_path, elements):
    assert refusal(tmp_path, **elements).reason is Reason.NO_PIXEL_SPACING


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (small(max_slice_spacing_mm=2.0), None),
        (small(max_slice_spacing_mm=1.9), Reason.TOO_THICK_SLICES),
        (small(max_pixel_spacing_mm=0.75), None),
        (small(max_pixel_spacing_mm=0.7), Reason.TOO_COARSE_PIXELS),
        (small(min_slices=SLICES), None),
        (small(min_slices=SLICES + 1), Reason.TOO_FEW_SLICES),
        (small(min_coverage_mm=20), None),
        (small(min_coverage_mm=20.1), Reason.TOO_FEW_SLICES),
    ],
)
def test_limits_are_inclusive(tmp_path, limits, reason):
    # 10 slices 2 mm apart cover 20 mm; the larger pixel spacing is 0.75 mm.
    if reason is None:
        judge(tmp_path, limits)
    else:
        assert refusal(tmp_path, limits).reason is reason


def test_slice_thickness_plays_no_part(tmp_path):
    judge(tmp_path, SliceThickness=40, SpacingBetweenSlices=40)


def test_all_faults_are_told(tmp_path):
    problem = refusal(tmp_path, positions=np.delete(along_normal(9, 4.0), 4, axis=0))
    assert problem.reason is Reason.MISSING_SLICES
    assert "8 slices, fewer than 10" in problem.detail
    assert "4.57 mm apart" in problem.detail


def test_a_single_image_has_no_spacing(tmp_path):
    problem = refusal(tmp_path, small(min_slices=1), positions=along_normal(1))
    assert problem.reason is Reason.TOO_FEW_SLICES


@pytest.mark.parametrize(
    "elements",
    [
        {"RescaleSlope": None},
        {"RescaleIntercept": None},
        {"RescaleIntercept": lambda k: -1024 - (k == 9)},
        {"RescaleSlope": lambda k: 1 + (k == 9)},
        {"RescaleSlope": 0},
        {"RescaleType": "MGML"},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_values_that_are_not_hounsfield(tmp_path, elements):
    assert refusal(tmp_path, **elements).reason is Reason.NOT_HOUNSFIELD


def test_every_corner_counts(tmp_path):
    # Cosines that differ by 0.00008 from slice to slice move the far corner of a wide image.
    def turned(k):
        return [1, 8e-5 * (k % 2), 0, 0, 1, 0]

    wide = {"PixelSpacing": [20, 20]}
    problem = refusal(
        tmp_path, small(max_pixel_spacing_mm=20), ImageOrientationPatient=turned, **wide
    )
    assert problem.reason is Reason.UNEVEN_SLICES
    assert (ROWS, COLUMNS) == (16, 20)
