"""Model, optimiser and one step of a training, as they are kept in a folder."""

import contextlib
import csv
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from calcohort.networks.board import write_scalars
from calcohort.networks.losses import dice_and_cross_entropy, dice_score
from calcohort.networks.plan import Plan
from calcohort.networks.recompute import recomputing
from calcohort.networks.unet import build_unet, load_weights
from calcohort.networks.workers import Workers
from calcohort.outcomes import UserError, atomic_path

log = logging.getLogger(__name__)

COLUMNS = (
    "step", "shape", "learning_rate", "loss", "dice",
    "validation_dice_mean", "validation_dice_min", "hours",
)  # fmt: skip


class Training:
    """A network in training.

    Parameters
    ----------
    plan : Plan
        What is trained, and how.
    names : list of str
        The samples that it learns from.
    folder : Path
        Of `checkpoint.npz`, `log.csv` and TensorBoard's files; only the first process writes.
    workers : Workers
        The processes that train together.
    """

    def __init__(self, plan: Plan, names: list[str], folder: Path, workers: Workers) -> None:
        keras.utils.set_random_seed(plan.seed)
        self.plan, self.folder, self.workers = plan, folder, workers
        self.step, self.rows = 0, []
        self.identity = plan.plain() | {"samples": list(names)}
        self.device = "gpu" if tf.config.get_visible_devices("GPU") else "cpu"
        policy = None if plan.precision == "float32" else f"mixed_{plan.precision}"
        self.model = build_unet(plan.filters, plan.depth, dtype=policy)
        self._probability = recomputing(self.model) if plan.recompute else self.model
        average = {"use_ema": True, "ema_momentum": plan.ema} if plan.ema else {}
        self.adam = keras.optimizers.Adam(plan.learning_rate, **average)
        scaled = plan.precision == "float16"
        self.optimiser = keras.optimizers.LossScaleOptimizer(self.adam) if scaled else self.adam
        self.optimiser.build(self.model.trainable_variables)
        self._forward = tf.function(self._judge, jit_compile=plan.xla)
        self._gradients = tf.function(self._differentiate)
        self._apply = tf.function(self._change)

    def start_from(self, weights: Path) -> None:
        """Load weights to begin with."""
        load_weights(self.model, weights, self.plan.filters, self.plan.depth)

    def learn(self, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Take one step on this process's share of the batch.

        Parameters
        ----------
        samples : sequence of (image, label), each ``[k, j, i]``

        Returns
        -------
        ndarray, (3,)
            Means over the whole batch, before the step: loss, Dice (0 where undefined), and the
            part of samples whose Dice is defined.

        Raises
        ------
        UserError
            When the loss is not a number, in all processes alike.
        """
        self.adam.learning_rate = self.plan.rate_at(self.step, self.rows)
        total, figures = None, []
        for image, label in samples:
            found, gradients = self._gradients(
                tf.constant(image[None, ..., None]), tf.constant(label[None])
            )
            figures.append(found.numpy())
            total = gradients if total is None else list(map(tf.add, total, gradients))
        mean = self.workers.mean(np.mean(figures, axis=0))
        if not np.isfinite(mean[0]):
            self._stop(f"the loss of step {self.step + 1} is not a number")
        self._apply([gradient / len(samples) for gradient in total])
        self.step += 1
        return mean

    def _judge(self, image, label):
        probability = self._probability(image)
        loss = tf.reduce_mean(dice_and_cross_entropy(label, probability))
        return loss, tf.reduce_mean(dice_score(label, probability))

    def _differentiate(self, image, label):
        with tf.GradientTape() as tape:
            loss, dice = self._forward(image, label)
            scaled = self.optimiser.scale_loss(loss)
        variables = [variable.value for variable in self.model.trainable_variables]
        gradients = self.workers.tape(tape).gradient(scaled, variables)
        defined = tf.math.is_finite(dice)
        figures = tf.stack([loss, tf.where(defined, dice, 0), tf.cast(defined, tf.float32)])
        return figures, gradients

    def _change(self, gradients):
        self.optimiser.apply(gradients, self.model.trainable_variables)

    @contextlib.contextmanager
    def kept_weights(self) -> Iterator[keras.Model]:
        """Lend the model with the weights that are kept: the moving average where there is one."""
        if not self.plan.ema or not self.step:
            yield self.model
            return
        variables = self.model.trainable_variables
        last = [variable.numpy() for variable in variables]
        self.adam.finalize_variable_values(variables)
        try:
            yield self.model
        finally:
            for variable, value in zip(variables, last, strict=True):
                variable.assign(value)

    def keep(self, figures: Sequence[np.ndarray], scores: dict[str, float], hours: float) -> dict:
        """Write the checkpoint, then the log of all epochs so far; return this epoch's row.

        Parameters
        ----------
        figures : sequence of ndarray
            What `learn` returned in this epoch.
        scores : dict
            Dice of each validation sample; may be empty.
        hours : float
            Since this process began.
        """
        loss, dice, defined = np.mean(figures, axis=0)
        row = dict.fromkeys(COLUMNS, "") | {
            "step": self.step,
            "shape": "x".join(map(str, self.plan.shape_at(self.step - 1))),
            "learning_rate": float(f"{self.plan.rate_at(self.step - 1, self.rows):.4g}"),
            "loss": round(float(loss), 4),
            "dice": round(float(dice / defined), 4) if defined else "",
            "hours": round(hours, 4),
        }
        if scores:
            row["validation_dice_mean"] = round(float(np.mean(list(scores.values()))), 4)
            row["validation_dice_min"] = round(min(scores.values()), 4)
        values = [variable.numpy() for variable in self._variables()]
        if not all(np.isfinite(value).all() for value in values):
            self._stop(f"a weight is not a number after step {self.step}")
        self.rows.append(row)
        if self.workers.rank == 0:
            self._write(values)
        return row

    def _write(self, values: list[np.ndarray]) -> None:
        state = json.dumps({"of": self.identity, "step": self.step, "rows": self.rows})
        with atomic_path(self.folder / "checkpoint.npz") as temporary:
            np.savez(temporary, *values, state=state)
        self._write_log()
        write_scalars(self.folder / "tensorboard", self.rows[-1])

    def _write_log(self) -> None:
        with (
            atomic_path(self.folder / "log.csv") as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)

    def save(self, weights: Path) -> None:
        """Write the weights that are kept, and the log again where a killed training lost it."""
        if self.workers.rank == 0:
            with self.kept_weights() as model, atomic_path(weights) as temporary:
                model.save_weights(temporary)
            self._write_log()

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one; all processes then agree."""
        if self.workers.rank == 0:
            self._read()
        kept = {"step": self.step, "rows": self.rows}
        kept = self.workers.share(self._variables(), kept)
        self.step, self.rows = kept["step"], kept["rows"]
        if self.step:
            log.info("%s: going on after step %d", self.plan.network, self.step)

    def _read(self) -> None:
        path = self.folder / "checkpoint.npz"
        if not path.exists():
            return
        with np.load(path) as kept:
            state = json.loads(str(kept["state"]))
            if state["of"] != self.identity:
                raise UserError(
                    f"{self.folder} holds the training of another plan; "
                    "name another folder or remove it"
                )
            for number, variable in enumerate(self._variables()):
                variable.assign(kept[f"arr_{number}"])
        self.step, self.rows = state["step"], state["rows"]

    def _variables(self) -> list:
        return self.model.variables + self.optimiser.variables

    def _stop(self, found: str) -> None:
        raise UserError(
            f"{found}; lower the learning rate ({self.plan.learning_rate:g}) and start again from "
            f"an empty {self.folder}, which keeps its last good checkpoint until then"
        )
