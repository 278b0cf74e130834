import csv
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import calcohort.networks
import keras
import numpy as np
import pytest
from calcohort.networks import data
from calcohort.networks.augment import draw_patch, shift_brightness
from calcohort.networks.data import Case, make_store
from calcohort.networks.losses import dice_and_cross_entropy, dice_score
from calcohort.networks.plan import Plan
from calcohort.networks.predict import (
    Network,
    block_means,
    load_network,
    mean_probability,
    read_ahead,
)
from calcohort.networks.train import train
from calcohort.networks.unet import InstanceNormalisation, build_unet, level_filters
from calcohort.outcomes import UserError
from calcohort.volume import Grid

LIBRARY = Path(calcohort.networks.__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("models") / "small.weights.h5"
    build_unet(filters=2, depth=3).save_weights(path)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small_volume(shape=(16, 24, 16)):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


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


def test_output_is_a_probability_on_the_inputs_grid():
    model = build_unet(2, 3)
    softmax = model.predict_on_batch(small_volume()[None, ..., None])
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


def test_loss_of_an_empty_truth_is_finite_and_dice_undefined():
    truth = np.zeros((1, 2, 2, 2), np.uint8)
    softmax = np.stack([np.ones(truth.shape), np.zeros(truth.shape)], -1).astype(np.float32)
    assert np.asarray(dice_and_cross_entropy(truth, softmax)) == pytest.approx([0], abs=1e-5)
    assert np.isnan(np.asarray(dice_score(truth, softmax))).all()


def test_probability_keeps_any_shape(weights):
    network = load_network(weights, digest(weights), filters=2, depth=3)
    array = small_volume((13, 16, 17))
    found = network.probability(array)
    assert found.shape == (13, 16, 17) and found.dtype == np.float32
    padded = np.pad(array, [(0, 3), (0, 0), (0, 7)], mode="edge")
    assert np.array_equal(found, network.probability(padded)[:13, :16, :17])


class Echo:
    """A model that gives back its input as the foreground's probability."""

    jit_compile = False

    def predict_on_batch(self, x):
        self.shape = x.shape[1:4]
        return np.concatenate([1 - x, x], axis=-1)


def test_blocks_are_averaged_and_their_centres_stay():
    model = Echo()
    network = Network(model, depth=2, block_kji=(1, 2, 4))
    k, j, i = np.meshgrid(np.arange(5), np.arange(9), np.arange(13), indexing="ij")
    plane = (0.02 * k + 0.03 * j + 0.01 * i).astype(np.float32)
    found = network.probability(plane)
    # 5 × 9 × 13 voxels are 5 × 5 × 4 blocks, padded to multiples of 4.
    assert model.shape == (8, 8, 4)
    assert found.shape == plane.shape and found.dtype == np.float32
    # Means and linear interpolation keep a plane, but for half a block at the edges.
    assert found[:, 1:7, 2:10] == pytest.approx(plane[:, 1:7, 2:10], abs=1e-6)
    assert found[:, 0, 2] == pytest.approx(0.02 * k[:, 0, 2] + 0.015 + 0.02, abs=1e-6)


def test_block_means_by_hand():
    array = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    # Rows 0 and 1: (0+1+4+5)/4, (2+3+6+7)/4; row 2 stands twice: (8+9)/2, (10+11)/2.
    assert block_means(array, (1, 2, 2)).tolist() == [[[2.5, 4.5], [8.5, 10.5]]]


@pytest.mark.parametrize("change", ["missing", "hash", "width", "depth"])
def test_wrong_weights_are_one_sentence(weights, tmp_path, change):
    path, sha256, filters, depth = weights, digest(weights), 2, 3
    if change == "missing":
        path = tmp_path / "none.weights.h5"
    sha256 = "0" * 64 if change == "hash" else sha256
    filters = 4 if change == "width" else filters
    depth = 4 if change == "depth" else depth
    with pytest.raises(UserError, match="the weights") as problem:
        load_network(path, sha256, filters, depth)
    assert len(str(problem.value).splitlines()) == 1


def test_a_missing_gpu_is_never_a_silent_cpu():
    if keras.distribution.list_devices("gpu"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="gpu"):
        Network(build_unet(2, 1), 1, device="gpu")


def test_same_weights_same_output_on_jax(weights, tmp_path):
    pytest.importorskip("jax")
    expected = load_network(weights, digest(weights), 2, 3).probability(small_volume())
    np.save(tmp_path / "in.npy", small_volume())
    code = f"""
        import numpy as np
        from calcohort.networks.predict import load_network
        import keras, sys
        network = load_network({str(weights)!r}, {digest(weights)!r}, 2, 3)
        np.save("out.npy", network.probability(np.load("in.npy")))
        print(keras.backend.backend(), "tensorflow" in sys.modules)
    """
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["jax", "False"]
    assert np.load(tmp_path / "out.npy") == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.01


def test_a_worker_starts_without_libraries_that_it_does_not_use_and_can_import_them_later():
    code = """
        import sys
        import calcohort.networks.predict
        print(*{"sklearn", "matplotlib", "jax"} & sys.modules.keys())
        import jax, matplotlib.pyplot, sklearn.base
    """
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_read_ahead_delivers_an_error_with_its_item():
    def read(item):
        if item == 2:
            raise OSError("cannot read 2")
        return item * 10

    results = {}
    for item, future in read_ahead([1, 2, 3], read):
        results[item] = str(future.exception()) if future.exception() else future.result()
    assert results == {1: 10, 2: "cannot read 2", 3: 30}


def test_an_ensemble_is_the_mean_of_its_networks_and_their_mirrored_views():
    array = small_volume()
    networks = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        networks.append(Network(build_unet(filters=2, depth=2), depth=2))
    straight = [network.probability(array) for network in networks]
    mirrored = [network.probability(array[..., ::-1].copy())[..., ::-1] for network in networks]
    assert np.array_equal(mean_probability(networks[:1], array), straight[0])
    assert mean_probability(networks, array) == pytest.approx(np.mean(straight, axis=0), abs=1e-6)
    both = mean_probability(networks, array, mirror=True)
    assert both == pytest.approx(np.mean(straight + mirrored, axis=0), abs=1e-6)
    assert np.abs(both - mean_probability(networks, array)).max() > 1e-3


def test_read_ahead_reads_the_next_item_while_this_one_is_worked_on():
    begun = {item: threading.Event() for item in range(3)}
    for item, future in read_ahead(range(3), lambda item: begun[item].set()):
        future.result()
        assert item == 2 or begun[item + 1].wait(5)
        assert item > 0 or not begun[2].is_set()


def test_reserved_seeds_are_refused(tmp_path):
    with pytest.raises(UserError, match="seed 99999 is reserved"):
        list(
            make_store(
                tmp_path, "unet2", (2, 2, 2), [Case("wide", 1_000_000), Case("wide", 99_999)]
            )
        )


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
    image = small_volume()
    changed = [shift_brightness(image, np.random.default_rng(seed)) for seed in range(20)]
    shifts = [other - image for other in changed]
    assert 0 < sum(not shift.any() for shift in shifts) < 20
    assert all(np.ptp(shift) < 1e-6 and np.abs(shift).max() <= 0.1 + 1e-6 for shift in shifts)
    assert np.array_equal(changed[3], shift_brightness(image, np.random.default_rng(3)))
    assert all(other.dtype == np.float32 for other in changed)


@pytest.fixture
def store(tmp_path):
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        label = np.zeros((16, 16, 16), np.uint8)
        label[4:12, 5:13, 3:12] = 1
        image = 0.3 + 0.4 * label + rng.normal(0, 0.05, label.shape)
        folder = tmp_path / "store" / "unet2"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{seed}_image.npy", image.astype(np.float16))
        np.save(folder / f"{seed}_label.npy", label)
    return tmp_path / "store"


PLAN = Plan("unet2", (((16, 16, 16), 30), ((8, 8, 8), 2)), filters=2, depth=2, learning_rate=0.01)


def run_training(plan, store, folder):
    train(plan, store, ["1", "2"], ["3"], folder, folder / "out.weights.h5")
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_training_learns_validates_and_resumes_where_it_was_killed(store, tmp_path, monkeypatch):
    whole = run_training(PLAN, store, tmp_path / "whole")
    assert [int(row["step"]) for row in whole] == list(range(2, 33, 2))
    assert float(whole[14]["loss"]) < 0.5 * float(whole[0]["loss"])
    assert [bool(row["validation_dice_mean"]) for row in whole] == [False] * 14 + [True] * 2

    from calcohort.networks import steps as module

    class KilledError(Exception):
        pass

    learn, calls = module.Training.learn, []

    def killed(self, *sample):
        calls.append(1)
        if len(calls) == 14:
            raise KilledError
        return learn(self, *sample)

    monkeypatch.setattr(module.Training, "learn", killed)
    with pytest.raises(KilledError):
        run_training(PLAN, store, tmp_path / "killed")
    monkeypatch.undo()
    resumed = run_training(PLAN, store, tmp_path / "killed")
    assert [row["step"] for row in resumed] == [row["step"] for row in whole]
    assert [float(row["loss"]) for row in resumed] == pytest.approx(
        [float(row["loss"]) for row in whole], abs=0.01
    )
    with pytest.raises(UserError, match="another plan"):
        run_training(Plan("unet2", PLAN.stages, filters=4, depth=2), store, tmp_path / "whole")


def test_a_loss_that_is_no_number_stops_the_training(store, tmp_path):
    image = np.load(store / "unet2" / "1_image.npy")
    np.save(store / "unet2" / "1_image.npy", np.full_like(image, np.nan))
    with pytest.raises(UserError, match="not a number"):
        run_training(PLAN, store, tmp_path / "run")


@pytest.fixture
def small_phantom(monkeypatch):
    """A root of 6 × 10 × 14 mm in a scan of 40 mm a side, rendered at the voxels' centres."""
    scan = Grid((40, 40, 40), np.eye(4))

    def render(anatomy, grid):
        k, j, i = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)[::-1]
        root = (abs(k - 22.5) < 3) & (abs(j - 17.5) < 5) & (abs(i - 18.5) < 7)
        return SimpleNamespace(hu=np.where(root, 400, 100).astype(np.int16), root=root)

    corners = [[11.5, 12.5, 19.5], [25.5, 22.5, 25.5]]
    family = SimpleNamespace(
        draw=lambda seed: SimpleNamespace(seed=seed),
        scan_grid=lambda patient: scan,
        root_box=lambda patient: np.array(corners),
        render=render,
    )
    monkeypatch.setitem(data.FAMILIES, "small", family)
    monkeypatch.setattr(data, "CROP_SHAPE", (36, 36, 36))
    return data


def test_unet1_learns_the_filled_box_on_the_downscaled_scan(small_phantom):
    image, box = small_phantom.scan_and_box(Case("small", 5), (1, 1, 1))
    assert image.shape == box.shape == (40, 20, 20)
    # Centres of every two rows lie at 0.5, 2.5 …: of rows 13 to 22 at 12.5 … 22.5, strictly inside
    # 14.5, 16.5, 18.5, 20.5, and 12.5, 22.5 are on the edge; of columns 12 to 25 12.5 … 24.5.
    assert box.sum() == 6 * 4 * 7 and box[20:26, 7:11, 6:13].all()
    image, box = small_phantom.scan_and_box(Case("small", 5), (2, 2, 2))
    assert image.shape == (20, 10, 10) and box.any(axis=(1, 2)).sum() == 3


def test_unet2_learns_the_root_in_a_crop_that_is_air_outside_the_scan(small_phantom):
    image, root = small_phantom.crop_and_root(Case("small", 5), (1, 1, 1))
    assert image.shape == root.shape == (36, 36, 36)
    assert root.sum() == 6 * 10 * 14
    assert (image[root] == 1).all() and image.min() == 0
    # 340 of 400 HU is the ceiling, -1024 the air: tissue of 100 HU is 1124 / 1364.
    assert np.unique(image) == pytest.approx([0, 1124 / 1364, 1], abs=1e-6)
    slices = (image > 0).sum(axis=0).max(), (image > 0).sum(axis=1).max()
    assert max(slices) <= 36 and min(slices) < 36


def test_store_is_made_once_and_the_same_for_a_seed(small_phantom, tmp_path, monkeypatch):
    monkeypatch.setattr(small_phantom, "ProcessPoolExecutor", ThreadPoolExecutor)
    cases = [Case("small", seed) for seed in (1_000_000, 1_000_001)]
    made = ["small-1000000", "small-1000001"]
    assert list(make_store(tmp_path / "a", "unet2", (2, 2, 2), cases)) == made
    assert list(make_store(tmp_path / "b", "unet2", (2, 2, 2), cases[1:])) == made[1:]
    names = ["small-1000001_image.npy", "small-1000001_label.npy"]
    for name in names:
        assert (tmp_path / "a/unet2" / name).read_bytes() == (
            tmp_path / "b/unet2" / name
        ).read_bytes()
    first = np.load(tmp_path / "a/unet2/small-1000000_image.npy")
    assert first.dtype == np.float16
    assert not np.array_equal(first, np.load(tmp_path / "a/unet2/small-1000001_image.npy"))
    small_phantom.FAMILIES["small"].draw = None
    assert list(make_store(tmp_path / "a", "unet2", (2, 2, 2), cases)) == made
