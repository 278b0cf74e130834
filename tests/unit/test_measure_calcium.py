"""Calcium of hand-made roots, right to the voxel."""

import itertools

import numpy as np
import pytest
from calcohort.measure import RULES, MeasureSettings, measure_calcium, thresholds_hu
from calcohort.measure.lesions import measure_lesions
from calcohort.outcomes import Excluded, Reason, UserError
from calcohort.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

SMALL_CUBE_MM = (5.0, 3.0, 2.0)
SMALL = MeasureSettings(cube_sides_mm=SMALL_CUBE_MM)
ANISOTROPIC = np.diag([0.5, 0.75, 1.25, 1.0])


def oblique(spacing_ijk=(0.5, 0.75, 1.25), degrees=(12, -8, 20)) -> np.ndarray:
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    affine[:3, :3] = rotation * np.array(spacing_ijk)
    affine[:3, 3] = (-40.0, 13.0, 700.0)
    return affine


def scan_with_root(blood_hu=500, shape=(20, 16, 14)):
    """A block of blood of 16 x 12 x 10 voxels in soft tissue, centre at (9.5, 7.5, 6.5)."""
    ct = np.full(shape, 50, np.int16)
    root = np.zeros(shape, bool)
    root[2:18, 2:14, 2:12] = True
    ct[root] = blood_hu
    return ct, root


def measure(ct, root, affine=ANISOTROPIC, settings=SMALL):
    findings, mask = measure_calcium(Volume(ct, affine), root, settings=settings)
    return findings, {row["rule"]: row for row in findings["rules"]}, mask


def excluded(ct, root, affine=ANISOTROPIC, settings=SMALL):
    with pytest.raises(Excluded) as problem:
        measure(ct, root, affine, settings)
    return problem.value


def test_thresholds_of_all_rules():
    assert thresholds_hu(500.0) == {
        "F1": 600.0,
        "F2": 700.0,
        "F3": 800.0,
        "F4": 500.0,
        "F5": 625.0,
        "F6": 750.0,
        "F7": 600.0,
    }
    assert thresholds_hu(597.0)["F7"] == pytest.approx(677.6)
    assert thresholds_hu(500.0, k=0.5)["F7"] == 750.0
    assert list(RULES) == ["F1", "F2", "F3", "F4", "F5", "F6", "F7"]


@pytest.mark.parametrize("affine", [ANISOTROPIC, oblique()], ids=["anisotropic", "oblique"])
def test_every_rule_right_to_the_voxel(affine):
    ct, root = scan_with_root()
    ct[3, 3, 3:5] = 650, 1200  # touches the next by a corner: one lesion of 3 voxels
    ct[4, 4, 5] = 760
    ct[3, 12, 3] = 600  # exactly at F1 and F7
    ct[0:2, 0, 0] = 1500  # outside the root
    ct[17, 13, 11], root[17, 13, 11] = 1500, False  # outside, though in the root's box
    voxel = 0.5 * 0.75 * 1.25
    findings, rules, mask = measure(ct, root, affine)
    assert findings["luminance_hu"] == 500.0
    assert findings["luminance_sd_hu"] == 0.0
    assert findings["root_volume_mm3"] == pytest.approx(1919 * voxel)
    voxels = {"F1": 4, "F2": 2, "F3": 1, "F4": 1919, "F5": 3, "F6": 2, "F7": 4}
    lesions = {"F1": 2, "F2": 1, "F3": 1, "F4": 1, "F5": 1, "F6": 1, "F7": 2}
    largest = {"F1": 3, "F2": 2, "F3": 1, "F4": 1919, "F5": 3, "F6": 2, "F7": 3}
    for rule, count in voxels.items():
        assert rules[rule]["calcium_volume_mm3"] == pytest.approx(count * voxel), rule
        assert rules[rule]["lesion_count"] == lesions[rule], rule
        assert rules[rule]["largest_lesion_mm3"] == pytest.approx(largest[rule] * voxel), rule
        assert rules[rule]["peak_hu"] == 1200.0
    assert rules["F2"]["mean_hu"] == pytest.approx((1200 + 760) / 2)
    expected = np.zeros_like(root)
    expected[3, 3, 3:5] = expected[4, 4, 5] = expected[3, 12, 3] = True
    np.testing.assert_array_equal(mask, expected)


def test_no_calcium_is_a_measured_zero():
    ct, root = scan_with_root()
    _, rules, mask = measure(ct, root)
    assert not mask.any()
    assert rules["F7"] == {
        "rule": "F7",
        "threshold_hu": 600.0,
        "calcium_volume_mm3": 0.0,
        "lesion_count": 0,
        "largest_lesion_mm3": None,
        "mean_hu": None,
        "peak_hu": None,
        "noise_volume_mm3": 0.0,
    }


def test_mask_is_of_the_chosen_rule_and_k():
    ct, root = scan_with_root()
    ct[3, 3, 3], ct[3, 3, 4] = 640, 720
    for chosen, voxels in (
        (MeasureSettings(cube_sides_mm=SMALL_CUBE_MM, mask_rule="F1"), 2),
        (MeasureSettings(cube_sides_mm=SMALL_CUBE_MM, mask_rule="F2"), 1),
        (MeasureSettings(cube_sides_mm=SMALL_CUBE_MM, k=0.4), 1),
    ):
        findings, _, mask = measure(ct, root, settings=chosen)
        assert mask.sum() == voxels
        assert findings["mask_rule"] == chosen.mask_rule
        assert findings["k"] == chosen.k


@pytest.mark.parametrize(("connectivity", "count"), [(26, 1), (18, 2), (6, 3)])
def test_connectivity_joins_voxels(connectivity, count):
    hu = np.zeros((4, 4, 4))
    hu[0, 0, 0] = hu[1, 1, 1] = hu[1, 2, 2] = 900  # a corner, then an edge
    root = np.ones_like(hu, bool)
    findings, _ = measure_lesions(hu, root, 800, 1.0, connectivity)
    assert findings["lesion_count"] == count


def test_least_lesion_size_leaves_small_ones_out_of_everything():
    hu = np.zeros((4, 4, 4))
    hu[0, 0, 0:2], hu[3, 3, 3] = 900, 1500
    findings, mask = measure_lesions(hu, np.ones_like(hu, bool), 800, 2.0, min_lesion_voxels=2)
    assert mask.sum() == 2
    assert findings == {
        "threshold_hu": 800.0,
        "calcium_volume_mm3": 4.0,
        "lesion_count": 1,
        "largest_lesion_mm3": 4.0,
        "mean_hu": 900.0,
        "peak_hu": 900.0,
    }


def test_scans_that_cannot_be_measured_say_why():
    ct, root = scan_with_root()
    assert excluded(ct, np.zeros_like(root)).reason == Reason.ROOT_NOT_FOUND
    assert excluded(ct, root[1:]).reason == Reason.MASK_ON_OTHER_GRID
    assert excluded(*scan_with_root(blood_hu=1000)).reason == Reason.LUMINANCE_TOO_HIGH
    problem = excluded(*scan_with_root(blood_hu=199))
    assert problem.reason == Reason.NO_CONTRAST
    assert "199.0 HU" in problem.detail
    measure(*scan_with_root(blood_hu=990))
    measure(*scan_with_root(blood_hu=200))


def test_a_root_with_metal_is_not_measured():
    """Voxels of 0.47 mm³: two of metal are below 1 mm³, the third excludes the scan."""
    ct, root = scan_with_root()
    ct[0, 0, 0] = ct[3, 3, 3:5] = 2500
    ct[5, 5, 5] = 2499
    _, rules, _ = measure(ct, root)
    assert rules["F7"]["peak_hu"] == 2500
    ct[5, 5, 5] = 3071
    problem = excluded(ct, root)
    assert problem.reason == Reason.METAL_IN_ROOT
    assert problem.detail == "1.4 mm³ of the root reach 2500 HU, as metal does"
    measure(ct, root, settings=MeasureSettings(cube_sides_mm=SMALL_CUBE_MM, metal_hu=4000))


def scan_of_blood(noise_hu, blood_hu=500):
    """A root of 27 mL full of blood, on voxels of 1 mm, without calcium."""
    root = np.zeros((40, 40, 40), bool)
    root[5:35, 5:35, 5:35] = True
    noise = np.random.default_rng(0).normal(0, noise_hu, root.shape)
    return np.where(root, blood_hu + noise, 50), root


def test_the_noise_volume_is_what_noise_puts_above_the_threshold():
    """Blood of 500 HU and noise of 40 HU: F7 lies at 600 HU, 2.5 SD above, where 0.62 % reach."""
    _, rules, _ = measure(*scan_of_blood(40), np.eye(4), MeasureSettings())
    told = rules["F7"]["noise_volume_mm3"]
    assert told == pytest.approx(0.0062 * 27_000, rel=0.3)
    assert rules["F7"]["calcium_volume_mm3"] == pytest.approx(0.0062 * 27_000, rel=0.2)
    assert rules["F3"]["noise_volume_mm3"] < 0.01


def test_a_scan_whose_calcium_would_be_noise_is_not_measured():
    """Noise of 50 HU: 2.3 % of 27 mL lie above F7."""
    noisy = scan_of_blood(50)
    problem = excluded(*noisy, np.eye(4), MeasureSettings())
    assert problem.reason == Reason.TOO_NOISY
    assert problem.detail.startswith("noise of 48 HU about a luminance of 498 HU would give 4")
    assert problem.detail.endswith(
        "by F7 without any calcium; at most 300 mm³ are allowed (max_noise_volume_mm3)"
    )
    measure(*noisy, np.eye(4), MeasureSettings(max_noise_volume_mm3=None))
    measure(*noisy, np.eye(4), MeasureSettings(mask_rule="F3"))


@pytest.mark.parametrize(
    "bad",
    [
        {"k": 1.5},
        {"metal_hu": 1000},
        {"max_noise_volume_mm3": 0},
        {"mask_rule": "F8"},
        {"cube_sides_mm": (5, 3, 0)},
        {"connectivity": 4},
        {"min_cube_in_root": 0},
        {"max_bright_fraction": 1.0},
        {"min_lesion_voxels": -1},
    ],
)
def test_meaningless_settings_are_refused(bad):
    with pytest.raises(UserError, match=f"measure: {next(iter(bad))} is"):
        MeasureSettings(**bad)


def noisy_scan(seed):
    rng = np.random.default_rng(seed)
    ct, root = scan_with_root()
    ct += rng.normal(0, 25, ct.shape).astype(np.int16)
    for k, j, i in rng.integers((2, 2, 2), (8, 14, 12), (6, 3)):
        ct[k : k + 2, j, i] = rng.integers(700, 1400)
    return ct, root


def numbers(ct, root, affine):
    findings, _, _ = measure(ct, root, affine)
    shared = [findings["luminance_hu"], findings["root_volume_mm3"], findings["cube_shift_mm"]]
    rows = [list(row.values())[1:] for row in findings["rules"]]
    return np.array([*shared, *itertools.chain.from_iterable(rows)], dtype=float)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    axes=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
    tilted=st.booleans(),
)
def test_axis_order_and_direction_change_no_number(seed, axes, flips, tilted):
    ct, root = noisy_scan(seed)
    affine = oblique() if tilted else ANISOTROPIC
    expected = numbers(ct, root, affine)
    moved = affine.copy()
    for axis in np.flatnonzero(flips):
        column = 2 - axis
        moved[:3, 3] += moved[:3, column] * (ct.shape[axis] - 1)
        moved[:3, column] *= -1
        ct, root = np.flip(ct, axis), np.flip(root, axis)
    moved[:3, :3] = moved[:3, [2 - axes[2 - column] for column in range(3)]]
    ct, root = ct.transpose(axes), root.transpose(axes)
    np.testing.assert_allclose(numbers(ct, root, moved), expected, rtol=1e-9, equal_nan=True)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), pads=st.tuples(*[st.integers(0, 5)] * 6))
def test_a_larger_field_of_view_changes_no_number(seed, pads):
    ct, root = noisy_scan(seed)
    affine = oblique()
    expected = numbers(ct, root, affine)
    pads = np.array(pads).reshape(3, 2)
    moved = affine.copy()
    moved[:3, 3] -= affine[:3, :3] @ pads[::-1, 0]
    padded = numbers(np.pad(ct, pads, constant_values=1500), np.pad(root, pads), moved)
    np.testing.assert_allclose(padded, expected, rtol=1e-9, equal_nan=True)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_a_higher_threshold_never_finds_more(seed):
    findings, _, _ = measure(*noisy_scan(seed))
    rows = sorted(findings["rules"], key=lambda row: row["threshold_hu"])
    volumes = [row["calcium_volume_mm3"] for row in rows]
    assert volumes == sorted(volumes, reverse=True)
