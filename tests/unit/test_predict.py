import hashlib
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import calcohort.networks
import keras
import numpy as np
import pytest
from calcohort.networks.predict import (
    Network,
    block_means,
    load_network,
    mean_probability,
    read_ahead,
)
from calcohort.networks.unet import build_unet
from calcohort.outcomes import UserError

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
