"""Trained networks at work: loaded once, used for many scans one after the other."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from calcohort.networks.unet import build_unet
from calcohort.outcomes import UserError


class Network:
    """A U-Net with its weights on one device.

    Parameters
    ----------
    model : keras.Model
        As `build_unet` makes it.
    depth : int
        Its steps down.
    device : str
        "cpu" or "gpu". A GPU that is asked for and missing is a `UserError`, never a silent CPU.
    """

    def __init__(self, model: keras.Model, depth: int, device: str = "cpu") -> None:
        if device not in ("cpu", "gpu"):
            raise UserError(f"device is {device!r}; it must be cpu or gpu")
        if device == "gpu" and not keras.distribution.list_devices("gpu"):
            raise UserError(
                "device is gpu, but the networks' library sees none; "
                "run on a machine with a GPU or set device to cpu"
            )
        model.jit_compile = device == "gpu"
        self.model = model
        self.depth = depth
        self.device = f"{device}:0"

    def padded_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape the network computes on: each side up to a multiple of 2**depth."""
        step = 2**self.depth
        return tuple(-(-int(n) // step) * step for n in shape)

    def probability(self, array: np.ndarray) -> np.ndarray:
        """Return the foreground's probability.

        Parameters
        ----------
        array : ndarray of float32, ``[k, j, i]``
            Normalised intensities. Sides that 2**depth does not divide are padded at their end
            with the edge's values, and the padding's probability is cut off again.

        Returns
        -------
        ndarray of float32, ``[k, j, i]``
            Of `array`'s shape.
        """
        missing = np.subtract(self.padded_shape(array.shape), array.shape)
        padded = np.pad(array.astype(np.float32), [(0, int(n)) for n in missing], mode="edge")
        with keras.device(self.device):
            softmax = self.model.predict_on_batch(padded[np.newaxis, ..., np.newaxis])
        k, j, i = array.shape
        return np.ascontiguousarray(softmax[0, :k, :j, :i, 1])


def load_network(
    weights: Path, sha256: str, filters: int, depth: int = 5, device: str = "cpu"
) -> Network:
    """Load a U-Net after a check of its weights' hash.

    Raises
    ------
    UserError
        When the file is missing, is not the one that `sha256` names, or holds a network of another
        width or depth.
    """
    weights = Path(weights)
    if not weights.is_file():
        raise UserError(f"the weights {weights} do not exist; check the path in the config")
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if found != sha256.strip().lower():
        raise UserError(
            f"the weights {weights} have SHA-256 {found}, the config says {sha256}; "
            "restore the file or, if the change is meant, correct the config"
        )
    model = build_unet(filters, depth, kernel_initializer="zeros")
    try:
        model.load_weights(weights)
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"the weights {weights} do not fit a U-Net of {filters} filters and depth {depth}; "
            "correct filters and depth in the config"
        ) from error
    return Network(model, depth, device)


def read_ahead(items: Iterable[Any], read: Callable[[Any], Any]) -> Iterator[tuple[Any, Future]]:
    """Read the next item in a thread while the present one is worked on.

    Yields
    ------
    (item, future)
        ``future.result()`` is ``read(item)`` or raises what `read` raised for this item, so one
        that cannot be read does not touch its neighbours.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        waiting = None
        for item in items:
            following = item, reader.submit(read, item)
            if waiting:
                yield waiting
            waiting = following
        if waiting:
            yield waiting
