"""The processes of one training: Horovod's under `horovodrun`, otherwise this one alone."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from calcohort.outcomes import UserError


class Workers:
    """A process that trains alone.

    Attributes
    ----------
    rank, size : int
        This process's number and how many there are.
    local_rank : int
        Its number on its machine.
    """

    rank, size, local_rank = 0, 1, 0

    def tape(self, tape: tf.GradientTape) -> tf.GradientTape:
        """Return a tape whose gradients are the mean over the processes."""
        return tape

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of `values` over the processes."""
        return values

    def share(self, variables: list, state: Any) -> Any:
        """Give every process the first one's variables (in place) and state."""
        return state

    def join(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return what all processes found."""
        return dict(found)


class HorovodWorkers(Workers):
    """The processes that `horovodrun` started.

    Keras 3's variables are handed over as TensorFlow's (``variable.value``), for which Horovod 0.28
    is made. Gradients are float32 at any precision of the arithmetic.
    """

    def __init__(self) -> None:
        try:
            import horovod.tensorflow as hvd
        except ImportError as error:
            raise UserError("Horovod is not installed; run `make horovod`") from error
        hvd.init()
        self.hvd, self.rank, self.size = hvd, hvd.rank(), hvd.size()
        self.local_rank = hvd.local_rank()

    def tape(self, tape: tf.GradientTape) -> tf.GradientTape:
        """Return a `DistributedGradientTape`."""
        return self.hvd.DistributedGradientTape(tape)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of `values` over the processes."""
        return self.hvd.allreduce(tf.constant(values), op=self.hvd.Average).numpy()

    def share(self, variables: list, state: Any) -> Any:
        """Broadcast the first process's variables and state."""
        self.hvd.broadcast_variables([variable.value for variable in variables], root_rank=0)
        return self.hvd.broadcast_object(state, root_rank=0)

    def join(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return what all processes found, the first one's first."""
        gathered = self.hvd.allgather_object(dict(found))
        return {key: value for part in gathered for key, value in part.items()}


def start_workers(device: str = "cpu") -> Workers:
    """Join the other processes when `horovodrun` started this one, and choose this one's device.

    Raises
    ------
    UserError
        When `device` is "gpu" and there is none for this process, or Horovod is missing.
    """
    workers = HorovodWorkers() if "HOROVOD_SIZE" in os.environ else Workers()
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and len(gpus) <= workers.local_rank:
        raise UserError(
            f"device is gpu and training needs {workers.local_rank + 1} on this machine, but "
            f"TensorFlow sees {len(gpus)}; set device to cpu or lower `training.processes`"
        )
    own = [gpus[workers.local_rank]] if device == "gpu" else []
    tf.config.set_visible_devices(own, "GPU")
    return workers
