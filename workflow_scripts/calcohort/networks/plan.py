"""What is trained, and how: a plan that decides every step. Knows no TensorFlow."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

from calcohort.outcomes import UserError

PRECISIONS = ("float32", "bfloat16", "float16")
SCHEDULES = ("cosine", "plateau", "constant")
LOWEST_RATE = 0.01
"""The cosine's last learning rate over the first."""
PATIENCE_EPOCHS, PLATEAU_FACTOR, PLATEAU_CHANGE = 10, 0.5, 1e-3


def level_filters(filters: int | Sequence[int], depth: int) -> list[int]:
    """Return the filters of each level: doubled at each step, to at most ten times the first.

    >>> level_filters(32, 5)
    [32, 64, 128, 256, 320, 320]

    Where `filters` is a sequence, it says them itself; it must have ``depth + 1`` numbers.

    >>> level_filters([8, 16, 64], 2)
    [8, 16, 64]
    """
    if isinstance(filters, Sequence):
        if len(filters) != depth + 1:
            raise UserError(
                f"filters {list(filters)} are of {len(filters)} levels; "
                f"depth {depth} has {depth + 1}"
            )
        return list(filters)
    return [min(filters * 2**level, filters * 10) for level in range(depth + 1)]


@dataclass(frozen=True)
class Plan:
    """A training.

    Attributes
    ----------
    network : str
        "unet1" or "unet2".
    stages : tuple of (shape, steps)
        Field of view ``(k, j, i)`` and number of steps.
    filters : int or sequence of int
        Of the U-Net's first level, or of each (`level_filters`).
    depth : int
        Steps down.
    learning_rate : float
        Adam's at the start.
    mirror : bool
        The paper's horizontal flip. Off: mirrored hearts hardly occur in people, and the side tells
        the aorta from the pulmonary trunk.
    seed : int
        Of the initial weights, the order and the augmentation.
    batch : int
        Samples of one step, dealt to the processes. A process takes its share one after the other
        and adds up their gradients, so that a step needs the memory of one sample.
    schedule : str
        "cosine": the rate falls to a hundredth by half a cosine over the voxels to be seen;
        "plateau": it is halved after 10 epochs of a stage in which the mean loss has not fallen by
        0.001; "constant".
    precision : str
        Of the arithmetic; weights, norms, softmax and loss stay float32. "float16" scales the loss.
    xla : bool
        Compile the network with XLA: for GPUs.
    recompute : bool
        Keep only the blocks' outputs for the backward pass and compute the rest again: less memory
        for more time.
    ema : float
        Momentum of the weights' moving average, which is what is kept; 0 keeps the last weights.
    validate_every : int
        Epochs between validations; 0 validates at the end of each stage alone.
    augmentation : mapping of str to float
        Beyond the paper's: `augment.EXTRA` names them. 0 or absent is off.
    """

    network: str
    stages: tuple[tuple[tuple[int, int, int], int], ...]
    filters: int | Sequence[int] = 8
    depth: int = 5
    learning_rate: float = 1e-3
    mirror: bool = False
    seed: int = 0
    batch: int = 1
    schedule: str = "cosine"
    precision: str = "float32"
    xla: bool = False
    recompute: bool = False
    ema: float = 0.0
    validate_every: int = 0
    augmentation: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise UserError(f"{name} is {getattr(self, name)!r}; choose {', '.join(known)}")
        level_filters(self.filters, self.depth)
        step = 2**self.depth
        for shape, _ in self.stages:
            if any(side % step or side < step for side in shape):
                raise UserError(
                    f"the field of view {shape} does not suit depth {self.depth}: "
                    f"every side must be a multiple of {step}"
                )

    def rate_at(self, step: int, rows: Sequence[Mapping[str, Any]] = ()) -> float:
        """Return the learning rate of a step; `rows` are those of the log so far."""
        if self.schedule == "cosine":
            seen = self.voxels(0, step) / self.voxels(0, self.steps)
            share = (1 + math.cos(math.pi * seen)) / 2
            return self.learning_rate * (LOWEST_RATE + (1 - LOWEST_RATE) * share)
        if self.schedule == "plateau":
            return self.learning_rate * PLATEAU_FACTOR ** _plateaus(rows)
        return self.learning_rate

    def voxels(self, first: int, stop: int) -> int:
        """Return the voxels of the fields of view from step `first` to before `stop`."""
        return self._seen[stop] - self._seen[first]

    @cached_property
    def _seen(self) -> list[int]:
        every = (math.prod(shape) for shape, steps in self.stages for _ in range(steps))
        return list(accumulate(every, initial=0))

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

    def stage_ends(self, done: int) -> bool:
        """Tell whether a stage is over after `done` steps."""
        return done in accumulate(steps for _, steps in self.stages)

    def plain(self) -> dict[str, Any]:
        """Return the plan as JSON would give it back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Plan":
        """Return the plan that `plain` was made of."""
        stages = tuple((tuple(shape), steps) for shape, steps in plain["stages"])
        return cls(**{**plain, "stages": stages})


def _plateaus(rows: Sequence[Mapping[str, Any]]) -> int:
    """Count how often the loss stood still, each stage's losses by themselves."""
    count, best, waited, shape = 0, math.inf, 0, None
    for row in rows:
        if row["shape"] != shape:
            shape, best, waited = row["shape"], math.inf, 0
        if row["loss"] < best - PLATEAU_CHANGE:
            best, waited = row["loss"], 0
        else:
            waited += 1
        if waited == PATIENCE_EPOCHS:
            count, waited = count + 1, 0
    return count
