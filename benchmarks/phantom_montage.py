"""Phantoms of a family in three planes through the root, one column a seed.

benchmarks/phantom_montage.py wide docs/images/phantoms_wide.png --first-seed 1 --count 8
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import matplotlib as mpl
import numpy as np
from calcohort.phantom.families import FAMILIES

mpl.use("Agg")
import matplotlib.pyplot as plt

BLOCK = (2, 2, 2)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("out", type=Path, help="PNG")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=8)
    given = parser.parse_args()
    family = FAMILIES[given.family]
    figure, axes = plt.subplots(
        3, given.count, figsize=(2 * given.count, 6.4), layout="constrained", squeeze=False
    )
    for column, seed in zip(axes.T, range(given.first_seed, 99_999), strict=False):
        patient = family.draw(seed)
        scan = family.scan_grid(patient)
        grid = scan.downscaled(BLOCK)
        phantom = family.render(patient, grid)
        k, j, i = (int(np.median(where)) for where in np.nonzero(phantom.root))
        for axis, (panel, at) in enumerate(zip(column, (k, j, i), strict=True)):
            sides = [mm for other, mm in enumerate(grid.spacing_mm) if other != axis]
            panel.imshow(
                phantom.hu.take(at, axis), cmap="gray", vmin=-200, vmax=800, origin="lower",
                aspect=sides[0] / sides[1],
            )  # fmt: skip
            panel.contour(phantom.root.take(at, axis), [0.5], colors="#e69f00", linewidths=1)
            panel.set(xticks=[], yticks=[], facecolor="black")
        field_mm = scan.shape[2] * scan.spacing_mm[2]
        column[0].set_title(
            f"seed {seed}\n{field_mm:.0f} mm field\n{scan.spacing_mm[2]:.2f} × "
            f"{scan.spacing_mm[0]:.2f} mm",
            fontsize=9,
        )
    for panel, name in zip(axes[:, 0], ("axial", "coronal", "sagittal"), strict=True):
        panel.set_ylabel(name)
    figure.savefig(given.out, dpi=80)


if __name__ == "__main__":
    main()
