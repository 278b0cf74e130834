"""Training of the U-Nets: an own loop, so that it can be stopped, resumed and distributed.

A training is a list of stages, each with its field of view and its number of steps: cheap patches
first, the field of view of the inference last, because the statistics of instance normalisation
differ between the two. An epoch is as many steps as it takes to see all samples once. What step n
sees depends on the plan's seed and on n alone, so that a training that was killed goes on as if it
had not been, and any number of processes that divides the batch takes the same steps.
"""

import logging
import time
from pathlib import Path

import numpy as np

from calcohort.networks.augment import (
    GEOMETRY,
    cut_field,
    deform,
    draw_patch,
    flip,
    roughen,
    shift_brightness,
)
from calcohort.networks.data import read_sample
from calcohort.networks.plan import Plan
from calcohort.networks.predict import Network, read_ahead
from calcohort.networks.steps import Training
from calcohort.networks.workers import Workers
from calcohort.outcomes import UserError

log = logging.getLogger(__name__)


def train(
    plan: Plan,
    store: Path,
    training_names: list[str],
    validation_names: list[str],
    folder: Path,
    weights: Path,
    start_from: Path | None = None,
    workers: Workers | None = None,
) -> None:
    """Train a network and write its weights.

    Parameters
    ----------
    plan : Plan
        What is trained, and how.
    store : Path
        The samples.
    training_names, validation_names : list of str
        Samples to learn from, and to judge by at the full field of view after every stage.
    folder : Path
        Holds the checkpoint, `log.csv` and TensorBoard's files. A training found there is gone on
        with.
    weights : Path
        Where the ``.weights.h5`` go after every stage.
    start_from : Path, optional
        Weights to begin with, instead of random ones.
    workers : Workers, optional
        The processes that train together; this one alone when not given.

    Raises
    ------
    UserError
        When the loss or a weight stops being a number, the folder holds the training of another
        plan, the batch cannot be dealt to the processes evenly, or `start_from` does not fit.
    """
    workers = workers or Workers()
    if plan.batch % workers.size:
        raise UserError(
            f"a batch of {plan.batch} cannot be dealt evenly to {workers.size} processes; "
            "make `batch` a multiple of `processes`"
        )
    training = Training(plan, training_names, Path(folder), workers)
    if start_from:
        training.start_from(Path(start_from))
    training.resume()
    epoch_steps, figures = -(-len(training_names) // plan.batch), []
    started, first = time.monotonic(), training.step

    def read(step):
        mine = range(step * plan.batch + workers.rank, (step + 1) * plan.batch, workers.size)
        return [_draw(plan, store, training_names, number) for number in mine]

    for step, drawn in read_ahead(range(first, plan.steps), read):
        figures.append(training.learn(drawn.result()))
        done = step + 1
        stage_ends = plan.stage_ends(done)
        if not (stage_ends or done % epoch_steps == 0):
            continue
        scores, every = {}, plan.validate_every * epoch_steps
        if validation_names and (stage_ends or (every and done % every == 0)):
            scores = validate(training, store, validation_names, workers)
        if stage_ends:
            training.save(weights)
        passed = time.monotonic() - started
        row = training.keep(figures, scores, passed / 3600)
        left = passed * plan.voxels(done, plan.steps) / plan.voxels(first, done)
        log.info(
            "%s: step %d of %d, loss %s, Dice %s, validation %s, %.0f min left",
            plan.network, done, plan.steps, row["loss"], row["dice"],
            row["validation_dice_mean"] or "-", left / 60,
        )  # fmt: skip
        figures = []
    training.save(weights)


def validate(
    training: Training, store: Path, names: list[str], workers: Workers
) -> dict[str, float]:
    """Dice of each sample of `names` at its whole field of view; each process judges its share."""
    plan, scores = training.plan, {}
    with training.kept_weights() as model:
        network = Network(model, plan.depth, training.device)
        for name in names[workers.rank :: workers.size]:
            sample = read_sample(store, name, plan.network)
            found, truth = network.probability(sample.image) >= 0.5, sample.label >= 0.5
            scores[name] = float(2 * (found & truth).sum() / (found.sum() + truth.sum()))
            log.info("%s: validation sample %s, Dice %.4f", plan.network, name, scores[name])
    return workers.join(scores)


def _draw(plan: Plan, store: Path, names: list[str], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image and label of the training's sample `number`, counted from 0."""
    order = np.random.default_rng([plan.seed, number // len(names)]).permutation(len(names))
    rng = np.random.default_rng([plan.seed, number, 1])
    sample = read_sample(store, names[order[number % len(names)]], plan.network)
    shape = plan.shape_at(number // plan.batch)
    image, label = draw_patch(sample.image, sample.label, shape, rng, 2**plan.depth)
    extra = {name: amount for name, amount in plan.augmentation.items() if amount}
    bending = {name: extra.pop(name) for name in GEOMETRY if name in extra}
    if bending:
        image, label = deform(image, label, rng, **bending)
    if plan.mirror:
        image, label = flip(image, label, rng)
    if "field" in extra:
        image = cut_field(image, label, rng, extra.pop("field"))
    if extra:
        image = roughen(image, rng, **extra)
    image = shift_brightness(image, rng)
    return image, np.ascontiguousarray(label)
