"""How far the found root's ends lie from the true planes, on the phantoms of an evaluated run.

    benchmarks/end_planes.py results/held_out --first-seed 4001

Of a phantom's own geometry: what the mask holds beyond a plane, less what it lacks before it (away
from the wall), over the area of the lumen at that plane (before a wide phantom's deformation).
Positive: the mask goes on beyond.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import pandas as pd
from calcohort import volume
from calcohort.outcomes import OK, read_record
from calcohort.phantom.families import FAMILIES

WALL_MM = 1.0
LOWER, UPPER = 0.3, 0.7


def along_the_root(family: str, patient, points_mm: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the distance from the annulus along the axis and that from the wall, in mm."""
    if family == "second":
        along, phi, r = patient.root.coordinates(*points_mm.T.astype(np.float32))
        return along, r - patient.root.radius(along, phi)
    r, phi, along = patient.root.polar(*patient.warp.source(points_mm).T.astype(np.float32))
    return along, r - patient.root.radius(phi, along)


def lumen_mm2(family: str, patient, along_mm: float) -> float:
    """Return the area of the lumen at a height."""
    phi = np.linspace(0, 2 * np.pi, 181, dtype=np.float32)[:-1]
    along = np.full_like(phi, along_mm)
    second = family == "second"
    r = patient.root.radius(along, phi) if second else patient.root.radius(phi, along)
    return float(np.pi * np.mean(r**2))


def offsets_mm(family: str, seed: int, found: Path, truth: Path) -> tuple[float, float]:
    """Return how far the mask goes beyond the annulus and beyond the junction, in mm."""
    patient = FAMILIES[family].draw(seed)
    found, truth = volume.read(found), volume.read(truth)
    here, there = found.array > 0, truth.array > 0
    wrong = np.argwhere(here ^ there)
    along, wall = along_the_root(family, patient, found.grid.world(wrong))
    more, less = here[tuple(wrong.T)], there[tuple(wrong.T)] & (wall < -WALL_MM)
    height = patient.root.height_mm
    annulus = (more & (along < 0)).sum() - (less & (along < LOWER * height)).sum()
    junction = (more & (along > height)).sum() - (less & (along > UPPER * height)).sum()
    voxel_mm3 = np.prod(found.grid.spacing_mm)
    low, high = lumen_mm2(family, patient, 0.0), lumen_mm2(family, patient, height)
    return annulus * voxel_mm3 / low, junction * voxel_mm3 / high


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="results of wide and second phantoms")
    parser.add_argument("--first-seed", type=int, required=True)
    given = parser.parse_args()
    rows = []
    for folder in sorted((given.run / "scans").glob("[sw]*-*")):
        if read_record(folder / "root.json")["status"] != OK:
            print(f"{folder.name}: no root found")
            continue
        family, number = folder.name.split("-")
        truth = given.run / "phantoms/truth" / f"{folder.name}_root.nii.gz"
        seed = given.first_seed + int(number) - 1
        rows.append((family, *offsets_mm(family, seed, folder / "root_mask.nii.gz", truth)))
        print(f"{folder.name}: annulus {rows[-1][1]:.1f} mm, junction {rows[-1][2]:.1f} mm")
    found = pd.DataFrame(rows, columns=["family", "annulus", "junction"]).set_index("family")
    print("mean (mm)", found.groupby("family").mean().round(2), sep="\n")
    print("mean size (mm)", found.abs().groupby("family").mean().round(2), sep="\n")


if __name__ == "__main__":
    main()
