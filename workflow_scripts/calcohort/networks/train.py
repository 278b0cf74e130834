"""Training of the U-Nets: an own loop, so that it can be stopped, resumed and distributed.

A training is a list of stages, each with its field of view and its number of steps: cheap patches
first, the field of view of the inference last, because the statistics of instance normalisation
differ between the two. One step is one phantom; one epoch is as many steps as there are training
phantoms. What step n sees depends on the plan's seed and on n alone, so that a training that was
killed goes on as if it had not been.
"""

import csv
import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from calcohort.networks.augment import draw_patch, flip, vary_luminance
from calcohort.networks.data import read_sample
from calcohort.networks.losses import dice_and_cross_entropy, dice_score
from calcohort.networks.predict import Network, read_ahead
from calcohort.networks.unet import build_unet
from calcohort.outcomes import UserError, atomic_path

log = logging.getLogger(__name__)

COLUMNS = ("step", "shape", "loss", "dice", "validation_dice_mean", "validation_dice_min", "hours")


@dataclass(frozen=True)
class Plan:
    """What is trained, and how.

    Attributes
    ----------
    network : str
        "unet1" or "unet2".
    stages : tuple of (shape, steps)
        Field of view ``(k, j, i)`` and number of steps.
    filters, depth : int
        Of the U-Net.
    learning_rate : float
        Adam's at the start; it falls to a hundredth by half a cosine over the voxels to be seen.
    mirror : bool
        The paper's horizontal flip. Off: mirrored hearts hardly occur in people, and the side tells
        the aorta from the pulmonary trunk.
    seed : int
        Of the initial weights, the order and the augmentation.
    """

    network: str
    stages: tuple[tuple[tuple[int, int, int], int], ...]
    filters: int = 8
    depth: int = 5
    learning_rate: float = 1e-3
    mirror: bool = False
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        seen = self.voxels(0, step) / self.voxels(0, self.steps)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * seen)) / 2)

    def voxels(self, first: int, stop: int) -> int:
        """Return the voxels of the fields of view from step `first` to before `stop`."""
        return sum(math.prod(self.shape_at(step)) for step in range(first, stop))

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(steps for _, steps in self.stages)

    def shape_at(self, step: int) -> tuple[int, int, int]:
        """Return the field of view of a step."""
        for shape, steps in self.stages:
            if step < steps:
                return shape
            step -= steps
        raise IndexError(f"the plan has {self.steps} steps")


def train(
    plan: Plan,
    store: Path,
    training_seeds: list[int],
    validation_seeds: list[int],
    folder: Path,
    weights: Path,
    start_from: Path | None = None,
) -> None:
    """Train a network and write its weights.

    Parameters
    ----------
    plan : Plan
        What is trained, and how.
    store : Path
        Samples made by `make_store`.
    training_seeds, validation_seeds : list of int
        Phantoms to learn from, and to judge by at the full field of view after every stage.
    folder : Path
        Holds the checkpoint and `log.csv`. A training found there is gone on with.
    weights : Path
        Where the ``.weights.h5`` go after every stage.
    start_from : Path, optional
        Weights to begin with, instead of random ones.

    Raises
    ------
    UserError
        When the loss stops being a number, or the folder holds the training of another plan.
    """
    training = Training(plan, Path(folder))
    if start_from:
        training.model.load_weights(start_from)
    training.resume()
    epoch, losses, dices = len(training_seeds), [], []
    started, first = time.monotonic(), training.step

    def read(step):
        return _draw(plan, store, training_seeds, step)

    for step, drawn in read_ahead(range(first, plan.steps), read):
        loss, dice = training.learn(*drawn.result())
        if not np.isfinite(loss):
            raise UserError(
                f"the loss of step {step + 1} is not a number; lower the learning rate "
                f"({plan.learning_rate:g}) and start again from an empty {folder}"
            )
        losses.append(loss)
        dices.append(dice)
        done = step + 1
        stage_ends = done == plan.steps or plan.shape_at(done) != plan.shape_at(step)
        if not (stage_ends or done % epoch == 0):
            continue
        row = dict.fromkeys(COLUMNS, "") | {
            "step": done,
            "shape": "x".join(map(str, plan.shape_at(step))),
            "loss": round(float(np.mean(losses)), 4),
            "dice": round(float(np.nanmean(dices)), 4),
        }
        if stage_ends:
            scores = validate(training.model, plan, store, validation_seeds)
            row["validation_dice_mean"] = round(float(np.mean(list(scores.values()))), 4)
            row["validation_dice_min"] = round(min(scores.values()), 4)
            with atomic_path(weights) as temporary:
                training.model.save_weights(temporary)
        passed = time.monotonic() - started
        row["hours"] = round(passed / 3600, 4)
        training.keep(row)
        left = passed * plan.voxels(done, plan.steps) / plan.voxels(first, done)
        log.info(
            "%s: step %d of %d, loss %s, Dice %s, validation %s, %.0f min left",
            plan.network, done, plan.steps, row["loss"], row["dice"],
            row["validation_dice_mean"] or "-", left / 60,
        )  # fmt: skip
        losses, dices = [], []


def validate(model: keras.Model, plan: Plan, store: Path, seeds: list[int]) -> dict[int, float]:
    """Dice of each phantom of `seeds` at the whole field of view of its sample."""
    network, scores = Network(model, plan.depth), {}
    for seed in seeds:
        sample = read_sample(store, seed, plan.network)
        found, truth = network.probability(sample.image) >= 0.5, sample.label > 0
        scores[seed] = float(2 * (found & truth).sum() / (found.sum() + truth.sum()))
        log.info("%s: validation phantom %d, Dice %.4f", plan.network, seed, scores[seed])
    return scores


class Training:
    """Model, optimiser and step, as they are kept in a folder."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        keras.utils.set_random_seed(plan.seed)
        self.plan, self.folder, self.step = plan, folder, 0
        self.model = build_unet(plan.filters, plan.depth)
        self.optimiser = keras.optimizers.Adam(plan.learning_rate)
        self.optimiser.build(self.model.trainable_variables)
        self._learn = tf.function(self._learn_eagerly)

    def learn(self, image: np.ndarray, label: np.ndarray) -> tuple[float, float]:
        """Take one step on ``image, label [k, j, i]``; return loss and Dice before it."""
        self.optimiser.learning_rate = self.plan.rate_at(self.step)
        loss, dice = self._learn(tf.constant(image[None, ..., None]), tf.constant(label[None]))
        self.step += 1
        return float(loss), float(dice)

    def _learn_eagerly(self, image, label):
        with tf.GradientTape() as tape:
            probability = self.model(image, training=True)
            loss = tf.reduce_mean(dice_and_cross_entropy(label, probability))
        variables = [variable.value for variable in self.model.trainable_variables]
        self.optimiser.apply(tape.gradient(loss, variables), self.model.trainable_variables)
        return loss, tf.reduce_mean(dice_score(label, probability))

    def keep(self, row: dict) -> None:
        """Write the checkpoint, then the log of all rows so far."""
        values = [variable.numpy() for variable in self._variables()]
        self.rows = [*getattr(self, "rows", []), row]
        state = json.dumps({"plan": _plain(self.plan), "step": self.step, "rows": self.rows})
        with atomic_path(self.folder / "checkpoint.npz") as temporary:
            np.savez(temporary, *values, state=state)
        with (
            atomic_path(self.folder / "log.csv") as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        path = self.folder / "checkpoint.npz"
        if not path.exists():
            return
        with np.load(path) as kept:
            state = json.loads(str(kept["state"]))
            if state["plan"] != _plain(self.plan):
                raise UserError(
                    f"{self.folder} holds the training of another plan; "
                    "name another folder or remove it"
                )
            for number, variable in enumerate(self._variables()):
                variable.assign(kept[f"arr_{number}"])
        self.step, self.rows = state["step"], state["rows"]
        log.info("%s: going on after step %d", self.plan.network, self.step)

    def _variables(self):
        return self.model.variables + self.optimiser.variables


def _draw(plan: Plan, store: Path, seeds: list[int], step: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng([plan.seed, step // len(seeds)]).permutation(seeds)
    rng = np.random.default_rng([plan.seed, step, 1])
    sample = read_sample(store, int(order[step % len(seeds)]), plan.network)
    smaller_by = 2**plan.depth
    image, label = draw_patch(sample.image, sample.label, plan.shape_at(step), rng, smaller_by)
    if plan.mirror:
        image, label = flip(image, label, rng)
    return vary_luminance(image, rng), np.ascontiguousarray(label)


def _plain(plan: Plan) -> dict:
    return json.loads(json.dumps(asdict(plan)))
