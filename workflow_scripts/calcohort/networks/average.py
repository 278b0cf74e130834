"""Mean of several files of weights."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from calcohort.outcomes import UserError, atomic_path


def average_weights(files: Sequence[Path], out: Path) -> None:
    """Write the mean of each weight over several files of one network.

    Parameters
    ----------
    files : sequence of Path
        Keras weights (HDF5), at least two, of networks of one shape.
    out : Path
        Written as the first of them, with the means in place of its weights.

    Raises
    ------
    UserError
        When there are fewer than two, or their weights differ in name or shape.
    """
    if len(files) < 2:
        raise UserError("give at least two files of weights to average")
    every = [_weights(file) for file in files]
    for file, weights in zip(files, every, strict=True):
        shapes = {name: weight.shape for name, weight in weights.items()}
        if shapes != {name: weight.shape for name, weight in every[0].items()}:
            raise UserError(f"{file} holds another network than {files[0]}: names or shapes differ")
    with atomic_path(out) as temporary:
        shutil.copyfile(files[0], temporary)
        with h5py.File(temporary, "r+") as written:
            for name in every[0]:
                written[name][...] = np.mean([weights[name] for weights in every], axis=0)


def _weights(file: Path) -> dict[str, np.ndarray]:
    found = {}

    def keep(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node[...]

    try:
        with h5py.File(file) as opened:
            opened.visititems(keep)
    except OSError as problem:
        raise UserError(f"{file} cannot be read as weights (HDF5): {problem}") from problem
    return found
