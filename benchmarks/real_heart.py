"""Both networks on a real heart: a NIfTI crop brought onto a cardiac grid in a body-sized field.

    benchmarks/real_heart.py CROP.nii.gz OUT.png [--configfile network.yaml]

There is no reference: the picture is for eyes. What lies outside the crop repeats its edge.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import matplotlib as mpl
import numpy as np
from calcohort import volume
from calcohort.localise import crop_start, find_box
from calcohort.networks.predict import load_network
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import Excluded
from calcohort.segment import find_root, scan_in_crop
from calcohort.study import read_config, read_settings
from calcohort.volume import Grid, Volume
from scipy import ndimage

mpl.use("Agg")
import matplotlib.pyplot as plt

SPACING_MM = (0.625, 0.488, 0.488)
SHAPE = (256, 512, 512)


def on_cardiac_grid(scan: Volume) -> Volume:
    """Resample a scan linearly to the paper's voxels, in the middle of the paper's field."""
    middle = scan.grid.world((np.array(scan.grid.shape) - 1) / 2)
    affine = np.diag([*SPACING_MM[::-1], 1.0])
    affine[:3, 3] = middle - (np.array(SHAPE)[::-1] - 1) / 2 * SPACING_MM[::-1]
    grid = Grid(SHAPE, affine)
    first = scan.grid.index(grid.world((0, 0, 0)))
    step = grid.spacing_mm / scan.grid.spacing_mm
    array = ndimage.affine_transform(
        scan.array.astype(np.float32), step, first, SHAPE, order=1, mode="nearest"
    )
    return Volume(np.rint(array).astype(np.int16), affine)


def draw(ct: Volume, at, title: str, out: Path, **masks: np.ndarray) -> None:
    """Draw three planes through `at` with the outlines of masks."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 5), layout="constrained")
    spacing = ct.grid.spacing_mm
    for axis, panel in enumerate(axes):
        sides = [mm for other, mm in enumerate(spacing) if other != axis]
        plane = ct.array.take(at[axis], axis)
        panel.imshow(
            plane, cmap="gray", vmin=-200, vmax=800, origin="lower", aspect=sides[0] / sides[1]
        )
        for colour, mask in zip(("#56b4e9", "#e69f00"), masks.values(), strict=False):
            if mask.take(at[axis], axis).any():
                panel.contour(mask.take(at[axis], axis), [0.5], colors=colour, linewidths=1.5)
        panel.set(xticks=[], yticks=[], title=("axial", "coronal", "sagittal")[axis])
    figure.suptitle(f"{title}\nblue: box of U-Net1, orange: root of U-Net2; window -200 to 800 HU")
    figure.savefig(out, dpi=90)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("out", type=Path, help="PNG")
    parser.add_argument("--configfile", type=Path, help="laid over config.yaml: other weights")
    given = parser.parse_args()
    settings = read_settings(read_config(given.configfile))
    ct = on_cardiac_grid(volume.read(given.scan))
    ct = volume.respace(ct, settings["resample"]["spacing_mm"])
    unet1, unet2 = (
        load_network(device="cpu", **settings[stage]["network"])
        for stage in ("localise", "segment")
    )
    factor, shape = settings["downscale"]["factor_kji"], tuple(settings["crop"]["shape_kji"])
    half = volume.downscale(ct, tuple(factor))
    seen = unet1.probability(normalise(half.array))
    title = f"U-Net1's highest probability {seen.max():.2f}"
    at = np.array(ct.grid.shape) // 2
    box_mask, root_mask = (np.zeros(ct.grid.shape, dtype=bool) for _ in range(2))
    try:
        found = find_box(seen, half.grid, ct.grid, margin_mm=settings["localise"]["margin_mm"])
        ends = list(zip(found["box_start_kji"], found["box_stop_kji"], strict=True))
        box_mask[tuple(slice(*side) for side in ends)] = True
        at = np.mean(ends, axis=1).astype(int)
        start = crop_start(found["box_start_kji"], found["box_stop_kji"], shape)
        crop = volume.crop(ct, start, shape, settings["crop"]["pad_value_hu"])
        box = tuple(slice(a - s, b - s) for (a, b), s in zip(ends, start, strict=True))
        probability = unet2.probability(normalise(lower_calcium(crop.array, box)))
        inside = scan_in_crop(start, shape, ct.grid.shape)
        root = find_root(probability, ct.grid.spacing_mm, box, inside)
        root_mask = volume.paste(root, start, ct.grid.shape)
        title += f", root {root.sum() * ct.grid.voxel_volume_mm3 / 1000:.1f} mL"
    except Excluded as problem:
        title += f"; {problem}"
    print(title)
    draw(ct, at, title, given.out, box=box_mask, root=root_mask)


if __name__ == "__main__":
    main()
