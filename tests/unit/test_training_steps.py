import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from calcohort.networks.plan import Plan
from calcohort.networks.steps import Training
from calcohort.networks.train import _draw, train
from calcohort.networks.workers import Workers
from calcohort.outcomes import MACHINE_TROUBLE, UserError, write_record
from training_store import NAMES, make_training_store

LIBRARY = Path(__file__).parents[2] / "workflow_scripts"
PLAN = Plan("unet2", (((16, 16, 16), 8),), filters=2, depth=2, learning_rate=0.01)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_training_store(tmp_path_factory.mktemp("store"))


def steps(plan, store, folder, count=3):
    """Figures of the first steps, and the weights after them."""
    training = Training(plan, NAMES, folder, Workers())
    figures = []
    for step in range(count):
        numbers = range(step * plan.batch, (step + 1) * plan.batch)
        figures.append(training.learn([_draw(plan, store, NAMES, n) for n in numbers]))
    return np.array(figures), [variable.numpy() for variable in training.model.variables]


def farthest(some, others):
    return max(np.abs(a - b).max() for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize(
    ("change", "of_loss"),
    [
        ({"precision": "bfloat16"}, 0.03),
        ({"precision": "float16"}, 0.005),
        ({"xla": True}, 1e-4),
        ({"recompute": True}, 1e-4),
    ],
)
def test_precision_compiler_and_recomputation_do_not_change_the_curve(
    store, tmp_path, change, of_loss
):
    expected, _ = steps(PLAN, store, tmp_path)
    found, weights = steps(replace(PLAN, **change), store, tmp_path)
    assert found[:, 0] == pytest.approx(expected[:, 0], abs=of_loss)
    assert found[0, 0] != pytest.approx(found[2, 0], abs=1e-3)
    assert all(weight.dtype == np.float32 for weight in weights)


def test_a_batch_of_four_steps_along_the_mean_gradient_of_its_samples(store, tmp_path):
    plan = replace(PLAN, batch=4)
    training = Training(plan, NAMES, tmp_path, Workers())
    samples = [_draw(plan, store, NAMES, number) for number in range(4)]
    gradients = [
        training._gradients(tf.constant(image[None, ..., None]), tf.constant(label[None]))[1]
        for image, label in samples
    ]
    before = [variable.numpy() for variable in training.model.trainable_variables]
    training.learn(samples)
    moved = 0
    for number, variable in enumerate(training.model.trainable_variables):
        mean = np.mean([gradient[number] for gradient in gradients], axis=0)
        clear = np.abs(mean) > 1e-3
        # Adam's first step is rate · g / (|g| + 1e-7 / √0.001): the rate against the sign.
        change = variable.numpy() - before[number]
        assert change[clear] == pytest.approx(-0.01 * np.sign(mean[clear]), rel=0.01)
        moved += clear.sum()
    assert moved > 100


def test_the_moving_average_is_what_is_kept(store, tmp_path):
    training = Training(replace(PLAN, ema=0.5), NAMES, tmp_path, Workers())
    kernel = training.model.trainable_variables[0]
    seen = []
    for number in range(3):
        training.learn([_draw(PLAN, store, NAMES, number)])
        seen.append(kernel.numpy())
    # The average begins at the first step's weights and takes half of each later one.
    expected = seen[0] / 4 + seen[1] / 4 + seen[2] / 2
    with training.kept_weights() as model:
        assert model.trainable_variables[0].numpy() == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(kernel.numpy(), seen[2])


def test_a_full_disk_keeps_the_last_good_checkpoint(store, tmp_path):
    training = Training(PLAN, NAMES, tmp_path, Workers())
    training.keep([training.learn([_draw(PLAN, store, NAMES, 0)])], {}, 0.0)
    good = (tmp_path / "checkpoint.npz").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    figures = [training.learn([_draw(PLAN, store, NAMES, 1)])]
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, hard))
    try:
        with pytest.raises(OSError) as problem:
            training.keep(figures, {}, 0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert problem.value.errno in MACHINE_TROUBLE
    assert (tmp_path / "checkpoint.npz").read_bytes() == good
    again = Training(PLAN, NAMES, tmp_path, Workers())
    again.resume()
    assert again.step == 1


def test_a_weight_that_is_no_number_is_never_kept(store, tmp_path):
    training = Training(PLAN, NAMES, tmp_path, Workers())
    figures = [training.learn([_draw(PLAN, store, NAMES, 0)])]
    training.model.variables[0].assign(np.full(training.model.variables[0].shape, np.nan))
    with pytest.raises(UserError, match="a weight is not a number after step 1"):
        training.keep(figures, {}, 0.0)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_tensorboard_has_the_numbers_of_the_log(store, tmp_path):
    train(PLAN, store, NAMES, [], tmp_path, tmp_path / "out.weights.h5")
    log = pd.read_csv(tmp_path / "log.csv")
    found = {}
    for file in sorted((tmp_path / "tensorboard").iterdir()):
        for raw in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(raw.numpy())
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert list(log["step"]) == [4, 8]
    assert [found["loss", step] for step in (4, 8)] == pytest.approx(list(log["loss"]), abs=1e-6)


def test_a_batch_that_the_processes_cannot_share_is_refused(store, tmp_path):
    class Three(Workers):
        size = 3

    with pytest.raises(UserError, match="a batch of 4 cannot be dealt evenly to 3 processes"):
        train(replace(PLAN, batch=4), store, NAMES, [], tmp_path, tmp_path / "w.h5", None, Three())


def start_worker(store, folder, weights):
    job = {
        "plan": replace(PLAN, stages=(((16, 16, 16), 24),), ema=0.9).plain(),
        "store": str(store), "training_names": NAMES, "validation_names": NAMES[:1],
        "folder": str(folder), "weights": str(weights), "start_from": None, "device": "cpu",
    }  # fmt: skip
    write_record(folder / "job.json", job)
    single = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "calcohort.networks.worker", folder / "job.json"],
        env=os.environ | single | {"PYTHONPATH": str(LIBRARY), "TF_DETERMINISTIC_OPS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def weights_in(path):
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda _, part: found.append(part[()]) if hasattr(part, "shape") else None)
    return found


def test_killed_it_goes_on_to_the_same_end(store, tmp_path):
    killed = start_worker(store, tmp_path / "killed", tmp_path / "killed.weights.h5")
    while not (tmp_path / "killed/checkpoint.npz").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed.weights.h5").exists()

    told = {}
    for name in ("killed", "whole"):
        worker = start_worker(store, tmp_path / name, tmp_path / f"{name}.weights.h5")
        told[name] = worker.communicate()[1]
        assert worker.returncode == 0, told[name]
    assert "going on after step" in told["killed"]
    ends = [weights_in(tmp_path / f"{name}.weights.h5") for name in ("killed", "whole")]
    assert len(ends[0]) > 20
    assert farthest(*ends) <= 1e-6
