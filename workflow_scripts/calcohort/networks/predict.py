"""Trained networks at work: loaded once, used for many scans one after the other."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from calcohort.networks.keras_alone import keras
from calcohort.networks.unet import build_unet, load_weights
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
    block_kji : tuple of int
        The network computes on means of blocks of that many voxels. ``(1, 1, 1)`` is the paper's;
        ``(2, 2, 2)`` takes an eighth of the time and memory.
    """

    def __init__(
        self,
        model: keras.Model,
        depth: int,
        device: str = "cpu",
        block_kji: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
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
        self.block_kji = tuple(block_kji)
        self.device = f"{device}:0"

    def probability(self, array: np.ndarray) -> np.ndarray:
        """Return the foreground's probability.

        Parameters
        ----------
        array : ndarray of float32, ``[k, j, i]``
            Normalised intensities. Sides that the block or, in blocks, 2**depth does not divide
            are padded at their end with the edge's values; the padding is cut off again.

        Returns
        -------
        ndarray of float32, ``[k, j, i]``
            On `array`'s grid, between the blocks' centres by linear interpolation.
        """
        blocks = block_means(array, self.block_kji)
        padded = _pad(blocks, (2**self.depth,) * 3)
        with keras.device(self.device):
            softmax = self.model.predict_on_batch(padded[np.newaxis, ..., np.newaxis])
        k, j, i = blocks.shape
        found = softmax[0, :k, :j, :i, 1]
        if max(self.block_kji) > 1:
            found = ndimage.zoom(found, self.block_kji, order=1, mode="nearest", grid_mode=True)
        k, j, i = array.shape
        return np.ascontiguousarray(found[:k, :j, :i], dtype=np.float32)


def mean_probability(
    networks: Sequence[Network], array: np.ndarray, *, mirror: bool = False
) -> np.ndarray:
    """Return the mean of the probabilities of several networks, ``[k, j, i]``.

    Parameters
    ----------
    networks : sequence of Network
        Of one task, for instance the folds of a cross-validation.
    array : ndarray of float32, ``[k, j, i]``
        Normalised intensities.
    mirror : bool
        Each network also sees the array mirrored left to right. That helps networks that were
        trained on mirrored images and misleads others: without mirrored training the Dice of the
        root falls below 0.8.
    """
    views = [array, array[..., ::-1]] if mirror else [array]
    total = np.zeros(array.shape, dtype=np.float32)
    for network in networks:
        for number, view in enumerate(views):
            found = network.probability(np.ascontiguousarray(view))
            total += found[..., ::-1] if number else found
    return total / np.float32(len(networks) * len(views))


def block_means(array: np.ndarray, block_kji: tuple[int, int, int]) -> np.ndarray:
    """Average blocks of voxels, float32; edge values fill a last block that is not full."""
    whole = _pad(array.astype(np.float32, copy=False), block_kji)
    sides = [side for n, b in zip(whole.shape, block_kji, strict=True) for side in (n // b, b)]
    return whole.reshape(sides).mean(axis=(1, 3, 5))


def _pad(array: np.ndarray, multiple_kji: tuple[int, int, int]) -> np.ndarray:
    missing = [-n % multiple for n, multiple in zip(array.shape, multiple_kji, strict=True)]
    return np.pad(array, [(0, n) for n in missing], mode="edge")


def load_network(
    weights: Path,
    sha256: str,
    filters: int | Sequence[int],
    depth: int = 5,
    block_kji: tuple[int, int, int] = (1, 1, 1),
    device: str = "cpu",
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
    load_weights(model, weights, filters, depth)
    return Network(model, depth, device, block_kji)


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
