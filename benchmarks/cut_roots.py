"""What becomes of roots that the scan cuts or misses, on the phantoms of an evaluated run.

    benchmarks/cut_roots.py results/held_out --cut-mm 4 8 12 --scans 8
    benchmarks/cut_roots.py results/held_out --cut-mm --missed --scans 20

Each scan is cut so that its root loses so much at its lower or its upper end; with `--missed` also
so that it ends 3 mm below the root or begins 3 mm above it. Nothing of that may be measured.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
from both_networks import BothNetworks
from calcohort import volume
from calcohort.volume import Volume

MISSED_BY_MM = 3.0
LEAST_MM = 25.0
"""A scan without the root that is shorter is left out."""


def parts(
    root: np.ndarray, slice_mm: float, cut_mm: list[float], missed: bool
) -> Iterator[tuple[str, int, int]]:
    """Yield what is cut off and the slices that are left, the last one excluded."""
    slices, count = np.flatnonzero(root.any(axis=(1, 2))), len(root)
    low, high = slices[0], slices[-1] + 1
    for mm in cut_mm:
        lost = round(mm / slice_mm)
        yield f"{mm:g} mm off its lower end", low + lost, count
        yield f"{mm:g} mm off its upper end", 0, high - lost
    if missed:
        away = round(MISSED_BY_MM / slice_mm)
        for text, first, last in (
            ("ends below it", 0, low - away),
            ("begins above it", high + away, count),
        ):
            if (last - first) * slice_mm >= LEAST_MM:
                yield text, first, last


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="results of phantoms")
    parser.add_argument("--cut-mm", type=float, nargs="*", default=[4.0, 8.0, 12.0])
    parser.add_argument("--missed", action="store_true", help="also scans without the root")
    parser.add_argument("--scans", type=int, default=8, help="of each family, the first ones")
    parser.add_argument("--configfile", type=Path, default=Path("held_out.yaml"))
    given = parser.parse_args()
    networks = BothNetworks(given.configfile)
    for path in sorted((given.run / "scans").glob("*-*/ct.nii.gz")):
        scan_id = path.parent.name
        if int(scan_id.split("-")[-1]) > given.scans:
            continue
        ct = volume.read(path)
        root = volume.read(given.run / "phantoms/truth" / f"{scan_id}_root.nii.gz").array > 0
        for text, first, last in parts(root, ct.grid.spacing_mm[0], given.cut_mm, given.missed):
            part = ct.grid.window((first, 0, 0), (last - first, *root.shape[1:]))
            found = networks.find(Volume(ct.array[first:last], part.affine))
            told = found.why or f"measured, {found.root_ml:.1f} mL"
            print(f"{scan_id}, {text}: {told}", flush=True)


if __name__ == "__main__":
    main()
