"""A training store of a few small samples: a bright box in noise."""

import numpy as np
from calcohort.networks.data import keep_sample

NAMES = ["a", "b", "c", "d"]
SIDE = 16


def make_training_store(folder):
    """Write samples a to d of U-Net2, 16 blocks a side; return the store."""
    for seed, name in enumerate(NAMES):
        rng = np.random.default_rng(seed)
        label = np.zeros((SIDE,) * 3, np.uint8)
        first = rng.integers(2, 7, 3)
        label[tuple(slice(start, start + 7) for start in first)] = 1
        image = 0.3 + 0.4 * label + rng.normal(0, 0.05, label.shape)
        keep_sample(folder, name, "unet2", image, label)
    return folder
