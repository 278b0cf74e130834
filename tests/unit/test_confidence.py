"""The interval of a calcium volume opens with what is unsure, and only with that."""

import numpy as np
import pytest
from calcohort.confidence import expected_dice, volume_intervals
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.volume import Volume

SHAPE = (40, 40, 40)
AFFINE = np.diag([0.5, 0.5, 0.5, 1.0])
VOXEL_MM3 = 0.125
LEAST_MM3 = 1.0


def scan(noise_hu=5.0, lumen_hu=500.0):
    """Blood in a cylinder with a deposit of 1200 HU: 6 x 6 x 4 voxels, 18 mm³, at its wall."""
    j, i = np.mgrid[:40, :40] - 19.5
    root = np.broadcast_to(np.hypot(j, i) < 15, SHAPE).copy()
    hu = np.where(root, lumen_hu, 60.0)
    hu[2:6, 17:23, 6:12] = 1200
    hu += np.random.default_rng(1).normal(0, noise_hu, SHAPE)
    return Volume(np.rint(hu).astype(np.int16), AFFINE), root


def interval(ct, root, probability, rule="F7"):
    findings, _ = measure_calcium(ct, root, settings=MeasureSettings())
    volumes = {row["rule"]: row["calcium_volume_mm3"] for row in findings["rules"]}
    low, high = volume_intervals(ct, root, probability, findings, volumes)[rule]
    return volumes[rule], low, high


def test_a_sure_root_of_a_clear_scan_leaves_next_to_nothing_open():
    ct, root = scan()
    volume, low, high = interval(ct, root, root.astype(float))
    assert volume == pytest.approx(18, abs=0.5)
    assert (volume - low, high - volume) == pytest.approx((LEAST_MM3, LEAST_MM3), abs=0.2)


def test_a_deposit_at_an_unsure_boundary_opens_the_lower_end():
    """Its outer half, 9 mm³, lies where the root is likely but not sure."""
    ct, root = scan()
    probability = root.astype(float)
    probability[:, :, :9] *= 0.7
    volume, low, high = interval(ct, root, probability)
    assert volume - low > 9 and high - volume < 1.5


def test_calcium_just_outside_the_root_opens_the_upper_end():
    ct, root = scan()
    smaller = root.copy()
    smaller[:, :, :9] = False
    probability = np.where(smaller, 1.0, np.where(root, 0.3, 0.0))
    volume, low, high = interval(ct, smaller, probability)
    assert high - volume > 9 and volume - low < 1.5
    probability[:, :, :9] = 0
    assert interval(ct, smaller, probability)[2] - volume < 1.5


def test_likely_voxels_that_do_not_touch_the_root_do_not_count():
    ct, root = scan()
    probability = root.astype(float)
    bright = ct.array.copy()
    bright[30:36, :4, :4], probability[30:36, :4, :4] = 1300, 0.6
    there = interval(Volume(bright, AFFINE), root, probability)
    assert there == pytest.approx(interval(ct, root, root.astype(float)), abs=0.2)


def test_noise_near_the_threshold_opens_the_interval():
    quiet = interval(*scan(5.0), scan()[1].astype(float))
    noisy = interval(*scan(60.0), scan()[1].astype(float))
    assert noisy[2] - noisy[1] > 3 * (quiet[2] - quiet[1])
    assert noisy[1] <= 18 <= noisy[2]


def test_a_rule_without_lm_knows_no_error_of_lm():
    """Blood of 560 HU that brightens to one side, and voxels spread evenly about 700 HU.

    F2 counts them at 700 HU, F5 at 1.25 Lm, which is 700 HU too but for the error of Lm.
    """
    ct, root = scan(lumen_hu=560.0)
    hu = ct.array + (2 * (np.arange(40) - 19.5)[:, None] * root).astype(np.int16)
    hu[2:12, 15:25, 6:16] = np.linspace(650, 750, 1000).reshape(10, 10, 10)
    ct = Volume(hu.astype(np.int16), AFFINE)
    f2, f5 = (interval(ct, root, root.astype(float), rule) for rule in ("F2", "F5"))
    assert f2[0] == pytest.approx(f5[0], abs=3)
    assert f5[2] - f5[1] > 1.2 * (f2[2] - f2[1])


def test_no_interval_reaches_below_zero():
    ct, root = scan()
    clean = np.where(ct.array > 900, np.int16(500), ct.array)
    volume, low, high = interval(Volume(clean, AFFINE), root, root.astype(float))
    assert volume == low == 0 and high == pytest.approx(LEAST_MM3, abs=0.2)


def test_expected_dice_of_a_sure_and_an_unsure_mask():
    """Of 100 voxels at 0.8 and 50 more at 0.2: 2 · 80 / (100 + 90)."""
    mask = np.zeros(200, bool)
    mask[:100] = True
    probability = np.zeros(200)
    probability[:100], probability[100:150] = 0.8, 0.2
    assert expected_dice(mask, mask.astype(float)) == 1
    assert expected_dice(mask, probability) == pytest.approx(160 / 190)
