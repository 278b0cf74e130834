import numpy as np
from calcohort.networks.augment import cut_field, draw_patch, shift_brightness


def test_patches_stay_inside_and_near_the_label():
    image = np.arange(40**3).reshape(40, 40, 40)
    label = np.zeros(image.shape, np.uint8)
    label[30:34, 5:9, 20:24] = 1
    hits = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        patch, truth = draw_patch(image, label, (24, 24, 24), rng, smaller_by=8)
        assert patch.shape in ((24, 24, 24), (16, 16, 16))
        k, j, i = (int(n) for n in np.unravel_index(patch[0, 0, 0], image.shape))
        window = tuple(slice(a, a + n) for a, n in zip((k, j, i), patch.shape, strict=True))
        assert np.array_equal(patch, image[window]) and np.array_equal(truth, label[window])
        hits += bool(truth.any())
    assert hits >= 35


def test_a_patch_larger_than_the_sample_is_padded_as_at_inference():
    image = np.arange(20.0 * 40 * 40).reshape(20, 40, 40)
    label = np.ones(image.shape, np.uint8)
    shapes = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        patch, truth = draw_patch(image, label, (64, 32, 64), rng, smaller_by=8)
        shapes.add(patch.shape)
        if patch.shape == (24, 32, 40):
            assert np.array_equal(patch[19], patch[23])
            assert truth[:20].all() and not truth[20:].any()
    assert shapes == {(24, 32, 40), (16, 24, 32)}


def test_brightness_shifts_by_chance_and_repeats_by_seed():
    image = np.random.default_rng(0).random((16, 24, 16), dtype=np.float32)
    changed = [shift_brightness(image, np.random.default_rng(seed)) for seed in range(20)]
    shifts = [other - image for other in changed]
    assert 0 < sum(not shift.any() for shift in shifts) < 20
    assert all(np.ptp(shift) < 1e-6 and np.abs(shift).max() <= 0.1 + 1e-6 for shift in shifts)
    assert np.array_equal(changed[3], shift_brightness(image, np.random.default_rng(3)))
    assert all(other.dtype == np.float32 for other in changed)


def test_a_field_cut_short_keeps_the_root_and_two_voxels_beside_it():
    image = np.random.default_rng(0).uniform(0.1, 1, (24, 32, 40)).astype(np.float32)
    label = np.zeros(image.shape, np.float16)
    label[8:14, 10:20, 1:30] = 1
    kept = np.s_[6:16, 8:22, :32]
    cut = [cut_field(image, label, np.random.default_rng(seed), 1.0) for seed in range(100)]
    assert all(np.array_equal(other[kept], image[kept]) for other in cut)
    whole = [np.array_equal(other, image) for other in cut]
    in_air = [(other == 0).any() for other in cut]
    assert 0 < sum(whole) < 100 and 0 < sum(in_air) < 100 - sum(whole)
    for other, air, same in zip(cut, in_air, whole, strict=True):
        if not (air or same):
            assert np.isin(other[0], image).all()
    assert all(other.dtype == np.float32 for other in cut)


def test_a_field_is_not_cut_where_the_root_is_not_in_it():
    image = np.ones((24, 32, 40), np.float32)
    label = np.zeros(image.shape, np.float16)
    for seed in range(10):
        assert np.array_equal(cut_field(image, label, np.random.default_rng(seed), 1.0), image)
