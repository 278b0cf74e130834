"""A training as a job: the plan that the settings mean, run here or by several processes."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import calcohort
from calcohort.networks.plan import Plan
from calcohort.outcomes import UserError, write_record

PLAN_KEYS = (
    "learning_rate", "mirror", "seed", "batch", "schedule",
    "precision", "xla", "recompute", "ema", "validate_every", "augmentation",
)  # fmt: skip


def make_plan(network: str, settings: Mapping[str, Any], samples: int) -> Plan:
    """Return the plan that the config's section `training` means for a network.

    Parameters
    ----------
    network : str
        "unet1" or "unet2".
    settings : mapping
        The section; `settings[network]` holds `filters`, `depth` and `stages` in epochs.
    samples : int
        Number of training samples: an epoch is as many steps as see them all.

    Raises
    ------
    UserError
        When a field of view does not suit the depth.
    """
    own = settings[network]
    epoch_steps = -(-samples // settings["batch"])
    stages = tuple(
        (tuple(stage["shape_blocks_kji"]), stage["epochs"] * epoch_steps) for stage in own["stages"]
    )
    chosen = {key: settings[key] for key in PLAN_KEYS if key in settings}
    return Plan(network, stages, own["filters"], own["depth"], **chosen)


def run_job(
    plan: Plan,
    *,
    store: Path,
    training_names: Sequence[str],
    validation_names: Sequence[str],
    contents: Sequence[str],
    folder: Path,
    weights: Path,
    log: Path,
    start_from: str | None,
    device: str,
    processes: int,
) -> None:
    """Train, and write the weights and the log of the epochs.

    Parameters
    ----------
    plan : Plan
        What is trained.
    store : Path
        The samples.
    training_names, validation_names : sequence of str
        Samples to learn from and to judge by.
    contents : sequence of str
        Hashes of those samples: a job with other contents is another job.
    folder : Path
        Gets ``training-{hash}`` with the checkpoint. The hash is the job's, so that a killed job
        goes on and a changed one begins anew; what other jobs left in the folder is removed.
    weights, log : Path
        Where the results go.
    start_from : str or None
        Weights to begin with.
    device : str
        "cpu" or "gpu".
    processes : int
        More than one are started by `horovodrun` on this machine.

    Raises
    ------
    UserError
        See `networks.train.train`; or when Horovod is asked for and missing.
    """
    begin = hashlib.sha256(_start_bytes(start_from)).hexdigest() if start_from else None
    job = {
        "plan": plan.plain(),
        "contents": list(contents),
        "start_from_sha256": begin,
        "store": str(store),
        "training_names": list(training_names),
        "validation_names": list(validation_names),
        "start_from": start_from,
    }
    key = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:12]
    work = Path(folder) / f"training-{key}"
    for other in Path(folder).glob("training-*"):
        if other != work:
            shutil.rmtree(other)
    job |= {"folder": str(work), "weights": str(weights), "device": device}
    if processes > 1:
        _run_together(work / "job.json", job, processes)
    else:
        from calcohort.networks.worker import run

        run(job)
    shutil.copyfile(work / "log.csv", log)


def _start_bytes(start_from: str) -> bytes:
    if not Path(start_from).is_file():
        raise UserError(f"start_from: the weights {start_from} do not exist")
    return Path(start_from).read_bytes()


def _run_together(path: Path, job: Mapping[str, Any], processes: int) -> None:
    start = shutil.which("horovodrun", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not start:
        raise UserError(
            f"training.processes is {processes}, but Horovod is not installed; run `make horovod`"
        )
    write_record(path, dict(job))
    library = str(Path(calcohort.__file__).parents[1])
    module = [sys.executable, "-m", "calcohort.networks.worker", str(path)]
    with subprocess.Popen(
        [start, "-np", str(processes), "--gloo", *module],
        env=os.environ | {"PYTHONPATH": library},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        told = ""
        for line in running.stdout:
            sys.stderr.write(line)
            told = (re.search(r" ERROR (.+)", line) or [told, told])[1]
    if running.returncode:
        raise UserError(told or f"horovodrun ended with status {running.returncode}")
