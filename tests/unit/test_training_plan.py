from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from calcohort.networks.augment import deform, draw_patch, roughen
from calcohort.networks.plan import Plan
from calcohort.outcomes import UserError
from calcohort.training import job
from calcohort.training.job import make_plan, run_job

PLAN = Plan("unet2", (((16, 16, 16), 10), ((32, 16, 16), 5)), filters=2, depth=4)


def test_cosine_falls_over_the_voxels_seen():
    # 10 steps of 4096 voxels and 5 of 8192: half of all voxels are seen after step 10.
    assert PLAN.rate_at(0) == pytest.approx(1e-3)
    assert PLAN.rate_at(10) == pytest.approx(1e-3 * (0.01 + 0.99 / 2))
    assert PLAN.voxels(8, 12) == 2 * 4096 + 2 * 8192
    assert [PLAN.stage_ends(done) for done in (9, 10, 14, 15)] == [False, True, False, True]


def test_plateau_halves_after_ten_epochs_without_gain_in_a_stage():
    plan = replace(PLAN, schedule="plateau")
    rows = [{"shape": "16", "loss": loss} for loss in [1.0, 0.5, *[0.5] * 9]]
    assert plan.rate_at(0, rows) == 1e-3
    rows.append({"shape": "16", "loss": 0.4995})
    assert plan.rate_at(0, rows) == 5e-4
    # A new stage has losses of its own: 0.9 is its best, not a loss that has risen from 0.5.
    rows += [{"shape": "32", "loss": loss} for loss in np.linspace(0.9, 0.7, 20)]
    assert plan.rate_at(0, rows) == 5e-4
    assert replace(PLAN, schedule="constant").rate_at(14, rows) == 1e-3


def test_a_plan_comes_back_from_json():
    plan = replace(PLAN, augmentation={"noise": 0.1}, ema=0.9)
    assert Plan.from_plain(plan.plain()) == plan


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stages": (((16, 24, 16), 1),)}, "every side must be a multiple of 16"),
        ({"precision": "float8"}, "precision is 'float8'; choose float32, bfloat16, float16"),
        ({"schedule": "step"}, "schedule is 'step'"),
        ({"filters": [2, 4]}, "2 levels; depth 4 has 5"),
    ],
)
def test_a_plan_that_cannot_be_trained_is_refused(change, told):
    with pytest.raises(UserError, match=told):
        replace(PLAN, **change)


def test_epochs_of_the_config_become_steps():
    settings = {
        "batch": 4, "learning_rate": 0.01, "schedule": "constant",
        "unet2": {
            "filters": 4, "depth": 2, "block_kji": [1, 1, 1],
            "stages": [{"shape_blocks_kji": [8, 8, 8], "epochs": 3}],
        },
    }  # fmt: skip
    plan = make_plan("unet2", settings, samples=10)
    assert plan.stages == (((8, 8, 8), 3 * 3),)  # 10 samples are 3 steps of 4
    assert (plan.filters, plan.batch, plan.schedule) == (4, 4, "constant")


def test_several_processes_without_horovod_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "shutil", SimpleNamespace(which=lambda *a, **k: None))
    with pytest.raises(UserError, match="run `make horovod`"):
        run_job(
            PLAN, store=tmp_path, training_names=[], validation_names=[], contents=[],
            folder=tmp_path, weights=tmp_path / "w", log=tmp_path / "l", start_from=None,
            device="cpu", processes=2,
        )  # fmt: skip


def test_a_patch_longer_than_the_sample_is_the_next_step_of_the_network_padded():
    image = np.zeros((20, 50, 33))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        patch, mask = draw_patch(image, image, (64, 32, 64), rng, smaller_by=16)
        assert patch.shape == mask.shape
        assert patch.shape in ((32, 32, 48), (16, 16, 32))


def ball(side=24, radius=6, shift=4):
    k, j, i = np.indices((side,) * 3) - (side - 1) / 2
    return (k**2 + j**2 + (i - shift) ** 2 <= radius**2).astype(np.uint8)


def changed(seed, **amounts):
    label = ball()
    return deform(label * 0.5, label, np.random.default_rng(seed), **amounts)


def test_image_and_label_are_deformed_alike():
    moved = 0
    for seed in range(8):
        image, label = changed(seed, rotation=90, scaling=0.2, elastic=1.0)
        assert image == pytest.approx(label / 2)
        assert label.min() >= 0 and label.max() <= 1
        moved += not np.array_equal(label, ball())
    assert moved >= 5


def test_rotation_keeps_and_scaling_changes_the_volume():
    before = ball().sum()
    turned = [changed(seed, rotation=90)[1].sum() for seed in range(8)]
    assert turned == pytest.approx([before] * 8, rel=0.05)
    scaled = np.array([changed(seed, scaling=0.3)[1].sum() for seed in range(20)]) / before
    assert scaled.min() < 0.8 and scaled.max() > 1.25
    assert 0.7**3 * 0.9 < scaled.min() and scaled.max() < 1.3**3 * 1.1


def test_roughening_repeats_by_seed_and_is_off_without_amounts():
    image = ball() * 0.5
    assert np.array_equal(roughen(image, np.random.default_rng(0)), image.astype(np.float32))
    some = [roughen(image, np.random.default_rng(seed), noise=0.2) for seed in range(10)]
    spreads = [float((other - image).std()) for other in some]
    assert 0 < sum(spread == 0 for spread in spreads) < 10
    assert max(spreads) <= 0.2
    assert np.array_equal(some[3], roughen(image, np.random.default_rng(3), noise=0.2))


def test_contrast_mixing_keeps_the_order_of_intensities():
    ramp = np.linspace(0, 1, 1000).reshape(10, 10, 10)
    curves = [roughen(ramp, np.random.default_rng(s), contrast_mixing=0.3) for s in range(10)]
    assert all((np.diff(curve.ravel()) >= 0).all() for curve in curves)
    assert max(np.abs(curve - ramp).max() for curve in curves) > 0.1


def test_gamma_bends_and_contrast_stretches_within_their_amounts():
    ramp = np.linspace(0, 1, 1000).reshape(10, 10, 10)
    for seed in range(10):
        bent = roughen(ramp, np.random.default_rng(seed), gamma=0.25)
        assert (bent >= ramp**1.25 - 1e-6).all() and (bent <= ramp**0.8 + 1e-6).all()
        stretched = roughen(ramp, np.random.default_rng(seed), contrast=0.15)
        assert stretched.mean() == pytest.approx(ramp.mean())
        assert 0.85 <= stretched.std() / ramp.std() <= 1.15
