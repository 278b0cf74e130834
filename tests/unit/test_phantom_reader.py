"""The simulated reader clears spots, keeps deposits, and knows neither Lm nor a formula."""

import numpy as np
import pytest
from calcohort.phantom import reader
from calcohort.phantom.reader import clearing_threshold, read_threshold, reader_volume_mm3

SHAPE = (40, 40, 40)


@pytest.fixture
def root():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[5:35, 5:35, 5:35] = True
    return mask


@pytest.fixture
def nothing():
    return np.zeros(SHAPE, dtype=bool)


def lumen(level_hu=500):
    return np.full(SHAPE, level_hu, dtype=np.int16)


def test_an_even_lumen_leaves_the_overlay_just_above_its_level(root, nothing):
    assert clearing_threshold(lumen(500), root, nothing) == 505


def test_a_spot_sets_the_threshold_just_above_itself(root, nothing):
    hu = lumen()
    hu[20:23, 20:23, 20:23] = 597
    assert clearing_threshold(hu, root, nothing) == 600


def test_a_speck_smaller_than_a_person_notices_is_left(root, nothing):
    hu = lumen()
    hu[20, 20, 20 : 20 + reader.SPOT_VOXELS - 1] = 900
    assert clearing_threshold(hu, root, nothing) == 505
    hu[20, 20, 20 + reader.SPOT_VOXELS - 1] = 900
    assert clearing_threshold(hu, root, nothing) == 905


def test_a_deposit_and_its_blurred_rim_do_not_raise_the_threshold(root, nothing):
    hu, calcium = lumen(), nothing.copy()
    hu[8:14, 8:14, 8:14] = 800
    hu[9:13, 9:13, 9:13] = 1200
    calcium[9:13, 9:13, 9:13] = True
    assert clearing_threshold(hu, root, calcium) == 505
    assert clearing_threshold(hu, root, nothing) == 1205


def test_a_spot_is_cleared_beside_a_deposit(root, nothing):
    hu, calcium = lumen(), nothing.copy()
    calcium[9:13, 9:13, 9:13] = True
    hu[calcium] = 1200
    hu[25:28, 25:28, 25:28] = 640
    assert clearing_threshold(hu, root, calcium) == 645


def test_what_is_bright_outside_the_root_or_in_its_wall_does_not_count(root, nothing):
    hu = lumen()
    hu[~root] = 1500
    hu[5:7] = 1500
    assert clearing_threshold(hu, root, nothing) == 505


def test_the_choice_is_the_lowest_that_is_clean(root, nothing):
    """5 HU lower, a spot as large as a person notices shows; at the choice none does."""
    rng = np.random.default_rng(5)
    hu = lumen() + rng.normal(0, 40, SHAPE).astype(np.int16)
    hu[18:22, 18:22, 18:22] += 70
    threshold_hu = clearing_threshold(hu, root, nothing)
    inner = np.zeros(SHAPE, dtype=bool)
    inner[7:33, 7:33, 7:33] = True

    def largest_spot(t):
        labels, _ = reader.ndimage.label(inner & (hu >= t))
        return np.bincount(labels.ravel())[1:].max(initial=0)

    assert largest_spot(threshold_hu) < reader.SPOT_VOXELS <= largest_spot(threshold_hu - 5)


def test_a_crop_of_the_scan_gives_the_same_choice(root, nothing):
    hu = lumen() + np.random.default_rng(1).normal(0, 40, SHAPE).astype(np.int16)
    inside = (slice(2, 38),) * 3
    assert clearing_threshold(hu, root, nothing) == clearing_threshold(
        hu[inside], root[inside], nothing[inside]
    )


def test_readers_differ_by_seed_alone_and_stay_above_the_clearing_threshold(root, nothing):
    hu = lumen(500)
    choices = np.array([read_threshold(hu, root, nothing, seed) for seed in range(80)])
    assert read_threshold(hu, root, nothing, 7) == choices[7]
    assert np.all(choices % 5 == 0)
    assert choices.min() >= clearing_threshold(hu, root, nothing)
    assert abs(choices.mean() - 525) < 7
    assert 14 < choices.std(ddof=1) < 26


def test_volume_counts_the_roots_voxels_from_the_threshold_on(root):
    hu = lumen(500)
    hu[0, 0, 0] = 2000
    hu[10, 10, 10:13] = [699, 700, 701]
    assert reader_volume_mm3(hu, root, 700.0, 0.15) == pytest.approx(2 * 0.15)


def test_without_a_root_there_is_nothing_to_read(nothing):
    with pytest.raises(ValueError, match="empty"):
        clearing_threshold(lumen(), nothing, nothing)


def test_a_root_full_of_deposits_is_refused(root):
    with pytest.raises(ValueError, match="no lumen"):
        clearing_threshold(lumen(), root, root)
