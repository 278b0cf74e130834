"""Weights of U-Net2 side by side on validation phantoms, none of which a network learned from.

    benchmarks/compare_weights.py results/validation --weights ROUND.weights.h5 MEAN.weights.h5

On the crop's voxels, of the largest component: Dice and the 95 % surface distance against the true
shares of the networks' blocks, enlarged to those voxels, from one half on. The shipped weights are
always among them, and all must have their width. STORE keeps the phantoms for the next time.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import numpy as np
import pandas as pd
from calcohort.measure.overlap import compare_masks
from calcohort.networks.data import VALIDATION_SEED, draw_cases, make_store, read_sample
from calcohort.networks.predict import Network
from calcohort.networks.unet import build_unet, load_weights
from calcohort.study import read_config, read_settings
from calcohort.volume import Grid
from scipy import ndimage

COUNTS = [("wide", 32), ("template", 8)]


def enlarged(blocks: np.ndarray, block_kji: tuple[int, int, int]) -> np.ndarray:
    """Return shares of blocks on the voxels, between the blocks' centres by interpolation."""
    shares = blocks.astype(np.float32)
    return ndimage.zoom(shares, block_kji, order=1, mode="nearest", grid_mode=True)


def largest(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part."""
    labels, count = ndimage.label(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]) if count else mask


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="of the same width")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    settings = read_settings(read_config(None))
    spacing_mm = tuple(settings["resample"]["spacing_mm"])
    shipped = settings["segment"]["network"]
    filters, depth, block = shipped["filters"], shipped["depth"], tuple(shipped["block_kji"])
    cases = draw_cases(COUNTS, VALIDATION_SEED)
    for name in make_store(given.store, "unet2", block, cases, given.workers, spacing_mm):
        print(name, "is rendered", flush=True)
    networks = {}
    for path in (Path(shipped["weights"]), *given.weights):
        model = build_unet(filters, depth, kernel_initializer="zeros")
        load_weights(model, path, filters, depth)
        networks[str(path)] = Network(model, depth)

    rows = []
    for case in cases:
        sample = read_sample(given.store, case.name, "unet2")
        truth = enlarged(sample.label, block) >= 0.5
        grid = Grid(truth.shape, np.diag([*spacing_mm[::-1], 1.0]))
        for path, network in networks.items():
            blocks = network.probability(sample.image.astype(np.float32))
            found = largest(enlarged(blocks, block) >= 0.5)
            figures = compare_masks(found, truth, grid)
            rows.append({"weights": path, "family": case.name.split("-")[0], **figures})
    table = pd.DataFrame(rows).groupby(["weights", "family"], sort=False)
    print(
        table.agg(
            scans=("dice", "size"),
            found=("hd95_mm", "count"),
            dice_mean=("dice", "mean"),
            dice_median=("dice", "median"),
            dice_least=("dice", "min"),
            hd95_mean_mm=("hd95_mm", "mean"),
        )
        .round(4)
        .to_string()
    )


if __name__ == "__main__":
    main()
