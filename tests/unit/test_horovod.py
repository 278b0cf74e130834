"""Two real Horovod processes over Gloo. `make horovod` builds what they need."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest
from calcohort.networks.plan import Plan
from calcohort.outcomes import UserError
from calcohort.training.job import run_job
from training_store import NAMES, make_training_store

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("horovod") is None, reason="Horovod is not built: make horovod"
)
LIBRARY = Path(__file__).parents[2] / "workflow_scripts"
PLAN = Plan("unet2", (((16, 16, 16), 8),), filters=2, depth=2, learning_rate=0.01, batch=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_training_store(tmp_path_factory.mktemp("store"))


SCRIPT = """
    import hashlib, json
    import numpy as np, tensorflow as tf
    from pathlib import Path
    from calcohort.networks.plan import Plan
    from calcohort.networks.steps import Training
    from calcohort.networks.train import _draw
    from calcohort.networks.workers import Workers, start_workers

    plan, store, names = Plan.from_plain(json.loads({plan!r})), {store!r}, {names!r}
    workers = start_workers()
    together = Training(plan, names, Path("together"), workers)
    alone = Training(plan, names, Path("alone"), Workers())
    if workers.rank:  # what the first process has must reach the others
        for variable in together.model.variables:
            variable.assign(variable.numpy() + 1)
    together.resume()

    def gradients(training, number):
        image, label = _draw(plan, store, names, number)
        tensors = tf.constant(image[None, ..., None]), tf.constant(label[None])
        return [gradient.numpy() for gradient in training._gradients(*tensors)[1]]

    averaged = gradients(together, workers.rank)
    joined = [(a + b) / 2 for a, b in zip(gradients(alone, 0), gradients(alone, 1))]
    error = max(np.abs(a - b).max() for a, b in zip(averaged, joined))
    for step in range(3):
        together.learn([_draw(plan, store, names, 2 * step + workers.rank)])
    values = b"".join(variable.numpy().tobytes() for variable in together._variables())
    found = {{"error": float(error), "size": float(max(np.abs(g).max() for g in joined)),
              "weights": hashlib.sha256(values).hexdigest()}}
    found = workers.join({{workers.rank: found}})
    if workers.rank == 0:
        Path("found.json").write_text(json.dumps([found[0], found[1]]))
"""


def test_gradients_are_averaged_and_weights_stay_identical(store, tmp_path):
    plan = json.dumps(PLAN.plain())
    script = textwrap.dedent(SCRIPT).format(plan=plan, store=str(store), names=NAMES)
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [Path(sys.executable).parent / "horovodrun", "-np", "2", "--gloo",
         sys.executable, "script.py"],
        env=os.environ | {"PYTHONPATH": str(LIBRARY)}, cwd=tmp_path,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = json.loads((tmp_path / "found.json").read_text())
    assert max(first["error"], second["error"]) <= 1e-5 < first["size"]
    assert first["weights"] == second["weights"]


def test_two_processes_follow_the_curve_of_one_with_the_joined_batch(store, tmp_path):
    logs = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        run_job(
            replace(PLAN, validate_every=2),
            store=store,
            training_names=NAMES,
            validation_names=NAMES[:3],
            contents=["a"],
            folder=folder,
            weights=folder / "out.weights.h5",
            log=folder / "log.csv",
            start_from=None,
            device="cpu",
            processes=processes,
        )
        logs.append(pd.read_csv(folder / "log.csv").drop(columns="hours"))
    assert len(logs[0]) == 4 and logs[0]["validation_dice_mean"].notna().sum() == 2
    for column in logs[0].columns.drop("shape"):
        assert list(logs[1][column]) == pytest.approx(list(logs[0][column]), abs=5e-3, nan_ok=True)
    assert logs[0]["loss"].iloc[-1] < logs[0]["loss"].iloc[0] - 0.05


def test_a_mistake_ends_all_processes_with_one_sentence(store, tmp_path):
    with pytest.raises(UserError, match="a batch of 3 cannot be dealt evenly to 2 processes"):
        run_job(
            replace(PLAN, batch=3), store=store, training_names=NAMES, validation_names=[],
            contents=[], folder=tmp_path, weights=tmp_path / "w.weights.h5",
            log=tmp_path / "log.csv", start_from=None, device="cpu", processes=2,
        )  # fmt: skip


def test_one_killed_process_ends_the_training_and_the_next_start_goes_on(store, tmp_path):
    long = replace(PLAN, stages=(((16, 16, 16), 40),))

    def start(name, processes=2):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        run_job(
            long, store=store, training_names=NAMES, validation_names=[], contents=["a"],
            folder=folder, weights=folder / "out.weights.h5", log=folder / "log.csv",
            start_from=None, device="cpu", processes=processes,
        )  # fmt: skip
        return pd.read_csv(folder / "log.csv").drop(columns="hours")

    def second_process():
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.environ().get("HOROVOD_RANK") == "1":
                    return process

    def kill_one():
        while not list((tmp_path / "killed").glob("training-*/checkpoint.npz")):
            time.sleep(0.02)
        second_process().kill()

    killer = threading.Thread(target=kill_one)
    (tmp_path / "killed").mkdir()
    killer.start()
    with pytest.raises(UserError):
        start("killed")
    killer.join()
    assert not (tmp_path / "killed/out.weights.h5").exists()
    whole = start("whole", processes=1)
    pd.testing.assert_frame_equal(start("killed"), whole, atol=5e-3)
