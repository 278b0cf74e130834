"""The largest field of view that a training's memory allows: found by taking steps."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

import calcohort
from calcohort.networks.plan import Plan
from calcohort.outcomes import UserError

LOOK_EVERY_S = 0.05
NO_MEMORY = 3
"""Exit status of a step that a GPU has no memory for."""


@dataclass(frozen=True)
class Trial:
    """One field of view, tried by two steps of the training.

    Attributes
    ----------
    shape_kji : tuple of int
        Voxels, or blocks of voxels where the network averages blocks.
    fits : bool
    memory_gib : float
        Most of the machine's memory that the process held, up to where it was stopped; a GPU's own
        memory is not in it.
    step_s : float or None
        Of the second step; None where it does not fit.
    """

    shape_kji: tuple[int, int, int]
    fits: bool
    memory_gib: float
    step_s: float | None


def fields_of_view(
    full_kji: Sequence[int], depth: int, eighths: Sequence[int] = (8, 7, 6, 5, 4, 3, 2, 1)
) -> list[tuple[int, int, int]]:
    """Return the full field of view and smaller ones, largest first.

    Each side is so many eighths of the full one, down to a multiple of ``2**depth``.

    >>> fields_of_view((224, 256, 256), 5, (8, 5, 1))
    [(224, 256, 256), (128, 160, 160), (32, 32, 32)]
    """
    step = 2**depth
    shapes = (
        tuple(max(side * part // 8 // step * step, step) for side in full_kji) for part in eighths
    )
    return list(dict.fromkeys(shapes))


def try_fields_of_view(
    plan: Plan, full_kji: Sequence[int], memory_gib: float, device: str
) -> Iterator[Trial]:
    """Try fields of view from the full one downwards until one fits.

    Each is tried by a process of its own, which takes two steps of the plan's training on noise.

    Parameters
    ----------
    plan : Plan
        Its stages are not looked at.
    full_kji : sequence of int
        The field of view of the inference, in the voxels (or blocks) that the network sees.
    memory_gib : float
        What the process may hold of the machine's memory; it is stopped when it holds more.
    device : str
        "cpu" or "gpu".

    Raises
    ------
    UserError
        When not even the smallest fits, or a step fails for another reason.
    """
    for shape in fields_of_view(full_kji, plan.depth):
        trial = _try(replace(plan, stages=((shape, 2),)), memory_gib, device)
        yield trial
        if trial.fits:
            return
    raise UserError(
        f"no field of view of {plan.filters} filters fits into {memory_gib:g} GiB; "
        "take fewer filters, blocks of voxels, or `recompute`"
    )


def _try(plan: Plan, memory_gib: float, device: str) -> Trial:
    with tempfile.TemporaryDirectory() as folder:
        job = {"plan": plan.plain(), "device": device, "found": f"{folder}/found.json"}
        taking = subprocess.Popen(
            [sys.executable, "-m", "calcohort.networks.field_of_view", json.dumps(job)],
            cwd=Path(calcohort.__file__).parents[1],
            stderr=subprocess.PIPE,
            text=True,
        )
        most = 0
        while taking.poll() is None and most <= memory_gib * 2**30:
            try:
                most = max(most, psutil.Process(taking.pid).memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(LOOK_EVERY_S)
        fits = most <= memory_gib * 2**30
        if not fits:
            taking.kill()
        told = taking.communicate()[1]
        if fits and taking.returncode not in (0, NO_MEMORY):
            last = told.strip().splitlines()[-1:] or [f"exit status {taking.returncode}"]
            raise UserError(f"a step at {plan.shape_at(0)} failed: {last[0]}")
        fits = fits and taking.returncode == 0
        step_s = json.loads(Path(job["found"]).read_text()) if fits else None
    return Trial(plan.shape_at(0), fits, round(most / 2**30, 2), step_s)


def _take_steps(job: dict) -> None:
    """Take two steps on noise and leave the seconds of the second."""
    import numpy as np
    import tensorflow as tf

    from calcohort.networks.steps import Training
    from calcohort.networks.workers import start_workers

    plan = Plan.from_plain(job["plan"])
    training = Training(plan, ["noise"], Path(job["found"]).parent, start_workers(job["device"]))
    image = np.random.default_rng(0).random(plan.shape_at(0), dtype=np.float32)
    try:
        for _ in range(2):
            started = time.monotonic()
            training.learn([(image, (image > 0.9).astype(np.float16))])
    except tf.errors.ResourceExhaustedError:
        sys.exit(NO_MEMORY)
    Path(job["found"]).write_text(json.dumps(round(time.monotonic() - started, 2)))


if __name__ == "__main__":
    try:
        _take_steps(json.loads(sys.argv[1]))
    except UserError as problem:
        sys.exit(str(problem))
