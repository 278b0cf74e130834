import numpy as np
import pytest
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import Excluded, Reason
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def test_clips_at_85_percent_of_the_maximum_and_scales_to_0_1():
    hu = np.array([-1024, 0, 426, 850, 1000], dtype=np.int16).reshape(1, 1, 5)
    # The ceiling is 0.85 · 1000 = 850, so the span is 850 + 1024 = 1874.
    expected = np.array([0, 1024, 1450, 1874, 1874]) / 1874
    result = normalise(hu, maximum_percentile=100)
    assert result.dtype == np.float32
    assert result.ravel() == pytest.approx(expected, abs=1e-6)


def test_equals_z_score_then_min_max():
    hu = np.random.default_rng(0).normal(100, 300, (6, 7, 8))
    clipped = np.clip(hu, -1024, 0.85 * hu.max())
    z = (clipped - clipped.mean()) / clipped.std()
    expected = (z - z.min()) / (z.max() - z.min())
    assert normalise(hu, maximum_percentile=100) == pytest.approx(expected, abs=1e-6)


def test_padding_far_below_air_counts_as_air():
    hu = np.random.default_rng(0).integers(-1024, 900, (8, 8, 8)).astype(np.int16)
    hu[0, 0, :2] = -1024
    padded = hu.copy()
    padded[0, 0, 0] = -3024
    assert np.array_equal(normalise(padded), normalise(hu))


def test_one_metal_voxel_hardly_changes_the_rest():
    hu = np.random.default_rng(0).integers(-1000, 900, (20, 20, 20)).astype(np.int16)
    metal = hu.copy()
    metal[3, 3, 3] = 3071
    rest = np.ones(hu.shape, bool)
    rest[3, 3, 3] = False
    assert np.abs(normalise(metal) - normalise(hu))[rest].max() < 0.005


def test_negative_hu_keep_their_order():
    hu = np.array([-900, -300, -1, 0, 1, 700], dtype=np.int16).reshape(1, 1, 6)
    assert (np.diff(normalise(hu, clip_fraction=1).ravel()) > 0).all()


@pytest.mark.parametrize("value", [-1024, 0, 400])
def test_constant_image_is_an_outcome(value):
    with pytest.raises(Excluded) as problem:
        normalise(np.full((3, 3, 3), value, dtype=np.int16))
    assert problem.value.reason == Reason.NOT_HOUNSFIELD


@given(hnp.arrays(np.int16, (3, 4, 5), elements=st.integers(-3024, 3071)))
def test_is_monotone_and_in_0_1(hu):
    try:
        result = normalise(hu)
    except Excluded:
        return
    assert result.min() == 0 and result.max() == 1
    order = np.argsort(hu.ravel(), kind="stable")
    assert (np.diff(result.ravel()[order]) >= 0).all()


def blood_box():
    """A box with 90 voxels of blood (400 ± 10) and 10 of calcium in a dark surrounding."""
    hu = np.full((6, 12, 12), 50, dtype=np.int16)
    box = (slice(1, 5), slice(1, 6), slice(1, 6))
    blood = np.tile([390, 400, 400, 410], 25)
    blood[-10:] = 1200
    hu[box] = blood.reshape(4, 5, 5)
    return hu, box


def test_calcium_in_the_box_becomes_the_blood_pools_median():
    hu, box = blood_box()
    result = lower_calcium(hu, box)
    # Blood: 400 ± 10, MAD 10 at most, so the ceiling is 400 + 3 · 14.8 = 445 at most.
    assert set(np.unique(result[box])) == {390, 400, 410}
    assert (result[hu == 1200] == 400).all()
    assert np.array_equal(result[hu < 1200], hu[hu < 1200])
    assert result.dtype == np.int16 and hu.max() == 1200


def test_calcium_outside_the_box_stays():
    hu, box = blood_box()
    hu[0, 0, 0] = 1500
    assert lower_calcium(hu, box)[0, 0, 0] == 1500


def test_ceiling_is_the_median_plus_three_robust_spreads():
    hu = np.array([300, 350, 400, 450, 500] * 4 + [622, 623], dtype=np.int16).reshape(1, 2, 11)
    # Sorted 22 values: the median is (400 + 400) / 2; deviations 0×4, 50×8, 100×8, 222, 223:
    # their median is 50, so the ceiling is 400 + 3 · 1.4826 · 50 = 622.39.
    result = lower_calcium(hu, (slice(None),) * 3)
    assert (result == 622).sum() == 1 and (result == 623).sum() == 0


def test_box_without_contrast_is_an_outcome():
    hu = np.full((4, 5, 5), 40, dtype=np.int16)
    hu[0, 0, :4] = 900
    with pytest.raises(Excluded) as problem:
        lower_calcium(hu, (slice(None),) * 3)
    assert problem.value.reason == Reason.NO_CONTRAST
    hu[0, 0, 4] = 900
    assert lower_calcium(hu, (slice(None),) * 3).max() == 900
