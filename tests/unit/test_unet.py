from itertools import pairwise

import numpy as np
import pytest
from calcohort.networks.losses import dice_and_cross_entropy, dice_score
from calcohort.networks.plan import level_filters
from calcohort.networks.unet import InstanceNormalisation, build_unet


def test_papers_width_has_the_parents_parameters():
    assert level_filters(32, 5) == [32, 64, 128, 256, 320, 320]
    # Counted by hand for base 8, widths 8, 16, 32, 64, 80, 80 (3³ = 27 weights a pair of channels,
    # 2 per channel of each norm, 8 weights a pair and a bias for each transposed convolution):
    widths = [8, 16, 32, 64, 80, 80]
    count = 27 * (1 * 8 + 8 * 8) + 4 * 8
    for above, here in pairwise(widths):
        count += 27 * (above * here + here * here) + 4 * here
        count += 8 * here * above + above + 27 * (2 * above * above + above * above) + 4 * above
    count += 27 * 8 * 2 + 2
    assert build_unet(8).count_params() == count


def test_the_filters_of_every_level_may_be_named():
    model = build_unet([2, 3, 5], 2)
    assert [layer.output.shape[-1] for layer in model.layers if "block" in layer.name] == [
        2, 3, 5, 3, 2,
    ]  # fmt: skip


def test_output_is_a_probability_on_the_inputs_grid():
    model = build_unet(2, 3)
    softmax = model.predict_on_batch(
        np.random.default_rng(0).random((16, 24, 16), dtype=np.float32)[None, ..., None]
    )
    assert softmax.shape == (1, 16, 24, 16, 2)
    assert softmax.sum(-1) == pytest.approx(1, abs=1e-5)


def test_instance_norm_is_right_far_from_zero():
    x = np.random.default_rng(0).normal([100, -3], [0.5, 7], (2, 30, 20, 10, 2)).astype(np.float32)
    layer = InstanceNormalisation()
    y = np.asarray(layer(x))
    assert y.mean((1, 2, 3)) == pytest.approx(0, abs=1e-4)
    assert y.std((1, 2, 3)) == pytest.approx(1, abs=1e-3)
    layer.scale.assign([2.0, 1.0])
    layer.shift.assign([0.0, 5.0])
    assert np.asarray(layer(x)) == pytest.approx(y * [2, 1] + [0, 5], abs=1e-4)


def test_loss_by_hand():
    truth = np.array([1, 1, 0, 0], np.uint8).reshape(1, 1, 2, 2)
    p = np.array([0.8, 0.6, 0.3, 0.1], np.float32).reshape(1, 1, 2, 2)
    softmax = np.stack([1 - p, p], axis=-1)
    # Dice = (2 · (0.8 + 0.6) + 1) / (1.8 + 2 + 1); CE = −mean(log .8, log .6, log .7, log .9)
    dice = 3.8 / 4.8
    entropy = -np.log([0.8, 0.6, 0.7, 0.9]).mean()
    loss = np.asarray(dice_and_cross_entropy(truth, softmax))
    assert loss == pytest.approx([1 - dice + entropy], abs=1e-6)
    assert np.asarray(dice_score(truth, softmax)) == pytest.approx([1.0])
    assert np.asarray(dice_score(truth, softmax, threshold=0.3)) == pytest.approx([4 / 5])


def test_loss_is_least_where_the_probability_is_the_share():
    shares = np.array([1, 0.75, 0.25, 0], np.float32).reshape(1, 1, 2, 2)
    # p = t: Dice = (2 + 2 − 0 + 1) / (2 + 2 + 1) = 1; CE = −(0.75 log .75 + 0.25 log .25) · 2 / 4
    # p = t rounded: Dice = (2 + 2 − 0.5 + 1) / 5 = 0.9; CE = −2 · 0.25 · log 1e-7 / 4
    for p, dice, entropy in (
        (shares, 1, -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / 2),
        (np.round(shares), 0.9, -0.125 * np.log(1e-7)),
    ):
        loss = np.asarray(dice_and_cross_entropy(shares, np.stack([1 - p, p], axis=-1)))
        assert loss == pytest.approx([1 - dice + entropy], abs=1e-5)
    rng = np.random.default_rng(3)
    least = np.asarray(dice_and_cross_entropy(shares, np.stack([1 - shares, shares], axis=-1)))
    for _ in range(20):
        p = np.clip(shares + rng.normal(0, 0.1, shares.shape), 0, 1).astype(np.float32)
        assert np.asarray(dice_and_cross_entropy(shares, np.stack([1 - p, p], -1))) > least


def test_loss_of_an_empty_truth_is_finite_and_dice_undefined():
    truth = np.zeros((1, 2, 2, 2), np.uint8)
    softmax = np.stack([np.ones(truth.shape), np.zeros(truth.shape)], -1).astype(np.float32)
    assert np.asarray(dice_and_cross_entropy(truth, softmax)) == pytest.approx([0], abs=1e-5)
    assert np.isnan(np.asarray(dice_score(truth, softmax))).all()
