"""Both networks on a real heart: a NIfTI crop brought onto a cardiac grid in a body-sized field.

    benchmarks/real_heart.py CROP.nii.gz OUT.png [--chest CHEST.nii.gz --at-mm X Y Z]

There is no reference: the picture is for eyes. What lies outside the crop repeats its edge, or is
another scan's chest, whose heart lies at X Y Z (RAS+) and is covered. A whole scan is taken as it
is with `--whole`.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import matplotlib as mpl
import numpy as np
from both_networks import BothNetworks
from calcohort import volume
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


def in_chest(heart: Volume, crop: Grid, chest: Volume, at_mm: tuple[float, ...]) -> Volume:
    """Replace what lies outside the crop by a chest of which `at_mm` lies in the crop's middle."""
    middle = crop.world((np.array(crop.shape) - 1) / 2)
    grid = heart.grid
    first, step = grid.world((0, 0, 0)) - middle + at_mm, grid.spacing_mm / chest.grid.spacing_mm
    around = ndimage.affine_transform(
        chest.array.astype(np.float32), step, chest.grid.index(first), SHAPE, order=1, cval=-1024
    )
    ends = np.rint([grid.index(crop.world(at)) for at in ((0, 0, 0), np.array(crop.shape) - 1)])
    inside = tuple(slice(max(int(a), 0), int(b) + 1) for a, b in ends.T)
    around[inside] = heart.array[inside]
    return Volume(np.rint(around).astype(np.int16), heart.affine)


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
    parser.add_argument("--whole", action="store_true", help="the scan is no crop")
    parser.add_argument("--chest", type=Path, help="NIfTI that surrounds the crop")
    parser.add_argument("--at-mm", type=float, nargs=3, metavar=("X", "Y", "Z"))
    parser.add_argument("--configfile", type=Path, help="laid over config.yaml: other weights")
    given = parser.parse_args()
    scan = volume.read(given.scan)
    heart = scan if given.whole else on_cardiac_grid(scan)
    if given.chest:
        heart = in_chest(heart, scan.grid, volume.read(given.chest), given.at_mm)
    found = BothNetworks(given.configfile).find(heart)
    box, root = (np.zeros(found.ct.grid.shape, dtype=bool) for _ in range(2))
    at = np.array(box.shape) // 2
    if found.box:
        box[found.box] = True
        at = np.array([(side.start + side.stop) // 2 for side in found.box])
    if found.root is not None:
        root = found.root
    title = found.why or f"root {found.root_ml:.1f} mL"
    print(title)
    draw(found.ct, at, title, given.out, box=box, root=root)


if __name__ == "__main__":
    main()
