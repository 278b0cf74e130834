"""Make a trained network wider without changing what it finds."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from calcohort.networks.plan import level_filters
from calcohort.networks.unet import InstanceNormalisation, build_unet, load_weights
from calcohort.outcomes import UserError, atomic_path

EVENNESS = 8
"""Shape of the gamma distribution by which the copies of a channel share its weights."""


def widen_weights(
    weights: Path,
    filters: int | Sequence[int],
    wider: int | Sequence[int],
    depth: int,
    out: Path,
    seed: int = 0,
) -> None:
    """Write the weights of a wider U-Net that computes the same function.

    Net2Net's wider operator (Chen, Goodfellow and Shlens 2016, arXiv:1511.05641): the new channels
    of a layer are copies of its old ones, and what reads them shares out the old weights among the
    copies, unevenly, so that in further training they become different.

    Parameters
    ----------
    weights : Path
        Of a U-Net of `filters` (`level_filters`) and `depth`.
    filters, wider : int or sequence of int
        Before and after, at no level fewer.
    depth : int
        Of both.
    out : Path
        The file to write.
    seed : int
        Of the shares.

    Raises
    ------
    UserError
        When the weights do not fit, or a level would become narrower.
    """
    before, after = level_filters(filters, depth), level_filters(wider, depth)
    if any(new < old for old, new in zip(before, after, strict=True)):
        raise UserError(f"filters {after} are fewer than the network's {before} at some level")
    narrow = build_unet(before, depth, kernel_initializer="zeros")
    load_weights(narrow, weights, before, depth)
    with atomic_path(out) as temporary:
        widen(narrow, after, np.random.default_rng(seed)).save_weights(temporary)


def widen(narrow: keras.Model, filters: Sequence[int], rng: np.random.Generator) -> keras.Model:
    """Return a U-Net of `filters` at each level that computes what `narrow` computes."""
    wide = build_unet(filters, len(filters) - 1, kernel_initializer="zeros")
    copied = {}
    for old, new in zip(narrow.layers, wide.layers, strict=True):
        sources = [copied[id(tensor)] for tensor in _inputs(new)]
        copied[id(new.output)] = _copy(old, new, sources, rng)
    return wide


def _inputs(layer) -> list:
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _copy(old, new, sources: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Set the weights of `new`; return which channel of `old` each of its channels copies."""
    if isinstance(new, keras.layers.InputLayer):
        return np.zeros(1, dtype=int)
    if isinstance(new, keras.layers.Concatenate):
        first = old.input[0].shape[-1]
        return np.concatenate([sources[0], sources[1] + first])
    (source,) = sources
    if isinstance(new, InstanceNormalisation):
        new.set_weights([weights[source] for weights in old.get_weights()])
    if not isinstance(new, keras.layers.Conv3D | keras.layers.Conv3DTranspose):
        return source
    before, after = old.output.shape[-1], new.output.shape[-1]
    copies = np.arange(after) % before
    kernel, *bias = old.get_weights()
    share = _shares(source, after, rng)
    if isinstance(new, keras.layers.Conv3DTranspose):
        kernel = kernel[..., copies, :][..., source] * share.T
    else:
        kernel = kernel[..., source, :][..., copies] * share
    new.set_weights([kernel, *(values[copies] for values in bias)])
    return copies


def _shares(source: np.ndarray, outputs: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``[input, output]``: for each output, the shares of one channel's copies add up to 1."""
    drawn = rng.gamma(EVENNESS, size=(len(source), outputs))
    total = np.zeros((source.max() + 1, outputs))
    np.add.at(total, source, drawn)
    return drawn / total[source]
